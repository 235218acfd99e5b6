"""Foreign tables: found by name, read in pieces with stated types; and folders that are whole or not there."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard.splice import naming
from trainyard.splice.artifacts import column_names, find_artifacts, stream
from trainyard.splice.folders import new_folder
from trainyard.splice.sources import open_source
from trainyard.yard.errors import InputError

TEXT = pa.string()


def rows(path: Path, **types: pa.DataType) -> list[dict[str, object]]:
    return [row for table in stream(path, types) for row in table.to_pylist()]


def test_text_is_read_with_the_types_that_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("chrom\tposition\tx\n1\t5\ty\n\t7\tz\n")
    assert rows(tmp_path / "a.tsv", position=pa.int64(), chrom=TEXT) == [
        {"position": 5, "chrom": "1"},
        {"position": 7, "chrom": None},
    ]
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"chrom,position\nX,1\n"))
    assert rows(tmp_path / "b.csv.gz", chrom=TEXT) == [{"chrom": "X"}]
    assert column_names(tmp_path / "b.csv.gz") == ["chrom", "position"]


def test_parquet_is_cast_to_the_types_that_are_asked_for(tmp_path: Path) -> None:
    pq.write_table(pa.table({"chrom": [1, 2], "position": pa.array([5, 7], pa.int32())}), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet", chrom=TEXT, position=pa.int64()) == [
        {"chrom": "1", "position": 5},
        {"chrom": "2", "position": 7},
    ]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.tsv", "chrom\n1\n", "has no column position"),
        ("a.csv", "position\nfive\n", "cannot be read"),
        ("a.csv", "", "cannot be read"),
        ("a.parquet", "no", "cannot be read"),
        ("a.csv.gz", "no", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: {says}"):
        rows(tmp_path / name, position=pa.int64())


def test_only_tables_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/x.tsv", "a/y.parquet", "a/z.txt", ".h/z.csv", "c.CSV.GZ"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.name for path in find_artifacts([tmp_path])] == ["y.parquet", "x.tsv", "c.CSV.GZ"]
    with pytest.raises(InputError, match="not a table this command reads"):
        find_artifacts([tmp_path / "a" / "z.txt"])
    with pytest.raises(InputError, match="no such file or folder"):
        find_artifacts([tmp_path / "none"])


def test_a_foreign_dataset_must_be_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\n1\n")
    with pytest.raises(InputError, match="holds no Parquet files"):
        open_source(tmp_path)


def test_a_new_folder_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_folder(tmp_path / "new") as part:
        (part / "half").write_text("x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".new.part").mkdir()
    (tmp_path / ".new.part" / "of a killed process").write_text("x")
    with new_folder(tmp_path / "new") as part:
        (part / "whole").write_text("x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["whole"]
    with pytest.raises(InputError, match="is already there"), new_folder(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_names_of_batches_are_padded_and_grow() -> None:
    assert naming.master_part(1) == "part-00001.parquet"
    assert naming.trim_batch(123_456) == "batch_123456_trim.parquet"
    names = ["part-00012.parquet", "part-123456.parquet", "part-012345.parquet", "part-1.parquet", "part-00000.parquet"]
    assert [naming.parse_part(name) for name in names] == [12, 123456, None, None, None]
    with pytest.raises(ValueError, match="from 1"):
        naming.batch_label(0)


def test_indexes_and_inputs_of_figures_are_a_function_of_the_number_of_batches() -> None:
    assert [path.name for path in naming.score_indexes(Path("s"), 2)] == ["index_00001.parquet", "index_00002.parquet"]
    base = Path("results/t/splice")
    assert naming.figure_inputs("base_scores", base, 2) == [
        base / "master/part-00001.parquet",
        base / "master/part-00002.parquet",
    ]
    assert naming.figure_inputs("rejections", base, 1)[-1] == base / "batches/ledger_00001.json"
    with pytest.raises(InputError, match="no figure 'pie'; one of class_balance"):
        naming.figure_inputs("pie", base, 1)
