from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_genes import codes_of

from trainyard.splice.kmers import Windows, sizes_in, vocabulary

sequences = st.text("ACGTN", min_size=1, max_size=120)


def counted(windows, t, k):
    found = windows.kmers(np.array(t, np.int32), k)
    return [{word: int(n) for word, n in zip(vocabulary(k), column, strict=True) if n} for column in found.T]


def test_golden_a5_counts_gc_and_complexity():
    windows = Windows(codes_of("GTAAGTN"), 3)
    assert counted(windows, [3], 3) == [{"GTA": 1, "TAA": 1, "AAG": 1, "AGT": 1}]
    gc, entropy = windows.composition(np.array([3], np.int32))
    assert gc[0] == pytest.approx(2 / 6)
    assert entropy[0] == pytest.approx(1.584963, abs=5e-7)


def naive(sequence, t, radius, k):
    padded = "N" * radius + sequence + "N" * radius
    window = padded[t : t + 2 * radius + 1]
    words = (window[i : i + k] for i in range(len(window) - k + 1))
    return Counter(word for word in words if set(word) <= set("ACGT"))


@settings(deadline=None)
@given(sequences, st.integers(1, 20), st.integers(1, 4), st.data())
def test_counts_are_those_of_a_naive_counter(sequence, radius, k, data):
    places = st.lists(st.integers(0, len(sequence) - 1), min_size=1, max_size=30, unique=True)
    t = sorted(data.draw(places))
    assert counted(Windows(codes_of(sequence), radius), t, k) == [naive(sequence, at, radius, k) for at in t]


@settings(deadline=None)
@given(sequences, st.integers(1, 20))
def test_composition_is_that_of_the_known_bases(sequence, radius):
    gc, entropy = Windows(codes_of(sequence), radius).composition(np.arange(len(sequence), dtype=np.int32))
    for t in range(len(sequence)):
        bases = naive(sequence, t, radius, 1)
        total = max(bases.total(), 1)
        shares = np.array([n / total for n in bases.values()])
        assert gc[t] == pytest.approx((bases["G"] + bases["C"]) / total)
        assert entropy[t] == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-12)


def test_the_vocabulary_is_closed_sorted_and_complete():
    for k in (1, 2, 3, 6):
        words = vocabulary(k)
        assert (len(words), words) == (4**k, sorted(set(words)))
    assert (vocabulary(6)[0], vocabulary(6)[-1]) == ("AAAAAA", "TTTTTT")


def test_repeats_are_counted_at_any_length_of_word():
    # The published featuriser left homopolymers and repeats of two out for k >= 6.
    assert counted(Windows(codes_of("G" * 21), 10), [10], 6) == [{"GGGGGG": 16}]


def test_a_full_window_holds_all_its_words():
    codes = np.random.default_rng(1).integers(0, 4, 2000).astype(np.uint8)
    found = Windows(codes, 250).kmers(np.array([250, 251, 1000, 1749], np.int32), 3)
    assert found.dtype == np.uint16
    assert found.sum(axis=0).tolist() == [499] * 4


def test_words_longer_than_the_window_count_nothing():
    assert Windows(codes_of("ACGT"), 1).kmers(np.array([0, 1], np.int32), 4).sum() == 0


def test_no_rows_give_no_counts():
    assert Windows(codes_of("ACGT"), 2).kmers(np.zeros(0, np.int32), 2).shape == (16, 0)


def test_positions_out_of_order_are_refused():
    with pytest.raises(ValueError, match="ascending"):
        Windows(codes_of("ACGT"), 2).kmers(np.array([2, 1], np.int32), 2)


def test_zero_stands_for_no_words_and_sizes_come_once_each():
    assert sizes_in([0]) == []
    assert sizes_in([6, 3, 6]) == [3, 6]
