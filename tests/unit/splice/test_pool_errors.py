"""Effective counts: a position counts once, however many rows a table spends on it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from small_build import built

from trainyard.splice.pool_errors import errors_from_positions, errors_from_scores
from trainyard.yard.errors import InputError


def positions(*rows: tuple[str, int, str]) -> pa.Table:
    names, places, outcomes = zip(*rows, strict=True)
    return pa.table({"gene_id": names, "position": places, "pred_type": outcomes, "chrom": ["1"] * len(rows)})


def counts(table: pa.Table) -> dict[str, tuple[int, int, int, int]]:
    return {r["gene_id"]: (r["n_tp"], r["n_fp"], r["n_fn"], r["n_errors"]) for r in table.to_pylist()}


def test_positions_count_once_across_rows_and_files(tmp_path: Path) -> None:
    first = positions(("a", 5, "FN"), ("a", 5, "FN"), ("a", 6, "FP"), ("b", 5, "TN"), ("x", 1, "FP"))
    second = positions(("a", 5, "FN"), ("a", 6, "TP"), ("a", 9, "FP"), ("c", 2, "TP"))
    pq.write_table(first, tmp_path / "splice_positions_enhanced_1.parquet")
    pa_csv.write_csv(second, tmp_path / "two.tsv", pa_csv.WriteOptions(delimiter="\t"))
    found = errors_from_positions([tmp_path], ["a", "b", "c", "d"])
    assert counts(found) == {"a": (1, 1, 1, 2), "b": (0, 0, 0, 0), "c": (1, 0, 0, 0)}


def test_errors_counted_from_scores_are_those_of_the_rows(tmp_path: Path) -> None:
    build = built(tmp_path / "splice", failing=("G003",))
    found = errors_from_scores(build, build.genes, settings=build.settings.labels)
    parts = sorted(build.master.glob("*.parquet"))
    rows = pa.concat_tables([pq.read_table(part, columns=["gene_id", "position", "pred_type"]) for part in parts])
    pq.write_table(rows, tmp_path / "rows.parquet")
    assert counts(found) == counts(errors_from_positions([tmp_path / "rows.parquet"], build.genes))
    assert len(counts(found)) == 11
    assert sum(row["n_errors"] for row in found.to_pylist()) > 20


def test_unknown_outcomes_and_missing_values_are_refused(tmp_path: Path) -> None:
    pq.write_table(positions(("a", 5, "XX")), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t.parquet: pred_type holds XX"):
        errors_from_positions([tmp_path / "t.parquet"], ["a"])
    (tmp_path / "t.csv").write_text("gene_id,position,pred_type\na,,FP\n")
    with pytest.raises(InputError, match="no value in some rows"):
        errors_from_positions([tmp_path / "t.csv"], ["a"])
    (tmp_path / "u.csv").write_text("gene_id,pred_type\na,FP\n")
    with pytest.raises(InputError, match=r"u.csv: has no column position"):
        errors_from_positions([tmp_path / "u.csv"], ["a"])
