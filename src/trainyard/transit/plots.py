"""Figures of the dataset: each function reads finished files and writes one PNG.

matplotlib is imported only while a figure is drawn (`yard.plotting`). What became of every item is
drawn by `yard.waterfall`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.transit.plotting import LABEL_COLOURS, runs
from trainyard.transit.schema import SPLIT_EXAMPLES, SPLITS
from trainyard.yard.examples import Decoded, decode_example, decode_tensor
from trainyard.yard.identity import keyed_hash
from trainyard.yard.plotting import BLACK, BLUE, GREY, LIGHT, ORANGE, RED, figure, note
from trainyard.yard.tfrecord import read_records

_SCANNED = 2000
"""Records looked at to find examples worth showing; reading a whole set for six pictures would not pay."""
_IMAGES = {"diff_img": "difference", "oot_img": "out of transit", "snr_img": "signal to noise", "target_img": "target"}

Example = dict[str, Decoded]


def example_windows(shards: Sequence[Path], out: Path, *, count: int = 6) -> None:
    """Draw windows before and after normalization, with their images, one example per row.

    The rows alternate among positives, negative in-transit windows and out-of-transit windows, drawn by hash.

    Args:
        shards: Normalized shards of any splits; the first ones are looked at.
        out: PNG.
        count: Rows.

    Raises:
        IntegrityError: A shard is damaged.
    """
    examples = _varied(shards, count)
    with_images = any("diff_img" in example for example in examples)
    columns = ["flux", "flux_norm", *(_IMAGES if with_images else ())]
    ratios = [2.2, 2.2, *([1] * (len(columns) - 2))]
    with figure(out, width=13 if with_images else 8, height=0.6 + 1.75 * max(1, len(examples))) as drawing:
        if not examples:
            note(drawing.subplots(), "the shards hold no examples")
            return
        grid = drawing.subplots(len(examples), len(columns), squeeze=False, width_ratios=ratios)
        for axes, example in zip(grid, examples, strict=True):
            axes[0].set_title(_caption(example))
            _draw_window(axes[0], example, "flux")
            _draw_window(axes[1], example, "flux_norm")
            for panel, name in zip(axes[2:], _IMAGES, strict=False):
                _draw_image(panel, example, name)
        for panel in grid[-1, :2]:
            panel.set_xlabel("point of the window")
        drawing.align_ylabels(grid[:, :2])


def light_curve_masks(tables: Sequence[Path], out: Path, *, count: int = 4) -> None:
    """Draw light curves with their masks and window centres, one sector of one star per panel.

    Args:
        tables: Diagnostics `curves_*.parquet` of the raw shards.
        out: PNG.
        count: Panels; sectors with in-transit windows come first, otherwise a hash decides.

    Raises:
        InputError: A table is missing.
        IntegrityError: A table is not one of light curves.
    """
    curves = _varied_curves(tables, count)
    with figure(out, width=12, height=0.5 + 2.4 * max(1, len(curves))) as drawing:
        if not curves:
            note(drawing.subplots(), "no light curve was kept for the report")
            return
        grid = drawing.subplots(len(curves), 1, squeeze=False)[:, 0]
        for axes, curve in zip(grid, curves, strict=True):
            _draw_curve(axes, curve)
            _draw_masks(axes, curve)
        grid[-1].set_xlabel("time, d")
        handles, labels = grid[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside upper center", ncols=len(labels), markerscale=1.5)


def class_balance(tables: Sequence[Path], out: Path) -> None:
    """Draw the number of examples by split, disposition and label, on a logarithmic scale.

    Args:
        tables: Example tables of the split shards (contract SPLIT_EXAMPLES).
        out: PNG.

    Raises:
        InputError: A table is missing.
        IntegrityError: A table breaks the contract.
    """
    counts: Counter[tuple[str, str, int]] = Counter()
    for path in tables:
        table = SPLIT_EXAMPLES.read(path, columns=["split", "disposition", "label"])
        groups = table.group_by(["split", "disposition", "label"]).aggregate([([], "count_all")])
        for row in groups.to_pylist():
            counts[row["split"], row["disposition"], row["label"]] += row["count_all"]
    total: Counter[str] = Counter()
    for (_, disposition, _), n in counts.items():
        total[disposition] += n
    dispositions = sorted(total, key=lambda name: (total[name], name))
    with figure(out, width=12, height=1.3 + 0.45 * max(3, len(dispositions))) as drawing:
        for axes, split in zip(drawing.subplots(1, len(SPLITS), sharey=True, sharex=True), SPLITS, strict=True):
            _draw_balance(axes, split, dispositions, counts)


def _varied(shards: Sequence[Path], count: int) -> list[Example]:
    """Examples that differ in kind: in turns from each (label, in-transit) group, within a group by hash."""
    groups: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
    for record in _first_records(shards):
        example = decode_example(record)
        group = groups.setdefault((_text(example, "label"), _text(example, "transit_example")), [])
        group.append((keyed_hash("example windows", _text(example, "uid")), record))
    queues = [sorted(groups[key]) for key in sorted(groups, reverse=True)]
    turns = sorted((place, i) for i, queue in enumerate(queues) for place in range(len(queue)))
    return [decode_example(queues[i][place][1]) for place, i in turns[:count]]


def _first_records(shards: Sequence[Path]) -> Iterator[bytes]:
    left = _SCANNED
    for shard in sorted(shards, key=lambda path: path.name):
        for record in read_records(shard):
            if not left:
                return
            left -= 1
            yield record


def _draw_window(axes: Any, example: Example, name: str) -> None:
    axes.grid(True)
    axes.margins(x=0.01)
    if name not in example:
        note(axes, f"no {name}")
        return
    values = np.asarray(example[name])
    inside = np.asarray(example.get("true_it_mask", np.zeros(values.size))) > 0
    points = np.arange(values.size)
    axes.plot(points[~inside], values[~inside], ".", color=BLACK, markersize=3)
    axes.plot(points[inside], values[inside], "^", color=RED, markersize=3.5)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(name)


def _draw_image(axes: Any, example: Example, name: str) -> None:
    if name not in example:
        note(axes, "no image")
        return
    axes.imshow(decode_tensor(bytes(example[name][0])), origin="lower", cmap="cividis", interpolation="nearest")
    axes.set_title(_IMAGES[name])
    axes.set_xticks([])
    axes.set_yticks([])
    if "target_pos" in example:
        column, row = np.asarray(example["target_pos"]).tolist()
        axes.plot(column, row, "+", color="white", markersize=11, markeredgewidth=3)
        axes.plot(column, row, "+", color=RED, markersize=9, markeredgewidth=1.3)


def _caption(example: Example) -> str:
    kind = "in transit" if _text(example, "transit_example") == "1" else "out of transit"
    return f"label {_text(example, 'label')}, {_text(example, 'disposition')}, {kind}: {_text(example, 'uid')}"


def _text(example: Example, name: str) -> str:
    value = example.get(name, [])
    return bytes(value[0]).decode() if isinstance(value, list) and value else ""


def _varied_curves(tables: Sequence[Path], count: int) -> list[dict[str, Any]]:
    from trainyard.transit.curves import CURVES

    # Keys first: the curves themselves are long, and only a few are drawn.
    keys = []
    for path in tables:
        light = CURVES.read(path, columns=["target_id", "sector", "it_centres"])
        for i, row in enumerate(light.to_pylist()):
            if row["it_centres"] is None:  # only how it was prepared is kept of this one
                continue
            order = keyed_hash("light curves", row["target_id"], row["sector"])
            keys.append((not row["it_centres"], order, str(path), i))
    chosen = sorted(keys)[:count]
    rows: list[pa.Table] = [CURVES.read(Path(path)).slice(i, 1) for _, _, path, i in chosen]
    return [
        {name: np.asarray(value) if isinstance(value, list) else value for name, value in table.to_pylist()[0].items()}
        for table in rows
    ]


def _draw_curve(axes: Any, curve: dict[str, Any]) -> None:
    time, flux, good = curve["time"], curve["flux"], curve["good"].astype(bool)
    axes.set_title(f"target {curve['target_id']}, sector {curve['sector']}")
    axes.grid(True)
    axes.margins(x=0.005)
    axes.plot(time[~good], flux[~good], ".", color=LIGHT, markersize=2, label="filled or flagged")
    axes.plot(time[good], flux[good], ".", color=BLACK, markersize=2, label="good")
    axes.set_xlim(axes.get_xlim())
    if good.any():
        # Percentiles: a flare or a jump would press a shallow transit flat. Room is for windows above, masks below.
        low, high = np.percentile(flux[good], [0.02, 99.8])
        depth = max(high - low, 1e-6)
        axes.set_ylim(low - 0.35 * depth, high + 0.35 * depth)
    for centres, marker, colour, label in (
        (curve["it_centres"], "v", RED, "in-transit window"),
        (curve["oot_centres"], "o", BLUE, "out-of-transit window"),
    ):
        places = np.full(len(centres), 0.93)
        axes.plot(
            centres, places, marker, color=colour, markersize=4.5, label=label, transform=axes.get_xaxis_transform()
        )
    axes.set_ylabel("relative flux")
    axes.ticklabel_format(axis="y", useOffset=False)


def _draw_masks(axes: Any, curve: dict[str, Any]) -> None:
    """Strips along the bottom, in the order of what they keep away: points, negative windows, any window."""
    time = curve["time"]
    for height, (name, colour, label) in enumerate(
        (
            ("true_in_transit", RED, "true in-transit points"),
            ("positive", ORANGE, "positive-event mask"),
            ("all_dispositions", GREY, "any-event mask"),
        )
    ):
        spans = runs(curve[name].astype(bool))
        axes.broken_barh(
            [(time[start], time[end - 1] - time[start]) for start, end in spans],
            (0.02 + 0.045 * height, 0.035),
            facecolor=colour,
            edgecolor=colour,
            linewidth=0.8,
            label=label,
            transform=axes.get_xaxis_transform(),
        )


def _draw_balance(axes: Any, split: str, dispositions: Sequence[str], counts: Counter[tuple[str, str, int]]) -> None:
    places = np.arange(len(dispositions))
    for label, shift, hatch in ((1, 0.2, None), (0, -0.2, "////")):
        values = np.array([counts[split, name, label] for name in dispositions])
        axes.barh(
            places + shift,
            values,
            0.38,
            color=LABEL_COLOURS[label],
            hatch=hatch,
            edgecolor="white",
            label=f"label {label}",
        )
        for place, value in zip(places + shift, values.tolist(), strict=True):
            if value:
                axes.text(value, place, f" {value:,}", va="center", fontsize=7.5)
    examples = sum(n for (found, _, _), n in counts.items() if found == split)
    axes.set_title(f"{split}: {examples:,} examples")
    axes.set_yticks(places, dispositions)
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(0, 8 * max([1, *counts.values()]))
    axes.set_xlabel("examples")
    axes.grid(True, axis="x")
    if split == SPLITS[-1]:
        axes.legend(loc="lower right")
