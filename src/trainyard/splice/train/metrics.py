"""Exact weighted scores of a ranking, all read from one curve.

A row of weight w stands for w positions (Horvitz & Thompson 1952): weighted sums over rows estimate sums over all
positions of the genes. Equal scores are never told apart: they enter a curve as one step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP_K = (0.5, 1.0, 2.0, 4.0)
"""Multiples of the number of true sites at which top-k accuracy is taken (Jaganathan et al. 2019)."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Curve:
    """True and false positives by threshold; arrays have shape `(m,)`, one entry per distinct score, best first."""

    score: Floats
    tp: Doubles
    """Weight of positives with this score or a better one."""
    fp: Doubles
    """Weight of negatives with this score or a better one."""

    @property
    def positives(self) -> float:
        """Weight of all positives."""
        return float(self.tp[-1]) if self.tp.size else 0.0

    @property
    def negatives(self) -> float:
        """Weight of all negatives."""
        return float(self.fp[-1]) if self.fp.size else 0.0


@dataclass(frozen=True)
class Counts:
    """Weighted outcomes at a threshold."""

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def precision(self) -> float:
        """tp / (tp + fp); NaN without calls."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """tp / (tp + fn); NaN without positives."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); NaN without positives and calls."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def fpr(self) -> float:
        """fp / (fp + tn); NaN without negatives."""
        return ratio(self.fp, self.fp + self.tn)


def ratio(part: float, whole: float) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else float("nan")


def is_nan(value: object) -> bool:
    """Whether a value is a number that is undefined."""
    return isinstance(value, float) and np.isnan(value)


def curve(score: Floats, positive: Bools, weight: Floats) -> Curve:
    """Rank rows by score.

    Args:
        score: Shape `(n,)`, finite.
        positive: Shape `(n,)`.
        weight: Shape `(n,)`, positive.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if ranked.size else np.zeros(0, np.intp)
    heavy, hit = weight[order].astype(np.float64), positive[order]
    # Sums of whole numbers are exact in double precision, whatever the order.
    tp, fp = np.cumsum(np.where(hit, heavy, 0.0)), np.cumsum(np.where(hit, 0.0, heavy))
    return Curve(ranked[last], tp[last], fp[last])


def average_precision(found: Curve) -> float:
    """Area under the precision-recall curve as a sum of steps; NaN without positives.

    `sum of (R_i - R_{i-1}) P_i` over thresholds, as `sklearn.metrics.average_precision_score`.
    """
    if not found.positives:
        return float("nan")
    steps = np.diff(found.tp, prepend=0.0)
    return float((steps * (found.tp / (found.tp + found.fp))).sum() / found.positives)


def auroc(found: Curve) -> float:
    """Area under the ROC curve, ties counting half; NaN where a class is missing."""
    if not (found.positives and found.negatives):
        return float("nan")
    tp, fp = np.concatenate([[0.0], found.tp]), np.concatenate([[0.0], found.fp])
    area = (np.diff(fp) * (tp[1:] + tp[:-1]) / 2).sum()
    return float(area / (found.positives * found.negatives))


def counts_at(found: Curve, threshold: float) -> Counts:
    """Outcomes where scores of at least `threshold` are calls."""
    # In float32, as the scores are: 0.7 in double would be above a score that was stored as 0.7.
    called = int(np.searchsorted(-found.score, -np.float32(threshold), side="right"))
    tp, fp = (float(track[called - 1]) if called else 0.0 for track in (found.tp, found.fp))
    return Counts(tp, fp, found.positives - tp, found.negatives - fp)


def best_f1_threshold(found: Curve) -> float | None:
    """The score from which on calling gives the best F1, of several the highest; None without positives."""
    if not found.positives:
        return None
    f1 = 2 * found.tp / (found.tp + found.fp + found.positives)
    return float(found.score[int(np.argmax(f1))])


def top_k(found: Curve, multiple: float) -> tuple[float, float]:
    """Top-k accuracy and the score at place k.

    With P true sites and k = floor(multiple * P), the number of true sites among the k best positions, divided by
    min(k, P): the definition of the SpliceAI paper. Of positions that share the score at place k, the part that fits is
    taken, as random order would give on average.

    Args:
        found: The curve; a row of weight w fills w places.
        multiple: Such as 0.5, 1, 2, 4.

    Returns:
        Accuracy and threshold; NaN where k is 0.
    """
    k = np.floor(multiple * found.positives)
    if k < 1:
        return float("nan"), float("nan")
    places = found.tp + found.fp
    at = int(np.searchsorted(places, k))
    if at >= places.size:
        return ratio(found.positives, min(k, found.positives)), float(found.score[-1])
    before = float(places[at - 1]) if at else 0.0
    hits = float(found.tp[at - 1]) if at else 0.0
    share = (k - before) / (float(places[at]) - before)
    hits += share * (float(found.tp[at]) - hits)
    return hits / min(k, found.positives), float(found.score[at])


def brier(score: Floats, positive: Bools, weight: Floats) -> float:
    """Weighted mean of (score - truth)^2; NaN without rows."""
    error = (score.astype(np.float64) - positive) ** 2
    return ratio(float((error * weight).sum()), float(weight.sum(dtype=np.float64)))


def within_group_auroc(score: Floats, positive: Bools, group: NDArray[np.int32]) -> tuple[float, float]:
    """AUROC over pairs of rows of one group only, and its standard error if scores knew nothing of the class.

    Each group of p positives and q negatives has p q pairs and, by chance, a variance of p q (p + q + 1) / 12 (Mann &
    Whitney 1947).

    Args:
        score: Shape `(n,)`.
        positive: Shape `(n,)`.
        group: Number of each row's group, shape `(n,)`.

    Returns:
        Area and standard error; NaN without a group that has both classes.
    """
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    pairs = area = variance = 0.0
    ones = np.ones(len(score), np.float32)
    for rows in np.split(order, cuts):
        found = curve(score[rows], positive[rows], ones[rows])
        p, q = found.positives, found.negatives
        if p and q:
            pairs += p * q
            area += auroc(found) * p * q
            variance += p * q * (p + q + 1) / 12
    return ratio(area, pairs), ratio(float(np.sqrt(variance)), pairs)
