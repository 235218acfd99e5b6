"""Small FITS files with the headers and columns that TESS, Kepler and K2 publish."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

TWO_MINUTES = 2 / 1440

TESS = {
    **{"TELESCOP": "TESS", "TICID": 25155310, "SECTOR": 1, "CAMERA": 4, "CCD": 1},
    **{"RA_OBJ": 63.37389, "DEC_OBJ": -69.226789, "TESSMAG": 10.5},
}
KEPLER = {
    **{"TELESCOP": "Kepler", "MISSION": "Kepler", "KEPLERID": 11442793, "QUARTER": 3, "OBSMODE": "long cadence"},
    **{"RA_OBJ": 284.433491, "DEC_OBJ": 49.30516, "KEPMAG": 13.804},
}
K2 = {
    **{"TELESCOP": "Kepler", "MISSION": "K2", "KEPLERID": 201912552, "CAMPAIGN": 1, "OBSMODE": "long cadence"},
    **{"RA_OBJ": 172.56, "DEC_OBJ": 7.5884, "KEPMAG": 12.5},
}
TESS_TABLE = {
    **{"BJDREFI": 2457000, "BJDREFF": 0.0, "TIMEDEL": TWO_MINUTES},
    **{"INT_TIME": 1.98, "READTIME": 0.02, "NUM_FRM": 60},
}
KEPLER_TABLE = {
    **{"BJDREFI": 2454833, "BJDREFF": 0.0, "TIMEDEL": 0.02043359821692},
    **{"INT_TIME": 6.01980290327, "READTIME": 0.518948526144, "NUM_FRM": 270},
}


def curve_columns(n=50, *, start=1500.0, step=TWO_MINUTES):
    """Columns of a light curve of constant flux 1000."""
    return {
        "TIME": start + step * np.arange(n),
        "CADENCENO": 7000 + np.arange(n, dtype=np.int32),
        "PDCSAP_FLUX": np.full(n, 1000.0, dtype=np.float32),
        "PDCSAP_FLUX_ERR": np.full(n, 2.0, dtype=np.float32),
        "QUALITY": np.zeros(n, dtype=np.int32),
    }


def write_curve(path, columns=None, *, primary=TESS, table=TESS_TABLE, checksum=False):
    """Write columns as the light curve of a mission; cards that are None are left out."""
    formats = {"TIME": "D", "CADENCENO": "J", "QUALITY": "J", "SAP_QUALITY": "J"}
    units = {"TIME": "BJD - 2457000, days", "PDCSAP_FLUX": "e-/s"}
    columns = curve_columns() if columns is None else columns
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column(name, formats.get(name, "E"), units.get(name), array=v) for name, v in columns.items()],
        name="LIGHTCURVE",
    )
    return _write(path, hdu, primary, table, checksum)


def write_pixels(path, *, primary=TESS, table=TESS_TABLE, n=4, side=3):
    """Write a target pixel file."""
    image = {"format": f"{side * side}E", "dim": f"({side},{side})", "array": np.ones((n, side, side), np.float32)}
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", array=1500.0 + np.arange(n) * TWO_MINUTES), fits.Column("FLUX", **image)],
        name="PIXELS",
    )
    return _write(path, hdu, primary, table, False)


def _write(path, hdu, primary, table, checksum):
    first = fits.PrimaryHDU()
    first.header.update({name: value for name, value in primary.items() if value is not None})
    hdu.header.update({name: value for name, value in table.items() if value is not None})
    aperture = fits.ImageHDU(np.zeros((5, 5), np.int32), name="APERTURE")
    fits.HDUList([first, hdu, aperture]).writeto(path, checksum=checksum)
    return path
