"""Examples of one star in one sector, on synthetic light curves whose events are known."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from built_sectors import ALONE, IMAGES, NO_SPARES, Built
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_stars import CADENCE, DEPTH, START, dips, make_curve, make_tce, mid_times

from trainyard.transit.reasons import Reason
from trainyard.transit.star import OWN


def whole(curve, tce, time):
    """Whether the published rules keep a window at this time, worked out cadence by cadence."""
    days = tce.duration_hours / 24
    if time - 2.5 * days < curve.time[0] or time + 2.5 * days > curve.time[-1]:
        return False
    window, centre = np.abs(curve.time - time) <= 2.5 * days, np.abs(curve.time - time) <= 0.5 * days
    return curve.good[window].mean() > 0.85 and curve.good[centre].mean() > 0.85


@settings(max_examples=25)
@given(
    period=st.floats(0.7, 4.0),
    phase=st.floats(0, 1),
    hours=st.floats(1.0, 4.0),
    holes=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 400)), max_size=5),
)
def test_recovered_windows_are_predicted_windows(period, phase, hours, holes):
    tce = make_tce(period=period, epoch=START - 50 + phase * period, hours=hours)
    curve = make_curve([tce], days=8.0, holes=[(first, first + n) for first, n in holes])
    built = Built([tce], curve=curve, **ALONE)
    predicted = mid_times(tce, curve.time[0], curve.time[-1])
    assert built.times() == pytest.approx([time for time in predicted if whole(curve, tce, time)], abs=1e-8)
    assert built.ledger.expected("event") == len(predicted)


def test_the_point_mask_of_a_window_is_that_of_the_injected_events():
    one = make_tce("7-1-S1", period=2.0123, epoch=START + 1.0045)
    two = make_tce("7-2-S1", period=3.3017, epoch=START + 0.8021)
    built = Built([one, two], **ALONE)
    assert len(built.in_transit) == 10
    for example in built.in_transit:
        time = built.curve.time[example.window.first : example.window.stop]
        which = ((time - example.window.centre) / (5 * example.window.duration) + 0.5) * 100
        inside = dips(built.curve.time, [one, two])[example.window.first : example.window.stop] < 1
        expected = [inside[np.floor(which).clip(0, 99) == k].mean() for k in range(100)]
        assert example.points.in_transit == pytest.approx(np.array(expected, dtype=np.float32))


def test_depths_are_measured_to_the_noise():
    tce = make_tce()
    built = Built([tce], curve=make_curve([tce], noise=1e-3), **ALONE)
    error = 1e3 / np.sqrt(10 * 3.6)  # ten points of 3.6 cadences each, ppm
    depths = [example.depth_measured_ppm for example in built.in_transit]
    assert len(depths) == 6
    assert depths == pytest.approx([1e6 * DEPTH] * 6, abs=4 * error)


@pytest.mark.parametrize(
    ("kind", "label"),
    [("EB", 1), ("KP", 1), ("CP", 1), ("NTP", 0), ("NEB", 0), ("NPC", 0), ("UNK", None), ("FP", None)],
)
def test_labels_follow_the_disposition_of_in_transit_windows(kind, label):
    built = Built([make_tce(disposition=kind)], **NO_SPARES)
    assert {example.label for example in built.in_transit} == ({label} if label is not None else set())
    assert {example.label for example in built.negatives()} <= {0}
    assert len(built.negatives()) == len(built.in_transit)


def test_a_transit_found_by_three_runs_is_emitted_once_and_names_them_all():
    tces = [
        make_tce("7-1-S1", epoch=START + 1.01),
        make_tce("7-1-S1-13", run="1-13", sectors=tuple(range(1, 14)), hours=2.5),
        make_tce("7-2-S1-5", run="1-5", sectors=(1, 2, 3, 4, 5), epoch=START + 5.02),
    ]
    built = Built(tces, **NO_SPARES)
    assert built.times() == [START + 1 + 2 * k for k in range(6)]
    for example in built.in_transit:
        assert example.tce_uid == example.event_id == "7-1-S1-13"
        assert example.tce_uids == ("7-1-S1-13", "7-2-S1-5", "7-1-S1")
        assert example.uid == f"7-1-S1-13_t_{example.window.centre!r}"
    assert built.tally.emitted == {tce.uid for tce in tces}
    assert built.tally.counts == {("7-1-S1-13", 1): 6, ("7-1-S1-13", 0): len(built.negatives())}


def test_kept_duplicates_give_one_window_per_tce_as_the_published_set_does():
    tces = [make_tce("7-1-S1"), make_tce("7-1-S1-13", run="1-13", sectors=None)]
    built = Built(tces, plan={"duplicates": "keep"}, **ALONE)
    assert Counter(example.tce_uid for example in built.in_transit) == {"7-1-S1": 6, "7-1-S1-13": 6}
    assert all(example.tce_uids == (example.tce_uid,) for example in built.in_transit)


def test_a_run_says_nothing_of_sectors_it_did_not_search():
    built = Built([make_tce("7-1-S2", run="2", sectors=(2,))], **ALONE)
    assert built.in_transit == []
    assert built.tally.predicted == set()


def test_two_planets_at_once_are_one_example_and_one_rejected_mid_time():
    one = make_tce("7-1-S1", period=3.0, disposition="EB")
    two = make_tce("7-2-S1", period=3.7, epoch=START + 1.01)
    built = Built([one, two], **ALONE)
    shared = [example for example in built.in_transit if example.coincident_tce_uids]
    assert [(e.tce_uids, e.coincident_tce_uids) for e in shared] == [(("7-1-S1",), ("7-2-S1",))]
    assert all(len(example.tce_uids) == 1 for example in built.in_transit)
    predicted = sum(len(mid_times(tce, START, START + 12)) for tce in (one, two))
    assert built.ledger.expected("event") == predicted
    (twin,) = [row for row in built.ledger.rejections if row["kind"] == "event"]
    assert (twin["item"], twin["reason"]) == (f"7-2-S1_t_{two.epoch!r}", Reason.SAME_EVENT)
    assert built.ledger.kept("event") == predicted - 1


def test_negative_dispositions_keep_away_from_positive_events():
    planet = make_tce("7-1-S1", period=3.0)
    phantom = make_tce("7-2-S1", disposition="NTP", period=2.1, epoch=START + 1.2)
    built = Built([planet, phantom], **ALONE)
    reach = (1.5 + 2.5) * 0.1
    kept = [example.window.centre for example in built.in_transit if example.tce_uid == "7-2-S1"]
    predicted = [time for time in mid_times(phantom, START, START + 12) if whole(built.curve, phantom, time)]
    clear = [t for t in predicted if min(abs(t - mid) for mid in mid_times(planet, START - 5, START + 20)) > reach]
    assert kept == pytest.approx(clear)
    assert 0 < len(kept) < len(predicted)
    assert built.rejected()[Reason.OVERLAPS_POSITIVE] >= len(predicted) - len(kept)
    assert len([e for e in built.in_transit if e.tce_uid == "7-1-S1"]) == 4


def test_positive_events_may_share_a_window():
    one, two = make_tce("7-1-S1", period=3.0), make_tce("7-2-S1", period=3.5, epoch=START + 1.1)
    assert Built([one, two], **ALONE).rejected() == {}


def test_the_previous_logic_sees_the_events_of_its_own_run_only():
    planet = make_tce("7-1-S1-3", run="1-3", sectors=(1, 2, 3), period=3.0)
    phantom = make_tce("7-1-S1", disposition="NTP", period=1.5, epoch=START + 1.2)
    plan = {"max_period_ratio": 1}
    target = Built([planet, phantom], plan=plan, **ALONE)
    run = Built([planet, phantom], plan=plan, masks={"masking": "sector_run"}, **ALONE)
    assert target.rejected()[Reason.OVERLAPS_POSITIVE] > 0
    assert run.rejected()[Reason.OVERLAPS_POSITIVE] == 0
    (negative, *_) = [example for example in run.in_transit if example.tce_uid == "7-1-S1"]
    assert negative.points.in_transit.sum() == 0


def test_windows_with_uncertain_times_are_rejected():
    tce = make_tce(errors=(1e-2, 1e-3), epoch=START + 1)
    built = Built([tce], **ALONE)
    limit = next(k for k in range(9) if np.hypot(1e-3, k * 1e-2) > 0.25 * 0.1)
    assert len(built.in_transit) == limit
    assert built.rejected() == {Reason.EPHEMERIS_DRIFT: 6 - limit}
    assert [e.timing_error_durations for e in built.in_transit] == pytest.approx(
        [np.hypot(1e-3, k * 1e-2) / 0.1 for k in range(limit)]
    )
    assert len(Built([tce], windows={"max_timing_error_durations": None}, **ALONE).in_transit) == 6


def test_the_cap_draws_among_windows_that_pass():
    holes = [(round((1 + 2 * k) / CADENCE) - 40, round((1 + 2 * k) / CADENCE) + 40) for k in (0, 2)]
    curve = make_curve(holes=holes)
    built = Built([make_tce()], curve=curve, windows={"max_windows_per_event_sector": 3}, **ALONE)
    assert len(built.in_transit) == 3
    assert built.times() == sorted(built.times())
    assert built.rejected() == {Reason.LOW_GOOD_FRACTION_WINDOW: 2, Reason.OVER_CAP: 1}
    assert built.tally.counts["7-1-S1", 1] == 3


def test_images_are_kept_with_their_windows():
    seen = []

    def images_of(window, ra, dec):
        seen.append((window.centre, ra, dec))
        return IMAGES if window.centre < START + 6 else None

    built = Built([make_tce(ra=61.0, dec=-65.0)], images_of=images_of)
    assert all((example.images is IMAGES) == (example.window.centre < START + 6) for example in built.examples)
    own = {example.window.centre for example in built.examples if example.origin == OWN}
    assert {place for centre, *place in map(list, seen) if centre in own for place in [tuple(place)]} == {(61.0, -65.0)}
    assert {tuple(place) for centre, *place in seen if centre not in own} == {(60.0, -66.0)}


@pytest.mark.parametrize("reason", [Reason.NO_PIXEL_FILE, Reason.IMAGE_EMPTY, Reason.NO_IN_TRANSIT_PIXELS])
def test_windows_without_required_images_are_rejected_and_the_sums_hold(reason):
    def images_of(window, ra, dec):
        return reason if window.centre > START + 6 else IMAGES

    built = Built([make_tce()], images_of=images_of)
    assert built.examples
    assert all(example.window.centre <= START + 6 for example in built.examples)
    assert built.rejected() == {reason: 3}
    for kind, kept in (("event", built.in_transit), ("negative", built.negatives())):
        assert built.ledger.kept(kind) == len(kept)
        assert built.ledger.expected(kind) == 6


def test_an_event_whose_images_are_missing_was_predicted_but_not_emitted():
    built = Built([make_tce()], images_of=lambda *_: Reason.NO_PIXEL_FILE)
    assert built.examples == []
    assert built.tally.predicted == {"7-1-S1"}
    assert built.tally.emitted == set()


def as_text(examples):
    """Everything of the examples, for comparison; NaN is not equal to itself."""
    return [(e.uid, e.origin, e.tce_uids, e.points.flux.tobytes(), repr(e.scalars)) for e in examples]


def test_the_order_of_the_tces_does_not_matter():
    tces = [
        make_tce("7-1-S1", period=3.0),
        make_tce("7-1-S1-2", run="1-2", sectors=(1, 2), period=3.0),
        make_tce("7-2-S1", period=4.4, epoch=START + 0.3, disposition="EB"),
        make_tce("7-3-S1", period=5.1, epoch=START + 0.9, disposition="NTP"),
    ]
    curve = make_curve(tces, noise=1e-3)
    reference = as_text(Built(tces, curve=curve).examples)
    assert as_text(Built(tces[::-1], curve=curve).examples) == reference
    assert as_text(Built([tces[k] for k in (2, 0, 3, 1)], curve=curve).examples) == reference


def test_draws_are_keyed_by_seed_star_and_sector():
    def drawn(**options):
        return Built([make_tce()], **options).times(Built([make_tce()], **options).negatives())

    assert drawn() == drawn()
    assert drawn() != drawn(seed=43)
    other = Built([make_tce(sectors=None)], number=2).negatives()
    assert [example.window.centre for example in other] != drawn()


def test_a_tally_adds_up_over_sectors():
    one, two = Built([make_tce(sectors=None)]).tally, Built([make_tce(sectors=None)], number=2).tally
    both = dataclasses.replace(one, sectors=set(one.sectors), counts=Counter(one.counts))
    both.add(two)
    assert both.sectors == {1, 2}
    assert both.counts["7-1-S1", 1] == 12
    assert both.emitted == both.predicted == {"7-1-S1"}
