"""What each family of features is worth: the same model with fewer of them, on the same rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.splice.prune import Pruning
from trainyard.splice.settings import FAMILIES, Family, SpliceTrainSettings
from trainyard.splice.split import TEST, TRAIN
from trainyard.splice.train.data import SplitRows
from trainyard.splice.train.delta import positives
from trainyard.splice.train.feed import base_scores, make_feed, site_types
from trainyard.splice.train.fit import choose_columns, watching
from trainyard.splice.train.learners import IDENTITY, LIGHTGBM, XGBOOST, fit_model, kind_of
from trainyard.splice.train.metrics import average_precision, curve
from trainyard.splice.train.model import predict
from trainyard.yard.tables import Column, Role, TableContract

TRAIN_ROWS = 500_000
"""Train rows of an ablation, drawn by hash; the model with all features is trained on them again."""
_STEPS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("base", ("base",)),
    ("+ context", ("context", "published")),
    ("+ sequence", ("kmer", "motif")),
    ("+ structure", ("structure",)),
)
"""Families added one after the other."""
_RATE_NAMES = ("learning_rate", "eta")
_DEFAULT_RATES = {XGBOOST: 0.05, LIGHTGBM: 0.1}
"""Learning rates that these models have without a word of the settings."""

ABLATIONS = TableContract(
    "splice_ablations",
    (
        Column("name", pa.string(), Role.KEY, "", "what the model sees", nullable=False),
        Column("families", pa.string(), Role.METADATA, "", "families of features, separated by blanks", nullable=False),
        Column("n_features", pa.int32(), Role.METADATA, "", "columns after pruning", nullable=False),
        Column("train_rows", pa.int64(), Role.METADATA, "", "rows that it learned from", nullable=False),
        Column("auprc_donor", pa.float64(), Role.NEVER_A_FEATURE, "", "weighted, on test; empty: binary"),
        Column("auprc_acceptor", pa.float64(), Role.NEVER_A_FEATURE, "", "weighted, on test; empty: binary"),
        Column("auprc_site", pa.float64(), Role.NEVER_A_FEATURE, "", "weighted, on test; empty: multiclass"),
        Column("delta_to_all", pa.float64(), Role.NEVER_A_FEATURE, "", "mean AUPRC less that with all families"),
    ),
)
"""`ablations.csv`; the first row is the base model by itself."""

_log = logging.getLogger(__name__)


def ablations(data: SplitRows, pruning: Pruning, settings: SpliceTrainSettings, *, cache: Path) -> pa.Table:
    """Train with all chosen families, with more and more of them, and without each.

    Pruning is chosen anew for each set of columns: a column that was left out because it repeats one of a family that
    is now missing comes back.

    Args:
        data: The dataset.
        pruning: What was found in the train rows.
        settings: Model, families and hyper-parameters.
        cache: Folder for what external memory needs meanwhile.
    """
    rows = data.rows(TEST)
    types = site_types(settings.target)
    truth = {name: positives(rows.label, name) for name in types}

    def scored(scores: Mapping[str, Any]) -> dict[str, float]:
        return {f"auprc_{name}": average_precision(curve(scores[name], truth[name], rows.weight)) for name in types}

    found = [{"name": "base model", "families": "", "n_features": 0, "train_rows": 0}]
    found[0] |= scored(base_scores(rows.donor, rows.acceptor, settings.target))
    keep = data.rows(TRAIN).sample(TRAIN_ROWS, "splice ablations", settings.seed)
    quick = in_fewer_rounds(settings)
    for name, families in _plans(data, settings) if kind_of(settings.model) != IDENTITY else ():
        chosen = quick.model_copy(update={"families": list(families)})
        columns, _ = choose_columns(data, pruning, chosen)
        if not columns:
            continue
        learn = make_feed(data, TRAIN, columns, settings.target, keep=keep)
        model = fit_model(learn, watching(data, columns, settings), chosen, cache=cache).model
        said = predict(model, make_feed(data, TEST, columns, settings.target))
        row: dict[str, Any] = {"name": name, "families": " ".join(families)}
        row |= {"n_features": len(columns), "train_rows": len(learn)}
        row |= scored({name: np.ascontiguousarray(said[:, i]) for i, name in enumerate(types, start=1)})
        _log.info("%s: %s", name, ", ".join(f"{key} {value}" for key, value in row.items() if key.startswith("auprc")))
        found.append(row)
    return ABLATIONS.table([_beside(row, found) for row in found])


def in_fewer_rounds(settings: SpliceTrainSettings) -> SpliceTrainSettings:
    """Settings of boosted trees with `ablation_rounds` at most, and steps as much longer; of other models the same."""
    kind, factor = kind_of(settings.model), settings.rounds / settings.ablation_rounds
    if kind not in (XGBOOST, LIGHTGBM) or factor <= 1:
        return settings
    given = settings.parameters
    name = next((name for name in _RATE_NAMES if name in given), _RATE_NAMES[0])
    # No step goes beyond the leaf's own optimum, whatever was asked for.
    step = min(1.0, float(given.get(name, _DEFAULT_RATES[kind])) * factor)
    return settings.model_copy(
        update={
            "parameters": {**given, name: step},
            "rounds": settings.ablation_rounds,
            "early_stopping_rounds": max(1, round(settings.early_stopping_rounds / factor)),
        }
    )


def _plans(data: SplitRows, settings: SpliceTrainSettings) -> Iterator[tuple[str, tuple[Family, ...]]]:
    """Names and families of the models: all, then step by step, then all but one; none twice."""
    there = {column.family for column in data.master.features}
    every = tuple(family for family in FAMILIES if family in settings.families and family in there)
    seen = {every}
    yield "all", every
    grown: tuple[Family, ...] = ()
    plans: list[tuple[str, tuple[Family, ...]]] = []
    for name, added in _STEPS:
        grown = tuple(family for family in every if family in grown or family in added)
        plans.append((name, grown))
    plans += [(f"without {left}", tuple(family for family in every if family != left)) for left in every]
    for name, families in plans:
        if families and families not in seen:
            seen.add(families)
            yield name, families


def _beside(row: Mapping[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    """A row with its distance to the model with all families; what is undefined is null."""
    full = next((other for other in found if other["name"] == "all"), None)
    areas = [name for name in row if name.startswith("auprc_")]
    delta = None if full is None else float(np.mean([row[name] - full[name] for name in areas]))
    told = {**row, "delta_to_all": delta}
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in told.items()}
