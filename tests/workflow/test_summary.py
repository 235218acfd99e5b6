"""A dry run ends with what is done and what is pending, by line and stage, and with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainyard.demo.transit import write_inputs
from trainyard.transit.settings import DemoSettings

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

ChangeCode = Callable[[Callable[[Path], object]], Path]


class Row(NamedTuple):
    done: int
    pending: int
    why: str


def summary(outcome: Outcome) -> dict[str, Row]:
    """Rows of the transit line by stage."""
    rows = re.findall(r"^transit +(\w+) +([\d,]+) +([\d,]+) *(.*)$", outcome.text, re.MULTILINE)
    return {stage: Row(int(done), int(pending), why) for stage, done, pending, why in rows}


def test_before_a_build_all_is_pending(finished: tuple[Workspace, Outcome, Outcome]) -> None:
    _, dry_run, _ = finished
    found = summary(dry_run)
    assert list(found) == ["plan", "build", "fit", "finish", "check"]
    assert found["build"] == Row(0, 6, "6 not yet built")
    assert all(row.done == 0 and row.why.endswith(" not yet built") for row in found.values())
    last = dry_run.text.rstrip().splitlines()[-1]
    assert re.fullmatch(r"20 jobs to do, which write about \d.* below results/t; \d.* are free there", last)
    assert sum(row.pending for row in found.values()) == 20


def test_after_a_build_nothing_is(built: Workspace) -> None:
    outcome = built.dry_run()
    assert outcome.text.rstrip().splitlines()[-1] == "nothing to do: all 20 jobs are done"
    assert summary(outcome)["build"] == Row(6, 0, "")


def test_a_changed_parameter(built: Workspace) -> None:
    built.configure({"transit": {"build": {"seed": 99}}})
    found = summary(built.dry_run())
    assert found["build"] == Row(0, 6, "3 changed parameter, 3 input is rebuilt")
    assert found["plan"] == Row(1, 0, "")


def test_changed_code(built: Workspace, changed_code: ChangeCode) -> None:
    def change(folder: Path) -> None:
        script = folder / "workflow_scripts" / "transit_normalize_shards.py"
        script.write_text(script.read_text() + "\nMORE = 1\n")

    built.code = changed_code(change)
    found = summary(built.dry_run())
    assert found["finish"] == Row(2, 6, "3 changed code, 3 input is rebuilt")
    assert found["build"] == Row(6, 0, "")
    assert found["check"] == Row(0, 1, "1 input is rebuilt")


def test_a_missing_file(built: Workspace) -> None:
    (built.folder / "results/t/transit/norm/val/norm_val_shard_0002-0003.tfrecord").unlink()
    found = summary(built.dry_run())
    assert found["finish"].why.startswith("1 missing file")
    assert found["build"] == Row(6, 0, "")


def test_a_new_star(built: Workspace) -> None:
    write_inputs(DemoSettings(stars=9, sectors=1, days=6.0, stamp=5), built.folder / "in")
    found = summary(built.dry_run())
    assert found["plan"] == Row(0, 1, "1 new input")
    assert found["build"] == Row(4, 2, "1 new input, 1 input is rebuilt")


def test_the_summary_comes_with_quiet_runs_too(workspace: Workspace) -> None:
    assert summary(workspace.dry_run("--quiet", "rules", "progress", "--nolock"))["build"].pending == 6
