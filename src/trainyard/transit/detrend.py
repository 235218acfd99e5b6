"""Removal of slow trends from a light curve, without touching its events.

The light curve is cut at gaps in the data only, never at masked events: each stretch is filtered as one. Cadences of
events and bad cadences are bridged before filtering, so that a filter never sees a transit, nor a hole.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.lightcurves import PreparedCurve
from trainyard.transit.settings import LightCurveSettings
from trainyard.yard.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SIGMA_PER_MAD = 1.4826
_MAX_CLIPS = 3
_LEAST_SCATTER = 2e-5
"""Of a cadence, relative; the best photometry here has as much. Less is not a scale to call outliers by."""
_MIN_USABLE = 10
_MAX_MASKED = 0.8
"""A stretch with a larger part of its good cadences in events has too little left to tell a trend from noise."""
_KNOTS_PER_WINDOW = 10
_MAX_LEVERAGE = 0.5
"""Of a curve across a hole: where its variance is a larger part of a cadence's, a stiffer curve is safer."""
_BLOCKS_PER_WINDOW = 6
_FOLDS = 5
_MAX_ORDER = 3


class NonPositiveFluxError(InputError):
    """The flux or its trend is not positive, so that a relative flux has no meaning."""


@dataclass(frozen=True)
class Detrended:
    """A light curve relative to its trend.

    Attributes:
        flux: Shape ``(n,)``, float64, dimensionless, around 1: the prepared flux over the trend.
        trend: Shape ``(n,)``, float64, e-/s, positive.
        method: What was done: "off", or the methods of the stretches in the order of their first use, joined by "+":
            "biweight" or "savgol"; "line" (a straight line) and "median" where a stretch was too short for the window
            or too full of events.
        window_days: Length of the filter, days; NaN for "off".
        order: Polynomial order of "savgol"; None for other methods.
    """

    flux: Floats
    trend: Floats
    method: str
    window_days: float
    order: int | None


@dataclass(frozen=True)
class _Stretch:
    """Cadences between two gaps.

    Attributes:
        rows: Which cadences of the light curve these are.
        time: Shape ``(m,)``, days.
        flux: Shape ``(m,)``, e-/s.
        good: Shape ``(m,)``: the cadence is good.
        usable: Shape ``(m,)``: the cadence is good and in no event.
    """

    rows: slice
    time: Floats
    flux: Floats
    good: Bools
    usable: Bools


_Smoother = Callable[[_Stretch, Bools], Floats]
"""From a stretch and the cadences to be followed to its trend."""


def detrend(
    prepared: PreparedCurve, event_mask: Bools, *, settings: LightCurveSettings, longest_duration_days: float
) -> Detrended:
    """Divide a light curve by its trend.

    "off" divides by the median of the good cadences. "biweight" is the sliding biweight of wotan (Hippke et al. 2019,
    AJ 158, 143), "savgol" a Savitzky-Golay filter. Both see bridges in place of events, follow no outliers beyond
    `detrend_sigma`, and have a window of at least three durations of the longest event.

    Args:
        prepared: A light curve without holes.
        event_mask: Cadences that the trend must not follow, shape ``(n,)``.
        settings: Method, window, order and tolerances.
        longest_duration_days: Longest duration of the star's events, days; 0 for a star without.

    Raises:
        NonPositiveFluxError: The median or the trend is not positive somewhere.
    """
    if settings.detrend == "off":
        median = float(np.median(prepared.flux[prepared.good]))
        return _divided(prepared, np.full(prepared.flux.shape, median), "off", math.nan, None)
    window = max(settings.detrend_window_days, 3 * longest_duration_days)
    stretches = _stretches(prepared, event_mask, settings.detrend_gap_days)
    order: int | None = None
    if settings.detrend == "savgol":
        order = _best_order(stretches, window, settings) if settings.savgol_order == "auto" else settings.savgol_order
    slide = _biweight(window) if order is None else _savgol(window, order)
    times, trends, methods = [], [], []
    for stretch in stretches:
        method = _method(stretch, window, settings.detrend)
        smooth = {"line": _line, "median": _median}.get(method, slide)
        trends.append(_clipped_trend(stretch, smooth, window, settings.detrend_sigma))
        times.append(stretch.time)
        methods.append(method)
    # Cadences between stretches are bad: their trend only has to be harmless.
    trend = np.interp(prepared.time, np.concatenate(times), np.concatenate(trends))
    return _divided(prepared, trend, "+".join(dict.fromkeys(methods)), window, order)


def _divided(prepared: PreparedCurve, trend: Floats, method: str, window: float, order: int | None) -> Detrended:
    if not np.all(trend > 0):
        raise NonPositiveFluxError(
            f"the trend of the flux falls to {trend.min():.6g} e-/s; relative flux needs it positive"
        )
    return Detrended(flux=prepared.flux / trend, trend=trend, method=method, window_days=window, order=order)


def _stretches(prepared: PreparedCurve, event_mask: Bools, gap_days: float) -> list[_Stretch]:
    """The light curve, cut where no cadence is good for longer than a gap."""
    step = float(np.median(np.diff(prepared.time))) if prepared.time.size > 1 else gap_days
    good = np.flatnonzero(prepared.good)
    # Never between neighbours, however short a gap is asked for.
    cuts = np.flatnonzero(np.diff(prepared.time[good]) > max(gap_days, 1.5 * step)) + 1
    usable = prepared.good & ~event_mask
    spans = (slice(int(part[0]), int(part[-1]) + 1) for part in np.split(good, cuts))
    return [
        _Stretch(rows, prepared.time[rows], prepared.flux[rows], prepared.good[rows], usable[rows]) for rows in spans
    ]


def _method(stretch: _Stretch, window: float, method: str) -> str:
    """What suits a stretch: the method asked for, or something stiffer."""
    if stretch.usable.sum() < max(_MIN_USABLE, (1 - _MAX_MASKED) * stretch.good.sum()):
        return "median"
    span = float(stretch.time[-1] - stretch.time[0])
    if span < window / 2:
        return "median"
    return method if span >= window else "line"


def _clipped_trend(stretch: _Stretch, smooth: _Smoother, window: float, sigma: float) -> Floats:
    """Trend of a stretch, without the cadences that stand out from it.

    Flares are found first, against medians of a tenth of a window, which no flare moves; then what stands out from the
    trend itself, such as dips that are in no catalogue. Only what is far from a running median too is ever an outlier:
    otherwise a trend that misses a crest would throw the crest away, and then miss it by more.
    """
    usable = stretch.usable if stretch.usable.any() else stretch.good
    knot_time, knot_flux = _knots(stretch, usable, window)
    inside = ~_far(stretch, usable, np.interp(stretch.time, knot_time, _running_median(knot_flux)), sigma)
    trend, kept = np.interp(stretch.time, knot_time, knot_flux), usable
    for n in range(1 + _MAX_CLIPS):
        near = usable & (inside | ~_far(stretch, kept, trend, sigma))
        if n > 0 and np.array_equal(near, kept):
            break
        kept = near
        trend = smooth(stretch, kept)
    return trend


def _far(stretch: _Stretch, kept: Bools, curve: Floats, sigma: float) -> Bools:
    """Cadences that are farther from a curve than what is kept usually is."""
    distance = np.abs(stretch.flux - curve)
    scale = max(_SIGMA_PER_MAD * np.median(distance[kept]), _LEAST_SCATTER * np.abs(np.median(curve)))
    return np.asarray(distance > sigma * scale)


def _running_median(knots: Floats) -> Floats:
    """Median over a window of knots; it shrinks towards the ends, so that a slope weighs the same on both sides."""
    last = knots.size - 1
    reaches = [min(_KNOTS_PER_WINDOW // 2, i, last - i) for i in range(knots.size)]
    return np.array([np.median(knots[i - reach : i + reach + 1]) for i, reach in enumerate(reaches)])


def _median(stretch: _Stretch, kept: Bools) -> Floats:
    return np.full(stretch.time.shape, np.median(stretch.flux[kept]))


def _line(stretch: _Stretch, kept: Bools) -> Floats:
    return _polynomial(stretch.time[kept], stretch.flux[kept], stretch.time, 1)[0]


def _biweight(window: float) -> _Smoother:
    def smooth(stretch: _Stretch, kept: Bools) -> Floats:
        from wotan import flatten

        time, flux = stretch.time, _bridged(stretch, kept, window)
        # At the ends of a stretch a window with one side only lags behind the slope. Reflecting the curve through its
        # own end point continues the slope.
        half = max(3, int(np.searchsorted(time, time[0] + window / 2)))
        first = _polynomial(time[:half], flux[:half], time[:1], 2)[0]
        last = _polynomial(time[-half:], flux[-half:], time[-1:], 2)[0]
        time = np.concatenate([2 * time[0] - time[half:0:-1], time, 2 * time[-1] - time[-2 : -half - 2 : -1]])
        flux = np.concatenate([2 * first - flux[half:0:-1], flux, 2 * last - flux[-2 : -half - 2 : -1]])
        # In a sloping window a biweight weighs cadences by their place on the slope, and hops. The mean takes the slope
        # off first (twicing: Tukey 1977, Exploratory Data Analysis), which brings single depths much closer to truth.
        options = {"window_length": window, "break_tolerance": 0, "edge_cutoff": 0, "return_trend": True}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of trends that are not positive, which `detrend` refuses
            _, slope = flatten(time, flux, method="mean", **options)
            level = np.median(slope)
            _, rest = flatten(time, flux - slope + level, method="biweight", **options)
        return np.asarray((slope + rest - level)[half:-half], dtype=np.float64)

    return smooth


def _savgol(window: float, order: int) -> _Smoother:
    def smooth(stretch: _Stretch, kept: Bools) -> Floats:
        from scipy.signal import savgol_filter

        time = stretch.time
        steps = window * (time.size - 1) / (time[-1] - time[0])
        # Odd, so that a point has as many neighbours before it as behind it.
        points = max(2 * math.floor(steps / 2) + 1, order + 1 + order % 2)
        flux = _bridged(stretch, kept, window)
        level = np.median(flux)  # taken off, the sums of the filter keep all their digits
        return np.asarray(level + savgol_filter(flux - level, points, order), dtype=np.float64)

    return smooth


def _bridged(stretch: _Stretch, kept: Bools, window: float) -> Floats:
    """Flux with a guess in place of every cadence that is not kept.

    Short holes are crossed on straight lines between medians: lines between single cadences would carry the noise of
    two of them. Events, and the ends of a stretch, are crossed on parabolas through what is kept within half a window:
    across hours a line would cut the crests of the trend.
    """
    time = stretch.time
    flux = np.where(kept, stretch.flux, np.interp(time, *_knots(stretch, kept, window)))
    edges = np.flatnonzero(np.diff(kept, prepend=True, append=True)).reshape(-1, 2)
    for begin, end in edges:
        at = time[begin:end]
        if at[-1] - at[0] < window / _KNOTS_PER_WINDOW and begin > 0 and end < time.size:
            continue
        near = kept & (time > at[0] - window / 2) & (time < at[-1] + window / 2)
        if near.sum() < _MIN_USABLE:
            continue
        for degree in (2, 1):
            values, leverage = _polynomial(time[near], stretch.flux[near], at, degree)
            if leverage.max() < _MAX_LEVERAGE:
                flux[begin:end] = values
                break
    return flux


def _knots(stretch: _Stretch, kept: Bools, window: float) -> tuple[Floats, Floats]:
    """Mean times and median fluxes of the cadences that are kept, each over a tenth of a window.

    The first and the last cadence are knots too, on the lines that begin and end there.
    """
    time, flux = stretch.time[kept], stretch.flux[kept]
    bins = ((time - stretch.time[0]) * (_KNOTS_PER_WINDOW / window)).astype(np.int64)
    cuts = np.flatnonzero(np.diff(bins)) + 1
    knot_time = np.array([part.mean() for part in np.split(time, cuts)])
    knot_flux = np.array([np.median(part) for part in np.split(flux, cuts)])
    if knot_time.size == 1:
        return knot_time, knot_flux
    slopes = np.diff(knot_flux)[[0, -1]] / np.diff(knot_time)[[0, -1]]
    ends = knot_flux[[0, -1]] + slopes * (time[[0, -1]] - knot_time[[0, -1]])
    return np.concatenate([time[:1], knot_time, time[-1:]]), np.concatenate([ends[:1], knot_flux, ends[1:]])


def _polynomial(time: Floats, flux: Floats, at: Floats, degree: int) -> tuple[Floats, Floats]:
    """Values of the line or parabola that fits best, and their variances in units of the variance of one cadence.

    In polynomials that are orthogonal over the cadences, each coefficient is a ratio of two sums (Forsythe 1957).
    """
    x, z, level = time - time.mean(), at - time.mean(), flux.mean()
    basis = [(x, z)]
    if degree == 2:
        square, skew = np.mean(x**2), np.sum(x**3) / np.sum(x**2)
        basis.append((x**2 - skew * x - square, z**2 - skew * z - square))
    values, variances = np.full(z.shape, level), np.full(z.shape, 1 / x.size)
    for p, q in basis:
        values += q * (np.sum(p * (flux - level)) / np.sum(p**2))
        variances += q**2 / np.sum(p**2)
    return values, variances


def _best_order(stretches: list[_Stretch], window: float, settings: LightCurveSettings) -> int:
    """Order of the Savitzky-Golay filter that best predicts what is hidden from it.

    Every fifth block of usable cadences is hidden in turn, as long as a typical event mask, and bridged like an event.
    The error is the mean absolute one, so that flares do not decide.
    """
    errors = np.zeros(_MAX_ORDER + 1)
    for stretch in stretches:
        if _method(stretch, window, "savgol") != "savgol":
            continue
        fold = ((stretch.time - stretch.time[0]) * (_BLOCKS_PER_WINDOW / window)).astype(np.int64) % _FOLDS
        for k in range(_FOLDS):
            hidden = stretch.usable & (fold == k)
            rest = replace(stretch, usable=stretch.usable & ~hidden)
            for order in range(_MAX_ORDER + 1):
                trend = _clipped_trend(rest, _savgol(window, order), window, settings.detrend_sigma)
                errors[order] += np.abs(stretch.flux - trend)[hidden].sum()
    return int(np.argmin(errors))
