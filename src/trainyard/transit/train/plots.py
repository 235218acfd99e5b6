"""Figures of training: the history, and how the scores of the model are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from trainyard.transit.plotting import LABEL_COLOURS
from trainyard.transit.train.metrics import METRICS, precision_recall_curve, roc_curve, score_metrics
from trainyard.yard.errors import InputError
from trainyard.yard.history import read_history
from trainyard.yard.plotting import BLUE, GREY, RED, SPLIT_COLOURS, SPLIT_LINES, figure, note, panels

_BINS = 25


def training_history(history: Path, out: Path) -> None:
    """Draw every metric over the epochs, for train and val, with the best epoch marked.

    Args:
        history: `history.csv`, as `fit.train` writes it.
        out: PNG.

    Raises:
        InputError: The file is missing or is no history.
    """
    found = read_history(history, needed=METRICS)
    with figure(out, width=11, height=7.5) as drawing:
        for axes, name in zip(panels(drawing, len(METRICS), columns=3), METRICS, strict=True):
            for column, colour, line in ((name, GREY, "-"), (f"val_{name}", BLUE, "--")):
                if column in found.metrics:
                    label = "val" if column.startswith("val_") else "train"
                    # A single epoch makes no line, hence the markers.
                    marker = "o" if len(found.epochs) < 2 else None
                    axes.plot(found.epochs, found.metrics[column], line, color=colour, label=label, marker=marker)
            axes.axvline(found.best, color=RED, linewidth=1, label=f"best epoch ({found.best})")
            axes.set_title(name.replace("_", " "))
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(True)
        drawing.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=3)


def score_histograms(predictions: Path, out: Path) -> None:
    """Draw the distribution of scores, one panel per disposition and one for all, by label.

    Args:
        predictions: `preds_{split}.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing or holds no predictions.
    """
    table = _read_predictions(predictions)
    label, score = _array(table, "label"), _array(table, "pred_prob")
    disposition = np.array(table["disposition"].to_pylist(), dtype=object)
    names = sorted(set(disposition.tolist()))
    with figure(out, width=11, height=0.7 + 2.1 * -(-(len(names) + 1) // 3)) as drawing:
        grid = panels(drawing, len(names) + 1, columns=3)
        for axes, name in zip(grid, ["all", *names], strict=True):
            chosen = np.full(len(label), True) if name == "all" else disposition == name
            _draw_histogram(axes, label[chosen], score[chosen])
            counts = [f"{np.sum(chosen & (label == value)):,} of label {value}" for value in (0, 1)]
            axes.set_title(f"{name}: {', '.join(counts)}")
        handles, labels = grid[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside upper right", ncols=2)


def roc_and_precision_recall(predictions: Sequence[Path], out: Path) -> None:
    """Draw the ROC and the precision-recall curve of every split.

    Args:
        predictions: Files `preds_{split}.csv`; the split is read from the name.
        out: PNG.

    Raises:
        InputError: A file is missing or holds no predictions.
    """
    with figure(out, width=10, height=4.6) as drawing:
        left, right = drawing.subplots(1, 2)
        drawn = 0
        for path in predictions:
            split = path.stem.removeprefix("preds_")
            table = _read_predictions(path)
            label, score = _array(table, "label"), _array(table, "pred_prob")
            if len(set(label.tolist())) < 2:
                continue
            drawn += 1
            scores = score_metrics(label, score)
            style = {"color": SPLIT_COLOURS.get(split, BLUE), "linestyle": SPLIT_LINES.get(split, "-")}
            left.plot(*roc_curve(label, score), label=f"{split}, area {scores['auc_roc']:.4f}", **style)
            recall, precision = precision_recall_curve(label, score)
            # The average precision is the area under steps, so steps are drawn.
            right.step(
                np.append(0.0, recall),
                np.append(precision[0], precision),
                label=f"{split}, area {scores['auc_pr']:.4f}, positives {label.mean():.1%}",
                **style,
            )
        if not drawn:
            note(left, "no split has examples of both labels")
            note(right, "")
            return
        left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        _finish(left, "ROC", "false positive rate", "true positive rate")
        _finish(right, "precision and recall", "recall", "precision")


def _draw_histogram(axes: Any, label: Any, score: Any) -> None:
    for value, hatch in ((0, "////"), (1, None)):
        axes.hist(
            score[label == value],
            bins=np.linspace(0, 1, _BINS + 1),
            color=LABEL_COLOURS[value],
            alpha=0.65,
            hatch=hatch,
            edgecolor="white",
            label=f"label {value}",
        )
    axes.axvline(0.5, color=GREY, linewidth=0.8)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 2 * max(5, axes.get_ylim()[1]))
    axes.set_xlabel("probability of label 1")
    axes.set_ylabel("examples")


def _finish(axes: Any, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    axes.grid(True)
    axes.legend(loc="lower left" if x == "recall" else "lower right")


def _read_predictions(path: Path) -> pa.Table:
    types = {"label": pa.int8(), "pred_prob": pa.float64(), "disposition": pa.string()}
    options = pa_csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False)
    try:
        return pa_csv.read_csv(path, convert_options=options)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a table of predictions ({error}); evaluate the model again") from error


def _array(table: pa.Table, name: str) -> Any:
    return table[name].to_numpy()
