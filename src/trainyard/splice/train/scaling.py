"""Columns brought to mean 0 and deviation 1, for models that need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.train.feed import Feed

Floats = NDArray[np.float32]

LARGEST = 10.0
"""Deviations beyond which a value is cut: published ratios reach 1e9, and one such row would decide a linear model."""


@dataclass(frozen=True)
class Scaler:
    """Means and deviations of the rows that were learned from, shape `(columns,)`."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, features: Floats) -> Floats:
        """Scaled and cut values; a missing one becomes the mean, 0."""
        with np.errstate(over="ignore"):
            scaled = (features.astype(np.float64) - self.mean) / self.scale
        return np.nan_to_num(np.clip(scaled, -LARGEST, LARGEST), nan=0.0).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a double's shortest text gives the same double again."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Scaler:
        """What `to_dict` gave."""
        return cls(np.array(told["mean"], np.float64), np.array(told["scale"], np.float64))


def fit_scaler(feed: Feed) -> Scaler:
    """Take means and deviations of the rows of a feed, piece by piece; a constant column keeps deviation 1."""
    from sklearn.preprocessing import StandardScaler

    found = StandardScaler()
    for piece, _ in feed.pieces():
        found.partial_fit(piece.astype(np.float64))
    return Scaler(np.nan_to_num(found.mean_), np.nan_to_num(found.scale_, nan=1.0))
