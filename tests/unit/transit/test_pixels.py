"""Reading target pixel files: what is read, where the target is, and what a file must not be."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.io import fits

from trainyard.transit.images import window_images
from trainyard.transit.pixels import PixelFile
from trainyard.transit.settings import ImageSettings
from trainyard.yard.errors import InputError

RA, DEC = 63.3739, -69.2268
PIXEL_DEG = 21 / 3600

WCS_NAMES = {"CTYPE": "CTYP", "CRPIX": "CRPX", "CRVAL": "CRVL", "CUNIT": "CUNI", "CDELT": "CDLT"}


def image_wcs(column, row):
    """Header cards of an image that shows (RA, DEC) at a 0-based (column, row), rotated by 30 degrees."""
    cos, sin = np.cos(np.radians(30)), np.sin(np.radians(30))
    return {
        **{"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg"},
        **{"CRVAL1": RA, "CRVAL2": DEC, "CRPIX1": column + 1, "CRPIX2": row + 1},
        **{"CDELT1": -PIXEL_DEG, "CDELT2": PIXEL_DEG, "PC1_1": cos, "PC1_2": -sin, "PC2_1": sin, "PC2_2": cos},
    }


def column_wcs(column, row, *, table_column):
    """The same for the images in a column of a table."""
    cards = image_wcs(column, row)
    named = {f"{key[-1]}{WCS_NAMES[key[:-1]]}{table_column}": v for key, v in cards.items() if key[:-1] in WCS_NAMES}
    return named | {f"{key[2]}{key[4]}PC{table_column}": v for key, v in cards.items() if key.startswith("PC")}


def pixel_series(n=200, ny=11, nx=11, seed=1):
    rng = np.random.default_rng(seed)
    time = 1500.0 + np.arange(n) * 2 / 1440
    flux = rng.normal(100.0, 1.0, (n, ny, nx)).astype(np.float32)
    return time, flux


def write_tpf(
    path, time, flux, *, flux_err=1.0, quality=None, aperture_wcs=None, table_cards=None, primary_cards=None, names=None
):
    n, ny, nx = flux.shape
    images = {"format": f"{ny * nx}E", "dim": f"({nx},{ny})"}
    columns = [
        fits.Column("TIME", "D", array=time),
        fits.Column("CADENCENO", "J", array=np.arange(n)),
        fits.Column("FLUX", array=flux, **images),
        fits.Column("FLUX_ERR", array=np.broadcast_to(np.float32(flux_err), flux.shape), **images),
        fits.Column("QUALITY", "J", array=np.zeros(n) if quality is None else quality),
    ]
    table = fits.BinTableHDU.from_columns([c for c in columns if names is None or c.name in names], name="PIXELS")
    exposure = {"INT_TIME": 1.98, "READTIME": 0.02, "FRAMETIM": 2.0, "NUM_FRM": 60, "TIMEDEL": 2 / 1440}
    table.header.update({"BJDREFI": 2457000, "BJDREFF": 0.0, **exposure, **(table_cards or {})})
    primary = fits.PrimaryHDU()
    target = {"TICID": 7, "SECTOR": 3, "CAMERA": 1, "CCD": 2, "RA_OBJ": RA, "DEC_OBJ": DEC, "TESSMAG": 10.0}
    primary.header.update({**target, "CRMITEN": True, "CRBLKSZ": 10, **(primary_cards or {})})
    aperture = fits.ImageHDU(np.full((ny, nx), 3, np.int32), name="APERTURE")
    aperture.header.update(aperture_wcs or {})
    fits.HDUList([primary, table, aperture]).writeto(path)
    return path


def test_columns_are_read_in_native_byte_order_and_the_file_is_let_go(tmp_path):
    time, flux = pixel_series()
    path = write_tpf(tmp_path / "a_tp.fits", time, flux, flux_err=2.0)
    with PixelFile.open(path) as pixels:
        path.unlink()
        np.testing.assert_array_equal(pixels.time, time)
        np.testing.assert_array_equal(pixels.flux, flux)
        assert pixels.flux.dtype == np.float32 and pixels.flux.dtype.isnative
        assert (pixels.flux_err == 2.0).all()
        assert pixels.shape == (11, 11)
        assert (pixels.info.target_id, pixels.info.sector, pixels.info.kind) == (7, 3, "tp")
    assert pixels.flux.size == 0


def test_gzipped_files_are_read(tmp_path):
    time, flux = pixel_series(n=20)
    plain = write_tpf(tmp_path / "a_tp.fits", time, flux)
    packed = tmp_path / "a_tp.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with PixelFile.open(packed) as pixels:
        np.testing.assert_array_equal(pixels.flux, flux)


def test_means_and_variances_are_those_of_electrons_per_cadence(tmp_path):
    time, flux = pixel_series(n=300)
    flux *= 100.0
    errors = np.random.default_rng(2).uniform(1, 5, flux.shape).astype(np.float32)
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux, flux_err=errors)) as pixels:
        for rows in (np.array([7]), np.arange(300), np.r_[20:110, 200:231]):
            mean, variance = pixels.mean(rows)
            np.testing.assert_allclose(mean, np.mean(flux[rows] * np.float64(96.0), axis=0), rtol=1e-12)
            expected = np.sum((np.float64(96.0) * errors[rows]) ** 2, axis=0) / len(rows) ** 2
            np.testing.assert_allclose(variance, expected, rtol=1e-12)


def test_averaging_leaves_the_pixels_as_they_are(tmp_path):
    time, flux = pixel_series(n=10)
    flux[3, 5, 5] = np.nan
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux)) as pixels:
        pixels.mean(np.arange(10))
        np.testing.assert_array_equal(pixels.flux, flux)


def test_flagged_and_untimed_cadences_are_left_out_and_the_rest_is_put_in_order(tmp_path):
    time, flux = pixel_series(n=6)
    time = time[[0, 1, 2, 5, 4, 3]]
    quality = np.array([0, 8, 4096, 0, 0, 0])
    time[4] = np.nan
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux, quality=quality)) as pixels:
        assert pixels.good_cadences(8).rows.tolist() == [0, 2, 5, 3]
        assert pixels.good_cadences(65535).rows.tolist() == [0, 5, 3]
        assert (np.diff(pixels.good_cadences(8).time) > 0).all()


def test_missing_pixels_leave_the_mean_of_the_cadences_that_have_them(tmp_path):
    time, flux = pixel_series(n=10)
    flux[:, 0, 0] = np.nan
    flux[3, 5, 5] = np.nan
    flux[4, 5, 5] = np.inf
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux)) as pixels:
        mean, variance = pixels.mean(np.arange(2, 6))
    assert np.isnan(mean[0, 0]) and np.isnan(variance[0, 0])
    assert mean[5, 5] == pytest.approx(flux[[2, 5], 5, 5].mean() * 96.0, rel=1e-6)
    assert variance[5, 5] == pytest.approx(96.0**2 / 2)
    assert variance[5, 6] == pytest.approx(96.0**2 / 4)


@pytest.mark.parametrize(
    ("table_cards", "primary_cards", "seconds"),
    [
        ({}, {}, 96.0),
        ({"NUM_FRM": 10, "TIMEDEL": 20 / 86400}, {"CRMITEN": False}, 20.0),
        ({"NUM_FRM": None, "TIMEDEL": 120 / 86400}, {}, 96.0),
        ({"NUM_FRM": None, "TIMEDEL": 20 / 86400}, {"CRMITEN": None}, 20.0),
        ({"NUM_FRM": 60}, {"CRMITEN": None}, 96.0),
    ],
    ids=["2 minutes", "20 s", "without frames", "20 s without frames", "rejection not stated"],
)
def test_exposure_comes_from_the_header(tmp_path, table_cards, primary_cards, seconds):
    time, flux = pixel_series(n=3)
    cards = {"table_cards": table_cards, "primary_cards": primary_cards}
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux, **cards)) as pixels:
        assert pixels.exposure_seconds == pytest.approx(seconds)


def test_target_is_placed_by_the_coordinates_of_the_aperture(tmp_path):
    time, flux = pixel_series(n=3)
    path = write_tpf(tmp_path / "a_tp.fits", time, flux, aperture_wcs=image_wcs(7.25, 3.0))
    with PixelFile.open(path) as pixels:
        assert pixels.target_position(RA, DEC) == pytest.approx((7.25, 3.0), abs=1e-9)
        assert pixels.target_position(np.nan, DEC) == pytest.approx((7.25, 3.0), abs=1e-9)
        # Two pixels north: with axes rotated by 30 degrees that is 2 sin 30 right and 2 cos 30 up.
        moved = pixels.target_position(RA, DEC + 2 * PIXEL_DEG)
        assert moved == pytest.approx((7.25 + 1.0, 3.0 + np.sqrt(3)), abs=1e-3)


def test_coordinates_of_the_pixel_table_serve_where_the_aperture_has_none(tmp_path):
    time, flux = pixel_series(n=3)
    cards = column_wcs(7.25, 3.0, table_column=3)
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux, table_cards=cards)) as pixels:
        assert pixels.target_position(RA, DEC) == pytest.approx((7.25, 3.0), abs=1e-9)


def test_without_coordinates_the_target_is_in_the_middle_and_the_file_says_so(tmp_path):
    time, flux = pixel_series(n=3, ny=13, nx=10)
    with PixelFile.open(write_tpf(tmp_path / "a_tp.fits", time, flux)) as pixels:
        assert pixels.wcs is None
        assert pixels.target_position(RA, DEC) == (4.5, 6.0)


def test_target_without_any_coordinates_is_in_the_middle(tmp_path):
    time, flux = pixel_series(n=3)
    none = {"RA_OBJ": None, "DEC_OBJ": None}
    path = write_tpf(tmp_path / "a_tp.fits", time, flux, primary_cards=none, aperture_wcs=image_wcs(7.25, 3.0))
    with PixelFile.open(path) as pixels:
        assert pixels.target_position(np.nan, np.nan) == (5.0, 5.0)


def test_marker_stands_on_the_star_that_the_file_shows(tmp_path):
    time, flux = pixel_series(n=600)
    flux[:, 3, 7] += 5000.0
    transit = np.abs(time - time[300]) < 0.05
    flux[transit, 3, 7] -= 100.0
    path = write_tpf(tmp_path / "a_tp.fits", time, flux, aperture_wcs=image_wcs(7.0, 3.0))
    with PixelFile.open(path) as pixels:
        images = window_images(
            pixels, centre=time[300], duration=0.1, settings=ImageSettings(), bitmask=0, ra=RA, dec=DEC
        )
    assert images.target_pos == (22, 10)
    assert images.target_img[10, 22] == 1.0
    assert images.diff_img[10, 22] == images.diff_img.max() == pytest.approx(9600.0, rel=0.01)
    assert images.oot_img[10, 22] == images.oot_img.max()


def spoil(path, how):
    data = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "cut in the table":
        path.write_bytes(data[: len(data) // 2])
    elif how == "cut in the header":
        path.write_bytes(data[:3000])
    elif how == "not FITS":
        path.write_text("<html>404</html>")
    elif how == "not there":
        path.unlink()
    else:
        path.write_bytes(gzip.compress(data)[:-2000])


@pytest.mark.parametrize("how", ["empty", "cut in the table", "cut in the header", "not FITS", "not there", "gzip cut"])
def test_bad_files_are_input_errors_that_name_the_file(tmp_path, how):
    time, flux = pixel_series()
    path = write_tpf(tmp_path / "bad_tp.fits", time, flux)
    spoil(path, how)
    with pytest.raises(InputError, match=r"bad_tp\.fits"):
        PixelFile.open(path)


@pytest.mark.parametrize("name", ["QUALITY", "FLUX_ERR"])
def test_missing_columns_are_named(tmp_path, name):
    time, flux = pixel_series(n=3)
    names = {"TIME", "FLUX", "FLUX_ERR", "QUALITY"} - {name}
    path = write_tpf(tmp_path / "bad_tp.fits", time, flux, names=names)
    with pytest.raises(InputError, match=rf"bad_tp\.fits: has no column {name}"):
        PixelFile.open(path)


def test_a_table_without_rows_is_an_input_error(tmp_path):
    _, flux = pixel_series(n=1)
    path = write_tpf(tmp_path / "bad_tp.fits", np.empty(0), flux[:0])
    with pytest.raises(InputError, match="has no cadence"):
        PixelFile.open(path)


def test_a_light_curve_is_refused(tmp_path):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", array=[1.0]), fits.Column("PDCSAP_FLUX", "E", array=[1.0])]
    )
    table.header["TIMEDEL"] = 2 / 1440
    primary = fits.PrimaryHDU()
    primary.header.update({"TICID": 7, "SECTOR": 3, "CAMERA": 1, "CCD": 2})
    path = tmp_path / "lc.fits"
    fits.HDUList([primary, table]).writeto(path)
    with pytest.raises(InputError, match=r"lc\.fits: is a light curve"):
        PixelFile.open(path)
