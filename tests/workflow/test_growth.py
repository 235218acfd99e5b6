"""A new star costs its own shard and what is made of all shards; nothing old moves."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from trainyard.demo.transit import write_inputs
from trainyard.transit.settings import DemoSettings

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome, Workspace

ONE_SHARD = {
    "transit_plan": 1,
    "transit_build_shards": 1,
    "transit_split_shards": 1,
    "transit_sample_shards": 1,
}


class Grown(NamedTuple):
    """A finished build of eight stars, to which a ninth was added."""

    old: Workspace
    new: Workspace
    dry_run: Outcome
    run: Outcome

    @property
    def shard(self) -> str:
        """Label of the shard that the dry run names."""
        commands = [job.command for job in self.dry_run.jobs if job.rule in ONE_SHARD]
        (label,) = {label for command in commands for label in re.findall(r"\d{4}-0003", command)}
        return str(label)


@pytest.fixture(scope="module")
def grown(finished: tuple[Workspace, Outcome, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Grown:
    new = finished[0].copy(tmp_path_factory.mktemp("grown") / "work")
    new.configure({"transit": {"select": {"deep": None}}})
    _set_stars(new, 9)
    return Grown(finished[0], new, new.dry_run(), new.build())


def test_a_new_star_rebuilds_one_shard_as_the_dry_run_says(grown: Grown) -> None:
    of_shards = {rule: n for rule, n in grown.dry_run.rules.items() if rule in ONE_SHARD}
    assert of_shards == ONE_SHARD
    assert {job.command for job in grown.run.finished} == {job.command for job in grown.dry_run.jobs}
    raw = f"results/t/transit/raw/raw_shard_{grown.shard}.tfrecord"
    assert grown.new.sha256(raw) != grown.old.sha256(raw)


def test_a_new_star_leaves_the_files_of_other_shards_untouched(grown: Grown) -> None:
    labelled = [path for path in grown.old.dates() if re.search(r"/(raw|split|stats)/.*\d{4}-0003", path)]
    others = [path for path in labelled if grown.shard not in path]
    assert len(others) > 20
    dates, digests = grown.new.dates(), grown.new.sha256()
    assert {path: dates[path] for path in others} == {path: grown.old.dates()[path] for path in others}
    assert {path: digests[path] for path in others} == {path: grown.old.sha256()[path] for path in others}


def test_a_new_star_moves_no_other_between_splits(grown: Grown) -> None:
    old, new = _splits(grown.old), _splits(grown.new)
    assert len(new) == len(old) + 1
    assert {star: split for star, split in new.items() if star in old} == old


def test_a_star_taken_away_again_gives_the_bytes_from_before(grown: Grown, tmp_path: Path) -> None:
    again = grown.new.copy(tmp_path / "again")
    _set_stars(again, 8)
    again.build()
    assert again.sha256() == grown.old.sha256()


def _set_stars(workspace: Workspace, number: int) -> None:
    """Files and rows of a demo with this many stars; files that are there already stay untouched."""
    write_inputs(DemoSettings(stars=number, sectors=1, days=6.0, stamp=5), workspace.folder / "in")


def _splits(workspace: Workspace) -> dict[str, str]:
    with (workspace.folder / "results/t/transit/plan/targets.csv").open() as file:
        return {row["target_id"]: row["split"] for row in csv.DictReader(file)}
