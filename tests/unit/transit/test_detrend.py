"""Trends go, transits stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.transit.detrend import NonPositiveFluxError, detrend
from trainyard.transit.lightcurves import PreparedCurve
from trainyard.transit.masks import Ephemeris, event_mask, phase_distance
from trainyard.transit.settings import LightCurveSettings

CADENCE = 2 / 1440
EPOCH = 1500.4
DURATION = 3 / 24
LEVEL = 5000.0
FILTERS = [{"detrend": "biweight"}, {"detrend": "savgol"}, {"detrend": "savgol", "savgol_order": "auto"}]


def prepared(time, flux, good=None):
    good = np.ones(time.shape, dtype=bool) if good is None else good
    filled = np.where(good, flux, np.interp(time, time[good], flux[good]))
    return PreparedCurve(time, filled, good, good.astype(np.float32))


def sector(days=27.0, cadence=CADENCE):
    """Times of a TESS sector with its gap in the middle."""
    time = 1500 + np.arange(0, days, cadence)
    return time[(time < 1500 + 0.48 * days) | (time > 1500 + 0.52 * days)]


def variability(time):
    """1 % in 9 days and 0.3 % in 3.5 days."""
    return LEVEL * (1 + 0.01 * np.sin(2 * np.pi * time / 9) + 0.003 * np.sin(2 * np.pi * time / 3.5 + 1))


def transits(time, period, depth):
    return np.where(np.abs(phase_distance(time, EPOCH, period)) <= DURATION / 2, 1 - depth, 1.0)


def mask_of(time, period, duration=DURATION):
    return event_mask(time, [Ephemeris(period, EPOCH, duration)], width=2, max_mes_threshold=math.inf)


def run(curve, mask=None, duration=DURATION, **knobs):
    mask = np.zeros(curve.time.shape, dtype=bool) if mask is None else mask
    return detrend(curve, mask, settings=LightCurveSettings(**knobs), longest_duration_days=duration)


def depths(time, flux, period):
    """Median of the edges minus median of the central half duration, of each whole window of 5 durations."""
    found = []
    for mid in EPOCH + period * np.arange(math.floor(27 / period) + 1):
        distance = np.abs(time - mid)
        if (distance <= 2.5 * DURATION).sum() > 0.97 * 5 * DURATION / CADENCE:
            edges = (distance > 0.6 * DURATION) & (distance <= 2.5 * DURATION)
            found.append(np.median(flux[edges]) - np.median(flux[distance < 0.25 * DURATION]))
    return np.array(found)


def test_off_divides_by_the_median_of_the_good_cadences():
    time = 1500 + CADENCE * np.arange(5)
    good = np.array([True, True, False, True, False])
    out = run(prepared(time, np.array([90.0, 100.0, 5000.0, 110.0, 9000.0]), good), detrend="off")
    assert (out.method, out.order) == ("off", None)
    assert math.isnan(out.window_days)
    assert np.all(out.trend == 100)
    assert out.flux[good] == pytest.approx([0.9, 1.0, 1.1])


@pytest.mark.parametrize("knobs", [{"detrend": "off"}, *FILTERS])
def test_a_constant_becomes_one(knobs):
    time = sector()
    out = run(prepared(time, np.full(time.shape, LEVEL)), mask_of(time, 3.0), **knobs)
    assert out.flux == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("order", [2, 3])
def test_a_quadratic_survives_the_savgol_filter(order):
    time = sector()
    x = (time - time[0]) / 27
    out = run(prepared(time, LEVEL * (1 + 0.3 * x - 0.2 * x**2)), detrend="savgol", savgol_order=order)
    assert out.flux == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_savgol_filter_has_a_gain_of_one(order):
    # Coefficients that do not sum to 1, as those of orders 5 and 6 do not, would scale the whole light curve.
    time = sector()
    noise = np.random.default_rng(0).normal(0, 1, time.shape)
    out = run(prepared(time, LEVEL + noise), detrend="savgol", savgol_order=order)
    assert out.flux.mean() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("period", [0.5, 0.8, 1.3, 3.0, 13.0])
@pytest.mark.parametrize("knobs", FILTERS)
def test_depths_are_kept_within_two_percent_at_any_period(knobs, period):
    time = sector()
    trend = LEVEL * (1 + 0.01 * np.sin(2 * np.pi * time / 9))
    out = run(prepared(time, trend * transits(time, period, 0.005)), mask_of(time, period), **knobs)
    found = depths(time, out.flux, period)
    assert found.size > 0
    assert found == pytest.approx(0.005, rel=0.02)


@pytest.mark.parametrize(("knobs", "limit"), [*zip(FILTERS, [250, 120, 120], strict=True)])
@pytest.mark.parametrize("period", [0.8, 1.3, 10.0])
def test_the_trend_is_as_good_under_short_periods_as_under_long_ones(knobs, limit, period):
    # A detrender that cuts at every masked transit is wrong by 2,226 ppm for 0.8 d and by 3,807 ppm for 1.3 d here.
    time = sector()
    flux = variability(time) * transits(time, period, 0.002)
    flux += LEVEL * 500e-6 * np.random.default_rng(3).standard_normal(time.size)
    out = run(prepared(time, flux), mask_of(time, period), **knobs)
    assert 1e6 * np.std(out.trend / variability(time)) < limit


@pytest.mark.parametrize("knobs", FILTERS)
def test_flares_and_dips_that_no_table_lists_do_not_pull_the_trend(knobs):
    time = sector()
    quiet = variability(time) + LEVEL * 300e-6 * np.random.default_rng(4).standard_normal(time.size)
    flare = 0.2 * LEVEL * np.where(time > 1505, np.exp(-np.abs(time - 1505) / 0.02), 0)
    dip = np.where(np.abs(time - 1509.2) < DURATION / 2, 0.99, 1.0)
    expected = run(prepared(time, quiet), **knobs).trend
    for disturbed in (quiet + flare, quiet * dip):
        assert 1e6 * np.abs(run(prepared(time, disturbed), **knobs).trend / expected - 1).max() < 200


@pytest.mark.parametrize("noise", [0, 2e-5, 1e-4, 3e-3])
@pytest.mark.parametrize("knobs", FILTERS[:2])
def test_clipping_does_not_run_away_at_any_noise(knobs, noise):
    time = sector()
    flux = variability(time) + LEVEL * noise * np.random.default_rng(7).standard_normal(time.size)
    out = run(prepared(time, flux), mask_of(time, 3.0), **knobs)
    assert np.std(out.trend / variability(time)) < 1e-4 + noise / 10


def test_the_window_is_at_least_three_durations_of_the_longest_event():
    time = sector()
    curve = prepared(time, variability(time))
    assert run(curve, detrend="biweight").window_days == 1.2
    assert run(curve, detrend="savgol", duration=0.6).window_days == pytest.approx(1.8)


def test_stretches_between_data_gaps_are_independent():
    time = sector()
    jump = np.where(time > 1513.5, 1.3, 1.0)
    for knobs in FILTERS:
        apart = run(prepared(time, variability(time) * jump), mask_of(time, 1.3), **knobs)
        assert apart.method == knobs["detrend"]
        whole = run(prepared(time, variability(time)), mask_of(time, 1.3), **knobs)
        assert apart.flux == pytest.approx(whole.flux, abs=1e-9)


def test_a_run_of_bad_cadences_cuts_like_missing_rows():
    time = 1500 + np.arange(0, 8, CADENCE)
    good = (time < 1503.7) | (time > 1504.3)
    flux = variability(time) * np.where(time > 1504, 1.5, 1.0)
    for knobs in FILTERS[:2]:
        out = run(prepared(time, flux, good), **knobs)
        assert np.abs(out.flux[good] - 1).max() < 2e-3
        assert np.isfinite(out.flux).all()


def test_bad_cadences_do_not_shift_the_filter():
    time = sector()
    kept = np.random.default_rng(5).random(time.size) > 0.3
    for knobs in FILTERS[:2]:
        every = run(prepared(time, variability(time)), **knobs)
        some = run(prepared(time, variability(time), kept), **knobs)
        assert some.trend[kept] == pytest.approx(every.trend[kept], rel=5e-5)


@pytest.mark.parametrize(("days", "method"), [(0.5, "median"), (0.9, "line"), (1.5, "savgol")])
def test_a_stretch_shorter_than_the_window_gets_a_stiffer_trend(days, method):
    time = 1500 + np.arange(0, days, CADENCE)
    flux = LEVEL * (1 + 0.01 * (time - 1500))
    out = run(prepared(time, flux), detrend="savgol")
    assert out.method == method
    expected = np.full(time.shape, np.median(flux)) if method == "median" else flux
    assert out.trend == pytest.approx(expected, rel=1e-9)


def test_a_stretch_full_of_events_gets_the_median_of_what_is_left():
    time = 1500 + np.arange(0, 5, CADENCE)
    mask = time > 1500.9
    flux = np.where(mask, 0.9, 1.0) * LEVEL
    out = run(prepared(time, flux), mask, detrend="biweight")
    assert out.method == "median"
    assert np.all(out.trend == LEVEL)
    everything = run(prepared(time, flux), np.ones(time.shape, dtype=bool), detrend="biweight")
    assert np.all(everything.trend == np.median(flux))


def test_the_methods_of_all_stretches_are_recorded():
    time = np.concatenate([1500 + np.arange(0, 5, CADENCE), 1506 + np.arange(0, 0.8, CADENCE)])
    assert run(prepared(time, variability(time)), detrend="biweight").method == "biweight+line"


def test_auto_takes_a_high_order_for_fast_variability_and_a_low_one_for_noise():
    time = sector(13)
    noise = np.random.default_rng(6).standard_normal(time.size)
    fast = LEVEL * (1 + 0.01 * np.sin(2 * np.pi * time / 2)) + LEVEL * 1e-4 * noise
    calm = LEVEL * (1 + 1e-3 * noise)
    assert run(prepared(time, fast), mask_of(time, 1.3), detrend="savgol", savgol_order="auto").order >= 2
    assert run(prepared(time, calm), mask_of(time, 1.3), detrend="savgol", savgol_order="auto").order <= 1


def test_the_cadence_of_kepler_works_too():
    time = sector(60, cadence=29.4 / 1440)
    mask = mask_of(time, 14.4, duration=0.25)
    for knobs in FILTERS:
        out = run(prepared(time, variability(time)), mask, duration=0.25, **knobs)
        assert out.method == knobs["detrend"]
        assert 1e6 * np.std(out.flux) < 400


@pytest.mark.parametrize("knobs", [{"detrend": "off"}, *FILTERS[:2]])
def test_flux_that_is_not_positive_has_no_relative_flux(knobs):
    time = sector(13)
    with pytest.raises(NonPositiveFluxError, match="needs it positive"):
        run(prepared(time, -variability(time)), **knobs)


@pytest.mark.parametrize("n", [1, 2, 12])
@pytest.mark.parametrize("knobs", [{"detrend": "off"}, *FILTERS])
def test_a_handful_of_cadences_is_divided_by_its_median(knobs, n):
    time = 1500 + CADENCE * np.arange(n)
    assert run(prepared(time, np.full(n, 7.0)), **knobs).flux == pytest.approx(1.0)


@settings(max_examples=40)
@given(
    which=st.sampled_from(FILTERS),
    window=st.sampled_from([0.02, 0.3, 1.2, 5.0]),
    gap=st.sampled_from([0.005, 0.5]),
    sigma=st.sampled_from([1.0, 5.0]),
    bad=st.sampled_from([0.0, 0.02, 0.6, 0.98]),
    width=st.floats(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_is_missing_the_trend_stays_near_the_star(which, window, gap, sigma, bad, width, seed):
    rng = np.random.default_rng(seed)
    time = 1500 + np.arange(0, 4, 10 / 1440)
    good = rng.random(time.size) > bad
    good[rng.integers(time.size)] = True
    begin = 1500 + 4 * rng.random()
    mask = (time > begin) & (time < begin + width)
    flux = variability(time) * (1 + 1e-3 * rng.standard_normal(time.size))
    knobs = {"detrend_window_days": window, "detrend_gap_days": gap, "detrend_sigma": sigma}
    out = run(prepared(time, flux, good), mask, **which, **knobs)
    assert np.abs(out.trend / variability(time) - 1).max() < 0.05
    assert np.isfinite(out.flux).all()
