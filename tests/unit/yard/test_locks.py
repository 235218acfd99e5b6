"""One live run per folder; the lock of a dead one is free at once."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.locks import RunLock

Start = Callable[[Path, str], "subprocess.Popen[str]"]

HOLDER = """
import subprocess, sys
from pathlib import Path
from trainyard.yard.locks import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
{more}
print("ready", flush=True)
sys.stdin.read()
"""
CHILD = "child = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], close_fds=False)"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that holds the lock of a folder and waits for the end of its input."""
    started = []

    def start_holder(folder: Path, more: str = "") -> subprocess.Popen[str]:
        program = HOLDER.format(more=more)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holder = subprocess.Popen([sys.executable, "-c", program, str(folder)], text=True, **pipes)  # type: ignore[call-overload]
        started.append(holder)
        assert holder.stdout.readline() == "ready\n"
        return holder  # type: ignore[no-any-return]

    yield start_holder
    for holder in started:
        holder.communicate()


def test_second_run_is_refused_and_told_who_holds_the_lock(tmp_path: Path, start: Start) -> None:
    holder = start(tmp_path, "")
    with pytest.raises(EnvironmentFault, match=rf"{tmp_path}: another run .*process {holder.pid} on .*-c"):
        RunLock(tmp_path).acquire()


def test_lock_of_a_killed_run_is_free_at_once(tmp_path: Path, start: Start) -> None:
    holder = start(tmp_path, "")
    holder.kill()
    holder.wait()
    RunLock(tmp_path).acquire()


def test_job_that_outlives_its_run_does_not_keep_the_lock(tmp_path: Path, start: Start) -> None:
    holder = start(tmp_path, CHILD + "; print(child.pid, file=open(sys.argv[1] + '/child', 'w'))")
    holder.kill()
    holder.wait()
    os.kill(int((tmp_path / "child").read_text()), 0)
    RunLock(tmp_path).acquire()


def test_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    first, second = RunLock(tmp_path), RunLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(EnvironmentFault):
        second.acquire()
    first.release()
    first.release()
    with second:
        pass
    with first:
        pass


def test_folders_do_not_block_each_other(tmp_path: Path) -> None:
    with RunLock(tmp_path / "a"), RunLock(tmp_path / "b"):
        pass


def test_holder_that_has_not_signed_yet_is_still_respected(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        lock.path.write_text("")
        with pytest.raises(EnvironmentFault, match="has just started"):
            RunLock(tmp_path).acquire()


def test_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(EnvironmentFault, match="has no locks"):
        RunLock(tmp_path).acquire()
