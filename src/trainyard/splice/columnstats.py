"""What one pass over a column sees: missing values, extremes, and the values of a sample of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class ColumnStats:
    """Collects a column piece by piece; memory is that of the sample."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self.is_number = bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))
        self.nulls = self.nans = self.infinite = 0
        self._low: float = np.inf
        self._high: float = -np.inf
        self._values: list[NDArray[Any]] = []
        self._missing: list[NDArray[np.bool_]] = []

    def see(self, column: pa.ChunkedArray, chosen: NDArray[np.bool_]) -> None:
        """Take up some values.

        Args:
            column: They.
            chosen: Which of them are in the sample.
        """
        self.nulls += column.null_count
        missing = column.is_null(nan_is_null=True).to_numpy()
        self._missing.append(missing[chosen])
        if not self.is_number:
            return
        values = _filled(column)
        usable = ~missing
        if pa.types.is_floating(self.kind):
            self.nans += int(missing.sum()) - column.null_count
            infinite = np.isinf(values) & usable
            self.infinite += int(infinite.sum())
            usable &= ~infinite
        self._values.append(values[chosen])
        present = values if usable.all() else values[usable]
        if present.size:
            self._low, self._high = min(self._low, present.min().item()), max(self._high, present.max().item())

    @property
    def extremes(self) -> tuple[float, float] | None:
        """Smallest and largest finite value; None without any."""
        return (self._low, self._high) if self._low <= self._high else None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows of the sample have no value, null or NaN; shape `(sample,)`."""
        return np.concatenate([np.zeros(0, np.bool_), *self._missing])

    @property
    def values(self) -> NDArray[Any]:
        """Values of the sample, shape `(sample,)`, anything where there is none; empty for text."""
        return np.concatenate(self._values) if self._values else np.zeros(0)


def _filled(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return np.asarray((column.fill_null(0) if column.null_count else column).to_numpy())
