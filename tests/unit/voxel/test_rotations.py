"""The rotations are the 24 of a cube, form a group, and move grids as they would turn a body."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from trainyard.voxel.grids import Grids, dense, pointers
from trainyard.voxel.rotations import ROTATIONS, draw_rotations, moved_voxels, rotate, rotation_matrices

SIDES = [1, 2, 3, 4, 21]


def keys(matrices):
    return {tuple(np.rint(matrix).astype(int).ravel()) for matrix in matrices}


def test_matrices_are_those_of_the_octahedral_group_with_the_identity_first():
    matrices = rotation_matrices()
    assert len(matrices) == ROTATIONS
    assert keys(matrices) == keys(Rotation.create_group("O").as_matrix())
    assert np.array_equal(matrices[0], np.eye(3))


@pytest.mark.parametrize("side", SIDES)
def test_every_rotation_is_a_permutation_that_keeps_the_centre(side):
    moved = moved_voxels(side)
    assert moved.shape == (24, side**3)
    assert (np.sort(moved, axis=1) == np.arange(side**3)).all()
    assert np.array_equal(moved[0], np.arange(side**3))
    if side % 2:
        assert (moved[:, side**3 // 2] == side**3 // 2).all()


@pytest.mark.parametrize("side", [2, 3, 4])
def test_permutations_form_the_group_of_the_matrices(side):
    matrices, moved = rotation_matrices(), moved_voxels(side).astype(int)
    number = {matrix.tobytes(): i for i, matrix in enumerate(matrices)}
    for i in range(ROTATIONS):
        for j in range(ROTATIONS):
            product = number[(matrices[i] @ matrices[j]).tobytes()]
            assert np.array_equal(moved[i][moved[j]], moved[product])
        inverse = number[np.ascontiguousarray(matrices[i].T).tobytes()]
        assert np.array_equal(moved[inverse][moved[i]], np.arange(side**3))


def turned(cube, matrix):
    """A dense cube turned axis by axis: the axis that goes to each axis, then flips."""
    axes = [int(np.flatnonzero(row)[0]) for row in matrix]
    flips = [axis for axis, row in enumerate(matrix) if row.sum() < 0]
    return np.flip(cube.transpose(axes), flips)


@pytest.mark.parametrize(("side", "dtype"), [(5, np.uint16), (4, np.uint16), (41, np.uint32)])
@pytest.mark.parametrize("weighted", [False, True], ids=["ones", "values"])
def test_every_channel_turns_as_a_dense_cube_does(side, dtype, weighted):
    channels, cells = 2, 2 * side**3
    rng = np.random.default_rng(3)
    rows = [np.sort(rng.choice(cells, 40, replace=False)) for _ in range(ROTATIONS)]
    values = rng.random(40 * ROTATIONS).astype(np.float32) if weighted else None
    grids = Grids(pointers(np.full(ROTATIONS, 40)), np.concatenate(rows).astype(dtype), values)
    found = rotate(grids, np.arange(ROTATIONS), moved=moved_voxels(side))
    assert found.indices.dtype == dtype
    before, after = (dense(g, cells=cells).reshape(-1, channels, side, side, side) for g in (grids, found))
    for i, matrix in enumerate(rotation_matrices()):
        for channel in range(channels):
            assert np.array_equal(after[i, channel], turned(before[i, channel], matrix))


def test_a_quarter_turn_about_z_takes_x_to_y():
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix().round().astype(int)
    number = next(i for i, matrix in enumerate(rotation_matrices()) if np.array_equal(matrix, quarter))
    on_x, on_y = np.ravel_multi_index([(2, 1), (1, 2), (1, 1)], (3, 3, 3))
    assert moved_voxels(3)[number, on_x] == on_y


def test_what_is_drawn_depends_on_seed_split_epoch_and_sample_alone():
    drawn = draw_rotations(1000, seed=1, split="train", epoch=2)
    assert np.array_equal(draw_rotations(10, seed=1, split="train", epoch=2), drawn[:10])
    for other in ({"seed": 2}, {"split": "val"}, {"epoch": 3}):
        changed = draw_rotations(1000, **{"seed": 1, "split": "train", "epoch": 2, **other})
        assert (changed != drawn).mean() > 0.9


def test_all_rotations_are_drawn_equally_often():
    counts = np.bincount(draw_rotations(24_000, seed=1, split="train", epoch=0), minlength=ROTATIONS)
    assert len(counts) == ROTATIONS
    assert (abs(counts - 1000) < 150).all()
