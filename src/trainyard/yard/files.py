"""Files that are whole or not there: temporary name, flush, sync, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from trainyard.yard.errors import EnvironmentFault, InputError

_FAULTS = {
    errno.ENOSPC: "the disk is full; free space and run the same command again",
    errno.EDQUOT: "your disk quota is used up; free space and run the same command again",
    errno.EACCES: "permission denied; check owner and mode of the file and of its folder",
    errno.EPERM: "operation not permitted; check owner and mode of the file and of its folder",
    errno.EROFS: "the file system is read-only; choose another folder",
}


def as_fault(error: OSError, path: Path | None = None) -> EnvironmentFault | None:
    """Return the message for an error that the machine causes, or None for any other error.

    Args:
        error: What the operating system said.
        path: The file that was being made or read; None for the one that the error names.
    """
    advice = _FAULTS.get(error.errno or 0)
    return EnvironmentFault(f"{path or error.filename or 'output'}: {advice} ({error})") if advice else None


@contextmanager
def faults_named(path: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission or a read-only file system into an error that names the file.

    Raises:
        EnvironmentFault: One of these happened inside the block.
    """
    try:
        yield
    except OSError as error:
        fault = as_fault(error, path)
        if fault is None:
            raise
        raise fault from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a private temporary path that becomes `path` on a clean exit.

    The temporary file sits beside `path`, so the final rename stays on one file system, and it
    keeps the suffix of `path`, which some libraries choose the format by. If the block raises or
    the process is killed, `path` is left as it was. Missing folders are made.

    Raises:
        EnvironmentFault: Disk full, no permission, read-only file system.
        FileNotFoundError: The block wrote nothing.
    """
    with _replacing(path, f".{path.stem}.{_owner()}.part{path.suffix}") as part:
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())


@contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a private temporary file that becomes `path` on a clean exit; see `atomic_path`.

    Args:
        path: Final name.
        mode: `wb` for bytes, `w` for UTF-8 text with Unix line ends.

    Raises:
        EnvironmentFault: Disk full, no permission, read-only file system.
        ValueError: Another mode.
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"mode must be 'wb' or 'w', not {mode!r}")
    encoding, newline = ("utf-8", "\n") if mode == "w" else (None, None)
    with (
        _replacing(path, f".{path.name}.{_owner()}.part") as part,
        part.open(mode, encoding=encoding, newline=newline) as handle,
    ):
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file."""
    with atomic_open(path, "w") as handle:
        handle.write(text)


def write_json(path: Path, obj: Any) -> None:
    """Write a JSON file with sorted keys, so that equal values give equal bytes.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot hold.
    """
    write_text(path, json.dumps(obj, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: The file is missing or is not JSON.
    """
    try:
        with faults_named(path):
            return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); make the file again") from error


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with faults_named(path), path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def _replacing(path: Path, part_name: str) -> Iterator[Path]:
    part = path.with_name(part_name)
    with faults_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent.absolute())
        try:
            yield part
            part.replace(path)
            _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


def _owner() -> str:
    # Two nodes of a cluster can share a process number, hence the host.
    return f"{_host()}.{os.getpid()}"


def _host() -> str:
    return platform.node().replace("/", "_") or "host"


@cache  # once per process and folder: listing a folder of thousands of files for each of them would add up
def _sweep(folder: Path) -> None:
    """Remove temporary files that killed processes of this machine left in a folder."""
    part = re.compile(rf"\..+\.{re.escape(_host())}\.(\d+)\.part(\.\w+)?")
    for path in folder.iterdir():
        match = part.fullmatch(path.name)
        if match and not _is_alive(int(match[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; the rename itself has happened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
