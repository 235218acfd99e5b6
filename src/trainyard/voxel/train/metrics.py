"""How well numbers are predicted: the published scores, exact over all predictions at once.

A score that is undefined, for fewer than two samples or where nothing varies, is NaN rather than an arbitrary 0.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

METRICS = (
    "pearson",
    "spearman",
    "r2",
    "mse",
    "rmse",
    "mae",
    "bias",
    "mean_relative_error_percent",
    "median_relative_error_percent",
    "cv_rmse_percent",
)
EPOCH_METRICS = ("train_loss", "val_loss", "train_pearson", "val_pearson", "lr")
"""What `history.csv` says of every epoch."""

_LEAST_TRUTH = 1e-6  # nm; as published, so that a relative error stays finite.

Floats = NDArray[np.float64]


def score_metrics(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Score predictions in every way of `METRICS`.

    Args:
        truth: True values, nm, shape (n,).
        predicted: Predicted values, nm, shape (n,).

    Returns:
        `pearson` and `spearman` (ranks with ties averaged); `r2`, 1 less the squared error over that of the mean;
        `mse` (nm^2), `rmse`, `mae` and `bias`, the mean of predicted less true (nm); mean and median of the absolute
        error relative to the true value, and `cv_rmse_percent`, the RMSE relative to the mean true value (percent). All
        NaN for fewer than two samples.

    Raises:
        ValueError: Shapes differ, or a value is not finite.
    """
    y, p = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"true values have shape {y.shape} but predictions {p.shape}")
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise ValueError("a value is not finite")
    if y.size < 2:
        return dict.fromkeys(METRICS, math.nan)
    error = p - y
    mse = float(np.mean(error**2))
    relative = 100 * np.abs(error) / np.maximum(np.abs(y), _LEAST_TRUTH)
    return {
        "pearson": pearson(y, p),
        "spearman": pearson(rankdata(y), rankdata(p)),
        # As in `pearson`: the variance of equal values may be a rounding error, and not zero.
        "r2": 1 - ratio(mse, float(np.var(y)) if np.ptp(y) else 0.0),
        "mse": mse,
        "rmse": math.sqrt(mse),
        "mae": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "mean_relative_error_percent": float(np.mean(relative)),
        "median_relative_error_percent": float(np.median(relative)),
        "cv_rmse_percent": 100 * ratio(math.sqrt(mse), float(np.mean(y))),
    }


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Return the linear correlation of two arrays (n,); NaN for n < 2 or where one of them does not vary."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    # Asked of the values: their deviations from a rounded mean may be tiny and yet not zero.
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(ratio(np.sum(x * y), math.sqrt(np.sum(x**2)) * math.sqrt(np.sum(y**2))), -1, 1))


def skill(mse: float, mse_of_baseline: float) -> float:
    """Return 1 less the ratio of two mean squared errors: 1 is perfect, 0 no better than the baseline."""
    return 1 - ratio(mse, mse_of_baseline)


def ratio(part: float, whole: float) -> float:
    """Return `part / whole`, NaN where `whole` is 0."""
    return part / whole if whole else math.nan
