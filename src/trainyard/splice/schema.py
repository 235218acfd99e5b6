"""Names, types, units and roles of the reference tables of the splice line.

Coordinates: `start` and `end` are 1-based and closed, on the contigs of the FASTA. `t` is the 0-based index of a base
in its gene, in transcript direction. `exon_pos` is the exon base next to an intron, which base models score;
`intron_pos` is the intron base next to it.
"""

from __future__ import annotations

import pyarrow as pa

from trainyard.yard.tables import Column, Role, TableContract

DONOR, ACCEPTOR = "donor", "acceptor"
SITE_TYPES = (DONOR, ACCEPTOR)
"""Values of `site_type`."""
LABELS = {"neither": 0, DONOR: 1, ACCEPTOR: 2}
"""Codes of the label column."""
UNKNOWN_TYPE = "unknown"
"""Biotype of a gene or transcript for which the annotation states none."""

_KEY, _META, _FEATURE, _NEVER = Role.KEY, Role.METADATA, Role.FEATURE, Role.NEVER_A_FEATURE


def _text(name: str, role: Role, description: str) -> Column:
    return Column(name, pa.string(), role, description=description, nullable=False)


def _count(name: str, role: Role, description: str, unit: str = "") -> Column:
    return Column(name, pa.int32(), role, unit, description, nullable=False)


def _place(name: str, description: str) -> Column:
    return Column(name, pa.int64(), _META, "nt", f"{description}, 1-based on the contig", nullable=False)


def _length(name: str, description: str) -> Column:
    return Column(name, pa.float32(), _FEATURE, "nt", description, nullable=False)


_CHROM = _text("chrom", _META, "contig, as the FASTA names it")
_STRAND = _text("strand", _META, "+ or -")

GENES = TableContract(
    "splice_genes",
    (
        _text("gene_id", _KEY, "gene, without version; `_PAR_Y` ids stay apart"),
        _text("gene_version", _META, "version of the id; empty: none stated"),
        _text("gene_name", _META, "symbol; empty: none stated"),
        _text("gene_type", _META, "biotype, `unknown` where none is stated"),
        _CHROM,
        _place("start", "first base of the gene"),
        _place("end", "last base of the gene"),
        _STRAND,
        _count("length", _FEATURE, "end - start + 1", "nt"),
        _count("num_transcripts", _FEATURE, "transcripts of the gene"),
        _count("n_donors", _META, "unique annotated donors; derived from the annotation, a new gene has none"),
        _count("n_acceptors", _META, "unique annotated acceptors; derived from the annotation, a new gene has none"),
        _text("locus_cluster", _META, "genes joined by overlap on one strand, named by the lexically first gene_id"),
        _count("overlap_same_strand", _FEATURE, "genes that overlap this one on its strand"),
        _count("overlap_opposite_strand", _FEATURE, "genes that overlap this one on the other strand"),
        _text("rep_transcript_id", _META, "representative: MANE Select, else canonical, longest CDS, longest spliced"),
        _count("rep_spliced_length", _FEATURE, "sum of exon lengths of the representative", "nt"),
        _count("rep_num_exons", _FEATURE, "exons of the representative"),
        _length("rep_avg_exon_length", "mean exon length of the representative"),
        _length("rep_median_exon_length", "median exon length of the representative"),
        _count("rep_total_intron_length", _FEATURE, "sum of intron lengths of the representative", "nt"),
        _count("source_order", _META, "0-based order of first appearance in the annotation"),
    ),
)
"""One row per gene, sorted by `gene_id`."""

TRANSCRIPTS = TableContract(
    "splice_transcripts",
    (
        _text("transcript_id", _KEY, "transcript, as the annotation writes it, less a prefix such as `rna-`"),
        _text("gene_id", _KEY, "gene"),
        _CHROM,
        _place("start", "first base of the first exon"),
        _place("end", "last base of the last exon"),
        _STRAND,
        _text("transcript_type", _META, "biotype, `unknown` where none is stated"),
        _count("num_exons", _META, "exons"),
        _count("spliced_length", _META, "sum of exon lengths", "nt"),
        _count("cds_length", _META, "sum of CDS lengths; 0: no CDS stated", "nt"),
        _text("tags", _META, "tags by comma, spaces as underscores, e.g. MANE_Select,Ensembl_canonical"),
    ),
)
"""One row per transcript with exons, sorted by `gene_id`, `transcript_id`."""

EXONS = TableContract(
    "splice_exons",
    (
        _text("transcript_id", _KEY, "transcript"),
        _count("exon_rank", _KEY, "1-based, in transcript direction"),
        _place("start", "first base of the exon"),
        _place("end", "last base of the exon"),
    ),
)
"""Exons in the order of TRANSCRIPTS, then by `exon_rank`."""

SITES = TableContract(
    "splice_sites",
    (
        _text("gene_id", _KEY, "gene"),
        _text("site_type", _KEY, "donor or acceptor"),
        Column("t", pa.int32(), _KEY, "nt", "index of the exon base in the gene, 0-based, transcript direction", False),
        _place("intron_pos", "intron base next to the exon"),
        _place("exon_pos", "exon base next to the intron"),
        _CHROM,
        _STRAND,
        _count("transcript_count", _NEVER, "transcripts of the gene that carry the site"),
        Column("transcript_ids", pa.list_(pa.string()), _NEVER, "", "these transcripts, sorted", False),
    ),
)
"""One row per unique (`gene_id`, `site_type`, `t`), sorted by `gene_id`, `t`, `site_type`."""

OVERLAPS = TableContract(
    "splice_overlaps",
    (
        _text("gene_id_1", _KEY, "gene"),
        _text("gene_id_2", _KEY, "gene that shares at least one base of the contig with it, on any strand"),
        _CHROM,
        _place("start_1", "first base of gene 1"),
        _place("end_1", "last base of gene 1"),
        _place("start_2", "first base of gene 2"),
        _place("end_2", "last base of gene 2"),
        _text("strand_1", _META, "strand of gene 1"),
        _text("strand_2", _META, "strand of gene 2"),
        _count("num_overlaps", _META, "genes that overlap gene 1"),
        Column("same_strand", pa.bool_(), _META, "", "whether both lie on one strand", False),
    ),
)
"""Each overlapping pair twice, once from either side, sorted by both ids."""
