"""Seven mdCATH domains: loader and batch files give the same tensors, which are those of the HDF5 and CSV files."""

from __future__ import annotations

import csv
import shutil

import h5py
import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from trainyard.voxel.export import ExportPart, export_part
from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.legacy import LegacyBatchDataset
from trainyard.voxel.loader import make_loader
from trainyard.voxel.merge import merge_store
from trainyard.voxel.metafiles import write_meta
from trainyard.voxel.parts import encode_part, part_name
from trainyard.voxel.plan import make_plan
from trainyard.voxel.planfiles import write_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelExportSettings, VoxelPlanSettings
from trainyard.voxel.store import Store
from trainyard.yard.ledger import Ledger

pytestmark = pytest.mark.real

WANTED = ("C", "N", "O", "CA", "CB")
LISTS = {"train": ["12asA00", "153lA00", "16pkA02", "1a05A00"], "val": ["1a0hA01", "1a0aA00"], "test": ["1a02F00"]}
KELVINS = (320, 348, 379, 413, 450)
FILES = {
    "train": [47_420_558] * 21 + [1_669_134],
    "val": [47_420_558] * 2 + [45_938_638],
    "test": [47_420_558, 1_669_134],
}


@pytest.fixture(scope="module")
def mdcath7(real_data):
    return real_data / "voxel" / "mdcath7"


def built(mdcath7, out, order):
    """Store and plan, made as the workflow makes them."""
    voxels = mdcath7 / "derived_voxels.hdf5"
    settings = VoxelPlanSettings(num_parts=2, order=order)
    table = mdcath7 / "rmsf" / "rmsf_all_temperatures_all_replicas.csv"
    rmsf = read_rmsf([table], unit="nm", ledger=Ledger("voxel", Reason), settings=settings)
    plan = make_plan(inventory(voxels, wanted_channels=WANTED), rmsf, LISTS, settings)
    write_plan(plan, out / "plan")
    ledgers = [Ledger("voxel", Reason) for _ in range(2)]
    parts = [out / "store" / "grids" / part_name(part, 2) for part in range(2)]
    for number, (part, ledger) in enumerate(zip(parts, ledgers, strict=True)):
        with open_voxels(voxels, wanted=WANTED) as file:
            rows = plan.residues.filter(pc.equal(plan.residues["part"], number))
            encode_part(file, rows, part, bad_grid="error", ledger=ledger)
    merge_store(plan, parts, out / "store", settings=settings, ledgers=ledgers, config_digest="0" * 16)
    return Store(out / "store")


@pytest.fixture(scope="module")
def shuffled(mdcath7, tmp_path_factory):
    return built(mdcath7, tmp_path_factory.mktemp("shuffled"), "shuffled")


@pytest.fixture(scope="module")
def legacy(mdcath7, tmp_path_factory):
    return built(mdcath7, tmp_path_factory.mktemp("legacy"), "legacy")


@pytest.fixture(scope="module")
def exported(shuffled):
    """All batch files, 1.2 GB; they go when the tests are done."""
    out = shuffled.folder.parent / "export"
    settings = VoxelExportSettings(formats=["store", "pt"], num_parts=2)
    parts = [ExportPart(split, number, 2) for split in SPLITS for number in range(2)]
    for part in parts:
        export_part(shuffled, part, out, settings=settings)
    domains = shuffled.folder.parent / "plan" / "domains.parquet"
    write_meta(shuffled, domains, [part.manifest(out) for part in parts], out)
    yield out
    shutil.rmtree(out)


def direct_targets(mdcath7):
    """RMSF, nm, by domain, residue number and temperature, read with nothing but the csv module."""
    found = {}
    for kelvin in KELVINS:
        with (mdcath7 / "rmsf" / f"rmsf_replica_average_temperature{kelvin}.csv").open() as file:
            for row in csv.DictReader(file):
                found[row["domain_id"], int(row["resid"]), kelvin] = np.float32(row[f"rmsf_{kelvin}"])
    return found


def direct_sample(file, targets, domain, chain, residue, kelvin):
    """A sample as the published pipeline defines it, from the files themselves."""
    grid = file[domain][chain][residue][()].astype(np.float32).transpose(3, 0, 1, 2)
    scaled = np.float32((kelvin - 320.0) / (450.0 - 320.0 + 1e-8))
    return grid, scaled, targets[domain, int(residue), kelvin]


def assert_bit_equal(found, wanted):
    wanted = np.ascontiguousarray(wanted)
    assert found.shape == wanted.shape
    assert found.dtype == torch.float32
    assert wanted.dtype == np.float32
    assert np.array_equal(found.numpy().view(np.uint32), wanted.view(np.uint32))


def assert_batch_is(batch, samples):
    grids, scaled, targets = zip(*samples, strict=True)
    assert_bit_equal(batch["voxels"], np.stack(grids))
    assert_bit_equal(batch["scaled_temps"], np.stack(scaled)[:, None])
    assert_bit_equal(batch["targets"], np.stack(targets))


def test_legacy_order_is_that_of_the_files_and_every_test_sample_is_bit_equal(mdcath7, legacy):
    """Not one fact here comes from the store: residues as HDF5 lists them, temperatures rising."""
    targets = direct_targets(mdcath7)
    with h5py.File(mdcath7 / "derived_voxels.hdf5") as file:
        keys = [("1a02F00", chain, residue) for chain in file["1a02F00"] for residue in file["1a02F00"][chain]]
        samples = [(*key, kelvin) for key in keys for kelvin in KELVINS]
        assert len(samples) == 265
        loader = make_loader(legacy, "test", 256)
        starts = range(0, 265, 256)
        for start, batch in zip(starts, loader, strict=True):
            wanted = [direct_sample(file, targets, *sample) for sample in samples[start : start + 256]]
            assert_batch_is(batch, wanted)


@pytest.mark.parametrize("order", ["stored", "shuffled"])
def test_every_test_sample_of_a_shuffled_store_is_bit_equal(mdcath7, shuffled, order):
    targets, residues = direct_targets(mdcath7), shuffled.residues
    kelvins = shuffled.samples("test")["temperature"].to_numpy()
    seen = set()
    with h5py.File(mdcath7 / "derived_voxels.hdf5") as file:
        for batch in make_loader(shuffled, "test", 64, order=order, seed=5, ids=True, reuse_buffer=True):
            rows = residues.take(batch["residue_uids"].numpy()).to_pylist()
            temperatures = kelvins[batch["sample_ids"].numpy()].astype(int).tolist()
            keys = [(r["domain"], r["chain"], r["residue"], t) for r, t in zip(rows, temperatures, strict=True)]
            assert_batch_is(batch, [direct_sample(file, targets, *key) for key in keys])
            seen |= set(keys)
        in_file = {("1a02F00", "A", residue, kelvin) for residue in file["1a02F00/A"] for kelvin in KELVINS}
    assert seen == in_file
    assert len(seen) == 265


@pytest.mark.parametrize("split", SPLITS)
def test_batch_files_have_the_published_sizes_and_equal_the_loader(shuffled, exported, split):
    files = LegacyBatchDataset(exported / f"{split}_batches.meta")
    assert [path.stat().st_size for path in files.files] == FILES[split]
    loader = make_loader(shuffled, split, 256, reuse_buffer=True)
    for found, wanted in zip(files, loader, strict=True):
        for name in ("voxels", "scaled_temps", "targets"):
            assert found[name].dtype == wanted[name].dtype
            assert torch.equal(found[name], wanted[name])


def test_no_listed_domain_failed(exported):
    assert (exported / "failed_preprocess_domains.txt").read_text() == ""
    assert (exported / "failed_preprocess_domains.csv").read_text() == "domain,split,reason,detail\n"


def test_batches_of_a_shuffled_store_are_mixed(mdcath7, shuffled):
    """The published order puts a domain or two into a batch, so that its mean target strays 6.5 times too far."""
    means = [float(batch["targets"].mean()) for batch in make_loader(shuffled, "train", 256, drop_last=True)]
    every = shuffled.samples("train")["target"].to_numpy()
    assert np.std(means) < 1.5 * every.std() / np.sqrt(256)
