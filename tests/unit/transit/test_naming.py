from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.transit import naming
from trainyard.yard import labels

NUMBERS = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


def test_names_are_those_of_the_published_set():
    assert naming.raw_shard(1, 8) == "raw_shard_0001-0008.tfrecord"
    assert naming.split_shard("val", 2, 8) == "val_shard_0002-0008.tfrecord"
    assert naming.norm_shard("train", 8, 8) == "norm_train_shard_0008-0008.tfrecord"
    assert naming.data_tbl(1, 8593) == "data_tbl_0001-8593.csv"
    assert naming.shards_tbl(1, 8) == "shards_tbl_0001-0008.csv"
    assert naming.examples_tbl(1, 8) == "examples_0001-0008.parquet"
    assert naming.ledger(1, 8) == "ledger_0001-0008.json"
    assert naming.feature_stats("diff_img") == "train_set_diff_img_stats.npy"


def test_labels_are_padded_to_four_digits_and_grow_beyond():
    assert labels.shard_labels(3) == ["0001-0003", "0002-0003", "0003-0003"]
    assert labels.shard_label(7, 12_000) == "0007-12000"
    assert labels.shard_label(12_000, 12_000) == "12000-12000"


@given(NUMBERS)
def test_a_label_is_read_back(numbers):
    assert labels.parse_label(labels.shard_label(*numbers)) == numbers


@given(NUMBERS, st.sampled_from([None, "train", "val", "test"]), st.booleans())
def test_a_shard_name_is_read_back(numbers, split, normalized):
    name = naming.ShardName(split, *numbers, normalized=normalized and split is not None)
    assert naming.parse_shard(str(name)) == name


@pytest.mark.parametrize("label", ["1-8", "0009-0008", "0000-0008", "00001-0008", "0001-0008 ", "٠٠٠١-0008", ""])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(ValueError, match="not a shard label"):
        labels.parse_label(label)


@pytest.mark.parametrize(
    "name", ["raw_train_shard_0001-0008.tfrecord", "norm_raw_shard_0001-0008.tfrecord", "train_shard_0001-0008", "x"]
)
def test_what_is_no_shard_name_is_refused(name):
    with pytest.raises(ValueError, match="not the name of a shard"):
        naming.parse_shard(name)


def test_numbers_outside_of_the_range_and_unknown_splits_are_refused():
    with pytest.raises(ValueError, match="not one of 1 to 8"):
        naming.raw_shard(0, 8)
    with pytest.raises(ValueError, match="not one of train, val, test"):
        naming.split_shard("dev", 1, 8)
