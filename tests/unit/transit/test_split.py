from __future__ import annotations

import csv
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shards import example, write_raw, write_split

from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.settings import SplitSettings
from trainyard.transit.split import SHARDS_TBL_COLUMNS, assign, check_disjoint, split_shard
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.receipts import read_receipt, verify
from trainyard.yard.tfrecord import read_records

PLAIN = SplitSettings()
STRATIFIED = SplitSettings(stratify=True)
STARS = st.sets(st.integers(1, 10**10), max_size=40)


def alone(targets, stratum="KP"):
    return [(target, target, stratum) for target in targets]


@given(STARS, STARS)
def test_new_stars_never_move_old_ones(old, new):
    before = assign(alone(sorted(old)), PLAIN)
    after = assign(alone(sorted(old | new)), PLAIN)
    assert {target: after[target] for target in old} == before


@given(st.permutations(list(range(30))), st.booleans())
def test_the_order_of_the_stars_does_not_matter(order, stratify):
    targets = [(target, target // 2, "KP" if target % 3 else "EB") for target in order]
    chosen = SplitSettings(stratify=stratify)
    assert assign(targets, chosen) == assign(sorted(targets), chosen)


def test_shares_are_kept_to_within_binomial_error():
    n = 20_000
    splits = list(assign(alone(range(n)), PLAIN).values())
    for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert splits.count(split) == pytest.approx(share * n, abs=4 * math.sqrt(n * share * (1 - share)))


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["EB", "KP", "NTP"])), max_size=60), st.booleans())
def test_a_blend_stands_in_one_split(members, stratify):
    targets = [(target, group, stratum) for target, (group, stratum) in enumerate(members)]
    splits = assign(targets, SplitSettings(stratify=stratify))
    for group in {group for _, group, _ in targets}:
        assert len({splits[target] for target, g, _ in targets if g == group}) == 1


@pytest.mark.parametrize("stars", [10, 25, 100, 1000])
def test_stratified_shares_are_exact_in_every_stratum(stars):
    targets = alone(range(stars), "EB") + alone(range(stars, 3 * stars), "NTP")
    splits = assign(targets, STRATIFIED)
    for members in (range(stars), range(stars, 3 * stars)):
        found = [splits[target] for target in members]
        for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
            assert abs(found.count(split) - share * len(members)) <= 1


def test_another_salt_draws_another_assignment():
    assert assign(alone(range(200)), PLAIN) != assign(alone(range(200)), SplitSettings(salt="split-2"))


def test_the_assignment_of_these_stars_never_changes():
    # Published data sets rest on it: a changed hash would move stars from test to train.
    found = assign(alone([25155310, 11442793, 231663901, 31740375, 261136679, 86396382]), PLAIN)
    assert found == {
        25155310: "test",
        11442793: "train",
        231663901: "train",
        31740375: "test",
        261136679: "train",
        86396382: "test",
    }


def test_a_star_in_two_groups_is_leakage():
    with pytest.raises(LeakageError, match="target 5 is listed in group 5 and in group 6"):
        assign([(5, 5, "KP"), (5, 6, "KP")], PLAIN)


def test_a_group_is_the_same_as_number_and_as_text():
    assert assign([(1, 7, "KP"), (2, "7", "KP")], PLAIN)[1] == assign([(2, "7", "KP")], PLAIN)[2]


def test_no_share_for_val_leaves_val_empty():
    splits = assign(alone(range(500)), SplitSettings(train=0.5, val=0.0))
    assert set(splits.values()) == {"train", "test"}


def test_records_are_copied_byte_for_byte_to_the_split_of_their_star(tmp_path):
    examples = [example(target, number) for number, target in enumerate([1, 2, 3, 1, 2, 1])]
    files = write_split(tmp_path, examples, {1: "train", 2: "val", 3: "test"})
    records = [record for _, record in examples]
    assert list(read_records(files["train"])) == [records[0], records[3], records[5]]
    assert list(read_records(files["val"])) == [records[1], records[4]]
    assert list(read_records(files["test"])) == [records[2]]


def test_the_example_table_says_where_every_record_went(tmp_path):
    examples = [example(target, number) for number, target in enumerate([1, 2, 1])]
    files = write_split(tmp_path, examples, {1: "train", 2: "val"}, shard=2, num_shards=3)
    rows = SPLIT_EXAMPLES.read(files["examples"]).to_pylist()
    assert [(row["uid"], row["split"], row["shard"], row["example_i_tfrec"]) for row in rows] == [
        (examples[0][0]["uid"], "train", "train_shard_0002-0003.tfrecord", 0),
        (examples[1][0]["uid"], "val", "val_shard_0002-0003.tfrecord", 0),
        (examples[2][0]["uid"], "train", "train_shard_0002-0003.tfrecord", 1),
    ]


def test_shards_tbl_has_the_published_columns_in_order(tmp_path):
    write_split(tmp_path, [example(1, 0), example(2, 1)], {1: "train", 2: "test"})
    with (tmp_path / "split/aux_tbls/shards_tbl_0001-0001.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == SHARDS_TBL_COLUMNS
    assert len(SHARDS_TBL_COLUMNS) == 20
    assert [row["shard"] for row in rows] == ["train_shard_0001-0001.tfrecord", "test_shard_0001-0001.tfrecord"]


def test_a_split_that_gets_nothing_has_an_empty_file_with_a_receipt(tmp_path):
    files = write_split(tmp_path, [example(1, 0)], {1: "train"})
    assert files["val"].stat().st_size == 0
    assert verify(files["val"]).records == 0
    assert verify(files["train"]).records == 1
    assert read_receipt(files["train"]).schema == "test"


def test_a_raw_shard_without_examples_gives_three_empty_ones(tmp_path):
    files = write_split(tmp_path, [], {1: "train"})
    assert [verify(files[split]).records for split in ("train", "val", "test")] == [0, 0, 0]
    assert SPLIT_EXAMPLES.read(files["examples"]).num_rows == 0


def test_a_star_without_split_stops_before_anything_is_written(tmp_path):
    with pytest.raises(IntegrityError, match="target 2, which is in no split"):
        write_split(tmp_path, [example(1, 0), example(2, 1)], {1: "train"})
    assert not (tmp_path / "split").exists()


def test_a_changed_raw_shard_is_refused(tmp_path):
    raw, table = write_raw(tmp_path, [example(1, 0)])
    data = bytearray(raw.read_bytes())
    data[40] ^= 1
    raw.write_bytes(data)
    with pytest.raises(IntegrityError, match="sha256"):
        split_shard(raw, table, {1: "train"}, tmp_path / "split", shard=1, num_shards=1)


def test_an_example_table_of_another_build_is_refused(tmp_path):
    raw, _ = write_raw(tmp_path / "a", [example(1, 0), example(1, 1)])
    _, table = write_raw(tmp_path / "b", [example(1, 0)])
    with pytest.raises(IntegrityError, match=r"holds 2 records, but examples_0001-0001\.parquet lists 1"):
        split_shard(raw, table, {1: "train"}, tmp_path / "split", shard=1, num_shards=1)


def test_stars_are_counted_once_per_split(tmp_path):
    a = write_split(tmp_path / "a", [example(1, 0), example(1, 1), example(2, 0)], {1: "train", 2: "val"})
    b = write_split(tmp_path / "b", [example(3, 0)], {3: "train"})
    tables = [SPLIT_EXAMPLES.read(files["examples"]) for files in (a, b)]
    assert check_disjoint(tables) == {"train": 2, "val": 1, "test": 0}


def test_a_star_in_two_splits_is_leakage(tmp_path):
    a = write_split(tmp_path / "a", [example(1, 0)], {1: "train"})
    b = write_split(tmp_path / "b", [example(1, 1)], {1: "test"})
    with pytest.raises(LeakageError, match=r"1 stars have examples in more than one split, among them \[1\]"):
        check_disjoint([SPLIT_EXAMPLES.read(files["examples"]) for files in (a, b)])


@settings(max_examples=10)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_every_record_arrives_once(tmp_path_factory, targets):
    folder = tmp_path_factory.mktemp("split")
    assignment = assign(alone(range(1, 6)), PLAIN)
    examples = [example(target, number, images=False) for number, target in enumerate(targets)]
    files = write_split(folder, examples, assignment)
    arrived = [record for split in ("train", "val", "test") for record in read_records(files[split])]
    assert sorted(arrived) == sorted(record for _, record in examples)
