"""Scores of a trained model: predictions of every example in order, and exact metrics computed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.transit.schema import SPLITS
from trainyard.transit.train.members import Members, find_members, selected
from trainyard.transit.train.metrics import METRICS, auc_roc, score_metrics, shuffled_auc_sigma
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import keyed_hash

if TYPE_CHECKING:
    import keras

BATCH = 256
"""Examples scored at once."""

Scores = NDArray[np.float32]
Row = dict[str, object]


@dataclass(frozen=True)
class Scored:
    """Examples of a split with their scores.

    Attributes:
        split: train, val or test.
        scope: "all" examples, or those of the "selection".
        rows: Their rows of the example table.
        score: Probability of label 1, shape ``(n,)``.
        left_out: Examples of this scope that were not scored, because they have no images.
    """

    split: str
    scope: str
    rows: pa.Table
    score: Scores
    left_out: int

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels, shape ``(n,)``."""
        return self.column("label").astype(np.int8)

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of `rows` as an array."""
        return np.asarray(self.rows[name].to_numpy(zero_copy_only=False))

    def row(self, group: Mapping[str, object], chosen: NDArray[np.intp] | slice) -> Row:
        """Metrics of some of the examples, after the columns that tell which these are."""
        return {"split": self.split, "scope": self.scope, **group} | score_metrics(
            self.labels[chosen], self.score[chosen]
        )


def evaluate(
    model: Path,
    shards: Mapping[str, Sequence[Path]],
    examples: Sequence[Path],
    selection: Path | None,
    out: Path,
    *,
    missing_images: Literal["drop", "zero"] = "drop",
) -> None:
    """Score every example of every split and write predictions and metrics.

    A selection made for training is balanced, and a survey is not: metrics of all examples and of those of the
    selection stand side by side, and `scope` tells which. Writes into `out`:

    * ``preds_{split}.csv``, one row per example in the order of the shards: uid, target_id, tce_uid, disposition, time
      (d), label, pred_label (probability above 0.5), pred_prob, tw_flag (1: in-transit window), selected (1: in the
      selection);
    * ``res_eval.csv``, one row per split and scope: the metrics of `metrics.score_metrics`, their macro averages over
      stars (``star_macro_...``: a few stars with thousands of windows would otherwise decide), the ROC area against
      labels shuffled by a keyed hash, which must lie within a few ``auc_roc_shuffled_sigma`` of 0.5, and how many
      examples were left out because the network needs images that they do not have;
    * ``eval_by_disposition.csv`` and ``eval_by_star.csv``, one row per split, scope and group.

    An empty cell is a metric that is undefined, such as the recall of examples without positives.

    Args:
        model: `model.keras`.
        shards: Split -> normalized shards, with receipts; a missing split counts as empty.
        examples: Tables of the contract SPLIT_EXAMPLES.
        selection: The selection that the network was trained on, `selection.parquet`; None: it was trained on all
            examples, and these are the only scope.
        out: Folder; made if missing.
        missing_images: As in training: what becomes of examples without images where the network needs them.

    Raises:
        InputError: The model cannot be loaded.
        IntegrityError: Shards, receipts and tables disagree, or a record is damaged.
    """
    network = load_network(model)
    scored: list[Scored] = []
    for split in SPLITS:
        found = find_members(shards.get(split, ()), examples, split=split)
        used = found.with_images() if missing_images == "drop" and _needs_images(network) else found
        score = predict(network, used)
        chosen = selected(used.rows["uid"], selection)
        _write_csv(out / f"preds_{split}.csv", predictions(used, score, chosen))
        scored.append(Scored(split, "all", used.rows, score, len(found) - len(used)))
        if selection is not None:
            left_out = int(selected(found.rows["uid"], selection).sum() - chosen.sum())
            scored.append(Scored(split, "selection", used.rows.filter(pa.array(chosen)), score[chosen], left_out))
    stars = [_by_star(part) for part in scored]
    keys, groups = ["split", "scope"], ["n", "n_positive", *METRICS]
    dispositions = [row for part in scored for row in _by(part, "disposition")]
    _write_csv(out / "eval_by_disposition.csv", _table(dispositions, [*keys, "disposition", *groups]))
    every_star = [row for rows in stars for row in rows]
    _write_csv(out / "eval_by_star.csv", _table(every_star, [*keys, "target_id", "dispositions", *groups]))
    overall = [_overall(part, rows) for part, rows in zip(scored, stars, strict=True)]
    _write_csv(out / "res_eval.csv", _table(overall, list(overall[0])))


def load_network(model: Path) -> keras.Model:
    """A trained network.

    Raises:
        InputError: It cannot be loaded.
    """
    import keras

    from trainyard.transit.train.runtime import make_reproducible

    make_reproducible(0)
    try:
        return keras.models.load_model(model, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{model}: cannot be loaded as a Keras model ({error}); train it again") from error


def _needs_images(network: keras.Model) -> bool:
    from trainyard.transit.train.model import inputs_of

    return bool(inputs_of(network).images)


def predict(network: keras.Model, members: Members) -> Scores:
    """Probability of label 1 for each member, in the order of `Members.rows`.

    The records are read in order with nothing random, and each record's `uid` is compared with the table's.

    Returns:
        Float32, shape ``(n,)``.

    Raises:
        IntegrityError: A record is damaged, or is not the one that the example table says.
    """
    from trainyard.transit.train.data import identified_batches, record_errors
    from trainyard.transit.train.model import inputs_of

    parts: list[Scores] = [np.empty(0, np.float32)]
    uids: list[str] = []
    with record_errors():
        for values, uid in identified_batches(members, inputs_of(network), batch_size=BATCH):
            parts.append(np.asarray(network.predict_on_batch(values))[:, 0])
            uids.extend(item.decode() for item in uid.numpy())
    if uids != members.rows["uid"].to_pylist():
        raise IntegrityError(
            f"the {members.split} shards and the example tables list different examples; rebuild the split and what"
            " follows"
        )
    return np.concatenate(parts)


def predictions(members: Members, score: Scores, chosen: NDArray[np.bool_]) -> pa.Table:
    """Rows of `preds_{split}.csv`, whose columns `evaluate` lists; `chosen` marks those of the selection."""
    rows = members.rows
    return pa.table(
        {
            **{name: rows[name] for name in ("uid", "target_id", "tce_uid", "disposition", "time", "label")},
            "pred_label": pa.array((score > 0.5).astype(np.int8)),
            "pred_prob": pa.array(score, pa.float32()),
            "tw_flag": rows["transit_example"],
            "selected": pa.array(chosen.astype(np.int8)),
        }
    )


def shuffled_labels(uids: Sequence[str], labels: NDArray[np.int8]) -> NDArray[np.int8]:
    """Labels dealt out anew by a hash of their examples' uids: a fixed permutation that knows nothing of the data."""
    keys = [keyed_hash("shuffled labels", uid) for uid in uids]
    return labels[np.argsort(np.array(keys, dtype=np.uint64), kind="stable")]


def _overall(part: Scored, stars: Sequence[Row]) -> Row:
    row: Row = {**part.row({}, slice(None)), "stars": len(stars)}
    for name in METRICS:
        values = np.array([star[name] for star in stars], dtype=np.float64)
        defined = values[np.isfinite(values)]
        row[f"star_macro_{name}"] = float(defined.mean()) if defined.size else math.nan
    positives = int(part.labels.sum())
    row["auc_roc_shuffled_labels"] = auc_roc(shuffled_labels(part.rows["uid"].to_pylist(), part.labels), part.score)
    row["auc_roc_shuffled_sigma"] = shuffled_auc_sigma(positives, len(part.score) - positives)
    row["left_out_without_images"] = part.left_out
    return row


def _by_star(part: Scored) -> list[Row]:
    stars, dispositions = part.column("target_id"), part.column("disposition")
    pairs = sorted(set(zip(stars.tolist(), dispositions.tolist(), strict=True)))
    named: dict[object, list[str]] = {}
    for star, disposition in pairs:
        named.setdefault(star, []).append(disposition)
    return [{**row, "dispositions": ";".join(named[row["target_id"]])} for row in _by(part, "target_id")]


def _by(part: Scored, column: str) -> list[Row]:
    """Metrics of each group of examples with one value in `column`, sorted by that value."""
    keys, group = np.unique(part.column(column), return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=len(keys)))[:-1]
    return [
        part.row({column: key}, chosen) for key, chosen in zip(keys.tolist(), np.split(order, ends), strict=True)
    ] if len(keys) else []  # fmt: skip


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pa.Table:
    # from_pandas makes NaN an empty cell.
    return pa.table({name: pa.array([row[name] for row in rows], from_pandas=True) for name in columns})


def _write_csv(path: Path, table: pa.Table) -> None:
    with atomic_open(path) as handle:
        pa_csv.write_csv(table, handle, pa_csv.WriteOptions(quoting_style="needed"))
