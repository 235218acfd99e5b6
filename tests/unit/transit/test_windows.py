"""Windows: where they are cut, which are good enough, how they become a fixed number of points."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_stars import CADENCE, make_tce

from trainyard.transit.events import cluster, predict
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import MaskSettings, PlanSettings, WindowSettings
from trainyard.transit.starmasks import StarMasks
from trainyard.transit.windows import (
    Cutter,
    Resampled,
    Window,
    draw_apart,
    measured_depth_ppm,
    nearest_indices,
    resample,
    scattered,
)

WINDOWS = WindowSettings()
DAYS = 0.1
"""A duration, days; its window of half a day has 360 cadences."""


def grid(n=7200, *, bad=(), start=1500.0):
    time = start + CADENCE * np.arange(n)
    good = np.ones(n, dtype=bool)
    for first, stop in bad:
        good[first:stop] = False
    return time, good


def cutter(time, good, **options):
    return Cutter(time, good, WindowSettings(**options))


class TestWorkedExample:
    """An eclipsing binary (TIC 198242678) in sector 17 of TESS, worked through by hand in the specification."""

    TCE = make_tce("198242678-1-S14-19", period=4.630879134159551, epoch=1687.6912795530343, hours=5.098381254778151)
    DURATION = 5.098381254778151 / 24

    @pytest.fixture
    def sector(self):
        time = np.linspace(1764.6778258, 1789.6931249, 18_012)
        good = np.ones(len(time), dtype=bool)
        good[8364:9392] = False
        return Cutter(time, good, WINDOWS)

    def mids(self, sector):
        return predict(self.TCE, sector.time[0], sector.time[-1])

    def test_six_events_are_predicted(self, sector):
        expected = [1766.416225, 1771.047104, 1775.677983, 1780.308862, 1784.939741, 1789.570621]
        assert self.mids(sector) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize(
        ("number", "edges", "n"),
        [
            (0, (1765.885143, 1766.947306), 765),
            (1, (1770.516023, 1771.578185), 765),
            (2, (1775.146902, 1776.209064), 765),
            (3, (1779.777781, 1780.839944), 765),
            (4, (1784.408660, 1785.470823), 764),
        ],
    )
    def test_five_are_kept_with_their_counts(self, sector, number, edges, n):
        window = sector.cut(self.mids(sector)[number], self.DURATION, in_transit=True)
        assert isinstance(window, Window)
        half = sector.half_width(self.DURATION)
        assert (window.centre - half, window.centre + half) == pytest.approx(edges, abs=1e-6)
        assert window.stop - window.first == n
        central = np.abs(sector.time - window.centre) <= self.DURATION / 2
        assert central.sum() == 153
        assert (window.frac_good, window.frac_good_center) == (1.0, 1.0)

    def test_the_sixth_runs_past_the_data(self, sector):
        assert sector.cut(self.mids(sector)[5], self.DURATION, in_transit=True) is Reason.PAST_DATA_EDGE

    def test_nearest_picks_the_published_cadences(self, sector):
        window = sector.cut(self.mids(sector)[0], self.DURATION, in_transit=True)
        picked = nearest_indices(sector.time[window.first : window.stop], 100)
        assert list(picked[:5]) == [0, 8, 15, 23, 31]
        assert list(picked[-3:]) == [749, 756, 764]

    def test_the_step_is_a_quarter_of_an_hour_and_the_middle_twenty_points_are_the_transit(self, sector):
        window = sector.cut(self.mids(sector)[0], self.DURATION, in_transit=True)
        times = np.linspace(sector.time[window.first], sector.time[window.stop - 1], 100)
        assert np.diff(times) * 1440 == pytest.approx(15.434, abs=5e-4)
        phase = (times - window.centre) / self.DURATION
        assert list(np.flatnonzero(np.abs(phase) <= 0.5)) == list(range(40, 60))
        assert (phase[40], phase[59]) == pytest.approx((-0.477, 0.482), abs=5e-4)

    def test_at_most_a_quarter_of_the_sector_can_host_a_negative(self, sector):
        given = self.TCE.given | {"tce_maxmes": 8.547, "tce_maxmesd": 2.2101738}
        binary = dataclasses.replace(self.TCE, given=given)
        masks = StarMasks(sector.time, 17, cluster([binary], PlanSettings()), MaskSettings())
        forbidden = masks.forbids_negatives(sector.half_width(self.DURATION))
        quiet = sector.quiet_centres(sector.time[~forbidden], self.DURATION)
        assert 0.2 < len(quiet) / len(sector.time) <= 0.27
        distances = quiet[:, None] - np.array([binary.epoch, binary.epoch + 2.2101738])
        folded = (distances + binary.period / 2) % binary.period - binary.period / 2
        assert np.abs(folded).min() > 0.8497


def test_a_window_tells_where_it_lies_and_how_good_it_is():
    time, good = grid(bad=[(1000, 1010)])
    window = cutter(time, good).cut(time[1000], DAYS, in_transit=True)
    inside = np.flatnonzero(np.abs(time - time[1000]) <= 2.5 * DAYS)
    central = np.abs(time - time[1000]) <= 0.5 * DAYS
    assert (window.first, window.stop) == (inside[0], inside[-1] + 1)
    assert window.frac_good == good[inside].mean()
    assert window.frac_good_center == good[central].mean()


@pytest.mark.parametrize(
    ("bad", "options", "outcome"),
    [
        ([(1000, 1055)], {}, Reason.LOW_GOOD_FRACTION_WINDOW),  # 55 of 361 are more than 15 %
        ([(1000, 1050)], {}, Reason.LOW_GOOD_FRACTION_CENTER),  # but 50 at the centre leave half of it
        ([(900, 950)], {}, None),
        ([(1000, 1008)], {}, None),
        ([(1000, 1050)], {"frac_valid_cadences_it_thr": 0.3}, None),
        ([(1000, 1055)], {"frac_valid_cadences_in_window_thr": 0.8, "frac_valid_cadences_it_thr": 0.2}, None),
    ],
)
def test_windows_need_good_cadences_all_over_and_in_the_middle(bad, options, outcome):
    time, good = grid(bad=bad)
    found = cutter(time, good, **options).cut(time[1020], DAYS, in_transit=True)
    assert found is outcome if outcome else isinstance(found, Window)


def test_the_fraction_must_exceed_the_threshold():
    time, good = grid()
    good[700:720] = False
    n, bad = 361, 20
    threshold = (n - bad) / n
    cut = {"centre": time[820], "duration": DAYS, "in_transit": True}
    assert cutter(time, good, frac_valid_cadences_in_window_thr=threshold).cut(**cut) is Reason.LOW_GOOD_FRACTION_WINDOW
    assert isinstance(cutter(time, good, frac_valid_cadences_in_window_thr=threshold - 1e-9).cut(**cut), Window)


def test_out_of_transit_windows_may_have_a_bad_middle():
    time, good = grid(bad=[(1000, 1050)])
    assert isinstance(cutter(time, good).cut(time[1020], DAYS, in_transit=False), Window)


def test_windows_that_leave_the_data_or_hold_none_are_refused():
    time, good = grid()
    edges = cutter(time, good)
    assert edges.cut(time[100], DAYS, in_transit=True) is Reason.PAST_DATA_EDGE
    assert edges.cut(time[-100], DAYS, in_transit=False) is Reason.PAST_DATA_EDGE
    left_out = np.delete(time, np.arange(1000, 2000))
    hole = cutter(left_out, np.ones(len(left_out), dtype=bool))
    assert hole.cut(time[1500], DAYS, in_transit=True) is Reason.NO_CADENCE_IN_WINDOW
    assert hole.cut(time[1100], DAYS, in_transit=True) is Reason.NO_CADENCE_IN_CENTER


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 1400), st.integers(1, 120)), max_size=4),
    st.sampled_from([0.03, 0.1, 0.2]),
    st.integers(0, 2**32 - 1),
)
def test_quiet_centres_are_the_places_that_can_be_cut(holes, duration, seed):
    time, good = grid(1500, bad=[(first, first + n) for first, n in holes])
    forbidden = np.random.default_rng(seed).random(1500) < 0.5
    some = cutter(time, good)
    places = scattered(time, np.random.default_rng(seed))[~forbidden][::7]
    found = some.quiet_centres(places, duration)
    assert list(found) == [t for t in places if isinstance(some.cut(t, duration, in_transit=False), Window)]


def test_windows_with_a_marked_cadence_are_found():
    time, good = grid()
    marked = np.zeros(len(time), dtype=bool)
    marked[3000] = True
    places = scattered(time, np.random.default_rng(0))
    found = cutter(time, good).windows_with(marked, places, DAYS)
    assert np.array_equal(found, np.abs(places - time[3000]) <= 2.5 * DAYS)


def test_one_place_lies_next_to_each_cadence_anywhere_within_it():
    time, _ = grid()
    places = scattered(time, np.random.default_rng(0))
    phase = (places - time) / CADENCE
    assert (np.abs(phase) <= 0.5).all()
    assert np.histogram(phase, bins=10, range=(-0.5, 0.5))[0] == pytest.approx(720, abs=5 * np.sqrt(720))
    assert np.array_equal(places, scattered(time, np.random.default_rng(0)))
    assert list(scattered(time[:1], np.random.default_rng(0))) == [time[0]]


@settings(max_examples=50)
@given(
    n=st.integers(0, 400),
    wanted=st.integers(0, 8),
    half=st.floats(0.01, 0.4),
    taken=st.lists(st.tuples(st.floats(0, 4), st.floats(0.01, 0.5)), max_size=3),
    seed=st.integers(0, 9),
)
def test_windows_are_drawn_apart_from_each_other_and_from_those_taken(n, wanted, half, taken, seed):
    candidates = 0.01 * np.arange(n)
    drawn = draw_apart(candidates, wanted, half, taken, np.random.default_rng(seed), avoid_overlap=True)
    assert drawn == sorted(drawn)
    assert set(drawn) <= set(candidates)
    assert len(drawn) <= wanted
    assert (np.diff(drawn) > 2 * half).all()
    assert all(abs(centre - time) > half + other for centre in drawn for time, other in taken)
    if len(drawn) < wanted:
        everything = [*((time, half) for time in drawn), *taken]
        assert all(any(abs(c - time) <= half + other for time, other in everything) for c in candidates)


def test_drawing_with_overlap_gives_each_centre_once():
    candidates = np.arange(10.0)
    taken = [(3.0, 1.0), (99.0, 1.0)]
    drawn = draw_apart(candidates, 20, 5.0, taken, np.random.default_rng(0), avoid_overlap=False)
    assert drawn == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_draws_depend_on_the_generator_alone():
    first, second, other = (
        draw_apart(np.arange(1000.0), 5, 3.0, [], np.random.default_rng(seed), avoid_overlap=True) for seed in (1, 1, 2)
    )
    assert first == second != other


def cut_all(n=360, points=100, **options):
    """A window over all of `n` cadences of a grid."""
    half = CADENCE * (n - 1) / 2
    options = WindowSettings(resampled_num_points=points, **options)
    time = 1500 + CADENCE * np.arange(n)
    return Window(1500 + half, 2 * half / 5, 0, n, 1.0, 1.0), time, options


def resampled(flux, *, good=None, mask=None, quality=None, points=100, **options):
    n = len(flux)
    window, time, chosen = cut_all(n, points, **options)
    good = np.ones(n, dtype=bool) if good is None else good
    mask = np.zeros(n, dtype=bool) if mask is None else mask
    quality = np.where(good, 1, 0.25).astype(np.float32) if quality is None else quality
    return resample(window, time, np.asarray(flux), quality, mask, good, chosen)


def test_bins_average_their_good_cadences():
    rng = np.random.default_rng(3)
    flux, good, mask = 1 + rng.normal(0, 0.01, 400), rng.random(400) > 0.1, np.arange(400) > 250
    found = resampled(flux, good=good, mask=mask)
    time = cut_all(400)[1]
    which = np.minimum((time - time[0]) / (time[-1] - time[0]) * 100, 99).astype(int)
    for k in range(100):
        inside = which == k
        assert found.flux[k] == pytest.approx(flux[inside & good].mean(), rel=1e-6)
        assert found.n_eff[k] == (inside & good).sum()
        assert found.in_transit[k] == pytest.approx(mask[inside].mean())
        assert found.quality[k] == pytest.approx(np.where(good, 1, 0.25)[inside].mean())
    assert found.n_eff.sum() == good.sum()


def test_bad_cadences_do_not_touch_the_flux():
    flux, good = np.ones(400), np.ones(400, dtype=bool)
    good[[10, 11, 200]], flux[[10, 11, 200]] = False, 1e6
    assert resampled(flux, good=good).flux == pytest.approx(1.0)


def test_binning_halves_the_noise_of_nearest():
    noise = np.random.default_rng(1).normal(1, 1e-3, (20, 450))
    scatter = {how: np.std([resampled(row, resampling=how).flux for row in noise]) for how in ("bin", "nearest")}
    assert scatter["bin"] == pytest.approx(1e-3 / np.sqrt(4.5), rel=0.08)
    assert scatter["nearest"] == pytest.approx(1e-3, rel=0.08)


def test_bins_without_good_cadences_are_bridged_and_say_so():
    flux, good = np.linspace(1, 2, 400), np.ones(400, dtype=bool)
    good[80:120], flux[80:120] = False, -50
    found = resampled(flux, good=good)
    assert np.allclose(np.diff(found.flux), np.diff(found.flux).mean(), rtol=0.02)
    assert (found.n_eff[20:30] == 0).all()
    assert (found.quality[20:30] == 0.25).all()


def test_long_cadences_leave_bins_empty_that_keep_the_quality_of_their_neighbours():
    flux = 1 + 0.01 * np.arange(30)
    found = resampled(flux, mask=np.arange(30) >= 15)
    assert found.n_eff.sum() == 30
    assert (found.quality == 1).all()
    assert np.isfinite(found.flux).all()
    assert (np.diff(found.flux) >= 0).all()
    assert set(found.in_transit) == {0.0, 1.0}
    assert abs(int(found.in_transit.sum()) - 50) <= 2


def test_nearest_takes_single_cadences_as_they_are():
    good = np.ones(400, dtype=bool)
    good[200:] = False
    found = resampled(np.arange(400.0), good=good, mask=~good, resampling="nearest")
    assert list(found.flux[:4]) == [0, 4, 8, 12]
    assert set(found.n_eff) == set(found.in_transit) == {0.0, 1.0}
    assert np.array_equal(found.n_eff, 1 - found.in_transit)


@pytest.mark.parametrize("resampling", ["bin", "nearest"])
@pytest.mark.parametrize("n", [1, 2, 7, 99, 100, 101, 765])
@pytest.mark.parametrize("points", [10, 100, 201])
def test_any_number_of_cadences_becomes_the_points_asked_for(resampling, n, points):
    time = 1500 + CADENCE * np.arange(n)
    window = Window(time.mean(), max(time[-1] - time[0], 0.01) / 5, 0, n, 1.0, 1.0)
    chosen = WindowSettings(resampling=resampling, resampled_num_points=points)
    true = np.ones(n, dtype=bool)
    found = resample(window, time, np.full(n, 2.0), np.ones(n, dtype=np.float32), true, true, chosen)
    for part in (found.flux, found.quality, found.in_transit, found.n_eff):
        assert (part.shape, part.dtype) == ((points,), np.float32)
    assert (found.flux == 2).all()
    assert (found.in_transit == 1).all()
    assert (found.quality == 1).all()


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=40), st.integers(2, 60))
def test_nearest_is_nearest(steps, points):
    time = 1500 + np.cumsum(steps)
    wanted = np.linspace(time[0], time[-1], points)
    picked = nearest_indices(time, points)
    distances = np.abs(time - wanted[:, None])
    assert np.allclose(distances[np.arange(points), picked], distances.min(axis=1))


def window_of(flux, n_eff=None):
    n_eff = np.ones(len(flux)) if n_eff is None else n_eff
    return Resampled(*(np.asarray(part, dtype=np.float32) for part in (flux, np.ones(100), np.zeros(100), n_eff)))


def test_the_measured_depth_is_that_of_the_middle():
    flux = np.ones(100)
    flux[40:60] = 0.99
    assert measured_depth_ppm(window_of(flux), 20) == pytest.approx(10_000, rel=1e-4)
    assert measured_depth_ppm(window_of(np.ones(100)), 20) == 0
    flux[30:40], flux[60:70] = 5, 5  # the shoulders do not count
    assert measured_depth_ppm(window_of(flux), 20) == pytest.approx(10_000, rel=1e-4)


def test_without_good_points_there_is_no_depth():
    assert np.isnan(measured_depth_ppm(window_of(np.ones(100), np.zeros(100)), 20))
