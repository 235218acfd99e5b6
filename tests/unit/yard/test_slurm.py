"""What SLURM prints is understood, and what cannot run there is refused with a message that says what to do."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.yard import slurm
from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.resources import Limits
from trainyard.yard.slurm import Nodes, Request

SINFO = """\
short|1:00:00|16|64000|(null)
short|1:00:00|64+|256000+|(null)
long|7-00:00:00|16|64000|(null)
gpu|1-12:00:00|32|512000|gpu:a100:4(S:0-1),nvme:1
debug|infinite|2|4000|gpu:1
"""
ASKS = Request("voxel_train", "short", mem_mb=4000, minutes=60, threads=4, gpus=0)


def refusal(request: Request, default: str | None = "short") -> str:
    with pytest.raises(EnvironmentFault) as caught:
        slurm.limits_for(request, slurm.parse_partitions(SINFO), default)
    assert caught.value.exit_code == 5
    return str(caught.value)


def test_partitions() -> None:
    found = slurm.parse_partitions(SINFO)
    assert found["short"] == [Nodes(60, 16, 64_000, 0), Nodes(60, 64, 256_000, 0)]
    assert found["gpu"] == [Nodes(36 * 60, 32, 512_000, 4)]
    assert found["debug"] == [Nodes(math.inf, 2, 4000, 1)]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("infinite", math.inf), ("30:00", 30), ("1:00", 1), ("45", 0.75), ("2:30:00", 150), ("1-12:00:00", 2160),
        ("7-00:00:00", 10_080),
    ],
)  # fmt: skip
def test_times(text: str, minutes: float) -> None:
    assert slurm.parse_minutes(text) == minutes


def test_limits_of_a_job_that_fits_are_those_of_the_largest_node() -> None:
    partitions = slurm.parse_partitions(SINFO)
    assert slurm.limits_for(ASKS, partitions, None) == Limits(256_000, 60)
    assert slurm.limits_for(ASKS._replace(partition=None), partitions, "debug,long") == Limits(64_000, 10_080)
    assert slurm.limits_for(ASKS._replace(partition="gpu", gpus=4), partitions, None) == Limits(512_000, 2160)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"partition": "nowhere"}, "no partition 'nowhere', it has debug, gpu, long, short: change slurm_partition"),
        ({"partition": None}, "no partition is set, and this cluster has no default one"),
        ({"mem_mb": 300_000}, "no node of partition short can take a job of 300,000 MB, 60 min, 4 CPU; the largest"),
        ({"minutes": 61}, "256,000 MB, 60 min, 64 CPU and 0 GPU. Choose another partition"),
        ({"threads": 65}, "65 CPU"),
        ({"gpus": 1}, "4 CPU and 1 GPU"),
        # No single node has both.
        ({"threads": 64, "partition": "short,gpu", "gpus": 1}, "no node of partition short,gpu"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused(change: dict[str, Any], told: str) -> None:
    message = refusal(ASKS._replace(**change), default=None)
    assert told in message
    assert slurm.PROFILE in message


def job(rule: str, *, attempt_resources: dict[str, Any], threads: int = 1, is_local: bool = False) -> Any:
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule, norun=rule == "all"),
        is_local=is_local,
        resources=attempt_resources,
        threads=threads,
    )


def group(*rules: str, **facts: Any) -> Any:
    members = [job(rule, attempt_resources={}) for rule in (*rules, *rules)]
    return SimpleNamespace(jobs=members, **{**vars(job("", **facts)), "rule": None})


def test_the_largest_request_of_every_rule_that_goes_to_the_cluster() -> None:
    jobs = [
        job("a", attempt_resources={"mem_mb": 100, "runtime": 9}),
        job("a", attempt_resources={"mem_mb": 300, "runtime": 5}, threads=2),
        job("a", attempt_resources={"mem_mb": 50, "runtime": 5, "slurm_partition": "x", "gpu": 1}),
        job("b", attempt_resources={"mem_mb": "<TBD>"}),
        job("plan", attempt_resources={"mem_mb": 9999}, is_local=True),
        job("all", attempt_resources={}),
        group("c", "d", attempt_resources={"mem_mb": 900, "runtime": 20}, threads=4),
    ]
    assert sorted(slurm.largest_requests(jobs), key=str) == [
        Request("a", "x", 50, 5, 1, 1),
        Request("a", None, 300, 9, 2, 0),
        Request("b", None, 0, 0, 1, 0),
        Request("c and d", None, 900, 20, 4, 0),
    ]


@pytest.mark.parametrize(
    ("config", "chosen"),
    [
        ("AccountingStorageType   = accounting_storage/none\nMinJobAge               = 300 sec\n", "squeue"),
        ("AccountingStorageType   = (null)\nMinJobAge               = 120 sec\n", "squeue"),
        ("AccountingStorageType   = accounting_storage/slurmdbd\nMinJobAge               = 2 sec\n", "sacct"),
    ],
)
def test_ended_jobs_are_asked_of_who_knows(monkeypatch: pytest.MonkeyPatch, config: str, chosen: str) -> None:
    monkeypatch.setattr(slurm, "_ask", lambda *command: config)
    settings = SimpleNamespace(status_command="sacct", init_seconds_before_status_checks=40)
    slurm.choose_status_command(settings)
    assert settings.status_command == chosen


def test_a_cluster_that_forgets_jobs_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = "AccountingStorageType = accounting_storage/none\nMinJobAge = 60 sec\n"
    monkeypatch.setattr(slurm, "_ask", lambda *command: config)
    settings = SimpleNamespace(status_command="sacct", init_seconds_before_status_checks=40)
    with pytest.raises(EnvironmentFault, match="forgets ended jobs within 120 s"):
        slurm.choose_status_command(settings)


def test_orphans_are_our_jobs_of_this_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    listed = f"""\
1|trainyard_8c1|{tmp_path}
2|trainyard_8c1|{tmp_path}/other
3|bash|{tmp_path}
4|trainyard_77f|{tmp_path}/link
"""
    assert slurm.parse_orphans(listed, tmp_path) == ["1", "4"]


def test_a_failed_job_is_told_with_rule_wildcards_job_and_log(tmp_path: Path) -> None:
    for number, part in ((7, "1"), (9, "1"), (11, "2")):
        log = tmp_path / "rule_encode" / part / f"{number}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    failed = SimpleNamespace(
        rule=SimpleNamespace(name="encode"), wildcards_dict={"part": "1"}, log=["logs/encode/1.log"]
    )
    told = slurm.failure_summary([failed], tmp_path).splitlines()
    assert told[1] == f"failed: rule encode part=1, SLURM job 9 ({tmp_path}/rule_encode/1/9.log), log logs/encode/1.log"


def test_a_run_that_failed_without_a_failed_job_tells_none() -> None:
    assert slurm.failure_summary([]) == ""


def test_slurm_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EnvironmentFault, match="no SLURM on this machine"):
        slurm.look_at_cluster([ASKS])


def test_the_first_node_is_no_default() -> None:
    assert "no default one" in refusal(ASKS._replace(partition=None), default=None)
