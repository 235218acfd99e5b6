"""What the tables of the dataset hold: positions of a batch, rows with features, the record of the base model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from trainyard.splice import naming
from trainyard.splice.features import features
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.yard.tables import Column, Role, TableContract

_KEY, _LABEL, _META, _NEVER = Role.KEY, Role.LABEL, Role.METADATA, Role.NEVER_A_FEATURE
_CLASS = "neither, donor or acceptor"


def _column(name: str, kind: pa.DataType, role: Role, description: str, unit: str = "") -> Column:
    return Column(name, kind, role, unit, description, nullable=False)


@dataclass(frozen=True)
class FeatureColumn(Column):
    """A column of a feature family, which stands in the metadata of its Arrow field."""

    family: str = ""

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with role, unit, description and family as metadata."""
        field = super().field
        return field.with_metadata({**field.metadata, b"family": self.family.encode()})


_GENE = _column("gene_id", pa.string(), _KEY, "gene, without version")
_POSITION = _column("position", pa.int32(), _KEY, "base of the gene, 0-based, in transcript direction", "nt")
_TRUTH = (
    _column("is_donor", pa.bool_(), _LABEL, "annotated donor of the gene: last base of an exon"),
    _column("is_acceptor", pa.bool_(), _LABEL, "annotated acceptor of the gene: first base of an exon"),
)
_PRED_TYPE = "TP, FP, FN or TN of the base model at this very base"
_CALLS = (
    _column("called_type", pa.string(), _NEVER, f"call of the base model under labels.base_call: {_CLASS}"),
    _column("argmax_type", pa.string(), _NEVER, f"most probable class of the base model: {_CLASS}"),
)
_TRANSCRIPTS = _column(
    "transcript_count", pa.int16(), _NEVER, "transcripts of the gene that use the base as a site; 0: unannotated"
)

POSITIONS = TableContract(
    "splice_positions",
    (
        _GENE,
        _POSITION,
        _column("base", pa.uint8(), _META, "base in transcript direction: A 0, C 1, G 2, T 3, anything else 4"),
        _column("donor_score", pa.float32(), Role.FEATURE, "donor score of the base model", "probability"),
        _column("acceptor_score", pa.float32(), Role.FEATURE, "acceptor score of the base model", "probability"),
        Column(
            "label",
            pa.int8(),
            _LABEL,
            "",
            "0 neither, 1 donor, 2 acceptor; null: base of both types, which is left out",
        ),
        *_TRUTH,
        Column("pred_type", pa.string(), _NEVER, "", f"{_PRED_TYPE}; null where label is null"),
        *_CALLS,
        _TRANSCRIPTS,
        _column("donor_elsewhere", pa.bool_(), _NEVER, "annotated donor of another gene on the same strand"),
        _column("acceptor_elsewhere", pa.bool_(), _NEVER, "annotated acceptor of another gene on the same strand"),
        _column("left_out", pa.string(), _NEVER, "reason for which a position becomes no row; empty: it may"),
    ),
)
"""`batches/batch_NNNNN_raw.parquet`: every position of the genes of a batch, gene by gene, ascending."""

_ROW = (
    _GENE,
    _column("chrom", pa.string(), _KEY, "contig, as the FASTA names it"),
    _column("strand", pa.string(), _KEY, "+ or -"),
    _POSITION,
    _column("exon_pos", pa.int64(), _KEY, "the same base on the contig, 1-based", "nt"),
    _column("base", pa.string(), _META, "base in transcript direction; N: unknown"),
    _column("label", pa.int8(), _LABEL, "0 neither, 1 donor, 2 acceptor"),
    *_TRUTH,
    _column("pred_type", pa.string(), _NEVER, _PRED_TYPE),
    *_CALLS,
    _TRANSCRIPTS,
    _column("annotated_elsewhere", pa.bool_(), _NEVER, "a site of another gene on the same strand"),
    _column("stratum", pa.string(), _NEVER, "why the row was kept: non_tn, hard, neighbour or easy"),
    _column(
        "sample_weight",
        pa.float32(),
        _META,
        "positions of the gene that the row stands for: whole numbers that add up to those before trimming",
        "positions",
    ),
    _column("locus_cluster", pa.string(), _META, "genes joined by overlap on one strand: the unit of splits"),
    _column("gene_name", pa.string(), _META, "symbol; empty: none"),
    _column("gene_type", pa.string(), _META, "biotype"),
    _column("gene_start", pa.int64(), _META, "first base of the gene on the contig, 1-based", "nt"),
    _column("gene_end", pa.int64(), _META, "last base of the gene on the contig, 1-based", "nt"),
)


def dataset(settings: SpliceFeatureSettings) -> TableContract:
    """Contract of `batches/batch_NNNNN_trim.parquet` and `master/part-NNNNN.parquet`: one row per kept position."""
    # Settings cannot be hashed (they hold lists); their text can.
    return _dataset(settings.model_dump_json())


@lru_cache(maxsize=8)
def _dataset(settings: str) -> TableContract:
    columns = tuple(
        # Dictionaries of features would take longer to make than all the rest, and save nothing.
        FeatureColumn(f.name, f.type, f.role, f.unit, f.description, False, "PLAIN", family=f.family)
        for f in features(SpliceFeatureSettings.model_validate_json(settings))
    )
    return TableContract("splice_dataset", (*_ROW, *columns))


ROW_COLUMNS = tuple(column.name for column in _ROW)
"""Columns of a dataset that are no feature columns, in order."""

PERFORMANCE = TableContract(
    "splice_performance",
    (
        _GENE,
        _column("chrom", pa.string(), _META, "contig, as the FASTA names it"),
        _column("strand", pa.string(), _META, "+ or -"),
        _column("splice_type", pa.string(), _KEY, "donor or acceptor"),
        _column("n_splice_sites", pa.int32(), _NEVER, "annotated sites of the type: TP + FN"),
        _column("TP", pa.int32(), _NEVER, "sites that the base model calls"),
        _column("TN", pa.int32(), _NEVER, "other positions that it does not call"),
        _column("FP", pa.int32(), _NEVER, "calls that are no site"),
        _column("FN", pa.int32(), _NEVER, "sites that it does not call"),
        Column(
            "top_k_accuracy", pa.float64(), _NEVER, "", "share of true sites among the n_splice_sites best positions"
        ),
        Column("precision", pa.float64(), _NEVER, "", "TP / (TP + FP)"),
        Column("recall", pa.float64(), _NEVER, "", "TP / (TP + FN)"),
        Column("specificity", pa.float64(), _NEVER, "", "TN / (TN + FP)"),
        Column("f1_score", pa.float64(), _NEVER, "", "2 TP / (2 TP + FP + FN)"),
        Column("fpr", pa.float64(), _NEVER, "", "FP / (FP + TN)"),
        Column("fnr", pa.float64(), _NEVER, "", "FN / (FN + TP)"),
        _column("n_positions", pa.int32(), _META, "positions judged: TP + TN + FP + FN"),
        _column("n_left_out", pa.int32(), _META, "positions not judged: unknown bases, sites of other genes"),
        _column("match_tolerance", pa.int8(), _META, "bases between a call and its site that still count", "nt"),
    ),
)
"""`batches/performance_NNNNN.parquet`: per gene and site type; ratios are null for a gene without sites of the
type, and 0 where their denominator is 0."""


@dataclass(frozen=True)
class BatchFiles:
    """Files of one batch (1-based) in the folder of a run."""

    base: Path
    batch: int

    @property
    def raw(self) -> Path:
        """Every position of the genes of the batch; temporary."""
        return self.base / "batches" / f"batch_{naming.batch_label(self.batch)}_raw.parquet"

    @property
    def positions_ledger(self) -> Path:
        """Ledger of the first step, which `ledger` takes up."""
        return self.base / "batches" / f"positions_ledger_{naming.batch_label(self.batch)}.json"

    @property
    def performance(self) -> Path:
        """Contract PERFORMANCE."""
        return self.base / "batches" / naming.performance_batch(self.batch)

    @property
    def trim(self) -> Path:
        """The rows of the dataset, as made."""
        return self.base / "batches" / naming.trim_batch(self.batch)

    @property
    def part(self) -> Path:
        """The rows of the dataset, as read."""
        return self.base / "master" / naming.master_part(self.batch)

    @property
    def ledger(self) -> Path:
        """What became of the genes, sites and positions of the batch."""
        return self.base / "batches" / naming.batch_ledger(self.batch)

    @property
    def enhanced(self) -> Path:
        """Analysis table of classified positions."""
        return self.base / "analysis" / f"splice_positions_enhanced_{naming.batch_label(self.batch)}.parquet"

    @property
    def errors(self) -> Path:
        """Analysis table of errors."""
        return self.base / "analysis" / f"splice_errors_{naming.batch_label(self.batch)}.parquet"
