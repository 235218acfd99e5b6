"""In-transit and out-of-transit windows of one sector: where they lie, which are good, how they are resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.reasons import Reason
from trainyard.transit.settings import WindowSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """A stretch of a light curve around a centre.

    `first` and `stop` index its cadences, half open ``[first, stop)``; `centre` and `duration` are days; the good
    fractions are those of the whole window and of its central transit duration.
    """

    centre: float
    duration: float
    first: int
    stop: int
    frac_good: float
    frac_good_center: float


class Cutter:
    """Cuts windows out of one prepared light curve.

    Args:
        time: Mid-exposure times, shape ``(n,)``, days, finite and increasing.
        good: Cadences that were measured and not flagged, shape ``(n,)``.
        settings: Widths and thresholds.
    """

    def __init__(self, time: Floats, good: Bools, settings: WindowSettings) -> None:
        self.time = time
        self.good = good
        self.settings = settings
        self._good_before: Integers = np.concatenate([[0], np.cumsum(good)])

    def half_width(self, duration: float) -> float:
        """Half of a window, days."""
        return self.settings.n_durations_window * duration / 2

    def cut(self, centre: float, duration: float, *, in_transit: bool) -> Window | Reason:
        """The window at a centre, or why there is none (rules of the published build).

        Args:
            centre: Middle of the window, days.
            duration: Transit duration, days.
            in_transit: Whether the central transit duration must be well covered too.
        """
        half = self.half_width(duration)
        if centre - half < self.time[0] or centre + half > self.time[-1]:
            return Reason.PAST_DATA_EDGE
        first, stop, good = self._span(centre, half)
        if stop == first:
            return Reason.NO_CADENCE_IN_WINDOW
        center_first, center_stop, center_good = self._span(centre, duration / 2)
        if center_stop == center_first and in_transit:
            return Reason.NO_CADENCE_IN_CENTER
        fraction = good / (stop - first)
        center_fraction = center_good / max(center_stop - center_first, 1)
        if fraction <= self.settings.frac_valid_cadences_in_window_thr:
            return Reason.LOW_GOOD_FRACTION_WINDOW
        if in_transit and center_fraction <= self.settings.frac_valid_cadences_it_thr:
            return Reason.LOW_GOOD_FRACTION_CENTER
        return Window(centre, duration, first, stop, fraction, center_fraction)

    def quiet_centres(self, centres: Floats, duration: float) -> Floats:
        """Those of the given times where an out-of-transit window can be centred.

        Args:
            centres: Times far enough from events (masks.grown_mask), shape ``(k,)``, days, ascending.
            duration: Transit duration, days.

        Returns:
            Times, days, ascending; every one gives a window inside the data that is good enough.
        """
        half = self.half_width(duration)
        candidates = centres[(centres - half >= self.time[0]) & (centres + half <= self.time[-1])]
        first, stop, good = self._spans(candidates, half)
        fraction = good / np.maximum(stop - first, 1)
        return np.asarray(candidates[fraction > self.settings.frac_valid_cadences_in_window_thr])

    def windows_with(self, marked: Bools, centres: Floats, duration: float) -> Bools:
        """Which windows, for a transit of this duration (days), contain a marked cadence; shape of `centres`."""
        first, stop, _ = self._spans(centres, self.half_width(duration))
        marked_before = np.concatenate([[0], np.cumsum(marked)])
        return np.asarray(marked_before[stop] > marked_before[first])

    def _span(self, centre: float, half: float) -> tuple[int, int, int]:
        first, stop, good = self._spans(np.array([centre]), half)
        return int(first[0]), int(stop[0]), int(good[0])

    def _spans(self, centres: Floats, half: float) -> tuple[Integers, Integers, Integers]:
        """First cadence, the one after the last, and number of good ones, within `half` days of each centre."""
        first = np.searchsorted(self.time, centres - half, side="left")
        stop = np.searchsorted(self.time, centres + half, side="right")
        return first, stop, self._good_before[stop] - self._good_before[first]


def draw_apart(
    candidates: Floats,
    wanted: int,
    half_width: float,
    taken: Sequence[tuple[float, float]],
    rng: np.random.Generator,
    *,
    avoid_overlap: bool,
) -> list[float]:
    """Draw window centres at random, each once, by default so that windows do not overlap.

    Args:
        candidates: Allowed centres, days.
        wanted: How many to draw at most.
        half_width: Half of the windows to draw, days.
        taken: (centre, half width) of windows already drawn on this light curve, days.
        rng: Generator keyed by what the windows are for.
        avoid_overlap: Whether drawn windows keep clear of each other and of `taken`.

    Returns:
        Centres in time order, fewer than `wanted` where there is no room.
    """
    if not avoid_overlap:
        new = np.setdiff1d(candidates, [centre for centre, _ in taken])
        return sorted(float(time) for time in rng.permutation(new)[:wanted])
    free = np.ones(len(candidates), dtype=bool)
    for centre, half in taken:
        free &= np.abs(candidates - centre) > half + half_width
    drawn: list[float] = []
    for i in rng.permutation(len(candidates)):
        if len(drawn) >= wanted:
            break
        if free[i]:
            drawn.append(float(candidates[i]))
            free &= np.abs(candidates - candidates[i]) > 2 * half_width
    return sorted(drawn)


def scattered(time: Floats, rng: np.random.Generator) -> Floats:
    """One time next to each cadence, uniform over the cadence, days: where a window may be centred.

    Mid-transit times fall anywhere between cadences. Windows centred on cadences would be known by their sampling.
    """
    cadence = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    return time + cadence * (rng.random(len(time)) - 0.5)


@dataclass(frozen=True)
class Resampled:
    """A window brought to a fixed number of points, all float32 of shape ``(points,)``.

    `flux` is relative flux; `quality` in [0, 1]; `in_transit` the share of the point inside true events; `n_eff` the
    number of good cadences averaged (1 or 0 with `nearest`).
    """

    flux: NDArray[np.float32]
    quality: NDArray[np.float32]
    in_transit: NDArray[np.float32]
    n_eff: NDArray[np.float32]


def resample(
    window: Window,
    time: Floats,
    flux: Floats,
    quality: NDArray[np.float32],
    in_transit: Bools,
    good: Bools,
    settings: WindowSettings,
) -> Resampled:
    """Bring a window to `resampled_num_points` points.

    'bin' averages the good cadences in equal bins over the window; flux is interpolated over bins without good
    cadences, quality over bins without any (a cadence of 30 minutes leaves many).
    'nearest' takes the cadence nearest to each point of a line from the first to the last cadence.
    """
    inside = slice(window.first, window.stop)
    points = settings.resampled_num_points
    t, f, q, mask, ok = time[inside], flux[inside], quality[inside], in_transit[inside], good[inside]
    if settings.resampling == "nearest":
        at = nearest_indices(t, points)
        return Resampled(*(values[at].astype(np.float32) for values in (f, q, mask, ok)))
    width = settings.n_durations_window * window.duration
    which = ((t - window.centre + width / 2) / width * points).astype(np.int64).clip(0, points - 1)
    place = np.arange(points)
    good_bins, fluxes = _means(which[ok], f[ok])
    bins, qualities = _means(which, q)
    shares = _means(which, mask)[1]
    nearest = np.abs(place[:, None] - bins).argmin(axis=1)
    parts = (
        np.interp(place, good_bins, fluxes),
        np.interp(place, bins, qualities),
        shares[nearest],
        np.bincount(which[ok], minlength=points),
    )
    return Resampled(*(part.astype(np.float32) for part in parts))


def _means(which: Integers, values: NDArray[Any]) -> tuple[Integers, Floats]:
    """Bins that hold values, and the mean of the values in each of them."""
    counts = np.bincount(which)
    filled = np.flatnonzero(counts)
    return filled, np.bincount(which, weights=values)[filled] / counts[filled]


def nearest_indices(time: Floats, points: int) -> Integers:
    """Index of the cadence nearest to each of `points` equidistant times from the first to the last cadence."""
    wanted = np.linspace(time[0], time[-1], points)
    right = np.searchsorted(time, wanted).clip(1, len(time) - 1) if len(time) > 1 else np.zeros(points, dtype=np.int64)
    left = np.maximum(right - 1, 0)
    return np.where(wanted - time[left] <= time[right] - wanted, left, right).astype(np.int64)


def measured_depth_ppm(window: Resampled, points_per_duration: float) -> float:
    """Median of the window outside of two durations minus median of its central half duration, ppm."""
    centre = (len(window.flux) - 1) / 2
    distance = np.abs(np.arange(len(window.flux)) - centre) / points_per_duration
    used = window.n_eff > 0
    inside, outside = used & (distance <= 0.25), used & (distance >= 1.0)
    if not inside.any() or not outside.any():
        return float("nan")
    return float(np.median(window.flux[outside]) - np.median(window.flux[inside])) * 1e6
