"""Rows per gene, and where they stand in their part."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard.splice.genecounts import count_rows, row_groups, total
from trainyard.splice.genemanifest import KEPT, base_f1, placed, read_gene_manifest, write_gene_manifest
from trainyard.splice.master import Part
from trainyard.yard.errors import IntegrityError
from trainyard.yard.receipts import write_receipt


def part(path: Path, genes: list[str], **columns: list[object]) -> Part:
    """A part with one row per name, in row groups of 10."""
    table = {"gene_id": genes, "label": [0] * len(genes), "pred_type": ["TN"] * len(genes)} | columns
    table.setdefault("sample_weight", [1.5] * len(genes))
    pq.write_table(pa.table(table), path, row_group_size=10)
    return Part(path, write_receipt(path, records=len(genes)))


def test_rows_are_counted_by_class_and_placed_by_row_group(tmp_path: Path) -> None:
    parts = [part(tmp_path / "part-00004.parquet", ["a"] * 10 + ["b"] * 15 + ["c"])]
    parts.append(part(tmp_path / "part-00007.parquet", ["d"] * 2, label=[1, 2], pred_type=["TP", "FN"]))
    counts = count_rows(parts)
    assert {gene: (rows.part, rows.rows, rows.weight) for gene, rows in counts.items()} == {
        "a": (0, 10, 15.0),
        "b": (0, 15, 22.5),
        "c": (0, 1, 1.5),
        "d": (1, 2, 3.0),
    }
    assert [row_groups(parts[counts[gene].part].path, counts[gene]) for gene in "abcd"] == [
        (0, 0),
        (1, 2),
        (2, 2),
        (0, 0),
    ]
    assert total(list(counts.values())) == {
        "rows": 28,
        "rows_by_label": {"neither": 26, "donor": 1, "acceptor": 1},
        "rows_by_pred_type": {"TP": 1, "FP": 0, "FN": 1, "TN": 26},
        "rows_before_trimming": 42,
    }
    row = placed({"gene_id": "d", "status": KEPT}, parts, counts["d"])
    assert (row["file_index"], row["file_name"], row["n_donor"], row["n_fn"]) == (7, "part-00007.parquet", 1, 1)


def test_a_gene_in_two_parts_and_an_unknown_class_are_refused(tmp_path: Path) -> None:
    parts = [part(tmp_path / "part-00001.parquet", ["a"]), part(tmp_path / "part-00002.parquet", ["b", "a"])]
    with pytest.raises(IntegrityError, match=r"gene a has rows in part-00001.parquet and in part-00002.parquet"):
        count_rows(parts)
    with pytest.raises(IntegrityError, match="a label is not 0, 1 or 2"):
        count_rows([part(tmp_path / "part-00003.parquet", ["a"], label=[3])])
    with pytest.raises(IntegrityError, match="an outcome not TP"):
        count_rows([part(tmp_path / "part-00003.parquet", ["a"], pred_type=["?"])])


def test_a_gene_manifest_reads_back_with_its_types(tmp_path: Path) -> None:
    rows = [
        {"gene_id": "1", "gene_name": "", "chrom": "1", "status": KEPT, "base_f1": 0.5, "n_rows": 3},
        {
            "gene_id": None,
            "requested_as": 'no "such", gene (line 2)',
            "status": "failed",
            "reason": "not_in_annotation",
        },
        {"gene_id": "2", "status": KEPT, "reason": ""},
    ]
    write_gene_manifest(tmp_path / "m.csv", rows)
    found = read_gene_manifest(tmp_path / "m.csv").to_pylist()
    assert [(r["global_index"], r["gene_id"], r["chrom"], r["base_f1"], r["n_rows"]) for r in found] == [
        (0, "1", "1", 0.5, 3),
        (None, None, None, None, None),
        (1, "2", None, None, None),
    ]
    assert found[1]["requested_as"] == 'no "such", gene (line 2)'
    (tmp_path / "m.csv").write_text("gene_id,status\na,kept\n")
    with pytest.raises(IntegrityError):
        read_gene_manifest(tmp_path / "m.csv")


def test_f1_is_empty_without_site_and_call() -> None:
    counts = {"TP": 0, "FP": 0, "FN": 0}
    assert base_f1([{"splice_type": "donor", **counts}]) == {"base_f1_donor": None, "base_f1": None}
    both = [{"splice_type": "donor", **counts}, {"splice_type": "acceptor", "TP": 1, "FP": 1, "FN": 0}]
    assert base_f1(both)["base_f1"] == pytest.approx(2 / 3)
