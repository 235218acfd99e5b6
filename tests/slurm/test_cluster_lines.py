"""The demos of all lines, built on a real SLURM and on one machine: the same command, the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from slurm_workflow_tests import Outcome, Workspace

GROUPED = {"transit_split_shards", "transit_sample_shards"}


class Built(NamedTuple):
    """A build on the cluster, what SLURM knows of its jobs, and the same build on one machine."""

    remote: Workspace
    run: Outcome
    jobs: dict[str, Any]
    local: Workspace


@pytest.fixture(scope="module")
def built(
    slurm: Any,
    on_slurm: tuple[str, ...],
    make_demo: Callable[[Path], Workspace],
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    folder = tmp_path_factory.mktemp("lines")
    local, remote = make_demo(folder / "local"), make_demo(folder / "remote")
    known = set(slurm.jobs())
    run = remote.snakemake(*on_slurm, *_targets(remote))
    assert run.code == 0, run.text
    jobs = {number: facts for number, facts in slurm.facts().items() if number not in known}
    there = local.snakemake("--cores", "2", *_targets(local))
    assert there.code == 0, there.text
    return Built(remote, run, jobs, local)


def _targets(workspace: Workspace) -> list[str]:
    return [f"{line}_data" for line in workspace.usual["lines"]]


def test_every_file_has_the_bytes_of_a_build_on_one_machine(built: Built) -> None:
    there, here = _contents(built.remote), _contents(built.local)
    assert len(here) > 20
    assert there == here


def _contents(workspace: Workspace) -> dict[str, str]:
    """Digests of all files but the index of the genome, a cache that is named by the date of the FASTA file."""
    return {name: digest for name, digest in workspace.sha256().items() if not name.endswith(".fai")}


def test_jobs_ran_on_the_cluster_but_for_those_that_only_take_seconds(built: Built) -> None:
    assert {facts.state for facts in built.jobs.values()} == {"COMPLETED"}
    local = set(re.findall(r"^localrule (\w+):", built.run.text, re.MULTILINE))
    assert {"transit_plan", "transit_check"} <= local
    sent = {facts.comment.removeprefix("rule_").partition("_wildcards_")[0] for facts in built.jobs.values()}
    assert sent >= set(built.run.rules) - local - GROUPED
    assert not sent & local


def test_short_jobs_share_a_job_of_slurm(built: Built) -> None:
    assert len([facts for facts in built.jobs.values() if "transit_short" in facts.comment]) == 1
    finished = re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", built.run.text)
    assert sorted(rule for rule in finished if rule in GROUPED) == sorted([*GROUPED, *GROUPED])


def test_memory_and_time_of_the_jobs_are_those_of_the_table(built: Built) -> None:
    from trainyard.yard.resources import NEEDS

    asked = {facts.comment: facts for facts in built.jobs.values()}
    demo = asked["rule_demo_voxel"]
    need = NEEDS["demo_voxel"]
    assert (demo.memory, demo.limit) == (f"{need.memory(shards=4)}M", f"{need.runtime()}:00")


def test_the_same_command_again_has_nothing_to_do(built: Built, on_slurm: tuple[str, ...]) -> None:
    again = built.remote.snakemake("-n", *on_slurm, *_targets(built.remote))
    assert again.nothing_to_do, again.text
