"""When to stop, and which epoch was best: functions of the history, so a resumed run decides as a whole one."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.train.metrics import METRICS
from trainyard.yard.errors import ConfigError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Monitor:
    """The number that is watched.

    Attributes:
        name: Column of the history.
        patience: Epochs without a better value before training stops.
    """

    name: str
    patience: int

    @property
    def smaller_is_better(self) -> bool:
        """True for losses."""
        return self.name.endswith("loss")


def choose_monitor(metric: str, val_labels: NDArray[np.int8], *, patience: int) -> Monitor:
    """Take the metric asked for, or, with a warning, the best that the val split allows.

    A val split without examples gives no number at all: then the training loss is watched. With one label only, ranking
    and precision mean nothing there: then the val loss is.

    Raises:
        ConfigError: No such metric.
    """
    base = metric.removeprefix("val_")
    if base not in METRICS:
        known = ", ".join(f"val_{name}" for name in METRICS)
        raise ConfigError(f"transit.train.early_stopping_metric: {metric!r} is unknown; one of {known}")
    if metric.startswith("val_") and not val_labels.size:
        _log.warning("val has no selected example: watching the training loss instead of %s", metric)
        return Monitor("loss", patience)
    if metric.startswith("val_") and base != "loss" and np.unique(val_labels).size < 2:
        _log.warning("val has label %d only: watching val_loss instead of %s", val_labels[0], metric)
        return Monitor("val_loss", patience)
    return Monitor(metric, patience)


def best_epoch(history: Sequence[Mapping[str, float]], monitor: Monitor) -> int:
    """The epoch, counted from 1, with the best value; of several the one with the least loss, then the first.

    A small val split is soon ranked without a fault; the loss then tells a sure model from one that is barely right.
    NaN is worse than any number.

    The history must not be empty.
    """
    loss = "val_loss" if "val_loss" in history[-1] else "loss"
    scores = [(_score(row, monitor), -row[loss]) for row in history]
    return 1 + max(range(len(scores)), key=lambda i: scores[i])


def should_stop(history: Sequence[Mapping[str, float]], monitor: Monitor) -> bool:
    """Whether the last `patience` epochs have brought no better value; a better loss alone does not count."""
    scores = [_score(row, monitor) for row in history]
    return bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= monitor.patience


def _score(row: Mapping[str, float], monitor: Monitor) -> float:
    value = -row[monitor.name] if monitor.smaller_is_better else row[monitor.name]
    return -math.inf if math.isnan(value) else value
