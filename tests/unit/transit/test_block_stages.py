"""What makes the jobs of each stage make a shard again, and what does not."""

from __future__ import annotations

import pytest
from small_shards import example, write_raw
from synthetic_stars import make_file, make_star, make_tce

from trainyard.transit import naming
from trainyard.transit.build import build_shards
from trainyard.transit.members import keep_plan
from trainyard.transit.normalize import normalize_shards
from trainyard.transit.plan import Plan, PlannedStar
from trainyard.transit.reasons import Reason
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.select import materialize_shards, select
from trainyard.transit.settings import BuildSettings, NormalizeSettings, PlanSettings, SelectionSettings
from trainyard.transit.split import split_shards
from trainyard.yard.blocks import Unit, make_block
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import write_json
from trainyard.yard.ledger import Ledger

LABEL = "0001-0001"
EXAMPLES = [example(target, number) for target in (1, 2, 3) for number in range(4)]
SPLITS = {1: "train", 2: "val", 3: "test"}
KEPT, MADE = "1 shards, 1 of them were there", "1 shards, 0 of them were there"


def keep(folder, *stars, splits=None):
    """Digests of the members and of the splits of the only shard of a plan."""
    planned = [PlannedStar(star, 0, (splits or SPLITS)[star.target_id], 1, "KP") for star in stars]
    kept = keep_plan(Plan(1, tuple(planned), Ledger("transit", Reason)), folder)
    return kept.shards[0], kept.splits[0]


def vouch(manifest, files):
    """A manifest of files that are there."""
    make_block(manifest, [Unit(LABEL, files, [], lambda: True)])
    return manifest


class Stages:
    """A dataset of one shard, whose stages can be run with some of their inputs changed."""

    def __init__(self, folder):
        self.folder, self.members = folder, folder / "members"
        self.manifest = {name: folder / name / "blocks" / f"{LABEL}.json" for name in ("raw", "split", "norm", "s")}
        self.stats, self.selection = folder / "train_stats.json", folder / "s" / "selection.parquet"
        self.raw_again()
        write_json(self.stats, {"split": "train", "features": {}})
        stars = [make_star([make_tce(f"{star}-1-S1")], [], star) for star in SPLITS]
        self.assigned = keep(self.members, *stars)[1]
        self.moved = keep(self.members, *stars, splits=SPLITS | {1: "val"})[1]

    def raw_again(self, examples=EXAMPLES):
        """Write the raw shard, by another job than that of the stage."""
        raw, table = write_raw(self.folder / "raw", examples)
        vouch(self.manifest["raw"], [raw, table])

    def split(self, *, digest=None, code="a"):
        manifest, raw = self.manifest["split"], self.manifest["raw"]
        return split_shards(manifest, raw, {LABEL: digest or self.assigned}, self.members, code=code)

    def normalize(self, *, flux="min", width=5.0, code="a"):
        settings = NormalizeSettings(flux=flux, images="per_image")
        manifest, split = self.manifest["norm"], self.manifest["split"]
        return normalize_shards(manifest, split, self.stats, settings=settings, n_durations_window=width, code=code)

    def materialize(self, *, code="a"):
        return materialize_shards(self.manifest["s"], self.manifest["norm"], self.selection, code=code)

    def choose(self, where):
        examples = SPLIT_EXAMPLES.read(self.folder / "split" / "aux_tbls" / naming.examples_tbl(1, 1))
        select(examples, "s", SelectionSettings(where=where), seed=1).write(self.folder / "s")


@pytest.fixture
def stages(tmp_path):
    found = Stages(tmp_path)
    found.split()
    found.normalize()
    found.choose("label == 1")
    found.materialize()
    return found


@pytest.fixture
def build(tmp_path):
    """Builds the only shard, of a star without files, with some of its inputs changed."""
    members = tmp_path / "members"
    digest, _ = keep(members, make_star([make_tce("1-1-S1")], [], 1))

    def run(*, code="a", plan=None, digest=digest, **settings):
        manifest = tmp_path / "raw" / "blocks" / f"{LABEL}.json"
        return build_shards(
            manifest,
            {LABEL: digest},
            members,
            plan=PlanSettings(**(plan or {})),
            settings=BuildSettings(**settings),
            code=code,
        )

    run.members = members
    assert run().endswith(MADE)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code": "b"}, id="code"),
        pytest.param({"seed": 1}, id="settings"),
        pytest.param({"plan": {"max_period_ratio": 2}}, id="settings of events"),
    ],
)
def test_a_raw_shard_is_built_again_after_a_change(build, changes):
    assert build().endswith(KEPT)
    assert build(**changes).endswith(MADE)
    assert build(**changes).endswith(KEPT)


def test_a_raw_shard_is_built_again_with_other_members_or_libraries(build, monkeypatch):
    other, _ = keep(build.members, make_star([make_tce("1-1-S1", period=9.0)], [], 1))
    assert build(digest=other).endswith(MADE)
    monkeypatch.setattr("trainyard.transit.build.versions", lambda: {"numpy": "0.1"})
    assert build(digest=other).endswith(MADE)


def test_settings_that_reach_a_raw_shard_by_its_members_do_not_build_it_again(build):
    assert build(plan={"max_reject_fraction": 0.1, "num_shards": 99}).endswith(KEPT)


def test_a_raw_shard_that_has_lost_a_file_is_not_kept(build):
    gone, _ = keep(build.members, make_star([make_tce("1-1-S1")], [make_file(1, path="/nowhere/1.fits")], 1))
    assert build(digest=gone).endswith(MADE)
    assert build(digest=gone).endswith(MADE)


@pytest.mark.parametrize("stage", ["split", "normalize", "materialize"])
def test_a_shard_is_kept_until_code_changes(stages, stage):
    run = getattr(stages, stage)
    assert run().endswith(KEPT)
    assert run(code="b").endswith(MADE)


def test_a_shard_is_split_again_when_its_stars_move_or_its_records_change(stages):
    assert stages.split(digest=stages.moved).endswith(MADE)
    assert stages.split(digest=stages.moved).endswith(KEPT)
    stages.raw_again(EXAMPLES[:-1])
    assert stages.split(digest=stages.moved).endswith(MADE)


@pytest.mark.parametrize("changes", [{"flux": "robust"}, {"width": 4.0}])
def test_a_shard_is_normalized_again_with_other_settings(stages, changes):
    assert stages.normalize(**changes).endswith(MADE)


def test_a_shard_is_normalized_again_with_other_statistics_or_records(stages):
    write_json(stages.stats, {"split": "train", "features": {}, "n_examples": 1})
    assert stages.normalize().endswith(MADE)
    stages.split(digest=stages.moved)
    assert stages.normalize().endswith(MADE)
    assert stages.normalize().endswith(KEPT)


def test_a_selection_is_copied_again_when_it_or_its_records_change(stages):
    stages.choose("label == 0")
    assert stages.materialize().endswith(MADE)
    stages.normalize(flux="robust")
    assert stages.materialize().endswith(MADE)
    assert stages.materialize().endswith(KEPT)


def test_records_that_are_not_those_of_the_manifest_are_refused(stages):
    write_raw(stages.folder / "raw", EXAMPLES[:-1])
    with pytest.raises(IntegrityError, match=r"raw_shard_0001-0001\.tfrecord: is not the file that .* lists"):
        stages.split(code="b")
    assert not stages.manifest["split"].exists()
