"""The reference of a build: tables of genes and sites from an annotation, checked against the genome."""

from __future__ import annotations

import json
import logging
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainyard.splice import contigs, motif
from trainyard.splice.contigs import ContigMatch
from trainyard.splice.entities import Annotation, load_annotation
from trainyard.splice.gate import reported
from trainyard.splice.genes import Tables, build_tables
from trainyard.splice.genome import Genome
from trainyard.splice.motif import MotifReport
from trainyard.splice.placement import Placement, count_placed, genes_by_contig, place
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import EXONS, GENES, OVERLAPS, SITES, TRANSCRIPTS
from trainyard.splice.settings import SpliceInputSettings
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.files import read_json, sha256_file, write_json
from trainyard.yard.identity import keyed_hash
from trainyard.yard.ledger import Ledger
from trainyard.yard.tables import TableContract

CONTRACTS: dict[str, TableContract] = {
    "genes": GENES,
    "transcripts": TRANSCRIPTS,
    "exons": EXONS,
    "sites": SITES,
    "overlaps": OVERLAPS,
}
DESCRIPTION = "reference.json"
_BUILD_DIRECTIVES = ("genome-build", "genome-version", "description")


def build_reference(
    settings: SpliceInputSettings, out: Path, *, fasta: Path | None = None, annotation: Path | None = None
) -> dict[str, Any]:
    """Make the reference: tables, `motif.json`, `ledger.json` and, last, `reference.json`.

    Args:
        settings: Inputs and limits.
        out: Folder; the index of the FASTA, and an unpacked copy of a compressed one, stand there too.
        fasta: Instead of the one in the settings.
        annotation: Instead of the one in the settings.

    Returns:
        What `reference.json` holds.

    Raises:
        ConfigError: No input is named, or a contig of the settings does not exist.
        InputError: Something cannot be read, contigs do not match, or the motif gate refuses the annotation.
    """
    fasta, annotation = fasta or settings.fasta, annotation or settings.annotation
    if fasta is None or annotation is None:
        raise ConfigError("set splice.inputs.fasta and splice.inputs.annotation")
    ledger = Ledger("splice", Reason)
    with Genome(fasta, cache=out) as genome:
        found = load_annotation(annotation, ledger)
        match = contigs.match_contigs(found.contigs, genome.contigs, aliases=settings.contig_aliases)
        placement = _placed(found, match, genome, settings)
        count_placed(found, placement, ledger)
        tables = build_tables(found, placement, match, ledger, min_intron=settings.min_intron)
        ledger.check()
        report = _gate(tables, genome, found, match, settings, out)
        for name, contract in CONTRACTS.items():
            contract.write(out / f"{name}.parquet", getattr(tables, name))
        write_json(out / "ledger.json", ledger.to_dict())
        description = _description(found, genome, match, tables, report, settings)
    write_json(out / DESCRIPTION, description)
    return description


class Reference:
    """A reference that was built, as other stages read it."""

    def __init__(self, folder: Path) -> None:
        """Open the folder that `build_reference` wrote.

        Raises:
            InputError: There is no `reference.json`.
        """
        self.folder = folder
        self.description: dict[str, Any] = read_json(folder / DESCRIPTION)
        """What `reference.json` holds."""

    @property
    def reference_id(self) -> str:
        """Identity of genome, annotation and how they were read; part of what later stages depend on."""
        return str(self.description["reference_id"])

    @cached_property
    def genes(self) -> pa.Table:
        """Table GENES, sorted by gene_id."""
        return GENES.read(self.folder / "genes.parquet")

    @cached_property
    def transcripts(self) -> pa.Table:
        """Table TRANSCRIPTS."""
        return TRANSCRIPTS.read(self.folder / "transcripts.parquet")

    @cached_property
    def exons(self) -> pa.Table:
        """Table EXONS."""
        return EXONS.read(self.folder / "exons.parquet")

    @cached_property
    def sites(self) -> pa.Table:
        """Table SITES, sorted by gene_id, t, site_type."""
        return SITES.read(self.folder / "sites.parquet").combine_chunks()

    @cached_property
    def overlaps(self) -> pa.Table:
        """Table OVERLAPS."""
        return OVERLAPS.read(self.folder / "overlaps.parquet")

    @cached_property
    def genome(self) -> Genome:
        """The FASTA.

        Raises:
            InputError: It is no longer there.
            IntegrityError: Its contigs are not those that the reference was made with.
        """
        path = Path(self.description["fasta"]["path"])
        genome = Genome(path, cache=self.folder)
        if genome.contigs != self.description["contigs"]["genome"]:
            raise IntegrityError(
                f"{path}: its contigs are not those that {self.folder / DESCRIPTION} was made with; put the FASTA back,"
                " or delete that file and run the same command again"
            )
        return genome

    def gene(self, gene_id: str) -> dict[str, Any]:
        """Row of a gene.

        Raises:
            InputError: There is no such gene.
        """
        try:
            row = self._rows[gene_id]
        except KeyError:
            raise InputError(f"{self.folder}: has no gene {gene_id}") from None
        gene: dict[str, Any] = self.genes.slice(row, 1).to_pylist()[0]
        return gene

    def sites_of(self, gene_id: str) -> pa.Table:
        """Sites of a gene, in the order of t; no rows for a gene without sites, or an unknown one."""
        start, count = self._site_ranges.get(gene_id, (0, 0))
        return self.sites.slice(start, count)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {gene_id: row for row, gene_id in enumerate(self.genes["gene_id"].to_pylist())}

    @cached_property
    def _site_ranges(self) -> dict[str, tuple[int, int]]:
        ranges, start = {}, 0
        for gene_id, count in Counter(self.sites["gene_id"].to_pylist()).items():
            ranges[gene_id] = (start, count)
            start += count
        return ranges


def _placed(found: Annotation, match: ContigMatch, genome: Genome, settings: SpliceInputSettings) -> Placement:
    """Where genes lie; refuses an annotation most of whose genes lie elsewhere."""
    what, used = f"{found.path} with {genome.path}", settings.contigs
    contigs.check_used(used, match, found.contigs, genome.contigs, what=what)
    placement = place(found, match=match, lengths=genome.contigs, used=used)
    genes, off_end = genes_by_contig(found, placement)
    contigs.check_placed(genes, off_end, match, genome.contigs, what=what, regions=found.regions)
    lost = {name: n for name, n in genes.items() if name not in match.names}
    if lost:
        logging.warning("%d genes are on contigs that the FASTA lacks: %s", sum(lost.values()), _some(lost))
    if off_end:
        logging.warning("%d genes reach past the end of their contig", off_end)
    return placement


def _gate(
    tables: Tables,
    genome: Genome,
    found: Annotation,
    match: ContigMatch,
    settings: SpliceInputSettings,
    out: Path,
) -> MotifReport:
    """Motif gate over unique introns; of an annotation that it refuses `motif_refused.json` is written."""
    introns, names = tables.introns, list(genome.contigs)
    position = {name: i for i, name in enumerate(names)}
    chrom = tables.genes["chrom"].combine_chunks().dictionary_encode()
    by_row = pa.array([position[name] for name in chrom.dictionary.to_pylist()], pa.int32()).take(chrom.indices)
    unique = motif.unique_introns(names, by_row.to_numpy()[introns.gene], introns.left, introns.right, introns.sign)
    report = motif.measure(genome, unique)
    conflicts = contigs.length_conflicts(match, genome.contigs, found.regions)
    if conflicts:
        logging.warning("the annotation states other lengths than the FASTA has for %s", _some(conflicts))
    least, what = settings.min_motif_share, f"{found.path} with {genome.path}"
    with reported(out / "motif.json", {**report.to_dict(), "min_motif_share": least}):
        motif.check(report, min_share=least, what=what, conflicts=conflicts)
    odd = motif.odd_contigs(report)
    if odd:
        logging.warning("introns of %s are mostly not GT-AG: are they of this build?", _some(odd))
    return report


def _description(
    found: Annotation,
    genome: Genome,
    match: ContigMatch,
    tables: Tables,
    report: MotifReport,
    settings: SpliceInputSettings,
) -> dict[str, Any]:
    inputs = {
        name: {"path": str(path), "sha256": sha256_file(path), "bytes": path.stat().st_size}
        for name, path in (("fasta", genome.path), ("annotation", found.path))
    }
    stated = next((found.header[name] for name in _BUILD_DIRECTIVES if name in found.header), "")
    choices = {
        "build": settings.build or stated,
        "release": settings.release or found.header.get("annotation-source", ""),
        "min_intron": settings.min_intron,
        "contig_aliases": settings.contig_aliases,
        "contigs_used": sorted(settings.contigs),
    }
    identity = {
        **choices,
        **{name: file["sha256"] for name, file in inputs.items()},
        **{name: contract.digest for name, contract in CONTRACTS.items()},
    }
    used = sorted(set(tables.genes["chrom"].to_pylist()))
    genes = tables.genes
    return {
        **inputs,
        **choices,
        "reference_id": f"{keyed_hash(json.dumps(identity, sort_keys=True), size=16):032x}",
        "dialect": found.dialect.name,
        "annotation_directives": found.header,
        "contigs": {
            "genome": genome.contigs,
            "with_genes": used,
            "naming": _naming(used),
            "renamed": {name: other for name, other in match.names.items() if name != other},
            "not_in_genome": [name for name in found.contigs if name not in match.names],
        },
        "counts": {
            "lines": found.lines,
            **{name: getattr(tables, name).num_rows for name in CONTRACTS},
            "donors": sum(genes["n_donors"].to_pylist()),
            "acceptors": sum(genes["n_acceptors"].to_pylist()),
            "unique_introns": report.introns + report.unknown,
            "locus_clusters": len(set(genes["locus_cluster"].to_pylist())),
            "gene_types": dict(Counter(genes["gene_type"].to_pylist())),
        },
        "gt_ag_share": round(report.share, 6),
    }


def _naming(names: list[str]) -> str:
    """How contigs are called: with `chr` (UCSC, GENCODE), without (Ensembl), or mixed."""
    with_chr = sum(name.lower().startswith("chr") for name in names)
    return "chr" if with_chr == len(names) else "mixed" if with_chr else "plain"


def _some(names: Any) -> str:
    shown = list(names)
    return ", ".join(shown[:5]) + (f", ... ({len(shown)})" if len(shown) > 5 else "")
