"""Examples of one star in one sector, on synthetic light curves whose events are known."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_stars import CADENCE, DEPTH, START, dips, make_curve, make_file, make_tce, mid_times

from trainyard.transit.detrend import Detrended
from trainyard.transit.events import cluster
from trainyard.transit.images import WindowImages
from trainyard.transit.reasons import Reason
from trainyard.transit.sector import Sector
from trainyard.transit.settings import BuildSettings, PlanSettings
from trainyard.transit.star import OWN, RESIDUAL, SPARE, SectorBuilder
from trainyard.yard.ledger import Ledger

BLANK = np.zeros((33, 33), dtype=np.float32)
IMAGES = WindowImages(BLANK, BLANK, BLANK, BLANK, target_pos=(16, 16), camera_pixels=np.arange(0, 1089, 9))
NO_SPARES = {"negatives": {"spare_per_sector": 0}}
ALONE = {"negatives": {"spare_per_sector": 0, "per_in_transit": 0}}


class Built:
    """What a sector has come to."""

    def __init__(self, tces, *, curve=None, images_of=None, plan=None, number=1, unmasked=(), **options):
        plan, options = PlanSettings(**(plan or {})), BuildSettings(**options)
        events = cluster(tces, plan)
        self.curve = curve if curve is not None else make_curve(tces)
        median = np.full(self.curve.flux.shape, np.median(self.curve.flux))
        detrended = Detrended(self.curve.flux / median, median, "off", float("nan"), None)
        self.sector = Sector(make_file(sector=number), self.curve, detrended, events, options)
        self.ledger = Ledger("transit", Reason)
        builder = SectorBuilder(
            self.sector, images_of or (lambda *_: None), plan, options, self.ledger, unmasked=unmasked
        )
        self.examples = builder.examples(events)
        self.tally = builder.tally
        self.ledger.check()

    @property
    def in_transit(self):
        return [example for example in self.examples if example.transit_example]

    def negatives(self, origin=OWN):
        return [e for e in self.examples if not e.transit_example and e.origin == origin]

    def times(self, examples=None):
        return [example.window.centre for example in (self.in_transit if examples is None else examples)]

    def rejected(self, kind="event"):
        return Counter(row["reason"] for row in self.ledger.rejections if row["kind"] == kind)


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


def test_negatives_keep_away_from_every_event_of_the_star():
    tces = [
        make_tce("7-1-S1", period=4.0, hours=2.4, tce_maxmes=9.0, tce_maxmesd=-1.7),
        make_tce("7-2-S9", run="9", sectors=(9,), disposition="FP", period=5.3, epoch=START + 3.1, hours=4.0),
        make_tce("7-3-S1", disposition="UNK", period=11.0, epoch=START + 4.4, hours=3.0),
    ]
    built = Built(tces)
    assert built.negatives()
    assert built.negatives(SPARE)
    events = [
        (time, tce.duration_hours / 24)
        for tce, offset in [(tces[0], 0), (tces[0], -1.7), (tces[1], 0), (tces[2], 0)]
        for time in np.array(mid_times(tce, START - 9, START + 30)) + offset
    ]
    for example in built.negatives() + built.negatives(SPARE):
        own = example.window.duration
        for time, other in events:
            assert abs(example.window.centre - time) > 1.5 * other + 2.5 * own


def test_windows_of_every_kind_are_centred_anywhere_between_cadences():
    """Otherwise the sampling of a window tells its label."""
    phases, fuller = defaultdict(list), defaultdict(list)
    options = {"negatives": {"spare_per_sector": 40, "residual": True, "avoid_overlap": False}}
    for number in range(1, 7):
        for period in (0.3 * np.sqrt(2), 1.1 * np.sqrt(2)):  # crowded, and with quiet time
            tce = make_tce(sectors=None, period=period, epoch=START + 0.1 * number, hours=2.0)
            built = Built([tce], number=number, curve=make_curve([tce], noise=5e-4), **options)
            for example in built.examples:
                kind = (example.transit_example, example.origin)
                at = np.searchsorted(built.curve.time, example.window.centre) - 1
                phases[kind].append((example.window.centre - built.curve.time[at]) / CADENCE)
                fuller[kind].append(example.points.n_eff[50] > example.points.n_eff[49])
    assert set(phases) == {(1, OWN), (0, OWN), (0, SPARE), (0, RESIDUAL)}
    for kind, found in phases.items():
        # Distance of Kolmogorov and Smirnov from the uniform distribution, exceeded by chance once in a thousand times.
        place = np.arange(1, len(found) + 1) / len(found)
        assert np.abs(np.sort(found) - place).max() < 1.95 / np.sqrt(len(found)), kind
        n, reference = len(found), np.mean(fuller[1, OWN])
        assert np.mean(fuller[kind]) == pytest.approx(reference, abs=4 * np.sqrt(0.25 / n)), kind


def test_draws_at_the_real_centre_keep_every_rule():
    tce = make_tce(period=1.7, hours=3.0)
    holes = [(900, 960), (2500, 2600), (4000, 4090)]
    built = Built([tce], curve=make_curve([tce], holes=holes), negatives={"spare_per_sector": 30})
    quiet = built.negatives() + built.negatives(SPARE)
    assert len(quiet) > 5
    for example in quiet:
        window = np.abs(built.curve.time - example.window.centre) <= 2.5 * example.window.duration
        assert built.curve.good[window].mean() > 0.85
        assert window[[0, -1]].sum() == 0
        nearest = min(abs(example.window.centre - mid) for mid in mid_times(tce, START - 9, START + 30))
        assert nearest > 4 * example.window.duration


class TestDrift:
    """A planet found long ago, whose transits come later than its ephemeris says."""

    FOUND = make_tce("7-1-S9", run="9", sectors=(9,), period=2.0, epoch=START - 201, hours=2.4, errors=(2e-4, 1e-3))
    TRUE = make_tce(period=2.0 + 1.5 * 2e-4, epoch=START - 201, hours=2.4)

    def negatives(self, number, **options):
        curve = make_curve([self.TRUE], noise=1e-4, days=27.0)
        negatives = {"spare_per_sector": 20}
        built = Built([self.FOUND], number=number, curve=curve, negatives=negatives, **options)
        return built, [e for e in built.examples if not e.transit_example]

    def touched(self, examples):
        true = mid_times(self.TRUE, START - 9, START + 40)
        reach = 0.5 * 0.1  # half a transit; its centre must not lie in a negative
        return sum(min(abs(e.window.centre - mid) for mid in true) < 2.5 * e.window.duration + reach for e in examples)

    def test_masks_as_wide_as_published_let_its_transits_into_negatives(self):
        shift = {"timing_error_sigmas": 0, "ex_it_mask_n_durations_window": 1.0}
        _, drawn = self.negatives(1, masks=shift, windows={"max_timing_error_durations": None})
        assert self.touched(drawn) > 0

    def test_masks_that_know_the_error_keep_them_out(self):
        for number in range(1, 6):
            options = {"masks": {"ex_it_mask_n_durations_window": 1.0}, "windows": {"max_timing_error_durations": None}}
            _, drawn = self.negatives(number, **options)
            assert drawn
            assert self.touched(drawn) == 0

    def test_where_the_time_is_known_too_badly_there_are_no_negatives_and_the_ledger_says_why(self):
        built, drawn = self.negatives(1, windows={"max_timing_error_durations": 0.15})
        assert drawn == []
        assert built.rejected("spare") == {Reason.EPHEMERIS_DRIFT: 1}
        assert built.ledger.rejected("spare", Reason.EPHEMERIS_DRIFT) == 20

    def test_neither_are_there_for_other_tces_of_the_star(self):
        near = make_tce("7-2-S1", period=5.3, epoch=START + 2.2)
        built = Built([self.FOUND, near], windows={"max_timing_error_durations": 0.15})
        assert built.in_transit
        assert built.negatives() == built.negatives(SPARE) == []
        assert built.ledger.rejected("negative", Reason.EPHEMERIS_DRIFT) == len(built.in_transit)


def test_a_star_with_dips_that_cannot_be_masked_gives_no_negatives_and_says_why():
    built = Built([make_tce(period=5.0)], unmasked=("7-2-S1",))
    assert built.in_transit
    assert built.negatives() == built.negatives(SPARE) == []
    for kind in ("negative", "spare"):
        assert set(built.rejected(kind)) == {Reason.NO_EPHEMERIS}
        assert built.ledger.rejected(kind) == built.ledger.expected(kind) > 0
    (detail, *_) = [row["detail"] for row in built.ledger.rejections if row["kind"] == "spare"]
    assert detail == "sector 1: nobody knows where 7-2-S1 has its dips"


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


def test_negatives_do_not_overlap_each_other():
    tces = [make_tce("7-1-S1", period=3.0), make_tce("7-2-S1", period=4.4, epoch=START + 0.3)]
    built = Built(tces)
    windows = sorted((e.window.centre, e.window.duration) for e in built.negatives() + built.negatives(SPARE))
    assert len(windows) > 5
    for (one, first), (two, second) in pairwise(windows):
        assert two - one > 2.5 * (first + second)


def test_negatives_may_overlap_if_wanted_but_no_two_are_the_same():
    tces = [make_tce("7-1-S1", period=4.0)]
    negatives = {"avoid_overlap": False, "per_in_transit": 200, "spare_per_sector": 300}
    built = Built(tces, negatives=negatives)
    assert built.ledger.rejected("negative") == 0
    assert len(built.negatives()) == 200 * len(built.in_transit)
    assert len({example.uid for example in built.examples}) == len(built.examples)


def test_a_crowded_star_lacks_negatives_and_says_so():
    """A period of a day and two hours of transit leave hardly any place that is far from all events."""
    built = Built([make_tce(period=0.5, hours=2.0)])
    assert built.negatives() == built.negatives(SPARE) == []
    assert built.rejected("negative") == built.rejected("spare") == {Reason.OOT_EXHAUSTED: 1}
    assert built.ledger.rejected("spare", Reason.OOT_EXHAUSTED) == 6
    assert built.ledger.rejected("negative", Reason.OOT_EXHAUSTED) == len(built.in_transit) > 20
    detail = next(row["detail"] for row in built.ledger.rejections if row["kind"] == "negative")
    assert detail == f"sector 1: room for 0 of {len(built.in_transit)}; 0% of its cadences are far enough from events"


def test_weak_secondaries_starve_negatives_at_the_published_threshold_only():
    tce = make_tce(period=1.0, hours=2.0, tce_maxmes=3.0, tce_maxmesd=0.5)
    published = Built([tce], masks={"weak_sec_mask_maxmes_thr": 0.0})
    assert published.negatives() == []
    assert len(Built([tce]).negatives()) > 5


@pytest.mark.parametrize(("ratio", "number"), [(0.0, 0), (0.5, 3), (1.0, 6), (2.0, 12)])
def test_the_quota_of_negatives_is_per_in_transit_window(ratio, number):
    built = Built([make_tce(hours=1.2)], negatives={"per_in_transit": ratio, "spare_per_sector": 0})
    assert len(built.in_transit) == 6
    assert (built.ledger.expected("negative"), len(built.negatives())) == (number, number)


def test_without_in_transit_windows_there_are_no_negatives_but_spare_ones():
    built = Built([make_tce(disposition="UNK")])
    assert {example.origin for example in built.examples} == {SPARE}
    assert built.ledger.expected("negative") == 0


def test_quiet_stars_give_spare_negatives():
    built = Built([], negatives={"spare_per_sector": 4, "spare_durations_hours": [1.5, 3.0]})
    assert len(built.negatives(SPARE)) == 4
    for example in built.examples:
        assert example.tce_uid == example.event_id == "7-0-S1"
        assert example.uid == f"7-0-S1_t_{example.window.centre!r}"
        assert (example.label, example.scalars["disposition"], example.scalars["target_id"]) == (0, "NONE", 7)
        assert example.window.duration * 24 in (1.5, 3.0)


def test_spare_negatives_take_the_durations_of_the_stars_own_events():
    built = Built([make_tce(hours=1.7, period=5.0)])
    assert {round(example.window.duration * 24, 9) for example in built.negatives(SPARE)} == {1.7}


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


class TestResidual:
    """Negatives of a star that has no quiet time, cut where its events were."""

    TCE = make_tce(period=0.5, hours=2.0)
    OPTIONS: ClassVar = {"negatives": {"residual": True, "spare_per_sector": 0}}

    @pytest.fixture
    def built(self):
        curve = make_curve([self.TCE], noise=5e-4)
        return Built([self.TCE], curve=curve, images_of=lambda *_: IMAGES, **self.OPTIONS)

    def test_they_fill_the_quota_as_far_as_there_is_room(self, built):
        residual = built.negatives(RESIDUAL)
        assert len(residual) > 5
        assert built.ledger.kept("negative") == len(residual)
        assert {(e.label, e.tce_uid) for e in residual} == {(0, "7-1-S1")}

    def test_no_dip_is_left_in_them(self, built):
        for example in built.negatives(RESIDUAL):
            assert np.abs(example.points.flux - 1).max() < 2e-3
            assert not example.points.in_transit.any()

    def test_they_have_no_images_because_the_pixels_still_show_the_event(self, built):
        assert all(example.images is None for example in built.negatives(RESIDUAL))
        assert all(example.images is IMAGES for example in built.in_transit)

    def test_where_images_are_required_there_are_none(self):
        built = Built([self.TCE], images_of=lambda *_: IMAGES, images={"images": "require"}, **self.OPTIONS)
        assert built.in_transit
        assert built.negatives(RESIDUAL) == []

    def test_no_window_holds_an_event_that_could_not_be_removed(self):
        long = make_tce("7-2-S1", period=20.0, epoch=START + 6, hours=5.0)
        built = Built([self.TCE, long], curve=make_curve([self.TCE, long]), **self.OPTIONS)
        residual = built.negatives(RESIDUAL)
        assert residual
        for example in residual:
            reach = 1.5 * 5 / 24 + 2.5 * example.window.duration
            assert abs(example.window.centre - (START + 6)) > reach
            assert np.abs(example.points.flux - 1).max() < 1e-6

    def test_no_two_examples_are_the_same_even_with_overlap(self):
        negatives = {"residual": True, "avoid_overlap": False, "per_in_transit": 200, "spare_per_sector": 50}
        built = Built([make_tce(period=0.9, hours=2.0)], negatives=negatives)
        assert built.negatives()
        assert built.negatives(RESIDUAL)
        assert len({example.uid for example in built.examples}) == len(built.examples)


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
