"""Figures of a trained meta-model: each function reads result files and writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.splice.train.ablation import ABLATIONS
from trainyard.splice.train.delta import BASE, DELTA, META, PREDICTORS, positives
from trainyard.splice.train.evaluate import PREDICTIONS
from trainyard.splice.train.feed import SITE
from trainyard.splice.train.full_positions import FULL_TABLE
from trainyard.splice.train.importance import FAMILY, IMPORTANCE
from trainyard.splice.train.metrics import Curve, average_precision, curve
from trainyard.splice.train.pooled import CALIBRATION, TOP_K_TABLE
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named
from trainyard.yard.plotting import (
    BLUE,
    GREY,
    LIGHT,
    ORANGE,
    RED,
    SPLIT_COLOURS,
    SPLIT_LINES,
    figure,
    note,
    panels,
)
from trainyard.yard.tables import TableContract

COLOURS = {BASE: GREY, META: BLUE}
_LINES = {BASE: "--", META: "-"}
_SHOWN = 25
"""Features in the figure of importance."""
_POINTS = 2000
"""Points of a curve that are drawn."""


def precision_recall(predictions: Path, out: Path) -> None:
    """Draw the precision-recall curves of base and meta scores, by site type; rows count as positions.

    Args:
        predictions: `predictions_test.parquet`.
        out: PNG.

    Raises:
        InputError, IntegrityError: The file is missing, or holds no predictions.
    """
    scores = _read_scores(predictions)
    with figure(out, width=1.0 + 4.2 * len(scores), height=4.4) as drawing:
        for axes, (name, (by, truth, weight)) in zip(
            panels(drawing, len(scores), columns=len(scores)), scores.items(), strict=True
        ):
            if not truth.any():
                note(axes, f"no {name} in the test split")
                continue
            for predictor in PREDICTORS:
                found = curve(by[predictor], truth, weight)
                label = f"{predictor}, AUPRC {average_precision(found):.4f}"
                axes.step(*_steps(found), color=COLOURS[predictor], linestyle=_LINES[predictor], label=label)
            axes.set(title=f"{name}: {int(truth.sum()):,} sites in {weight.sum(dtype=float):,.0f} positions")
            axes.set(xlabel="recall", ylabel="precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
            axes.grid(True)
            axes.legend(loc="lower left")


def score_histograms(predictions: Path, out: Path) -> None:
    """Draw how base and meta scores tell sites from other positions, by site type; rows count as positions.

    Args:
        predictions: `predictions_test.parquet`.
        out: PNG.

    Raises:
        InputError, IntegrityError: The file is missing, or holds no predictions.
    """
    scores = _read_scores(predictions)
    edges = np.linspace(0, 1, 31)
    with figure(out, width=10, height=0.6 + 2.6 * len(scores)) as drawing:
        grid = drawing.subplots(len(scores), 2, squeeze=False)
        for row, (name, (by, truth, weight)) in zip(grid, scores.items(), strict=True):
            for axes, predictor in zip(row, PREDICTORS, strict=True):
                for mine, colour, label in ((truth, RED, name), (~truth, GREY, f"no {name}")):
                    counts, _ = np.histogram(by[predictor][mine], edges, weights=weight[mine].astype(np.float64))
                    axes.stairs(counts, edges, color=colour, label=label, linewidth=1.4)
                axes.set(xlabel=f"{name} score of the {predictor} model", ylabel="positions", xlim=(0, 1))
                axes.set_yscale("symlog", linthresh=1)
                axes.yaxis.set_major_formatter("{x:,.0f}")
                axes.grid(True)
                axes.legend(loc="upper center")


def gene_deltas(delta: Path, out: Path) -> None:
    """Draw the differences of the test genes in AUPRC and F1, sorted, by site type.

    Args:
        delta: `delta_vs_baseline.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    table = _read(delta, DELTA)
    types = np.array(table["splice_type"].to_pylist(), dtype=object)
    names = sorted(set(types.tolist())) or [SITE]
    with figure(out, width=10, height=0.8 + 2.8 * len(names)) as drawing:
        if baseline := sorted(set(table["baseline"].to_pylist()) - {"base_scores"}):
            drawing.suptitle(f"against {baseline[0]}: not the same rows")
        grid = drawing.subplots(len(names), 2, squeeze=False)
        for row, name in zip(grid, names, strict=True):
            columns = (("delta_auprc", "AUPRC"), ("delta_f1", "F1 at 0.5"))
            for axes, (column, label) in zip(row, columns, strict=True):
                values = table[column].to_numpy()[types == name]
                _draw_sorted(axes, values[np.isfinite(values)], f"{name}: {label}, meta less base")


def calibration(table: Path, out: Path) -> None:
    """Draw the share of true sites against the mean score, by bin, for base and meta scores of test.

    Args:
        table: `calibration.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    rows = [row for row in _read(table, CALIBRATION).to_pylist() if row["split"] == "test"]
    names = list(dict.fromkeys(row["splice_type"] for row in rows)) or [SITE]
    with figure(out, width=1.0 + 4.2 * len(names), height=4.4) as drawing:
        for axes, name in zip(panels(drawing, len(names), columns=len(names)), names, strict=True):
            axes.axline((0, 0), slope=1, color=LIGHT, linewidth=0.8)
            for predictor, marker in ((BASE, "s"), (META, "o")):
                mine = [row for row in rows if (row["splice_type"], row["predictor"]) == (name, predictor)]
                points = [[row[key] for row in mine] for key in ("mean_score", "observed")]
                axes.plot(*points, _LINES[predictor], color=COLOURS[predictor], marker=marker, label=predictor)
            # Nearly all positions have scores near 0, and there a straight axis shows nothing.
            axes.set_xscale("symlog", linthresh=1e-3)
            axes.set_yscale("symlog", linthresh=1e-3)
            axes.set(title=name, xlabel="mean score", ylabel="share of true sites", xlim=(0, 1.1), ylim=(0, 1.1))
            axes.grid(True)
            axes.legend(loc="upper left")


def importance(table: Path, out: Path) -> None:
    """Draw gain and permutation importance, of whole families and of the features with the highest gain.

    Args:
        table: `feature_importance_all.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    rows = _read(table, IMPORTANCE).to_pylist()
    families = [row for row in rows if row["name"] == FAMILY]
    features = [row for row in rows if row["name"] != FAMILY][:_SHOWN]
    shown = [(f"all of {row['family']}", row) for row in families] + [(row["name"], row) for row in features]
    with figure(out, width=10, height=1.0 + 0.22 * max(len(shown), 3)) as drawing:
        left, right = drawing.subplots(1, 2, sharey=True)
        for axes, key, label in ((left, "gain", "share of gain"), (right, "auprc_drop", "AUPRC lost when permuted")):
            values = [np.nan if row[key] is None else row[key] for _, row in shown]
            axes.barh(range(len(shown)), values, color=[ORANGE] * len(families) + [BLUE] * len(features))
            axes.set_xlabel(label)
            axes.grid(True, axis="x")
        left.set_yticks(range(len(shown)), [name for name, _ in shown])
        left.invert_yaxis()


def top_k(table: Path, out: Path) -> None:
    """Draw top-k accuracy of base and meta scores of test, by multiple of the number of true sites and by site type.

    Args:
        table: `topk.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    rows = [row for row in _read(table, TOP_K_TABLE).to_pylist() if row["split"] == "test"]
    names = list(dict.fromkeys(row["splice_type"] for row in rows)) or [SITE]
    with figure(out, width=1.0 + 4.2 * len(names), height=4.0) as drawing:
        for axes, name in zip(panels(drawing, len(names), columns=len(names)), names, strict=True):
            for place, predictor in enumerate(PREDICTORS):
                mine = [row for row in rows if (row["splice_type"], row["predictor"]) == (name, predictor)]
                places = np.arange(len(mine)) + (place - 0.5) * 0.4
                heights = [np.nan if row["accuracy"] is None else row["accuracy"] for row in mine]
                hatch = "////" if predictor == BASE else None
                axes.bar(
                    places, heights, 0.4, color=COLOURS[predictor], hatch=hatch, edgecolor="white", label=predictor
                )
                axes.set_xticks(range(len(mine)), [f"{row['multiple']:g} times: {row['k']:,}" for row in mine])
            axes.set(title=name, xlabel="k, by the number of true sites", ylabel="top-k accuracy", ylim=(0, 1.15))
            axes.grid(True, axis="y")
            axes.legend(loc="upper left", ncols=2)


def full_positions(table: Path, out: Path) -> None:
    """Draw the AUPRC over every position of some test genes beside the one that their rows estimate, by site type.

    Args:
        table: `full_positions.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    rows = _read(table, FULL_TABLE).to_pylist()
    names = list(dict.fromkeys(row["splice_type"] for row in rows)) or [SITE]
    with figure(out, width=1.0 + 4.2 * len(names), height=4.0) as drawing:
        for axes, name in zip(panels(drawing, len(names), columns=len(names)), names, strict=True):
            if not rows:
                note(axes, "no test gene was scored as a whole")
                continue
            for place, (basis, hatch) in enumerate((("estimated", "////"), ("all_positions", None))):
                mine = [row for row in rows if (row["splice_type"], row["basis"]) == (name, basis)]
                heights = [np.nan if row["auprc"] is None else row["auprc"] for row in mine]
                places = np.arange(len(mine)) + (place - 0.5) * 0.4
                label = {"estimated": "estimated from rows", "all_positions": "every position"}[basis]
                colour = {"estimated": GREY, "all_positions": BLUE}[basis]
                axes.bar(places, heights, 0.4, color=colour, hatch=hatch, edgecolor="white", label=label)
                axes.set_xticks(range(len(mine)), [row["predictor"] for row in mine])
            axes.set(title=name, ylabel="AUPRC", ylim=(0, 1.15))
            axes.grid(True, axis="y")
            axes.legend(loc="upper left", ncols=2)


def history(table: Path, out: Path) -> None:
    """Draw the loss of train and val by round, with the round that is best on val.

    Args:
        table: `history.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    try:
        with faults_named(table):
            found = pa_csv.read_csv(table)
        rounds = found["round"].to_numpy()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{table}: not a history of a training ({error}); train again") from error
    with figure(out, width=7, height=4) as drawing:
        axes = drawing.subplots()
        if not rounds.size:
            note(axes, "this model is not trained in rounds")
            return
        for name in found.column_names[1:]:
            split = name.split("_")[0]
            values = found[name].to_numpy(zero_copy_only=False).astype(np.float64)
            axes.plot(rounds, values, SPLIT_LINES[split], color=SPLIT_COLOURS[split], label=name.replace("_", " "))
            if split == "val":
                best = int(np.nanargmin(values))
                axes.axvline(rounds[best], color=LIGHT, linewidth=0.8, label=f"round {rounds[best]}")
        axes.set(xlabel="round", ylabel="loss")
        axes.set_yscale("log")
        axes.grid(True)
        axes.legend()


def ablations(table: Path, out: Path) -> None:
    """Draw the AUPRC on test of models with fewer families of features, beside the base model.

    Args:
        table: `ablations.csv`.
        out: PNG.

    Raises:
        InputError: The file is missing, or is another table.
    """
    rows = _read(table, ABLATIONS).to_pylist()
    types = [name for name in ("donor", "acceptor", SITE) if rows and rows[0][f"auprc_{name}"] is not None]
    with figure(out, width=9, height=1.0 + 0.36 * max(len(rows), 3)) as drawing:
        axes = drawing.subplots()
        if not types:
            note(axes, "no ablations were made")
            return
        colours, markers = {"donor": BLUE, "acceptor": ORANGE, SITE: BLUE}, {"donor": "o", "acceptor": "s", SITE: "o"}
        for name in types:
            values = [row[f"auprc_{name}"] for row in rows]
            axes.plot(values, range(len(rows)), markers[name], color=colours[name], label=name)
        axes.set_yticks(
            range(len(rows)),
            [f"{row['name']} ({row['n_features']})" if row["families"] else row["name"] for row in rows],
        )
        axes.set(xlabel="weighted AUPRC on test", ylabel="what the model sees (features)")
        axes.invert_yaxis()
        axes.grid(True)
        drawing.legend(loc="outside upper right", ncols=2)


FIGURES = {
    "history": history,
    "precision_recall": precision_recall,
    "scores": score_histograms,
    "delta": gene_deltas,
    "top_k": top_k,
    "full_positions": full_positions,
    "calibration": calibration,
    "importance": importance,
    "ablations": ablations,
}
"""By name; each takes its table and the PNG."""


def _draw_sorted(axes: Any, values: NDArray[np.float64], label: str) -> None:
    if not values.size:
        note(axes, "no gene to compare")
        return
    ranked = np.sort(values)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.stairs(ranked, np.arange(ranked.size + 1), fill=True, color=BLUE, alpha=0.5)
    axes.axhline(ranked.mean(), color=RED, linewidth=1, label=f"mean {ranked.mean():+.4f} of {ranked.size:,} genes")
    axes.set(xlabel="genes, sorted", ylabel=label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(True)
    axes.legend(loc="upper left")


Scores = Mapping[str, tuple[Mapping[str, NDArray[np.float32]], NDArray[np.bool_], NDArray[np.float32]]]
"""By site type: scores by predictor, truth and weight."""


def _read_scores(path: Path) -> Scores:
    table = PREDICTIONS.read(path)
    label, weight = table["label"].to_numpy(), table["sample_weight"].to_numpy()
    if table.num_rows and table["meta_donor"].null_count == table.num_rows:
        base = np.maximum(table["base_donor"].to_numpy(), table["base_acceptor"].to_numpy())
        return {SITE: ({BASE: base, META: table["meta_site"].to_numpy()}, positives(label, SITE), weight)}
    return {
        name: (
            {predictor: table[f"{predictor}_{name}"].to_numpy() for predictor in PREDICTORS},
            positives(label, name),
            weight,
        )
        for name in ("donor", "acceptor")
    }


def _steps(found: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision of at most so many thresholds; the average precision is the area under steps."""
    places = np.unique(np.linspace(0, found.tp.size - 1, _POINTS).astype(int))
    recall, precision = found.tp[places] / found.positives, found.tp[places] / (found.tp + found.fp)[places]
    return np.append(0.0, recall), np.append(precision[0], precision)


def _read(path: Path, contract: TableContract) -> pa.Table:
    types = {column.name: column.type for column in contract.columns}
    options = pa_csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False)
    try:
        with faults_named(path):
            return pa_csv.read_csv(path, convert_options=options)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a table of {contract.name} ({error}); evaluate the model again") from error
