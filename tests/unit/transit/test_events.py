"""Events: one physical dip is one event, however many searches found it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_stars import make_tce, mid_times

from trainyard.transit.events import (
    Event,
    cluster,
    predict,
    predict_sector,
    predicted_times,
    same_event,
    timing_error_durations,
)
from trainyard.transit.settings import PlanSettings

PLAN = PlanSettings()
KEEP = PlanSettings(duplicates="keep")
ALL = PLAN.tce_example_disps


def groups(tces, plan=PLAN):
    return [sorted(tce.uid for tce in event.members) for event in cluster(tces, plan)]


def test_one_planet_found_in_several_runs_is_one_event():
    runs = [
        make_tce("7-1-S47", run="47", period=3.0000, epoch=1500.00),
        make_tce("7-1-S14-50", run="14-50", period=3.0003, epoch=1500.01, hours=2.5),
        make_tce("7-2-S14-60", run="14-60", period=2.9998, epoch=1503.01, hours=2.45),
    ]
    assert groups(runs) == [["7-1-S14-50", "7-1-S47", "7-2-S14-60"]]


def test_two_planets_are_two_events():
    assert groups([make_tce("7-1-S1", period=3.0), make_tce("7-2-S1", period=4.7)]) == [["7-1-S1"], ["7-2-S1"]]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"period": 4.0}, True),  # twice
        ({"period": 4.0, "epoch": 1503.0}, True),  # twice, at the other dip
        ({"period": 1.0}, True),  # half
        ({"period": 8.0}, True),  # the largest ratio
        ({"period": 10.0}, False),
        ({"period": 3.0}, False),  # 3:2 is no integer ratio
        ({"period": 2.001}, True),
        ({"period": 2.01}, False),
        ({"epoch": 1501.09}, True),  # within one duration of 0.1 d
        ({"epoch": 1501.11}, False),
        ({"epoch": 1501.11, "hours": 3.0}, True),  # within the longer of two durations
        ({"epoch": 1501.0 - 200 * 2.0}, True),
    ],
)
def test_events_agree_in_period_and_phase(other, same):
    a, b = make_tce(period=2.0, epoch=1501.0, hours=2.4), make_tce(**{"period": 2.0, "epoch": 1501.0} | other)
    assert same_event(a, b, PLAN) == same
    assert same_event(b, a, PLAN) == same


def test_clusters_are_chained():
    """Odd and even dips, each found at twice the period, belong to the search that found both."""
    odd, even = make_tce("7-1-S1", period=4.0, epoch=1501.0), make_tce("7-2-S1", period=4.0, epoch=1503.0)
    assert len(groups([odd, even])) == 2
    assert len(groups([odd, even, make_tce("7-3-S1", period=2.0, epoch=1501.0)])) == 1


def test_kept_duplicates_are_events_of_their_own():
    tces = [make_tce("7-1-S2"), make_tce("7-1-S1")]
    assert groups(tces, KEEP) == [["7-1-S1"], ["7-1-S2"]]
    assert [event.event_id for event in cluster(tces, KEEP)] == ["7-1-S1", "7-1-S2"]


ephemerides = st.builds(
    lambda period, ratio, phase, kind, run: {
        "period": period * ratio,
        "epoch": 1500 + phase,
        "disposition": kind,
        "run": run,
        "sectors": tuple(range(1, run + 1)),
    },
    st.sampled_from([2.0, 2.0005, 3.1]),
    st.sampled_from([0.5, 1, 2]),
    st.sampled_from([0.0, 0.03, 1.0]),
    st.sampled_from(["EB", "KP", "NTP", "UNK"]),
    st.integers(1, 3),
)


@settings(max_examples=60)
@given(st.lists(ephemerides, max_size=7), st.randoms(use_true_random=False))
def test_clusters_depend_on_the_tces_alone_and_hold_each_of_them_once(rows, rng: random.Random):
    tces = [make_tce(f"7-{k}-S1", **row) for k, row in enumerate(rows, start=1)]
    events = cluster(tces, PLAN)
    assert sorted(tce.uid for event in events for tce in event.members) == sorted(tce.uid for tce in tces)
    shuffled = cluster(rng.sample(tces, len(tces)), PLAN)
    assert [(event.event_id, [tce.uid for tce in event.members]) for event in shuffled] == [
        (event.event_id, [tce.uid for tce in event.members]) for event in events
    ]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"disposition": "NTP"}, {"disposition": "UNK"}),  # exemplified
        ({"disposition": "EB"}, {"disposition": "NTP"}),  # the stronger disposition
        ({"sectors": (1, 2, 3)}, {"sectors": (1,)}),
        ({"sectors": None}, {"sectors": (1, 2, 3)}),
        ({"tce_max_mult_ev": 20.0}, {"tce_max_mult_ev": 9.0}),
        ({"tce_max_mult_ev": 9.0}, {}),
    ],
)
def test_the_better_ephemeris_represents_an_event(better, worse):
    tces = [make_tce("7-1-S1", **worse), make_tce("7-2-S1", **better)]
    (event,) = cluster(tces, PLAN)
    assert event.event_id == "7-2-S1"
    assert [tce.uid for tce in event.members] == ["7-2-S1", "7-1-S1"]


def test_a_member_that_is_exemplified_represents_an_event_before_a_stronger_one():
    (event,) = cluster(
        [make_tce("7-1-S1", disposition="EB"), make_tce("7-2-S1", disposition="NTP")],
        PlanSettings(tce_example_disps=["NTP"]),
    )
    assert event.event_id == "7-2-S1"


@given(epoch=st.floats(0, 3000), period=st.floats(0.3, 300), start=st.floats(1000, 2000), length=st.floats(0.1, 40))
def test_predictions_are_all_mid_times_in_the_data(epoch, period, start, length):
    tce = make_tce(epoch=epoch, period=period)
    found = predict(tce, start, start + length)
    assert found == pytest.approx(mid_times(tce, start, start + length), abs=1e-6) or (
        # a mid-time at the very edge may go either way
        len(found) - len(mid_times(tce, start, start + length)) in (-1, 1)
    )
    assert ((found >= start) & (found <= start + length)).all()


def test_a_transit_found_by_three_runs_is_predicted_once_with_all_of_them():
    runs = [make_tce(f"7-1-S{k}", epoch=1501 + 0.01 * k, hours=2.4 + 0.05 * k) for k in range(3)]
    found = predicted_times(runs, 1500.0, 1504.0, ALL)
    assert [prediction.time for prediction in found] == pytest.approx([1501.0, 1503.0])
    assert all(prediction.tce.uid == "7-1-S0" for prediction in found)
    assert all([tce.uid for tce in prediction.agreeing] == ["7-1-S0", "7-1-S1", "7-1-S2"] for prediction in found)


def test_a_run_at_half_the_period_adds_the_dips_in_between():
    whole, half = make_tce("7-1-S1", period=2.0), make_tce("7-2-S1", period=1.0)
    found = predicted_times([whole, half], 1500.5, 1503.5, ALL)
    assert [(prediction.time, prediction.tce.uid) for prediction in found] == [
        (1501.0, "7-1-S1"),
        (1502.0, "7-2-S1"),
        (1503.0, "7-1-S1"),
    ]


def test_members_that_are_not_exemplified_agree_but_predict_nothing():
    whole, half = make_tce("7-1-S1"), make_tce("7-2-S1", period=1.0, disposition="UNK")
    found = predicted_times([whole, half], 1500.5, 1502.5, ALL)
    assert [(p.time, [tce.uid for tce in p.agreeing]) for p in found] == [(1501.0, ["7-1-S1", "7-2-S1"])]


@settings(max_examples=40)
@given(st.lists(ephemerides, min_size=1, max_size=6))
def test_no_two_windows_of_an_event_lie_within_a_duration(rows):
    for event in cluster([make_tce(f"7-{k}-S1", **row) for k, row in enumerate(rows)], PLAN):
        found = predicted_times(event.members, 1500.0, 1520.0, ALL)
        times = [prediction.time for prediction in found]
        assert times == sorted(times)
        assert (np.diff(times) > 0.1).all()


def by_event(tces, plan=PLAN, sector=1):
    """Time, agreeing and coincident TCEs of every mid-time that is no twin."""
    found = predict_sector(cluster(tces, plan), sector, 1500.0, 1510.0, plan)
    return {
        name: [(p.time, [a.uid for a in p.agreeing], [c.uid for c in p.coincident]) for p in times if not p.is_twin]
        for name, times in found.items()
    }


def test_a_dip_that_two_events_predict_is_emitted_once_for_the_better_one():
    """A run of one sector can be too far off in period to be the same event by the tolerance of periods."""
    exact = make_tce("7-1-S1-60", run="1-60", sectors=None, period=4.0, epoch=1501.0)
    rough = make_tce("7-1-S1", period=4.02, epoch=1501.01)
    assert by_event([rough, exact]) == {
        "7-1-S1-60": [(t, ["7-1-S1-60"], ["7-1-S1"]) for t in (1501.0, 1505.0, 1509.0)],
        "7-1-S1": [],
    }
    assert [len(times) for times in by_event([rough, exact], KEEP).values()] == [3, 3]


def test_dips_of_two_planets_that_happen_to_coincide_are_one_window():
    two = [make_tce("7-1-S1", period=3.0, epoch=1501.0), make_tce("7-2-S1", period=4.0, epoch=1503.96, hours=4.0)]
    found = by_event(two)
    assert found["7-1-S1"][:3] == [(1501.0, ["7-1-S1"], []), (1504.0, ["7-1-S1"], ["7-2-S1"]), (1507.0, ["7-1-S1"], [])]
    assert found["7-2-S1"] == [(1507.96, ["7-2-S1"], [])]


def test_every_mid_time_is_told_also_where_another_event_shows_the_dip():
    """What is not told cannot be accounted for."""
    two = [make_tce("7-1-S1", period=3.0, epoch=1501.0), make_tce("7-2-S1", period=4.0, epoch=1503.96, hours=4.0)]
    found = predict_sector(cluster(two, PLAN), 1, 1500.0, 1510.0, PLAN)
    assert [(p.time, p.is_twin) for p in found["7-2-S1"]] == [(1503.96, True), (1507.96, False)]
    assert not any(p.is_twin for p in found["7-1-S1"])


def test_three_planets_at_once_are_one_dip_and_two_twins():
    three = [make_tce(f"7-{k}-S1", period=30.0 + k, epoch=1504.0) for k in (1, 2, 3)]
    found = by_event(three)
    assert found == {"7-1-S1": [(1504.0, ["7-1-S1"], ["7-2-S1", "7-3-S1"])], "7-2-S1": [], "7-3-S1": []}


def test_dips_farther_apart_than_half_the_shorter_duration_are_two():
    two = [make_tce("7-1-S1", period=30.0, epoch=1504.0), make_tce("7-2-S1", period=40.0, epoch=1504.06, hours=24.0)]
    assert [len(times) for times in by_event(two).values()] == [1, 1]


def test_the_error_of_a_mid_time_grows_with_the_periods_counted():
    tce = make_tce(period=2.0, epoch=1500.0, hours=2.4, errors=(0.002, 0.003))
    assert timing_error_durations(tce, 1500.0) == pytest.approx(0.03)
    assert timing_error_durations(tce, 1520.0) == pytest.approx(np.hypot(0.003, 10 * 0.002) / 0.1)
    assert timing_error_durations(tce, 1480.0) == pytest.approx(timing_error_durations(tce, 1520.0))
    assert np.isnan(timing_error_durations(make_tce(errors=(float("nan"), 0.003)), 1520.0))


def in_sector(event, sector, wanted=lambda tce: True):
    return [[tce.uid for tce in group] for group in event.ephemerides_for(sector, wanted)]


def test_ephemerides_of_a_sector_are_those_searched_there_else_the_best():
    best, one, two = (
        make_tce("7-1-S1-2", sectors=(1, 2)),
        make_tce("7-1-S1", sectors=(1,)),
        make_tce("7-1-S3", sectors=(3,)),
    )
    event = Event("e", (best, one, two))
    assert in_sector(event, 1) == [["7-1-S1-2", "7-1-S1"]]
    assert in_sector(event, 3) == [["7-1-S3"]]
    assert in_sector(event, 9) == [["7-1-S1-2"]]
    assert in_sector(event, 1, lambda tce: tce is two) == [["7-1-S3"]]
    assert in_sector(event, 1, lambda tce: False) == []


def test_dips_between_those_of_a_double_period_are_told_by_the_run_that_found_them():
    double = make_tce("7-1-S6", sectors=(6,), period=4.0)
    true = make_tce("7-1-S5", sectors=(5,), period=2.0)
    assert in_sector(Event("e", (double, true)), 6) == [["7-1-S6"], ["7-1-S5"]]
