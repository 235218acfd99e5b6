"""Several shards in one job: the same dataset, and work that is done is kept shard by shard."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pytest

from trainyard.demo.transit import write_inputs
from trainyard.transit.settings import DemoSettings

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome, Workspace

OF_JOBS = re.compile(r"/blocks/|/stats/map/")
"""Files of jobs rather than of shards."""
MATERIALIZE = {"transit_materialize_shards": 1}
TWO = {"transit": {"shards_per_job": 2}}


def shards(files: Mapping[str, object] | Iterable[str]) -> list[str]:
    """Those of some files that belong to one shard."""
    return [path for path in files if re.search(r"_\d{4}-0003\.", path) and not OF_JOBS.search(path)]


def dataset(digests: Mapping[str, str]) -> dict[str, str]:
    """What users see of a build."""
    return {path: digest for path, digest in digests.items() if not OF_JOBS.search(path)}


@pytest.fixture(scope="module")
def in_pairs(finished: tuple[Workspace, Outcome, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished build, whose jobs then make two shards each."""
    workspace = finished[0].copy(tmp_path_factory.mktemp("pairs") / "work")
    workspace.configure(TWO).build()
    return workspace


def test_how_many_shards_a_job_makes_changes_no_byte_of_the_dataset(
    workspace: Workspace, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    run = workspace.configure({"transit": {"shards_per_job": 3}}).build(cores=1)
    assert run.rules["transit_build_shards"] == run.rules["transit_normalize_shards"] == 1
    assert dataset(workspace.sha256()) == dataset(finished[0].sha256())
    assert workspace.dry_run().nothing_to_do


def test_small_shards_share_jobs_where_nobody_says_how_many(workspace: Workspace) -> None:
    planned = workspace.configure({"transit": {"plan": {"num_shards": 40}}}).dry_run()
    assert planned.rules["transit_build_shards"] == planned.rules["transit_normalize_shards"] == 8


def test_jobs_of_another_size_keep_the_shards_that_are_there(
    in_pairs: Workspace, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    kept = shards(finished[0].dates())
    assert len(kept) > 40
    assert {path: in_pairs.dates()[path] for path in kept} == {path: finished[0].dates()[path] for path in kept}
    assert dataset(in_pairs.sha256()) == dataset(finished[0].sha256())
    assert in_pairs.dry_run().nothing_to_do


def test_a_new_star_costs_one_shard_of_a_job_of_two(in_pairs: Workspace, tmp_path: Path) -> None:
    grown = in_pairs.copy(tmp_path / "grown")
    write_inputs(DemoSettings(stars=9, sectors=1, days=6.0, stamp=5), grown.folder / "in")
    assert grown.build().rules["transit_build_shards"] == 1
    before, after = in_pairs.dates(), grown.dates()
    raw = [path for path in shards(before) if "/raw/" in path]
    changed = {label for path in raw if before[path] != after[path] for label in re.findall(r"\d{4}-0003", path)}
    assert len(changed) == 1


def test_a_job_that_is_killed_keeps_the_shards_that_it_has_finished(
    workspace: Workspace, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    workspace.configure({"transit": {"shards_per_job": 3}})
    run = workspace.start("--cores", "1", "transit_data")
    sealed = "results/t/transit/raw/raw_shard_0001-0003.tfrecord.receipt.json"
    # The second shard has begun when its first temporary file is there.
    run.wait_until(lambda: workspace.files("results/t/transit/raw/.raw_shard_0002-0003*.part"))
    run.end(signal.SIGKILL, group=True)
    assert not workspace.files("results/t/transit/raw/blocks/*")
    done = {path: date for path, date in workspace.dates().items() if "_0001-0003." in path}
    assert sealed in done
    workspace.build(cores=1)
    assert {path: workspace.dates()[path] for path in done} == done
    assert "0001-0003: kept" in (workspace.folder / "logs/t/transit_build_shards/0001-0001.log").read_text()
    assert dataset(workspace.sha256()) == dataset(finished[0].sha256())


@pytest.mark.parametrize("how", ["deleted", "cut short"])
@pytest.mark.parametrize("suffix", ["", ".receipt.json"])
def test_a_file_that_is_lost_is_made_again_and_no_other_shard(
    in_pairs: Workspace, tmp_path: Path, suffix: str, how: str
) -> None:
    workspace = in_pairs.copy(tmp_path / "work")
    _lose(workspace, f"norm/test/norm_test_shard_0001-0003.tfrecord{suffix}", how)
    assert workspace.dry_run().rules == {"transit_normalize_shards": 1, "transit_check": 1, **MATERIALIZE}
    before = workspace.dates()
    workspace.build()
    assert workspace.sha256() == in_pairs.sha256()
    changed = {path for path in shards(before) if workspace.dates()[path] != before[path]}
    assert changed
    assert {label for path in changed for label in re.findall(r"\d{4}-0003", path)} == {"0001-0003"}


@pytest.mark.parametrize(
    ("lost", "rule"),
    [
        ("raw/curves_0001-0003.parquet", "transit_build_shards"),
        ("split/aux_tbls/examples_0001-0003.parquet", "transit_split_shards"),
    ],
)
def test_what_only_earlier_stages_read_is_made_again_too(
    in_pairs: Workspace, tmp_path: Path, lost: str, rule: str
) -> None:
    workspace = in_pairs.copy(tmp_path / "work")
    _lose(workspace, lost, "deleted")
    told = workspace.dry_run()
    stage = lost.partition("/")[0]
    assert f"{stage}: 1 of 2 manifests list files that are missing or cut short" in told.text
    assert f"first results/t/transit/{lost}; they are made again" in told.text
    assert told.rules[rule] == 1
    workspace.build()
    assert workspace.sha256() == in_pairs.sha256()
    assert workspace.dry_run().nothing_to_do


def test_raw_shards_that_were_all_deleted_to_save_disk_are_not_made_again(in_pairs: Workspace, tmp_path: Path) -> None:
    workspace = in_pairs.copy(tmp_path / "work")
    for path in workspace.files("results/t/transit/raw/*.tfrecord"):
        path.unlink()
    assert workspace.dry_run().nothing_to_do
    assert workspace.dry_run().nothing_to_do


def test_a_run_that_was_given_up_leaves_no_manifest_that_vouches_for_its_shards(
    in_pairs: Workspace, finished: tuple[Workspace, Outcome, Outcome], tmp_path: Path
) -> None:
    workspace = in_pairs.copy(tmp_path / "work")
    other = {"transit": {"shards_per_job": 3, "build": {"windows": {"resampling": "nearest"}}}}
    run = workspace.configure(other).start("--cores", "1", "transit_data")
    run.wait_until(lambda: workspace.files("results/t/transit/raw/.raw_shard_0002-0003*.part"))
    run.end(signal.SIGKILL, group=True)
    workspace.configure(TWO).build()
    assert workspace.sha256() == in_pairs.sha256()
    assert dataset(workspace.sha256()) == dataset(finished[0].sha256())


def test_a_dry_run_beside_a_live_run_touches_nothing(workspace: Workspace) -> None:
    run = workspace.configure(TWO).start("--cores", "1", "transit_data")
    run.wait_until(lambda: workspace.files("results/t/transit/raw/blocks/*.json"))
    manifests = workspace.files("results/t/transit/raw/blocks/*.json")
    label = next(iter(json.loads(manifests[0].read_text())["shards"]))
    (workspace.folder / f"results/t/transit/raw/curves_{label}.parquet").unlink()
    workspace.dry_run()
    assert set(manifests) <= set(workspace.files("results/t/transit/raw/blocks/*.json"))
    run.end(signal.SIGKILL, group=True)
    workspace.dry_run()
    assert set(manifests) - set(workspace.files("results/t/transit/raw/blocks/*.json"))


def _lose(workspace: Workspace, name: str, how: str) -> None:
    path = workspace.folder / "results/t/transit" / name
    content = path.read_bytes()
    path.unlink()
    if how == "cut short":
        path.write_bytes(content[:-1])
