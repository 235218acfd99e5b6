"""A store yields exactly the grids of the voxel file, for any residues in any order, in any process."""

from __future__ import annotations

import json
import multiprocessing
import pickle

import h5py
import numpy as np
import pyarrow.compute as pc
import pytest

from trainyard.voxel.domains import part_of
from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.merge import merge_store
from trainyard.voxel.parts import encode_part, open_part, part_name
from trainyard.voxel.plan import make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import REJECTS, RESIDUES, RMSF, SAMPLES
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.store import ExpandBuffer, Store
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.ledger import Ledger

WANTED = ("C", "N", "O", "CA", "CB")
KELVINS = (320, 348, 450)
LISTS = {"train": ["d0", "d1", "d2", "d3"], "val": ["d4"], "test": ["d5"]}


def settings(**changes):
    return VoxelPlanSettings(num_parts=3, batch_size=8, max_reject_fraction=0.5, **changes)


def planned(path, plan_settings):
    found = inventory(path, wanted_channels=WANTED)
    rows = [
        {"domain_id": row["domain"], "resid": row["resid"], "icode": "", "resname": "ALA"}
        | {"temperature": kelvin, "target_rmsf": kelvin / 1000 + row["resid"] / 7}
        for row in found.to_pylist()
        for kelvin in KELVINS
    ]
    return make_plan(found, RMSF.table(rows), LISTS, plan_settings)


def built(path, out, **changes):
    """Plan, parts, store."""
    plan_settings = settings(**changes)
    plan = planned(path, plan_settings)
    ledgers, parts = [], []
    for part in range(plan_settings.num_parts):
        ledgers.append(Ledger("voxel", Reason))
        parts.append(out / "grids" / part_name(part, plan_settings.num_parts))
        rows = plan.residues.filter(pc.equal(plan.residues["part"], part))
        with open_voxels(path, wanted=WANTED) as file:
            encode_part(file, rows, parts[-1], bad_grid="reject", ledger=ledgers[-1])
    merge_store(plan, parts, out, settings=plan_settings, ledgers=ledgers, config_digest="abc")
    return Store(out)


@pytest.fixture
def proteins(voxels):
    return {f"d{i}": voxels.protein(f"d{i}", [str(n) for n in range(-1, 5 + i)]) for i in range(6)}


@pytest.fixture
def store(voxels, proteins, tmp_path):
    return built(voxels.write(proteins), tmp_path / "store")


def expected(store, proteins, uids):
    rows = store.residues.take(uids).to_pylist()
    return np.stack([proteins[row["domain"]][row["chain"]][row["residue"]] for row in rows]).astype(np.float32)


UIDS = np.array([7, 3, 3, 40, 0, 21])


def test_expanded_grids_are_those_of_the_file(store, proteins):
    found = store.expand(UIDS)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected(store, proteins, UIDS))
    every = np.arange(len(store))
    assert np.array_equal(store.expand(every), expected(store, proteins, every))


def test_gathered_grids_are_sorted_uint16_positions(store):
    grids = store.gather(UIDS)
    assert grids.indices.dtype == np.uint16
    assert grids.values is None
    assert all((np.diff(grids[i].positions.astype(int)) > 0).all() for i in range(len(UIDS)))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float16, np.bool_])
def test_a_recycled_buffer_holds_nothing_of_the_batch_before(store, proteins, dtype):
    buffer = store.buffer(6, dtype=dtype)
    for uids in (UIDS, UIDS[::-1], UIDS[:2], np.empty(0, np.int64), np.arange(6) + 30):
        found = store.expand(uids, buffer)
        assert found.dtype == dtype
        assert np.shares_memory(found, buffer.array) or not len(uids)
        assert np.array_equal(found, expected(store, proteins, uids) if len(uids) else found)
        assert not buffer.array[len(uids) :].any()


def test_a_plain_array_is_cleared_first(store, proteins):
    array = np.full((8, *store.shape), 9, np.float32)
    found = store.expand(UIDS, array)
    assert np.array_equal(found, expected(store, proteins, UIDS))
    assert not array[6:].any()


def test_foreign_memory_can_be_a_buffer(store, proteins):
    memory = np.full((8, *store.shape), 7, np.float32)
    assert np.array_equal(store.expand(UIDS, ExpandBuffer(memory)), expected(store, proteins, UIDS))
    with pytest.raises(ValueError, match="C-contiguous"):
        ExpandBuffer(memory.T)


def test_buffers_that_do_not_fit_are_refused(store):
    with pytest.raises(ValueError, match="a buffer for 6 grids"):
        store.expand(UIDS, store.buffer(5))
    with pytest.raises(ValueError, match="has shape"):
        store.expand(UIDS, np.zeros((6, 5, 11, 11, 11), np.float32))


def test_samples_refer_to_residues_and_carry_temperature_and_target(store):
    rows = store.samples("train").to_pylist()
    residues = store.residues.to_pylist()
    assert [row["sample_id"] for row in rows] == list(range(len(rows)))
    assert len(rows) == 3 * sum(6 + i for i in range(4))
    for row in rows:
        residue = residues[row["residue_uid"]]
        assert residue["split"] == "train"
        assert row["target"] == np.float32(row["temperature"] / 1000 + residue["resid"] / 7)
    assert store.samples("test", columns=["target"]).column_names == ["target"]
    RESIDUES.check(store.residues)
    SAMPLES.check(store.samples("val"))


def test_manifest_says_what_the_store_is_and_nothing_of_when_and_where(store):
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert manifest["shape"] == [5, 21, 21, 21]
    assert manifest["channels"] == list(WANTED)
    assert manifest["rmsf_unit"] == "nm"
    assert (manifest["seed"], manifest["config_digest"]) == (42, "abc")
    assert [part["codec"] for part in manifest["parts"]] == ["sparse"] * 3
    assert sum(part["grids"] for part in manifest["parts"]) == manifest["counts"]["residues"] == len(store) == 51
    assert str(store.folder.parent) not in json.dumps(manifest)


def test_same_inputs_give_the_same_bytes(store, voxels, proteins, tmp_path):
    again = built(voxels.write(proteins, name="again.hdf5"), tmp_path / "again")
    names = {file.relative_to(store.folder) for file in store.folder.rglob("*") if file.is_file()}
    assert len(names) == 3 * 3 + 6
    assert all((store.folder / name).read_bytes() == (again.folder / name).read_bytes() for name in names)


def _sum_of(store, uids, queue):
    queue.put(float(store.expand(uids).sum()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_store_in_use_goes_to_other_processes(store, method):
    total = float(store.expand(UIDS).sum())
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=_sum_of, args=(store, UIDS, queue))
    process.start()
    assert queue.get(timeout=60) == total
    process.join()


def test_a_pickled_store_is_its_path(store):
    store.expand(UIDS)
    assert len(pickle.dumps(store)) < 400


def test_parts_of_several_codecs_are_read_alike(voxels, tmp_path):
    proteins = {f"d{i}": voxels.protein(f"d{i}", [str(n) for n in range(8)]) for i in range(6)}
    for name, protein in proteins.items():
        for residue, grid in protein["A"].items():
            if part_of(name, 3) == 0:
                grid[:, :9] = True
            if part_of(name, 3) == 1:
                protein["A"][residue] = voxels.gaussian(name, residue)
    store = built(voxels.write(proteins), tmp_path / "store")
    kinds = [(part.codec, "values" in part.arrays) for part in map(open_part, store.part_files)]
    assert kinds == [("packed", False), ("sparse", True), ("sparse", False)]
    draw = np.random.default_rng(0).integers(0, len(store), 60)
    found, wanted = store.expand(draw), expected(store, proteins, draw)
    assert np.array_equal(found, wanted)
    buffer = store.buffer(64)
    for uids in (draw, draw[:9], draw[::-1]):
        assert np.array_equal(store.expand(uids, buffer), expected(store, proteins, uids))
    with pytest.raises(ValueError, match="uint8 does not hold the values"):
        store.expand(draw, dtype=np.uint8)
    assert len(store.gather(np.empty(0, np.int64))) == 0
    store.verify()


def test_rejected_grids_leave_with_their_samples_and_the_rest_is_numbered_anew(voxels, proteins, tmp_path):
    proteins["d0"]["A"]["2"][...] = False
    proteins["d3"]["A"]["-1"][3, 10, 10, 10] = False
    path = voxels.write(proteins)
    whole = planned(path, settings())
    store = built(path, tmp_path / "store")
    assert len(store) == whole.residues.num_rows - 2 == 49
    assert store.residues["residue_uid"].to_pylist() == list(range(49))
    every = np.arange(49)
    assert np.array_equal(store.expand(every), expected(store, proteins, every))
    train = store.samples("train")
    assert train["sample_id"].to_pylist() == list(range(whole.counts["train"]["samples"] - 6))
    assert train["batch_index"].to_pylist() == [i // 8 for i in range(train.num_rows)]
    rejects = REJECTS.read(store.folder / "rejects.parquet").to_pylist()
    assert {(row["kind"], row["item"], row["reason"]) for row in rejects} >= {
        ("grid", "d0/A/2", "empty_grid"),
        ("residue", "d0 A 2", "empty_grid"),
        ("sample", "d3 A -1", "grid_rejected"),
    }
    assert store.manifest["counts"]["grids_rejected"] == 2


def test_too_many_rejected_grids_stop_the_build(voxels, proteins, tmp_path):
    for residues in list(proteins.values())[:4]:
        for grid in residues["A"].values():
            grid[3, 10, 10, 10] = False
    with pytest.raises(InputError, match="max_reject_fraction"):
        built(voxels.write(proteins), tmp_path / "store")


def merged(store, voxels, proteins, **changes):
    plan_settings = settings(**changes)
    plan = planned(voxels.write(proteins), plan_settings)
    ledgers = [Ledger("voxel", Reason)] * len(store.part_files)
    merge_store(plan, store.part_files, store.folder, settings=plan_settings, ledgers=ledgers, config_digest="abc")


def test_damaged_part_is_found_when_merging_and_when_verifying(store, voxels, proteins):
    part = store.part_files[1]
    whole = bytearray(part.read_bytes())
    whole[-1] ^= 1
    part.write_bytes(whole)
    with pytest.raises(IntegrityError, match=f"{part.name}: sha256 is"):
        merged(store, voxels, proteins)
    with pytest.raises(IntegrityError, match=f"{part.name}: missing, or not the file"):
        Store(store.folder).verify()


def test_parts_of_another_plan_are_refused(store, voxels, proteins):
    del proteins["d2"]["A"]["0"]
    with pytest.raises(IntegrityError, match="does not hold what the plan asks for"):
        merged(store, voxels, proteins)


def test_what_is_no_store_is_refused(store, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Store(tmp_path / "nowhere")
    manifest = json.loads((store.folder / "manifest.json").read_text())
    (store.folder / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))
    with pytest.raises(IntegrityError, match="expected"):
        Store(store.folder)
    (store.folder / "manifest.json").write_text("{}")
    with pytest.raises(IntegrityError, match="not a store's manifest"):
        Store(store.folder)


def test_channel_order_of_the_store_is_the_one_wanted(voxels, proteins, tmp_path):
    store = built(voxels.write(proteins, order=("C", "N", "O", "CB", "CA")), tmp_path / "store")
    with h5py.File(voxels.folder / "voxels.hdf5") as file:
        first = store.residues.slice(5, 1).to_pylist()[0]
        stored = file[f"{first['domain']}/A/{first['residue']}"][()]
    assert np.array_equal(store.expand(np.array([5]))[0], np.moveaxis(stored, -1, 0)[[0, 1, 2, 4, 3]])
