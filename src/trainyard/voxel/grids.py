"""Voxel grids as their set positions, one or many, and what must hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from trainyard.voxel.reasons import Reason

Positions: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Values: TypeAlias = npt.NDArray[np.float16 | np.float32]
Rows: TypeAlias = npt.NDArray[np.integer[Any]]

_UINT16_CELLS = 65_536


class GridFault(Exception):
    """A grid cannot be used, or should not be; the build goes on without it, as the policy says."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class GridShape:
    """Channels, sides and edge of the grids of one file."""

    channels: tuple[str, ...]
    sides: tuple[int, int, int]
    edge: float = 12.0
    """Edge of the cube, angstrom."""

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """Channels first: (C, D, H, W)."""
        return (len(self.channels), *self.sides)

    @cached_property
    def voxels(self) -> int:
        """Voxels of one channel."""
        return self.sides[0] * self.sides[1] * self.sides[2]

    @cached_property
    def cells(self) -> int:
        """Cells of one grid: voxels times channels."""
        return self.voxels * len(self.channels)

    @cached_property
    def index_dtype(self) -> np.dtype[Any]:
        """Smallest of uint16 and uint32 that holds every position."""
        return index_dtype(self.cells)

    @property
    def centre(self) -> int | None:
        """The voxel in the middle, within a channel; None where a side is even and there is none."""
        return self.voxels // 2 if all(side % 2 for side in self.sides) else None


class Grid(NamedTuple):
    """A grid without its zeros."""

    positions: Positions
    """Flat positions `((c * D + x) * H + y) * W + z` of what is set, ascending."""
    values: npt.NDArray[np.float32] | None
    """Their values; None: all are 1."""


@dataclass(frozen=True)
class Grids:
    """Many grids without their zeros, one behind the other."""

    indptr: npt.NDArray[np.int64]
    """(n + 1,): grid i has the elements `[indptr[i], indptr[i + 1])` of the other arrays."""
    indices: Positions
    """Positions of what is set, ascending within a grid; see `Grid`."""
    values: Values | None = None
    """Their values; None: all are 1."""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, row: int) -> Grid:
        one = slice(self.indptr[row], self.indptr[row + 1])
        values = None if self.values is None else self.values[one].astype(np.float32, copy=False)
        return Grid(self.indices[one], None if values is None or (values == 1).all() else values)

    def take(self, rows: Rows) -> Grids:
        """Return the grids of these rows, in their order."""
        starts = self.indptr[rows]
        counts = self.indptr[np.add(rows, 1)] - starts
        indptr = pointers(counts)
        at = np.repeat(starts - indptr[:-1], counts)
        at += np.arange(len(at))
        return Grids(indptr, self.indices[at], None if self.values is None else self.values[at])


def collect(grids: Sequence[Grid], shape: GridShape) -> Grids:
    """Return single grids as a run of grids."""
    indptr = pointers(np.array([len(grid.positions) for grid in grids], np.int64))
    indices = np.concatenate([np.empty(0, shape.index_dtype), *(grid.positions for grid in grids)])
    if all(grid.values is None for grid in grids):
        return Grids(indptr, indices)
    values = [np.ones(len(g.positions), np.float32) if g.values is None else g.values for g in grids]
    return Grids(indptr, indices, np.concatenate(values))


def join(pieces: Sequence[Grids]) -> Grids:
    """Return several runs of grids, at least one, as one; it has values as soon as one of them has."""
    indptr = pointers(np.concatenate([np.diff(piece.indptr) for piece in pieces]))
    indices = np.concatenate([piece.indices for piece in pieces])
    if all(piece.values is None for piece in pieces):
        return Grids(indptr, indices)
    values: list[Values] = [np.ones(len(p.indices), np.float16) if p.values is None else p.values for p in pieces]
    return Grids(indptr, indices, np.concatenate(values))


def index_dtype(cells: int) -> np.dtype[Any]:
    """Return the smallest of uint16 and uint32 that holds every position of a grid."""
    return np.dtype(np.uint16 if cells <= _UINT16_CELLS else np.uint32)


def pointers(counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return where each of several runs of these lengths starts, and where the last one ends."""
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return indptr


def flat_positions(grids: Grids, *, cells: int) -> npt.NDArray[np.intp]:
    """Return where the set cells are when the grids stand one behind the other with their zeros."""
    at = np.repeat(np.arange(0, len(grids) * cells, cells, dtype=np.intp), np.diff(grids.indptr))
    at += grids.indices
    return at


def dense(grids: Grids, *, cells: int, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return grids with their zeros, of shape (n, cells)."""
    full = np.zeros((len(grids), cells), dtype)
    full.reshape(-1)[flat_positions(grids, cells=cells)] = 1 if grids.values is None else grids.values
    return full


def expected_channel(atom: str, channels: Sequence[str]) -> str | None:
    """Return the channel that an atom goes to: its own, or `C` for CA and CB where carbons share one; None: neither."""
    if atom in channels:
        return atom
    return "C" if atom in ("CA", "CB") and "C" in channels else None


def check_grids(grids: Grids, shape: GridShape) -> dict[int, GridFault]:
    """Check that grids hold something, and at their centre the CA that they were built around.

    In a grid of zeros and ones nothing else may be at the centre; a Gaussian grid spreads its atoms.

    Returns:
        The row of every grid for which this does not hold, with `EMPTY_GRID` or `NO_CA_AT_CENTRE`.
    """
    n, own, centre = len(grids), expected_channel("CA", shape.channels), shape.centre
    row = np.repeat(np.arange(n), np.diff(grids.indptr))
    values = np.ones(1, np.float32) if grids.values is None else grids.values
    is_set = np.broadcast_to(values != 0, row.shape)
    faults = {
        int(i): GridFault(Reason.EMPTY_GRID, "no voxel is set")
        for i in np.flatnonzero(np.bincount(row[is_set], minlength=n) == 0)
    }
    if own is None or centre is None:
        return faults
    channel, voxel = np.divmod(grids.indices.astype(np.int64), shape.voxels)
    at_centre = is_set & (voxel == centre)
    found = np.zeros((n, len(shape.channels)), np.bool_)
    found[row[at_centre], channel[at_centre]] = True
    is_binary = np.bincount(row[np.broadcast_to(values != 1, row.shape)], minlength=n) == 0
    is_bad = ~found[:, shape.channels.index(own)] | (is_binary & (found.sum(axis=1) > 1))
    for i in map(int, np.flatnonzero(is_bad)):
        names = [name for name, there in zip(shape.channels, found[i], strict=True) if there]
        detail = f"channels set at the centre: {', '.join(names) or 'none'}"
        faults.setdefault(i, GridFault(Reason.NO_CA_AT_CENTRE, detail))
    return faults
