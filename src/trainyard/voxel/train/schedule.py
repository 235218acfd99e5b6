"""Learning rate, best epoch and the time to stop: functions of the history, so a resumed run decides as a whole one."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim import lr_scheduler

from trainyard.voxel.settings import VoxelTrainSettings

_log = logging.getLogger(__name__)

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Monitor:
    """The number that is watched.

    Attributes:
        name: Column of the history.
        min_delta: Gain that makes an epoch better than the best one before.
    """

    name: str
    min_delta: float

    @property
    def smaller_is_better(self) -> bool:
        """True for losses: the sense follows from the metric, so nobody can keep the worst model by mistake."""
        return self.name.endswith("loss")

    def value(self, row: Mapping[str, float]) -> float:
        """Return the number of one epoch, the larger the better; NaN is worse than any number."""
        value = -row[self.name] if self.smaller_is_better else row[self.name]
        return -math.inf if math.isnan(value) else value


def choose_monitor(settings: VoxelTrainSettings, val_targets: NDArray[np.float32]) -> Monitor:
    """Take the metric asked for; where val allows no correlation, since its targets are all equal, its loss."""
    if settings.monitor == "val_pearson" and np.unique(val_targets).size < 2:
        _log.warning("all targets of val are equal: watching val_loss instead of val_pearson")
        return Monitor("val_loss", settings.min_delta)
    return Monitor(settings.monitor, settings.min_delta)


def best_epoch(history: History, monitor: Monitor) -> int:
    """Return the epoch, counted from 1, that was better than the best one before by `min_delta`, and the last such.

    The history must not be empty.
    """
    best = 0
    for epoch, row in enumerate(history):
        if monitor.value(row) > monitor.value(history[best]) + monitor.min_delta:
            best = epoch
    return best + 1


def should_stop(history: History, monitor: Monitor, *, patience: int | None) -> bool:
    """Return whether the last `patience` epochs have brought no better value; None never stops."""
    if patience is None or not history:
        return False
    return len(history) - best_epoch(history, monitor) >= patience


def learning_rate(history: History, monitor: Monitor, settings: VoxelTrainSettings) -> float:
    """Return the learning rate of the next epoch, by a scheduler of torch that is shown the history."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=settings.learning_rate)
    if settings.scheduler == "reduce_on_plateau":
        plateau = lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="min" if monitor.smaller_is_better else "max",
            factor=settings.scheduler_factor,
            patience=settings.scheduler_patience,
            threshold=settings.scheduler_threshold,
            min_lr=settings.scheduler_min_lr,
        )
        for row in history:
            plateau.step(row[monitor.name])
        return float(optimizer.param_groups[0]["lr"])
    scheduler = _by_epoch(optimizer, settings)
    optimizer.step()  # Without one, the scheduler warns that it comes first.
    for _ in history:
        scheduler.step()
    return float(optimizer.param_groups[0]["lr"])


def _by_epoch(optimizer: torch.optim.Optimizer, settings: VoxelTrainSettings) -> lr_scheduler.LRScheduler:
    if settings.scheduler == "cosine_annealing":
        return lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=settings.scheduler_t_max, eta_min=settings.scheduler_min_lr
        )
    if settings.scheduler == "step":
        return lr_scheduler.StepLR(optimizer, step_size=settings.scheduler_step_size, gamma=settings.scheduler_gamma)
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)
