"""What was planted where: for every signal its mid-times, and whether a window can be cut around each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.demo.transit_stars import Signal, Star

EXPECTED, BORDERLINE, IMPOSSIBLE = "expected", "borderline", "impossible"
"""State of a mid-time: its window must be emitted, may be, or cannot be."""

_WINDOW_DURATIONS = 5.0
_MIN_GOOD = 0.85
# The ephemerides of the table are a little off, and so are the windows cut with them.
_GOOD_MARGIN = 0.03
_EDGE_MARGIN_DAYS = 0.02

Good = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Times of a light curve (BTJD days, NaN where missing) and which cadences are good, both of shape ``(n,)``."""


def planted_events(star: Star, sectors: Mapping[int, Good]) -> Iterator[dict[str, Any]]:
    """One JSON-able entry per signal of a star that has an ephemeris.

    Args:
        star: The star.
        sectors: Its light curves by sector.

    Yields:
        Event, target, disposition, period and epoch (days, BTJD), duration (hours), depth (ppm; 0 where nothing is
        planted), offset of the source (arcseconds), secondary, and the mid-times with sector and state.
    """
    for signal in star.signals:
        if not signal.ephemeris_known:
            continue
        yield {
            "event": f"{star.tic}-{signal.number}",
            "target_id": star.tic,
            "disposition": signal.disposition,
            "period_days": signal.period,
            "epoch_btjd": signal.epoch,
            "duration_hours": 24 * signal.duration,
            "depth_ppm": 1e6 * signal.depth,
            "source_east_arcsec": signal.east,
            "source_north_arcsec": signal.north,
            "secondary_depth_ppm": 1e6 * signal.secondary_depth,
            "secondary_offset_days": signal.secondary_offset,
            "mid_times": [
                {"time": float(time), "sector": sector, "state": window_state(float(time), signal.duration, *good)}
                for sector, good in sorted(sectors.items())
                for time in mid_times(signal, *good)
            ],
        }


def mid_times(signal: Signal, time: NDArray[np.float64], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Planted mid-times between the first and the last time of a light curve, shape ``(k,)``, BTJD days."""
    start, end = np.nanmin(time), np.nanmax(time)
    first, last = np.ceil((start - signal.epoch) / signal.period), np.floor((end - signal.epoch) / signal.period)
    return np.asarray(signal.epoch + np.arange(first, last + 1) * signal.period)


def window_state(mid: float, duration: float, time: NDArray[np.float64], good: NDArray[np.bool_]) -> str:
    """Whether the published rules keep a window of five durations around a mid-time.

    The window must lie inside the data, and more than 85 % of its cadences and of those of the central duration must
    be good. Windows within a margin of a rule are borderline.

    Args:
        mid: Mid-time, BTJD days.
        duration: First to last contact, days.
        time: Shape ``(n,)``, BTJD days, NaN where missing; such cadences count with an interpolated time.
        good: Shape ``(n,)``.
    """
    index = np.arange(len(time))
    known = np.isfinite(time)
    filled = np.interp(index, index[known], time[known])
    half = _WINDOW_DURATIONS * duration / 2
    room = min(mid - half - filled[0], filled[-1] - mid - half)
    fraction = min(_good_part(mid, width, filled, good) for width in (half, duration / 2))
    if room > _EDGE_MARGIN_DAYS and fraction > _MIN_GOOD + _GOOD_MARGIN:
        return EXPECTED
    if room < -_EDGE_MARGIN_DAYS or fraction < _MIN_GOOD - _GOOD_MARGIN:
        return IMPOSSIBLE
    return BORDERLINE


def _good_part(mid: float, half: float, time: NDArray[np.float64], good: NDArray[np.bool_]) -> float:
    inside = np.abs(time - mid) <= half
    return float(good[inside].mean()) if inside.any() else 0.0
