"""Event masks against definitions that list every event one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trainyard.transit.masks import Ephemeris, event_mask, grown_mask, phase_distance

HOUR = 1 / 24
NONE = math.inf


def mids_between(epoch, period, start, stop):
    """Every mid-time of an ephemeris in an interval and one period around it."""
    first = math.floor((start - epoch) / period) - 1
    last = math.ceil((stop - epoch) / period) + 1
    return epoch + period * np.arange(first, last + 1)


def test_phase_distance_is_signed_and_half_open():
    distance = phase_distance(np.array([8.0, 9.0, 10.0, 10.9, 11.0, 12.0, 13.0]), 10.0, 4.0)
    assert distance == pytest.approx([-2.0, -1.0, 0.0, 0.9, 1.0, -2.0, -1.0])


@given(time=st.floats(-3000, 3000), epoch=st.floats(-3000, 3000), period=st.floats(0.2, 1000))
def test_phase_distance_stays_in_its_interval_and_differs_by_whole_periods(time, epoch, period):
    distance = float(phase_distance(np.array([time]), epoch, period)[0])
    assert -period / 2 <= distance < period / 2
    cycles = (time - epoch - distance) / period
    assert cycles == pytest.approx(round(cycles), abs=1e-6)


def test_a_mask_includes_both_of_its_ends():
    planet = Ephemeris(period=10.0, epoch=2.0, duration=0.5)
    time = np.array([1.24, 1.25, 2.0, 2.75, 2.76, 12.75, 12.76, np.nan])
    mask = event_mask(time, [planet], width=3, max_mes_threshold=NONE)
    assert np.array_equal(mask, [0, 1, 1, 1, 0, 1, 0, 0])


def test_no_event_masks_nothing():
    assert not event_mask(np.arange(5.0), [], width=3, max_mes_threshold=0).any()


@pytest.mark.parametrize(("mes", "threshold", "masked"), [(8, 7.1, True), (7.1, 7.1, False), (8, NONE, False)])
def test_a_secondary_is_masked_above_the_threshold_only(mes, threshold, masked):
    binary = Ephemeris(period=10.0, epoch=2.0, duration=0.5, secondary_offset=-3.0, secondary_mes=mes)
    assert event_mask(np.array([9.0]), [binary], width=1, max_mes_threshold=threshold)[0] == masked


@pytest.mark.parametrize(("offset", "mes"), [(math.nan, 9.0), (3.0, math.nan), (math.nan, math.nan)])
def test_without_an_offset_or_a_statistic_there_is_no_secondary(offset, mes):
    star = Ephemeris(period=10.0, epoch=2.0, duration=0.5, secondary_offset=offset, secondary_mes=mes)
    time = np.arange(0.0, 20.0, 0.01)
    alone = Ephemeris(period=10.0, epoch=2.0, duration=0.5)
    expected = event_mask(time, [alone], width=1, max_mes_threshold=0)
    assert np.array_equal(event_mask(time, [star], width=1, max_mes_threshold=0), expected)


def test_out_of_transit_centres_of_the_worked_example_lie_four_durations_off():
    # TIC 198242678, an eclipsing binary with a secondary; half widths 1.5 D of the mask and 2.5 D of the window.
    binary = Ephemeris(4.630879134159551, 1687.6912795530343, 5.098381254778151 * HOUR, 2.2101738, 8.547)
    time = np.arange(1764.6778258, 1789.6931249, 2 / 1440)
    mask = grown_mask(time, [binary], width=3, max_mes_threshold=7.1, margin_days=2.5 * binary.duration)
    distance = np.minimum(
        np.abs(phase_distance(time, binary.epoch, binary.period)),
        np.abs(phase_distance(time, binary.epoch + 2.2101738, binary.period)),
    )
    assert np.array_equal(mask, distance <= 4 * binary.duration)
    assert 1 - mask.mean() == pytest.approx(0.27, abs=0.02)


@st.composite
def isolated_stars(draw):
    """Events so far apart that the grown masks of neighbours do not meet."""
    duration = draw(st.floats(0.5, 12)) * HOUR
    period = duration * draw(st.floats(12, 60))
    offset = draw(st.one_of(st.just(math.nan), st.floats(-0.5, 0.5).map(lambda x: x * period)))
    return Ephemeris(period, draw(st.floats(1300, 1400)), duration, offset, draw(st.sampled_from([3.0, 9.0, math.nan])))


@given(
    stars=st.lists(isolated_stars(), min_size=1, max_size=3),
    width=st.sampled_from([1.0, 3.0]),
    window_hours=st.floats(1, 60),
    threshold=st.sampled_from([0.0, 7.1, math.inf]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_centre_is_forbidden_exactly_if_its_window_overlaps_a_masked_interval(
    stars, width, window_hours, threshold, seed
):
    half = window_hours * HOUR / 2
    centres = 1350 + 27 * np.random.default_rng(seed).random(300)
    overlaps = np.zeros(centres.shape, dtype=bool)
    for star in stars:
        epochs = [star.epoch]
        if star.secondary_mes > threshold and not math.isnan(star.secondary_offset):
            epochs.append(star.epoch + star.secondary_offset)
        for epoch in epochs:
            mids = mids_between(epoch, star.period, 1350, 1377)
            reach = width * star.duration / 2
            gap = np.maximum(mids - reach - (centres[:, None] + half), centres[:, None] - half - (mids + reach))
            assume(np.abs(gap).min() > 1e-9)
            overlaps |= (gap <= 0).any(axis=1)
    mask = grown_mask(centres, stars, width=width, max_mes_threshold=threshold, margin_days=half)
    assert np.array_equal(mask, overlaps)


@given(star=isolated_stars(), margin=st.floats(0, 2))
def test_growing_is_the_same_as_a_wider_mask(star, margin):
    time = 1350 + 27 * np.linspace(0, 1, 500)
    assume(np.abs(np.abs(phase_distance(time, star.epoch, star.period)) - 1.5 * star.duration - margin).min() > 1e-9)
    grown = grown_mask(time, [star], width=3, max_mes_threshold=NONE, margin_days=margin)
    width = 3 + 2 * margin / star.duration
    assert np.array_equal(grown, event_mask(time, [star], width=width, max_mes_threshold=NONE))


def test_masks_reach_farther_the_less_the_time_of_an_event_is_known():
    planet = Ephemeris(period=2.0, epoch=1500.0, duration=0.1, period_err=1e-3, epoch_err=0.01)
    assert planet.timing_error(np.array([1500.3, 1540.9, 1460.1])) == pytest.approx(
        [0.01, np.hypot(0.01, 0.02), np.hypot(0.01, 0.02)]
    )
    time = 1500 + 0.002 * np.arange(30_000)
    mask = grown_mask(time, [planet], width=3, max_mes_threshold=NONE, margin_days=0.25, timing_error_sigmas=3)
    orbit = np.rint((time - 1500) / 2)
    reach = 0.15 + 0.25 + 3 * np.hypot(0.01, 1e-3 * orbit)
    assert np.array_equal(mask, np.abs(time - 1500 - 2 * orbit) <= reach)


@given(star=isolated_stars(), sigmas=st.floats(0, 5))
def test_an_ephemeris_without_errors_is_masked_as_published(star, sigmas):
    time = 1350 + 27 * np.linspace(0, 1, 500)
    options = {"width": 3, "max_mes_threshold": 7.1, "margin_days": 0.3}
    published = grown_mask(time, [star], **options)
    assert np.array_equal(grown_mask(time, [star], **options, timing_error_sigmas=sigmas), published)


@pytest.mark.parametrize("bad", [{"period": 0.0}, {"period": math.nan}, {"duration": -1.0}, {"epoch": math.inf}])
def test_an_impossible_ephemeris_is_refused(bad):
    with pytest.raises(ValueError, match="need a finite period"):
        Ephemeris(**({"period": 1.0, "epoch": 0.0, "duration": 0.1} | bad))
