"""Kepler-90: seven planets in three quarters of one star, against numbers measured on the same files."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from trainyard.transit.lightcurves import default_bitmask, prepare, read_light_curve
from trainyard.transit.masks import phase_distance
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import WindowSettings
from trainyard.transit.windows import Cutter, Window
from trainyard.yard.receipts import verify

if TYPE_CHECKING:
    from conftest import Run

STAR = 11442793
QUARTERS = {3: "2009350155506", 4: "2010009091648", 5: "2010174085026"}


class Planet(NamedTuple):
    """Linear ephemeris: days, BKJD, hours."""

    period: float
    epoch: float
    hours: float


PLANETS = {
    "g": Planet(210.60697, 147.0364, 12.593),
    "h": Planet(331.60059, 140.4963, 14.737),
    "e": Planet(91.93913, 134.3127, 9.69),
    "d": Planet(59.73667, 158.9656, 8.40),
    "i": Planet(14.44912, 2.2, 2.79),
}
# Planet, mid-time (BKJD), cadences of the window, their good fraction.
WINDOWS = [
    ("g", 357.643, 128, 0.992),
    ("h", 472.097, 151, 0.993),
    ("e", 318.191, 99, 0.990),
    ("e", 502.069, 99, 0.990),
    ("d", 278.439, 86, 1.000),
    ("d", 338.176, 85, 1.000),
    ("d", 457.649, 85, 0.988),
    ("d", 517.386, 86, 0.977),
]
KOI = {"K00351.01": "h", "K00351.02": "g", "K00351.03": "d", "K00351.04": "e"}
# Predicted and kept events of every KOI; f falls into a gap of the data.
EVENTS = {
    "K00351.01": (1, 1),
    "K00351.02": (1, 1),
    "K00351.03": (4, 4),
    "K00351.04": (2, 2),
    "K00351.05": (24, 23),
    # Two coincide with a transit of another planet, and are one dip each.
    "K00351.06": (30, 28),
    "K00351.07": (1, 0),
}


@pytest.fixture(scope="module")
def cutters(real_data: Path) -> list[Cutter]:
    """What cuts windows out of each quarter, with the published thresholds."""
    found = []
    for date in QUARTERS.values():
        curve = read_light_curve(real_data / "transit" / f"kplr{STAR:09d}-{date}_llc.fits")
        prepared = prepare(curve, bitmask=default_bitmask("Kepler"), kernel_sigma=1.0)
        found.append(Cutter(prepared.time, prepared.good, WindowSettings()))
    return found


@pytest.fixture(scope="module")
def koi(real_data: Path) -> dict[str, Planet]:
    """Ephemerides of the KOI table."""
    with (real_data / "transit" / "tables" / "derived_koi_kepler90.csv").open() as file:
        return {
            row["kepoi_name"]: Planet(*(float(row[f"koi_{name}"]) for name in ("period", "time0bk", "duration")))
            for row in csv.DictReader(file)
        }


def cut_all(cutters: list[Cutter], planet: Planet) -> dict[float, Window | Reason]:
    """Outcome of every mid-time that falls into a quarter."""
    found: dict[float, Window | Reason] = {}
    for cutter in cutters:
        for orbit in range(200):
            time = planet.epoch + orbit * planet.period
            if cutter.time[0] <= time <= cutter.time[-1]:
                found[time] = cutter.cut(time, planet.hours / 24, in_transit=True)
    return found


def test_every_event_of_the_four_outer_planets_is_kept(cutters: list[Cutter]) -> None:
    found = []
    for name in ("g", "h", "e", "d"):
        for time, window in cut_all(cutters, PLANETS[name]).items():
            assert isinstance(window, Window), (name, time, window)
            found.append((name, round(time, 3), window.stop - window.first, round(window.frac_good, 3)))
            assert window.frac_good_center == (pytest.approx(0.967, abs=5e-4) if name == "h" else 1)
    assert found == WINDOWS


def test_the_smallest_planet_loses_two_of_fifteen_events(cutters: list[Cutter]) -> None:
    outcomes = cut_all(cutters, PLANETS["i"])
    assert len(outcomes) == 15
    assert {round(time, 2): outcome for time, outcome in outcomes.items() if isinstance(outcome, Reason)} == {
        291.18: Reason.LOW_GOOD_FRACTION_WINDOW,
        493.47: Reason.LOW_GOOD_FRACTION_CENTER,
    }


def test_the_workflow_keeps_the_same_events_by_the_koi_table(kepler: Run, koi: dict[str, Planet]) -> None:
    kept = Counter(row["tce_uid"] for row in kepler.in_transit())
    rejected = Counter(row["item"].rpartition("_t_")[0] for row in kepler.rejected("event"))
    assert {name: (kept[name] + rejected[name], kept[name]) for name in koi} == EVENTS
    # What is rejected lacks data around it, or is shown by the window of another planet.
    reasons = Counter(row["reason"] for row in kepler.rejected("event"))
    assert reasons == {"good_fraction_of_window": 2, "same_event_as_another_tce": 2}
    for row in kepler.in_transit():
        planet = koi[row["tce_uid"]]
        distance = phase_distance(np.array([row["time"]]), planet.epoch, planet.period)
        assert distance == pytest.approx(0, abs=1e-8)
        assert (row["label"], row["duration_hours"]) == (1, pytest.approx(planet.hours))


def test_two_planets_in_transit_at_once_are_one_example(kepler: Run, koi: dict[str, Planet]) -> None:
    assert all(row["tce_uids"] == row["tce_uid"] for row in kepler.in_transit())
    shared = [row for row in kepler.in_transit() if row["coincident_tce_uids"]]
    assert [(row["tce_uid"], row["coincident_tce_uids"]) for row in shared] == [
        ("K00351.04", "K00351.06"),
        ("K00351.05", "K00351.06"),
    ]
    other = koi["K00351.06"]
    times = np.array([row["time"] for row in shared])
    apart = phase_distance(times, other.epoch, other.period)
    assert (np.abs(apart) <= other.hours / 48).all()
    twins = [row["item"] for row in kepler.rejected("event") if row["reason"] == "same_event_as_another_tce"]
    assert [uid for uid, _, _ in (item.rpartition("_t_") for item in twins)] == ["K00351.06"] * 2
    assert sorted(float(item.rpartition("_t_")[2]) for item in twins) == pytest.approx(sorted(times - apart))


def test_koi_epochs_stand_where_the_literature_puts_them(kepler: Run) -> None:
    times = {
        (KOI[row["tce_uid"]], round(row["time"])): row["time"] for row in kepler.in_transit() if row["tce_uid"] in KOI
    }
    published = {(name, round(time)): time for name, time, _, _ in WINDOWS}
    assert times == pytest.approx(published, abs=0.02)


def test_the_rejected_events_lie_in_gaps(kepler: Run, cutters: list[Cutter], koi: dict[str, Planet]) -> None:
    for row in kepler.rejected("event"):
        if row["reason"] == "same_event_as_another_tce":
            continue
        name, _, text = row["item"].rpartition("_t_")
        half, time = 2.5 * koi[name].hours / 24, float(text)
        (cutter,) = (one for one in cutters if one.time[0] < time < one.time[-1])
        good = cutter.time[cutter.good]
        assert (np.abs(good - time) <= half).sum() <= 0.85 * (np.abs(cutter.time - time) <= half).sum()


def test_the_two_giants_are_as_deep_as_published(kepler: Run) -> None:
    depths = {KOI[row["tce_uid"]]: row["depth_measured_ppm"] for row in kepler.in_transit() if row["tce_uid"] in KOI}
    assert depths["h"] == pytest.approx(8216, rel=0.05)
    # Its transit came 2.1 hours early.
    assert depths["g"] == pytest.approx(4151, rel=0.08)


def test_all_quarters_are_used_and_counted(kepler: Run) -> None:
    ledger = kepler.ledger()
    assert (ledger.expected("archive_file"), ledger.kept("archive_file"), ledger.kept("file")) == (21, 3, 3)
    assert ledger.rejected("archive_file", Reason.NOT_PLANNED) == 16
    # 63 are predicted; two of them are a dip of another planet at the same time, and two lie in gaps.
    assert (ledger.expected("event"), ledger.kept("event")) == (63, 59)
    assert ledger.rejected("event", Reason.SAME_EVENT) == 2
    assert (ledger.expected("negative"), ledger.kept("negative")) == (59, 59)
    assert (ledger.expected("tce"), ledger.kept("tce"), ledger.rejected("tce", Reason.NO_WINDOW_KEPT)) == (7, 6, 1)
    assert {row["sector"] for row in kepler.examples()} == set(QUARTERS)
    assert {row["mission"] for row in kepler.examples()} == {1}


def test_one_star_stands_in_one_split_and_the_others_are_empty(kepler: Run) -> None:
    assert {(row["target_id"], row["split"]) for row in kepler.examples()} == {(STAR, "train")}
    records = {path.name: verify(path).records for path in kepler.base.rglob("norm_*.tfrecord")}
    assert records == {
        "norm_train_shard_0001-0001.tfrecord": len(kepler.examples()),
        "norm_val_shard_0001-0001.tfrecord": 0,
        "norm_test_shard_0001-0001.tfrecord": 0,
    }


def test_every_receipt_verifies(kepler: Run) -> None:
    receipts = sorted(kepler.base.rglob("*.receipt.json"))
    assert len(receipts) == 7
    for path in receipts:
        verify(path.with_name(path.name.removesuffix(".receipt.json")))


def test_a_second_run_does_nothing(kepler: Run) -> None:
    assert "Nothing to be done" in kepler.snakemake()
