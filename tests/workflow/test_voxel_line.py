"""The voxel line, run for real: dry run, build, kills, growth, reruns, and the same bytes however it is run."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from trainyard.demo.voxel import write_inputs
from trainyard.demo.voxel_files import RMSF, VOXELS, list_name
from trainyard.voxel.settings import VoxelDemoSettings

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

PROTEINS = VoxelDemoSettings(domains=12, residues=25)
CONFIG: Mapping[str, Any] = {
    "run": "t",
    "lines": ["voxel"],
    "voxel": {
        "inputs": {
            "source": "files",
            "voxel_file": f"in/{VOXELS}",
            "aggregated_rmsf_file": [f"in/{RMSF}"],
            **{f"{split}_split_file": f"in/{list_name(split)}" for split in ("train", "val", "test")},
        },
        "plan": {"num_parts": 3, "batch_size": 64},
        "export": {"formats": ["store", "pt"], "num_parts": 2},
        "train": {"enabled": False},
    },
}
ALL = {
    "voxel_plan": 1,
    "voxel_encode_part": 3,
    "voxel_merge_store": 1,
    "voxel_export_part": 6,
    "voxel_write_meta": 1,
    "voxel_check": 1,
}
AFTER_PLAN = {rule: n for rule, n in ALL.items() if rule != "voxel_encode_part"}
COMMAND = ("--cores", "2", "voxel_data")


class Finished(NamedTuple):
    """A finished build: its folder, the dry run before it, and the run."""

    workspace: Workspace
    dry_run: Outcome
    run: Outcome


@pytest.fixture(scope="module")
def make_voxels(open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace]) -> Callable[[Path], Workspace]:
    """Makes a folder with simulated proteins and a configuration that builds from their files."""

    def make(folder: Path) -> Workspace:
        write_inputs(PROTEINS, folder / "in")
        return open_workspace(folder, CONFIG, "voxel_data")

    return make


@pytest.fixture(scope="module")
def finished_voxels(make_voxels: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    workspace = make_voxels(tmp_path_factory.mktemp("voxels") / "work")
    return Finished(workspace, workspace.dry_run(), workspace.build())


@pytest.fixture
def built_voxels(finished_voxels: Finished, tmp_path: Path) -> Workspace:
    """A copy of the finished build, to go on from."""
    return finished_voxels.workspace.copy(tmp_path / "built")


def test_no_command_is_longer_for_more_parts(make_voxels: Callable[[Path], Workspace], tmp_path: Path) -> None:
    workspace = make_voxels(tmp_path / "work")
    lengths = []
    for parts in (12, 60):
        parted = {"plan": {"num_parts": parts}, "export": {"num_parts": parts}, "train": {"enabled": True}}
        workspace.configure({"voxel": parted})
        lengths.append(workspace.dry_run(target="voxel").longest_commands)
    assert lengths[0] == lengths[1]


def test_the_dry_run_lists_every_job_with_its_command_and_says_how_much_will_be_written(
    finished_voxels: Finished,
) -> None:
    assert finished_voxels.dry_run.rules == ALL
    assert {job.command for job in finished_voxels.run.finished} == {
        job.command for job in finished_voxels.dry_run.jobs
    }
    check = json.loads((finished_voxels.workspace.folder / "results/t/voxel/check/check.json").read_text())
    written = sum(split["bytes"] for split in check["exported"].values())
    assert f"pt files exactly {written:,} bytes" in finished_voxels.dry_run.text
    assert f"{check['samples']['train']:,} train" in finished_voxels.dry_run.text


def test_what_was_planted_is_what_the_ledger_counts(finished_voxels: Finished) -> None:
    truth = json.loads((finished_voxels.workspace.folder / "in/truth.json").read_text())["expected"]
    check = json.loads((finished_voxels.workspace.folder / "results/t/voxel/check/check.json").read_text())
    for kind in ("rmsf_row", "domain", "residue", "sample"):
        assert check["ledger"][kind] == truth[kind], kind
    assert check["samples"] == {split: n["samples"] for split, n in truth["splits"].items()}


def test_a_second_run_does_nothing_nor_does_one_after_touching_every_input(built_voxels: Workspace) -> None:
    dates = built_voxels.dates()
    assert built_voxels.build().nothing_to_do
    for path in built_voxels.files("in/**/*"):
        path.touch()
    assert built_voxels.build().nothing_to_do
    assert built_voxels.dates() == dates


def test_one_core_gives_the_bytes_of_four(
    make_voxels: Callable[[Path], Workspace], finished_voxels: Finished, tmp_path: Path
) -> None:
    alone = make_voxels(tmp_path / "alone")
    alone.build(cores=1)
    assert alone.sha256() == finished_voxels.workspace.sha256()


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        pytest.param({"plan": {"seed": 7}}, AFTER_PLAN, id="order"),
        pytest.param({"plan": {"bad_grid": "warn"}}, ALL, id="what is done with bad grids"),
        pytest.param({"export": {"formats": ["store"]}}, {"voxel_plan": 1, "voxel_merge_store": 1}, id="formats"),
        pytest.param({"train": {"enabled": False, "seed": 3}}, {}, id="what no data depend on"),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(
    built_voxels: Workspace, change: dict[str, Any], rerun: dict[str, int]
) -> None:
    built_voxels.configure({"voxel": change})
    rules = built_voxels.dry_run().rules
    assert {rule: n for rule, n in rules.items() if rule != "voxel_check"} == {
        rule: n for rule, n in rerun.items() if rule != "voxel_check"
    }


def test_a_new_domain_encodes_one_part_and_leaves_the_others_untouched(built_voxels: Workspace) -> None:
    before_dates, before = built_voxels.dates(), built_voxels.sha256()
    write_inputs(PROTEINS.model_copy(update={"domains": PROTEINS.domains + 1}), built_voxels.folder / "in")
    dry_run = built_voxels.dry_run()
    assert dry_run.rules["voxel_encode_part"] == 1
    (label,) = {
        part
        for part in ("0001-0003", "0002-0003", "0003-0003")
        if f"part_{part}.safetensors" in str([job.outputs for job in dry_run.jobs if job.rule == "voxel_encode_part"])
    }
    built_voxels.build()
    parts = [path for path in before if "/grids/" in path]
    untouched = [path for path in parts if label not in path]
    assert len(untouched) == 8
    dates, now = built_voxels.dates(), built_voxels.sha256()
    assert {path: dates[path] for path in untouched} == {path: before_dates[path] for path in untouched}
    assert any(now[path] != before[path] for path in parts if label in path)


def _planning(workspace: Workspace) -> bool:
    return bool(workspace.files("logs/t/voxel_plan.log"))


def _encoding(workspace: Workspace) -> bool:
    return bool(workspace.files("results/t/voxel/store/grids/*.receipt.json"))


def _exporting(workspace: Workspace) -> bool:
    return bool(workspace.files("results/t/voxel/export/*/*.pt"))


@pytest.mark.parametrize(
    ("number", "group"),
    [
        pytest.param(signal.SIGKILL, True, id="SIGKILL to all"),
        pytest.param(signal.SIGKILL, False, id="SIGKILL to Snakemake"),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to all"),
    ],
)
def test_after_kills_the_same_command_ends_with_the_same_bytes(
    make_voxels: Callable[[Path], Workspace],
    finished_voxels: Finished,
    tmp_path: Path,
    number: signal.Signals,
    group: bool,
) -> None:
    workspace = make_voxels(tmp_path / "work")
    for moment in (_planning, _encoding, _exporting):
        run = workspace.start(*COMMAND)
        run.wait_until(lambda moment=moment: moment(workspace))
        assert run.end(number, group=group).code != 0
    last = workspace.snakemake(*COMMAND)
    assert last.code == 0, last.text
    for run in workspace.started:
        run.wait_for_orphans()
    assert workspace.sha256() == finished_voxels.workspace.sha256()
    assert workspace.dry_run().nothing_to_do


def test_splits_that_share_a_pdb_entry_stop_the_build_with_exit_code_4(built_voxels: Workspace) -> None:
    lists = built_voxels.folder / "in"
    first = next(line for line in (lists / list_name("val")).read_text().splitlines() if line and line[0] != "#")
    with (lists / list_name("train")).open("a") as file:
        file.write(first.split()[0] + "\n")
    outcome = built_voxels.snakemake("-n", "voxel_data")
    assert outcome.code == 4
    assert len(outcome.errors) == 1 and first.split()[0] in outcome.errors[0]


def test_a_cut_voxel_file_is_refused_before_anything_runs(built_voxels: Workspace) -> None:
    voxels = built_voxels.folder / "in" / VOXELS
    voxels.write_bytes(voxels.read_bytes()[:20_000])
    outcome = built_voxels.snakemake("--cores", "1", "voxel_data")
    assert (outcome.code, outcome.jobs) == (2, [])
    assert VOXELS in outcome.errors[0]
