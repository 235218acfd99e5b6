"""Checks of columns: values that must not be there, columns that say nothing, and columns that say too much.

Columns are read in blocks, each in one stream over all parts, so that thousands of k-mers take no more memory than
hundreds. The probes work on a sample of rows that does not depend on how they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import rankdata

from trainyard.splice.calls import ACCEPTOR, DONOR, NEITHER
from trainyard.splice.columnstats import ColumnStats
from trainyard.splice.master import stream_part
from trainyard.splice.rowsample import sampled

BLOCK_COLUMNS = 128


@dataclass(frozen=True)
class ColumnFacts:
    """What one pass over a column found."""

    name: str
    nulls: int
    nans: int
    infinite: int
    low: float
    """Smallest finite value; NaN without any, or for text."""
    high: float
    auc: dict[str, float]
    """Area under the ROC curve of the sampled values as a score for `site`, `donor` and `acceptor` against all other
    rows; 0.5 where a class is missing. Rows without a value are left out."""
    missing_auc: dict[str, float]
    """The same, of there being no value."""

    @property
    def constant(self) -> bool:
        """Whether all values are one."""
        return self.low == self.high and not (self.nulls or self.nans or self.infinite)


def column_facts(
    paths: Sequence[Path], columns: Sequence[str], labels: NDArray[np.int8], *, share: float
) -> Iterator[ColumnFacts]:
    """Look at columns of a dataset.

    Args:
        paths: Its parts, in order.
        columns: Names.
        labels: Labels of the sampled rows, in the order of parts and rows, shape `(n,)`.
        share: Share of rows that is sampled.
    """
    for begin in range(0, len(columns), BLOCK_COLUMNS):
        block = list(columns[begin : begin + BLOCK_COLUMNS])
        kinds = pq.read_schema(paths[0])
        seen = {name: ColumnStats(kinds.field(name).type) for name in block}
        for part, path in enumerate(paths):
            first = 0
            for table in stream_part(path, block):
                chosen = sampled(part, first, table.num_rows, share=share)
                first += table.num_rows
                for name, column in seen.items():
                    column.see(table[name], chosen)
        for name, column in seen.items():
            yield _facts(name, column, labels)


def roc_auc(values: NDArray[np.generic], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve of `values` as a score for `positive`; ties count half.

    From the rank sum (Mann & Whitney 1947): `(sum of ranks of positives - p (p + 1) / 2) / (p q)`.

    Args:
        values: Shape `(n,)`, finite.
        positive: Shape `(n,)`.

    Returns:
        In `[0, 1]`; 0.5 if one of the classes is empty.
    """
    return _auc_of_ranks(rankdata(values), positive)


def class_aucs(values: NDArray[np.generic], labels: NDArray[np.int8]) -> dict[str, float]:
    """`roc_auc` of a column for each target: any site, donor, acceptor, each against all other rows."""
    ranks = rankdata(values)
    targets = {"site": labels != NEITHER, "donor": labels == DONOR, "acceptor": labels == ACCEPTOR}
    return {name: _auc_of_ranks(ranks, positive) for name, positive in targets.items()}


def _facts(name: str, column: ColumnStats, labels: NDArray[np.int8]) -> ColumnFacts:
    missing = column.missing
    aucs = dict.fromkeys(("site", "donor", "acceptor"), 0.5)
    if column.is_number:
        # Infinite values, which are a fault of their own, stand at the ends.
        aucs = class_aucs(np.nan_to_num(column.values[~missing]), labels[~missing])
    low, high = column.extremes or (np.nan, np.nan)
    missing_aucs = class_aucs(missing, labels)
    return ColumnFacts(name, column.nulls, column.nans, column.infinite, low, high, aucs, missing_aucs)


def _auc_of_ranks(ranks: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    p = int(positive.sum())
    q = positive.size - p
    if not p or not q:
        return 0.5
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * q))
