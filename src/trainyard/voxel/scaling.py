"""Temperatures scaled to [0, 1] by the range of the train split, and by nothing else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_log = logging.getLogger(__name__)

FORMULA = "(T - temp_min) / (temp_max - temp_min + 1e-8); 0.5 if temp_max - temp_min < 1e-6"
"""As published; written into the parameters, so that nobody has to guess."""


def fit_scaler(train_temperatures: NDArray[np.float32], *, clamp: bool) -> dict[str, Any]:
    """Return the parameters of the scaling, ready for `temp_scaling_params.json`.

    Args:
        train_temperatures: Temperatures of the train samples, K, shape `(n,)`.
        clamp: Whether scaled temperatures are clamped to [0, 1].

    Raises:
        ValueError: No train sample.
    """
    if train_temperatures.size == 0:
        raise ValueError("the train split has no sample to fit the temperature scaling on")
    return {
        "temp_min": _kelvin(train_temperatures.min()),
        "temp_max": _kelvin(train_temperatures.max()),
        "unit": "K",
        "n_train": int(train_temperatures.size),
        "formula": FORMULA,
        "clamp": clamp,
    }


def scale(temperatures: ArrayLike, scaler: Mapping[str, Any]) -> NDArray[np.float32]:
    """Scale temperatures, K, any shape, as the parameters say; float32."""
    low, span = scaler["temp_min"], scaler["temp_max"] - scaler["temp_min"]
    kelvin = np.asarray(temperatures, np.float64)
    scaled = np.full(kelvin.shape, 0.5) if abs(span) < 1e-6 else (kelvin - low) / (span + 1e-8)
    return (np.clip(scaled, 0, 1) if scaler.get("clamp") else scaled).astype(np.float32)


def scale_warning(temperatures: NDArray[np.float32], scaler: Mapping[str, Any]) -> str:
    """Return a warning if some temperatures lie outside the range of train, else an empty text."""
    low, high = np.float32(scaler["temp_min"]), np.float32(scaler["temp_max"])
    outside = np.unique(temperatures[(temperatures < low) | (temperatures > high)])
    if not outside.size:
        return ""
    listed = ", ".join(
        f"{kelvin:g} K to {value:.3f}" for kelvin, value in zip(outside, scale(outside, scaler), strict=True)
    )
    clamped = "; the clamp makes them equal to the edge" if scaler.get("clamp") else ""
    return f"train covers {low:g} to {high:g} K only; other temperatures are scaled outside of it: {listed}{clamped}"


def _kelvin(value: np.float32) -> float:
    # The shortest text of the float32, so that 320.15 stays 320.15 in JSON.
    return float(str(value))
