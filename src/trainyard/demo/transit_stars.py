"""The stars of the transit demo and the signals planted on them.

Star `index` is drawn from a generator of its own, and its role repeats every twelve stars, so a demo of more stars
holds the same stars as a smaller one and some new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trainyard.yard.identity import generator

FIRST_TIC = 900_005_401
"""Star 0; chosen so that all splits and shards of the default configuration get some of the 24 default stars."""
CADENCE_DAYS = 2 / 1440
FIRST_START = 1325.3
"""First cadence of sector 1, BTJD days."""
SECTOR_PITCH = 27.4
"""Days from the start of a sector to that of the next."""
BASELINE_DAYS = 10.0
"""Length of data that strengths and uncertainties of the planted TCEs are worked out for."""
EXPOSURE_S = 96.0
BACKGROUND = 120.0
"""Sky in a pixel, e-/s."""
READ_NOISE = 0.8
"""Scatter that reading a pixel adds to a cadence, e-/s."""
APERTURE_PIXELS = 9

_ZERO_POINT = 20.44
"""TESS magnitude of a star that gives 1 e-/s (TESS Instrument Handbook)."""


@dataclass(frozen=True)
class Signal:
    """One row of the star's list of signals: a planted dip, or (depth 0) an ephemeris without one.

    Times are days, `epoch` is BTJD. `depth` and `secondary_depth` are parts of the flux in the light curve; `ingress`
    and egress each take that part of the duration (first to last contact). `secondary_offset` is the time from
    primary to secondary; `secondary_mes` is what the search says of it, for noise too. The light goes missing `east`
    and `north` of the target (arcseconds), where `loss` e-/s are lost in mid-eclipse. A signal `found_twice` is in
    the table for the first sector and for all of them. `ephemeris_known` is False where the table has no ephemeris.
    """

    number: int
    disposition: str
    period: float
    epoch: float
    duration: float
    depth: float = 0.0
    ingress: float = 0.15
    secondary_depth: float = 0.0
    secondary_offset: float = 0.0
    secondary_mes: float = 0.0
    east: float = 0.0
    north: float = 0.0
    loss: float = 0.0
    found_twice: bool = False
    ephemeris_known: bool = True


@dataclass(frozen=True)
class Rotation:
    """Slow variation of a star: half-amplitude (part of the flux), period (d) and one time of minimum (BTJD)."""

    amplitude: float
    period: float
    minimum: float


@dataclass(frozen=True)
class Neighbour:
    """Another star in the pixels: place relative to the target (arcseconds) and flux (e-/s)."""

    east: float
    north: float
    flux: float


@dataclass(frozen=True)
class Star:
    """One simulated star: place (degrees), brightness, parameters (K, log10 cm/s2, solar radii), and what it shows.

    A star that is not `observed` is in the table but has no files.
    """

    index: int
    tic: int
    ra: float
    dec: float
    tmag: float
    teff: float
    logg: float
    radius: float
    ruwe: float
    camera: int
    ccd: int
    rotation: Rotation
    signals: tuple[Signal, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    observed: bool = True

    @property
    def flux(self) -> float:
        """Light that reaches the camera, e-/s."""
        return float(10 ** (0.4 * (_ZERO_POINT - self.tmag)))

    @property
    def noise(self) -> float:
        """Scatter of a 2-minute cadence of the light curve, as a part of the flux: photons, sky, reading, and a bit."""
        variance = (self.flux + APERTURE_PIXELS * BACKGROUND) / EXPOSURE_S + APERTURE_PIXELS * READ_NOISE**2
        return float(1.1 * np.sqrt(variance) / self.flux)


def sector_start(sector: int) -> float:
    """First cadence of a sector, BTJD days."""
    return FIRST_START + SECTOR_PITCH * (sector - 1)


def make_star(seed: int, index: int) -> Star:
    """Star number `index` (from 0) of the demo with this seed."""
    return _ROLES[index % len(_ROLES)](seed, index)


def _bare(seed: int, index: int) -> Star:
    """A star without signals: where it is, how bright, how it rotates."""
    rng = generator("demo-star", seed, index)
    tmag = rng.uniform(8.6, 10.6)
    radius = rng.uniform(0.7, 1.3)
    period = rng.uniform(5.0, 12.0)
    return Star(
        index=index,
        tic=FIRST_TIC + index,
        # On a grid, so that only the planted pairs are closer than the blend radius.
        ra=round(60.0 + 0.5 * (index % 60) + rng.uniform(-0.15, 0.15), 7),
        dec=round(-66.0 + 0.5 * (index // 60 % 60) + rng.uniform(-0.15, 0.15), 7),
        tmag=round(tmag, 4),
        teff=round(5778 * radius**0.8, 1),
        logg=round(4.44 - float(np.log10(radius)), 3),
        radius=round(radius, 3),
        ruwe=round(rng.uniform(0.9, 1.2), 3),
        camera=1 + index % 4,
        ccd=1 + index // 4 % 4,
        rotation=Rotation(rng.uniform(2e-4, 1.2e-3), period, FIRST_START + rng.uniform(0, period)),
    )


def _epoch(rng: np.random.Generator, period: float) -> float:
    return FIRST_START + rng.uniform(0.1, 1.0) * period


def _duration(rng: np.random.Generator, period: float) -> float:
    """Length of a central transit of a sun-like star, days: 2.7 h at 3 d, growing as the cube root of the period."""
    return 2.7 / 24 * float(np.cbrt(period / 3)) * rng.uniform(0.85, 1.15)


def _noise_secondary(rng: np.random.Generator, period: float) -> tuple[float, float]:
    """Strength (sigma) and offset (days) of the strongest "secondary" that a search finds in noise."""
    return rng.uniform(1.5, 3.5), rng.uniform(-0.45, 0.45) * period


def _planet(rng: np.random.Generator, star: Star, number: int, disposition: str, *, period: float) -> Signal:
    mes, offset = _noise_secondary(rng, period)
    depth = float(np.exp(rng.uniform(np.log(2.5e-3), np.log(1.5e-2))))
    return Signal(
        number=number,
        disposition=disposition,
        period=period,
        epoch=_epoch(rng, period),
        duration=_duration(rng, period),
        depth=depth,
        ingress=rng.uniform(0.08, 0.18),
        secondary_offset=offset,
        secondary_mes=mes,
        loss=depth * star.flux,
    )


def _binary(rng: np.random.Generator, star: Star, *, period: float, depth: float) -> Signal:
    """An eclipsing binary with a secondary eclipse that the search saw at 15 to 40 sigma."""
    duration = 1.25 * _duration(rng, period)
    mes = rng.uniform(15, 40)
    cadences = duration * 720 * max(BASELINE_DAYS / period, 1)
    phase = rng.uniform(0.43, 0.57)
    return Signal(
        number=1,
        disposition="EB",
        period=period,
        epoch=_epoch(rng, period),
        duration=duration,
        depth=depth,
        ingress=rng.uniform(0.15, 0.22),
        secondary_depth=mes * star.noise / float(np.sqrt(cadences)),
        secondary_offset=(phase - (phase > 0.5)) * period,
        secondary_mes=mes,
        loss=depth * star.flux,
    )


def _phantom(rng: np.random.Generator, number: int, disposition: str, *, period: float, epoch: float) -> Signal:
    """An ephemeris that no dip stands behind."""
    mes, offset = _noise_secondary(rng, period)
    return Signal(
        number=number,
        disposition=disposition,
        period=period,
        epoch=epoch,
        duration=rng.uniform(0.08, 0.12) * period,
        secondary_offset=offset,
        secondary_mes=mes,
    )


def _twice_found_planet(seed: int, index: int) -> Star:
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    planet = _planet(rng, star, 1, "KP", period=rng.uniform(2.2, 4.5))
    return replace(star, signals=(replace(planet, found_twice=True),))


def _eclipsing_binary(seed: int, index: int) -> Star:
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    return replace(star, signals=(_binary(rng, star, period=rng.uniform(2.5, 4.5), depth=rng.uniform(0.08, 0.3)),))


def _off_target(seed: int, index: int) -> Star:
    """An eclipse (NEB) or a transit-like dip (NPC, every other time) on a neighbour that no table lists."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    deep = index // len(_ROLES) % 2 == 0
    ratio, own_depth = (rng.uniform(0.1, 0.3), rng.uniform(0.2, 0.45)) if deep else (0.1, rng.uniform(0.06, 0.15))
    distance, angle = rng.uniform(30, 42), rng.uniform(0, 2 * np.pi)
    east, north = distance * np.cos(angle), distance * np.sin(angle)
    loss = own_depth * ratio * star.flux
    signal = replace(
        _planet(rng, star, 1, "NEB" if deep else "NPC", period=rng.uniform(2.0, 4.5)),
        # Half of the neighbour's light falls into the target's aperture.
        depth=0.5 * loss / star.flux,
        loss=loss,
        east=east,
        north=north,
    )
    return replace(star, signals=(signal,), neighbours=(Neighbour(east, north, ratio * star.flux),))


def _quiet(seed: int, index: int) -> Star:
    return _bare(seed, index)


def _planet_with_bad_rows(seed: int, index: int) -> Star:
    """A confirmed planet, a row without ephemeris, and every other time a dip that is a false positive."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    period = rng.uniform(2.5, 5.0)
    unfitted = Signal(2, "UNK", float("nan"), float("nan"), float("nan"), ephemeris_known=False)
    signals: tuple[Signal, ...] = (_planet(rng, star, 1, "CP", period=period), unfitted)
    if index // len(_ROLES) % 2 == 1:
        signals = (*signals, _planet(rng, star, 3, "FP", period=rng.uniform(1.35, 1.45) * period))
    return replace(star, signals=signals)


def _variable(seed: int, index: int) -> Star:
    """A fast rotator whose minima were taken for transits."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    period = rng.uniform(1.2, 2.6)
    rotation = Rotation(rng.uniform(3e-3, 1e-2), period, FIRST_START + rng.uniform(0.1, 1) * period)
    phantom = _phantom(rng, 1, "NTP", period=period, epoch=rotation.minimum)
    return replace(star, rotation=rotation, signals=(phantom,))


def _blend(seed: int, index: int) -> tuple[Star, Star]:
    """Two stars about 20 arcseconds apart: an eclipsing binary, and a fainter one that shows the same eclipse."""
    first, second = _bare(seed, index), _bare(seed, index + 1)
    rng = generator("demo-blend", seed, index)
    first = replace(first, tmag=round(rng.uniform(8.8, 9.6), 4))
    distance, angle = rng.uniform(18.5, 21.5), rng.uniform(0, 2 * np.pi)
    east, north = distance * np.cos(angle), distance * np.sin(angle)
    second = replace(
        second,
        tmag=round(first.tmag + rng.uniform(0.8, 1.4), 4),
        ra=round(float(first.ra + east / 3600 / np.cos(np.radians(first.dec))), 7),
        dec=round(float(first.dec + north / 3600), 7),
        camera=first.camera,
        ccd=first.ccd,
    )
    eclipse = _binary(rng, first, period=rng.uniform(2.0, 3.5), depth=rng.uniform(0.04, 0.08))
    leaked = 0.35 * first.flux / second.flux
    shared = replace(
        eclipse,
        disposition="NEB",
        depth=leaked * eclipse.depth,
        secondary_depth=leaked * eclipse.secondary_depth,
        secondary_mes=0.7 * eclipse.secondary_mes,
        east=-east,
        north=-north,
    )
    return (
        replace(first, signals=(eclipse,), neighbours=(Neighbour(east, north, second.flux),)),
        replace(second, signals=(shared,), neighbours=(Neighbour(-east, -north, first.flux),)),
    )


def _blend_source(seed: int, index: int) -> Star:
    return _blend(seed, index)[0]


def _blend_victim(seed: int, index: int) -> Star:
    return _blend(seed, index - 1)[1]


def _hot_planet(seed: int, index: int) -> Star:
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    return replace(star, signals=(_planet(rng, star, 1, "KP", period=rng.uniform(0.9, 1.6)),))


def _two_planets(seed: int, index: int) -> Star:
    """Two planets, and an ephemeris of noise that nobody has looked at."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    period = rng.uniform(2.2, 3.2)
    inner = replace(_planet(rng, star, 1, "KP", period=period), found_twice=True)
    outer = _planet(rng, star, 2, "CP", period=rng.uniform(1.6, 1.8) * period)
    noise_period = rng.uniform(4.0, 6.0)
    unknown = _phantom(rng, 3, "UNK", period=noise_period, epoch=_epoch(rng, noise_period))
    return replace(star, signals=(inner, outer, replace(unknown, duration=_duration(rng, noise_period))))


def _short_binary(seed: int, index: int) -> Star:
    """A short-period binary, also found at half its period by a run that nobody has looked at."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    binary = _binary(rng, star, period=rng.uniform(0.9, 1.4), depth=rng.uniform(0.05, 0.2))
    half = replace(
        binary, number=2, disposition="UNK", period=binary.period / 2, depth=0.0, secondary_depth=0.0, loss=0.0
    )
    half = replace(half, secondary_mes=2.0, secondary_offset=0.3 * half.period, duration=min(half.duration, 0.1))
    return replace(star, signals=(binary, half))


def _quiet_or_missing(seed: int, index: int) -> Star:
    """A quiet star; every other time a planet host whose files never arrived."""
    star, rng = _bare(seed, index), generator("demo-signals", seed, index)
    if index // len(_ROLES) % 2 == 0:
        return star
    return replace(star, signals=(_planet(rng, star, 1, "CP", period=rng.uniform(2.0, 4.0)),), observed=False)


_ROLES: tuple[Callable[[int, int], Star], ...] = (
    _twice_found_planet,
    _eclipsing_binary,
    _off_target,
    _quiet,
    _planet_with_bad_rows,
    _variable,
    _blend_source,
    _blend_victim,
    _hot_planet,
    _two_planets,
    _short_binary,
    _quiet_or_missing,
)
