"""Hashes, buckets and generators depend on the identity alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.yard.identity import bucket, generator, keyed_hash, unit_interval

PARTS = st.lists(st.text(max_size=5), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_hash_differently(first: list[str], second: list[str]) -> None:
    assert (keyed_hash(*first) == keyed_hash(*second)) == (first == second)


@given(st.text(max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_where_a_text_is_cut_matters(text: str, first: int, second: int) -> None:
    cuts = (text[:first], text[first:]), (text[:second], text[second:])
    assert (keyed_hash(*cuts[0]) == keyed_hash(*cuts[1])) == (cuts[0] == cuts[1])


def test_published_values_never_change() -> None:
    assert keyed_hash("split", 261136679) == 6395840572059326680
    assert bucket(261136679, 8, salt="shard") == 5
    assert generator("seed", 7).integers(0, 1000, 4).tolist() == [592, 435, 576, 777]


def test_number_and_its_text_are_the_same_identity() -> None:
    assert keyed_hash(123) == keyed_hash("123") == keyed_hash(np.int64(123))  # type: ignore[arg-type]


def test_float_is_no_identity() -> None:
    with pytest.raises(TypeError):
        keyed_hash(1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 8, 16, 64])
def test_hash_fits_its_size(size: int) -> None:
    values = [keyed_hash(i, size=size) for i in range(200)]
    assert min(values) >= 0
    assert 256 ** (size - 1) // 2 < max(values) < 256**size


def test_unit_interval_is_uniform() -> None:
    values = np.array([unit_interval("u", i) for i in range(4000)])
    assert values.min() >= 0
    assert values.max() < 1
    assert np.allclose(np.histogram(values, 10, (0, 1))[0], 400, atol=100)


@given(st.integers(0, 10**12), st.integers(1, 1000))
def test_bucket_is_in_range_and_repeatable(item: int, n: int) -> None:
    assert 0 <= bucket(item, n, salt="s") < n
    assert bucket(item, n, salt="s") == bucket(str(item), n, salt="s")


def test_new_items_move_no_old_one() -> None:
    before = {item: bucket(item, 8, salt="shard") for item in range(100)}
    after = {item: bucket(item, 8, salt="shard") for item in range(1000)}
    assert before.items() <= after.items()


def test_buckets_are_even_and_salts_independent() -> None:
    shards = np.array([bucket(i, 8, salt="shard") for i in range(8000)])
    splits = np.array([bucket(i, 8, salt="split") for i in range(8000)])
    assert np.allclose(np.bincount(shards), 1000, atol=150)
    assert abs((shards == splits).mean() - 1 / 8) < 0.02


def test_no_buckets_is_an_error() -> None:
    with pytest.raises(ValueError, match="n = 0"):
        bucket("a", 0, salt="s")


def test_generators_repeat_for_the_same_parts_and_differ_for_others() -> None:
    first, again, other = generator("a", 1), generator("a", 1), generator("a", 2)
    values = first.random(5)
    assert np.array_equal(values, again.random(5))
    assert not np.array_equal(values, other.random(5))
