"""The loader gives the tensors of the store, in the same order for any workers, and goes on where it stopped."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from trainyard.voxel.grids import dense
from trainyard.voxel.loader import VoxelDataset, make_loader
from trainyard.voxel.rotations import draw_rotations, moved_voxels, rotate
from trainyard.voxel.tensors import DeviceExpander, HostExpander
from trainyard.yard.errors import InputError

NAMES = ["voxels", "scaled_temps", "targets"]


def copied(loader):
    """The batches of an epoch; copies, since buffers may be recycled."""
    return [{name: tensor.clone() for name, tensor in batch.items()} for batch in loader]


def same(some, others):
    return len(some) == len(others) and all(
        list(a) == list(b) and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)
        for a, b in zip(some, others, strict=True)
    )


def expected(store, split="train", size=8):
    """Batches put together from the tables and grids of the store, by hand."""
    samples = store.samples(split)
    uids, temps, targets = (samples[n].to_numpy() for n in ("residue_uid", "scaled_temp", "target"))
    voxels = dense(store.gather(uids), cells=store.cells).reshape(-1, *store.shape)
    tensors = [torch.tensor(array) for array in (voxels, temps.reshape(-1, 1), targets)]
    return [dict(zip(NAMES, parts, strict=True)) for parts in zip(*(t.split(size) for t in tensors), strict=True)]


def test_batches_have_the_published_names_shapes_and_types(small_store):
    batch = next(iter(make_loader(small_store.folder, "train", 8)))
    assert {name: (tuple(t.shape), t.dtype) for name, t in batch.items()} == {
        "voxels": ((8, 5, 21, 21, 21), torch.float32),
        "scaled_temps": ((8, 1), torch.float32),
        "targets": ((8,), torch.float32),
    }
    assert all(tensor.is_contiguous() for tensor in batch.values())


@pytest.mark.parametrize("expand", ["device", "host", "uint8"])
@pytest.mark.parametrize("reuse_buffer", [False, True], ids=["fresh", "recycled"])
def test_stored_order_gives_the_samples_of_the_store(small_store, expand, reuse_buffer):
    loader = make_loader(small_store, "train", 8, expand=expand, reuse_buffer=reuse_buffer)
    found = copied(loader)
    assert found[0]["voxels"].dtype == (torch.uint8 if expand == "uint8" else torch.float32)
    assert same([{**batch, "voxels": batch["voxels"].float()} for batch in found], expected(small_store))
    assert len(loader) == len(found) == 8
    assert len(found[-1]["targets"]) == 7
    assert same(copied(loader), found)


def test_a_recycled_buffer_is_one_piece_of_memory(small_store):
    loader = make_loader(small_store, "train", 8, reuse_buffer=True)
    assert len({batch["voxels"].data_ptr() for batch in loader}) == 1
    assert len({b["voxels"].data_ptr() for b in list(make_loader(small_store, "train", 8))}) == 8


def test_shuffled_epochs_differ_and_come_again(small_store):
    loader = make_loader(small_store, "train", 8, order="shuffled", seed=3, ids=True)
    epochs = [torch.cat([batch["sample_ids"] for batch in loader]).tolist() for _ in range(3)]
    assert all(sorted(epoch) == list(range(63)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert loader.epoch == 3
    loader.set_epoch(1)
    assert torch.cat([batch["sample_ids"] for batch in loader]).tolist() == epochs[1]
    other = make_loader(small_store, "train", 8, order="shuffled", seed=4, ids=True)
    assert torch.cat([batch["sample_ids"] for batch in other]).tolist() != epochs[0]


def test_ids_are_the_keys_of_the_tables(small_store):
    samples = small_store.samples("val")
    for batch in make_loader(small_store, "val", 5, order="shuffled", ids=True):
        rows = samples.take(batch["sample_ids"].numpy())
        assert rows["residue_uid"].to_pylist() == batch["residue_uids"].tolist()
        assert rows["target"].to_pylist() == batch["targets"].tolist()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than this machine may have cores
@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("fork", 4), ("spawn", 2), ("spawn", 4)])
def test_workers_change_nothing(small_store, context, workers):
    options = {"order": "shuffled", "rotations": True, "ids": True, "reuse_buffer": True}
    alone = make_loader(small_store, "train", 8, **options)
    helped = make_loader(small_store, "train", 8, **options, workers=workers, context=context)
    for _ in range(2):
        assert same(copied(helped), copied(alone))
    next(iter(helped))  # an epoch that is broken off begins anew
    assert same(copied(helped), copied(alone))
    assert helped.state_dict() == alone.state_dict()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 5, 8])
def test_a_loaded_state_gives_exactly_the_remaining_batches(small_store, workers, stop):
    options = {"order": "shuffled", "rotations": True, "ids": True, "workers": workers}
    first = make_loader(small_store, "train", 8, **options)
    whole = [copied(first) for _ in range(2)]
    first.set_epoch(1)
    batches = iter(first)
    for _ in range(stop):
        next(batches)
    state = copy.deepcopy(first.state_dict())
    second = make_loader(small_store, "train", 8, **options)
    second.load_state_dict(state)
    assert second.state_dict() == state
    second.set_epoch(second.epoch)  # as training loops do
    if stop < 8:
        next(iter(second))  # a look at a batch costs nothing
    assert same(copied(second), whole[1][stop:])
    assert second.epoch == 2
    assert len(copied(second)) == 8


def test_a_state_goes_on_with_another_batch_size_and_number_of_processes(small_store):
    first = make_loader(small_store, "train", 8, order="shuffled", ids=True)
    whole = torch.cat([batch["sample_ids"] for batch in first]).tolist()
    first.set_epoch(0)
    batches = iter(first)
    next(batches), next(batches)
    rest = []
    for rank in range(3):
        other = make_loader(small_store, "train", 4, order="shuffled", ids=True, rank=rank, world_size=3)
        other.load_state_dict(first.state_dict())
        rest += [i for batch in other for i in batch["sample_ids"].tolist()]
    assert sorted(rest) == sorted(whole[16:])


def trained(store, *, stop=None):
    """The weights that the training script of docs/voxel.md ends with; killed after `stop` steps, it is run again."""
    torch.manual_seed(1)
    model = torch.nn.Linear(store.cells, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    saved, steps = None, 0
    while True:
        loader = make_loader(store, "train", 8, order="shuffled", seed=1, rotations=True, reuse_buffer=True)
        if saved:
            loader.load_state_dict(saved["loader"])
            model.load_state_dict(saved["model"])
        for _ in range(loader.epoch, 3):
            for batch in loader:
                found = model(batch["voxels"].flatten(1))[:, 0] + batch["scaled_temps"][:, 0]
                loss = torch.nn.functional.mse_loss(found, batch["targets"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                steps += 1
                if steps == stop:
                    break
            if steps == stop:
                break
        else:
            return model.weight.detach(), loader.epoch
        saved, stop = copy.deepcopy({"loader": loader.state_dict(), "model": model.state_dict()}), None


@pytest.mark.parametrize("stop", [8, 13])
def test_training_that_is_resumed_ends_with_the_same_weights(small_store, stop):
    weights, epochs = trained(small_store)
    resumed, resumed_epochs = trained(small_store, stop=stop)
    assert torch.equal(weights, resumed)
    assert epochs == resumed_epochs == 3


def test_a_state_of_another_loader_is_refused(small_store, gaussian_store):
    state = make_loader(small_store, "train", order="shuffled", seed=1).state_dict()
    for store, split, seed in ((small_store, "val", 1), (small_store, "train", 2), (gaussian_store, "train", 1)):
        with pytest.raises(ValueError, match=r"of another loader: (split 'train', here|seed 1, here|samples_sha256)"):
            make_loader(store, split, order="shuffled", seed=seed).load_state_dict(state)


def test_states_survive_torch_save(small_store, tmp_path):
    loader = make_loader(small_store, "train", 8)
    next(iter(loader))
    torch.save(loader.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == loader.state_dict()


def test_rotations_turn_grids_and_leave_the_rest(small_store):
    plain = copied(make_loader(small_store, "train", 8, ids=True))
    turned = copied(make_loader(small_store, "train", 8, ids=True, seed=9, rotations=True))
    which = draw_rotations(63, seed=9, split="train", epoch=0)
    for before, after in zip(plain, turned, strict=True):
        ids = before["sample_ids"].numpy()
        grids = rotate(small_store.gather(before["residue_uids"].numpy()), which[ids], moved=moved_voxels(21))
        assert np.array_equal(after["voxels"].reshape(len(ids), -1), dense(grids, cells=small_store.cells))
        assert same([{**before, "voxels": after["voxels"]}], [after])
        assert not torch.equal(before["voxels"], after["voxels"])


def test_loading_draws_nothing_from_the_global_generator(small_store):
    state = torch.get_rng_state()
    list(make_loader(small_store, "train", 8, order="shuffled", rotations=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_dataset_gives_samples_and_batches_by_number(small_store):
    dataset = VoxelDataset(small_store.folder, "train")
    assert len(dataset) == 63
    sample = dataset[9]
    assert {name: (tuple(t.shape), t.dtype) for name, t in sample.items()} == {
        "voxels": ((5, 21, 21, 21), torch.float32),
        "scaled_temps": ((1,), torch.float32),
        "targets": ((), torch.float32),
    }
    assert same([dataset[[9, 9, 0]]], [{n: torch.stack([sample[n], sample[n], dataset[0][n]]) for n in NAMES}])
    first = expected(small_store)[0]
    for index in (list(range(8)), slice(8), slice(0, 8), np.arange(8), torch.arange(8), np.arange(8) - 63):
        assert same([dataset[index]], [first])
    assert dataset[[]]["voxels"].shape == (0, 5, 21, 21, 21)
    assert same([dataset[np.int32(-1)]], [dataset[62]])


@pytest.mark.parametrize(
    ("index", "error"), [(63, IndexError), ([0, -64], IndexError), ([0.5], TypeError), ("a", TypeError)]
)
def test_samples_that_are_not_there_are_refused(small_store, index, error):
    with pytest.raises(error):
        VoxelDataset(small_store, "train")[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_stock_loaders_take_the_dataset(small_store, workers):
    dataset = VoxelDataset(small_store, "train")
    plain = DataLoader(dataset, batch_size=8, num_workers=workers)
    assert same(list(plain), expected(small_store))
    sampler = BatchSampler(SequentialSampler(dataset), 8, drop_last=False)
    assert same(list(DataLoader(dataset, batch_size=None, sampler=sampler, num_workers=workers)), expected(small_store))


def test_a_pickled_dataset_is_its_path(small_store):
    dataset = VoxelDataset(small_store, "val", ids=True)
    dataset[0]
    data = pickle.dumps(dataset)
    assert len(data) < 1000
    assert same([pickle.loads(data)[[1, 2]]], [dataset[[1, 2]]])


def test_grids_of_other_values_are_exact_but_no_uint8(gaussian_store):
    for options in ({}, {"reuse_buffer": True}):
        assert same(copied(make_loader(gaussian_store, "train", 4, **options)), expected(gaussian_store, size=4))
    with pytest.raises(ValueError, match="other values than 0 and 1: set expand"):
        make_loader(gaussian_store, "train", expand="uint8")


@pytest.mark.parametrize("rows", [None, 8], ids=["fresh", "recycled"])
def test_expansion_with_torch_equals_that_with_numpy(small_store, gaussian_store, rows):
    for store in (small_store, gaussian_store):
        here = HostExpander(store.shape, dtype=np.dtype(np.float32))
        there = DeviceExpander(store.shape, device=torch.device("cpu"), buffer_rows=rows)
        for uids in (np.array([1, 5, 0, 0]), np.array([2]), np.empty(0, np.int64), np.array([3, 4, 5])):
            found, wanted = there(store.gather(uids)), here(store.gather(uids))
            assert found.dtype == torch.float32
            assert torch.equal(found, wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("expand", ["device", "host", "uint8"])
def test_batches_on_a_gpu_are_those_in_memory(small_store, expand):
    options = {"order": "shuffled", "rotations": True, "expand": expand, "reuse_buffer": True}
    found = copied(make_loader(small_store, "train", 8, device="cuda", **options))
    assert all(tensor.is_cuda for batch in found for tensor in batch.values())
    assert same(
        [{n: t.cpu() for n, t in b.items()} for b in found], copied(make_loader(small_store, "train", 8, **options))
    )


@pytest.mark.parametrize(
    "options", [{"expand": "gpu"}, {"order": "random"}, {"batch_size": 0}, {"rank": 1}, {"split": "all"}]
)
def test_wrong_arguments_are_refused(small_store, options):
    with pytest.raises(ValueError, match=r"must be|need batch_size"):
        make_loader(small_store, **{"split": "train", **options})


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        make_loader(tmp_path / "nowhere", "train")
