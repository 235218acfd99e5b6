"""The doctor: finds what is damaged, moves only what is vouched for, and only when told to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built

from trainyard.splice.doctor import clean, examine, report
from trainyard.splice.scorestore import Entry, ScoreStore
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from trainyard.yard.receipts import receipt_path, write_receipt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build: SmallBuild = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    store = ScoreStore(build.base / "scores")
    entries = []
    for i, gene in enumerate(("G000", "G001")):
        key = f"{i:032x}"
        sha256 = store.put(key, np.zeros((2, 9), np.float32))
        entries.append(Entry(gene, 9, key, sha256, None))
    store.write_index(build.base / "scores" / "index_00001.parquet", entries, model_id="toy-1")
    return build.base


@pytest.fixture
def base(finished: Path, tmp_path: Path) -> Path:
    # A copy has no hard links, so a damaged part leaves its batch whole.
    return Path(shutil.copytree(finished, tmp_path / "splice"))


def told(base: Path) -> list[tuple[str, str, bool]]:
    return [(a.path.relative_to(base).as_posix(), a.kind, bool(a.moves)) for a in examine(base)]


def test_a_whole_run_has_nothing_amiss(base: Path) -> None:
    assert told(base) == []
    assert clean(base, examine(base)) == (None, 0)
    assert not (base / "trash").exists()


PART = "master/part-00002.parquet"


def _flip(base: Path) -> None:
    data = bytearray((base / PART).read_bytes())
    data[50] ^= 1
    (base / PART).write_bytes(bytes(data))


def _cut(base: Path) -> None:
    (base / PART).write_bytes((base / PART).read_bytes()[:-20])


def _remove(base: Path) -> None:
    (base / PART).unlink()


def _miscount(base: Path) -> None:
    write_receipt(base / PART, records=3)


def _unreadable(base: Path) -> None:
    (base / PART).write_text("not Parquet")
    write_receipt(base / PART, records=3)


def _other_columns(base: Path) -> None:
    table = pq.read_table(base / PART)
    field = table.schema.field("gc_content").with_name("gc_again")
    pq.write_table(table.append_column(field, table["gc_content"]), base / PART)
    write_receipt(base / PART, records=table.num_rows)


def _other_schema_than_receipt(base: Path) -> None:
    write_receipt(base / PART, records=pq.read_metadata(base / PART).num_rows, schema="0" * 64)


def _no_contract(base: Path) -> None:
    table = pq.read_table(base / PART).replace_schema_metadata(None)
    pq.write_table(table, base / PART)
    write_receipt(base / PART, records=table.num_rows)


def _no_receipt(base: Path) -> None:
    receipt_path(base / PART).unlink()


def _broken_receipt(base: Path) -> None:
    receipt_path(base / PART).write_text("{")


@pytest.mark.parametrize(
    ("damage", "kind", "vouched"),
    [
        (_flip, "corrupted", True),
        (_cut, "corrupted", True),
        (_remove, "corrupted", True),
        (_miscount, "corrupted", True),
        (_unreadable, "corrupted", True),
        (_other_columns, "wrong_schema", True),
        (_other_schema_than_receipt, "wrong_schema", True),
        (_no_contract, "wrong_schema", True),
        (_no_receipt, "no_receipt", False),
        (_broken_receipt, "corrupted", False),
    ],
)
def test_what_ails_a_part_is_told_and_only_what_is_vouched_for_goes(
    base: Path, damage: Callable[[Path], None], kind: str, vouched: bool
) -> None:
    damage(base)
    assert told(base) == [(PART, kind, vouched)]
    here = (base / PART).exists()
    trash, moved = clean(base, examine(base))
    assert (base / PART).exists() == (here and not vouched)
    assert moved == (1 + here if vouched else 0)
    if vouched:
        assert trash == base / "trash" / "001"
        assert (trash / f"{PART}.receipt.json").is_file() and (trash / PART).is_file() == here
        assert {row["path"] for row in read_json(trash / "moved.json")} >= {f"{PART}.receipt.json"}
        assert told(base) == []


def test_looking_changes_nothing(base: Path) -> None:
    _flip(base)
    before = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    examine(base)
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == before


def test_a_broken_score_takes_its_index_along_so_that_its_batch_is_scored_again(base: Path) -> None:
    store = ScoreStore(base / "scores")
    path = store.path(f"{1:032x}")
    path.write_bytes(path.read_bytes() + b"x")
    found = examine(base)
    assert [(a.path, a.kind) for a in found] == [(path, "corrupted")]
    assert "index_00001.parquet vouches for it as G001" in found[0].why
    clean(base, found)
    assert not path.exists() and not (base / "scores" / "index_00001.parquet").exists()
    assert store.path(f"{0:032x}").is_file()


def test_a_missing_score_is_told(base: Path) -> None:
    ScoreStore(base / "scores").path(f"{0:032x}").unlink()
    assert [(kind, vouched) for _, kind, vouched in told(base)] == [("corrupted", True)]


def test_tables_and_records_without_receipt_are_listed_and_left(base: Path) -> None:
    (base / "plan" / "pool.parquet").write_bytes(b"torn")
    (base / "plan" / "ledger.json").write_text("{")
    assert told(base) == [("plan/ledger.json", "corrupted", False), ("plan/pool.parquet", "corrupted", False)]
    assert clean(base, examine(base)) == (None, 0)


def test_a_table_of_another_version_is_told(base: Path) -> None:
    path = base / "batches" / "performance_00001.parquet"
    table = pq.read_table(path).drop_columns(["fnr"])
    pq.write_table(table, path)
    write_receipt(path, records=table.num_rows)
    found = examine(base)
    assert [(a.path, a.kind) for a in found] == [(path, "wrong_schema")]
    assert "than this version writes as splice_performance" in found[0].why


def test_files_of_other_people_are_none_of_its_business(base: Path) -> None:
    (base / "master" / "notes.tsv").write_text("mine")
    pq.write_table(pq.read_table(base / PART).replace_schema_metadata(None), base / "my_own.parquet")
    (base / "gene_manifest.tsv").write_text("x")
    assert told(base) == []


def test_a_temporary_file_that_is_gone_is_no_damage(base: Path) -> None:
    (base / "batches" / "batch_00001_raw.parquet").unlink()
    assert told(base) == []


def test_only_the_kinds_asked_for_go_and_trash_is_numbered(base: Path) -> None:
    _flip(base)
    third = base / "master" / "part-00003.parquet"
    write_receipt(third, records=pq.read_metadata(third).num_rows, schema="0" * 64)
    first = clean(base, examine(base), kinds=["wrong_schema"])
    assert first == (base / "trash" / "001", 2)
    assert (base / PART).exists()
    assert clean(base, examine(base), kinds=["corrupted"])[0] == base / "trash" / "002"
    assert examine(base) == []


def test_a_report_has_paths_of_the_run(base: Path) -> None:
    _flip(base)
    found = report(base, examine(base))
    assert found["counts"] == {"corrupted": 1}
    assert found["files"][0]["path"] == PART
    assert str(base) not in json.dumps(found)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        examine(tmp_path / "none")
    (tmp_path / "thesis.docx").write_text("x")
    with pytest.raises(InputError, match="holds no files of a run"):
        examine(tmp_path)
