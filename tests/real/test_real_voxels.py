"""Voxel files as published: inventories, and stores equal to the files bit for bit."""

from __future__ import annotations

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pyarrow.compute as pc
import pytest

from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.merge import merge_store
from trainyard.voxel.parts import encode_part, open_part, part_name
from trainyard.voxel.plan import make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.store import Store
from trainyard.yard.ledger import Ledger

pytestmark = pytest.mark.real

WANTED = ("C", "N", "O", "CA", "CB")
LISTS = {"train": ["12asA00", "153lA00", "16pkA02", "1a05A00"], "val": ["1a0hA01", "1a0aA00"], "test": ["1a02F00"]}
FILES = {
    "mdcath7/derived_voxels.hdf5": {
        "12asA00": 327, "153lA00": 185, "16pkA02": 208, "1a02F00": 53, "1a05A00": 357, "1a0aA00": 63, "1a0hA01": 89
    },
    "golden/mdcath_voxelized.hdf5": {"1a02F00": 53, "1a0aA00": 63},
    "xray_bfactor/derived_voxels.hdf5": {"1ctf": 68, "1r69": 63, "1ubq": 76, "4icb": 76},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "voxel"


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    """The store of the seven domains, built in four parts as the workflow does."""
    path, out = folder / "mdcath7" / "derived_voxels.hdf5", tmp_path_factory.mktemp("store")
    settings = VoxelPlanSettings(num_parts=4)
    table = folder / "mdcath7" / "rmsf" / "rmsf_all_temperatures_all_replicas.csv"
    rmsf = read_rmsf([table], unit="nm", ledger=Ledger("voxel", Reason), settings=settings)
    plan = make_plan(inventory(path, wanted_channels=WANTED), rmsf, LISTS, settings)
    ledgers = [Ledger("voxel", Reason) for _ in range(4)]
    parts = [out / "grids" / part_name(part, 4) for part in range(4)]
    for number, (part, ledger) in enumerate(zip(parts, ledgers, strict=True)):
        with open_voxels(path, wanted=WANTED) as file:
            rows = plan.residues.filter(pc.equal(plan.residues["part"], number))
            encode_part(file, rows, part, bad_grid="error", ledger=ledger)
    merge_store(plan, parts, out, settings=settings, ledgers=ledgers, config_digest="0" * 16)
    return Store(out)


def direct(path, domain, chain, residue):
    """A grid as h5py gives it: float32, channels first."""
    with h5py.File(path) as file:
        return file[domain][chain][residue][()].astype(np.float32).transpose(3, 0, 1, 2)


@pytest.mark.parametrize("name", FILES)
def test_inventory_has_every_residue_and_the_channels_are_told_by_attribute_and_geometry(folder, name):
    table = inventory(folder / name, wanted_channels=WANTED)
    counts = table["domain"].value_counts().to_pylist()
    assert {row["values"]: row["counts"] for row in counts} == FILES[name]
    assert set(table["chain"].to_pylist()) == {"A"}
    assert set(zip(table["shape"].to_pylist(), table["dtype"].to_pylist(), strict=True)) == {("21,21,21,5", "bool")}
    assert len(set(table["fingerprint"].to_pylist())) == table.num_rows
    with open_voxels(folder / name, wanted=WANTED) as file:
        assert file.channels == WANTED


def test_residue_zero_and_numbering_from_140_are_there(folder):
    table = inventory(folder / "golden" / "mdcath_voxelized.hdf5", wanted_channels=WANTED)
    numbers = {
        name: table.filter(pc.equal(table["domain"], name))["resid"].to_pylist() for name in ("1a0aA00", "1a02F00")
    }
    assert numbers == {"1a0aA00": list(range(63)), "1a02F00": list(range(140, 193))}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("old", [False, True], ids=["new_order", "old_order"])
def test_the_order_of_channels_is_found_without_the_attribute(folder, tmp_path, name, old):
    path = tmp_path / "voxels.hdf5"
    shutil.copyfile(folder / name, path)
    with h5py.File(path, "r+") as file:
        del file.attrs["atom_encoder"]
        for chain in (chain for domain in file.values() for chain in domain.values()) if old else ():
            for dataset in chain.values():
                dataset[...] = dataset[()][..., [0, 1, 2, 4, 3]]
    with open_voxels(path, wanted=WANTED) as file:
        assert file.channels == (("C", "N", "O", "CB", "CA") if old else WANTED)
        domain = file.groups()[0][0]
        residue = file.names(f"{domain}/A")[0]
        grid = file.read(f"{domain}/A/{residue}")
    assert np.array_equal(grid.positions, np.flatnonzero(direct(folder / name, domain, "A", residue)))


@pytest.mark.parametrize("name", FILES)
def test_every_grid_of_a_part_is_the_float32_of_the_file(folder, tmp_path, name):
    path, out = folder / name, tmp_path / part_name(0, 1)
    table = inventory(path, wanted_channels=WANTED)
    with open_voxels(path, wanted=WANTED) as file:
        encode_part(file, table, out, bad_grid="error", ledger=Ledger("voxel", Reason))
    grids = open_part(out).take()
    assert len(grids) == sum(FILES[name].values())
    for i, row in enumerate(table.to_pylist()):
        grid = direct(path, row["domain"], row["chain"], row["residue"])
        assert np.array_equal(grids[i].positions, np.flatnonzero(grid))
        assert grid.max() == 1.0
        assert grids[i].values is None


def test_every_grid_of_the_store_is_bit_equal_to_the_file(folder, store):
    path = folder / "mdcath7" / "derived_voxels.hdf5"
    rows = store.residues.to_pylist()
    assert len(rows) == len(store) == 1282
    buffer = store.buffer(64)
    for start in range(0, len(rows), 64):
        some = rows[start : start + 64]
        found = store.expand(np.arange(start, start + len(some)), buffer)
        expected = np.stack([direct(path, row["domain"], row["chain"], row["residue"]) for row in some])
        assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_store_of_seven_domains_has_the_published_counts_and_is_small(store):
    splits = store.manifest["counts"]["splits"]
    assert {name: (split["samples"], split["batches"]) for name, split in splits.items()} == {
        "train": (5385, 22),
        "val": (760, 3),
        "test": (265, 2),
    }
    sizes = {file: file.stat().st_size for file in store.folder.rglob("*") if file.is_file()}
    grids = sum(size for file, size in sizes.items() if file.suffix == ".safetensors")
    assert grids / 6410 < 25
    assert sum(sizes.values()) / 6410 < 45
    store.verify()


_PEAK = r"""
import re, sys
from pathlib import Path
from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.parts import encode_part
from trainyard.voxel.reasons import Reason
from trainyard.yard.ledger import Ledger
path, out, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
wanted = ("C", "N", "O", "CA", "CB")
rows = inventory(path, wanted_channels=wanted)
rows = rows.take([i for _ in range(times) for i in range(rows.num_rows)])
with open_voxels(path, wanted=wanted) as file:
    encode_part(file, rows, out, bad_grid="error", ledger=Ledger("voxel", Reason))
# ru_maxrss would begin with that of the process that started this one.
print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_memory_does_not_grow_with_the_number_of_grids(folder, tmp_path):
    path = folder / "golden" / "mdcath_voxelized.hdf5"

    def peak(times: int) -> int:
        command = [sys.executable, "-c", _PEAK, str(path), str(tmp_path / "part.safetensors"), str(times)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    small, large = peak(1), peak(40)
    # KiB; the 4,524 grids more take 820,000 as float32.
    assert large - small < 30_000
    assert large < 1_000_000
