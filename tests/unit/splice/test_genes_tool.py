"""Gene lists out of artifacts: every gene that is named, its head, or a sample that grows without moving."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard.splice.genelist import read_gene_file
from trainyard.splice.genes_tool import choose, find_genes, write_genes
from trainyard.yard.errors import ConfigError, InputError

NAMES = [f"g{i:02d}" for i in range(30)]


def test_genes_are_collected_from_tables_folders_and_lists_in_the_order_met(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    (folder / ".hidden").mkdir(parents=True)
    pq.write_table(pa.table({"gene_id": ["x"]}), folder / ".hidden" / "z.parquet")
    pq.write_table(pa.table({"gene_id": ["c", "a", "c"], "position": [1, 2, 3]}), folder / "b.parquet")
    (folder / "a.tsv").write_text("type\tgene_id\ngene\tb\ntranscript\t\n")
    (folder / "notes.txt").write_text("not a table")
    (tmp_path / "more.txt").write_text("d\na\n")
    found = find_genes([folder, tmp_path / "more.txt"])
    assert found.rows == {"b": 1, "c": 2, "a": 2, "d": 1}
    assert list(found.rows) == ["b", "c", "a", "d"]
    assert (found.files, found.without) == (3, 1)


def test_a_larger_sample_begins_with_the_smaller_one() -> None:
    few, many = choose(NAMES, sample=5, seed=1), choose(NAMES, sample=12, seed=1)
    assert many[:5] == few
    assert choose(list(reversed(NAMES)), sample=5, seed=1) == few
    assert choose(NAMES, sample=5, seed=2) != few
    assert few != NAMES[:5]


def test_head_and_all_keep_the_order() -> None:
    assert choose(NAMES, head=3) == NAMES[:3]
    assert choose(NAMES) == NAMES


def test_what_cannot_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not for both"):
        choose(NAMES, head=1, sample=1)
    with pytest.raises(InputError, match="31 genes are asked for, but there are only 30"):
        choose(NAMES, sample=31)
    (tmp_path / "t.csv").write_text("gene_id,x\n,1\n")
    with pytest.raises(InputError, match="name no gene in column 'gene_id'"):
        find_genes([tmp_path / "t.csv"])
    with pytest.raises(InputError, match=r"t.csv: has no column symbol"):
        find_genes([tmp_path / "t.csv"], gene_col="symbol")
    with pytest.raises(InputError, match="no such file or folder"):
        find_genes([tmp_path / "none"])


def test_a_written_list_is_a_gene_file(tmp_path: Path) -> None:
    write_genes(tmp_path / "genes.tsv", ["b", "a"], {"a": 2, "b": 1})
    assert (tmp_path / "genes.tsv").read_text() == "gene_id\tn_rows\nb\t1\na\t2\n"
    assert [entry.text for entry in read_gene_file(tmp_path / "genes.tsv", gene_col="gene_id")] == ["b", "a"]
