"""Scores of a trained model: predictions of every example in order, and exact metrics computed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.transit.schema import SPLITS
from trainyard.transit.train.members import Members, find_members
from trainyard.transit.train.metrics import METRICS, auc_roc, score_metrics, shuffled_auc_sigma
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import keyed_hash

BATCH = 256
"""Examples scored at once."""

Scores = NDArray[np.float32]


def evaluate(
    model: Path,
    shards: Mapping[str, Sequence[Path]],
    examples: Sequence[Path],
    selection: Path | None,
    out: Path,
) -> None:
    """Score every split and write predictions and metrics.

    Writes into `out`:

    * ``preds_{split}.csv``, one row per example in the order of the shards: uid, target_id, tce_uid, disposition, time
      (d), label, pred_label (probability above 0.5), pred_prob, tw_flag (1: in-transit window);
    * ``res_eval.csv``, one row per split: the metrics of `metrics.score_metrics`, their macro averages over stars
      (``star_macro_...``: a few stars with thousands of windows would otherwise decide), and the ROC area against
      labels shuffled by a keyed hash, which must lie within a few ``auc_roc_shuffled_sigma`` of 0.5;
    * ``eval_by_disposition.csv`` and ``eval_by_star.csv``, one row per split and group.

    An empty cell is a metric that is undefined, such as the recall of examples without positives.

    Args:
        model: `model.keras`.
        shards: Split -> normalized shards, with receipts; a missing split counts as empty.
        examples: Tables of the contract SPLIT_EXAMPLES.
        selection: A selection's `selection.parquet`; None: all examples.
        out: Folder; made if missing.

    Raises:
        InputError: The model cannot be loaded.
        IntegrityError: Shards, receipts and tables disagree, or a record is damaged.
    """
    splits = [find_members(shards.get(split, ()), examples, split=split, selection=selection) for split in SPLITS]
    scores = predict(model, splits)
    by_star = [row for members, score in zip(splits, scores, strict=True) for row in _by_star(members, score)]
    by_disposition = [
        row for members, score in zip(splits, scores, strict=True) for row in _by(members, score, "disposition")
    ]
    overall = [_overall(members, score, by_star) for members, score in zip(splits, scores, strict=True)]
    for members, score in zip(splits, scores, strict=True):
        _write_csv(out / f"preds_{members.split}.csv", predictions(members, score))
    groups = ["n", "n_positive", *METRICS]
    _write_csv(out / "eval_by_disposition.csv", _table(by_disposition, ["split", "disposition", *groups]))
    _write_csv(out / "eval_by_star.csv", _table(by_star, ["split", "target_id", "dispositions", *groups]))
    _write_csv(out / "res_eval.csv", _table(overall, list(overall[0])))


def predict(model: Path, splits: Sequence[Members]) -> list[Scores]:
    """Probability of label 1 for each member, in the order of `Members.rows`.

    The records are read in order with nothing random, and each record's `uid` is compared with the table's.

    Returns:
        One array per split, float32, shape ``(n,)``.

    Raises:
        InputError: The model cannot be loaded.
        IntegrityError: A record is damaged, or is not the one that the example table says.
    """
    import keras

    from trainyard.transit.train.data import identified_batches, record_errors
    from trainyard.transit.train.model import inputs_of
    from trainyard.transit.train.runtime import make_reproducible

    make_reproducible(0)
    try:
        network = keras.models.load_model(model, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{model}: cannot be loaded as a Keras model ({error}); train it again") from error
    inputs = inputs_of(network)
    found: list[Scores] = []
    for members in splits:
        parts: list[Scores] = [np.empty(0, np.float32)]
        uids: list[str] = []
        with record_errors():
            for values, uid in identified_batches(members, inputs, batch_size=BATCH):
                parts.append(np.asarray(network.predict_on_batch(values))[:, 0])
                uids.extend(item.decode() for item in uid.numpy())
        if uids != members.rows["uid"].to_pylist():
            raise IntegrityError(
                f"the {members.split} shards and the example tables list different examples; rebuild the split and what"
                " follows"
            )
        found.append(np.concatenate(parts))
    return found


def predictions(members: Members, score: Scores) -> pa.Table:
    """Rows of `preds_{split}.csv`, whose columns `evaluate` lists."""
    rows = members.rows
    return pa.table(
        {
            **{name: rows[name] for name in ("uid", "target_id", "tce_uid", "disposition", "time", "label")},
            "pred_label": pa.array((score > 0.5).astype(np.int8)),
            "pred_prob": pa.array(score, pa.float32()),
            "tw_flag": rows["transit_example"],
        }
    )


def shuffled_labels(members: Members) -> NDArray[np.int8]:
    """The members' labels dealt out anew by a hash of their uid: a fixed permutation that knows nothing of the data."""
    keys = [keyed_hash("shuffled labels", uid) for uid in members.rows["uid"].to_pylist()]
    return members.labels[np.argsort(np.array(keys, dtype=np.uint64), kind="stable")]


def _overall(members: Members, score: Scores, by_star: Sequence[Mapping[str, object]]) -> dict[str, object]:
    row: dict[str, object] = {"split": members.split, **score_metrics(members.labels, score)}
    stars = [star for star in by_star if star["split"] == members.split]
    row["stars"] = len(stars)
    for name in METRICS:
        values = np.array([star[name] for star in stars], dtype=np.float64)
        defined = values[np.isfinite(values)]
        row[f"star_macro_{name}"] = float(defined.mean()) if defined.size else math.nan
    positives = int(members.labels.sum())
    row["auc_roc_shuffled_labels"] = auc_roc(shuffled_labels(members), score)
    row["auc_roc_shuffled_sigma"] = shuffled_auc_sigma(positives, len(members) - positives)
    return row


def _by_star(members: Members, score: Scores) -> list[dict[str, object]]:
    rows = _by(members, score, "target_id")
    stars, dispositions = members.column("target_id"), members.column("disposition")
    pairs = sorted(set(zip(stars.tolist(), dispositions.tolist(), strict=True)))
    named: dict[object, list[str]] = {}
    for star, disposition in pairs:
        named.setdefault(star, []).append(disposition)
    return [{**row, "dispositions": ";".join(named[row["target_id"]])} for row in rows]


def _by(members: Members, score: Scores, column: str) -> list[dict[str, object]]:
    """Metrics of each group of members with one value in `column`, sorted by that value."""
    keys, group = np.unique(members.column(column), return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=len(keys)))[:-1]
    return [
        {"split": members.split, column: key, **score_metrics(members.labels[part], score[part])}
        for key, part in zip(keys.tolist(), np.split(order, ends), strict=True)
    ] if len(keys) else []  # fmt: skip


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pa.Table:
    # from_pandas makes NaN an empty cell.
    return pa.table({name: pa.array([row[name] for row in rows], from_pandas=True) for name in columns})


def _write_csv(path: Path, table: pa.Table) -> None:
    with atomic_open(path) as handle:
        pa_csv.write_csv(table, handle, pa_csv.WriteOptions(quoting_style="needed"))
