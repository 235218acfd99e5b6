"""Sanity probes: what must not be learnable is not learned. A build in which it is fails.

Shuffled labels: labels are dealt out anew within each gene, the same way in train and test, and a model is trained on
them. No feature can know them, so within genes the model must rank test rows by chance. It does better where rows of
train come back in test, or where scoring looks at what it must not.

Missingness: the model sees only which values are missing. If that tells sites from other rows, values are missing
because of the label.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.split import TEST, TRAIN
from trainyard.splice.train.data import Bools, Floats, SplitRows
from trainyard.splice.train.feed import Feed, make_feed
from trainyard.splice.train.learners import Model, fit_model, predict
from trainyard.splice.train.metrics import auroc, curve, is_nan, within_group_auroc
from trainyard.yard.errors import LeakageError

TOLERANCE = 0.02
"""How far an AUROC may be from 0.5."""
SIGMAS = 4.0
"""Chance alone may move it by so many standard errors, where test has too few sites for the tolerance."""
ROWS = 200_000
"""Rows of train and of test that a probe looks at, drawn by hash."""
_ROUNDS = 50
_NAMED = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """What a probe found."""

    name: str
    auroc: float
    """NaN where test lacks a class: not judged."""
    band: float
    """How far from 0.5 it may be."""
    sites: int
    """Sites among the rows that were scored."""
    columns: tuple[str, ...]
    """Columns that the probe's model used most, or whose missing values betray the label."""
    pooled_auroc: float
    """Over pairs of rows of any genes; genes differ in how many sites they have, so it may be off without a fault."""

    @property
    def passed(self) -> bool:
        """Whether the AUROC is within the band."""
        return is_nan(self.auroc) or abs(self.auroc - 0.5) <= self.band

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        told = {"auroc": self.auroc, "band": self.band, "pooled_auroc": self.pooled_auroc}
        numbers = {name: None if is_nan(value) else value for name, value in told.items()}
        return {"name": self.name, **numbers, "sites": self.sites, "columns": list(self.columns), "passed": self.passed}


def run_probes(data: SplitRows, columns: Sequence[str], settings: SpliceTrainSettings, *, cache: Path) -> list[Probe]:
    """Run both probes, always with XGBoost: they ask about the data, not about a model.

    Args:
        data: The dataset.
        columns: Features that the meta-model sees.
        settings: Seed and threads.
        cache: Folder for what external memory needs meanwhile.
    """
    small = settings.model_copy(
        update={"model": "xgboost", "parameters": {"max_depth": 4, "learning_rate": 0.1}, "rounds": _ROUNDS}
    )
    learn, score = (_feed(data, split, columns, settings.seed) for split in (TRAIN, TEST))
    return [_shuffled(learn, score, small, cache), _missingness(learn, score, small, cache)]


def check_probes(probes: Sequence[Probe]) -> None:
    """End a build that knows what it must not.

    Raises:
        LeakageError: A probe is out of its band; the message names columns.
    """
    failed = [probe for probe in probes if not probe.passed]
    if failed:
        told = "; ".join(
            f"{probe.name}: AUROC {probe.auroc:.4f}, allowed 0.5 +- {probe.band:.3f}, columns"
            f" {', '.join(probe.columns) or 'none by itself'}"
            for probe in failed
        )
        raise LeakageError(
            f"sanity probes of the training found what must not be there ({told}); leave these columns out, or look for"
            " rows that are in train and in test"
        )


def _feed(data: SplitRows, split: str, columns: Sequence[str], seed: int) -> Feed:
    keep = data.rows(split).sample(ROWS, "splice probes", seed)
    feed = make_feed(data, split, columns, "binary", keep=keep)
    # Weights differ between sites and others, and are no part of the question.
    return replace(feed, weight=np.ones(len(feed), np.float32))


def _shuffled(learn: Feed, score: Feed, settings: SpliceTrainSettings, cache: Path) -> Probe:
    learn, score = _with_shuffled(learn, settings.seed), _with_shuffled(score, settings.seed)
    name = "shuffled_labels"
    if not _has_both(learn) or not _has_both(score):
        return Probe(name, float("nan"), TOLERANCE, int(score.target.sum()), (), float("nan"))
    model = fit_model(learn, None, settings, cache=cache).model
    said = _sites(model, score)
    positive = score.target > 0
    area, error = within_group_auroc(said, positive, _genes(score))
    used = _most_used(model, learn.columns)
    return Probe(name, area, max(TOLERANCE, SIGMAS * error), int(positive.sum()), used, _auroc(said, positive))


def _missingness(learn: Feed, score: Feed, settings: SpliceTrainSettings, cache: Path) -> Probe:
    learn, score = replace(learn, view=_missing), replace(score, view=_missing)
    name, positive = "missingness_only", score.target > 0
    if not _has_both(learn) or not _has_both(score):
        return Probe(name, float("nan"), TOLERANCE, int(positive.sum()), (), float("nan"))
    band = max(TOLERANCE, SIGMAS * _error(positive))
    absent, areas = _missing_by_column(score, positive)
    if not absent and not _any_missing(learn):
        # Without a missing value there is nothing to learn from, and every row has the same score.
        return Probe(name, 0.5, band, int(positive.sum()), (), 0.5)
    said = _sites(fit_model(learn, None, settings, cache=cache).model, score)
    area = _auroc(said, positive)
    guilty = sorted((name for name in areas if abs(areas[name] - 0.5) > band), key=lambda name: -abs(areas[name] - 0.5))
    return Probe(name, area, band, int(positive.sum()), tuple(guilty[:_NAMED]), area)


def _with_shuffled(feed: Feed, seed: int) -> Feed:
    rows = feed.data.rows(feed.split)
    shuffled = rows.shuffled_labels("splice probes shuffled", seed)
    kept = shuffled if feed.keep is None else shuffled[feed.keep]
    return replace(feed, target=(kept > 0).astype(np.int8))


def _genes(feed: Feed) -> NDArray[np.int32]:
    gene = feed.data.rows(feed.split).gene
    return gene if feed.keep is None else gene[feed.keep]


def _sites(model: Model, feed: Feed) -> Floats:
    return np.ascontiguousarray(predict(model, feed)[:, 1])


def _missing(features: Floats) -> Floats:
    return np.isnan(features).astype(np.float32)


def _any_missing(feed: Feed) -> bool:
    return any(bool(piece.any()) for piece, _ in feed.pieces())


def _missing_by_column(feed: Feed, positive: Bools) -> tuple[bool, dict[str, float]]:
    """Whether any value is missing, and by column the AUROC of its being missing, for columns where some are."""
    sites, others = int(positive.sum()), int((~positive).sum())
    absent = np.zeros((2, len(feed.columns)))
    for piece, rows in feed.pieces():
        hit = positive[rows]
        absent[0] += piece[hit].sum(axis=0, dtype=np.float64)
        absent[1] += piece[~hit].sum(axis=0, dtype=np.float64)
    some = absent.sum(axis=0) > 0
    # Of two values, the area is half plus half the difference of the two shares.
    areas = 0.5 + (absent[0] / sites - absent[1] / others) / 2
    return bool(some.any()), {name: float(areas[i]) for i, name in enumerate(feed.columns) if some[i]}


def _most_used(model: Model, columns: Sequence[str]) -> tuple[str, ...]:
    gains = model.gains()
    if gains is None:
        return ()
    return tuple(columns[i] for i in np.argsort(-gains, kind="stable")[:_NAMED] if gains[i] > 0)


def _has_both(feed: Feed) -> bool:
    return bool((feed.target == 0).any() and (feed.target == 1).any())


def _auroc(score: Floats, positive: Bools) -> float:
    return auroc(curve(score, positive, np.ones(len(score), np.float32)))


def _error(positive: Bools) -> float:
    """Standard error of an AUROC by chance, `sqrt((p + q + 1) / (12 p q))` (Mann & Whitney 1947)."""
    p, q = int(positive.sum()), int((~positive).sum())
    return float(np.sqrt((p + q + 1) / (12 * p * q)))
