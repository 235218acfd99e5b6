"""Every sample comes once per epoch, whatever the number of processes, and a broken epoch goes on where it stopped."""

from __future__ import annotations

from itertools import chain, product

import numpy as np
import pytest

from trainyard.voxel.epochs import EpochBatches, epoch_order

SMALL = list(product((1, 2, 3, 7), (1, 2, 5), range(40)))


def batches(n, *, batch_size=4, order="stored", epoch=0, start=0, **options):
    sampler = EpochBatches(n, batch_size=batch_size, order=order, seed=1, split="train", **options)
    sampler.epoch, sampler.start = epoch, start
    return sampler, [wanted.samples.tolist() for wanted in sampler]


def flat(lists):
    return list(chain.from_iterable(lists))


def test_stored_order_cuts_consecutive_slices():
    sampler, found = batches(10)
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(sampler) == 3
    assert batches(10, drop_last=True)[1] == found[:2]
    assert batches(0)[1] == []


def test_shuffled_order_is_another_permutation_in_every_epoch_and_seed():
    orders = [
        epoch_order(500, seed=s, split=split, epoch=e) for s, split, e in product((1, 2), ("train", "val"), (0, 1))
    ]
    assert all(np.array_equal(np.sort(order), np.arange(500)) for order in orders)
    assert len({order.tobytes() for order in orders}) == len(orders)
    found = batches(500, order="shuffled", epoch=1)[1]
    assert flat(found) == epoch_order(500, seed=1, split="train", epoch=1).tolist()


def test_the_shuffle_is_the_same_on_every_machine():
    assert epoch_order(8, seed=1, split="train", epoch=0).tolist() == [5, 0, 4, 7, 3, 6, 1, 2]


@pytest.mark.parametrize("order", ["stored", "shuffled"])
def test_processes_share_every_sample_once_and_have_equally_many_batches(order):
    for world, size, n in SMALL:
        shares = [batches(n, batch_size=size, order=order, rank=r, world_size=world) for r in range(world)]
        found = flat(flat(share for _, share in shares))
        assert sorted(found) == list(range(n))
        assert all(0 < len(batch) <= size for _, share in shares for batch in share)
        assert [len(sampler) for sampler, _ in shares] == [len(share) for _, share in shares]
        if size > 1 and n >= world:
            assert len({len(share) for _, share in shares}) == 1


def test_steps_of_all_processes_together_are_those_of_one_with_large_batches():
    one = batches(50, batch_size=12, order="shuffled")[1]
    four = [batches(50, batch_size=3, order="shuffled", rank=r, world_size=4)[1] for r in range(4)]
    assert one[:3] == [flat(step) for step in list(zip(*four, strict=True))[:3]]


def test_dropping_the_last_step_leaves_full_batches_only():
    for world, size, n in SMALL:
        shares = [batches(n, batch_size=size, drop_last=True, rank=r, world_size=world)[1] for r in range(world)]
        assert {len(batch) for share in shares for batch in share} <= {size}
        assert {len(share) for share in shares} == {n // (world * size)}


def test_after_any_step_the_rest_is_the_rest():
    for world, size, n in SMALL:
        for rank in range(world):
            sampler, whole = batches(n, batch_size=size, order="shuffled", rank=rank, world_size=world)
            for step, end in enumerate(sampler.ends(0).tolist(), start=1):
                _, rest = batches(n, batch_size=size, order="shuffled", rank=rank, world_size=world, start=end)
                assert rest == whole[step:]


def test_rotations_stay_with_their_samples_whatever_the_batches():
    def turns(**options):
        sampler = EpochBatches(100, seed=1, split="train", rotations=True, **options)
        sampler.epoch = 3
        return {s: t for w in sampler for s, t in zip(w.samples.tolist(), w.rotations.tolist(), strict=True)}

    first = turns(batch_size=7, order="stored")
    assert first == turns(batch_size=50, order="shuffled")
    assert len(set(first.values())) > 12


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"rank": 2, "world_size": 2}, {"rank": -1}, {"order": "sorted"}]
)
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"need batch_size|order must be"):
        batches(5, **options)
