"""Rows of a dataset per gene: how many of each class and outcome, where in which part, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainyard.splice.calls import CLASSES, PRED_TYPES
from trainyard.splice.master import Part, stream_part
from trainyard.yard.errors import IntegrityError

_COLUMNS = ("gene_id", "label", "pred_type", "sample_weight")
_NONE = np.iinfo(np.int64).max


@dataclass
class GeneRows:
    """The rows of one gene."""

    part: int
    """Index of the part that holds them."""
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(CLASSES), np.int64))
    """Rows by label, shape `(3,)`."""
    outcomes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(PRED_TYPES), np.int64))
    """Rows by outcome, in the order of PRED_TYPES, shape `(4,)`."""
    weight: float = 0.0
    """Positions of the gene that its rows stand for: rows before trimming."""
    first: int = _NONE
    """Number of its first row in the part, 0-based."""
    last: int = -1
    """Number of its last row in the part, 0-based."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.labels.sum())


def count_rows(parts: Sequence[Part]) -> dict[str, GeneRows]:
    """Count the rows of every gene, reading four columns once, in pieces.

    Args:
        parts: Parts of a dataset.

    Returns:
        By gene, in the order of first rows.

    Raises:
        IntegrityError: A gene has rows in two parts, or a label or outcome is none of the known ones.
    """
    found: dict[str, GeneRows] = {}
    for index, part in enumerate(parts):
        offset = 0
        for table in stream_part(part.path, _COLUMNS):
            for gene_id, rows in _by_gene(table, part.path):
                counts = found.setdefault(gene_id, GeneRows(index))
                if counts.part != index:
                    raise IntegrityError(
                        f"gene {gene_id} has rows in {parts[counts.part].path.name} and in {part.path.name} of"
                        f" {part.path.parent}; build both parts again"
                    )
                _add(counts, rows, offset)
            offset += table.num_rows
    return found


def row_groups(path: Path, rows: GeneRows) -> tuple[int, int]:
    """First and last row group (0-based) of a Parquet file that hold rows of a gene."""
    metadata = pq.read_metadata(path)
    ends = np.cumsum([metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)])
    first, last = np.searchsorted(ends, [rows.first, rows.last], side="right").tolist()
    return first, last


def total(counts: Sequence[GeneRows]) -> dict[str, Any]:
    """Sums over genes, for a manifest: rows, rows by label and by outcome, rows before trimming."""
    labels, outcomes = np.zeros(len(CLASSES), np.int64), np.zeros(len(PRED_TYPES), np.int64)
    for rows in counts:
        labels += rows.labels
        outcomes += rows.outcomes
    return {
        "rows": int(labels.sum()),
        "rows_by_label": dict(zip(CLASSES, labels.tolist(), strict=True)),
        "rows_by_pred_type": dict(zip(PRED_TYPES, outcomes.tolist(), strict=True)),
        "rows_before_trimming": round(sum(rows.weight for rows in counts)),
    }


@dataclass(frozen=True)
class _Rows:
    number: NDArray[np.int64]
    label: NDArray[np.int64]
    outcome: NDArray[np.int64]
    weight: NDArray[np.float64]


def _by_gene(table: pa.Table, path: Path) -> Iterator[tuple[str, _Rows]]:
    genes = table["gene_id"].combine_chunks().dictionary_encode()
    gene = genes.indices.to_numpy()
    label = table["label"].to_numpy()
    outcome = pa.compute.index_in(table["pred_type"], pa.array(PRED_TYPES)).fill_null(-1).to_numpy()
    if label.size and (label.min() < 0 or label.max() >= len(CLASSES) or outcome.min() < 0):
        raise IntegrityError(f"{path}: a label is not 0, 1 or 2, or an outcome not TP, FP, FN or TN; build it again")
    weight = table["sample_weight"].to_numpy()
    order = np.argsort(gene, kind="stable")
    cuts = np.searchsorted(gene[order], np.arange(len(genes.dictionary) + 1))
    for i, gene_id in enumerate(genes.dictionary.to_pylist()):
        rows = order[cuts[i] : cuts[i + 1]]
        yield gene_id, _Rows(rows, label[rows], outcome[rows], weight[rows].astype(np.float64))


def _add(counts: GeneRows, rows: _Rows, offset: int) -> None:
    counts.labels += np.bincount(rows.label, minlength=len(CLASSES))
    counts.outcomes += np.bincount(rows.outcome, minlength=len(PRED_TYPES))
    counts.weight += float(rows.weight.sum())
    counts.first = min(counts.first, offset + int(rows.number[0]))
    counts.last = max(counts.last, offset + int(rows.number[-1]))
