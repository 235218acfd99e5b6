"""`history.csv`: the metrics of every epoch of a training, and which epoch was the best."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open


@dataclass(frozen=True)
class History:
    """What `history.csv` says.

    Attributes:
        metrics: Values by metric, one per epoch.
        best: The best epoch, counted from 1.
    """

    metrics: Mapping[str, Sequence[float]]
    best: int

    @property
    def epochs(self) -> list[int]:
        """Numbers of the epochs, counted from 1."""
        return list(range(1, 1 + len(next(iter(self.metrics.values())))))


def write_history(path: Path, rows: Sequence[Mapping[str, float]], *, best: int) -> None:
    """Write one row per epoch: `epoch`, counted from 1, the metrics, and `best`, 1 in one row and 0 in the others.

    Args:
        path: File to write.
        rows: Metrics of the epochs, all with the same names in the same order; at least one.
        best: The best epoch, counted from 1.

    Raises:
        EnvironmentFault: Disk full, no permission.
    """
    with atomic_open(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["epoch", *rows[0], "best"])
        for epoch, row in enumerate(rows, start=1):
            writer.writerow([epoch, *row.values(), int(epoch == best)])


def read_history(path: Path, *, needed: Sequence[str]) -> History:
    """Read what `write_history` wrote.

    Args:
        path: File to read.
        needed: Metrics that it must hold.

    Raises:
        InputError: The file is missing, is no history or lacks a metric.
    """
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(handle)]
        best = next(int(row["epoch"]) for row in rows if row["best"])
        if lacking := [name for name in needed if name not in rows[0]]:
            raise ValueError(f"no column {', '.join(lacking)}")
        metrics = {name: [row[name] for row in rows] for name in rows[0] if name not in ("epoch", "best")}
    except (OSError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise InputError(f"{path}: not a training history ({error!r}); train again") from error
    return History(metrics, best)
