"""The honest comparison: meta and base scores of the same rows, through the same code, at thresholds of one kind."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.split import TEST, VAL, bare_contig
from trainyard.splice.train.data import Floats, Rows, SplitRows, open_rows
from trainyard.splice.train.delta import (
    BASE,
    DELTA,
    FIXED_THRESHOLD,
    META,
    against_outside,
    delta_table,
    gene_deltas,
    summarise,
)
from trainyard.splice.train.feed import CLASSES, SITE, base_scores, make_feed, site_types
from trainyard.splice.train.fit import read_trained
from trainyard.splice.train.full_positions import FULL_TABLE, Sources, full_positions, full_rows
from trainyard.splice.train.importance import IMPORTANCE, importance_table
from trainyard.splice.train.metrics import is_nan
from trainyard.splice.train.model import predict
from trainyard.splice.train.outside import REMARK, read_outside
from trainyard.splice.train.pooled import (
    CALIBRATION,
    METRICS,
    TOP_K_TABLE,
    Scored,
    calibration_rows,
    choose_thresholds,
    metric_rows,
    top_k_rows,
)
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open, write_json
from trainyard.yard.tables import Column, Role, TableContract

SCORED_SPLITS = (VAL, TEST)
_SHOWN = 8
_F32 = pa.float32()
PREDICTIONS = TableContract(
    "splice_predictions",
    (
        Column("gene_id", pa.string(), Role.KEY, "", "gene", nullable=False),
        Column("position", pa.int32(), Role.KEY, "nt", "base of the gene, 0-based, in transcript direction", False),
        Column("label", pa.int8(), Role.LABEL, "", "0 neither, 1 donor, 2 acceptor", nullable=False),
        Column("sample_weight", _F32, Role.METADATA, "positions", "positions that the row stands for", False),
        Column("base_donor", _F32, Role.NEVER_A_FEATURE, "probability", "donor score of the base model", False),
        Column("base_acceptor", _F32, Role.NEVER_A_FEATURE, "probability", "acceptor score of the base model", False),
        Column("meta_donor", _F32, Role.NEVER_A_FEATURE, "probability", "of the meta-model; null: binary"),
        Column("meta_acceptor", _F32, Role.NEVER_A_FEATURE, "probability", "of the meta-model; null: binary"),
        Column("meta_site", _F32, Role.NEVER_A_FEATURE, "probability", "any site: what the class neither leaves"),
    ),
)
"""`predictions_{val,test}.parquet`: one row per row of the split, in the order of the dataset."""

_log = logging.getLogger(__name__)


def evaluate(
    folder: Path,
    splits: Path,
    model: Path,
    out: Path,
    settings: SpliceTrainSettings,
    *,
    sources: Sources | None = None,
    held_out: Sequence[str] | None = None,
    trained_on: Sequence[str] | None = None,
    allow_partial: bool = False,
) -> dict[str, Any]:
    """Score val and test, and compare the meta-model with the base model on them.

    Writes into `out`:

    * ``predictions_{val,test}.parquet``, contract PREDICTIONS;
    * ``baseline_metrics.tsv`` and ``meta_metrics.tsv``, contract METRICS;
    * ``delta_vs_baseline.csv``, contract DELTA, of the test genes: against the base scores of the same rows, or, where
      the settings name one, against an outside table, which is said aloud;
    * ``topk.csv``, ``calibration.csv``, ``feature_importance_all.csv``: contracts TOP_K_TABLE, CALIBRATION, IMPORTANCE;
    * ``full_positions.csv``, contract FULL_TABLE: figures over every position of some test genes;
    * ``metrics.json``: thresholds, the figures of the two metrics tables, the mean differences with intervals, the
      check on every position of some genes, and remarks on what must not be overlooked.

    Args:
        folder: `master/`, or the folder of the line.
        splits: Contract SPLIT.
        model: Folder that `fit.train` wrote.
        out: Folder of the results; made if missing.
        settings: The training block of the configuration.
        sources: Reference and scores of the build, to score every position of some test genes; None for no such check.
        held_out: Contigs that the base model never saw; None for what the dataset says of it.
        trained_on: Contigs that it saw, where they are stated; None for the same.
        allow_partial: Read what is finished of an incomplete dataset.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: There is no dataset, model or outside table, or test has no rows.
        IntegrityError: The model was trained on another dataset or with other settings.
        LeakageError: A cluster stands in two splits.
    """
    data = open_rows(folder, splits, allow_partial=allow_partial)
    if not len(data.rows(TEST)):
        raise InputError(f"{data.master.folder}: test has no rows, so there is nothing to compare; change splice.split")
    trained, learn = read_trained(model, data, splits, settings)
    scored: dict[str, dict[str, Scored]] = {}
    for split in SCORED_SPLITS:
        probability = predict(trained, make_feed(data, split, learn.columns, settings.target))
        rows = data.rows(split)
        PREDICTIONS.write(out / f"predictions_{split}.parquet", predictions(rows, probability, settings))
        scored[split] = _scored(split, rows, probability, settings)
    thresholds = choose_thresholds(scored[VAL])
    both = [found for split in SCORED_SPLITS for found in scored[split].values() if len(found.rows)]
    metrics = {name: [row for found in both for row in metric_rows(found, name, thresholds)] for name in (BASE, META)}
    by_type = {name: found.by for name, found in scored[TEST].items()}
    own = gene_deltas(data.rows(TEST), by_type, thresholds)
    told = _compare(own, data, settings)
    told["remarks"] += seen_by_base_model(data, held_out, trained_on)
    _write(out / "baseline_metrics.tsv", METRICS, metrics[BASE], delimiter="\t")
    _write(out / "meta_metrics.tsv", METRICS, metrics[META], delimiter="\t")
    _write_csv(out / "delta_vs_baseline.csv", DELTA, delta_table(told.pop("rows")))
    _write(out / "topk.csv", TOP_K_TABLE, [row for found in both for row in top_k_rows(found)])
    _write(out / "calibration.csv", CALIBRATION, [row for found in both for row in calibration_rows(found)])
    importance = importance_table(trained, data, learn.columns, settings)
    _write_csv(out / "feature_importance_all.csv", IMPORTANCE, importance)
    check = None
    if sources is not None and settings.full_check_genes:
        meta = {name: found.by[META] for name, found in scored[TEST].items()}
        check = full_positions(trained, data, learn.columns, sources, meta, thresholds, settings)
        told["remarks"] += check.pop("remarks")
    _write(out / "full_positions.csv", FULL_TABLE, list(full_rows(check)))
    report: dict[str, Any] = {
        "target": settings.target,
        "thresholds": {"fixed": FIXED_THRESHOLD, "best_f1_on_val": thresholds.best_f1},
        "metrics": metrics,
        "full_positions": check,
        **told,
    }
    for remark in told["remarks"]:
        _log.warning("%s", remark)
    report = dict(without_nan(report))
    write_json(out / "metrics.json", report)
    return report


def seen_by_base_model(
    data: SplitRows, held_out: Sequence[str] | None = None, trained_on: Sequence[str] | None = None
) -> list[str]:
    """A sentence on test genes that the base model may know by heart; none where there are none, or nothing is known.

    Args:
        data: The dataset.
        held_out: Contigs that the base model never saw, with or without `chr`; None for what the dataset says of it.
        trained_on: Contigs that it saw, where they are stated; None for the same.
    """
    card = (data.master.manifest or {}).get("model") or {}
    held_out = card.get("held_out_contigs") if held_out is None else held_out
    trained_on = card.get("trained_on_contigs") if trained_on is None else trained_on
    if held_out is None:
        return []
    unseen = {bare_contig(name) for name in held_out} - {bare_contig(name) for name in trained_on or ()}
    contigs = data.contigs(TEST)
    seen = [contig for contig in contigs if bare_contig(contig) not in unseen]
    if not seen:
        return []
    names = sorted(set(seen))
    shown = ", ".join(names[:_SHOWN]) + (f", ... ({len(names)} in all)" if names[_SHOWN:] else "")
    return [
        f"THE BASE MODEL MAY KNOW THE TEST GENES: {len(seen)} of {len(contigs)} lie on contigs that it was trained on,"
        f" or that splice.model.held_out_contigs does not name ({shown}). Its scores may be better there than on new"
        " genes, and so may all that is made of them: do not take the figures for those of new genes, or split inside"
        " the contigs that it never saw (splice.split.rule: base_heldout)."
    ]


def predictions(rows: Rows, probability: Floats, settings: SpliceTrainSettings) -> pa.Table:
    """Rows of PREDICTIONS."""
    n, columns = len(rows), dict(zip(CLASSES[settings.target], probability.T, strict=True))
    genes = pa.DictionaryArray.from_arrays(rows.gene, pa.array(rows.genes, pa.string())).cast(pa.string())
    site = columns[SITE] if settings.target == "binary" else np.float32(1) - columns["neither"]
    meta = {name: pa.array(columns[name]) if name in columns else pa.nulls(n, _F32) for name in ("donor", "acceptor")}
    return pa.table(
        {
            "gene_id": genes,
            "position": rows.position,
            "label": rows.label,
            "sample_weight": rows.weight,
            "base_donor": rows.donor,
            "base_acceptor": rows.acceptor,
            "meta_donor": meta["donor"],
            "meta_acceptor": meta["acceptor"],
            "meta_site": pa.array(np.ascontiguousarray(site)),
        }
    )


def without_nan(value: Any) -> Any:
    """Nested values with None for every number that is undefined, which JSON cannot hold."""
    if isinstance(value, Mapping):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if is_nan(value) else value


def _scored(split: str, rows: Rows, probability: Floats, settings: SpliceTrainSettings) -> dict[str, Scored]:
    """Base and meta scores of each site type; the base scores are those of the very rows."""
    base = base_scores(rows.donor, rows.acceptor, settings.target)
    return {
        name: Scored(split, name, rows, {BASE: base[name], META: np.ascontiguousarray(probability[:, column])})
        for column, name in enumerate(site_types(settings.target), start=1)
    }


def _compare(own: list[dict[str, Any]], data: SplitRows, settings: SpliceTrainSettings) -> dict[str, Any]:
    """Differences of the test genes against the baseline of the settings, with their summary."""
    options = {"resamples": settings.bootstrap, "seed": settings.seed}
    found: dict[str, Any] = {"delta": summarise(own, **options), "baseline": "base_scores", "remarks": []}
    if settings.baseline is None:
        return found | {"rows": own}
    outside = read_outside(settings.baseline, data.rows(TEST).genes, site_types(settings.target))
    name = f"outside:{settings.baseline.name}"
    rows = against_outside(own, outside, name=name)
    missing = sum(is_nan(row["f1_base"]) for row in rows if row["n_sites"])
    remarks = [REMARK, f"{missing} of {sum(row['n_sites'] > 0 for row in rows)} genes and types are not in that table."]
    summary = summarise(rows, **options)
    return found | {"baseline": name, "remarks": remarks, "delta_vs_outside": summary, "rows": rows}


def _write(path: Path, contract: TableContract, rows: Sequence[Mapping[str, Any]], *, delimiter: str = ",") -> None:
    table = contract.table([{name: without_nan(value) for name, value in row.items()} for row in rows])
    _write_csv(path, contract, table, delimiter=delimiter)


def _write_csv(path: Path, contract: TableContract, table: pa.Table, *, delimiter: str = ",") -> None:
    contract.check(table)
    with atomic_open(path) as handle:
        options = pa_csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
        pa_csv.write_csv(table.select(list(contract.names)), handle, options)
