"""A job is not tried again where its log says that this is vain, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard.yard.retries import VAIN, is_vain, vain_line

ERROR = "error: x.fits: cut short\n"


@pytest.mark.parametrize("code", sorted(VAIN))
def test_a_log_that_says_so_is_believed(tmp_path: Path, code: int) -> None:
    log = tmp_path / "job.log"
    log.write_text(f"a\n2026-01-01 INFO {vain_line(code)}\n{ERROR}")
    assert is_vain(log, since=log.stat().st_mtime)


@pytest.mark.parametrize(
    "text", ["", ERROR, f"{vain_line(5)}\n", f"{vain_line(1)}\n", f"{vain_line(3)}\n" + "x\n" * 9999]
)
def test_any_other_log_is_not(tmp_path: Path, text: str) -> None:
    log = tmp_path / "job.log"
    log.write_text(text)
    assert not is_vain(log, since=0)


def test_what_an_earlier_run_left_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text(f"{vain_line(3)}\n{ERROR}")
    os.utime(log, (1000, 1000))
    assert is_vain(log, since=999) and not is_vain(log, since=1001)


def test_no_log_is_not_vain(tmp_path: Path) -> None:
    assert not is_vain(tmp_path / "job.log", since=0)


SNAKEFILE = """
from snakemake.jobs import GroupJob, Job
from trainyard.yard.retries import spare_vain_attempts
onstart:
    spare_vain_attempts(Job, GroupJob, since=0)
rule all:
    input: "bad", "odd"
rule bad:
    output: "bad"
    log: "bad.log"
    shell: "echo attempt >> bad.count; echo 'VAIN' > {log}; exit 3"
rule odd:
    output: "odd"
    log: "odd.log"
    shell: "echo attempt >> odd.count; echo 'killed' > {log}; exit 1"
"""


def test_snakemake_tries_again_what_may_heal_alone(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("VAIN", vain_line(3)))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--retries", "2", "--keep-going"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    attempts = {name: len((tmp_path / f"{name}.count").read_text().split()) for name in ("bad", "odd")}
    assert attempts == {"bad": 1, "odd": 3}
