"""The native voxeliser against files that aposteriori wrote: every grid, every label, every attribute."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from trainyard.voxel.aposteriori import voxelize_files
from trainyard.voxel.settings import VoxelizeSettings
from trainyard.voxel.structures import find_structures, read_structure
from trainyard.voxel.voxelize import voxelize

pytestmark = pytest.mark.real

FILES = {
    "golden/mdcath_voxelized.hdf5": ("golden/pdbs", 116),
    "mdcath7/derived_voxels.hdf5": ("mdcath7/pdbs", 1282),
    "xray_bfactor/derived_voxels.hdf5": ("xray_bfactor/pdbs", 283),
}


def paths(file):
    """Every dataset of a voxel file, as domain/chain/residue."""
    return {f"{d}/{c}/{r}" for d, chains in file.items() for c, residues in chains.items() for r in residues}


@pytest.mark.parametrize("name", FILES)
def test_no_grid_and_no_label_differs_from_aposteriori(real_data, name):
    folder, expected = FILES[name]
    with h5py.File(real_data / "voxel" / name) as file:
        left = paths(file)
        assert len(left) == expected
        for domain, path in find_structures([real_data / "voxel" / folder]).items():
            frames = voxelize(read_structure(path), VoxelizeSettings())
            assert (frames.structure.domain, frames.faults) == (domain, ())
            for i, row in enumerate(frames.rows):
                residue = frames.structure.residues[row]
                where = f"{domain}/{residue.chain}/{residue.key}"
                left.remove(where)
                published = np.flatnonzero(file[where][()].transpose(3, 0, 1, 2))
                assert np.array_equal(frames.grids[i].positions, published), where
                assert residue.label == file[where].attrs["label"], where
    assert left == set()


@pytest.mark.parametrize("name", FILES)
def test_the_file_that_is_written_is_aposteriori_s_but_for_the_address_of_a_function(real_data, name, tmp_path):
    folder, expected = FILES[name]
    out = tmp_path / "voxels.hdf5"
    ledger = voxelize_files([real_data / "voxel" / folder], out, settings=VoxelizeSettings())
    assert ledger.kept("structure_residue") == expected
    with h5py.File(real_data / "voxel" / name) as published, h5py.File(out) as made:
        assert paths(made) == paths(published)
        same_attributes(made, published, but="atom_filter_fn")
        for where in sorted(paths(published)):
            mine, other = made[where], published[where]
            assert (mine.dtype, mine.shape, mine.chunks) == (other.dtype, other.shape, other.chunks)
            assert (mine.compression, mine.compression_opts) == (other.compression, other.compression_opts)
            assert np.array_equal(mine[()], other[()]), where
            same_attributes(mine, other)
    assert out.stat().st_size == pytest.approx((real_data / "voxel" / name).stat().st_size, rel=0.01)


def same_attributes(mine, other, *, but=""):
    assert list(mine.attrs) == list(other.attrs)
    for name in set(other.attrs) - {but}:
        assert np.array_equal(mine.attrs[name], other.attrs[name]), (other.name, name)
        ids = [item.attrs.get_id(name) for item in (mine, other)]
        assert ids[0].get_type().equal(ids[1].get_type())
        assert ids[0].shape == ids[1].shape
