"""Exact scores of binary predictions, computed from the predictions themselves.

Nothing is binned: every distinct score is a threshold. Undefined scores (one class
only, nothing called positive) are NaN rather than an arbitrary 0 or 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

METRICS = (
    "binary_accuracy", "precision", "recall", "f1", "auc_pr", "auc_roc",
    "recall_at_precision_95", "precision_at_recall_95", "loss",
)  # fmt: skip
Floats = NDArray[np.float64]
_EPSILON = 1e-7  # The bound that Keras puts on probabilities before it takes their logarithm.


def score_metrics(label: ArrayLike, score: ArrayLike, *, threshold: float = 0.5) -> dict[str, float]:
    """Score predictions in every way of `METRICS`.

    Args:
        label: Shape ``(n,)``, 0 or 1.
        score: Shape ``(n,)``, probability of label 1, finite.
        threshold: A score above it (not at it) is called positive.

    Returns:
        `n`, `n_positive` and all of `METRICS`. `auc_pr` is the average precision, the step-wise area with no
        interpolation; `auc_roc` is the probability that a random positive scores above a random negative, ties
        counting half; `recall_at_precision_95` is the best recall of any threshold whose precision is 0.95 or more, 0
        where there is none, and likewise `precision_at_recall_95`; `loss` is the mean binary cross-entropy.

    Raises:
        ValueError: Shapes differ, a label is neither 0 nor 1, or a score is not finite.
    """
    truth, scores = _checked(label, score)
    called = scores > threshold
    hits = int(np.sum(truth & called))
    false_alarms = int(np.sum(~truth & called))
    misses = int(np.sum(truth & ~called))
    recall, precision = precision_recall_curve(truth, scores)
    return {
        "n": truth.size,
        "n_positive": int(truth.sum()),
        "binary_accuracy": _ratio(int(np.sum(truth == called)), truth.size),
        "precision": _ratio(hits, hits + false_alarms),
        "recall": _ratio(hits, hits + misses),
        "f1": _ratio(2 * hits, 2 * hits + false_alarms + misses),
        "auc_pr": _average_precision(recall, precision),
        "auc_roc": auc_roc(truth, scores),
        "recall_at_precision_95": _best(recall, precision >= 0.95),
        "precision_at_recall_95": _best(precision, recall >= 0.95),
        "loss": _cross_entropy(truth, scores),
    }


def auc_roc(label: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve, exact with ties; NaN where only one class is present."""
    false_rate, true_rate = roc_curve(label, score)
    return float(np.trapezoid(true_rate, false_rate)) if false_rate.size else math.nan


def roc_curve(label: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """False and true positive rate at every threshold, from (0, 0) to (1, 1).

    Returns:
        Two arrays of one length, one point more than there are distinct scores; both empty where a class is missing.
    """
    truth, scores = _checked(label, score)
    hits, called = _cumulative(truth, scores)
    positives, negatives = int(truth.sum()), int(truth.size - truth.sum())
    if not positives or not negatives:
        return np.empty(0), np.empty(0)
    return np.append(0.0, (called - hits) / negatives), np.append(0.0, hits / positives)


def precision_recall_curve(label: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Recall and precision at every distinct score, the highest first.

    Returns:
        Two arrays of one length; both empty where a class is missing.
    """
    truth, scores = _checked(label, score)
    if not truth.any() or truth.all():
        return np.empty(0), np.empty(0)
    hits, called = _cumulative(truth, scores)
    return hits / int(truth.sum()), hits / called


def shuffled_auc_sigma(positives: int, negatives: int) -> float:
    """Standard deviation of the ROC area when scores know nothing of the labels (Mann and Whitney 1947)."""
    if not positives or not negatives:
        return math.nan
    return math.sqrt((positives + negatives + 1) / (12 * positives * negatives))


def _checked(label: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    labels, scores = np.asarray(label), np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels have shape {labels.shape} but scores {scores.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("a label is neither 0 nor 1")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    return labels.astype(bool), scores


def _cumulative(truth: NDArray[np.bool_], scores: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True positives and all called positive, for each distinct score taken as threshold, highest first."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if scores.size else np.empty(0, int)
    return np.cumsum(truth[order])[last_of_tie], last_of_tie + 1


def _average_precision(recall: Floats, precision: Floats) -> float:
    return float(np.sum(np.diff(recall, prepend=0.0) * precision)) if recall.size else math.nan


def _best(values: Floats, allowed: NDArray[np.bool_]) -> float:
    if not values.size:
        return math.nan
    return float(values[allowed].max(initial=0.0))


def _cross_entropy(truth: NDArray[np.bool_], scores: Floats) -> float:
    if not scores.size:
        return math.nan
    probability = np.clip(scores, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(np.log(np.where(truth, probability, 1 - probability))))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
