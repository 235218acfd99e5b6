"""Columns that a model can do without: constant ones, and of two that repeat each other the weaker one.

Judged on a sample of train rows that is drawn by hash, so no value of another split plays a part. Nothing is rewritten:
the result is a list. It keeps the correlated pairs and the strength of their members, so that the choice can be made
anew for any set of columns, such as a model without one family of features.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SplicePruneSettings
from trainyard.splice.split import TRAIN
from trainyard.splice.train.data import Bools, Floats, SplitRows, open_rows
from trainyard.splice.train.metrics import average_precision, curve
from trainyard.splice.train.runtime import one_blas_thread
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, write_json

FORMAT = "trainyard-splice-pruning"
CONSTANT, CORRELATED = "zero_variance", "correlated"
_DIGITS = 9
"""Digits of a correlation that count; the last bits differ from processor to processor."""
_BLOCK = 64
"""Columns whose strength is measured at once."""


@dataclass(frozen=True)
class Pair:
    """Two columns more correlated than the threshold, in the order of their names."""

    first: str
    second: str
    rho: float


@dataclass(frozen=True)
class Pruned:
    """A column that goes."""

    name: str
    reason: str
    """`zero_variance` or `correlated`."""
    partner: str | None = None
    """The column that stays in its place."""
    rho: float | None = None


@dataclass(frozen=True)
class Pruning:
    """What was found in the train rows."""

    constant: tuple[str, ...]
    pairs: tuple[Pair, ...]
    """The most correlated first."""
    auprc: dict[str, float]
    """Univariate AUPRC of the columns of all pairs."""
    fitted_on: dict[str, Any]
    """Rows and genes that were looked at."""

    def drop(self, columns: Collection[str]) -> list[Pruned]:
        """Choose which of some columns go.

        Pairs are gone through from the most correlated down; of a pair that is still whole the column with the lower
        univariate AUPRC goes, of two equal ones the one with the later name.
        """
        wanted = set(columns)
        gone = {name: Pruned(name, CONSTANT) for name in self.constant if name in wanted}
        for pair in self.pairs:
            names = (pair.first, pair.second)
            if wanted.issuperset(names) and gone.keys().isdisjoint(names):
                stays, goes = sorted(names, key=lambda name: (-self.auprc[name], name))
                gone[goes] = Pruned(goes, CORRELATED, stays, pair.rho)
        return sorted(gone.values(), key=lambda found: found.name)


NOTHING = Pruning((), (), {}, {})
"""Pruning that is switched off."""


def fit_pruning(data: SplitRows, settings: SplicePruneSettings) -> Pruning:
    """Look for constant and repeated columns among the features of the train rows.

    A column with missing values is constant only if all are missing, and is correlated with none. Correlations are left
    out, and said to be, where there are more than `max_columns` columns.

    Args:
        data: The dataset.
        settings: Thresholds, and how many rows are looked at.

    Raises:
        InputError: Train has no rows.
    """
    rows = data.rows(TRAIN)
    names = tuple(column.name for column in data.master.features)
    keep = rows.sample(settings.sample_rows, "splice pruning")
    if not keep.any():
        raise InputError(f"{data.master.folder}: no row is in train, so nothing can be pruned; change splice.split")
    compares = len(names) <= settings.max_columns
    with one_blas_thread():
        moments = _Moments(len(names), comoments=compares)
        for piece in data.pieces(TRAIN, names, keep=keep):
            moments.see(piece)
        pairs = _pairs(names, moments, settings.corr_thr) if compares else []
    strength = _strength(data, sorted({name for pair in pairs for name in (pair.first, pair.second)}), keep)
    fitted_on = {
        "split": TRAIN,
        "rows": len(rows),
        "rows_looked_at": int(keep.sum()),
        "genes": len(rows.genes),
        "genes_sha256": rows.genes_sha256,
        "columns": len(names),
        "correlations": compares,
        "columns_digest": data.master.contract.digest,
    }
    constant = tuple(sorted(name for name, same in zip(names, moments.constant, strict=True) if same))
    return Pruning(constant, tuple(pairs), strength, fitted_on)


def prune(
    folder: Path, splits: Path, out: Path, settings: SplicePruneSettings, *, allow_partial: bool = False
) -> list[Pruned]:
    """Write `pruned_features.json`; without any where pruning is switched off.

    Args:
        folder: `master/`, or the folder of the line.
        splits: Contract SPLIT.
        out: The file.
        settings: Thresholds, and how many rows are looked at.
        allow_partial: Take what is finished of an incomplete dataset.

    Returns:
        What goes if all families of features are used.

    Raises:
        InputError, IntegrityError, LeakageError: See `open_rows` and `fit_pruning`.
    """
    data = open_rows(folder, splits, allow_partial=allow_partial)
    pruning = fit_pruning(data, settings) if settings.enabled else NOTHING
    columns = [column.name for column in data.master.features]
    write_pruning(out, pruning, columns, settings)
    return pruning.drop(columns)


def write_pruning(path: Path, pruning: Pruning, columns: Collection[str], settings: SplicePruneSettings) -> None:
    """Write `pruned_features.json`, with the choice for all columns spelled out.

    Args:
        path: The file.
        pruning: What was found.
        columns: All feature columns.
        settings: Of the pruning.
    """
    write_json(
        path,
        {
            "format": FORMAT,
            "version": 1,
            "settings": settings.model_dump(mode="json"),
            "fitted_on": pruning.fitted_on,
            "constant": list(pruning.constant),
            "pairs": [vars(pair) for pair in pruning.pairs],
            "auprc": pruning.auprc,
            "pruned": [vars(found) for found in pruning.drop(columns)],
        },
    )


def read_pruning(path: Path) -> Pruning:
    """Read what `write_pruning` wrote.

    Raises:
        InputError: There is no such file.
        IntegrityError: It is another file.
    """
    found = read_json(path)
    try:
        if (found["format"], found["version"]) != (FORMAT, 1):
            raise KeyError("format")
        pairs = tuple(Pair(pair["first"], pair["second"], pair["rho"]) for pair in found["pairs"])
        return Pruning(tuple(found["constant"]), pairs, dict(found["auprc"]), dict(found["fitted_on"]))
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: not a list of pruned features ({error}); prune again") from error


class _Moments:
    """Extremes, means and co-moments of columns, from pieces of rows.

    Pieces are added by their means (Chan, Golub & LeVeque 1979), which loses no digits to large values.
    """

    def __init__(self, columns: int, *, comoments: bool) -> None:
        self.n = 0
        self.low, self.high = np.full(columns, np.inf), np.full(columns, -np.inf)
        self.missing = np.zeros(columns, np.int64)
        self.mean = np.zeros(columns)
        self.comoments: NDArray[np.float64] | None = np.zeros((columns, columns)) if comoments else None

    def see(self, piece: Floats) -> None:
        """Add rows, shape `(n, columns)`."""
        values = piece.astype(np.float64)
        absent = np.isnan(values)
        self.missing += absent.sum(axis=0)
        self.low = np.fmin(self.low, np.fmin.reduce(values, axis=0))
        self.high = np.fmax(self.high, np.fmax.reduce(values, axis=0))
        if self.comoments is not None:
            values[absent] = 0
            n, mean = len(values), values.mean(axis=0)
            step = mean - self.mean
            values -= mean
            self.comoments += values.T @ values + np.outer(step, step) * (self.n * n / (self.n + n))
            self.mean += step * (n / (self.n + n))
        self.n += len(piece)

    @property
    def constant(self) -> Bools:
        """Columns with one value, missing counting as one."""
        found: Bools = ((self.low == self.high) & (self.missing == 0)) | (self.missing == self.n)
        return found

    def correlations(self) -> NDArray[np.float64]:
        """Pearson correlations; NaN for constant columns and those with missing values."""
        assert self.comoments is not None
        spread = np.sqrt(np.diag(self.comoments))
        spread[self.constant | (self.missing > 0)] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            rho: NDArray[np.float64] = np.round(self.comoments / np.outer(spread, spread), _DIGITS)
        return rho


def _pairs(names: Sequence[str], moments: _Moments, threshold: float) -> list[Pair]:
    """Pairs above the threshold, the most correlated first."""
    rho = moments.correlations()
    found = []
    for i, j in zip(*np.nonzero(np.triu(np.abs(rho) > threshold, 1)), strict=True):
        first, second = sorted((names[i], names[j]))
        found.append(Pair(first, second, float(np.clip(rho[i, j], -1, 1))))
    return sorted(found, key=lambda pair: (-abs(pair.rho), pair.first, pair.second))


def _strength(data: SplitRows, names: Sequence[str], keep: Bools) -> dict[str, float]:
    """Univariate AUPRC of columns for any site against none, in the direction that serves better."""
    positive = data.rows(TRAIN).label[keep] > 0
    ones = np.ones(len(positive), np.float32)
    found: dict[str, float] = {}
    for start in range(0, len(names), _BLOCK):
        block = names[start : start + _BLOCK]
        values = np.concatenate(list(data.pieces(TRAIN, block, keep=keep)))
        for name, column in zip(block, values.T, strict=True):
            areas = [average_precision(curve(sign * column, positive, ones)) for sign in (1, -1)]
            found[name] = round(max(areas), _DIGITS) if positive.any() else 0.0
    return found
