"""Light curves as published: counts, times and fluxes that others measured on the same files."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest

from trainyard.transit.detrend import detrend
from trainyard.transit.headers import read_info
from trainyard.transit.lightcurves import default_bitmask, prepare, read_light_curve
from trainyard.transit.masks import Ephemeris, event_mask, phase_distance
from trainyard.transit.settings import LightCurveSettings
from trainyard.yard.errors import InputError

pytestmark = pytest.mark.real

KEPLER_90 = {
    3: ("kplr011442793-2009350155506_llc.fits", 4370, 4228, 4134, (260.2242, 349.4959), 39939.18, (7404, 11773)),
    4: ("kplr011442793-2010009091648_llc.fits", 1021, 1021, 1008, (352.3770, 373.2190), 43252.47, (11914, 12934)),
    5: ("kplr011442793-2010174085026_llc.fits", 4634, 4538, 4486, (443.4908, 538.1624), 39273.88, (16373, 21006)),
}
WASP_12 = Ephemeris(period=1.0914304, epoch=1842.997159, duration=3.05123 / 24)  # NASA Exoplanet Archive, TOI 1725.01


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "transit"


@pytest.fixture(scope="module")
def curves(folder):
    return {path.name: read_light_curve(path) for path in sorted(folder.glob("*.fits"))}


def prepared(curve):
    return prepare(curve, bitmask=default_bitmask(curve.info.mission), kernel_sigma=1.0)


def test_every_file_is_known_by_its_header(curves):
    infos = [curve.info for curve in curves.values()]
    assert len(infos) == 18
    assert [info.mission for info in infos].count("Kepler") == 3
    assert {(info.mission, round(1440 * info.cadence_days, 1), info.time_reference) for info in infos} == {
        ("TESS", 2.0, "BTJD"),
        ("Kepler", 29.4, "BKJD"),
    }
    odd = curves["tic55525572_lc.fits"].info
    assert (odd.target_id, odd.sector, odd.camera, odd.ccd) == (55525572, 5, 4, 2)
    assert len({info.content for info in infos}) == 18


def test_headers_say_the_same_as_the_archives_file_names(curves):
    named = [curve.info for name, curve in curves.items() if name.startswith("tess")]
    assert len(named) == 14
    for info in named:
        _, sector, target, *_ = info.path.name.split("-")
        assert (info.sector, info.target_id) == (int(sector[1:]), int(target))


@pytest.mark.parametrize("quarter", KEPLER_90)
def test_kepler_90(curves, quarter):
    name, rows, times, finite, span, median, numbers = KEPLER_90[quarter]
    curve = curves[name]
    measured = np.isfinite(curve.time)
    usable = measured & np.isfinite(curve.flux)
    assert (curve.info.target_id, curve.info.sector) == (11442793, quarter)
    assert (curve.info.ra, curve.info.dec, curve.info.mag) == (284.433491, 49.30516, 13.804)
    assert (curve.time.size, measured.sum(), usable.sum()) == (rows, times, finite)
    assert curve.time[measured][[0, -1]] == pytest.approx(span, abs=1e-4)
    assert np.median(curve.flux[usable]) == pytest.approx(median, abs=0.01)
    assert (curve.cadence_no[0], curve.cadence_no[-1]) == numbers
    assert 1440 * np.diff(prepared(curve).time) == pytest.approx(29.4244, abs=0.002)


@pytest.mark.parametrize("table", ["toi-836b_summary_statistics.csv", "wasp-12b_summary_statistics.csv"])
def test_counts_of_usable_cadences_match_a_third_party_exactly(folder, curves, table):
    with (folder / "golden" / table).open() as lines:
        golden = {row["quantity"]: row["value"] for row in csv.DictReader(lines)}
    with (folder / "golden" / table.replace("summary", "multisector")).open() as lines:
        names = {row["sector"]: row["filename"] for row in csv.DictReader(lines)}
    curve = curves[names[golden["sector"]]]
    usable = (curve.quality == 0) & np.isfinite(curve.time) & np.isfinite(curve.flux)
    assert usable.sum() == int(golden["quality_filtered_cadences"])


def test_no_measured_time_is_ever_touched(curves):
    for curve in curves.values():
        measured = np.isfinite(curve.time)
        ready = prepared(curve)
        assert np.array_equal(ready.time[measured], curve.time[measured])
        assert np.array_equal(ready.flux[ready.good], curve.flux[ready.good])
        # Barycentric intervals differ from the clock's by less than a part in 5,000.
        steps = np.diff(ready.time) / np.diff(curve.cadence_no)
        assert steps == pytest.approx(curve.info.cadence_days, rel=2e-4)


def test_a_good_excerpt_is_read_and_the_same_cut_is_refused(folder):
    assert read_light_curve(folder / "robust" / "test-lc-tess-pimen-100-cadences.fits").time.size == 100
    cut = folder / "robust" / "test-lc-tess-pimen-corrupted.fits"
    for read in (read_info, read_light_curve):
        with pytest.raises(InputError, match=r"pimen-corrupted\.fits: truncated"):
            read(cut)


def test_a_gzipped_target_pixel_file_is_known_and_is_no_light_curve(folder):
    path = folder / "tp" / "tess25155310-s01-first-cadences.fits.gz"
    info = read_info(path)
    assert (info.kind, info.target_id, info.sector, info.time_reference) == ("tp", 25155310, 1, "BTJD")
    with pytest.raises(InputError, match="is a target pixel file"):
        read_light_curve(path)


def test_headers_are_read_in_milliseconds(folder):
    paths = sorted(folder.glob("*.fits"))
    spent = []
    for _ in range(5):
        start = time.process_time()
        for path in paths:
            read_info(path)
        spent.append((time.process_time() - start) / len(paths))
    assert min(spent) < 0.010


@pytest.mark.parametrize("method", ["off", "biweight", "savgol"])
@pytest.mark.parametrize(("sector", "depth"), [(20, 0.015714), (43, 0.015451)])
def test_wasp_12_keeps_its_depth_however_it_is_detrended(curves, sector, depth, method):
    curve = next(c for c in curves.values() if (c.info.target_id, c.info.sector) == (86396382, sector))
    ready = prepared(curve)
    mask = event_mask(ready.time, [WASP_12], width=2, max_mes_threshold=np.inf)
    settings = LightCurveSettings(detrend=method)
    flux = detrend(ready, mask, settings=settings, longest_duration_days=WASP_12.duration).flux
    distance = np.abs(phase_distance(ready.time, WASP_12.epoch, WASP_12.period))
    centre = ready.good & (distance < WASP_12.duration / 8)
    edges = ready.good & (distance > 0.75 * WASP_12.duration) & (distance < 1.5 * WASP_12.duration)
    assert np.median(flux[edges]) - np.median(flux[centre]) == pytest.approx(depth, rel=0.03)
