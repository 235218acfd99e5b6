"""Masks of a star: which events keep which windows away, checked event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_stars import CADENCE, START, make_tce, mid_times

from trainyard.transit.events import cluster
from trainyard.transit.settings import MaskSettings, PlanSettings
from trainyard.transit.starmasks import StarMasks

PLAN = PlanSettings()
TIME = START + CADENCE * np.arange(0, 9000)
TWO_MINUTES = 2 / 1440


def masks_of(*tces, plan=PLAN, **options):
    return StarMasks(TIME, 1, cluster(tces, plan), MaskSettings(**options))


def covers(mask, events, reach):
    """Whether a mask holds the times within `reach` of any event; within a nanoday of its edges anything goes."""
    distance = np.abs(TIME[:, None] - np.asarray(events)).min(axis=1)
    clear = np.abs(distance - reach) > 1e-9
    return np.array_equal(mask[clear], (distance <= reach)[clear])


def mids(tce, offset=0.0):
    return [mid + offset for mid in mid_times(tce, TIME[0] - 20, TIME[-1] + 20)]


@settings(max_examples=30)
@given(
    other=st.floats(1.5, 6.0),
    this=st.floats(1.5, 6.0),
    offset=st.sampled_from([float("nan"), -0.41, 1.47]),
    period=st.floats(1.1, 9.0),
)
def test_negatives_keep_one_and_a_half_durations_of_others_plus_half_a_window_away(other, this, offset, period):
    tce = make_tce(hours=other, period=period, tce_maxmes=9.0, tce_maxmesd=offset)
    forbidden = masks_of(tce).forbids_negatives(2.5 * this / 24)
    reach = 1.5 * other / 24 + 2.5 * this / 24 + TWO_MINUTES
    events = mids(tce) + (mids(tce, offset) if np.isfinite(offset) else [])
    assert covers(forbidden, events, reach)


@pytest.mark.parametrize("kind", ["KP", "EB", "NTP", "NPC", "UNK", "FP", "BD", "PC"])
def test_events_of_every_disposition_keep_negatives_away(kind):
    tce = make_tce(disposition=kind)
    assert covers(masks_of(tce, unlisted_secondaries=False).all_dispositions(), mids(tce), 1.5 * 0.1)
    assert masks_of(tce).forbids_negatives(0.25).any()


def test_a_binary_whose_secondary_nobody_searched_is_masked_at_phase_one_half():
    tce = make_tce(disposition="EB")
    both = mids(tce) + mids(tce, tce.period / 2)
    assert covers(masks_of(tce).all_dispositions(), both, 1.5 * 0.1)
    assert len(masks_of(tce).dips()) == 2
    assert masks_of(tce, unlisted_secondaries=False).all_dispositions().sum() < len(TIME) * 0.2
    searched = make_tce(disposition="EB", tce_maxmes=3.0, tce_maxmesd=0.9)
    assert covers(masks_of(searched).all_dispositions(), mids(searched), 1.5 * 0.1)


@pytest.mark.parametrize(("mes", "offset"), [(0.0, 0.0), (-1.0, 0.0), (-1.0, -1.0), (0.0, 0.9), (9.0, float("nan"))])
def test_a_secondary_that_the_table_calls_missing_by_a_number_was_not_searched(mes, offset):
    tce = make_tce(disposition="EB", tce_maxmes=mes, tce_maxmesd=offset)
    assert covers(masks_of(tce).all_dispositions(), mids(tce) + mids(tce, tce.period / 2), 1.5 * 0.1)


def test_masks_that_keep_windows_away_know_the_errors_of_an_ephemeris():
    tce = make_tce(errors=(1e-3, 1e-2))  # the sector begins with the epoch, so that its six events are zero to five
    error = np.hypot(1e-2, 1e-3 * np.rint((TIME - tce.epoch) / tce.period))
    distance = np.abs(TIME[:, None] - np.array(mids(tce))).min(axis=1)
    masks, published = masks_of(tce), masks_of(tce, timing_error_sigmas=0)
    for of, margin in (
        (lambda m: m.all_dispositions(), 0.0),
        (lambda m: m.positive(), 0.0),
        (lambda m: m.forbids_negatives(0.25), 0.25 + TWO_MINUTES),
        (lambda m: m.forbids_negative_dispositions(0.25), 0.25 + TWO_MINUTES),
    ):
        assert np.array_equal(of(masks), distance <= 0.15 + margin + 3 * error)
        assert covers(of(published), mids(tce), 0.15 + margin)
    assert np.array_equal(masks.true_in_transit(), published.true_in_transit())
    assert np.array_equal(masks.detrending(), published.detrending())


def test_an_event_has_drifted_where_none_of_its_runs_knows_its_time():
    rough = make_tce("7-1-S9", run="9", sectors=(9,), epoch=START - 799, errors=(1e-4, 1e-3))  # 400 periods ago
    exact = make_tce("7-1-S1-9", run="1-9", sectors=None, errors=(1e-6, 1e-3))
    unknown = make_tce("7-2-S9", run="9", sectors=(9,), period=3.3)
    assert masks_of(rough).drifted(0.25)
    assert not masks_of(rough).drifted(0.5)
    assert not masks_of(rough, exact).drifted(0.25)
    assert not masks_of(unknown).drifted(0.25)
    other = make_tce("7-2-S1", period=3.3, errors=(1e-6, 1e-3))
    assert masks_of(other, rough).drifted(0.25)


@pytest.mark.parametrize(
    ("kind", "positive", "true"),
    [
        ("EB", 1, 1),
        ("KP", 1, 1),
        ("CP", 1, 1),
        ("NEB", 0, 1),
        ("NPC", 0, 1),
        ("NTP", 0, 0),
        ("UNK", 0, 0),
        ("FP", 0, 0),
    ],
)
def test_positive_and_true_events_are_told_by_disposition(kind, positive, true):
    masks = masks_of(make_tce(disposition=kind))
    assert masks.positive().any() == positive
    assert masks.forbids_negative_dispositions(0.25).any() == positive
    assert masks.true_in_transit().any() == true


def test_the_true_mask_is_exact_and_without_secondaries():
    tce = make_tce(tce_maxmes=50.0, tce_maxmesd=0.9)
    assert covers(masks_of(tce).true_in_transit(), mids(tce), 0.05)


def test_the_detrending_mask_has_its_own_width():
    tce = make_tce(tce_maxmes=50.0, tce_maxmesd=0.9)
    assert covers(masks_of(tce).detrending(), mids(tce) + mids(tce, 0.9), 0.1)


@pytest.mark.parametrize(("threshold", "masked"), [(0.0, True), (7.1, False), (3.0, True)])
def test_weak_secondaries_are_masked_above_the_threshold(threshold, masked):
    """At 0 every secondary that a search finds in noise is masked: the published set has hardly any quiet time."""
    tce = make_tce(tce_maxmes=3.5, tce_maxmesd=-0.9)
    masks = masks_of(tce, weak_sec_mask_maxmes_thr=threshold)
    assert covers(masks.all_dispositions(), mids(tce) + (mids(tce, -0.9) if masked else []), 0.15)


def test_an_event_found_by_many_runs_has_one_secondary():
    offsets = [-0.41, 0.47, 0.94, 0.56, -0.85]
    runs = [
        make_tce(f"7-1-S{k}", run=str(k), period=3.0, tce_maxmes=2.0 + k / 10, tce_maxmesd=offset)
        for k, offset in enumerate(offsets, start=1)
    ]
    one = masks_of(*runs, weak_sec_mask_maxmes_thr=0).all_dispositions()
    assert covers(one, mids(runs[0]) + mids(runs[0], offsets[-1]), 0.15)
    each = masks_of(*runs, weak_sec_mask_maxmes_thr=0, plan=PlanSettings(duplicates="keep")).all_dispositions()
    assert each.mean() > 2 * one.mean()


def test_the_strongest_secondary_counts_whichever_run_saw_it():
    tces = [
        make_tce("7-1-S1", tce_maxmes=3.0, tce_maxmesd=0.5, tce_max_mult_ev=30.0),
        make_tce("7-2-S1", tce_maxmes=12.0, tce_maxmesd=0.9),
        make_tce("7-3-S1"),
    ]
    assert covers(masks_of(*tces).all_dispositions(), mids(tces[0]) + mids(tces[0], 0.9), 0.15)


def test_events_of_other_sectors_and_runs_keep_windows_away_too():
    tce = make_tce("7-1-S14-50", run="14-50", sectors=tuple(range(14, 51)))
    assert covers(masks_of(tce).all_dispositions(), mids(tce), 0.15)


def test_the_previous_logic_masks_the_same_run_only():
    here, there = make_tce("7-1-S1", period=2.0), make_tce("7-2-S1-3", run="1-3", period=3.1, epoch=START + 0.3)
    masks = masks_of(here, there, masking="sector_run")
    run = masks.run_of(here)
    assert run == "1"
    assert covers(masks.all_dispositions(run), mids(here), 0.15)
    assert covers(masks.all_dispositions(), mids(here) + mids(there), 0.15)
    assert masks.run_of(None) is None
    assert masks_of(here, there).run_of(here) is None


def test_dips_between_those_of_a_double_period_are_masked():
    double = make_tce("7-1-S1", period=4.0)
    true = make_tce("7-1-S5", run="5", sectors=(5,), period=2.0)
    assert covers(masks_of(double, true).all_dispositions(), mids(true), 0.15)


def test_every_kind_of_dip_is_listed_once_from_the_best_ephemeris():
    tces = [
        make_tce("7-1-S1-2", run="1-2", sectors=(1, 2), tce_maxmes=9.0, tce_maxmesd=0.9),
        make_tce("7-1-S1"),
        make_tce("7-2-S1", period=1.0),
        make_tce("7-3-S1", period=3.3, tce_maxmes=2.0, tce_maxmesd=0.9),
    ]
    dips = masks_of(*tces).dips()
    assert [(dip.period, dip.epoch) for dip in dips] == [(2.0, START + 1), (2.0, START + 1.9), (3.3, START + 1)]
    assert all(np.isnan(dip.secondary_mes) for dip in dips)


def test_a_star_without_events_is_quiet():
    masks = masks_of()
    for mask in (masks.all_dispositions(), masks.positive(), masks.true_in_transit(), masks.forbids_negatives(0.3)):
        assert not mask.any()
