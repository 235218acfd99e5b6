"""A build that is killed goes on with the same command, and ends with the bytes of one that was left alone."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

COMMAND = ("--cores", "2", "transit_data")


def _started(workspace: Workspace) -> bool:
    """The first job has started, and nothing is finished."""
    return bool(workspace.files("logs/t/transit_plan.log"))


def _writing(workspace: Workspace) -> bool:
    """A raw shard is being written."""
    return bool(workspace.files("results/t/transit/raw/.raw_shard_*.part"))


def _splitting(workspace: Workspace) -> bool:
    """A shard is finished and another step has begun."""
    return bool(workspace.files("results/t/transit/split/train/*.receipt.json"))


def _normalizing(workspace: Workspace) -> bool:
    """The last steps have begun."""
    return bool(workspace.files("results/t/transit/norm/*/*.receipt.json"))


Moments = tuple[Callable[["Workspace"], bool], ...]


@pytest.mark.parametrize(
    ("number", "group", "moments"),
    [
        pytest.param(signal.SIGKILL, True, (_started, _writing, _splitting, _normalizing), id="SIGKILL to all"),
        pytest.param(signal.SIGKILL, False, (_started, _writing, _splitting, _normalizing), id="SIGKILL to Snakemake"),
        pytest.param(signal.SIGINT, True, (_splitting,), id="SIGINT to all"),
        pytest.param(signal.SIGTERM, True, (_writing, _splitting), id="SIGTERM to all"),
        pytest.param(signal.SIGTERM, False, (_writing, _splitting), id="SIGTERM to Snakemake"),
    ],
)
def test_after_kills_at_several_moments_the_same_command_ends_with_the_same_bytes(
    workspace: Workspace,
    finished: tuple[Workspace, Outcome, Outcome],
    number: signal.Signals,
    group: bool,
    moments: Moments,
) -> None:
    workspace.configure({"transit": {"select": {"deep": None}}})
    done: dict[str, int] = {}
    for moment in moments:
        run = workspace.start(*COMMAND)
        run.wait_until(lambda moment=moment: moment(workspace))
        killed = run.end(number, group=group)
        assert killed.code != 0
        dates = workspace.dates()
        done |= {path: dates[path] for job in killed.finished for path in job.outputs}
    last = workspace.snakemake(*COMMAND)
    assert last.code == 0, last.text
    assert any("/raw/" in path for path in done), "no shard was finished before the last kill"
    assert {path: date for path, date in workspace.dates().items() if path in done} == done, (
        "finished work was repeated"
    )
    for run in workspace.started:
        run.wait_for_orphans()
    undisturbed = {path: digest for path, digest in finished[0].sha256().items() if "/select/deep/" not in path}
    assert workspace.sha256() == undisturbed
    assert workspace.dry_run().nothing_to_do


def test_training_that_is_killed_goes_on_after_its_last_epoch_and_ends_with_the_same_bytes(
    trained: Workspace, tmp_path: Path
) -> None:
    workspace = trained.copy(tmp_path / "work")
    undisturbed = workspace.sha256()
    shutil.rmtree(workspace.folder / "results/t/transit/train")
    run = workspace.start("--cores", "2", "transit")
    run.wait_until(lambda: workspace.files("results/t/transit/train/.progress.npz"))
    killed = run.end(signal.SIGKILL, group=True)
    run.wait_for_orphans()
    assert "transit_train" in killed.rules
    assert not killed.finished
    assert not workspace.files("results/t/transit/train/model.keras"), "training had ended before the kill"
    last = workspace.snakemake("--cores", "2", "transit")
    assert last.code == 0, last.text
    assert "going on after epoch" in (workspace.folder / "logs/t/transit_train.log").read_text()
    assert workspace.sha256() == undisturbed


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_one_lives_and_not_after(
    workspace: Workspace,
) -> None:
    first = workspace.start("--cores", "1", "transit_data")
    first.wait_until(lambda: workspace.files("results/t/transit/plan/targets.parquet"))
    before = workspace.sha256("results/t/transit/plan/*")
    refused = workspace.snakemake("--cores", "1", "transit_data")
    assert refused.code == 5
    assert len(refused.errors) == 1
    assert f"another run is working here (process {first.process.pid} on " in refused.errors[0]
    assert "wait until it ends or stop it, then run the same command again" in refused.errors[0]
    assert "Traceback" not in refused.text
    assert not refused.jobs
    assert workspace.sha256("results/t/transit/plan/*") == before
    assert workspace.dry_run().jobs, "a dry run only looks, and is allowed"
    assert first.end(signal.SIGKILL, group=True).code == -signal.SIGKILL
    assert workspace.snakemake("--cores", "1", "results/t/transit/raw/blocks/0001-0003.json").code == 0
