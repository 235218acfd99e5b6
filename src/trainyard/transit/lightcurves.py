"""Light curves: read from FITS, put on a complete time axis, and scored cadence by cadence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from trainyard.transit.headers import FileInfo, Mission, read_info
from trainyard.yard.errors import InputError

if TYPE_CHECKING:
    from astropy.io.fits import FITS_rec

__all__ = [
    "FileInfo",
    "LightCurve",
    "NoFiniteFluxError",
    "PreparedCurve",
    "chosen_bitmask",
    "default_bitmask",
    "prepare",
    "read_light_curve",
]

# The "default" masks of lightkurve 2.6 (TessQualityFlags, KeplerQualityFlags). Written as numbers because which bits
# belong to them has changed between releases of that library, and a set must not change with it.
_DEFAULT_BITMASK: dict[Mission, int] = {"TESS": 17087, "Kepler": 1130799, "K2": 1130799}
_MAX_SPAN_DAYS = 200.0
"""Of a light curve, by its cadence numbers: twice the longest sector, quarter or campaign."""


class NoFiniteFluxError(InputError):
    """No cadence of a light curve is good."""


@dataclass(frozen=True)
class LightCurve:
    """A light curve as published, row for row.

    Attributes:
        time: Mid-cadence times, shape ``(n,)``, float64, days (`info.time_reference`); NaN where no cadence was taken.
        flux: Flux, shape ``(n,)``, float64, e-/s; NaN where missing.
        quality: Quality bits, shape ``(n,)``, int32.
        cadence_no: Cadence numbers, shape ``(n,)``, int32; counted by the times where the file has none.
        info: What the file is.
    """

    time: NDArray[np.float64]
    flux: NDArray[np.float64]
    quality: NDArray[np.int32]
    cadence_no: NDArray[np.int32]
    info: FileInfo


@dataclass(frozen=True)
class PreparedCurve:
    """A light curve without holes: one entry for every cadence from the first to the last, in the file or not.

    Attributes:
        time: Shape ``(n,)``, float64, days, strictly increasing. Measured times are untouched.
        flux: Shape ``(n,)``, float64, e-/s, finite. Cadences that are not good lie on a straight line in time between
            their good neighbours, before the first and after the last good cadence on that cadence's value.
        good: Shape ``(n,)``, bool: the cadence was measured, unflagged and finite.
        flux_quality: Shape ``(n,)``, float32 in ``[0, 1]``: 1 at good cadences; elsewhere the less, the farther away
            the good cadences are.
    """

    time: NDArray[np.float64]
    flux: NDArray[np.float64]
    good: NDArray[np.bool_]
    flux_quality: NDArray[np.float32]


def default_bitmask(mission: Mission) -> int:
    """Quality bits that make a cadence bad unless the configuration says otherwise."""
    return _DEFAULT_BITMASK[mission]


def chosen_bitmask(setting: int | Literal["default"], mission: Mission) -> int:
    """Quality bits that make a cadence bad, as configured."""
    return default_bitmask(mission) if setting == "default" else setting


def read_light_curve(path: Path, *, flux_column: str = "PDCSAP_FLUX") -> LightCurve:
    """Read the columns that the build needs from a TESS, Kepler or K2 light curve.

    Args:
        path: FITS file, gzipped or not.
        flux_column: Column of the flux.

    Raises:
        InputError: Not such a file, cut short, without rows, or without one of the columns.
    """
    from astropy.io import fits

    info = read_info(path)
    if info.kind != "lc":
        raise InputError(f"{path}: is a target pixel file, expected a light curve")
    try:
        # astropy complains of the unit of TIME, "BJD - 2457000, days"; nothing here needs its units.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=True) as hdus:
                if not isinstance(hdus[1], fits.BinTableHDU):
                    raise InputError("its first extension is not a binary table")
                return _from_table(hdus[1].data, info, flux_column)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, EOFError, TypeError, ValueError, KeyError, IndexError, fits.VerifyError) as error:
        raise InputError(f"{path}: its table cannot be read: {error}") from error


def _from_table(table: FITS_rec, info: FileInfo, flux_column: str) -> LightCurve:
    names = {name.upper() for name in table.columns.names}
    quality = "SAP_QUALITY" if "SAP_QUALITY" in names else "QUALITY"
    missing = [name for name in ("TIME", flux_column, quality) if name not in names]
    if missing:
        raise InputError(f"has no column {' and no column '.join(missing)}")
    if len(table) == 0:
        raise InputError("has no cadence")
    time = _column(table, "TIME", np.float64)
    counted = "CADENCENO" in names
    return LightCurve(
        time=time,
        flux=_column(table, flux_column, np.float64),
        quality=_column(table, quality, np.int32),
        cadence_no=_column(table, "CADENCENO", np.int32) if counted else _counted(time, info.cadence_days),
        info=info,
    )


def _counted(time: NDArray[np.float64], cadence_days: float) -> NDArray[np.int32]:
    """Cadence numbers from 0: rows in a row, with a jump where the times jump."""
    measured = np.flatnonzero(np.isfinite(time))
    skipped = np.zeros(len(time))
    skipped[measured[1:]] = (np.rint(np.diff(time[measured]) / cadence_days) - np.diff(measured)).clip(0)
    return (np.arange(len(time)) + np.cumsum(skipped)).clip(0, np.iinfo(np.int32).max).astype(np.int32)


def _column(table: FITS_rec, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """A copy in native byte order, independent of the memory-mapped file."""
    column = np.array(table[name], dtype=dtype)
    if column.ndim != 1:
        raise InputError(f"column {name} holds more than one value per cadence")
    return column


def prepare(curve: LightCurve, *, bitmask: int, kernel_sigma: float) -> PreparedCurve:
    """Complete the cadences and their times, fill the bad ones and score all.

    A cadence is good if its time is measured, none of the bits is set and its flux is finite. One that the file leaves
    out is bad, as it would be with its row. The score of bad ones is a Gaussian filter over the good cadences (0 or 1
    each; reflecting ends, cut at 4 sigma).

    Args:
        curve: A light curve as read.
        bitmask: Quality bits that make a cadence bad.
        kernel_sigma: Sigma of the Gaussian, cadences.

    Raises:
        NoFiniteFluxError: No cadence is good.
        InputError: Times or cadence numbers do not increase, or the numbers span more than any light curve does.
    """
    usable = np.isfinite(curve.time) & ((curve.quality & bitmask) == 0) & np.isfinite(curve.flux)
    if not usable.any():
        raise NoFiniteFluxError(f"{curve.info.path}: no cadence with finite flux passes the quality mask {bitmask}")
    cadence_days = curve.info.cadence_days
    try:
        place, n = _places(curve.cadence_no, cadence_days=cadence_days)
        time = _complete_times(_spread(curve.time, place, n, np.nan), cadence_days=cadence_days)
    except InputError as error:
        raise InputError(f"{curve.info.path}: {error}") from None
    good, flux = _spread(usable, place, n, False), _spread(curve.flux, place, n, np.nan)
    flux[~good] = np.interp(time[~good], time[good], flux[good])
    smoothed = gaussian_filter1d(good.astype(np.float64), kernel_sigma, mode="reflect", truncate=4.0)
    return PreparedCurve(
        time=time,
        flux=flux,
        good=good,
        flux_quality=np.where(good, 1.0, np.clip(smoothed, 0.0, 1.0)).astype(np.float32),
    )


def _places(cadence_no: NDArray[np.int32], *, cadence_days: float) -> tuple[NDArray[np.int64], int]:
    """Where the rows stand among all cadences from the first to the last, and how many cadences these are."""
    place = cadence_no.astype(np.int64) - int(cadence_no[0])
    if np.any(np.diff(place) <= 0):
        raise InputError("its cadence numbers do not increase")
    n = int(place[-1]) + 1
    if n * cadence_days > _MAX_SPAN_DAYS:
        raise InputError(
            f"its cadence numbers span {n * cadence_days:.0f} d, more than any light curve; download it again"
        )
    return place, n


def _spread(values: NDArray[Any], place: NDArray[np.int64], n: int, missing: object) -> NDArray[Any]:
    """Values of the rows at their places among `n` cadences."""
    spread = np.full(n, missing, dtype=values.dtype)
    spread[place] = values
    return spread


def _complete_times(time: NDArray[np.float64], *, cadence_days: float) -> NDArray[np.float64]:
    """Missing times, interpolated against the cadence number; beyond the measured ones by the median cadence.

    The cadence number is the only regular grid: the interval between barycentric times changes along a sector, so that
    a straight line through the whole sector would be up to 13 s wrong.
    """
    measured = np.isfinite(time)
    number, known = np.flatnonzero(measured).astype(np.float64), time[measured]
    if np.any(np.diff(known) <= 0):
        raise InputError("its times do not increase")
    step = float(np.median(np.diff(known) / np.diff(number))) if known.size > 1 else cadence_days
    missing = np.flatnonzero(~measured).astype(np.float64)
    filled = np.interp(missing, number, known)
    filled += step * np.minimum(missing - number[0], 0.0) + step * np.maximum(missing - number[-1], 0.0)
    complete = time.copy()
    complete[~measured] = filled
    if np.any(np.diff(complete) <= 0):
        raise InputError("its times do not increase with the cadence number")
    return complete
