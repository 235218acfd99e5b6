from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from trainyard.voxel.train.metrics import METRICS, pearson, ratio, score_metrics, skill


def test_scores_are_those_computed_by_hand():
    # Errors 0, 1, -1, 1; mean truth 2.5, variance 1.25; ranks of the predictions 1, 3, 2, 4.
    found = score_metrics([1, 2, 3, 4], [1, 3, 2, 5])
    assert found == pytest.approx(
        {
            "pearson": 5.5 / math.sqrt(5 * 8.75),
            "spearman": 0.8,
            "r2": 1 - 0.75 / 1.25,
            "mse": 0.75,
            "rmse": math.sqrt(0.75),
            "mae": 0.75,
            "bias": 0.25,
            "mean_relative_error_percent": 100 * (0 + 1 / 2 + 1 / 3 + 1 / 4) / 4,
            "median_relative_error_percent": 100 * (1 / 3 + 1 / 4) / 2,
            "cv_rmse_percent": 100 * math.sqrt(0.75) / 2.5,
        }
    )
    assert tuple(found) == METRICS


def test_correlations_agree_with_scipy_with_ties():
    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, 6, 200), draw.integers(0, 6, 200)
    found = score_metrics(truth, predicted)
    assert found["pearson"] == pytest.approx(scipy.stats.pearsonr(truth, predicted).statistic)
    assert found["spearman"] == pytest.approx(scipy.stats.spearmanr(truth, predicted).statistic)


def test_a_perfect_prediction_scores_one():
    found = score_metrics([0.1, 0.2, 0.7], [0.1, 0.2, 0.7])
    assert [found[name] for name in ("pearson", "spearman", "r2", "mse")] == pytest.approx([1, 1, 1, 0])


def test_fewer_than_two_samples_have_no_score():
    for values in ([], [0.3]):
        assert all(math.isnan(value) for value in score_metrics(values, values).values())


def test_what_does_not_vary_does_not_correlate():
    found = score_metrics([0.1, 0.1, 0.1], [0.1, 0.2, 0.3])
    assert [name for name in METRICS if math.isnan(found[name])] == ["pearson", "spearman", "r2"]
    assert math.isnan(pearson([0.1, 0.2, 0.3], [0.1] * 3))
    assert math.isnan(pearson([0.1], [0.2]))


def test_a_true_value_of_zero_leaves_relative_errors_finite():
    assert score_metrics([0, 1], [1e-6, 1])["mean_relative_error_percent"] == pytest.approx(50)


def test_skill_is_one_less_the_ratio_of_errors():
    assert skill(0.25, 1.0) == 0.75
    assert skill(2.0, 1.0) == -1
    assert math.isnan(skill(0.5, 0.0))
    assert math.isnan(ratio(0, 0))


@pytest.mark.parametrize(("truth", "predicted"), [([1, 2], [1]), ([[1]], [[1]]), ([1, 2], [1, np.nan])])
def test_what_cannot_be_scored_is_refused(truth, predicted):
    with pytest.raises(ValueError, match=r"have shape|not finite"):
        score_metrics(truth, predicted)
