"""The last word on a build: what is complete passes, what is lost, torn or leaked does not."""

from __future__ import annotations

import csv

import pytest
from synthetic_stars import make_file, make_star, make_tce, write_star_files

from trainyard.transit import naming
from trainyard.transit.build import build_shard
from trainyard.transit.check import check_build
from trainyard.transit.plan import Plan, PlannedStar
from trainyard.transit.planfiles import TARGETS, write_plan
from trainyard.transit.reasons import Reason
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.settings import BuildSettings, PlanSettings, TransitSettings
from trainyard.transit.split import split_shard
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import write_receipt

SPLITS = {1: "train", 2: "train", 3: "val", 4: "test"}


class Dataset:
    """Four stars in two shards, from plan to normalized shards (here copies of the split ones)."""

    def __init__(self, folder, archive):
        self.base = folder
        ledger = Ledger("transit", Reason)
        planned = tuple(PlannedStar(star, k % 2, SPLITS[k], k, "KP") for k, star in archive.items())
        self.plan = Plan(2, planned, ledger)
        write_plan(self.plan, folder / "plan")
        for shard in (1, 2):
            self.build(shard)

    def build(self, shard):
        where = {"shard": shard, "num_shards": 2}
        members, raw = self.plan.members(shard - 1), self.base / "raw"
        build_shard(members, raw, plan=PlanSettings(), settings=BuildSettings(), **where)
        examples = raw / naming.examples_tbl(shard, 2)
        assignment = self.plan.assignment(shard - 1)
        split_shard(raw / naming.raw_shard(shard, 2), examples, assignment, self.base / "split", **where)
        for split in ("train", "val", "test"):
            shard_file = self.base / "split" / split / naming.split_shard(split, shard, 2)
            norm = self.base / "norm" / split / naming.norm_shard(split, shard, 2)
            norm.parent.mkdir(parents=True, exist_ok=True)
            norm.write_bytes(shard_file.read_bytes())
            table = SPLIT_EXAMPLES.read(self.base / "split" / "aux_tbls" / naming.examples_tbl(shard, 2))
            write_receipt(norm, records=table["split"].to_pylist().count(split))

    def check(self, limit=0.5):
        settings = TransitSettings.model_validate({"plan": {"num_shards": 2, "max_reject_fraction": limit}})
        return check_build(self.base, settings=settings, code={"transit_plan": "abc"})

    def rewrite_examples(self, change, shard=1):
        path = self.base / "split" / "aux_tbls" / naming.examples_tbl(shard, 2)
        SPLIT_EXAMPLES.write(path, SPLIT_EXAMPLES.table(change(SPLIT_EXAMPLES.read(path).to_pylist())))

    def rewrite_ledger(self, kind, **counts):
        path = self.base / "raw" / naming.ledger(1, 2)
        ledger = read_json(path)
        for name, more in counts.items():
            ledger["kinds"][kind][name] += more
        write_json(path, ledger)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    stars = {}
    for star in SPLITS:
        tce = make_tce(f"{star}-1-S1", period=1.2 + star / 10)
        stars[star] = make_star([tce], write_star_files(folder, [tce], target=star, days=5.0), star)
    gone = make_file(1, sector=2, path=str(folder / "gone.fits"))
    return stars | {1: make_star(stars[1].tces, [*stars[1].files, gone], 1)}


@pytest.fixture
def dataset(archive, tmp_path):
    return Dataset(tmp_path, archive)


def test_a_complete_dataset_passes_and_is_summed_up(dataset):
    summary = dataset.check()
    assert summary["examples"] == sum(summary["examples_by_split"].values()) > 10
    assert summary["stars_with_examples"] == {"train": 2, "val": 1, "test": 1}
    assert summary["stars_planned"] == 4
    assert 0 < summary["positives"] < summary["examples"]
    assert summary["with_images"] == 0
    assert summary["ledger"]["file"] == {"expected": 5, "kept": 4, "rejected": {"unreadable_file": 1}}
    assert read_json(dataset.base / "check" / "check.json") == summary
    with (dataset.base / "check" / "rejects.csv").open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [row["item"].endswith("gone.fits") for row in rejects if row["kind"] == "file"] == [True]
    assert all(row["reason"] in list(Reason) for row in rejects)


def test_a_dataset_says_how_it_came_to_be(dataset):
    dataset.check()
    told = read_json(dataset.base / "check" / "dataset.json")
    assert told["settings"]["plan"]["num_shards"] == 2
    assert told["quality_bitmask"] == {"TESS": 17087, "Kepler": 1130799}
    assert told["code"] == {"transit_plan": "abc"}


def test_too_many_unusable_files_fail_the_build_and_are_named(dataset):
    assert dataset.check(limit=0.2)
    with pytest.raises(IntegrityError, match=r"1 of 5 files could not be used.*gone\.fits"):
        dataset.check(limit=0.19)


@pytest.mark.parametrize(
    ("kind", "counts", "message"),
    [
        ("event", {"kept": 1}, "ledger of transit: items were lost or counted twice.*event"),
        ("event", {"kept": 1, "expected": 1}, "in-transit examples, but the shards account for"),
        ("negative", {"kept": 1, "expected": 1}, "out-of-transit examples, but the shards account for"),
        ("tce", {"kept": 1, "expected": 1}, "4 TCEs in the plan, but the shards account for 5"),
        ("file", {"kept": 1, "expected": 1}, "5 files in the plan, but the shards account for 6"),
    ],
)
def test_ledgers_that_do_not_add_up_fail_the_build(dataset, kind, counts, message):
    dataset.rewrite_ledger(kind, **counts)
    with pytest.raises(IntegrityError, match=message):
        dataset.check()


def test_a_shard_that_has_changed_fails_the_build(dataset):
    path = dataset.base / "norm" / "train" / naming.norm_shard("train", 1, 2)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"norm_train_shard_0001-0002\.tfrecord: has \d+ bytes"):
        dataset.check()


def test_shards_of_another_number_fail_the_build(dataset):
    (dataset.base / "norm" / "val" / "norm_val_shard_0001-0004.tfrecord").touch()
    with pytest.raises(IntegrityError, match=r"1 shards of another transit.plan.num_shards than 2.*0001-0004"):
        dataset.check()


def test_a_missing_shard_fails_the_build(dataset):
    (dataset.base / "norm" / "val" / f"{naming.norm_shard('val', 2, 2)}.receipt.json").unlink()
    with pytest.raises((IntegrityError, InputError), match="norm_val_shard_0002-0002"):
        dataset.check()


@pytest.mark.parametrize("folder", ["raw", "split", "norm"])
def test_counts_that_differ_between_shards_and_tables_fail_the_build(dataset, folder):
    name = naming.raw_shard(1, 2) if folder == "raw" else getattr(naming, f"{folder}_shard")("train", 1, 2)
    path = dataset.base / folder / ("" if folder == "raw" else "train") / name
    write_receipt(path, records=read_json(path.with_name(f"{name}.receipt.json"))["records"] + 1)
    with pytest.raises(IntegrityError, match="records"):
        dataset.check()


def test_an_id_that_repeats_fails_the_build(dataset):
    dataset.rewrite_examples(lambda rows: [rows[0], *({**row, "uid": rows[0]["uid"]} for row in rows[1:2]), *rows[2:]])
    with pytest.raises(IntegrityError, match="example ids repeat"):
        dataset.check()


def test_a_star_in_two_splits_is_leakage(dataset):
    swap = {"train": "val", "val": "train"}

    def tear(rows):
        """Exchange the splits of two examples, so that the counts stay."""
        first = next(k for k, row in enumerate(rows) if row["split"] == "train")
        second = next(k for k, row in enumerate(rows) if row["split"] == "val")
        return [{**row, "split": swap[row["split"]]} if k in (first, second) else row for k, row in enumerate(rows)]

    dataset.rewrite_examples(tear, shard=2)
    with pytest.raises(LeakageError, match="more than one split"):
        dataset.check()


def test_a_star_in_another_split_than_planned_is_leakage(dataset):
    targets = TARGETS.read(dataset.base / "plan" / "targets.parquet").to_pylist()
    targets[0]["split"] = "test"
    TARGETS.write(dataset.base / "plan" / "targets.parquet", TARGETS.table(targets))
    with pytest.raises(LeakageError, match="first: 1 in train, planned for test"):
        dataset.check()


def test_a_blend_in_two_splits_is_leakage(dataset):
    targets = [row | {"group": 1} for row in TARGETS.read(dataset.base / "plan" / "targets.parquet").to_pylist()]
    TARGETS.write(dataset.base / "plan" / "targets.parquet", TARGETS.table(targets))
    with pytest.raises(LeakageError, match="stars of one blend stand in two splits; first group: 1"):
        dataset.check()
