"""What one would guess of a residue without looking at its voxels, learned from train alone.

A model that knows the temperature and nothing else already correlates well over all temperatures together, so scores
mean something only beside these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Baselines:
    """Mean targets of train, nm.

    Attributes:
        temperatures: Temperatures of train, K, ascending, (k,).
        means: Mean target at each of them, (k,).
        names: Residue names of train, sorted.
        means_of_name: Mean target of each name at each temperature, (names, k); NaN where train has none.
    """

    temperatures: Floats
    means: Floats
    names: tuple[str, ...]
    means_of_name: Floats

    def temperature_mean(self, temperature: NDArray[np.float32]) -> Floats:
        """Return the mean target of train at temperatures, K, (n,); between those of train it is interpolated."""
        found: Floats = np.interp(temperature.astype(np.float64), self.temperatures, self.means)
        return found

    def residue_mean(self, names: Sequence[str], name: Codes, temperature: NDArray[np.float32]) -> Floats:
        """Return the mean target of train by residue name and temperature; where train has none, of the temperature.

        Args:
            names: Distinct residue names.
            name: Position of each sample's name among them, (n,).
            temperature: K, (n,).
        """
        rows = {known: row for row, known in enumerate(self.names)}
        row = np.array([rows.get(one, -1) for one in names], np.int64)[name]
        column = np.searchsorted(self.temperatures, temperature).clip(max=len(self.temperatures) - 1)
        is_known = (row >= 0) & (self.temperatures[column] == temperature)
        found = np.where(is_known, self.means_of_name[row, column], np.nan)
        return np.where(np.isnan(found), self.temperature_mean(temperature), found)


def fit_baselines(
    target: NDArray[np.float32], temperature: NDArray[np.float32], names: Sequence[str], name: Codes
) -> Baselines:
    """Take the means of train; arguments as for `Baselines.residue_mean`, of at least one sample.

    Args:
        target: RMSF, nm, (n,).
        temperature: K, (n,).
        names: Distinct residue names, sorted.
        name: Position of each sample's name among them, (n,).
    """
    temperatures, column = np.unique(temperature.astype(np.float64), return_inverse=True)
    shape = (len(names), len(temperatures))
    cell = name * shape[1] + column
    sums = np.bincount(cell, weights=target, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    means_of_name = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return Baselines(temperatures, sums.sum(axis=0) / counts.sum(axis=0), tuple(names), means_of_name)
