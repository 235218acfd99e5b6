"""Light curves and pixels of the demo stars: transits, eclipses, rotation, noise, gaps and flags."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.demo.fits import Stamp
from trainyard.demo.transit_stars import (
    APERTURE_PIXELS,
    BACKGROUND,
    CADENCE_DAYS,
    EXPOSURE_S,
    READ_NOISE,
    SECTOR_PITCH,
    Signal,
    Star,
    sector_start,
)
from trainyard.transit.lightcurves import default_bitmask
from trainyard.yard.identity import generator

BAD_BITS = default_bitmask("TESS")
"""Quality flags that make a TESS cadence bad (the default mask)."""

_EARTH_POINT, _DESATURATION, _COSMIC_RAY, _IMPULSIVE, _SCATTERED = 8, 32, 64, 512, 4096
_FIRST_CADENCE = 70444
_PSF_SIGMA = 0.85
"""Width of the point spread function, pixels."""


@dataclass(frozen=True)
class Cadences:
    """The cadences of a star in a sector; all arrays have shape ``(n,)``.

    `time` is BTJD days and never NaN; `missing` marks the cadences whose time the files do not give.
    """

    time: NDArray[np.float64]
    correction: NDArray[np.float64]
    number: NDArray[np.int32]
    quality: NDArray[np.int32]
    missing: NDArray[np.bool_]

    @property
    def written_time(self) -> NDArray[np.float64]:
        """TIME as the files give it, NaN where missing."""
        return np.where(self.missing, np.nan, self.time)

    def columns(self) -> dict[str, NDArray[Any]]:
        """What light curve and pixel file have in common."""
        return {
            "TIME": self.written_time,
            "TIMECORR": self.correction,
            "CADENCENO": self.number,
            "QUALITY": self.quality,
        }


def cadences(star: Star, *, seed: int, sector: int, days: float) -> Cadences:
    """Times and flags: those of the spacecraft, equal for all stars, and some of the star's own."""
    n = round(days / CADENCE_DAYS)
    index = np.arange(n)
    clock = sector_start(sector) + index * CADENCE_DAYS
    correction = 0.0045 * np.cos(2 * np.pi * (clock / 365.25 - star.ra / 360))
    quality, missing = _spacecraft(n, seed=seed, sector=sector)
    rng = generator("demo-cadences", seed, star.index, sector)
    quality[rng.random(n) < 0.002] |= _COSMIC_RAY
    quality[rng.random(n) < 0.001] |= _IMPULSIVE
    missing[1:-1] |= rng.random(n - 2) < 0.0005
    number = _FIRST_CADENCE + round(SECTOR_PITCH / CADENCE_DAYS) * (sector - 1) + index
    return Cadences(clock + correction, correction, number.astype(np.int32), quality, missing)


def _spacecraft(n: int, *, seed: int, sector: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Flags and missing times that all stars share: downlink gap in the middle, momentum dumps, stray light."""
    rng = generator("demo-sector", seed, sector)
    quality, missing = np.zeros(n, np.int32), np.zeros(n, np.bool_)
    middle, half_gap = n // 2 + int(rng.integers(-n // 40, n // 40 + 1)), min(n // 25, 360)
    missing[middle - half_gap : middle + half_gap] = True
    quality[middle - half_gap : middle + half_gap] |= _EARTH_POINT
    for dump in range(int(rng.integers(600, 1800)), n, 1800):
        quality[dump : dump + 4] |= _DESATURATION
    quality[-n // 20 :] |= _SCATTERED
    return quality, missing


def profile(
    time: NDArray[np.float64], *, period: float, epoch: float, duration: float, ingress: float
) -> NDArray[np.float64]:
    """Trapezoids of height 1: 0 outside the events, 1 at their flat bottom.

    Args:
        time: Shape ``(n,)``, days.
        period: Days.
        epoch: Time of one mid-event, days.
        duration: First to last contact, days.
        ingress: Part of the duration that the ingress takes; the egress takes as much.
    """
    distance = np.abs((time - epoch + period / 2) % period - period / 2)
    return np.clip((duration / 2 - distance) / (ingress * duration), 0, 1)


def fading(time: NDArray[np.float64], signal: Signal) -> NDArray[np.float64]:
    """Missing light over time in units of the primary's depth, primaries and secondaries together, shape ``(n,)``."""
    shape = {"period": signal.period, "duration": signal.duration, "ingress": signal.ingress}
    dips = profile(time, epoch=signal.epoch, **shape)
    if signal.secondary_depth > 0:
        secondary = profile(time, epoch=signal.epoch + signal.secondary_offset, **shape)
        dips = dips + signal.secondary_depth / signal.depth * secondary
    return dips


def rotation(time: NDArray[np.float64], star: Star) -> NDArray[np.float64]:
    """Relative brightness of the spotted star, shape ``(n,)``, around 1."""
    spots = star.rotation
    phase = 2 * np.pi * (time - spots.minimum) / spots.period
    return 1 - spots.amplitude * (0.8 * np.cos(phase) + 0.2 * np.cos(2 * phase))


def light_curve_columns(star: Star, when: Cadences, *, seed: int, sector: int) -> dict[str, NDArray[Any]]:
    """Columns of the light-curve file, fluxes in e-/s, each of shape ``(n,)``."""
    rng = generator("demo-light-curve", seed, star.index, sector)
    n = len(when.time)
    model = rotation(when.time, star)
    for signal in star.signals:
        if signal.depth > 0:
            model = model * (1 - signal.depth * fading(when.time, signal))
    flux = star.flux * (model + star.noise * rng.standard_normal(n))
    error = np.full(n, star.flux * star.noise)
    lost = when.missing | (when.quality & BAD_BITS > 0) | (rng.random(n) < 0.002)
    flux[lost], error[lost] = np.nan, np.nan
    drift = 1 + 0.004 * (when.time - when.time[0]) / (when.time[-1] - when.time[0])
    position = 0.002 * np.sin(2 * np.pi * (when.time - when.time[0]) / 13.7)
    return {
        **when.columns(),
        "SAP_FLUX": 0.96 * drift * flux,
        "SAP_FLUX_ERR": 0.96 * error,
        "SAP_BKG": np.where(when.missing, np.nan, APERTURE_PIXELS * BACKGROUND),
        "SAP_BKG_ERR": np.where(when.missing, np.nan, np.sqrt(APERTURE_PIXELS * BACKGROUND / EXPOSURE_S)),
        "PDCSAP_FLUX": flux,
        "PDCSAP_FLUX_ERR": error,
        "POS_CORR1": position,
        "POS_CORR2": -position,
    }


def good_cadences(columns: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Cadences with a time, a flux and no bad flag, shape ``(n,)``."""
    usable: NDArray[np.bool_] = (
        np.isfinite(columns["TIME"]) & np.isfinite(columns["PDCSAP_FLUX"]) & (columns["QUALITY"] & BAD_BITS == 0)
    )
    return usable


def make_stamp(star: Star, *, seed: int, sector: int, size: int) -> Stamp:
    """The pixels around a star in one sector: it lies off the middle by less than a pixel, at any roll angle."""
    rng = generator("demo-stamp", seed, star.index, sector)
    column, row = size // 2 + rng.uniform(-0.4, 0.4, 2)
    image = point_source(column, row, size)
    aperture = np.ones((size, size), np.int32)
    aperture[image > 0.025] |= 2
    corner = (int(rng.integers(45, 2000)), int(rng.integers(1, 2000)))
    return Stamp(aperture, round(float(column), 6), round(float(row), 6), round(rng.uniform(0, 2 * np.pi), 6), corner)


def point_source(column: float, row: float, size: int) -> NDArray[np.float64]:
    """Part of a star's light in each pixel, shape ``(size, size)`` as ``[row, column]``; positions are 0-based."""

    def parts(centre: float) -> NDArray[np.float64]:
        edges = [erf((edge - 0.5 - centre) / (_PSF_SIGMA * 2**0.5)) / 2 for edge in range(size + 1)]
        return np.diff(edges)

    return np.outer(parts(row), parts(column))


def pixel_columns(star: Star, when: Cadences, stamp: Stamp, *, seed: int, sector: int) -> dict[str, NDArray[Any]]:
    """Columns of the target pixel file; FLUX and FLUX_ERR are float32 ``(n, ny, nx)``, e-/s."""
    rng = generator("demo-pixels", seed, star.index, sector)
    size = len(stamp.aperture)
    target = star.flux * point_source(stamp.column, stamp.row, size)
    scene = target + sum(
        (near.flux * point_source(*stamp.pixel_of(near.east, near.north), size) for near in star.neighbours),
        np.zeros_like(target),
    )
    error = (np.sqrt((scene + BACKGROUND) / EXPOSURE_S + READ_NOISE**2)).astype(np.float32)
    flux = rng.standard_normal((len(when.time), size, size), dtype=np.float32)
    flux *= error
    flux += scene.astype(np.float32)
    changes = [(target, rotation(when.time, star) - 1)]
    for signal in star.signals:
        if signal.depth > 0:
            source = point_source(*stamp.pixel_of(signal.east, signal.north), size)
            changes.append((-signal.loss * source, fading(when.time, signal)))
    for image, course in changes:
        flux += course.astype(np.float32)[:, None, None] * image.astype(np.float32)
    flux[when.missing] = np.nan
    return {**when.columns(), "FLUX": flux, "FLUX_ERR": np.broadcast_to(error, flux.shape)}
