from __future__ import annotations

import numpy as np
import pytest
from training_set import PIXELS, TrainingSet, flux_of, write_selection, write_training_set

from trainyard.transit.train.inputs import Inputs, read_inputs
from trainyard.transit.train.members import find_members
from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.receipts import write_receipt

pytest.importorskip("tensorflow")

from trainyard.transit.train.data import identified_batches, ordered_batches, record_errors, training_batches

SETTINGS = TrainSettings(batch_size=4, shuffle_buffer=8)
FLUX = Inputs(("flux_norm",), 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> TrainingSet:
    """Two train shards of 7 and 9 records, every third with images, and an empty val shard."""
    folder = tmp_path_factory.mktemp("set")
    return write_training_set(folder, {"train": (7, 9), "val": (0,)}, images=lambda i: i % 3 == 0)


@pytest.fixture(scope="module")
def members(made):
    return find_members(made.shards["train"], made.examples, split="train")


def fluxes(batches):
    return np.concatenate([values["flux_norm"].numpy() for values, _ in batches])


def uids(members, inputs=FLUX):
    return [uid.decode() for _, batch in identified_batches(members, inputs, batch_size=5) for uid in batch.numpy()]


def test_members_stand_in_the_order_of_shards_and_records(made, members):
    assert len(members) == 16
    assert members.rows["uid"].to_pylist() == [row["uid"] for row in made.rows]
    assert [keep.tolist() for keep in members.keep] == [[True] * 7, [True] * 9]


def test_a_selection_keeps_its_examples_and_no_other(tmp_path, made):
    selection = write_selection(tmp_path / "selection.parquet", made, lambda row: row["label"] == 1)
    members = find_members(made.shards["train"], made.examples, split="train", selection=selection)
    assert uids(members) == [row["uid"] for row in made.rows if row["label"] == 1]
    labels = np.concatenate([label.numpy() for _, label in training_batches(members, FLUX, SETTINGS, epoch=1)])
    assert labels.tolist() == [[1.0]] * 7


def test_members_without_images_can_be_left_out(tmp_path, made, members):
    imaged = members.with_images()
    assert uids(imaged) == imaged.rows["uid"].to_pylist() == [row["uid"] for row in made.rows if row["has_images"]]
    selection = write_selection(tmp_path / "selection.parquet", made, lambda row: row["label"] == 1)
    some = find_members(made.shards["train"], made.examples, split="train", selection=selection).with_images()
    assert uids(some) == [row["uid"] for row in made.rows if row["has_images"] and row["label"] == 1]
    assert members.has_images and len(members) == 16, "what was found stays as it was"


def test_a_shard_whose_members_all_lack_images_is_not_read(tmp_path):
    made = write_training_set(tmp_path, {"train": (3, 6)}, images=lambda i: i > 4)
    members = find_members(made.shards["train"], made.examples, split="train").with_images()
    assert members.shards == (made.shards["train"][1],)
    assert len(members) == 1
    nothing = write_training_set(tmp_path / "none", {"train": (3,), "val": (0,)}, images=lambda i: False)
    for split in ("train", "val"):
        assert len(find_members(nothing.shards[split], nothing.examples, split=split).with_images()) == 0


def test_a_shard_without_members_is_not_read(tmp_path, made):
    second = made.shards["train"][1].name.removeprefix("norm_")
    selection = write_selection(tmp_path / "selection.parquet", made, lambda row: row["shard"] == second)
    members = find_members(made.shards["train"], made.examples, split="train", selection=selection)
    assert members.shards == (made.shards["train"][1],)
    assert len(members) == 9


def test_an_empty_split_gives_no_batches(made):
    members = find_members(made.shards["val"], made.examples, split="val")
    assert len(members) == 0
    assert list(ordered_batches(members, FLUX, batch_size=4)) == []


def test_a_shard_that_changed_after_its_receipt_is_refused(tmp_path):
    made = write_training_set(tmp_path, {"train": (2,)})
    shard = made.shards["train"][0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="sha256"):
        find_members(made.shards["train"], made.examples, split="train")


def test_a_shard_with_other_records_than_the_table_is_refused(tmp_path):
    made = write_training_set(tmp_path, {"train": (3,)})
    write_receipt(made.shards["train"][0], records=2)
    with pytest.raises(IntegrityError, match="2 records by its receipt, but the example tables list 3"):
        find_members(made.shards["train"], made.examples, split="train")


def test_a_shard_that_the_table_names_must_be_given(made):
    with pytest.raises(IntegrityError, match="train_shard_0002-0002"):
        find_members(made.shards["train"][:1], made.examples, split="train")


def test_an_epoch_gives_every_member_once(made, members):
    wanted = sorted(tuple(flux_of(row["uid"], row["label"])) for row in made.rows)
    for epoch in (1, 2):
        assert sorted(map(tuple, fluxes(training_batches(members, FLUX, SETTINGS, epoch=epoch)))) == wanted


def test_order_is_a_function_of_seed_and_epoch(members):
    first = fluxes(training_batches(members, FLUX, SETTINGS, epoch=1))
    assert np.array_equal(first, fluxes(training_batches(members, FLUX, SETTINGS, epoch=1)))
    assert not np.array_equal(first, fluxes(training_batches(members, FLUX, SETTINGS, epoch=2)))
    other = SETTINGS.model_copy(update={"seed": 1})
    assert not np.array_equal(first, fluxes(training_batches(members, FLUX, other, epoch=1)))


def test_a_batch_mixes_shards_even_without_a_shuffle_buffer(tmp_path):
    made = write_training_set(tmp_path, {"train": (4,) * 6})
    members = find_members(made.shards["train"], made.examples, split="train")
    settings = TrainSettings(batch_size=6, shuffle_buffer=1)
    shard_of = {tuple(flux_of(row["uid"], row["label"])): row["shard"] for row in made.rows}
    batch = next(iter(training_batches(members, FLUX, settings, epoch=1)))[0]["flux_norm"].numpy()
    assert len({shard_of[tuple(flux)] for flux in batch}) == 6


def test_scoring_reads_every_member_in_order(made, members):
    assert uids(members) == [row["uid"] for row in made.rows]
    labels = np.concatenate([label.numpy() for _, label in ordered_batches(members, FLUX, batch_size=5)])
    assert labels[:, 0].tolist() == [row["label"] for row in made.rows]


def test_examples_without_images_get_zero_images(made, members):
    inputs = read_inputs(members.shards, ["flux_norm", "snr_img_stdnorm"], with_images=members.has_images)
    assert inputs == Inputs(("flux_norm",), 100, ("snr_img_stdnorm",), (PIXELS, PIXELS))
    values, _ = next(iter(ordered_batches(members, inputs, batch_size=16)))
    blank = [not image.any() for image in values["snr_img_stdnorm"].numpy()]
    assert blank == [not row["has_images"] for row in made.rows]


def test_a_set_without_images_drops_the_image_inputs(members):
    assert read_inputs(members.shards, ["flux_norm", "target_img"], with_images=False) == FLUX
    with pytest.raises(ConfigError, match="leaves the model without input"):
        read_inputs(members.shards, ["target_img"], with_images=False)


def test_a_feature_that_no_example_carries_is_named(members):
    with pytest.raises(InputError, match="no example carries flux_quality"):
        read_inputs(members.shards, ["flux_norm", "flux_quality"], with_images=False)


def test_time_reversal_turns_some_windows_and_nothing_else(made, members):
    settings = SETTINGS.model_copy(update={"augment": True})
    plain = list(training_batches(members, FLUX, SETTINGS, epoch=3))
    turned = list(training_batches(members, FLUX, settings, epoch=3))
    reversed_rows = 0
    for (before, label), (after, same_label) in zip(plain, turned, strict=True):
        assert np.array_equal(label, same_label)
        for old, new in zip(before["flux_norm"].numpy(), after["flux_norm"].numpy(), strict=True):
            assert np.array_equal(new, old) or np.array_equal(new, old[::-1])
            reversed_rows += not np.array_equal(new, old)
    assert 0 < reversed_rows < len(members)


def test_a_label_other_than_0_and_1_is_refused(tmp_path):
    made = write_training_set(tmp_path, {"train": (3,)}, change=lambda _, i, features: features.update(label="0.0"))
    members = find_members(made.shards["train"], made.examples, split="train")
    with pytest.raises(IntegrityError, match="neither 0 nor 1"), record_errors():
        list(ordered_batches(members, FLUX, batch_size=2))
