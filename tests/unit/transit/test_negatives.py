"""Negatives of one star in one sector: quiet whatever is known of its events, and like transits in all but the dip."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from built_sectors import IMAGES, Built
from synthetic_stars import CADENCE, START, make_curve, make_tce, mid_times

from trainyard.transit.reasons import Reason
from trainyard.transit.star import OWN, RESIDUAL, SPARE


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
