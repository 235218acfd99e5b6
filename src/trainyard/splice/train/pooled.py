"""Scores over all rows of a split together: metrics, top-k and calibration of base and meta scores alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.train.data import Floats, Rows
from trainyard.splice.train.delta import PREDICTORS, RULES, Thresholds, positives
from trainyard.splice.train.metrics import (
    TOP_K,
    Curve,
    auroc,
    average_precision,
    best_f1_threshold,
    brier,
    counts_at,
    curve,
    top_k,
)
from trainyard.yard.tables import Column, Role, TableContract

BIN_EDGES = (0.0, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the bins of a reliability curve, half-open but for the last: narrow where nearly all positions are."""
WEIGHTINGS = ("positions", "rows")
"""Rows count as the positions that they stand for, or each as one."""

_KEY, _NEVER, _F64 = Role.KEY, Role.NEVER_A_FEATURE, pa.float64()


def _text(name: str, description: str) -> Column:
    return Column(name, pa.string(), _KEY, "", description, nullable=False)


_WHAT = (_text("split", "val or test"), _text("splice_type", "donor, acceptor or site"))
METRICS = TableContract(
    "splice_metrics",
    (
        *_WHAT,
        _text("weighting", "positions: rows count as the positions they stand for; rows: each counts as one"),
        _text("threshold_rule", "fixed: 0.5; best_f1: best F1 on val"),
        Column("threshold", _F64, _NEVER, "", "score from which on a site is called"),
        Column("n_rows", pa.int64(), _NEVER, "", "rows"),
        Column("n_sites", pa.int64(), _NEVER, "", "true sites"),
        *(Column(name, _F64, _NEVER, "", f"{name.upper()}, weighted") for name in ("tp", "fp", "fn", "tn")),
        Column("precision", _F64, _NEVER, "", "tp / (tp + fp)"),
        Column("recall", _F64, _NEVER, "", "tp / (tp + fn)"),
        Column("f1", _F64, _NEVER, "", "2 tp / (2 tp + fp + fn)"),
        Column("fpr", _F64, _NEVER, "", "fp / (fp + tn)"),
        Column("auprc", _F64, _NEVER, "", "average precision"),
        Column("auroc", _F64, _NEVER, "", "area under the ROC curve"),
        Column("brier", _F64, _NEVER, "", "mean of (score - truth)^2"),
    ),
)
"""`baseline_metrics.tsv` and `meta_metrics.tsv`; an empty cell is a number that is undefined."""
TOP_K_TABLE = TableContract(
    "splice_top_k",
    (
        *_WHAT,
        _text("predictor", "base or meta"),
        Column("multiple", _F64, _KEY, "", "k as a multiple of the number of true sites", nullable=False),
        Column("k", pa.int64(), _NEVER, "positions", "best positions that are looked at"),
        Column("accuracy", _F64, _NEVER, "", "true sites among them / min(k, true sites)"),
        Column("threshold", _F64, _NEVER, "", "score at place k"),
    ),
)
"""`topk.csv`."""
CALIBRATION = TableContract(
    "splice_calibration",
    (
        *_WHAT,
        _text("predictor", "base or meta"),
        Column("bin_low", _F64, _KEY, "", "lower edge of the bin, within it", nullable=False),
        Column("bin_high", _F64, _KEY, "", "upper edge, outside of it but for the last", nullable=False),
        Column("n_rows", pa.int64(), _NEVER, "", "rows in the bin"),
        Column("positions", _F64, _NEVER, "positions", "positions that they stand for"),
        Column("mean_score", _F64, _NEVER, "probability", "weighted mean score"),
        Column("observed", _F64, _NEVER, "", "weighted share of true sites"),
    ),
)
"""`calibration.csv`; empty bins are left out."""


@dataclass(frozen=True)
class Scored:
    """Rows of a split with what base and meta model say of one site type."""

    split: str
    site_type: str
    rows: Rows
    by: Mapping[str, Floats]
    """Scores by predictor, shape `(n,)`."""

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """True sites of the type."""
        return positives(self.rows.label, self.site_type)

    @cached_property
    def curves(self) -> dict[tuple[str, str], Curve]:
        """By predictor and weighting."""
        weights = {"positions": self.rows.weight, "rows": np.ones(len(self.rows), np.float32)}
        return {
            (name, weighting): curve(scores, self.positive, weights[weighting])
            for name, scores in self.by.items()
            for weighting in WEIGHTINGS
        }

    @property
    def key(self) -> dict[str, str]:
        """Split and type, for tables."""
        return {"split": self.split, "splice_type": self.site_type}


def choose_thresholds(scored: Mapping[str, Scored]) -> Thresholds:
    """Thresholds with the best F1 on val, for base and meta scores each; 0.5 where val has no site of a type."""
    found: dict[str, dict[str, float]] = {}
    for site_type, val in scored.items():
        best = {name: best_f1_threshold(val.curves[name, "positions"]) for name in PREDICTORS}
        found[site_type] = {name: 0.5 if chosen is None else chosen for name, chosen in best.items()}
    return Thresholds(found)


def metric_rows(scored: Scored, predictor: str, thresholds: Thresholds) -> Iterator[dict[str, Any]]:
    """Rows of METRICS for one predictor."""
    weights = {"positions": scored.rows.weight, "rows": np.ones(len(scored.rows), np.float32)}
    for weighting in WEIGHTINGS:
        found = scored.curves[predictor, weighting]
        areas = {"auprc": average_precision(found), "auroc": auroc(found)}
        areas["brier"] = brier(scored.by[predictor], scored.positive, weights[weighting])
        for rule in RULES:
            threshold = thresholds.of(scored.site_type, predictor, rule)
            counts = counts_at(found, threshold)
            outcomes = {name: getattr(counts, name) for name in ("tp", "fp", "fn", "tn")}
            ratios = {name: getattr(counts, name) for name in ("precision", "recall", "f1", "fpr")}
            told = {"weighting": weighting, "threshold_rule": rule, "threshold": threshold}
            sizes = {"n_rows": len(scored.rows), "n_sites": int(scored.positive.sum())}
            yield {**scored.key, **told, **sizes, **outcomes, **ratios, **areas}


def top_k_rows(scored: Scored) -> Iterator[dict[str, Any]]:
    """Rows of TOP_K_TABLE; a row fills as many places as it stands for positions."""
    for name in PREDICTORS:
        found = scored.curves[name, "positions"]
        for multiple in TOP_K:
            accuracy, threshold = top_k(found, multiple)
            k = int(multiple * found.positives)
            told = {"predictor": name, "multiple": multiple, "k": k, "accuracy": accuracy, "threshold": threshold}
            yield {**scored.key, **told}


def calibration_rows(scored: Scored) -> Iterator[dict[str, Any]]:
    """Rows of CALIBRATION."""
    weight = scored.rows.weight.astype(np.float64)
    edges = np.array(BIN_EDGES)
    for name in PREDICTORS:
        score = scored.by[name].astype(np.float64)
        place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, len(edges) - 2)
        n = np.bincount(place, minlength=len(edges) - 1)
        total, sums, hits = (
            np.bincount(place, weights=values, minlength=len(edges) - 1)
            for values in (weight, weight * score, weight * scored.positive)
        )
        for i in np.flatnonzero(n).tolist():
            told = {"predictor": name, "bin_low": BIN_EDGES[i], "bin_high": BIN_EDGES[i + 1], "n_rows": int(n[i])}
            means = {"mean_score": sums[i] / total[i], "observed": hits[i] / total[i]}
            yield {**scored.key, **told, "positions": total[i], **means}
