"""Figures of the dataset: each function reads a finished store and writes one PNG.

matplotlib is imported only while a figure is drawn (`yard.plotting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.parts import table_path
from trainyard.voxel.schema import PARTS, SPLITS
from trainyard.voxel.store import Store
from trainyard.yard.identity import keyed_hash
from trainyard.yard.plotting import BLUE, GREY, LIGHT, RED, SPLIT_COLOURS, SPLIT_LINES, figure, note, panels
from trainyard.yard.waterfall import rejections

_LOOKED_AT = 2000
"""Grids that the share of each channel is taken from; reading all would not change the picture."""
_BINS = 40
_PERCENTILES = (5, 25, 50, 75, 95)

Ints = NDArray[np.int64]


def grid_density(folder: Path, out: Path) -> None:
    """Draw how many voxels are set in a grid, by split, and in each channel.

    Args:
        folder: Folder of the store.
        out: PNG.

    Raises:
        InputError: There is no store.
        IntegrityError: It is damaged.
    """
    store = Store(folder)
    residues = store.residues
    parts = [PARTS.read(table_path(path), columns=["nnz"])["nnz"].to_numpy() for path in store.part_files]
    starts = np.cumsum([0, *map(len, parts)])
    rows = starts[residues["part"].to_numpy()] + residues["row"].to_numpy()
    nnz = np.concatenate(parts)[rows].astype(np.int64)
    split = np.array(residues["split"].to_pylist(), dtype=object)
    with figure(out, width=11, height=3.8) as drawing:
        left, right = drawing.subplots(1, 2, width_ratios=[2, 1])
        _draw_density(left, store, {name: nnz[split == name] for name in SPLITS})
        _draw_channels(right, store, _chosen(residues["residue_uid"].to_numpy(), _LOOKED_AT))


def rmsf_by_temperature(folder: Path, out: Path) -> None:
    """Draw the distribution of the target at every temperature, one panel per split.

    Args:
        folder: Folder of the store.
        out: PNG.

    Raises:
        InputError: There is no store.
        IntegrityError: It is damaged.
    """
    store = Store(folder)
    tables = {split: store.samples(split, columns=["temperature", "target"]) for split in SPLITS}
    values = {
        split: (table["temperature"].to_numpy(), table["target"].to_numpy().astype(np.float64))
        for split, table in tables.items()
    }
    kelvins = np.unique(np.concatenate([temperature for temperature, _ in values.values()]))
    with figure(out, width=11, height=3.8) as drawing:
        grid = drawing.subplots(1, len(SPLITS), sharey=True)
        for axes, (split, (temperature, target)) in zip(grid, values.items(), strict=True):
            axes.set_title(f"{split}: {len(target):,} samples")
            axes.set_xlabel("temperature, K")
            axes.grid(True, axis="y")
            _draw_boxes(axes, kelvins, [target[temperature == kelvin] for kelvin in kelvins])
        grid[0].set_ylabel("RMSF, nm\n(5, 25, 50, 75, 95 %; dot: mean)")


def voxel_projections(folder: Path, out: Path) -> None:
    """Draw one residue's grid: for every channel, the sums along each of the three axes.

    Args:
        folder: Folder of the store; a hash picks the residue.
        out: PNG.

    Raises:
        InputError: There is no store.
        IntegrityError: It is damaged.
    """
    store = Store(folder)
    columns = len(store.channels)
    with figure(out, width=2.2 * columns + 1, height=6.6) as drawing:
        if not len(store):
            note(drawing.subplots(), "the store holds no grids")
            return
        uid = _chosen(np.arange(len(store)), 1)
        grid = store.expand(uid)[0]
        row = store.residues.take(uid).to_pylist()[0]
        drawing.suptitle(f"{row['domain']}, chain {row['chain']}, {row['label']} {row['residue']} ({row['split']})")
        shown = panels(drawing, 3 * columns, columns=columns)
        edge = float(store.manifest["edge_angstrom"])
        for place, axes in enumerate(shown):
            along, channel = divmod(place, columns)
            _draw_projection(axes, grid[channel], 2 - along, edge=edge)
            if not along:
                axes.set_title(f"channel {store.channels[channel]}, {np.count_nonzero(grid[channel])} set")


def rejections_of_store(folder: Path, out: Path) -> None:
    """Draw what became of every domain, residue, sample and grid; see `yard.waterfall`.

    Args:
        folder: Folder of the store.
        out: PNG.

    Raises:
        InputError: There is no ledger.
    """
    rejections([folder / "ledger.json"], out)


def _chosen(uids: Ints, count: int) -> Ints:
    """Residues picked by a hash of their number, in order."""
    ranked = sorted(uids.tolist(), key=lambda uid: keyed_hash("voxel plots", uid))
    return np.array(sorted(ranked[:count]), np.int64)


def _draw_density(axes: Any, store: Store, nnz: Mapping[str, Ints]) -> None:
    every = np.concatenate(list(nnz.values()))
    axes.set(xlabel="voxels set in a grid", ylabel="share of the split's grids")
    if not every.size:
        note(axes, "the store holds no grids")
        return
    low, high = int(every.min()), int(every.max())
    width = -(-(high - low + 1) // _BINS)
    edges = np.arange(low, high + width + 1, width)
    for split, counts in nnz.items():
        if counts.size:
            style = {"color": SPLIT_COLOURS[split], "linestyle": SPLIT_LINES[split]}
            label = f"{split}: {counts.size:,}, mean {counts.mean():.1f}"
            axes.stairs(np.histogram(counts, edges)[0] / counts.size, edges, label=label, **style)
    sides = " x ".join(map(str, store.shape))
    axes.set_title(f"{every.size:,} grids of {sides}; {every.mean() / store.cells:.3%} of the cells are set")
    axes.grid(True)
    axes.legend()


def _draw_channels(axes: Any, store: Store, uids: Ints) -> None:
    if not uids.size:
        note(axes, "")
        return
    grids = store.gather(uids)
    channels, voxels = len(store.channels), store.cells // len(store.channels)
    counts = np.bincount(grids.indices // voxels, minlength=channels) / len(uids)
    axes.bar(range(channels), counts, color=BLUE)
    for place, count in enumerate(counts.tolist()):
        axes.text(place, count, f"{count:.1f}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(channels), store.channels)
    axes.set(xlabel="channel", ylabel="voxels set in a grid, mean", title=f"of {len(uids):,} grids")
    axes.grid(True, axis="y")


def _draw_boxes(axes: Any, kelvins: NDArray[np.float32], targets: Sequence[NDArray[np.float64]]) -> None:
    boxes, places = [], []
    for place, target in enumerate(targets):
        if target.size:
            low, first, median, third, high = np.percentile(target, _PERCENTILES).tolist()
            box = {"whislo": low, "q1": first, "med": median, "q3": third, "whishi": high, "mean": target.mean()}
            boxes.append(box)
            places.append(place)
    if not boxes:
        note(axes, "no samples")
        return
    axes.bxp(
        boxes,
        positions=places,
        widths=0.6,
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        boxprops={"facecolor": LIGHT, "edgecolor": GREY},
        medianprops={"color": BLUE},
        meanprops={"marker": "o", "markerfacecolor": RED, "markeredgecolor": RED, "markersize": 3.5},
    )
    axes.set_xticks(range(len(kelvins)), [f"{kelvin:g}" for kelvin in kelvins])
    axes.set_xlim(-0.6, len(kelvins) - 0.4)


def _draw_projection(axes: Any, voxels: NDArray[np.float32], along: int, *, edge: float) -> None:
    across, up = (axis for axis in range(3) if axis != along)
    half = edge / 2
    summed = voxels.sum(axis=along).T
    image = np.ma.masked_equal(summed, 0)
    axes.imshow(image, origin="lower", extent=(-half, half, -half, half), cmap="viridis_r", vmin=0)
    axes.plot(0, 0, "+", color=RED, markersize=7)
    axes.set_xlabel(f"{'xyz'[across]}, Å")
    axes.set_ylabel(f"{'xyz'[up]}, Å")
