"""A dry run lists every job with the command that it will run, before anything exists."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

DATA = {
    "transit_plan": 1,
    "transit_build_shards": 3,
    "transit_split_shards": 3,
    "transit_sample_shards": 3,
    "transit_fit_statistics": 1,
    "transit_normalize_shards": 3,
    "transit_select": 2,
    "transit_materialize_shards": 3,
    "transit_check": 1,
}
TRAINING = {"transit_train": 1, "transit_evaluate": 1, "transit_plot_scores": 1}
DEMO = {"demo_transit": 1, "demo_transit_recovery": 1}


def test_before_a_build_all_jobs_are_listed(finished: tuple[Workspace, Outcome, Outcome]) -> None:
    _, dry_run, _ = finished
    assert dry_run.rules == DATA


def test_the_commands_listed_before_a_build_are_those_that_run(finished: tuple[Workspace, Outcome, Outcome]) -> None:
    _, dry_run, run = finished
    assert {job.command for job in run.finished} == {job.command for job in dry_run.jobs}
    assert len(run.finished) == len(dry_run.jobs)


def test_every_listed_command_is_one_script_that_bears_the_name_of_its_rule(
    finished: tuple[Workspace, Outcome, Outcome],
) -> None:
    workspace, dry_run, _ = finished
    for job in dry_run.jobs:
        assert job.command.startswith(f"python -m workflow_scripts.{job.rule} ")
        assert (workspace.code / "workflow_scripts" / f"{job.rule}.py").is_file()


def test_a_dry_run_builds_nothing(workspace: Workspace) -> None:
    workspace.dry_run()
    assert not workspace.files("results/**/*")
    assert not workspace.files("logs/**/*")


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        pytest.param({}, {"transit_plot_data": 4}, id="archive"),
        pytest.param({"train": {"enabled": True}}, {"transit_plot_data": 4, **TRAINING}, id="archive with training"),
        pytest.param({"inputs": None}, {"transit_plot_data": 4, **DEMO}, id="demo"),
    ],
)
def test_all_lists_every_rule_that_the_configuration_asks_for(
    workspace: Workspace, changes: dict[str, Any], more: dict[str, int]
) -> None:
    workspace.configure({"transit": changes})
    if "inputs" in changes:
        shutil.rmtree(workspace.folder / "in")
    assert workspace.dry_run(target="all").rules == DATA | more


def test_a_new_clone_lists_the_whole_demo(workspace: Workspace, changed_code: Callable[..., Path]) -> None:
    workspace.folder = workspace.code = changed_code(lambda folder: None)
    listed = workspace.dry_run(target="all").rules
    transit = {rule for rule in listed if "transit" in rule}
    assert transit == (DATA | TRAINING | DEMO | {"transit_plot_data": 4}).keys() - {"transit_materialize_shards"}
    assert listed["transit_build_shards"] == 4
    lines = yaml.safe_load((workspace.code / "config" / "config.yaml").read_text())["lines"]
    assert {f"{line}_train" for line in lines} <= listed.keys()


def test_a_plan_of_300_shards_is_listed_in_full(workspace: Workspace) -> None:
    shards = 300
    demo = {"stars": 600, "sectors": 1}
    select = {"deep": {"materialize": False}}
    changes = {"inputs": None, "demo": demo, "plan": {"num_shards": shards}, "select": select, "shards_per_job": 3}
    workspace.configure({"transit": changes})
    listed = workspace.dry_run()
    expected = Counter({rule: 100 if rule.endswith("_shards") else n for rule, n in DATA.items()})
    del expected["transit_materialize_shards"]
    assert listed.rules == expected | Counter(demo_transit=1)
    labels = {f"{shard:04d}-{shards:04d}" for shard in range(1, shards + 1)}
    built = [job.command for job in listed.jobs if job.rule == "transit_build_shards"]
    assert Counter(re.findall(r"\d{4}-0300", " ".join(built))) == Counter(labels)


def test_lint_finds_nothing(workspace: Workspace) -> None:
    outcome = workspace.snakemake("--lint")
    assert outcome.code == 0, outcome.text
