"""The native voxeliser against aposteriori's numbers, against the rules written out as loops, and at its edges."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from pydantic import ValidationError

from trainyard.voxel import voxelize as module
from trainyard.voxel.grids import dense
from trainyard.voxel.reasons import Reason
from trainyard.voxel.settings import VoxelizeSettings
from trainyard.voxel.structures import Residue, Structure
from trainyard.voxel.voxelize import CHANNELS, IDEAL_CB, frame_axes, grid_shape, ideal_cb, voxelize
from trainyard.yard.identity import generator

DEFAULT = VoxelizeSettings()
N, CA, C, O = range(4)  # noqa: E741
CENTRE = 21**3 // 2

# A simulated strand and a turn: N, CA, C, O of 8 residues, in hundredths of an angstrom.
PEPTIDE = np.array([
    [17, -105, 313, -50, 15, 363, -190, -17, 413, -265, -89, 347],
    [-225, 36, 529, -357, 13, 588, -434, 143, 602, -387, 237, 667],
    [-553, 150, 543, -636, 269, 550, -770, 238, 616, -839, 144, 576],
    [-807, 318, 716, -933, 298, 786, -1052, 320, 693, -1161, 269, 718],
    [-1030, 395, 585, -1136, 423, 489, -1175, 296, 413, -1100, 199, 410],
    [-1293, 298, 352, -1342, 183, 276, -1254, 156, 154, -1218, 42, 127],
    [-1220, 262, 82, -1136, 250, -37, -993, 293, -8, -967, 410, 21],
    [-899, 198, -14, -759, 228, 12, -674, 206, -113, -690, 106, -183],
]).reshape(-1, 4, 3) / 100  # fmt: skip


def structure(backbone, **options):
    residues = tuple(Residue("A", i, "", "ALA") for i in range(len(backbone)))
    return Structure("x", residues, np.array(backbone, np.float64), **options)


def grids(backbone, settings=DEFAULT):
    """All grids, channels first, by row; rows without a grid are zeros."""
    frames = voxelize(structure(backbone), settings)
    shape = grid_shape(settings)
    full = np.zeros((len(backbone), *shape.dims), np.float32)
    full[frames.rows] = dense(frames.grids, cells=shape.cells).reshape(-1, *shape.dims)
    return full


def faults(backbone, settings=DEFAULT):
    return {name: fault.reason for name, fault in voxelize(structure(backbone), settings).faults}


def cloud(n, *, seed, size=14.0):
    """Residues of the right shape, thrown at random into a ball without regard to each other."""
    draw = generator("test-cloud", seed)
    found = []
    for _ in range(n):
        turn = np.linalg.qr(draw.standard_normal((3, 3)))[0]
        local = np.array([[0, 1.46, 0], [0, 0, 0], [1.42, -0.55, 0], [2.1, -0.2, 1.0]])
        found.append(local @ turn + draw.uniform(-size / 2, size / 2, 3))
    return np.array(found)


def by_the_rules(backbone, *, edge=12.0, side=21, taken_over=None):
    """The published rules, one residue and one atom at a time; None where an atom stands in the way of another."""
    voxel = edge / side
    axes = frame_axes(backbone)
    atoms = []
    for places, cb in zip(backbone, ideal_cb(backbone, axes), strict=True):
        atoms += [*zip(("N", "CA", "C", "O"), places, strict=True), ("CB", cb)]
    found = []
    for places, frame in zip(backbone, axes, strict=True):
        grid = np.zeros((5, side, side, side), np.float32)
        for name, place in atoms:
            local = [float(np.dot(axis, place - places[CA])) for axis in frame]
            if max(map(abs, local)) > edge / 2:
                continue
            x, y, z = (round(q / voxel) + side // 2 for q in local)
            if grid[0, x, y, z] or (name != "CB" and grid[:, x, y, z].any()):
                grid = None
                break
            if grid[:, x, y, z].any() and taken_over is not None:
                taken_over.append(name)
            grid[:, x, y, z] = 0
            grid[CHANNELS.index(name), x, y, z] = 1
        found.append(grid if grid is not None and grid[3, side // 2, side // 2, side // 2] else None)
    return found


@pytest.mark.parametrize(("gaussian", "cells", "crc"), [(False, 193, 0x3054E058), (True, 5033, 0xA8633A07)])
def test_grids_are_those_that_aposteriori_made_of_the_same_peptide(gaussian, cells, crc):
    """Numbers of aposteriori 2.4.0 with numpy 1.23.5; CRC-32 of the float32 grids, channels first."""
    found = grids(PEPTIDE, VoxelizeSettings(gaussian=gaussian))
    assert np.count_nonzero(found) == cells
    assert zlib.crc32(found.tobytes()) == crc


def test_grids_follow_the_rules_written_out_as_loops():
    """Enough residues in a small space that atoms meet: some grids are refused, in some a CB takes a voxel over."""
    backbone = cloud(200, seed=3, size=24)
    taken_over: list[str] = []
    expected, found = by_the_rules(backbone, taken_over=taken_over), grids(backbone)
    refused = faults(backbone)
    assert [i for i, grid in enumerate(expected) if grid is None] == sorted(int(name[2:]) for name in refused)
    assert 5 < len(refused) < 190
    assert set(refused.values()) == {Reason.ATOMS_COLLIDE}
    assert len(taken_over) > 5
    for grid, other in zip(expected, found, strict=True):
        if grid is not None:
            assert np.array_equal(grid, other)


@pytest.mark.parametrize(("edge", "side"), [(12.0, 21), (8.0, 11), (15.0, 31)])
def test_edge_and_sides_of_the_cube_can_be_chosen(edge, side):
    settings = VoxelizeSettings(frame_edge_length=edge, voxels_per_side=side)
    found = grids(PEPTIDE, settings)
    assert found.shape == (8, 5, side, side, side)
    assert np.array_equal(found, np.array(by_the_rules(PEPTIDE, edge=edge, side=side)))


def test_an_even_number_of_voxels_is_refused():
    with pytest.raises(ValidationError, match="voxels_per_side is 20: it must be odd"):
        VoxelizeSettings(voxels_per_side=20)


def test_every_grid_has_its_own_residue_where_it_belongs():
    for grid in grids(PEPTIDE):
        assert grid[:, 10, 10, 10].tolist() == [0, 0, 0, 1, 0]
        assert grid[CHANNELS.index("CB"), 9, 9, 8] == 1
        assert grid[CHANNELS.index("N"), 10, 13, 10] == 1
        assert grid[CHANNELS.index("C"), 12:14, 9, 10].sum() == 1
        assert (grid.sum(axis=0) <= 1).all()


def test_grids_do_not_depend_on_place_and_orientation():
    turned = np.add(PEPTIDE, [4.0, -8.0, 16.0])[:, :, [1, 2, 0]]
    assert np.array_equal(grids(turned), grids(PEPTIDE))


def test_a_mirror_image_is_another_protein():
    assert not np.array_equal(grids(PEPTIDE * [1, 1, -1])[:, :4], grids(PEPTIDE)[:, :4])


def test_the_idealised_cb_stands_at_its_place_in_the_frame_of_its_residue():
    axes = frame_axes(PEPTIDE)
    local = np.einsum("nij,nj->ni", axes, ideal_cb(PEPTIDE, axes) - PEPTIDE[:, CA])
    assert np.allclose(local, IDEAL_CB)
    assert np.allclose(np.linalg.det(axes), 1)


def test_without_cb_the_channel_is_empty_and_the_others_are_as_before():
    with_cb, without = grids(PEPTIDE), grids(PEPTIDE, VoxelizeSettings(encode_cb=False))
    assert not without[:, 4].any()
    assert np.array_equal(without[:, :4], with_cb[:, :4])


def test_a_residue_without_ca_has_no_grid_and_no_cb_but_its_other_atoms_count():
    broken = PEPTIDE.copy()
    broken[3, CA] = np.nan
    assert faults(broken) == {"A/3": Reason.MISSING_BACKBONE}
    assert voxelize(structure(broken), DEFAULT).faults[0][1].detail == "has no CA"
    lost = grids(PEPTIDE)[2] - grids(broken)[2]
    assert {CHANNELS[c]: int(n) for c, n in enumerate(lost.sum(axis=(1, 2, 3))) if n} == {"CA": 1, "CB": 1}


def test_a_missing_o_is_allowed():
    broken = PEPTIDE.copy()
    broken[3, O] = np.nan
    assert faults(broken) == {}
    assert (grids(PEPTIDE)[3] - grids(broken)[3]).sum() == 1


def test_a_backbone_on_one_line_has_no_frame():
    straight = PEPTIDE.copy()
    straight[7, :3] = [[40.0, 0, 0], [41.4, 0, 0], [42.8, 0, 0]]
    assert faults(straight) == {"A/7": Reason.NO_FRAME}


def test_atoms_in_one_voxel_cost_the_grids_that_hold_both_and_no_others():
    both = np.concatenate([PEPTIDE, np.add(PEPTIDE, [100.0, 0, 0])])
    both[7, O] = both[6, C]
    found = faults(both)
    assert set(found.values()) == {Reason.ATOMS_COLLIDE}
    assert "A/6" in found
    assert not {f"A/{i}" for i in range(8, 16)} & found.keys()
    assert "C and O in voxel" in dict(voxelize(structure(both), DEFAULT).faults)["A/6"].detail


def test_a_later_cb_takes_a_voxel_over_and_an_earlier_one_stands_in_the_way():
    """Two residues far apart in sequence, the O of one on the CB of the other; aposteriori's order decides."""
    cb = ideal_cb(PEPTIDE, frame_axes(PEPTIDE))
    later, earlier = PEPTIDE[[1, 5]].copy(), PEPTIDE[[5, 1]].copy()
    later[0, O] = cb[5]
    earlier[1, O] = cb[5]
    grid = grids(later)[1]
    assert faults(later) == {}
    assert grid[:, 9, 9, 8].tolist() == [0, 0, 0, 0, 1]
    assert grid[CHANNELS.index("O")].sum() == 1  # its own; that of the other residue is gone
    assert faults(earlier)["A/0"] == Reason.ATOMS_COLLIDE


def test_not_even_a_cb_may_fall_on_a_c():
    cb = ideal_cb(PEPTIDE, frame_axes(PEPTIDE))
    pair = PEPTIDE[[1, 5]].copy()
    pair[0, C] = cb[5]
    assert faults(pair)["A/1"] == Reason.ATOMS_COLLIDE


def test_a_cb_on_the_centre_leaves_no_ca_there():
    pair = PEPTIDE[[1, 5]].copy()
    pair[0] += ideal_cb(PEPTIDE, frame_axes(PEPTIDE))[5] - pair[0, CA]
    assert faults(pair)["A/0"] == Reason.NO_CA_AT_CENTRE


def test_residues_that_the_file_gave_no_place_come_with_the_faults():
    first = voxelize(structure(PEPTIDE), DEFAULT)
    fault = module.GridFault(Reason.REPEATED_RESIDUE, "twice")
    assert first.faults == ()
    assert voxelize(structure(PEPTIDE, left_out=(("A/9", fault),)), DEFAULT).faults == (("A/9", fault),)


def test_a_structure_of_which_nothing_has_a_frame_has_no_grids():
    for backbone in (np.full((3, 4, 3), np.nan), np.empty((0, 4, 3))):
        for settings in (DEFAULT, VoxelizeSettings(gaussian=True)):
            frames = voxelize(structure(backbone), settings)
            assert len(frames.rows) == len(frames.grids) == 0
            assert len(frames.faults) == len(backbone)


@pytest.mark.parametrize("gaussian", [False, True])
def test_the_size_of_a_block_shapes_nothing(monkeypatch, gaussian):
    backbone = cloud(40, seed=1, size=40)
    settings = VoxelizeSettings(gaussian=gaussian)
    whole, refused = grids(backbone, settings), faults(backbone, settings)
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert np.array_equal(grids(backbone, settings), whole)
    assert faults(backbone, settings) == refused


def test_gaussian_atoms_have_a_sum_of_one_also_at_the_faces_of_the_cube():
    atoms, spread = grids(PEPTIDE), grids(PEPTIDE, VoxelizeSettings(gaussian=True))
    assert np.allclose(spread.sum(axis=(2, 3, 4)), atoms.sum(axis=(2, 3, 4)), atol=0.01)
    assert (spread[atoms > 0] > 0).all()
    assert np.array_equal(spread.astype(np.float16), spread)


def test_gaussian_atoms_may_meet():
    both = PEPTIDE.copy()
    both[7, O] = both[6, C]
    assert faults(both) != {}
    assert faults(both, VoxelizeSettings(gaussian=True)) == {}
