"""Grids in which every atom is spread over 3 x 3 x 3 voxels, as aposteriori 2.4.0 spreads it.

The density is that of ProDCoNN (Zhang et al. 2020, doi:10.1002/prot.25868, appendix): exp(-(d / radius)^2), summed per
axis over three pieces of [-2, 2] voxels and scaled to a sum of 1. Everything that shapes the numbers is repeated, so
that grids of the two programs can stand in one set: half precision, the offset taken with both signs, and x and y
changing places within an atom.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.grids import Grids, GridShape, collect, join, pointers

_RADIUS = np.array([0.7, 0.65, 0.6, 0.7, 0.7])
"""Of the atoms of every channel (C, N, O, CA, CB), voxels."""
_REACH = 2.0
_POINTS = 999
"""Of the integration along one axis, a third for each of the three voxels."""
_BLOCK = 32
"""Grids that are dense in memory at a time."""

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


def spread_atoms(row: Ints, place: Floats, channel: Ints, *, n: int, shape: GridShape) -> Grids:
    """Return Gaussian grids.

    Args:
        row: Grid of every atom, shape (p,), ascending; within a grid the order is that in which atoms are added.
        place: Voxels from the centre, shape (p, 3), within the cube.
        channel: Channel of every atom, shape (p,).
        n: Number of grids.
        shape: Their shape.
    """
    pieces = [collect([], shape)]
    for first in range(0, n, _BLOCK):
        size = min(_BLOCK, n - first)
        some = slice(*np.searchsorted(row, [first, first + size]))
        dense = np.zeros((size, shape.cells), np.float16)
        cells, values = _spread(place[some], channel[some], shape)
        cells += ((row[some] - first) * shape.cells)[:, None]
        there = values > 0
        # `add.at` adds one value after the other, each sum rounded to half precision, as aposteriori does.
        np.add.at(dense.reshape(-1), cells[there], values[there])
        at = np.flatnonzero(dense)
        counts = np.bincount(at // shape.cells, minlength=size)
        values = dense.reshape(-1)[at].astype(np.float32)
        pieces.append(Grids(pointers(counts), (at % shape.cells).astype(shape.index_dtype), values))
    return join(pieces)


def _spread(place: Floats, channel: Ints, shape: GridShape) -> tuple[Ints, NDArray[np.float16]]:
    """Cells and values of the 27 voxels of every atom, shapes (p, 27); the value is 0 outside of the cube."""
    side = shape.sides[0]
    centre = np.rint(place).astype(np.intp)
    x, y, z = (_density(offset, _RADIUS[channel]) for offset in (centre - place).T)
    density = y[:, :, None, None] * x[:, None, :, None] * z[:, None, None, :]
    density /= density.sum(axis=(1, 2, 3), keepdims=True)
    index = (centre + side // 2)[:, None] + np.arange(-1, 2)[:, None]
    inside = (index >= 0) & (index < side)
    density *= inside[:, :, None, None, 0] * inside[:, None, :, None, 1] * inside[:, None, None, :, 2]
    density /= density.sum(axis=(1, 2, 3), keepdims=True)
    steps = index.clip(0, side - 1) * np.array([side * side, side, 1])[:, None].T
    voxel = steps[:, :, None, None, 0] + steps[:, None, :, None, 1] + steps[:, None, None, :, 2]
    cells = channel[:, None] * shape.voxels + voxel.reshape(-1, 27)
    return cells, density.reshape(-1, 27).astype(np.float16)


def _density(offset: Floats, radius: Floats) -> Floats:
    """Area under the curve in the voxel before, at and behind an atom, along one axis; shape (p, 3).

    Args:
        offset: Centre of the atom's voxel minus place of the atom, voxels; shape (p,).
        radius: Of the atom, voxels; shape (p,).
    """
    points = np.linspace(offset - _REACH, _REACH - offset, _POINTS, axis=1)
    exponent = (-1 * ((points - offset[:, None]) / radius[:, None]) ** 2).astype(np.float16)
    values = np.exp(exponent.astype(np.float32)).astype(np.float16)
    third = _POINTS // 3
    areas = [np.trapezoid(values[:, i : i + third], points[:, i : i + third]) for i in range(0, _POINTS, third)]
    return np.stack(areas, axis=1)
