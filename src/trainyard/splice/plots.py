"""Figures of a dataset: each function reads its tables and writes one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.calls import CLASSES
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import stream_part
from trainyard.splice.sampling import STRATA
from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.settings import FAMILIES, Family
from trainyard.splice.split import NONE, SPLIT, SPLITS, TRAIN
from trainyard.splice.train.data import open_rows
from trainyard.splice.train.metrics import auroc, curve
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.plotting import BLUE, GREEN, GREY, ORANGE, RED, SKY, figure, note
from trainyard.yard.waterfall import draw_steps, sum_ledgers, waterfall

CLASS_COLOURS = {"neither": GREY, "donor": BLUE, "acceptor": ORANGE}
CLASS_HATCHES = {"neither": None, "donor": "////", "acceptor": ".."}
OUTCOMES = ("TP", "FN", "FP", "TN")
OUTCOME_COLOURS = {"TP": BLUE, "FN": ORANGE, "FP": RED, "TN": GREY}
STRATUM_NAMES = {"non_tn": "TP, FN, FP", "hard": "hard TN", "neighbour": "neighbour TN", "easy": "easy TN"}
_STRATUM_LOOKS = ((BLUE, RED, ORANGE, GREY), (None, "////", "..", None))
FAMILY_COLOURS = dict(zip(FAMILIES, (BLUE, SKY, GREEN, ORANGE, RED, GREY), strict=True))
STAGES = ("annotation", "choice of genes", "batches")
_KINDS = ("gene", "transcript", "intron", "site", "position")
"""Items that a person follows; lines and exons are told of in the ledgers."""
_BINS = 40
_ROWS = 50_000
"""Train rows that features are judged on."""
_BLOCK = 64
"""Features that are read at once."""
_SHOWN = 30


def class_balance(inputs: Sequence[Path], out: Path) -> None:
    """Draw how many rows each split has of each class, and of each outcome of the base model.

    Args:
        inputs: `gene_manifest.csv` and `split.parquet`.
        out: PNG.

    Raises:
        InputError, IntegrityError: A table is missing or broken.
    """
    if len(inputs) != 2:
        raise InputError("class_balance is drawn from two tables: gene_manifest.csv and split.parquet")
    split = _split_of(inputs[1])
    names = [f"n_{name}" for name in (*CLASSES, *(outcome.lower() for outcome in OUTCOMES))]
    counts = _zeros(names)
    for row in read_gene_manifest(inputs[0]).select(["gene_id", *names]).to_pylist():
        mine = counts[split.get(row["gene_id"] or "", NONE)]
        for name in names:
            mine[name] += row[name] or 0
    with figure(out, width=10, height=3.8) as drawing:
        left, right = drawing.subplots(1, 2)
        bars = [(f"n_{name}", name, CLASS_COLOURS[name], CLASS_HATCHES[name]) for name in CLASSES]
        _draw_counts(left, counts, bars, "class")
        outcomes = [(f"n_{name.lower()}", name, OUTCOME_COLOURS[name], None) for name in OUTCOMES]
        _draw_counts(right, counts, outcomes, "outcome of the base model")


def base_scores(parts: Sequence[Path], out: Path) -> None:
    """Draw the distribution of the base model's scores by class, in rows and in the positions that they stand for.

    Args:
        parts: Parts of the dataset.
        out: PNG.

    Raises:
        IntegrityError: A part cannot be read.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    counts = {(name, kind, by): np.zeros(_BINS) for name in SITE_TYPES for kind in CLASSES for by in ("rows", "all")}
    for path in parts:
        for table in stream_part(path, ["label", "sample_weight", *(f"{name}_score" for name in SITE_TYPES)]):
            label, weight = table["label"].to_numpy(), table["sample_weight"].to_numpy()
            for name in SITE_TYPES:
                place = np.clip((table[f"{name}_score"].to_numpy() * _BINS).astype(int), 0, _BINS - 1)
                for code, kind in enumerate(CLASSES):
                    mine = label == code
                    counts[name, kind, "rows"] += np.bincount(place[mine], minlength=_BINS)
                    counts[name, kind, "all"] += np.bincount(place[mine], weights=weight[mine], minlength=_BINS)
    with figure(out, width=10, height=6.4) as drawing:
        grid = drawing.subplots(2, 2)
        for row, (by, unit) in zip(grid, (("rows", "rows"), ("all", "positions")), strict=True):
            for axes, name in zip(row, SITE_TYPES, strict=True):
                for kind in CLASSES:
                    axes.stairs(counts[name, kind, by], edges, color=CLASS_COLOURS[kind], label=kind, linewidth=1.4)
                axes.set(xlabel=f"{name} score of the base model", ylabel=unit, xlim=(0, 1))
                axes.set_yscale("symlog", linthresh=1)
                axes.yaxis.set_major_formatter("{x:,.0f}")
                axes.grid(True)
        drawing.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=3, title="true class")


def outcome_scores(parts: Sequence[Path], out: Path) -> None:
    """Draw the larger site score of the base model by outcome of its call, in positions.

    Args:
        parts: Parts of the dataset.
        out: PNG.

    Raises:
        IntegrityError: A part cannot be read.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    counts = {name: np.zeros(_BINS) for name in OUTCOMES}
    names = [f"{name}_score" for name in SITE_TYPES]
    for path in parts:
        for table in stream_part(path, ["pred_type", "sample_weight", *names]):
            outcome, weight = _texts(table["pred_type"]), table["sample_weight"].to_numpy()
            score = np.maximum(*(table[name].to_numpy() for name in names))
            place = np.clip((score * _BINS).astype(int), 0, _BINS - 1)
            for name in OUTCOMES:
                mine = outcome == name
                counts[name] += np.bincount(place[mine], weights=weight[mine], minlength=_BINS)
    with figure(out, width=10, height=3.8) as drawing:
        for axes, pair in zip(drawing.subplots(1, 2), (OUTCOMES[:2], OUTCOMES[2:]), strict=True):
            for name, line in zip(pair, ("-", "--"), strict=True):
                label = f"{name}, {counts[name].sum():,.0f}"
                axes.stairs(
                    counts[name], edges, color=OUTCOME_COLOURS[name], linestyle=line, label=label, linewidth=1.4
                )
            axes.set(xlabel="larger site score of the base model", ylabel="positions", xlim=(0, 1))
            axes.set_yscale("symlog", linthresh=1)
            axes.yaxis.set_major_formatter("{x:,.0f}")
            axes.grid(True)
            axes.legend()


def strata(inputs: Sequence[Path], out: Path) -> None:
    """Draw how many rows each stratum of the sampling has in each split, and how many positions these stand for.

    Args:
        inputs: `split.parquet`, and the parts of the dataset.
        out: PNG.

    Raises:
        InputError, IntegrityError: A table is missing or broken.
    """
    split, counts = _split_of(inputs[0]), {by: _zeros(STRATA) for by in ("rows", "positions")}
    for path in inputs[1:]:
        for table in stream_part(path, ["gene_id", "stratum", "sample_weight"]):
            keys = ["gene_id", "stratum"]
            for row in table.group_by(keys).aggregate([("sample_weight", "sum"), ([], "count_all")]).to_pylist():
                own = split.get(row["gene_id"], NONE)
                counts["rows"][own][row["stratum"]] += row["count_all"]
                counts["positions"][own][row["stratum"]] += round(row["sample_weight_sum"])
    bars = [
        (name, STRATUM_NAMES[name], colour, hatch) for name, colour, hatch in zip(STRATA, *_STRATUM_LOOKS, strict=True)
    ]
    with figure(out, width=10, height=3.8) as drawing:
        for axes, (by, found) in zip(drawing.subplots(1, 2), counts.items(), strict=True):
            _draw_counts(axes, found, bars, f"{by} by stratum", unit=by)


def features(inputs: Sequence[Path], out: Path) -> None:
    """Draw how well single features tell sites from other rows of train.

    A bar is the area under the ROC curve of one feature by itself, on a sample of train rows that is drawn by hash;
    below 0.5 low values are the ones that speak for a site.

    Args:
        inputs: `manifest.json` of the dataset, and `split.parquet`.
        out: PNG.

    Raises:
        InputError, IntegrityError, LeakageError: See `open_rows`.
    """
    manifest, splits = inputs
    data = open_rows(manifest.parent, splits, allow_partial=True)
    rows = data.rows(TRAIN)
    keep = rows.sample(_ROWS, "splice plots")
    positive = rows.label[keep] > 0
    if not positive.any() or positive.all():
        with figure(out, width=10, height=2) as drawing:
            note(drawing.subplots(), "train has no sites, or nothing else")
        return
    areas: list[tuple[float, str, Family]] = []
    for family in FAMILIES:
        names = [column.name for column in data.master.features if column.family == family]
        for start in range(0, len(names), _BLOCK):
            block = names[start : start + _BLOCK]
            values = np.concatenate(list(data.pieces(TRAIN, block, keep=keep)))
            areas += [(_area(column, positive), name, family) for name, column in zip(block, values.T, strict=True)]
    areas.sort(key=lambda found: (-abs(found[0] - 0.5), found[1]))
    shown = areas[:_SHOWN]
    with figure(out, width=10, height=0.9 + 0.22 * len(shown)) as drawing:
        axes = drawing.subplots()
        heights = [area - 0.5 for area, _, _ in shown]
        axes.barh(range(len(shown)), heights, left=0.5, color=[FAMILY_COLOURS[family] for _, _, family in shown])
        axes.axvline(0.5, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(shown)), [f"{name} ({family})" for _, name, family in shown])
        axes.set(xlim=(0, 1), xlabel=f"AUROC of the feature by itself, sites against {int((~positive).sum()):,} others")
        axes.invert_yaxis()
        axes.grid(True, axis="x")


def rejections(ledgers: Sequence[Path], out: Path) -> None:
    """Draw what became of every item, stage by stage: annotation, choice of genes, batches.

    Args:
        ledgers: Ledger of the reference, that of the plan, and those of the batches.
        out: PNG.

    Raises:
        InputError: A file is missing or is no ledger.
    """
    if len(ledgers) < len(STAGES):
        raise InputError("rejections are drawn from the ledgers of the reference, of the plan and of the batches")
    steps = {
        f"{stage}: {kind}": waterfall(counts)
        for stage, files in zip(STAGES, (ledgers[:1], ledgers[1:2], ledgers[2:]), strict=True)
        for kind, counts in sum_ledgers(files).items()
        if kind in _KINDS
    }
    rows = [len(found) for found in steps.values()]
    with figure(out, width=10, height=0.6 + sum(0.55 + 0.26 * n for n in rows)) as drawing:
        grid = drawing.subplots(len(steps), 1, squeeze=False, height_ratios=[n + 1.5 for n in rows])[:, 0]
        for axes, (name, found) in zip(grid, steps.items(), strict=True):
            draw_steps(axes, name, found)


FIGURES = {
    "class_balance": class_balance,
    "strata": strata,
    "base_scores": base_scores,
    "outcome_scores": outcome_scores,
    "features": features,
    "rejections": rejections,
}
"""By name; each takes its inputs and the PNG."""


def draw(name: str, inputs: Sequence[Path], out: Path) -> None:
    """Draw one of FIGURES.

    Raises:
        InputError: There is no such figure, or its inputs are missing.
    """
    if name not in FIGURES:
        raise InputError(f"no figure {name!r}; one of {', '.join(FIGURES)}")
    if missing := [path for path in inputs if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file")
    try:
        FIGURES[name](inputs, out)
    except KeyError as error:
        raise IntegrityError(f"{inputs[0]}: lacks {error}; build it again") from error


def _split_of(path: Path) -> dict[str, str]:
    table = SPLIT.read(path, columns=["gene_id", "split"])
    return dict(zip(table["gene_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def _zeros(names: Sequence[str]) -> dict[str, dict[str, int]]:
    return {split: dict.fromkeys(names, 0) for split in (*SPLITS, NONE)}


def _texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = column.cast(pa.string()).to_numpy(zero_copy_only=False)
    return texts


def _area(values: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    """AUROC of the values that are there; 0.5 where none tell sites and others apart."""
    there = ~np.isnan(values)
    found = auroc(curve(values[there], positive[there], np.ones(int(there.sum()), np.float32)))
    return 0.5 if np.isnan(found) else found


def _draw_counts(
    axes: Any, counts: dict[str, dict[str, int]], bars: Sequence[Any], title: str, *, unit: str = "rows"
) -> None:
    width = 0.8 / len(bars)
    if not any(value for found in counts.values() for value in found.values()):
        note(axes, "the dataset has no rows")
        return
    for i, (name, label, colour, hatch) in enumerate(bars):
        places = np.arange(len(counts)) + (i - (len(bars) - 1) / 2) * width
        heights = [found[name] for found in counts.values()]
        axes.bar(places, heights, width, color=colour, hatch=hatch, edgecolor="white", label=label)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xticks(range(len(counts)), list(counts))
    axes.set(ylabel=unit, title=title)
    # Room for the legend above the highest bar.
    axes.set_ylim(0, 30 * max(max(found.values()) for found in counts.values()))
    axes.legend(ncols=2, loc="upper right")
    axes.grid(True, axis="y")
