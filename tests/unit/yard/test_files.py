"""Files are whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard.yard import files
from trainyard.yard.errors import EnvironmentFault, InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_open_writes_the_file_and_makes_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.bin"
    with files.atomic_open(path) as handle:
        handle.write(b"data")
    assert path.read_bytes() == b"data"
    assert names(path.parent) == ["x.bin"]


def test_text_mode_writes_utf8_with_unix_line_ends(tmp_path: Path) -> None:
    with files.atomic_open(tmp_path / "x.txt", "w") as handle:
        handle.write("å\n")
    assert (tmp_path / "x.txt").read_bytes() == "å\n".encode()


def test_other_modes_are_refused_before_anything_is_touched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'a'"), files.atomic_open(tmp_path / "x", "a"):
        pass
    assert names(tmp_path) == []


def test_temporary_file_is_hidden_private_and_beside_the_target(tmp_path: Path) -> None:
    with files.atomic_open(tmp_path / "x.bin"):
        assert names(tmp_path) == [f".x.bin.{platform.node()}.{os.getpid()}.part"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_old_file_stays_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), files.atomic_open(path) as handle:
        handle.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x.bin"]


def test_new_file_does_not_appear_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.atomic_path(tmp_path / "x.npz") as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_temporary_path_keeps_the_suffix_that_libraries_look_at(tmp_path: Path) -> None:
    with files.atomic_path(tmp_path / "model.keras") as part:
        assert part.suffix == ".keras"
        assert part.parent == tmp_path
        part.write_bytes(b"weights")
    assert names(tmp_path) == ["model.keras"]


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), files.atomic_path(path):
        pass
    assert path.read_bytes() == b"old"


def test_what_killed_processes_of_this_machine_left_behind_is_removed_and_nothing_else(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    host, dead = platform.node(), process.pid
    left = {f".x.bin.{host}.{dead}.part", f".model.{host}.{dead}.part.keras"}
    others = {
        f".x.bin.{host}.{os.getpid()}.part",
        f".x.bin.elsewhere.{dead}.part",
        f"x.bin.{host}.{dead}.part",
        f".x.bin.{host}.{dead}.party",
        ".x.bin.part",
    }
    for name in left | others:
        (tmp_path / name).write_bytes(b"half")
    files.write_text(tmp_path / "y.txt", "")
    assert set(names(tmp_path)) == others | {"y.txt"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_faults_of_the_machine_name_the_final_path(tmp_path: Path, number: int) -> None:
    path = tmp_path / "x.bin"
    with pytest.raises(EnvironmentFault, match=str(path)), files.atomic_open(path):
        raise OSError(number, os.strerror(number))
    assert names(tmp_path) == []


def test_fault_names_the_final_path_even_where_the_system_names_the_temporary_one(tmp_path: Path) -> None:
    with (
        pytest.raises(EnvironmentFault, match=rf"^{tmp_path}/x: permission denied"),
        files.atomic_path(tmp_path / "x") as part,
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(part))


def test_other_errors_of_the_system_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), files.atomic_open(tmp_path / "x.bin"):
        (tmp_path / "absent").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_real_full_device_is_reported_as_such() -> None:
    with pytest.raises(EnvironmentFault, match="/dev/full: the disk is full"), files.faults_named(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")


def test_json_round_trip_is_sorted_and_ends_with_a_newline(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"b": 1.5, "a": [None, "ü"]})
    assert (tmp_path / "x.json").read_text(encoding="utf-8").splitlines()[1].strip() == '"a": ['
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")
    assert files.read_json(tmp_path / "x.json") == {"a": [None, "ü"], "b": 1.5}


def test_nan_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b'{"a": ', b"", b"\xff\xfe"])
def test_broken_json_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        files.read_json(path)


def test_missing_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.json: no such file"):
        files.read_json(tmp_path / "x.json")


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1000)
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(b"abc" * 1000).hexdigest()
