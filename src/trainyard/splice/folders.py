"""New folders that are there as a whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path` that becomes `path` on a clean exit and is removed on any other.

    Raises:
        InputError: `path` exists; nothing is ever written over.
        EnvironmentFault: Disk full, no permission, read-only file system.
    """
    check_absent(path)
    part = path.with_name(f".{path.name}.part")
    with faults_named(path):
        # Left by a killed process; the name is ours.
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def check_absent(path: Path) -> None:
    """Refuse to write to something that is there.

    Raises:
        InputError: It is there.
    """
    if path.exists():
        raise InputError(f"{path}: is already there, and nothing is written over; name another folder, or move it away")
