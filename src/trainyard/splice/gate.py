"""Reports of gates: at their final name only where the gate lets the build pass.

A report there is what Snakemake takes for a passed gate, also where a person has run the command by hand, and what it
deletes when the job fails. What a gate found that refuses therefore stands beside it, under another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainyard.yard.errors import TrainyardError
from trainyard.yard.files import faults_named, write_json


def refused(path: Path) -> Path:
    """Where the report of a gate stands that refuses: `offset_refused.json` for `offset.json`."""
    return path.with_name(f"{path.stem}_refused{path.suffix}")


@contextmanager
def reported(path: Path, content: Mapping[str, Any]) -> Iterator[None]:
    """Run a gate, then write its report: to `path` if it passes, to `refused(path)` if not; the other one goes.

    Args:
        path: The report of a gate that passes.
        content: What was found.
    """
    try:
        yield
    except TrainyardError:
        with faults_named(path):
            path.unlink(missing_ok=True)
        write_json(refused(path), content)
        raise
    write_json(path, content)
    with faults_named(path):
        refused(path).unlink(missing_ok=True)
