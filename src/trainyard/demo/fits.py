"""Light-curve and target pixel files in the schema of the TESS pipeline (SPOC), as bytes.

Equal input gives equal bytes: the headers carry no dates of creation and no versions. All files say `SIMDATA = T`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from trainyard.demo.transit_stars import CADENCE_DAYS

PIXEL_DEG = 21 / 3600
"""Side of a TESS pixel on the sky, degrees."""
ORIGIN = "Trainyard demo"
DEAD_TIME = 0.792
"""Part of a cadence that counts as exposure: 1.98 of 2 s per frame, and 0.8 left by the cosmic-ray mitigation."""


class _Column(NamedTuple):
    name: str
    format: str
    unit: str | None
    display: str


_TIME = (
    _Column("TIME", "D", "BJD - 2457000, days", "D14.7"),
    _Column("TIMECORR", "E", "d", "E14.7"),
    _Column("CADENCENO", "J", None, "I10"),
)
_POSITION = (_Column("POS_CORR1", "E", "pixels", "E14.7"), _Column("POS_CORR2", "E", "pixels", "E14.7"))
_QUALITY = _Column("QUALITY", "J", None, "B16.16")
_LIGHT_CURVE = (
    *_TIME,
    _Column("SAP_FLUX", "E", "e-/s", "E14.7"),
    _Column("SAP_FLUX_ERR", "E", "e-/s", "E14.7"),
    _Column("SAP_BKG", "E", "e-/s", "E14.7"),
    _Column("SAP_BKG_ERR", "E", "e-/s", "E14.7"),
    _Column("PDCSAP_FLUX", "E", "e-/s", "E14.7"),
    _Column("PDCSAP_FLUX_ERR", "E", "e-/s", "E14.7"),
    _QUALITY,
    _Column("PSF_CENTR1", "D", "pixel", "F10.5"),
    _Column("PSF_CENTR1_ERR", "E", "pixel", "E14.7"),
    _Column("PSF_CENTR2", "D", "pixel", "F10.5"),
    _Column("PSF_CENTR2_ERR", "E", "pixel", "E14.7"),
    _Column("MOM_CENTR1", "D", "pixel", "F10.5"),
    _Column("MOM_CENTR1_ERR", "E", "pixel", "E14.7"),
    _Column("MOM_CENTR2", "D", "pixel", "F10.5"),
    _Column("MOM_CENTR2_ERR", "E", "pixel", "E14.7"),
    *_POSITION,
)
_PIXELS = (
    *_TIME,
    _Column("FLUX", "E", "e-/s", "E14.7"),
    _Column("FLUX_ERR", "E", "e-/s", "E14.7"),
    _QUALITY,
    *_POSITION,
)


@dataclass(frozen=True)
class Identity:
    """Who a file is about.

    `ra` and `dec` are degrees (ICRS); `fingerprint` identifies the simulation that the file comes from.
    """

    tic: int
    sector: int
    camera: int
    ccd: int
    ra: float
    dec: float
    tmag: float
    teff: float
    logg: float
    radius: float
    fingerprint: str


@dataclass(frozen=True)
class Stamp:
    """The pixels around a target: their place on the sky and their use.

    `aperture` is int32 ``(ny, nx)``, bit 1 = collected, bit 2 = in the optimal aperture. `column` and `row` are the
    0-based pixel coordinates of the target; `rotation` is the angle in radians from the pixel axes to east and north.
    `corner` is the detector (column, row) of the lower left pixel.
    """

    aperture: NDArray[np.int32]
    column: float
    row: float
    rotation: float
    corner: tuple[int, int]

    def pixel_of(self, east: float, north: float) -> tuple[float, float]:
        """0-based (column, row) of a place `east` and `north` of the target, arcseconds; the inverse of the WCS."""
        # East is to the left, as in an image of the sky seen from inside.
        xi, eta = -east / 3600 / PIXEL_DEG, north / 3600 / PIXEL_DEG
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        return float(self.column + cos * xi + sin * eta), float(self.row - sin * xi + cos * eta)


def light_curve_bytes(identity: Identity, stamp: Stamp, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """A light-curve file of 20 columns; a column that is not given is NaN, or 0 where it is an integer.

    Args:
        identity: Goes into the headers.
        stamp: Gives the APERTURE extension and its celestial coordinates.
        columns: Arrays of shape ``(n,)`` by column name; TIME in BTJD days, NaN where there is none; fluxes in e-/s.
    """
    table = _table(identity, "LIGHTCURVE", _LIGHT_CURVE, columns)
    return _file_bytes([_primary(identity, "LightCurve"), table, _aperture(identity, stamp)])


def target_pixel_bytes(identity: Identity, stamp: Stamp, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """A target pixel file without the optional columns RAW_CNTS, FLUX_BKG and FLUX_BKG_ERR.

    Args:
        identity: Goes into the headers.
        stamp: Gives the APERTURE extension and its celestial coordinates.
        columns: As for a light curve; FLUX and FLUX_ERR have shape ``(n, ny, nx)``, e-/s.
    """
    table = _table(identity, "PIXELS", _PIXELS, columns)
    return _file_bytes([_primary(identity, "TargetPixel"), table, _aperture(identity, stamp)])


def _primary(identity: Identity, product: str) -> Any:
    hdu = fits.PrimaryHDU()
    cards = [
        ("NEXTEND", 2, "number of standard extensions"),
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("SIMDATA", True, "file is based on simulated data"),
        ("ORIGIN", ORIGIN, "who made this file"),
        # lightkurve.read tells the kind of a file from this card.
        ("CREATOR", f"{ORIGIN} {product}", "what made this file"),
        ("DEMOID", identity.fingerprint, "which simulation this is"),
        ("TIMVERSN", "OGIP/93-003", "OGIP memo number for file format"),
        *_common(identity),
        ("SECTOR", identity.sector, "Observing sector"),
        ("CAMERA", identity.camera, "Camera number"),
        ("CCD", identity.ccd, "CCD chip number"),
        ("TESSMAG", identity.tmag, "[mag] TESS magnitude"),
        ("TEFF", identity.teff, "[K] Effective temperature"),
        ("LOGG", identity.logg, "[cm/s2] log10 surface gravity"),
        ("RADIUS", identity.radius, "[solar radii] stellar radius"),
        ("CRMITEN", True, "spacecraft cosmic ray mitigation enabled"),
        ("CRBLKSZ", 10, "[exposures] cosmic ray mitigation block size"),
    ]
    hdu.header.extend(cards)
    return hdu


def _common(identity: Identity) -> list[tuple[str, Any, str]]:
    return [
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", f"TIC {identity.tic}", "string version of target id"),
        ("TICID", identity.tic, "unique tess target identifier"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", identity.ra, "[deg] right ascension"),
        ("DEC_OBJ", identity.dec, "[deg] declination"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
    ]


def _table(identity: Identity, name: str, layout: Sequence[_Column], columns: Mapping[str, NDArray[Any]]) -> Any:
    time = columns["TIME"]
    hdu = fits.BinTableHDU.from_columns([_column(column, columns.get(column.name), len(time)) for column in layout])
    start, stop = np.nanmin(time) - CADENCE_DAYS / 2, np.nanmax(time) + CADENCE_DAYS / 2
    cards = [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", name, "name of extension"),
        ("SIMDATA", True, "file is based on simulated data"),
        *_common(identity),
        ("EXPOSURE", (stop - start) * DEAD_TIME, "[d] time on source"),
        ("TIMEREF", "SOLARSYSTEM", "barycentric correction applied to times"),
        ("TASSIGN", "SPACECRAFT", "where time is assigned"),
        ("TIMESYS", "TDB", "time system is Barycentric Dynamical Time (TDB)"),
        ("BJDREFI", 2457000, "integer part of BTJD reference date"),
        ("BJDREFF", 0.0, "fraction of the day in BTJD reference date"),
        ("TIMEUNIT", "d", "time unit for TIME, TSTART and TSTOP"),
        ("TELAPSE", stop - start, "[d] TSTOP - TSTART"),
        ("LIVETIME", (stop - start) * DEAD_TIME, "[d] TELAPSE multiplied by DEADC"),
        ("TSTART", start, "observation start time in BTJD"),
        ("TSTOP", stop, "observation stop time in BTJD"),
        ("DEADC", DEAD_TIME, "deadtime correction"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("INT_TIME", 1.98, "[s] photon accumulation time per frame"),
        ("READTIME", 0.02, "[s] readout time per frame"),
        ("FRAMETIM", 2.0, "[s] frame time (INT_TIME + READTIME)"),
        ("NUM_FRM", 60, "number of frames per time stamp"),
        ("TIMEDEL", CADENCE_DAYS, "[d] time resolution of data"),
        ("BACKAPP", True, "background is subtracted"),
        ("DEADAPP", True, "deadtime applied"),
    ]
    hdu.header.extend(cards)
    return hdu


def _column(column: _Column, values: NDArray[Any] | None, n: int) -> Any:
    if values is None:
        values = np.zeros(n) if column.format == "J" else np.full(n, np.nan)
    shape = values.shape[1:]
    return fits.Column(
        name=column.name,
        format=f"{np.prod(shape, dtype=int)}{column.format}" if shape else column.format,
        dim=str(shape[::-1]) if shape else None,
        unit=column.unit,
        disp=column.display,
        array=values,
    )


def _aperture(identity: Identity, stamp: Stamp) -> Any:
    hdu = fits.ImageHDU(np.asarray(stamp.aperture, dtype=np.int32))
    cos, sin = float(np.cos(stamp.rotation)), float(np.sin(stamp.rotation))
    cards = [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", "APERTURE", "name of extension"),
        ("SIMDATA", True, "file is based on simulated data"),
        *_common(identity),
        ("WCSAXES", 2, "number of WCS axes"),
        ("CTYPE1", "RA---TAN", "right ascension coordinate type"),
        ("CTYPE2", "DEC--TAN", "declination coordinate type"),
        ("CRPIX1", stamp.column + 1, "[pixel] reference pixel along image axis 1"),
        ("CRPIX2", stamp.row + 1, "[pixel] reference pixel along image axis 2"),
        ("CRVAL1", identity.ra, "[deg] right ascension at reference pixel"),
        ("CRVAL2", identity.dec, "[deg] declination at reference pixel"),
        ("CUNIT1", "deg", "physical unit in column dimension"),
        ("CUNIT2", "deg", "physical unit in row dimension"),
        ("CDELT1", -PIXEL_DEG, "[deg] pixel scale in RA dimension"),
        ("CDELT2", PIXEL_DEG, "[deg] pixel scale in Dec dimension"),
        ("PC1_1", cos, "linear transformation element cos(th)"),
        ("PC1_2", -sin, "linear transformation element -sin(th)"),
        ("PC2_1", sin, "linear transformation element sin(th)"),
        ("PC2_2", cos, "linear transformation element cos(th)"),
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD col"),
        ("CUNIT1P", "PIXEL", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", stamp.corner[0], "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "PIXEL", "physical WCS axis 2 unit"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", stamp.corner[1], "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
        ("NPIXSAP", int(np.count_nonzero(stamp.aperture & 2)), "Number of pixels in optimal aperture"),
        ("NPIXMISS", 0, "Number of op. aperture pixels not collected"),
    ]
    hdu.header.extend(cards)
    return hdu


def _file_bytes(hdus: list[Any]) -> bytes:
    for hdu in hdus:
        # astropy's own comments on these two cards carry the time of writing.
        hdu.add_checksum(when="of the HDU")
    buffer = BytesIO()
    fits.HDUList(hdus).writeto(buffer)
    return buffer.getvalue()
