"""Masks over the events of a star, from linear ephemerides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ephemeris:
    """When a signal of a star recurs.

    Attributes:
        period: Days, ``> 0``.
        epoch: Mid-time of one primary event, days, in the time system of the light curve.
        duration: First to last contact, **days**, ``> 0``.
        secondary_offset: From a primary to the following or preceding secondary event, days; NaN: no secondary.
        secondary_mes: Multiple event statistic of the secondary, sigma; NaN: no secondary.
    """

    period: float
    epoch: float
    duration: float
    secondary_offset: float = math.nan
    secondary_mes: float = math.nan

    def __post_init__(self) -> None:
        if not (0 < self.period < math.inf and 0 < self.duration < math.inf and math.isfinite(self.epoch)):
            raise ValueError(f"need a finite period > 0, duration > 0 and a finite epoch, got {self}")

    def epochs(self, max_mes_threshold: float) -> list[float]:
        """Epoch of the primary and, where it is stronger than the threshold, of the secondary."""
        if self.secondary_mes > max_mes_threshold and math.isfinite(self.secondary_offset):
            return [self.epoch, self.epoch + self.secondary_offset]
        return [self.epoch]


def phase_distance(time: NDArray[np.float64], epoch: float, period: float) -> NDArray[np.float64]:
    """Signed time to the nearest event, days, in ``[-period / 2, period / 2)``; NaN where the time is NaN."""
    distance = np.mod(time - epoch + period / 2, period) - period / 2
    # The remainder of a tiny negative number is rounded up to the period itself.
    return np.where(distance >= period / 2, distance - period, distance)


def event_mask(
    time: NDArray[np.float64], ephemerides: Sequence[Ephemeris], *, width: float, max_mes_threshold: float
) -> NDArray[np.bool_]:
    """True where a time lies within half a width of an event, ends included.

    Args:
        time: Times, shape ``(n,)``, days.
        ephemerides: Events to mask.
        width: Full width of the mask, in durations of the event (TD).
        max_mes_threshold: Secondaries with a multiple event statistic above this are masked like primaries; infinity:
            none is.

    Returns:
        Shape ``(n,)``, bool; False where the time is NaN.
    """
    return grown_mask(time, ephemerides, width=width, max_mes_threshold=max_mes_threshold, margin_days=0.0)


def grown_mask(
    time: NDArray[np.float64],
    ephemerides: Sequence[Ephemeris],
    *,
    width: float,
    max_mes_threshold: float,
    margin_days: float,
) -> NDArray[np.bool_]:
    """True where a window must not be centred: within half a width plus the margin of an event, ends included.

    With half a window as margin, a centre is free exactly if its window does not touch any masked interval.

    Args:
        time: Candidate centres, shape ``(n,)``, days.
        ephemerides: Events to keep away from.
        width: Full width of an event's mask, in durations of that event (TD).
        max_mes_threshold: As for `event_mask`.
        margin_days: Half width of the window and what else it must keep away, days.

    Returns:
        Shape ``(n,)``, bool; False where the time is NaN.
    """
    mask = np.zeros(time.shape, dtype=np.bool_)
    for ephemeris in ephemerides:
        reach = width * ephemeris.duration / 2 + margin_days
        for epoch in ephemeris.epochs(max_mes_threshold):
            mask |= np.abs(phase_distance(time, epoch, ephemeris.period)) <= reach
    return mask
