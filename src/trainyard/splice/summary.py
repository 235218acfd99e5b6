"""A dataset in numbers, from one stream over its rows: what is in it, column by column, and how scores and motifs lie.

Counts, extremes and histograms are exact; quantiles are those of a sample of rows that does not depend on how they are
read, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice.calls import CLASSES
from trainyard.splice.columnstats import ColumnStats
from trainyard.splice.master import stream_part
from trainyard.splice.rowsample import sampled, share_of
from trainyard.splice.sources import Source, labels_of, open_source

SAMPLE_CELLS = 8_000_000
"""Values held for quantiles: rows of the sample times columns."""
SAMPLE_ROWS = 50_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 20
"""Of the score histograms, over [0, 1]."""
SCORES = ("donor_score", "acceptor_score")
MOTIFS = ("donor_is_gt", "donor_is_gc", "donor_is_at", "acceptor_is_ag", "acceptor_is_ac")
FOREIGN = "of another program"
"""Status of a dataset that this workflow did not make."""


def summarize(folder: Path, *, allow_partial: bool = False) -> dict[str, Any]:
    """Describe a dataset, ours or another program's, in one pass.

    Args:
        folder: The dataset.
        allow_partial: Take what is finished of an incomplete one.

    Returns:
        Plain values; the same for the same rows.

    Raises:
        InputError, IntegrityError: See `open_source`.
    """
    source = open_source(folder, allow_partial=allow_partial)
    columns = source.columns()
    seen = _Seen(columns, share=share_of(source.rows, min(SAMPLE_ROWS, SAMPLE_CELLS // max(len(columns), 1))))
    parts: list[dict[str, Any]] = []
    for index, path in enumerate(source.files):
        rows = 0
        for table in stream_part(path, list(columns)):
            seen.see(table, index, rows)
            rows += table.num_rows
        size = path.stat().st_size
        parts.append({"file": path.relative_to(source.folder).as_posix(), "rows": rows, "bytes": size})
    told = {"parts": parts, "bytes": sum(part["bytes"] for part in parts), **seen.result()}
    return _provenance(source) | told


class _Seen:
    """Collects what one pass sees."""

    def __init__(self, columns: Mapping[str, pa.DataType], *, share: float) -> None:
        self.columns = {name: ColumnStats(kind) for name, kind in columns.items()}
        self.rows = 0
        self.bytes = 0
        self.genes: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.strata: Counter[str] = Counter()
        self.weight = 0.0
        self.motifs = {name: np.zeros((len(CLASSES), 2), np.int64) for name in MOTIFS if name in columns}
        self.scores = {name: np.zeros((len(CLASSES), BINS), np.int64) for name in SCORES if name in columns}
        self._share = share

    def see(self, table: pa.Table, part: int, first: int) -> None:
        """Take up some rows of a part."""
        self.rows += table.num_rows
        self.bytes += table.nbytes
        chosen = sampled(part, first, table.num_rows, share=self._share)
        for name, column in self.columns.items():
            column.see(table[name], chosen)
        for name, counts in (("gene_id", self.genes), ("pred_type", self.outcomes), ("stratum", self.strata)):
            if name in table.column_names:
                counts.update(_counts(table[name]))
        if "sample_weight" in table.column_names:
            self.weight += float(pc.sum(table["sample_weight"].cast(pa.float64())).as_py() or 0)
        label = _labels(table)
        if label is not None:
            self.labels.update({CLASSES[code]: n for code, n in enumerate(np.bincount(label).tolist()) if n})
            self._see_by_label(table, label)

    def _see_by_label(self, table: pa.Table, label: NDArray[np.int64]) -> None:
        for name in self.motifs:
            hit = pc.fill_null(table[name].cast(pa.int8()), 0).to_numpy() != 0
            self.motifs[name] += np.bincount(label * 2 + hit, minlength=2 * len(CLASSES)).reshape(-1, 2)
        for name in self.scores:
            score = pc.fill_null(table[name].cast(pa.float64()), float("nan")).to_numpy()
            good = (score >= 0) & (score <= 1)
            place = np.minimum((score[good] * BINS).astype(np.int64), BINS - 1)
            codes = label[good] * BINS + place
            self.scores[name] += np.bincount(codes, minlength=BINS * len(CLASSES)).reshape(-1, BINS)

    def result(self) -> dict[str, Any]:
        """All of it as plain values."""
        sizes = sorted(self.genes.values())
        return {
            "rows": self.rows,
            "memory_bytes": self.bytes,
            "genes": len(self.genes),
            "rows_per_gene": _quantiles(np.array(sizes, np.float64)),
            "labels": {name: self.labels[name] for name in CLASSES if name in self.labels},
            "pred_types": dict(sorted(self.outcomes.items())),
            "strata": dict(sorted(self.strata.items())),
            "rows_before_trimming": round(self.weight) if "sample_weight" in self.columns else None,
            "motif_share_by_label": {name: _shares(counts) for name, counts in self.motifs.items()},
            "score_histograms": {
                name: dict(zip(CLASSES, counts.tolist(), strict=True)) for name, counts in self.scores.items()
            },
            "columns": {name: _column(column) for name, column in self.columns.items()},
        }


def _column(column: ColumnStats) -> dict[str, Any]:
    """Plain values; no extremes and quantiles for text, or where there is no finite value."""
    told: dict[str, Any] = {"type": str(column.kind), "nulls": column.nulls}
    if not column.is_number:
        return told
    told |= {"nans": column.nans, "infinite": column.infinite}
    if column.extremes is None:
        return told
    low, high = column.extremes
    values = column.values[~column.missing]
    values = values[np.isfinite(values)]
    return told | {"min": low, "max": high, "sample": values.size, "quantiles": _quantiles(values)}


def _provenance(source: Source) -> dict[str, Any]:
    """What the manifest says of where the rows come from; nothing for a dataset of another program."""
    master = source.master
    if master is None:
        return {"status": FOREIGN, "licence": "", "manifest": {}}
    manifest = master.manifest or {}
    names = ("dataset_id", "reference", "model", "params", "params_hash", "selection", "genes", "sources")
    licence = (manifest.get("model") or {}).get("licence", "")
    told = {name: manifest[name] for name in names if name in manifest}
    roles = {column.name: column.role.value for column in master.contract.columns}
    return {"status": master.status, "licence": licence, "manifest": told, "roles": roles}


def _labels(table: pa.Table) -> NDArray[np.int64] | None:
    """Label of each row, 0 for anything that is no label, shape `(n,)`; None where the dataset has none."""
    if "label" in table.column_names:
        label = table["label"].cast(pa.int64())
    elif "splice_type" in table.column_names:
        label = labels_of(table["splice_type"]).cast(pa.int64())
    else:
        return None
    values = pc.fill_null(label, 0).to_numpy()
    known: NDArray[np.int64] = np.where((values >= 0) & (values < len(CLASSES)), values, 0)
    return known


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    found = pc.value_counts(column.cast(pa.string())).to_pylist()
    return {value["values"] or "": value["counts"] for value in found}


def _shares(counts: NDArray[np.int64]) -> dict[str, float | None]:
    """Share of hits by label; None for a label without rows."""
    return {
        name: hits / (hits + misses) if hits + misses else None
        for name, (misses, hits) in zip(CLASSES, counts.tolist(), strict=True)
    }


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    if not values.size:
        return {}
    found = np.quantile(values.astype(np.float64), QUANTILES)
    return {f"{q:g}": float(value) for q, value in zip(QUANTILES, found, strict=True)}
