"""Target pixel files: read once per (target, sector), averaged for any number of windows.

A window needs the mean images of some hundred cadences. The pixels of a sector, 20 MB for an 11 x 11 stamp, stay in
memory while its windows are cut, and the two means of a 3 h event take 90 microseconds. (Running sums over the sector
would make that 30, but cost 36 ms and 50 MB to set up: 600 windows would have to earn it back.)
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning, NoConvergence, WcsError
from numpy.typing import NDArray

from trainyard.transit.headers import FileInfo, read_info
from trainyard.yard.errors import InputError

_COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "TIME": (np.float64, 1),
    "QUALITY": (np.int32, 1),
    "FLUX": (np.float32, 3),
    "FLUX_ERR": (np.float32, 3),
}
_BLOCK_ROWS = 256

# Everything that astropy, numpy and zlib raise on files that are cut, empty, overwritten, or of another kind.
_UNREADABLE = (
    *(OSError, EOFError, AttributeError, KeyError, IndexError, TypeError, ValueError),
    *(zlib.error, fits.VerifyError),
)

# TESS drops the highest and the lowest of every ten exposures against cosmic rays, on board and for cadences longer
# than 20 s; files say so in CRMITEN and CRBLKSZ.
_TESS_BLOCK = 10
_LONGEST_UNMITIGATED_SECONDS = 60.0


@dataclass(frozen=True)
class GoodCadences:
    """Cadences of a pixel file that have a time and pass a quality mask, in order of time.

    `rows` are their row numbers in the file, shape ``(n,)``; `time` their mid-times, shape ``(n,)``, float64, days.
    """

    rows: NDArray[np.intp]
    time: NDArray[np.float64]


class PixelFile:
    """The contents of one target pixel file; a context manager that lets go of the memory at its end.

    Attributes:
        info: What the headers say of target, sector and mission.
        time: Shape ``(n,)``, float64, days (BTJD or BKJD), mid-cadence; NaN where no cadence was collected.
        quality: Shape ``(n,)``, int32: quality flags.
        flux: Shape ``(n, ny, nx)``, float32, e-/s, background subtracted; NaN where not collected.
        flux_err: The same for its 1-sigma uncertainty.
        exposure_seconds: Turns e-/s into electrons per cadence.
        wcs: Celestial coordinates of the stamp; None where the file has none, and the target is then assumed to stand
            in the middle of its stamp.
    """

    def __init__(
        self,
        info: FileInfo,
        *,
        time: NDArray[np.float64],
        quality: NDArray[np.int32],
        flux: NDArray[np.float32],
        flux_err: NDArray[np.float32],
        exposure_seconds: float,
        wcs: WCS | None = None,
    ) -> None:
        self.info = info
        self.time = time
        self.quality = quality
        self.flux = flux
        self.flux_err = flux_err
        self.exposure_seconds = exposure_seconds
        self.wcs = wcs
        self._good: dict[int, GoodCadences] = {}
        self._positions: dict[tuple[float, float], tuple[float, float]] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what images need of a target pixel file (TESS `_tp.fits`, Kepler `_targ.fits`, also gzipped).

        Only TIME, QUALITY, FLUX and FLUX_ERR are kept; the file is closed on return.

        Raises:
            InputError: The file is missing, empty, cut, not FITS, or has no pixel table.
        """
        info = read_info(path)
        if info.kind != "tp":
            raise InputError(f"{path}: is a light curve, expected a target pixel file")
        try:
            with warnings.catch_warnings(), fits.open(path, memmap=False) as hdus:
                warnings.simplefilter("ignore", FITSFixedWarning)
                table = hdus[1]
                columns = _read_columns(table, _COLUMNS)
                return cls(
                    info,
                    time=columns["TIME"],
                    quality=columns["QUALITY"],
                    flux=columns["FLUX"],
                    flux_err=columns["FLUX_ERR"],
                    exposure_seconds=_exposure_seconds(hdus[0].header, table.header, info),
                    wcs=_celestial_wcs(hdus),
                )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except _UNREADABLE as error:
            raise InputError(
                f"{path}: its pixels cannot be read: {error}; download it again or list it in quarantine"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the pixels; the file itself was closed by `open`."""
        self.flux = self.flux_err = np.empty((0, *self.shape), np.float32)
        self.time, self.quality = np.empty(0), np.empty(0, np.int32)
        self._good.clear()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the stamp."""
        return self.flux.shape[1], self.flux.shape[2]

    def good_cadences(self, bitmask: int) -> GoodCadences:
        """The cadences with a finite time and none of the quality bits; found once per bitmask."""
        if bitmask not in self._good:
            rows = np.flatnonzero(np.isfinite(self.time) & (self.quality & bitmask == 0))
            rows = rows[np.argsort(self.time[rows], kind="stable")]
            self._good[bitmask] = GoodCadences(rows, self.time[rows])
        return self._good[bitmask]

    def mean(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean image over some cadences, and its variance (sum of squared uncertainties over n squared).

        Args:
            rows: Row numbers of the cadences, shape ``(n,)``.

        Returns:
            Both of shape ``(ny, nx)``, in electrons per cadence and its square. A cadence counts for a pixel if its
            flux and uncertainty are finite there; NaN: no cadence does.
        """
        flux, flux_err = self.flux[rows], self.flux_err[rows]
        missing = ~(np.isfinite(flux) & np.isfinite(flux_err))
        flux[missing] = flux_err[missing] = 0.0
        count = len(rows) - missing.sum(axis=0)
        per_cadence = self.exposure_seconds / np.where(count > 0, count, np.nan)
        squares = np.square(flux_err, dtype=np.float64)
        return flux.sum(axis=0, dtype=np.float64) * per_cadence, squares.sum(axis=0) * per_cadence**2

    def target_position(self, ra: float, dec: float) -> tuple[float, float]:
        """Column and row (0-based, pixel centres at whole numbers) of a sky position (deg) in the stamp.

        Coordinates that are not finite give way to those of the header; without any, or without WCS, the answer is
        the middle of the stamp. Proper motion is not applied.
        """
        if not (np.isfinite(ra) and np.isfinite(dec)):
            ra, dec = self.info.ra, self.info.dec
        if (ra, dec) not in self._positions:
            self._positions[ra, dec] = self._locate(ra, dec)
        return self._positions[ra, dec]

    def _locate(self, ra: float, dec: float) -> tuple[float, float]:
        ny, nx = self.shape
        centre = (nx - 1) / 2, (ny - 1) / 2
        if self.wcs is None:
            return centre
        try:
            column, row = self.wcs.all_world2pix(ra, dec, 0)
        except (WcsError, NoConvergence):
            return centre
        return (float(column), float(row)) if np.isfinite(column) and np.isfinite(row) else centre


def _read_columns(table: Any, wanted: dict[str, tuple[type[np.generic], int]]) -> dict[str, NDArray[Any]]:
    """Some columns of a table in native byte order, read a block of rows at a time.

    The table's own `data` would do, but astropy copies all columns of a mapped table when it closes the file: several
    times the memory and the time.

    Args:
        table: Table HDU of an open file.
        wanted: Type, and number of dimensions with that of the rows, by column name.
    """
    missing = [name for name in wanted if name not in table.columns.names]
    if missing:
        raise InputError(f"has no column {' and no column '.join(missing)}")
    layout = table.columns.dtype.newbyteorder(">")
    rows, place = table.header["NAXIS2"], table.fileinfo()
    if rows == 0:
        raise InputError("has no cadence")
    for name, (_, dimensions) in wanted.items():
        if len(layout[name].shape) != dimensions - 1 or table.columns[name].bscale or table.columns[name].bzero:
            raise InputError(f"its column {name} is scaled or has not {dimensions} dimensions")
    read = {name: np.empty((rows, *layout[name].shape), dtype) for name, (dtype, _) in wanted.items()}
    place["file"].seek(place["datLoc"])
    for first in range(0, rows, _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, rows)
        block = np.frombuffer(place["file"].read((last - first) * layout.itemsize), layout, count=last - first)
        for name, column in read.items():
            column[first:last] = block[name]
    return read


def _exposure_seconds(primary: fits.Header, table: fits.Header, info: FileInfo) -> float:
    """Seconds of exposure that a cadence's electrons stand for: 96 for 2-minute TESS data.

    Frames times time per frame (FRAMETIM, else INT_TIME) times the share that on-board cosmic-ray rejection keeps,
    8 of 10 exposures: 60 x 2.0 s x 0.8 = 96 s, the factor of the published set. The read-out time of 0.02 s per frame
    is part of it; INT_TIME alone gives 95.04 s. Files without these keywords are taken at their cadence.
    """
    cadence = info.cadence_days * 86400.0
    frames, per_frame = table.get("NUM_FRM"), table.get("FRAMETIM") or table.get("INT_TIME")
    seconds = float(frames) * float(per_frame) if frames and per_frame else cadence
    rejected = primary.get("CRMITEN")
    if rejected is None:
        rejected = info.mission == "TESS" and cadence > _LONGEST_UNMITIGATED_SECONDS
    block = primary.get("CRBLKSZ") or _TESS_BLOCK
    return seconds * (block - 2) / block if rejected else seconds


def _celestial_wcs(hdus: fits.HDUList) -> WCS | None:
    """World coordinates of the stamp: the aperture image's, else those of the FLUX column of the pixel table."""
    wcs = _wcs(hdus["APERTURE"].header) if "APERTURE" in hdus else None
    return _wcs(_column_wcs_header(hdus[1])) if wcs is None else wcs


def _wcs(header: fits.Header) -> WCS | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header, naxis=2)
        except (WcsError, ValueError, TypeError):
            return None
    return wcs if wcs.has_celestial else None


def _column_wcs_header(table: Any) -> fits.Header:
    """The WCS keywords of the table column FLUX under the names that an image header would have.

    See FITS standard 4.0, table 22: axis ``i`` of the images in column ``n`` has iCTYPn, iCRPXn, iCRVLn, iCUNIn,
    iCDLTn and ijPCn.
    """
    column = table.columns.names.index("FLUX") + 1
    names = {"CTYPE": "CTYP", "CRPIX": "CRPX", "CRVAL": "CRVL", "CUNIT": "CUNI", "CDELT": "CDLT"}
    keys = {f"{image}{axis}": f"{axis}{short}{column}" for image, short in names.items() for axis in (1, 2)}
    keys |= {f"PC{i}_{j}": f"{i}{j}PC{column}" for i in (1, 2) for j in (1, 2)}
    return fits.Header({image: table.header[key] for image, key in keys.items() if key in table.header})
