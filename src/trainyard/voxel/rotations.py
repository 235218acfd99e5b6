"""The 24 rotations that map a cube of voxels onto itself: exact on grids, since they only move what is set."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from trainyard.voxel.grids import Grids, index_dtype
from trainyard.yard.identity import generator

ROTATIONS = 24


def rotation_matrices() -> npt.NDArray[np.int64]:
    """Return the rotations as matrices on (x, y, z), shape (24, 3, 3); the first one is the identity."""
    found = []
    for axes, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        matrix = np.zeros((3, 3), np.int64)
        matrix[range(3), axes] = signs
        # The other 24 signed permutations mirror, and proteins are chiral.
        if round(np.linalg.det(matrix)) == 1:
            found.append(matrix)
    return np.stack(found)


def moved_voxels(side: int) -> npt.NDArray[np.unsignedinteger]:
    """Return where each rotation takes each voxel of a cube, about its centre.

    Args:
        side: Voxels per side, odd or even.

    Returns:
        Shape (24, side**3): the voxel `v = (x * side + y) * side + z` goes to voxel `[rotation, v]`.
    """
    # Twice the distance from the centre is an integer also where the centre lies between voxels.
    places = 2 * np.indices((side, side, side)).reshape(3, -1) - (side - 1)
    x, y, z = ((rotation_matrices() @ places + side - 1) // 2).swapaxes(0, 1)
    moved: npt.NDArray[np.unsignedinteger] = ((x * side + y) * side + z).astype(index_dtype(side**3))
    return moved


def rotate(grids: Grids, rotations: npt.NDArray[np.integer], *, moved: npt.NDArray[np.unsignedinteger]) -> Grids:
    """Rotate every grid about its centre.

    Args:
        grids: Grids whose channels are cubes.
        rotations: Number of the rotation of each grid, in `[0, 24)`, shape (n,).
        moved: `moved_voxels` of the side.

    Returns:
        The rotated grids. Positions are no longer ascending within a grid.
    """
    voxel = grids.indices % moved.shape[1]
    indices = grids.indices - voxel  # first voxel of the channel
    indices += moved[np.repeat(rotations, np.diff(grids.indptr)), voxel]
    return Grids(grids.indptr, indices, grids.values)


def draw_rotations(n: int, *, seed: int, split: str, epoch: int) -> npt.NDArray[np.uint8]:
    """Return the rotation of each sample of a split in an epoch, shape (n,).

    That of sample i depends on seed, split, epoch and i alone, whatever n, order, batches and workers are.
    """
    raw = generator("voxel-rotation", seed, split, epoch).bit_generator.random_raw(n)
    return (np.asarray(raw, np.uint64) % ROTATIONS).astype(np.uint8)
