from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice import toy
from trainyard.splice.genome import encode

DONOR, ACCEPTOR = encode("CAGGTAAGT"), encode("TTTTTTTCTTTCTTTTTTACAGGTT")[-23:]


def flanked(codes):
    return np.pad(codes, toy.CONTEXT // 2, constant_values=4)


def drawn(rng, table):
    return np.array([rng.choice(4, p=np.array(row) / sum(row)) for row in table], np.uint8)


def simulated_gene(rng, *, length=5000):
    """A random gene with seven introns of the model's own grammar; its donors and acceptors."""
    codes = rng.integers(0, 4, length).astype(np.uint8)
    donors = np.arange(300, 4700, 700)
    for t in donors:
        codes[t - 2 : t + 7] = drawn(rng, toy._DONOR)
        codes[t + 280 : t + 303] = drawn(rng, toy._ACCEPTOR)
    return codes, donors, donors + 300


def test_the_consensus_scores_high_on_the_exon_base():
    codes = np.random.default_rng(0).integers(0, 4, 300).astype(np.uint8)
    codes[98:107], codes[180:203] = DONOR, ACCEPTOR
    scores = toy.score(flanked(codes))
    assert scores.shape == (3, 300)
    assert scores.dtype == np.float32
    assert scores[2].argmax() == 100
    assert scores[1].argmax() == 200
    assert scores[2, 100] > 0.9
    assert scores[1, 200] > 0.9


def test_scores_are_probabilities_also_of_unknown_bases_and_at_the_ends():
    codes = np.random.default_rng(1).integers(0, 5, 500).astype(np.uint8)
    for piece in (codes, codes[:1], np.full(30, 4, np.uint8)):
        scores = toy.score(flanked(piece))
        assert scores.shape == (3, piece.size)
        assert (scores >= 0).all()
        np.testing.assert_allclose(scores.sum(axis=0), 1, atol=2e-7)
    assert scores[0].min() == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 9))
def test_where_a_gene_is_cut_does_not_matter(first, second, seed):
    codes = flanked(np.random.default_rng(seed).integers(0, 4, first + second).astype(np.uint8))
    whole = toy.score(codes)
    parts = [toy.score(codes[: first + toy.CONTEXT]), toy.score(codes[first:])]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_it_is_useful_and_imperfect():
    """Recall between a half and three quarters, precision above a quarter, and a peak on the very site."""
    rng = np.random.default_rng(2)
    counts = np.zeros((2, 3), int)
    for _ in range(24):
        codes, *sites = simulated_gene(rng)
        scores = toy.score(flanked(codes))
        for row, (track, t) in enumerate(zip((scores[2], scores[1]), sites, strict=True)):
            found = int((track[t] >= 0.5).sum())
            counts[row] += found, int((track >= 0.5).sum()) - found, len(t) - found
            exact = track[t] == track[t[:, None] + np.arange(-5, 6)].max(axis=1)
            assert exact[track[t] >= 0.5].mean() > 0.9
    for true, false, missed in counts:
        assert 0.5 < true / (true + missed) < 0.75
        assert 0.25 < true / (true + false) < 0.9


def test_twenty_four_genes_of_five_kilobases_take_less_than_a_second():
    genes = [flanked(np.random.default_rng(i).integers(0, 4, 5000).astype(np.uint8)) for i in range(24)]
    begin = time.process_time()
    for gene in genes:
        toy.score(gene)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("table", [toy._DONOR, toy._ACCEPTOR])
def test_shares_add_up(table):
    np.testing.assert_allclose(np.sum(table, axis=1), 1, atol=1e-9)
