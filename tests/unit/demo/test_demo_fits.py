"""What is in the demo's files, read with astropy."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from trainyard.demo.fits import Stamp
from trainyard.demo.transit import TRUTH, catalogue
from trainyard.demo.transit_signals import BAD_BITS, make_stamp, point_source, profile
from trainyard.transit.settings import DemoSettings

SEED = DemoSettings().seed
PLANET, BINARY, OFF_TARGET = 0, 1, 2
LIGHT_CURVE_COLUMNS = [
    *("TIME", "TIMECORR", "CADENCENO", "SAP_FLUX", "SAP_FLUX_ERR", "SAP_BKG", "SAP_BKG_ERR"),
    *("PDCSAP_FLUX", "PDCSAP_FLUX_ERR", "QUALITY"),
    *("PSF_CENTR1", "PSF_CENTR1_ERR", "PSF_CENTR2", "PSF_CENTR2_ERR"),
    *("MOM_CENTR1", "MOM_CENTR1_ERR", "MOM_CENTR2", "MOM_CENTR2_ERR", "POS_CORR1", "POS_CORR2"),
]


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).rglob("*.fits"))


def planted(folder: Path, star: int) -> dict[str, Any]:
    """The only signal of a star."""
    tic = catalogue(DemoSettings(stars=3)).stars[star].tic
    (event,) = [one for one in json.loads((folder / TRUTH).read_text())["events"] if one["target_id"] == tic]
    return dict(event)


def flux_over_time(folder: Path, star: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Times (BTJD) and relative flux of the good cadences."""
    with fits.open(files(folder, "lc")[star]) as hdus:
        time, flux = (hdus[1].data[name].astype(float) for name in ("TIME", "PDCSAP_FLUX"))
    good = np.isfinite(time) & np.isfinite(flux)
    return time[good], flux[good] / np.median(flux[good])


def difference_image(path: Path, event: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Mean out of transit minus mean in transit around all mid-times, e-/s."""
    half = event["duration_hours"] / 48
    with fits.open(path) as hdus:
        table = hdus["PIXELS"].data
        good = np.isfinite(table["TIME"]) & (table["QUALITY"] & BAD_BITS == 0)
        time, flux = table["TIME"][good], table["FLUX"][good]
    distance = np.min([np.abs(time - mid["time"]) for mid in event["mid_times"]], axis=0)
    around = (distance > half) & (distance < 3 * half)
    return np.asarray(flux[around].mean(axis=0) - flux[distance < 0.6 * half].mean(axis=0))


def test_files_open_without_a_warning_and_their_checksums_hold(demo: Path) -> None:
    assert len(files(demo, "lc")) == len(files(demo, "tp")) == 3
    for path in files(demo, "lc") + files(demo, "tp"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path, checksum=True) as hdus:
                hdus.verify("exception")
                assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)
                assert not {"DATE", "DATE-OBS", "PROCVER"} & set(hdus[0].header)
                assert hdus[0].header["SIMDATA"] is True


def test_a_light_curve_has_the_archive_schema(demo: Path) -> None:
    star = catalogue(DemoSettings(stars=1)).stars[0]
    path = files(demo, "lc")[0]
    assert path.name == f"tess2018206191200-s0001-{star.tic:016d}-0120-s_lc.fits"
    with fits.open(path) as hdus:
        primary, table = hdus[0].header, hdus["LIGHTCURVE"]
        assert (primary["TICID"], primary["SECTOR"], primary["OBJECT"]) == (star.tic, 1, f"TIC {star.tic}")
        assert (primary["RA_OBJ"], primary["DEC_OBJ"], primary["TESSMAG"]) == (star.ra, star.dec, star.tmag)
        assert (primary["TELESCOP"], primary["INSTRUME"]) == ("TESS", "TESS Photometer")
        assert table.columns.names == LIGHT_CURVE_COLUMNS
        assert table.header["TIMEDEL"] == pytest.approx(2 / 1440)
        assert (table.header["BJDREFI"], table.header["NUM_FRM"], table.header["INT_TIME"]) == (2457000, 60, 1.98)
        assert len(table.data) == 8 * 720
        assert (np.diff(table.data["CADENCENO"]) == 1).all()


def test_a_light_curve_has_gaps_flags_and_missing_values(demo: Path) -> None:
    with fits.open(files(demo, "lc")[0]) as hdus:
        time, flux, quality = (hdus[1].data[name] for name in ("TIME", "PDCSAP_FLUX", "QUALITY"))
        missing = ~np.isfinite(time)
        middle = missing[len(time) // 3 : -len(time) // 3]
        assert middle.sum() > 300
        assert not missing[[0, -1]].any()
        assert np.isnan(flux[missing]).all()
        assert (np.isnan(flux) & ~missing & (quality == 0)).any()
        for bit in (8, 32, 64, 512, 4096):
            assert (quality & bit > 0).any()
        assert (np.diff(time[~missing]) > 0).all()


def test_the_planet_transits_at_the_planted_times_and_nowhere_else(demo: Path) -> None:
    event = planted(demo, PLANET)
    time, flux = flux_over_time(demo, PLANET)
    half = event["duration_hours"] / 48
    distance = np.min([np.abs(time - mid["time"]) for mid in event["mid_times"]], axis=0)
    inside, around = distance < 0.5 * half, (distance > half) & (distance < 3 * half)
    assert 1e6 * (1 - np.median(flux[inside])) == pytest.approx(event["depth_ppm"], rel=0.15)
    assert 1e6 * abs(1 - np.median(flux[around])) < 0.15 * event["depth_ppm"]


def test_the_binary_has_its_secondary_at_the_planted_offset(demo: Path) -> None:
    event = planted(demo, BINARY)
    time, flux = flux_over_time(demo, BINARY)
    period, half = event["period_days"], event["duration_hours"] / 48
    middle = event["epoch_btjd"] + event["secondary_offset_days"]
    distance = np.abs((time - middle + period / 2) % period - period / 2)
    inside, around = distance < 0.5 * half, (distance > half) & (distance < 3 * half)
    depth = 1e6 * (flux[around].mean() - flux[inside].mean())
    assert depth == pytest.approx(event["secondary_depth_ppm"], rel=0.5)


@pytest.mark.parametrize("star", [PLANET, OFF_TARGET])
def test_the_difference_image_peaks_where_the_light_goes_missing(demo: Path, star: int) -> None:
    event = planted(demo, star)
    path = files(demo, "tp")[star]
    difference = difference_image(path, event)
    with fits.open(path) as hdus:
        wcs, header = WCS(hdus["APERTURE"].header), hdus[0].header
    ra = header["RA_OBJ"] + event["source_east_arcsec"] / 3600 / np.cos(np.radians(header["DEC_OBJ"]))
    dec = header["DEC_OBJ"] + event["source_north_arcsec"] / 3600
    column, row = wcs.all_world2pix(ra, dec, 0)
    peak_row, peak_column = np.unravel_index(difference.argmax(), difference.shape)
    assert (peak_column, peak_row) == (round(float(column)), round(float(row)))
    assert np.hypot(event["source_east_arcsec"], event["source_north_arcsec"]) == pytest.approx(
        0 if star == PLANET else 36, abs=6
    )


def test_a_pixel_file_agrees_with_its_light_curve(demo: Path) -> None:
    with fits.open(files(demo, "tp")[PLANET]) as pixels, fits.open(files(demo, "lc")[PLANET]) as curve:
        table, other = pixels["PIXELS"].data, curve["LIGHTCURVE"].data
        for name in ("TIME", "CADENCENO", "QUALITY"):
            np.testing.assert_array_equal(table[name], other[name])
        assert table["FLUX"].shape == table["FLUX_ERR"].shape == (len(other), 7, 7)
        assert (np.isnan(table["FLUX"]).all(axis=(1, 2)) == np.isnan(table["TIME"])).all()
        total = np.nanmedian(table["FLUX"].sum(axis=(1, 2)))
        assert total == pytest.approx(np.nanmedian(other["PDCSAP_FLUX"]), rel=0.02)
        aperture = pixels["APERTURE"].data
        assert set(np.unique(aperture)) == {1, 3}
        scatter = np.nanstd(np.diff(table["FLUX"], axis=0), axis=0) / np.sqrt(2)
        np.testing.assert_allclose(scatter, table["FLUX_ERR"][0], rtol=0.1)


def test_the_stamp_places_sky_positions_as_the_wcs_does(demo: Path) -> None:
    star = catalogue(DemoSettings(stars=1)).stars[0]
    stamp = make_stamp(star, seed=SEED, sector=1, size=7)
    with fits.open(files(demo, "tp")[0]) as hdus:
        wcs = WCS(hdus["APERTURE"].header)
    for east, north in [(0, 0), (30, 0), (0, 30), (-12, 25)]:
        ra = star.ra + east / 3600 / np.cos(np.radians(star.dec))
        expected = wcs.all_world2pix(ra, star.dec + north / 3600, 0)
        np.testing.assert_allclose(stamp.pixel_of(east, north), expected, atol=2e-3)


def test_a_point_source_keeps_its_light_and_its_place() -> None:
    image = point_source(5.3, 3.8, 11)
    rows, columns = np.indices(image.shape)
    assert image.sum() == pytest.approx(1, abs=1e-3)
    assert (image * columns).sum() == pytest.approx(5.3, abs=0.01)
    assert (image * rows).sum() == pytest.approx(3.8, abs=0.01)


def test_east_is_to_the_left_of_an_unrotated_stamp() -> None:
    stamp = Stamp(np.ones((7, 7), np.int32), 3.0, 3.0, 0.0, (1, 1))
    assert stamp.pixel_of(21, 0) == pytest.approx((2, 3))
    assert stamp.pixel_of(0, 21) == pytest.approx((3, 4))


def test_a_profile_is_a_trapezoid() -> None:
    time = np.array([-0.06, -0.05, -0.04, -0.03, 0.0, 0.03, 0.05, 1.0])
    dip = profile(time, period=1.0, epoch=0.0, duration=0.1, ingress=0.2)
    np.testing.assert_allclose(dip, [0, 0, 0.5, 1, 1, 1, 0, 1], atol=1e-9)
