"""A sample of rows that does not depend on how they are read: by part and row number, through a hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sampled(part: int, first: int, n: int, *, share: float) -> NDArray[np.bool_]:
    """Which of some consecutive rows of a part are in the sample.

    Args:
        part: Index of the part.
        first: Number of the first row in the part, 0-based.
        n: Number of rows.
        share: Share of rows wanted; 1 and more takes all.

    Returns:
        Shape `(n,)`.
    """
    if share >= 1:
        return np.ones(n, np.bool_)
    number = (np.uint64(part) << np.uint64(40)) + np.arange(first, first + n, dtype=np.uint64)
    return _mix(number) < np.uint64(int(share * 2.0**64))


def share_of(rows: int, wanted: int) -> float:
    """Share of `rows` that gives about `wanted`."""
    return wanted / rows if rows > wanted else 1.0


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood 2014), which spreads consecutive numbers over all 64 bits."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
