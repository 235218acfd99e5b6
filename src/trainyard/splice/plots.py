"""Figures of a dataset: each function reads its tables and writes one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainyard.splice.calls import CLASSES
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import stream_part
from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.split import NONE, SPLIT, SPLITS
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.plotting import BLUE, GREY, LIGHT, ORANGE, figure, note
from trainyard.yard.waterfall import rejections

CLASS_COLOURS = {"neither": GREY, "donor": BLUE, "acceptor": ORANGE}
CLASS_HATCHES = {"neither": None, "donor": "////", "acceptor": ".."}
_OUTCOMES = ("n_tp", "n_fn", "n_fp", "n_tn")
_OUTCOME_COLOURS = {"n_tp": BLUE, "n_fn": ORANGE, "n_fp": LIGHT, "n_tn": GREY}
_BINS = 40


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
    table = SPLIT.read(inputs[1], columns=["gene_id", "split"])
    split = dict(zip(table["gene_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    names = [f"n_{name}" for name in CLASSES] + list(_OUTCOMES)
    counts = {kind: dict.fromkeys(names, 0) for kind in (*SPLITS, NONE)}
    for row in read_gene_manifest(inputs[0]).select(["gene_id", *names]).to_pylist():
        mine = counts[split.get(row["gene_id"] or "", NONE)]
        for name in names:
            mine[name] += row[name] or 0
    with figure(out, width=10, height=3.8) as drawing:
        left, right = drawing.subplots(1, 2)
        bars = [(f"n_{name}", name, CLASS_COLOURS[name], CLASS_HATCHES[name]) for name in CLASSES]
        _draw_counts(left, counts, bars, "class")
        outcomes = [(name, name[2:].upper(), _OUTCOME_COLOURS[name], None) for name in _OUTCOMES]
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


FIGURES = {"class_balance": class_balance, "base_scores": base_scores, "rejections": rejections}
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


def _draw_counts(axes: Any, counts: dict[str, dict[str, int]], bars: Sequence[Any], title: str) -> None:
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
    axes.set(ylabel="rows", title=title)
    axes.legend(ncols=2)
    axes.grid(True, axis="y")
