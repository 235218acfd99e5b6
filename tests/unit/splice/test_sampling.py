from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.calls import FN, FP, TN, TP
from trainyard.splice.sampling import EASY, HARD, NEIGHBOUR, NON_TN, assign_strata, sample_positions, within
from trainyard.splice.settings import SpliceSamplingSettings

NEAR = SpliceSamplingSettings(window=5)


def sample(pred_type, score, *, eligible=None, seed=42, gene_id="G", **chosen):
    return sample_positions(
        pred_type,
        score,
        np.ones(pred_type.size, bool) if eligible is None else eligible,
        settings=SpliceSamplingSettings(**{"window": 5} | chosen),
        seed=seed,
        gene_id=gene_id,
    )


def test_golden_a3_rows_weights_and_their_sum():
    pred_type = np.full(1010, TN, np.int8)
    pred_type[:9] = [TP, FP, FN, TP, TP, TP, FN, FP, TP]
    # 9 at the start: 75 after them are near. One at 500: 75 before and 50 after, the rest of its 75 are hard.
    pred_type[500] = TP
    score = np.zeros(1010, np.float32)
    score[551:576] = 0.15
    score[1005:] = 0.9
    result = sample(pred_type, score, window=75)
    counts = np.bincount(result.stratum, minlength=4)
    assert counts.tolist() == [10, 30, 200, 5]
    assert result.t.size == 245
    assert set(result.weight[result.stratum == EASY].tolist()) == {154.0}
    assert set(result.weight[result.stratum != EASY].tolist()) == {1.0}
    assert result.weight.astype(np.float64).sum() == 1010
    assert result.trimmed == 765


genes = st.integers(0, 10**6).map(np.random.default_rng)


def random_gene(rng, length=800):
    pred_type = rng.choice([TP, FP, FN, TN], length, p=[0.01, 0.01, 0.01, 0.97]).astype(np.int8)
    return pred_type, (rng.random(length) ** 12).astype(np.float32), rng.random(length) < 0.98


@settings(deadline=None)
@given(genes, st.floats(0.01, 20), st.integers(0, 80))
def test_weights_add_up_to_the_positions_before_trimming_exactly(rng, easy_ratio, window):
    pred_type, score, eligible = random_gene(rng)
    result = sample(pred_type, score, eligible=eligible, easy_ratio=easy_ratio, window=window)
    assert result.weight.dtype == np.float32
    assert result.weight.astype(np.float64).sum() == eligible.sum()
    assert result.t.size + result.trimmed == eligible.sum()
    assert (np.diff(result.t) > 0).all()
    assert eligible[result.t].all()


@settings(deadline=None)
@given(genes)
def test_weights_of_true_negatives_add_up_to_all_of_them(rng):
    pred_type, score, eligible = random_gene(rng)
    result = sample(pred_type, score, eligible=eligible)
    weight = result.weight.astype(np.float64)
    for outcome in (TP, FP, FN, TN):
        assert weight[pred_type[result.t] == outcome].sum() == (eligible & (pred_type == outcome)).sum()


def test_weights_of_a_stratum_differ_by_one_at_most():
    pred_type = np.full(1000, TN, np.int8)
    pred_type[500:506] = TP
    result = sample(pred_type, np.zeros(1000, np.float32), window=0)
    assert sorted(result.weight[result.stratum == EASY].tolist()) == [331.0, 331.0, 332.0]


@settings(deadline=None)
@given(genes)
def test_nothing_but_easy_negatives_is_ever_lost(rng):
    pred_type, score, eligible = random_gene(rng)
    strata = assign_strata(pred_type, score, eligible, settings=NEAR)
    result = sample(pred_type, score, eligible=eligible)
    lost = np.setdiff1d(np.flatnonzero(eligible), result.t)
    assert (strata[lost] == EASY).all()
    assert np.array_equal(strata[result.t], result.stratum)


def test_strata_are_as_published_and_the_stronger_one_names_a_position():
    pred_type = np.array([TN, TN, FP, TN, TN, TN, TN], np.int8)
    score = np.float32([0.0, 0.2, 0.9, 0.0, 0.0, 0.15, 0.1499])
    strata = assign_strata(pred_type, score, np.ones(7, bool), settings=SpliceSamplingSettings(window=1))
    assert strata.tolist() == [EASY, HARD, NON_TN, NEIGHBOUR, EASY, HARD, EASY]


def test_a_position_that_is_left_out_has_no_neighbours():
    pred_type = np.array([TN, FP, TN, TN], np.int8)
    eligible = np.array([True, False, True, True])
    strata = assign_strata(pred_type, np.zeros(4, np.float32), eligible, settings=NEAR)
    assert strata.tolist() == [EASY, -1, EASY, EASY]


@given(genes, st.integers(0, 50))
def test_within_is_the_plain_definition(rng, window):
    marked = rng.random(120) < 0.04
    places = np.flatnonzero(marked)
    expected = [bool((np.abs(places - t) <= window).any()) for t in range(120)]
    assert within(marked, window).tolist() == expected


def test_a_gene_is_sampled_the_same_whatever_else_is_in_the_batch_and_another_seed_draws_others():
    pred_type, score, _ = random_gene(np.random.default_rng(5), 5000)
    first, again = sample(pred_type, score), sample(pred_type, score)
    assert np.array_equal(first.t, again.t)
    assert np.array_equal(first.weight, again.weight)
    assert not np.array_equal(first.t, sample(pred_type, score, seed=43).t)
    assert not np.array_equal(first.t, sample(pred_type, score, gene_id="H").t)


def test_the_draw_of_this_gene_never_changes():
    pred_type = np.full(200, TN, np.int8)
    pred_type[100] = pred_type[120] = FP
    result = sample(pred_type, np.zeros(200, np.float32), window=2, easy_ratio=2)
    assert result.t[result.stratum == EASY].tolist() == [9, 19, 80, 158]


@settings(deadline=None)
@given(genes, st.floats(0.1, 3), st.floats(0.1, 3))
def test_a_larger_ratio_keeps_what_a_smaller_one_had(rng, one, other):
    pred_type, score, eligible = random_gene(rng)
    few, many = (
        set(sample(pred_type, score, eligible=eligible, easy_ratio=ratio).t.tolist()) for ratio in sorted((one, other))
    )
    assert few <= many


def test_a_gene_with_a_single_error_still_has_one_row_for_its_easy_negatives():
    pred_type = np.full(1000, TN, np.int8)
    pred_type[0] = FN
    result = sample(pred_type, np.zeros(1000, np.float32), window=75)
    assert np.bincount(result.stratum).tolist() == [1, 0, 75, 1]
    assert result.weight.max() == 924


def test_without_easy_negatives_nothing_stands_for_them():
    pred_type = np.full(1000, TN, np.int8)
    pred_type[0] = FN
    result = sample(pred_type, np.zeros(1000, np.float32), window=75, easy_ratio=0)
    assert (result.t.size, result.trimmed, result.weight.sum()) == (76, 924, 76)


def test_a_ratio_that_asks_for_more_than_there_are_keeps_all_with_weight_one():
    pred_type = np.full(300, TN, np.int8)
    pred_type[0] = FN
    result = sample(pred_type, np.zeros(300, np.float32), easy_ratio=1000)
    assert (result.t.size, result.trimmed, set(result.weight.tolist())) == (300, 0, {1.0})


def test_keep_all_keeps_every_position_and_names_its_stratum():
    pred_type, score, eligible = random_gene(np.random.default_rng(1))
    result = sample(pred_type, score, eligible=eligible, keep_all=True)
    assert np.array_equal(result.t, np.flatnonzero(eligible))
    assert set(result.weight.tolist()) == {1.0}
    assert set(result.stratum.tolist()) == {NON_TN, HARD, NEIGHBOUR, EASY}


def test_weighted_sums_are_unbiased_over_seeds():
    pred_type = np.full(400, TN, np.int8)
    pred_type[:4] = FP
    value = np.arange(400) ** 2 / 400
    totals = []
    for seed in range(400):
        result = sample(pred_type, np.zeros(400, np.float32), window=0, easy_ratio=8.7, seed=seed)
        totals.append((result.weight * value[result.t]).sum())
    spread = np.std(totals) / np.sqrt(len(totals))
    assert np.mean(totals) == pytest.approx(value.sum(), abs=4 * spread)


def test_an_empty_selection_gives_no_rows():
    nothing = np.zeros(0, np.int8)
    assert sample(nothing, np.zeros(0, np.float32)).t.size == 0
