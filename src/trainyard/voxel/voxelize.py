"""The native voxeliser: the surroundings of every residue as a grid, bit for bit as aposteriori 2.4.0 makes them.

Every residue has a frame: CA is the origin, N lies on +y, C in the xy plane on the side of +x. What counts are N, CA,
C and O of all protein residues and one idealised CB each (glycine too), within a cube around the origin. An atom sets
the voxel that it falls into, in the channel of its type. All pairs of residue and nearby atom are worked on at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from trainyard.voxel.gaussian import spread_atoms
from trainyard.voxel.grids import GridFault, Grids, GridShape, collect, join, pointers
from trainyard.voxel.reasons import Reason
from trainyard.voxel.settings import VoxelizeSettings
from trainyard.voxel.structures import BACKBONE, Structure

CHANNELS = ("C", "N", "O", "CA", "CB")
"""Channels in the order of aposteriori since December 2023."""

IDEAL_CB = (-0.741287356, -0.53937931, -1.224287356)
"""Place of CB in the frame of its residue, angstrom: the mean over the residues of PDB entry 1QYS (aposteriori)."""

_CHANNEL = np.array([CHANNELS.index(atom) for atom in (*BACKBONE, "CB")])
_C, _CA, _CB = (CHANNELS.index(atom) for atom in ("C", "CA", "CB"))
_SHORTEST = 1e-3
"""Length, angstrom, below which a vector has no direction to build a frame on."""
_BLOCK = 1024
"""Residues worked on at a time; it bounds memory, and shapes nothing."""

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Faults = dict[int, GridFault]


@dataclass(frozen=True)
class Frames:
    """The grids of one structure."""

    structure: Structure
    rows: Ints
    """Which of its residues have a grid, shape (n,), ascending."""
    grids: Grids
    """Their grids, channels first, in the order of `CHANNELS`."""
    faults: tuple[tuple[str, GridFault], ...]
    """`chain/residue` and fault of every other residue."""


def grid_shape(settings: VoxelizeSettings) -> GridShape:
    """Return the shape of the grids that these settings ask for."""
    side = settings.voxels_per_side
    return GridShape(CHANNELS, (side, side, side), settings.frame_edge_length)


def voxelize(structure: Structure, settings: VoxelizeSettings) -> Frames:
    """Voxelise every residue of a structure.

    A residue is rejected for `MISSING_BACKBONE` (then it has no CB either, but its atoms stand in the grids of others),
    `NO_FRAME` (N, CA and C in one line), `ATOMS_COLLIDE` or `NO_CA_AT_CENTRE`; for each of these aposteriori drops
    the whole structure. Gaussian atoms cannot collide.

    Args:
        structure: Backbones, as `read_structure` gives them.
        settings: Edge and sides of the cube, CB, Gaussian.
    """
    shape = grid_shape(settings)
    centres = structure.backbone[:, 1]
    axes = frame_axes(structure.backbone)
    faults = _without_frame(structure.backbone, axes)
    atoms = _atoms(structure.backbone, axes, with_cb=settings.encode_cb)
    tree = cKDTree(atoms.places)
    rows, pieces = [np.empty(0, np.intp)], [collect([], shape)]
    framed = np.flatnonzero(~np.isnan(axes).any(axis=(1, 2)))
    for block in (framed[start : start + _BLOCK] for start in range(0, len(framed), _BLOCK)):
        near = _near(atoms, tree, centres[block], axes[block], shape)
        if settings.gaussian:
            grids = spread_atoms(*near, n=len(block), shape=shape)
        else:
            grids, found = _set_voxels(near, len(block), shape)
            faults |= {int(block[i]): fault for i, fault in found.items()}
        good = np.array([i for i, row in enumerate(block.tolist()) if row not in faults], np.intp)
        rows.append(block[good])
        pieces.append(grids.take(good))
    named = [(f"{r.chain}/{r.key}", faults[i]) for i, r in enumerate(structure.residues) if i in faults]
    return Frames(structure, np.concatenate(rows), join(pieces), (*named, *structure.left_out))


def frame_axes(backbone: Floats) -> Floats:
    """Return the unit vectors x, y, z of the frame of every residue.

    Args:
        backbone: Places of N, CA, C (and O), shape (n, 3 or 4, 3), angstrom; NaN where missing.

    Returns:
        Shape (n, 3, 3), one vector per row; NaN where N, CA or C is missing or they lie on one line.
    """
    n, ca, c = backbone[:, 0], backbone[:, 1], backbone[:, 2]
    y = _unit(n - ca)
    x = _unit((c - ca) - ((c - ca) * y).sum(axis=1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def ideal_cb(backbone: Floats, axes: Floats) -> Floats:
    """Return the place of the idealised CB of every residue, shape (n, 3), angstrom; NaN where it has no frame."""
    return np.asarray(backbone[:, 1] + np.einsum("nij,i->nj", axes, IDEAL_CB))


def _unit(vectors: Floats) -> Floats:
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(vectors, lengths, out=np.full_like(vectors, np.nan), where=lengths > _SHORTEST))


def _without_frame(backbone: Floats, axes: Floats) -> Faults:
    faults: Faults = {}
    for row in np.flatnonzero(np.isnan(axes).any(axis=(1, 2))).tolist():
        absent = [atom for atom, place in zip(BACKBONE[:3], backbone[row], strict=False) if np.isnan(place).any()]
        faults[row] = GridFault(Reason.NO_FRAME, "N, CA and C lie on one line")
        if absent:
            faults[row] = GridFault(Reason.MISSING_BACKBONE, f"has no {', '.join(absent)}")
    return faults


class _Atoms(NamedTuple):
    """All atoms that count, residue by residue, CB last: aposteriori's order, which decides where two meet."""

    places: Floats
    channels: Ints


def _atoms(backbone: Floats, axes: Floats, *, with_cb: bool) -> _Atoms:
    cb = ideal_cb(backbone, axes) if with_cb else np.full((len(backbone), 3), np.nan)
    places = np.concatenate([backbone, cb[:, None]], axis=1)
    there = ~np.isnan(places).any(axis=2)
    return _Atoms(places[there], np.broadcast_to(_CHANNEL, there.shape)[there])


class _Near(NamedTuple):
    """Pairs of residue and atom inside its cube: by residue, then in the order of the atoms."""

    row: Ints
    """Residue within the block, shape (p,)."""
    place: Floats
    """Of the atom in the frame of the residue, in voxels from the centre; shape (p, 3)."""
    channel: Ints
    """Shape (p,)."""


def _near(atoms: _Atoms, tree: cKDTree, centres: Floats, axes: Floats, shape: GridShape) -> _Near:
    half = shape.edge / 2
    # The ball around the cube, a little larger, so that rounding loses nothing.
    found = tree.query_ball_point(centres, half * 3**0.5 * (1 + 1e-9), return_sorted=True)
    counts = np.array([len(one) for one in found], np.intp)
    atom = np.fromiter(chain.from_iterable(found), np.intp, int(counts.sum()))
    row = np.repeat(np.arange(len(centres)), counts)
    place = np.einsum("pij,pj->pi", axes[row], atoms.places[atom] - centres[row])
    inside = (np.abs(place) <= half).all(axis=1)
    return _Near(row[inside], place[inside] / (shape.edge / shape.sides[0]), atoms.channels[atom[inside]])


def _set_voxels(near: _Near, n: int, shape: GridShape) -> tuple[Grids, Faults]:
    """Grids of zeros and ones, and those that aposteriori would refuse to make.

    Of two atoms in one voxel, the second must be a CB, which takes the voxel over, and the first no C.
    """
    side = shape.sides[0]
    # Half goes to even, as numpy's round does; an atom on the face of the cube must not leave it.
    index = (np.rint(near.place).astype(np.intp) + side // 2).clip(0, side - 1)
    voxel = (index[:, 0] * side + index[:, 1]) * side + index[:, 2]
    order = np.argsort(near.row * shape.voxels + voxel, kind="stable")
    row, voxel, channel = near.row[order], voxel[order], near.channel[order]
    is_first = (np.diff(row, prepend=-1) != 0) | (np.diff(voxel, prepend=-1) != 0)
    is_last = np.append(is_first[1:], True)[: len(row)]
    collides = (~is_first & (channel != _CB)) | (is_first & ~is_last & (channel == _C))
    faults: Faults = {}
    for i in np.flatnonzero(collides).tolist():
        x, y, z = np.unravel_index(voxel[i], shape.sides)
        meet = sorted({CHANNELS[k] for k in channel[(row == row[i]) & (voxel == voxel[i])]})
        faults.setdefault(int(row[i]), GridFault(Reason.ATOMS_COLLIDE, f"{' and '.join(meet)} in voxel {x},{y},{z}"))
    row, voxel, channel = row[is_last], voxel[is_last], channel[is_last]
    centred = row[(voxel == shape.voxels // 2) & (channel == _CA)]
    for i in np.setdiff1d(np.arange(n), centred).tolist():
        faults.setdefault(i, GridFault(Reason.NO_CA_AT_CENTRE, "another atom has taken the voxel over"))
    cells = np.sort(row * shape.cells + channel * shape.voxels + voxel)
    indptr = pointers(np.bincount(row, minlength=n))
    return Grids(indptr, (cells % shape.cells).astype(shape.index_dtype)), faults
