from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.train.schedule import Monitor, best_epoch, choose_monitor, learning_rate, should_stop

PEARSON, LOSS = Monitor("val_pearson", 0.01), Monitor("val_loss", 0.01)


def history(values, name="val_pearson"):
    return [{name: value} for value in values]


def test_the_sense_follows_from_the_metric():
    values = [0.5, 0.9, 0.1]
    assert best_epoch(history(values), PEARSON) == 2
    assert best_epoch(history(values, "val_loss"), LOSS) == 3


def test_a_gain_below_min_delta_makes_no_best_epoch():
    assert best_epoch(history([0.5, 0.505, 0.509]), PEARSON) == 1
    assert best_epoch(history([0.5, 0.505, 0.511]), PEARSON) == 3


def test_nan_is_worse_than_any_number():
    assert best_epoch(history([math.nan, -0.5]), PEARSON) == 2
    assert best_epoch(history([-0.5, math.nan]), PEARSON) == 1


def test_training_stops_after_patience_epochs_without_gain():
    assert not should_stop([], PEARSON, patience=1)
    assert not should_stop(history([0.5, 0.4]), PEARSON, patience=2)
    assert should_stop(history([0.5, 0.4, 0.505]), PEARSON, patience=2)
    assert not should_stop(history([0.5, 0.4, 0.6]), PEARSON, patience=2)
    assert not should_stop(history([0.5] + [0.1] * 50), PEARSON, patience=None)


def test_the_rate_falls_on_a_plateau_as_a_scheduler_that_runs_along_does():
    settings = VoxelTrainSettings(learning_rate=0.1, scheduler_patience=2)
    values = [0.1, 0.3, 0.3, 0.2, 0.3, 0.25, 0.3, 0.3, 0.9, 0.3]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    live = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2, threshold=1e-3)
    rates = []
    for done in range(len(values)):
        rates.append(learning_rate(history(values[:done]), PEARSON, settings))
        assert rates[-1] == optimizer.param_groups[0]["lr"]
        live.step(values[done])
    assert rates == [0.1] * 5 + [0.05] * 3 + [0.025] * 2


def test_a_falling_loss_is_no_plateau():
    settings = VoxelTrainSettings(learning_rate=0.1, scheduler_patience=1, monitor="val_loss")
    falling = history([0.9, 0.7, 0.5, 0.3, 0.1], "val_loss")
    assert learning_rate(falling, LOSS, settings) == 0.1
    assert learning_rate(falling[::-1], LOSS, settings) < 0.1


def test_rates_by_epoch():
    seen = history([0.5] * 4)
    common = {"learning_rate": 0.1, "scheduler_t_max": 4, "scheduler_min_lr": 0.0, "scheduler_step_size": 2}

    def rates(scheduler):
        settings = VoxelTrainSettings(scheduler=scheduler, **common)
        return [learning_rate(seen[:n], PEARSON, settings) for n in range(5)]

    cosine = [0.05 * (1 + math.cos(math.pi * n / 4)) for n in range(5)]
    assert rates("cosine_annealing") == pytest.approx(cosine, abs=1e-9)
    assert rates("step") == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert rates("none") == [0.1] * 5


def test_val_without_variety_is_watched_by_its_loss(caplog):
    assert choose_monitor(VoxelTrainSettings(), np.array([0.5, 0.5], np.float32)).name == "val_loss"
    assert "targets of val are equal" in caplog.text
    assert choose_monitor(VoxelTrainSettings(), np.array([0.5, 0.6], np.float32)).name == "val_pearson"
