"""The summary of a dry run: what is done, what is pending and why, and whether the disk has room."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainyard.yard import pending
from trainyard.yard.pending import CODE, FILE, FOLLOWS, FORCED, INPUT, NEW, PARAMETER, State

CODES = {"voxel_check": "0123456789abcdef"}
REASON: dict[str, Any] = {
    "forced": False, "missing_output": set(), "params_changed": False, "code_changed": False,
    "software_stack_changed": False, "updated_input": set(), "input_changed": False, "updated_input_run": set(),
}  # fmt: skip
PARAMS = {"settings": '{"seed":1}', "members": "11aa", "code": "0123456789abcdef"}


def why(folder: Path, *, has_log: bool = True, recorded: bool = True, **reason: Any) -> str:
    log = folder / "job.log"
    if has_log:
        log.touch()
    job = SimpleNamespace(log=[str(log)], output=["a"], params=PARAMS)
    persistence = SimpleNamespace(metadata=lambda path: object() if recorded else None)
    dag = SimpleNamespace(
        reason=lambda job: SimpleNamespace(**REASON | reason), workflow=SimpleNamespace(persistence=persistence)
    )
    return pending.why_pending(job, dag, CODES)


def changed(*values: str) -> Any:
    return SimpleNamespace(only_new=set(values), only_old={"x"})


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ({"missing_output": {"a"}}, FILE),
        ({"missing_output": {"a"}, "recorded": False}, NEW),
        ({"missing_output": {"a"}, "has_log": False}, NEW),
        ({"params_changed": changed("0123456789abcdef")}, CODE),
        ({"params_changed": changed("'0123456789abcdef'")}, CODE),
        ({"params_changed": changed("11aa")}, INPUT),
        ({"params_changed": changed("11aa", "0123456789abcdef")}, INPUT),
        ({"params_changed": changed('{"seed":1}', "11aa")}, PARAMETER),
        ({"params_changed": changed("unknown")}, PARAMETER),
        ({"code_changed": True}, CODE),
        ({"updated_input": {"x"}, "updated_input_run": {"y"}}, INPUT),
        ({"input_changed": True}, INPUT),
        ({"updated_input_run": {"y"}}, FOLLOWS),
        ({"forced": True, "missing_output": {"a"}}, FORCED),
    ],
)
def test_why_a_job_is_pending(tmp_path: Path, reason: dict[str, Any], expected: str) -> None:
    assert why(tmp_path, **reason) == expected


def test_a_table_by_line_and_stage(tmp_path: Path) -> None:
    states = [
        *[State("transit_build_shards", None, 0)] * 3,
        State("transit_build_shards", INPUT, 2e9),
        State("transit_split_shards", FOLLOWS, 1e9),
        State("voxel_check", CODE, 0),
        State("transit_check", FOLLOWS, 0),
        State("mine", NEW, 0),
    ]
    text = pending.format_summary(states, results=Path("results/t"), free=int(4e9))
    assert text.splitlines() == [
        "",
        "line     stage  done  pending  why",
        "mine     other     0        1  1 not yet built",
        "transit  build     3        2  1 new input, 1 input is rebuilt",
        "transit  check     0        1  1 input is rebuilt",
        "voxel    check     0        1  1 changed code",
        "5 jobs to do, which write about 3 GB below results/t; 4 GB are free there",
    ]


def test_a_disk_that_is_too_small_is_told() -> None:
    text = pending.format_summary([State("voxel_check", NEW, 5e9)], results=Path("results/t"), free=int(4e9))
    assert "NOT ENOUGH" in text.splitlines()[-1]


def test_nothing_to_do() -> None:
    text = pending.format_summary([State("voxel_check", None, 0)] * 2, results=Path("results/t"), free=0)
    assert text.splitlines()[-1] == "nothing to do: all 2 jobs are done"


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert pending.free_bytes(tmp_path / "a" / "b") > 0


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (950, "950 B"), (999.6, "1 kB"), (1.234e9, "1.23 GB"), (5.6e15, "5.6e+03 TB")]
)
def test_bytes_for_people(n: float, text: str) -> None:
    assert pending.size(n) == text
