"""Training: epoch after epoch with early stopping, resumable, and the same bytes for the same inputs."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from trainyard.transit.train.data import ordered_batches, record_errors, training_batches
from trainyard.transit.train.inputs import Inputs, read_inputs, split_features
from trainyard.transit.train.members import Members, find_members
from trainyard.transit.train.metrics import METRICS
from trainyard.transit.train.model import build_model
from trainyard.transit.train.runtime import make_reproducible
from trainyard.transit.train.settings import TrainSettings
from trainyard.transit.train.stopping import Monitor, best_epoch, choose_monitor, should_stop
from trainyard.transit.train.storage import Progress, load_progress, save_model, save_progress
from trainyard.yard.errors import ConfigError, InputError, IntegrityError, LeakageError
from trainyard.yard.files import write_json, write_text
from trainyard.yard.history import write_history
from trainyard.yard.receipts import read_receipt

_SPLITS = ("train", "val")
THRESHOLDS = 1000
"""Thresholds of the areas that are watched during training; the evaluation computes exact ones."""

_log = logging.getLogger(__name__)


def train(
    shards: Mapping[str, Sequence[Path]],
    examples: Sequence[Path],
    selection: Path | None,
    out: Path,
    settings: TrainSettings,
) -> None:
    """Train the network on the train split, watched on val, and write the best epoch's model.

    Writes into `out`: `model.keras`, `model_summary.txt`, `history.csv` (one row per epoch, counted from 1; `best`
    marks the epoch whose weights the model has) and `train.json` (what was trained on, and how it ended). A run that
    is killed goes on after its last whole epoch, from `.progress.npz` in `out`, and ends with the bytes of an
    undisturbed run; when settings, data or code have changed meanwhile, it starts again.

    Args:
        shards: Split -> whole normalized shards, with receipts. `val` may be missing or empty.
        examples: Tables of the contract SPLIT_EXAMPLES.
        selection: A selection's `selection.parquet`; None: all examples.
        out: Folder; made if missing.
        settings: The training block of the configuration.

    Raises:
        ConfigError: Unknown input or metric, or a network too deep for the windows.
        InputError: Nothing to learn from: the train split is empty or has one label only.
        IntegrityError: Shards, receipts and tables disagree, a record is damaged, or the loss is not finite.
        LeakageError: A star is in both splits.
    """
    found = [find_members(shards.get(split, ()), examples, split=split, selection=selection) for split in _SPLITS]
    learn, watch = _usable(found, settings)
    left_out = {one.split: len(one) - len(used) for one, used in zip(found, (learn, watch), strict=True)}
    _check(learn, watch, settings)
    monitor = choose_monitor(settings.early_stopping_metric, watch.labels, patience=settings.early_stopping_patience)
    inputs = read_inputs(learn.shards, settings.features, with_images=learn.has_images)
    make_reproducible(settings.seed)
    model = compile_model(build_model(inputs, settings), settings)

    store = out / ".progress.npz"
    progress = load_progress(store, model, _fingerprint(learn, watch, settings))
    _log.info("training on %d examples, watching %s on %d", len(learn), monitor.name, len(watch))
    while progress.epochs < settings.epochs and not should_stop(progress.history, monitor):
        row = _one_epoch(model, learn, watch, inputs, settings, epoch=progress.epochs + 1)
        progress.history.append(row)
        if best_epoch(progress.history, monitor) == progress.epochs:
            progress.best = [variable.numpy() for variable in model.variables]
        save_progress(store, model, progress)
        _log.info("epoch %d: %s", progress.epochs, ", ".join(f"{name} {value:.4f}" for name, value in row.items()))

    for variable, value in zip(model.variables, progress.best, strict=True):
        variable.assign(value)
    best = best_epoch(progress.history, monitor)
    save_model(model, out / "model.keras")
    _write_summary(model, out / "model_summary.txt")
    write_history(out / "history.csv", progress.history, best=best)
    report = _report(model, inputs, learn, watch, monitor=monitor, progress=progress, best=best)
    write_json(out / "train.json", report | {"left_out": {"without_images": left_out}})
    store.unlink(missing_ok=True)


def compile_model(model: keras.Model, settings: TrainSettings) -> keras.Model:
    """Add the loss, the optimizer and the published metrics to a network."""
    optimizer = (
        keras.optimizers.Adam(settings.learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, name="adam")
        if settings.optimizer == "adam"
        else keras.optimizers.SGD(settings.learning_rate, momentum=settings.momentum, name="sgd")
    )
    optimizer.build(model.trainable_variables)
    watched = [
        keras.metrics.BinaryAccuracy(name="binary_accuracy"),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.F1Score(average="micro", threshold=0.5, name="f1"),
        keras.metrics.AUC(num_thresholds=THRESHOLDS, curve="PR", name="auc_pr"),
        keras.metrics.AUC(num_thresholds=THRESHOLDS, curve="ROC", name="auc_roc"),
        keras.metrics.RecallAtPrecision(0.95, num_thresholds=THRESHOLDS, name="recall_at_precision_95"),
        keras.metrics.PrecisionAtRecall(0.95, num_thresholds=THRESHOLDS, name="precision_at_recall_95"),
    ]
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=watched, jit_compile=False)
    return model


def _one_epoch(
    model: keras.Model, learn: Members, watch: Members, inputs: Inputs, settings: TrainSettings, *, epoch: int
) -> dict[str, float]:
    with record_errors():
        result = model.fit(
            training_batches(learn, inputs, settings, epoch=epoch),
            validation_data=ordered_batches(watch, inputs, batch_size=settings.batch_size) if len(watch) else None,
            class_weight=settings.category_weights,
            shuffle=False,  # The batches come shuffled.
            verbose=0,
        ).history
    prefixes = ("", "val_") if len(watch) else ("",)
    row = {f"{prefix}{name}": float(result[f"{prefix}{name}"][-1]) for prefix in prefixes for name in METRICS}
    if not math.isfinite(row["loss"]):
        raise IntegrityError(
            f"epoch {epoch}: the loss is {row['loss']}, training has run away; lower transit.train.learning_rate"
        )
    return row


def _usable(found: Sequence[Members], settings: TrainSettings) -> Sequence[Members]:
    """Members that the network may be shown: one that needs images would know the others by what they lack."""
    _, images = split_features(settings.features)
    if settings.missing_images == "zero" or not images or not found[0].has_images:
        return found
    return [members.with_images() for members in found]


def _check(learn: Members, watch: Members, settings: TrainSettings) -> None:
    if set(settings.category_weights or (0, 1)) != {0, 1}:
        raise ConfigError("transit.train.category_weights: give a weight for label 0 and one for label 1, no other")
    labels = sorted(set(learn.labels.tolist()))
    if labels != [0, 1]:
        found = f"only label {labels[0]}" if labels else "no example"
        raise InputError(
            f"the train split has {found} after selection, so there is nothing to learn; build more stars, relax"
            " transit.train.selection or missing_images, or set transit.train.enabled to false"
        )
    shared = np.intersect1d(learn.column("target_id"), watch.column("target_id"))
    if shared.size:
        raise LeakageError(
            f"{shared.size} stars are in train and in val, e.g. {shared[0]}; the split of these tables is broken,"
            " build it again"
        )


def _fingerprint(learn: Members, watch: Members, settings: TrainSettings) -> str:
    """What must not have changed for a killed run to go on."""
    digest = hashlib.sha256(f"{settings.model_dump_json()} {keras.__version__} {tf.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for members in (learn, watch):
        digest.update(_ids(members, "uid").encode())
        for shard in members.shards:
            digest.update(read_receipt(shard).sha256.encode())
    return digest.hexdigest()


def _ids(members: Members, column: str) -> str:
    ids = sorted({str(item) for item in members.column(column).tolist()})
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def _write_summary(model: keras.Model, path: Path) -> None:
    lines: list[str] = []
    model.summary(line_length=110, print_fn=lines.append)
    write_text(path, "\n".join(lines) + "\n")


def _report(
    model: keras.Model,
    inputs: Inputs,
    learn: Members,
    watch: Members,
    *,
    monitor: Monitor,
    progress: Progress,
    best: int,
) -> dict[str, object]:
    return {
        "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "inputs": list(inputs.names),
        "monitor": monitor.name,
        "epochs": progress.epochs,
        "best_epoch": best,
        "stopped_early": should_stop(progress.history, monitor),
        "examples": {members.split: len(members) for members in (learn, watch)},
        "positives": {members.split: int(members.labels.sum()) for members in (learn, watch)},
        "train_targets_sha256": _ids(learn, "target_id"),
        "train_uids_sha256": _ids(learn, "uid"),
    }
