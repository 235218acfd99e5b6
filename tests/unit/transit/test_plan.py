"""The plan: a pure function of catalogue and settings, in which every row, file and star is accounted for."""

from __future__ import annotations

import dataclasses
import random

import pytest
from synthetic_stars import make_file, make_tce

from trainyard.transit.archive import ArchiveIndex
from trainyard.transit.members import assignment_digest, members_digest
from trainyard.transit.plan import Catalogue, make_plan
from trainyard.transit.planfiles import FILES, TARGETS, TCES, write_plan
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import PlanSettings, SplitSettings
from trainyard.transit.tces import TceTable
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json

STARS = range(1, 41)


def catalogue(tces, files=None, *, listed=(), rejected=(), unmasked=(), lost=()):
    rows = len(tces) + len(listed) + len(rejected)
    if files is None:
        files = [make_file(star) for star in sorted({tce.target_id for tce in tces} | set(listed))]
    table = TceTable(tuple(tces), tuple(listed), rows, tuple(rejected), tuple(unmasked))
    return Catalogue(table, ArchiveIndex(tuple(files), lost))


def planned(*args, plan=None, split=None, time_reference=None, **kwargs):
    settings = PlanSettings(**({"num_shards": 4} | (plan or {})))
    return make_plan(catalogue(*args, **kwargs), settings, split or SplitSettings(), time_reference=time_reference)


def many(stars=STARS):
    return [make_tce(f"{star}-1-S1", period=2 + star / 10, ra=10.0 * (star % 36), dec=float(star)) for star in stars]


def rejected(plan, kind):
    return {(row["item"], row["reason"]) for row in plan.ledger.rejections if row["kind"] == kind}


def test_every_star_has_one_shard_and_one_split():
    plan = planned(many())
    assert [star.target_id for star in plan.stars] == list(STARS)
    assert sorted(star.target_id for shard in plan.shards for star in shard) == list(STARS)
    for shard in range(4):
        assert [star.target_id for star in plan.members(shard)] == list(plan.assignment(shard))
    assert {star.split for star in plan.stars} == {"train", "val", "test"}
    plan.ledger.check()


def test_one_new_star_changes_one_shard_and_moves_nobody():
    old, new = planned(many()), planned(many(range(1, 42)))
    before, after = ([members_digest(plan.members(k)) for k in range(4)] for plan in (old, new))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    places = {star.target_id: (star.shard, star.split) for star in new.stars}
    assert all(places[star.target_id] == (star.shard, star.split) for star in old.stars)


def test_the_order_of_rows_and_files_does_not_matter():
    tces, files = many(), [make_file(star) for star in STARS]
    shuffled = random.Random(1).sample(tces, len(tces)), random.Random(2).sample(files, len(files))
    assert planned(*shuffled).digest == planned(tces, files).digest


def test_where_files_lie_changes_no_shard():
    moved = [make_file(star, path=f"/elsewhere/{star}.fits") for star in STARS]
    plan, other = planned(many()), planned(many(), moved)
    assert [members_digest(plan.members(k)) for k in range(4)] == [members_digest(other.members(k)) for k in range(4)]
    assert plan.digest != other.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda tces, files: (tces, [dataclasses.replace(files[0], content="new"), *files[1:]]),
        lambda tces, files: (tces, [*files, make_file(1, sector=2)]),
        lambda tces, files: ([dataclasses.replace(tces[0], epoch=1.0), *tces[1:]], files),
        lambda tces, files: (
            [dataclasses.replace(tces[0], given={**tces[0].given, "tce_maxmes": 9.0}), *tces[1:]],
            files,
        ),
    ],
)
def test_what_shapes_the_examples_of_a_star_changes_its_shard_alone(change):
    tces, files = many(), [make_file(star) for star in STARS]
    plan, other = planned(tces, files), planned(*change(tces, files))
    shard = next(star.shard for star in plan.stars if star.target_id == 1)
    same = [members_digest(plan.members(k)) == members_digest(other.members(k)) for k in range(4)]
    assert same == [k != shard for k in range(4)]
    assert assignment_digest(plan.assignment(shard)) == assignment_digest(other.assignment(shard))


def test_false_positives_and_brown_dwarfs_stay_with_their_star_for_the_masks():
    tces = [make_tce(f"7-{k}-S1", disposition=kind) for k, kind in enumerate(["KP", "FP", "BD", "UNK"])]
    (star,) = planned(tces).stars
    assert [tce.disposition for tce in star.star.tces] == ["KP", "FP", "BD", "UNK"]
    assert star.stratum == "KP"


def no_duration(uid="7-9-S1", **row):
    return dataclasses.replace(make_tce(uid, **row), duration_hours=float("nan"))


@pytest.mark.parametrize(
    ("row", "masked"),
    [
        ({"period": 2.0}, True),  # its dips are those of the planet
        ({"period": 2.0, "epoch": 1503.0}, True),
        ({"period": 4.0}, True),
        ({"period": 1.0}, False),  # half of them lie in between
        ({"period": 3.3}, False),
        ({"period": 2.0, "epoch": 1501.5}, False),
        ({"period": float("nan")}, False),
        ({"period": 0.0}, False),
        ({"period": float("inf")}, False),
        ({"period": 3.3, "disposition": "NTP"}, False),
    ],
)
def test_a_rejected_row_goes_with_its_star_unless_another_row_masks_its_dips(row, masked):
    (star,) = planned([make_tce("7-1-S1", period=2.0, epoch=1501.0)], unmasked=[no_duration(**row)]).stars
    assert [tce.uid for tce in star.star.tces if not tce.can_be_masked] == ["7-9-S1"] * (not masked)
    assert star.stratum == "KP"


def test_rejected_rows_build_no_star_of_their_own_and_respect_what_is_kept():
    rows = [no_duration("8-1-S1"), no_duration("7-2-S1", disposition="FP", period=3.3)]
    (star,) = planned([make_tce("7-1-S1")], unmasked=rows, plan={"keep_tce_disps": ["KP"]}).stars
    assert [tce.uid for tce in star.star.tces] == ["7-1-S1"]


def test_a_star_that_is_listed_as_quiet_and_as_having_a_signal_is_not_quiet():
    (star,) = planned([], listed=[9], unmasked=[no_duration("9-1-S1")]).stars
    assert [tce.uid for tce in star.star.tces] == ["9-1-S1"]
    assert star.stratum == "NONE"


def test_rows_are_kept_by_disposition_and_stars_by_their_rows():
    tces = [
        make_tce("1-1-S1", disposition="KP"),
        make_tce("1-2-S1", disposition="FP"),
        make_tce("2-1-S1", disposition="UNK"),
        make_tce("3-1-S1", disposition="EB"),
    ]
    plan = planned(
        tces,
        listed=[4, 4, 1],
        rejected=[("5-1-S1", Reason.NAN_EPHEMERIS, "no period")],
        plan={"keep_tce_disps": ["KP", "UNK", "EB"], "targets": [1, 2]},
    )
    assert [star.target_id for star in plan.stars] == [1]
    assert rejected(plan, "table_row") == {
        ("1-2-S1", Reason.DISPOSITION_NOT_KEPT),
        ("2-1-S1", Reason.TARGET_NOT_SELECTED),
        ("3-1-S1", Reason.TARGET_NOT_SELECTED),
        ("4", Reason.TARGET_NOT_SELECTED),
        ("5-1-S1", Reason.NAN_EPHEMERIS),
    }
    assert (plan.ledger.expected("table_row"), plan.ledger.kept("table_row")) == (8, 2)
    assert rejected(plan, "archive_file") == {(f"/archive/lc/{star}-1.fits", Reason.NOT_PLANNED) for star in (2, 3, 4)}


@pytest.mark.parametrize(("quiet_stars", "stars"), [(True, [1, 4]), (False, [1])])
def test_quiet_stars_are_built_if_wanted(quiet_stars, stars):
    plan = planned([make_tce("1-1-S1")], listed=[4], plan={"quiet_stars": quiet_stars})
    assert [star.target_id for star in plan.stars] == stars
    assert [star.stratum for star in plan.stars] == ["KP", "NONE"][: len(stars)]


def test_a_star_whose_signals_are_left_out_is_not_quiet():
    plan = planned([make_tce("1-1-S1"), make_tce("4-1-S1", disposition="UNK")], listed=[4])
    assert [star.target_id for star in plan.stars] == [1]


def test_stars_without_light_curve_are_planned_and_counted():
    plan = planned(many(range(1, 4)), [make_file(1), make_file(2), make_file(3, kind="tp")])
    assert len(plan.stars) == 3
    assert rejected(plan, "target") == {("3", Reason.NO_LIGHT_CURVE)}
    assert plan.ledger.kept("target") == 2


def test_an_archive_of_other_stars_is_refused():
    with pytest.raises(InputError, match="none of the 3 stars to build has a light curve"):
        planned(many(range(1, 4)), [make_file(99)])


def test_stars_that_nobody_downloaded_are_counted_and_stop_nothing():
    plan = planned(many(range(1, 31)), [make_file(7)])
    assert plan.ledger.kept("target") == 1
    assert plan.ledger.rejected("target", Reason.NO_LIGHT_CURVE) == 29


def test_a_table_without_wanted_stars_is_refused():
    with pytest.raises(InputError, match="no star is left to build: none of the 1 rows"):
        planned([make_tce("1-1-S1", disposition="UNK")])


def test_too_many_broken_files_stop_the_plan_and_are_named():
    lost = tuple((f"/bad/{k}.fits", Reason.UNREADABLE, "truncated") for k in range(3))
    message = r"3 of 5 items of kind archive_file cannot be used \(3 unreadable_file\).*First of them: /bad/0"
    with pytest.raises(InputError, match=message):
        planned(many(range(1, 3)), lost=lost)
    assert len(planned(many(range(1, 3)), lost=lost, plan={"max_reject_fraction": 0.6}).stars) == 2


@pytest.mark.parametrize("reason", [Reason.OTHER_CADENCE, Reason.DUPLICATE_FILE, Reason.QUARANTINED, Reason.WRONG_KIND])
def test_files_left_out_on_purpose_do_not_stop_the_plan(reason):
    lost = tuple((f"/other/{k}.fits", reason, "") for k in range(50))
    assert len(planned(many(range(1, 3)), lost=lost).stars) == 2


def test_stars_that_share_an_eclipse_share_a_split():
    pairs = [
        make_tce(f"{star + pair}-1-S1", period=2 + star / 10, ra=10.0 + star, dec=0.005 * pair)
        for star in range(100, 140, 2)
        for pair in (0, 1)
    ]
    plan = planned(pairs)
    splits = {star.target_id: (star.group, star.split) for star in plan.stars}
    assert all(splits[star] == splits[star + 1] for star in range(100, 140, 2))
    assert len({split for _, split in splits.values()}) == 3


def test_positions_come_from_the_header_where_the_table_has_none():
    tces = [make_tce("1-1-S1"), make_tce("2-1-S1")]
    near = [make_file(1), make_file(2, ra=60.0 + 1e-3)]
    assert {star.group for star in planned(tces, near).stars} == {1}


@pytest.mark.parametrize(
    ("table", "file", "shift"),
    [("BTJD", "BTJD", 0), (None, "BKJD", 0), ("BTJD", "BKJD", 2167), ("BKJD", "BTJD", -2167)],
)
def test_epochs_are_brought_to_the_time_of_the_files(table, file, shift):
    mission = "TESS" if file == "BTJD" else "Kepler"
    files = [make_file(1, time_reference=file, mission=mission)]
    (star,) = planned([make_tce("1-1-S1", epoch=1500.25)], files, time_reference=table).stars
    (tce,) = star.star.tces
    assert tce.epoch == 1500.25 + shift
    assert tce.scalars["tce_time0bk"] == tce.epoch


def test_a_tic_and_a_kic_of_one_number_are_not_taken_for_one_star():
    files = [make_file(1), make_file(1, mission="Kepler", path="/k.fits")]
    with pytest.raises(InputError, match=r"target 1 has files of TESS \(/archive/lc/1-1.fits\) and Kepler \(/k.fits\)"):
        planned([make_tce("1-1-S1")], files)
    both = [make_file(1, mission="Kepler"), make_file(1, mission="K2", sector=5)]
    assert len(planned([make_tce("1-1-S1")], both).stars) == 1


def test_the_written_plan_holds_stars_tces_and_files(tmp_path):
    plan = planned([*many(range(1, 4)), make_tce("1-2-S1", sectors=None)], listed=[9])
    write_plan(plan, tmp_path)
    targets, tces, files = (
        contract.read(tmp_path / f"{name}.parquet").to_pylist()
        for name, contract in {"targets": TARGETS, "tces": TCES, "files": FILES}.items()
    )
    assert [row["target_id"] for row in targets] == [1, 2, 3, 9]
    shards = {row["target_id"]: row["shard"] for row in targets}
    assert [(row["uid"], row["shard"]) for row in tces] == [
        (tce.uid, shards[tce.target_id]) for planned in plan.stars for tce in planned.star.tces
    ]
    assert {row["uid"]: row["sectors"] for row in tces} == {
        **{f"{star}-1-S1": [1] for star in (1, 2, 3)},
        "1-2-S1": None,
    }
    assert [row["path"] for row in files] == [f"/archive/lc/{star}-1.fits" for star in (1, 2, 3, 9)]
    assert read_json(tmp_path / "ledger.json") == plan.ledger.to_dict()
    assert len((tmp_path / "targets.csv").read_text().splitlines()) == 1 + len(plan.stars)
