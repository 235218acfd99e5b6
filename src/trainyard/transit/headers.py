"""What a light-curve or target pixel file is, read from its first two FITS headers.

File names are not trusted: a file is known by its header cards, its kind by its columns. Reading the data is left to
`trainyard.transit.lightcurves` and `trainyard.transit.pixels`; here a file of any size costs about a millisecond.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from trainyard.yard.errors import InputError

if TYPE_CHECKING:
    from astropy.io.fits import Header

Mission = Literal["TESS", "Kepler", "K2"]
TimeReference = Literal["BTJD", "BKJD"]
Kind = Literal["lc", "tp"]

_BLOCK = 2880
_MAX_COLUMNS = 999  # of the FITS standard; a broken card could ask for more than fit in memory
_GZIP_MAGIC = b"\x1f\x8b"
REFERENCE_DAYS: dict[TimeReference, float] = {"BTJD": 2457000.0, "BKJD": 2454833.0}
"""Barycentric Julian date (TDB) that the times of each system count from."""


class WrongKindError(InputError):
    """A whole file, but neither a light curve nor target pixels of TESS, Kepler or K2."""


@dataclass(frozen=True)
class FileInfo:
    """Identity of one archive file.

    Attributes:
        path: The file, as it was given.
        mission: TESS, Kepler or K2.
        target_id: TIC, KIC or EPIC number.
        sector: Sector (TESS), quarter (Kepler) or campaign (K2).
        camera: TESS camera, 1 to 4; None for Kepler and K2.
        ccd: TESS CCD, 1 to 4; None for Kepler and K2.
        ra: Right ascension, degrees; NaN if the header has none.
        dec: Declination, degrees; NaN if the header has none.
        mag: TESS or Kepler magnitude; NaN if the header has none.
        cadence_days: Time between two cadences, days.
        time_reference: BTJD (BJD - 2457000) or BKJD (BJD - 2454833), both TDB.
        kind: "lc" for a light curve, "tp" for a target pixel file.
        content: Fingerprint of what the file holds; equal for equal files wherever they lie.
        bytes: Size on disk.
    """

    path: Path
    mission: Mission
    target_id: int
    sector: int
    camera: int | None
    ccd: int | None
    ra: float
    dec: float
    mag: float
    cadence_days: float
    time_reference: TimeReference
    kind: Kind
    content: str
    bytes: int


def read_info(path: Path) -> FileInfo:
    """Identify a file by its primary header and the header of its first extension.

    Gzipped files are read too; they are unpacked once, to see that they are whole.

    Raises:
        WrongKindError: Not a light curve or target pixel file of TESS, Kepler or K2.
        InputError: Not FITS, or cut short.
    """
    from astropy.io.fits import VerifyError

    try:
        # astropy also warns of what it is about to raise, and of cards that are not used here.
        with warnings.catch_warnings(), _open(path) as handle:
            warnings.simplefilter("ignore")
            primary, extension, raw = _headers(handle)
            facts = _facts(primary, extension)
        summed = "CHECKSUM" in extension or "DATASUM" in extension
        content = _content(path, raw if summed else None)
        return FileInfo(path=path, content=content, bytes=path.stat().st_size, **facts)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, VerifyError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _open(path: Path) -> BinaryIO:
    handle = path.open("rb")
    if handle.read(2) == _GZIP_MAGIC:
        handle.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    handle.seek(0)
    return handle


def _headers(handle: BinaryIO) -> tuple[Header, Header, bytes]:
    """Primary header, header of the first extension, and both as bytes; the data of that extension must be whole."""
    from astropy.io.fits import Header

    if handle.read(6) != b"SIMPLE":
        raise InputError("not a FITS file")
    handle.seek(0)
    primary = Header.fromfile(handle)
    handle.seek(_data_bytes(primary), 1)
    if handle.read(8) != b"XTENSION":
        raise InputError("has no table, or is truncated before it")
    handle.seek(-8, 1)
    extension = Header.fromfile(handle)
    begin = handle.tell()
    end = begin + _data_bytes(extension)
    handle.seek(0)
    raw = handle.read(begin)
    handle.seek(end - 1)
    if not handle.read(1):
        raise InputError(f"truncated: its first table must reach to byte {end}; download the file again")
    return primary, extension, raw


def _data_bytes(header: Header) -> int:
    """Size of the data that follow a header, padded to whole FITS blocks (FITS standard 4.0, section 4.4.1.2)."""
    axes = [_integer(header, f"NAXIS{i + 1}") for i in range(_integer(header, "NAXIS"))]
    if not axes:
        return 0
    groups, heap = (_integer(header, name, default) for name, default in (("GCOUNT", 1), ("PCOUNT", 0)))
    size = abs(_integer(header, "BITPIX")) // 8 * groups * (heap + math.prod(axes))
    if min(axes) < 0 or size < 0:
        raise InputError("header cards NAXIS, GCOUNT and PCOUNT make no sense")
    return math.ceil(size / _BLOCK) * _BLOCK


def _content(path: Path, headers: bytes | None) -> str:
    """Fingerprint of a file: of its headers if their CHECKSUM or DATASUM stands for the data, else of all its bytes.

    The cards alone would be too weak: they have 32 bits, and excerpts are found that still carry those of the whole.
    """
    if headers is not None:
        return "headers:" + hashlib.sha256(headers).hexdigest()
    with path.open("rb") as handle:
        return "file:" + hashlib.file_digest(handle, "sha256").hexdigest()


def _facts(primary: Header, extension: Header) -> dict[str, Any]:
    tess = "TICID" in primary
    mission: Mission = "TESS"
    if not tess:
        k2 = "CAMPAIGN" in primary or str(primary.get("MISSION", "")).strip().upper() == "K2"
        mission = "K2" if k2 else "Kepler"
    sector = {"TESS": "SECTOR", "Kepler": "QUARTER", "K2": "CAMPAIGN"}[mission]
    target = "TICID" if tess else "KEPLERID" if "KEPLERID" in primary else "EPIC"
    if target not in primary:
        raise WrongKindError("neither TICID nor KEPLERID in its primary header: not a file of TESS, Kepler or K2")
    return {
        "kind": _kind(extension),
        "mission": mission,
        "target_id": _integer(primary, target),
        "sector": _integer(primary, sector),
        "camera": _integer(primary, "CAMERA", 0) or None,
        "ccd": _integer(primary, "CCD", 0) or None,
        "ra": _number(primary, "RA_OBJ"),
        "dec": _number(primary, "DEC_OBJ"),
        "mag": _number(primary, "TESSMAG" if tess else "KEPMAG"),
        "cadence_days": _cadence_days(primary, extension),
        "time_reference": _time_reference(extension, mission),
    }


def _kind(extension: Header) -> Kind:
    fields = range(1, min(_integer(extension, "TFIELDS", 0), _MAX_COLUMNS) + 1)
    columns = {str(extension.get(f"TTYPE{i}", "")).strip().upper(): i for i in fields}
    if str(extension.get("XTENSION")).strip() != "BINTABLE" or "TIME" not in columns:
        raise WrongKindError("its first extension is not a table of cadences")
    if columns.keys() & {"PDCSAP_FLUX", "SAP_FLUX"}:
        return "lc"
    # An image per row has a repeat count in its format, as in 121E.
    repeat = re.match(r"\d+", str(extension.get(f"TFORM{columns.get('FLUX', 0)}", "")).strip())
    if repeat and int(repeat[0]) > 1:
        return "tp"
    raise WrongKindError(
        "its first table is neither a light curve (PDCSAP_FLUX or SAP_FLUX) nor target pixels (FLUX images)"
    )


def _cadence_days(primary: Header, extension: Header) -> float:
    days = _number(extension, "TIMEDEL")
    if not days > 0:
        frame = _number(extension, "INT_TIME") + _number(extension, "READTIME")
        days = frame * _number(extension, "NUM_FRM") / 86400
    if not days > 0:
        # Kepler Archive Manual, section 2.1: 30 and 1 short integrations of 58.849 s.
        mode = str(primary.get("OBSMODE", "")).split(" ")[0].lower()
        days = {"long": 30, "short": 1}.get(mode, math.nan) * 58.84876 / 86400
    if not days > 0:
        raise InputError("no cadence length: its header has neither TIMEDEL nor INT_TIME, READTIME and NUM_FRM")
    return days


def _time_reference(extension: Header, mission: Mission) -> TimeReference:
    zero, fraction = _number(extension, "BJDREFI"), _number(extension, "BJDREFF")
    if math.isnan(zero):
        return "BTJD" if mission == "TESS" else "BKJD"
    for reference, days in REFERENCE_DAYS.items():
        if zero + (0.0 if math.isnan(fraction) else fraction) == days:
            return reference
    known = " or ".join(f"{days:.0f} ({name})" for name, days in REFERENCE_DAYS.items())
    raise InputError(f"its times do not count from BJD {known}, but from {zero} + {fraction}")


def _integer(header: Header, name: str, default: int | None = None) -> int:
    if default is not None and name not in header:
        return default
    try:
        return int(header[name])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"header card {name} is missing or not a number") from None


def _number(header: Header, name: str) -> float:
    """Value of a card; NaN if it is missing or empty."""
    try:
        return float(header[name])
    except (KeyError, TypeError, ValueError):
        return math.nan
