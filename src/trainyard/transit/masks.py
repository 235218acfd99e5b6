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
        period_err: 1-sigma uncertainty of the period, days; 0 where it is not known.
        epoch_err: 1-sigma uncertainty of the epoch, days; 0 where it is not known.
    """

    period: float
    epoch: float
    duration: float
    secondary_offset: float = math.nan
    secondary_mes: float = math.nan
    period_err: float = 0.0
    epoch_err: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.period < math.inf and 0 < self.duration < math.inf and math.isfinite(self.epoch)):
            raise ValueError(f"need a finite period > 0, duration > 0 and a finite epoch, got {self}")

    def epochs(self, max_mes_threshold: float) -> list[float]:
        """Epoch of the primary and, where it is stronger than the threshold, of the secondary."""
        if self.secondary_mes > max_mes_threshold and math.isfinite(self.secondary_offset):
            return [self.epoch, self.epoch + self.secondary_offset]
        return [self.epoch]

    def timing_error(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """1-sigma uncertainty of the mid-time next to each time, days: sqrt(sigma_epoch^2 + n^2 sigma_period^2)."""
        return np.hypot(self.epoch_err, np.rint((time - self.epoch) / self.period) * self.period_err)


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
    timing_error_sigmas: float = 0.0,
) -> NDArray[np.bool_]:
    """True where a window must not be centred: within half a width plus the margin of an event, ends included.

    With half a window as margin, a centre is free exactly if its window does not touch any masked interval. An
    ephemeris is known to its errors only, which grow with the periods counted: masks can reach some sigmas farther.

    Args:
        time: Candidate centres, shape ``(n,)``, days.
        ephemerides: Events to keep away from.
        width: Full width of an event's mask, in durations of that event (TD).
        max_mes_threshold: As for `event_mask`.
        margin_days: Half width of the window and what else it must keep away, days.
        timing_error_sigmas: How many uncertainties of the mid-time are added on either side.

    Returns:
        Shape ``(n,)``, bool; False where the time is NaN.
    """
    mask = np.zeros(time.shape, dtype=np.bool_)
    for ephemeris in ephemerides:
        reach = width * ephemeris.duration / 2 + margin_days + timing_error_sigmas * ephemeris.timing_error(time)
        for epoch in ephemeris.epochs(max_mes_threshold):
            mask |= np.abs(phase_distance(time, epoch, ephemeris.period)) <= reach
    return mask
