"""Exact scores: checked by hand, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from trainyard.splice.train.metrics import (
    auroc,
    average_precision,
    best_f1_threshold,
    brier,
    counts_at,
    curve,
    top_k,
    within_group_auroc,
)

ROWS = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 12), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.integers(1, 200), min_size=n, max_size=n),
    )
)


def arrays(rows):
    score, positive, weight = rows
    return np.array(score, np.float32) / np.float32(12), np.array(positive), np.array(weight, np.float32)


@given(ROWS)
@settings(deadline=None)
def test_areas_are_those_of_scikit_learn_with_ties_and_weights(rows):
    score, positive, weight = arrays(rows)
    found = curve(score, positive, weight)
    if positive.any():
        assert average_precision(found) == pytest.approx(average_precision_score(positive, score, sample_weight=weight))
    if positive.any() and not positive.all():
        assert auroc(found) == pytest.approx(roc_auc_score(positive, score, sample_weight=weight))


@given(ROWS, st.integers(0, 13))
@settings(deadline=None)
def test_outcomes_are_those_of_scores_from_the_threshold_on(rows, twelfths):
    score, positive, weight = arrays(rows)
    threshold = float(np.float32(twelfths) / np.float32(12))
    found = counts_at(curve(score, positive, weight), threshold)
    called = score >= np.float32(threshold)
    assert found.tp == weight[called & positive].sum()
    assert found.fp == weight[called & ~positive].sum()
    assert found.fn == weight[~called & positive].sum()
    assert found.tn == weight[~called & ~positive].sum()
    if positive.any():
        assert found.f1 == pytest.approx(f1_score(positive, called, sample_weight=weight))


@given(ROWS)
@settings(deadline=None)
def test_no_threshold_has_a_better_f1_than_the_best(rows):
    score, positive, weight = arrays(rows)
    found = curve(score, positive, weight)
    best = best_f1_threshold(found)
    assert (best is None) is not positive.any()
    if best is not None:
        every = [counts_at(found, float(value)).f1 for value in np.unique(score)]
        assert counts_at(found, best).f1 == pytest.approx(max(every))


def test_top_k_of_the_specification():
    # Appendix A.4: with k = 2 the best two positions are t4 and t1, of which t1 is a site.
    score = np.array([0.1, 0.7, 0.6, 0.2, 0.9, 0.4], np.float32)
    positive = np.isin(np.arange(6), [1, 5])
    found = curve(score, positive, np.ones(6, np.float32))
    assert top_k(found, 1.0)[0] == 0.5
    assert top_k(found, 1.0)[1] == pytest.approx(0.7)
    assert top_k(found, 0.5)[0] == 0.0  # One place, and t4 is no site.
    assert top_k(found, 2.0)[0] == 1.0  # t4, t1, t2 and t5 hold both sites.


def test_top_2k_counts_all_sites_among_twice_as_many_places():
    score = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    found = curve(score, np.array([False, True, False, True]), np.ones(4, np.float32))
    assert [top_k(found, multiple)[0] for multiple in (0.5, 1.0, 2.0, 4.0)] == [0.0, 0.5, 1.0, 1.0]


def test_a_row_fills_as_many_places_as_it_stands_for():
    score = np.array([0.9, 0.8], np.float32)
    positive, weight = np.array([False, True]), np.array([10, 1], np.float32)
    found = curve(score, positive, weight)
    assert top_k(found, 4.0)[0] == 0.0  # The one best place is within the ten of the first row.
    assert average_precision(found) == pytest.approx(1 / 11)


def test_of_positions_with_the_score_at_place_k_the_part_that_fits_is_taken():
    found = curve(np.full(4, 0.5, np.float32), np.array([True, False, False, True]), np.ones(4, np.float32))
    assert top_k(found, 1.0)[0] == pytest.approx(0.5)


def test_undefined_scores_are_nan():
    empty = curve(np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.float32))
    one = curve(np.ones(3, np.float32), np.zeros(3, np.bool_), np.ones(3, np.float32))
    for found in (empty, one):
        assert math.isnan(average_precision(found))
        assert math.isnan(auroc(found))
        assert math.isnan(top_k(found, 1.0)[0])
        assert best_f1_threshold(found) is None
    assert math.isnan(brier(np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.float32)))


def test_brier_is_a_weighted_mean():
    found = brier(np.array([0.5, 0.0], np.float32), np.array([True, False]), np.array([1, 3], np.float32))
    assert found == pytest.approx(0.25 / 4)


def test_weights_stand_for_rows_written_out():
    draw = np.random.default_rng(1)
    score, positive = draw.random(40).astype(np.float32), draw.random(40) < 0.3
    weight = draw.integers(1, 5, 40)
    whole = [np.repeat(values, weight) for values in (score, positive)]
    one = curve(score, positive, weight.astype(np.float32))
    other = curve(*whole, np.ones(weight.sum(), np.float32))
    for measure in (average_precision, auroc):
        assert measure(one) == pytest.approx(measure(other), abs=1e-12)
    for multiple in (0.5, 1, 2, 4):
        assert top_k(one, multiple)[0] == pytest.approx(top_k(other, multiple)[0])


def test_the_area_within_groups_knows_nothing_of_differences_between_them():
    draw = np.random.default_rng(2)
    group = np.repeat(np.arange(50, dtype=np.int32), 100)
    share = np.repeat(draw.uniform(0.05, 0.5, 50), 100)
    positive = draw.random(5000) < share
    score = share.astype(np.float32)  # Knows the group, and nothing else.
    area, error = within_group_auroc(score, positive, group)
    assert area == 0.5
    assert 0 < error < 0.02
    assert auroc(curve(score, positive, np.ones(5000, np.float32))) > 0.6


def test_the_standard_error_of_the_area_within_groups_is_what_chance_gives():
    draw = np.random.default_rng(3)
    group = np.repeat(np.arange(20, dtype=np.int32), 40)
    positive = draw.random(800) < 0.3
    found = [within_group_auroc(draw.random(800).astype(np.float32), positive, group) for _ in range(200)]
    areas, errors = np.array(found).T
    assert areas.mean() == pytest.approx(0.5, abs=0.01)
    assert areas.std() == pytest.approx(errors[0], rel=0.15)
