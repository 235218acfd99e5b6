"""Figures of a trained model: each function reads result files and writes one PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from trainyard.voxel.schema import SPLITS
from trainyard.voxel.train.metrics import EPOCH_METRICS, score_metrics
from trainyard.voxel.train.scores import MODEL, PREDICTORS, RESIDUE_MEAN, TEMPERATURE_MEAN
from trainyard.voxel.train.strata import STRATA
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from trainyard.yard.history import read_history
from trainyard.yard.plotting import BLUE, GREY, LIGHT, ORANGE, RED, SPLIT_COLOURS, SPLIT_LINES, figure, note, panels

_NAMES = {MODEL: "model", TEMPERATURE_MEAN: "mean of the temperature", RESIDUE_MEAN: "mean of residue and temperature"}
_STYLES: dict[str, dict[str, Any]] = {
    MODEL: {"color": BLUE},
    TEMPERATURE_MEAN: {"color": LIGHT, "hatch": "////"},
    RESIDUE_MEAN: {"color": ORANGE, "hatch": ".."},
}


def training_history(history: Path, out: Path) -> None:
    """Draw loss and correlation of train and val over the epochs, with the learning rate and the best epoch.

    Args:
        history: `history.csv`, as `fit.train` writes it.
        out: PNG.

    Raises:
        InputError: The file is missing or is no history.
    """
    found = read_history(history, needed=EPOCH_METRICS)
    with figure(out, width=12, height=3.6) as drawing:
        loss, correlation, rate = drawing.subplots(1, 3)
        for axes, name in ((loss, "loss"), (correlation, "pearson")):
            for split in ("train", "val"):
                _draw_curve(axes, found.epochs, found.metrics[f"{split}_{name}"], SPLIT_COLOURS[split], split)
        _draw_curve(rate, found.epochs, found.metrics["lr"], ORANGE, "learning rate")
        for axes, label in ((loss, "MSE, nm²"), (correlation, "Pearson correlation"), (rate, "learning rate")):
            axes.axvline(found.best, color=RED, linewidth=1, label=f"best epoch ({found.best})")
            axes.set(xlabel="epoch", ylabel=label)
        rate.set_yscale("log")
        drawing.legend(*loss.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def predicted_against_true(predictions: Sequence[Path], out: Path, *, max_points: int) -> None:
    """Draw predicted against true RMSF, one panel per temperature.

    Args:
        predictions: Files `predictions_{split}.csv`; the last one that has samples is drawn.
        out: PNG.
        max_points: Points per panel; of more, every k-th is drawn.

    Raises:
        InputError: A file is missing or holds no predictions.
    """
    tables = {path.stem.removeprefix("predictions_"): _read_predictions(path) for path in predictions}
    filled = [split for split, table in tables.items() if table.num_rows]
    if not filled:
        with figure(out, width=11, height=4) as drawing:
            note(drawing.subplots(), "no split has samples")
        return
    columns = ("temperature", "target_rmsf", "predicted_rmsf")
    kelvin, truth, predicted = (tables[filled[-1]][name].to_numpy() for name in columns)
    kelvins = np.unique(kelvin)
    high, low = 1.05 * max(truth.max(), predicted.max()), min(0.0, predicted.min())
    with figure(out, width=11, height=0.5 + 3.6 * -(-len(kelvins) // 3)) as drawing:
        drawing.suptitle(f"{filled[-1]} split")
        for axes, one in zip(panels(drawing, len(kelvins), columns=3), kelvins, strict=True):
            y, p = truth[kelvin == one], predicted[kelvin == one]
            every = -(-len(y) // max_points)
            axes.plot(y[::every], p[::every], ".", color=BLUE, alpha=0.5, markersize=5, markeredgewidth=0)
            axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
            axes.set_title(f"{one:g} K, {len(y):,} samples")
            axes.text(0.03, 0.97, _told(score_metrics(y, p)), va="top", transform=axes.transAxes)
            axes.set(xlabel="true RMSF, nm", ylabel="predicted RMSF, nm", xlim=(0, high), ylim=(low, high))
            axes.grid(True)


def scores_by_temperature(evaluation: Path, out: Path) -> None:
    """Draw correlation and error at every temperature, of the model beside both baselines, and its skill in each split.

    Correlation and error are those of test, or of val if there is no test. The mean of the temperature does not vary
    within a temperature, so it has no correlation.

    Args:
        evaluation: `evaluation.json`.
        out: PNG.

    Raises:
        InputError: The file is missing or is no evaluation.
    """
    with figure(out, width=12, height=3.8) as drawing:
        try:
            splits = read_json(evaluation)["splits"]
            shown = _last(splits)
            left, middle, right = drawing.subplots(1, 3)
            _draw_scores(left, splits[shown]["by_temperature"], "pearson")
            _draw_scores(middle, splits[shown]["by_temperature"], "rmse")
            for split in SPLITS:
                if splits[split] is not None:
                    _draw_skill(right, splits[split]["by_temperature"], split)
        except (KeyError, TypeError) as error:
            raise InputError(f"{evaluation}: not an evaluation ({error!r}); evaluate the model again") from error
        left.set(ylabel="Pearson correlation", title=f"{shown}: correlation within a temperature")
        middle.set(ylabel="RMSE, nm", title=f"{shown}: error")
        right.set(ylabel="1 - MSE / MSE of the temperature's mean", title="skill over the temperature alone")
        right.axhline(0, color=GREY, linewidth=0.8)
        right.legend()
        drawing.legend(*middle.get_legend_handles_labels(), loc="outside upper center", ncols=len(PREDICTORS))


def errors_by_stratum(evaluation: Path, out: Path) -> None:
    """Draw the mean absolute error for each kind of residue, of the model beside the mean of the temperature.

    Args:
        evaluation: `evaluation.json`; its test split is drawn, or val if there is no test.
        out: PNG.

    Raises:
        InputError: The file is missing or is no evaluation.
    """
    with figure(out, width=12, height=6.5) as drawing:
        try:
            splits = read_json(evaluation)["splits"]
            shown = _last(splits)
            # Names of residues are many: they have a column of their own.
            first, *others = STRATA
            grid = drawing.subplot_mosaic([[first, other] for other in others])
            for name, axes in grid.items():
                _draw_stratum(axes, splits[shown]["strata"][name])
                axes.set_title(f"{shown}: {name.replace('_', ' ')} (samples)")
        except (KeyError, TypeError) as error:
            raise InputError(f"{evaluation}: not an evaluation ({error!r}); evaluate the model again") from error
        drawing.legend(*grid[first].get_legend_handles_labels(), loc="outside upper center", ncols=2)


def _last(splits: Mapping[str, Any]) -> str:
    """The split that a figure shows: test, or val where there is no test."""
    return next((split for split in ("test", "val") if splits[split] is not None), "train")


def _draw_curve(axes: Any, epochs: Sequence[float], values: Sequence[float], colour: str, label: str) -> None:
    # A single epoch makes no line, hence the markers.
    marker = "o" if len(epochs) < 2 else None
    axes.plot(epochs, values, "--" if label == "val" else "-", color=colour, label=label, marker=marker)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(True)


def _draw_scores(axes: Any, groups: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Bars of one metric, by temperature and predictor; an undefined score has none."""
    places = np.arange(len(groups))
    for shift, name in enumerate(PREDICTORS, start=-1):
        values = [_number(group[name][metric]) for group in groups]
        axes.bar(places + 0.27 * shift, values, 0.25, edgecolor="white", label=_NAMES[name], **_STYLES[name])
    axes.set_xticks(places, [f"{group['temperature']:g}" for group in groups])
    axes.set_xlabel("temperature, K")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.grid(True, axis="y")


def _draw_skill(axes: Any, groups: Sequence[Mapping[str, Any]], split: str) -> None:
    kelvins = [group["temperature"] for group in groups]
    values = [_number(group[MODEL]["skill_over_temperature_mean"]) for group in groups]
    style = {"color": SPLIT_COLOURS[split], "linestyle": SPLIT_LINES[split]}
    axes.plot(kelvins, values, marker="o", markersize=3.5, label=split, **style)
    axes.set_xlabel("temperature, K")
    axes.grid(True)


def _draw_stratum(axes: Any, groups: Sequence[Mapping[str, Any]]) -> None:
    places = np.arange(len(groups))
    for shift, name in ((-0.2, MODEL), (0.2, TEMPERATURE_MEAN)):
        values = [_number(group[name]["mae"]) for group in groups]
        axes.barh(places + shift, values, 0.38, edgecolor="white", label=_NAMES[name], **_STYLES[name])
    axes.set_yticks(places, [f"{group['value']} ({group['n']:,})" for group in groups])
    axes.set_xlabel("mean absolute error, nm")
    axes.invert_yaxis()
    axes.grid(True, axis="x")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _told(scores: Mapping[str, float]) -> str:
    return f"Pearson {scores['pearson']:.3f}\nRMSE {scores['rmse']:.3f} nm"


def _read_predictions(path: Path) -> pa.Table:
    types = {name: pa.float64() for name in ("temperature", "target_rmsf", "predicted_rmsf")}
    options = pa_csv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        return pa_csv.read_csv(path, convert_options=options)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a table of predictions ({error}); evaluate the model again") from error
