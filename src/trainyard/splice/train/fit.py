"""Training: the features that are left, the model of the settings, and a card that says what it was made of."""

from __future__ import annotations

import csv
import hashlib
import logging
import math
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from trainyard import __version__
from trainyard.splice.manifest import digest
from trainyard.splice.prune import Pruned, Pruning, read_pruning
from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.split import SPLITS, TRAIN, VAL
from trainyard.splice.train.data import SplitRows, open_rows
from trainyard.splice.train.feed import CLASSES, Feed, check_classes, make_feed
from trainyard.splice.train.learners import (
    IDENTITY,
    IDENTITY_COLUMNS,
    fit_model,
    kind_of,
    model_file,
    other_model_files,
    read_model,
)
from trainyard.splice.train.model import Fitted, Model
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open, faults_named, read_json, sha256_file, write_json

CARD, FEATURES, HISTORY = "model_card.json", "feature_manifest.csv", "history.csv"
FORMAT = "trainyard-splice-model"
LEARNING = ("model", "parameters", "target", "families", "rounds", "early_stopping_rounds", "threads", "seed")
"""Settings that shape the model; the others shape its evaluation, or only its way."""
_LIBRARIES = {
    "xgboost": ("xgboost-cpu", "xgboost"),
    "sgd_logistic": ("scikit-learn",),
    "lightgbm": ("lightgbm",),
    "sklearn": ("scikit-learn",),
    "identity": (),
}

_log = logging.getLogger(__name__)


def train(
    folder: Path,
    splits: Path,
    pruned: Path,
    out: Path,
    settings: SpliceTrainSettings,
    *,
    allow_partial: bool = False,
) -> Fitted:
    """Train the model of the settings on the train split, watched on val.

    Writes into `out` the model (`model.ubj` of xgboost, `model.txt` of lightgbm, `model.json` of others; see
    `learners`), `history.csv` (loss by round), `feature_manifest.csv` (every feature column, used or why not) and,
    last, `model_card.json`. A model of another kind that stood there is taken away. Equal inputs give equal bytes for
    one number of threads on one kind of processor.

    Args:
        folder: `master/`, or the folder of the line.
        splits: Contract SPLIT.
        pruned: `pruned_features.json`.
        out: Folder of the model; made if missing.
        settings: The training block of the configuration.
        allow_partial: Train on what is finished of an incomplete dataset.

    Raises:
        ConfigError: The model or a hyper-parameter is unknown.
        EnvironmentFault: The library of the model is missing; disk full, no permission.
        InputError: There is no dataset, or nothing to learn from it.
        IntegrityError: The dataset is damaged, or the pruning belongs to other rows.
        LeakageError: A cluster stands in two splits.
    """
    kind_of(settings.model)
    data = open_rows(folder, splits, allow_partial=allow_partial)
    pruning = checked_pruning(pruned, data)
    columns, gone = choose_columns(data, pruning, settings)
    learn = make_feed(data, TRAIN, columns, settings.target)
    check_classes(learn)
    watch = watching(data, columns, settings)
    fitted = fit_model(learn, watch, settings, cache=out / ".external_memory")
    file = out / model_file(settings.model)
    with atomic_open(file) as handle:
        handle.write(fitted.model.to_bytes())
    for name in other_model_files(settings.model):
        # The card is that of the new model; beside it, an old one would look like part of it.
        with faults_named(out / name):
            (out / name).unlink(missing_ok=True)
    _write_history(out / HISTORY, fitted)
    _write_features(out / FEATURES, data, columns, gone, settings)
    write_json(out / CARD, _card(data, splits, file, columns, gone, fitted, settings))
    _log.info("%s: %d features, %d train rows of %d genes", file, len(columns), len(learn), len(data.rows(TRAIN).genes))
    return fitted


def read_trained(folder: Path, data: SplitRows, splits: Path, settings: SpliceTrainSettings) -> tuple[Model, Feed]:
    """Read the model that `train` wrote, after making sure that it belongs to these rows and settings.

    Args:
        folder: Folder of the model.
        data: The dataset.
        splits: Contract SPLIT.
        settings: The training block of the configuration.

    Returns:
        The model, and the train rows with the columns that it knows.

    Raises:
        InputError: There is no model.
        IntegrityError: It was trained on other rows or with other settings, or is damaged.
    """
    card = read_json(folder / CARD)
    file = folder / model_file(settings.model)
    expected = {
        "format": FORMAT,
        "settings": learning_settings(settings),
        "dataset_id": dataset_id(data),
        "split_sha256": sha256_file(splits),
        "train_genes_sha256": data.rows(TRAIN).genes_sha256,
    }
    for name, value in expected.items():
        if card.get(name) != value:
            raise IntegrityError(
                f"{folder / CARD}: {name} is {card.get(name)}, but now {value}: the model belongs to another dataset,"
                " split or setting; train again"
            )
    if not file.is_file() or sha256_file(file) != card["model"]["sha256"]:
        raise IntegrityError(f"{file}: not the model that {CARD} speaks of; train again")
    learn = make_feed(data, TRAIN, card["columns"], settings.target)
    return read_model(file, learn, settings), learn


def choose_columns(
    data: SplitRows, pruning: Pruning, settings: SpliceTrainSettings
) -> tuple[tuple[str, ...], list[Pruned]]:
    """Features of the chosen families that pruning leaves, in the order of the dataset, and those that it takes.

    Raises:
        InputError: The dataset lacks the columns of the identity.
    """
    names = [column.name for column in data.master.features if column.family in settings.families]
    if kind_of(settings.model) == IDENTITY:
        if missing := sorted(set(IDENTITY_COLUMNS) - set(data.master.contract.names)):
            raise InputError(f"{data.master.folder}: has no column {', '.join(missing)}, which the identity needs")
        return IDENTITY_COLUMNS, []
    gone = pruning.drop(names)
    dropped = {found.name for found in gone}
    return tuple(name for name in names if name not in dropped), gone


def checked_pruning(path: Path, data: SplitRows) -> Pruning:
    """Read pruning and make sure that it saw the train rows of this dataset.

    Raises:
        IntegrityError: It saw others.
    """
    pruning = read_pruning(path)
    seen = pruning.fitted_on
    if seen and (seen["genes_sha256"], seen["columns_digest"]) != (
        data.rows(TRAIN).genes_sha256,
        data.master.contract.digest,
    ):
        raise IntegrityError(f"{path}: was fitted on other train genes or columns than the dataset has; prune again")
    return pruning


def watching(data: SplitRows, columns: Sequence[str], settings: SpliceTrainSettings) -> Feed | None:
    """Rows of val, or None, said aloud, where there are none."""
    watch = make_feed(data, VAL, columns, settings.target)
    if len(watch):
        return watch
    _log.warning("val has no rows: training goes on to its last round, and thresholds stay at 0.5")
    return None


def dataset_id(data: SplitRows) -> str:
    """Identity of a dataset's schema and bytes, as its manifest states it."""
    return digest([data.master.contract.digest, [part.receipt.sha256 for part in data.master.parts]])


def learning_settings(settings: SpliceTrainSettings) -> dict[str, Any]:
    """Settings that shape the model, as plain values."""
    return settings.model_dump(mode="json", include=set(LEARNING))


def versions(settings: SpliceTrainSettings) -> dict[str, str]:
    """Versions of what a model was made with."""
    found = {"trainyard": __version__, "python": platform.python_version()}
    for name in ("numpy", "pyarrow", *_LIBRARIES[kind_of(settings.model)]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _card(
    data: SplitRows,
    splits: Path,
    file: Path,
    columns: Sequence[str],
    gone: Sequence[Pruned],
    fitted: Fitted,
    settings: SpliceTrainSettings,
) -> dict[str, Any]:
    manifest = data.master.manifest or {}
    base = manifest.get("model") or {}
    rows = {split: data.rows(split) for split in SPLITS}
    return {
        "format": FORMAT,
        "version": 1,
        "model": {"name": settings.model, "file": file.name, "sha256": sha256_file(file), **fitted.facts},
        "classes": list(CLASSES[settings.target]),
        "columns": list(columns),
        "columns_sha256": hashlib.sha256("\n".join(columns).encode()).hexdigest(),
        "pruned": len(gone),
        "settings": learning_settings(settings),
        "dataset_id": dataset_id(data),
        "dataset_status": data.master.status,
        "split_sha256": sha256_file(splits),
        "train_genes_sha256": rows[TRAIN].genes_sha256,
        "splits": {
            split: {
                "genes": len(found.genes),
                "groups": len(set(found.groups)),
                "rows": len(found),
                "positions": round(float(found.weight.sum(dtype="f8"))),
                "donors": int((found.label == 1).sum()),
                "acceptors": int((found.label == 2).sum()),
            }
            for split, found in rows.items()
        },
        "reference": manifest.get("reference"),
        "base_model": base,
        "base_model_licence": base.get("licence", "not stated"),
        "versions": versions(settings),
    }


def _write_history(path: Path, fitted: Fitted) -> None:
    """One row per round or epoch, counted from 1; only the header where a model has none."""
    columns = list(fitted.history[0]) if fitted.history else []
    with atomic_open(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["round", *columns])
        for number, row in enumerate(fitted.history, start=1):
            writer.writerow([number, *(("" if math.isnan(row[name]) else row[name]) for name in columns)])


def _write_features(
    path: Path, data: SplitRows, columns: Sequence[str], gone: Sequence[Pruned], settings: SpliceTrainSettings
) -> None:
    """`feature_manifest.csv`: every feature column of the dataset, whether the model sees it, and why not."""
    used, dropped = set(columns), {found.name: found for found in gone}
    with atomic_open(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["name", "family", "type", "unit", "used", "reason", "partner", "rho", "description"])
        for column in data.master.features:
            found = dropped.get(column.name)
            other = "family_not_chosen" if column.family not in settings.families else "not_used_by_model"
            reason = found.reason if found else "" if column.name in used else other
            partner, rho = (found.partner or "", "" if found.rho is None else found.rho) if found else ("", "")
            named = [column.name, column.family, str(column.type), column.unit, str(column.name in used).lower()]
            writer.writerow([*named, reason, partner, rho, column.description])
