"""The inputs of the splice line's demo: a simulated genome with genes of real splice grammar, and its annotation.

Splice sites and decoys have motifs of the same kind, so that the toy model finds most sites, misses weak ones and is
fooled by decoys; further from the site lies a signal that it does not see. `truth.json` tells what is planted, and what
the line must count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainyard.demo.splice_annotation import annotation_lines
from trainyard.demo.splice_genes import is_eligible
from trainyard.demo.splice_genome import fasta, make_genome
from trainyard.demo.splice_truth import decoy_rows, expected, gene_rows, signal, site_rows
from trainyard.splice.settings import SpliceDemoSettings
from trainyard.yard.files import atomic_open, sha256_file, write_json, write_text

FASTA, ANNOTATION = "genome.fa", "annotation.gtf"
TRUTH, MANIFEST = "truth.json", "demo_manifest.json"
BUILD = "SIM1"


def eligible_genes(settings: SpliceDemoSettings) -> int:
    """Number of genes in the pool under the default selection; reads and writes nothing."""
    return sum(is_eligible(number) for number in range(settings.genes))


def write_inputs(settings: SpliceDemoSettings, folder: Path) -> dict[str, Any]:
    """Write the demo's inputs and, last, `demo_manifest.json`; the same settings give the same bytes.

    Args:
        settings: What to simulate.
        folder: Where to; made if it is missing.

    Returns:
        The manifest: the settings, and path (relative), bytes and sha256 of every other file.

    Raises:
        EnvironmentFault: Disk full, no permission, read-only file system.
    """
    genome = make_genome(settings)
    with atomic_open(folder / FASTA) as handle:
        handle.writelines(fasta(genome.contigs, build=BUILD))
    lines = list(annotation_lines(genome.genes, build=BUILD))
    write_text(folder / ANNOTATION, "\n".join([*lines, ""]))
    truth = {
        "settings": settings.model_dump(mode="json"),
        "eligible_genes": eligible_genes(settings),
        "signal": signal(),
        "genes": gene_rows(genome.genes),
        "sites": site_rows(genome.genes),
        "decoys": decoy_rows(genome.genes),
        "expected": expected(genome.genes, lines=sum(not line.startswith("#") for line in lines)),
    }
    write_json(folder / TRUTH, truth)
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "files": [
            {"path": name, "bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
            for name in sorted((FASTA, ANNOTATION, TRUTH))
        ],
    }
    write_json(folder / MANIFEST, manifest)
    return manifest
