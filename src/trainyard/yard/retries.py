"""No second attempt for a job that would end the same way again.

A job that lost its node, or needs more memory or time than was guessed, heals by trying again. One that refuses its
configuration or its data (exit codes 2, 3 and 4) does not. Neither SLURM nor Snakemake hands the exit code of a command
back, so the command says in its log that trying again is vain, and Snakemake, before it tries again, looks there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

VAIN = frozenset({2, 3, 4})
"""Exit codes of what no further attempt heals: configuration or input, integrity, leakage."""

_TAIL_BYTES = 16_384


def vain_line(code: int) -> str:
    """The line of the log by which a further attempt is spared."""
    return f"exit code {code}: trying again would end the same way"


def is_vain(log: Path, *, since: float) -> bool:
    """Whether the command that wrote a log says that trying again is vain.

    Args:
        log: Log of the job.
        since: Start of this run, as a file's time; what an earlier run has left in the log does not count.
    """
    try:
        if log.stat().st_mtime < since:
            return False
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            tail = file.read().decode("utf-8", errors="replace")
    except OSError:
        return False
    return any(vain_line(code) in tail for code in VAIN)


def spare_vain_attempts(*kinds: Any, since: float) -> None:
    """Make Snakemake give up on a job at once where its log says so; else it retries as it was told to.

    Snakemake asks a job for `restart_times` after each failed attempt; this property is put in front of it.

    Args:
        kinds: Snakemake's classes of jobs and of groups of jobs.
        since: As for `is_vain`.
    """

    def logs_of(job: Any) -> Iterable[str]:
        return [log for member in getattr(job, "jobs", [job]) for log in member.log]

    def spared(asked: Callable[[Any], int]) -> property:
        return property(lambda job: 0 if any(is_vain(Path(log), since=since) for log in logs_of(job)) else asked(job))

    for kind in kinds:
        kind.restart_times = spared(kind.restart_times.fget)
