"""A reference with a few genes on both strands, and what it takes to score them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from small_annotations import Transcript, fasta, genome_for, gtf

from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.settings import SpliceInputSettings, SpliceModelSettings

EXONS = ((1, 40), (101, 150), (221, 260), (341, 380))
"""Of a gene, counted from its first base."""


def transcript(gene: str, start: int, strand: str = "+", contig: str = "1") -> Transcript:
    """A gene of one transcript and 380 bases that begins at a place."""
    return Transcript(f"{gene}.t", gene, [(start + a - 1, start + b - 1) for a, b in EXONS], strand, contig)


GENES = (
    transcript("P", 101),
    transcript("M", 601, "-"),
    transcript("Q", 301, contig="2"),
    transcript("N", 1201),
)
"""P and M on contig 1, Q on contig 2; N lies in unknown bases."""
NO_BASES = {"N": "N" * 380}


def small_reference(
    folder: Path,
    transcripts: Sequence[Transcript] = GENES,
    *,
    seed: int = 1,
    letters: Mapping[str, str] = NO_BASES,
) -> Reference:
    """Build the reference of some transcripts.

    Args:
        folder: Where genome, annotation and reference go.
        transcripts: One per gene.
        seed: Of the random genome.
        letters: Bases of genes by name, along the + strand.
    """
    genome = genome_for(transcripts, length=2000, seed=seed)
    for tx in transcripts:
        if tx.gene in letters:
            first, last = tx.span
            contig = genome[tx.contig]
            genome[tx.contig] = contig[: first - 1] + letters[tx.gene] + contig[last:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa").write_text(fasta(genome))
    (folder / "genes.gtf").write_text(gtf(*transcripts))
    settings = SpliceInputSettings(source="files", fasta=folder / "genome.fa", annotation=folder / "genes.gtf")
    build_reference(settings, folder / "reference")
    return Reference(folder / "reference")


def model_settings(weights: list[Path] | None = None, **changes: Any) -> SpliceModelSettings:
    """The toy model, or weights in the format of OpenSpliceAI."""
    if weights is None:
        return SpliceModelSettings(**changes)
    return SpliceModelSettings(backend="openspliceai-pt", weights=weights, accept_licence=True, device="cpu", **changes)


def random_codes(length: int, seed: int = 0) -> NDArray[np.uint8]:
    """Bases, a few of them unknown."""
    return np.random.default_rng(seed).choice(5, length, p=[0.2475] * 4 + [0.01]).astype(np.uint8)
