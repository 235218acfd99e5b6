"""Deduplication: what goes, what stays, and a row in the audit for each that went."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built, small_settings

from trainyard.splice import dedup as module
from trainyard.splice.dedup import DEDUP_AUDIT, audit, dedup
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import inspect_master
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from trainyard.yard.receipts import write_receipt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    every_position = small_settings(sampling={"keep_all": True})
    build = built(tmp_path_factory.mktemp("finished") / "splice", settings=every_position)
    build.assembled()
    return build


def foreign(folder: Path, *files: list[dict[str, Any]]) -> Path:
    """A dataset of another program."""
    folder.mkdir()
    for i, rows in enumerate(files, start=1):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"batch_{i:05d}.parquet")
    return folder


def row(gene_id: str, position: int, **more: Any) -> dict[str, Any]:
    return {"gene_id": gene_id, "position": position, "chrom": "1", "strand": "+", "x": 1.5, **more}


def rows_of(path: Path) -> list[tuple[str, int]]:
    return [(r["gene_id"], r["position"]) for r in pq.read_table(path).to_pylist()]


def test_a_dataset_of_ours_repeats_no_position_of_a_gene(finished: SmallBuild, tmp_path: Path) -> None:
    report = dedup(finished.base, tmp_path / "out").to_dict()
    assert report["dropped"] == report["duplicate_rate_before"] == report["duplicate_rate_after"] == {"key": 0}
    assert DEDUP_AUDIT.read(tmp_path / "out" / "dedup_audit.parquet").num_rows == 0
    for part in inspect_master(tmp_path / "out").parts:
        assert part.path.samefile(finished.master / part.path.name)


def test_the_genomic_view_leaves_one_row_per_base_and_strand(finished: SmallBuild, tmp_path: Path) -> None:
    before = inspect_master(finished.base).dataset.to_table(columns=["chrom", "strand", "exon_pos"])
    places = list(zip(*(before[name].to_pylist() for name in before.column_names), strict=True))
    assert len(places) > len(set(places)), "the build has no overlapping genes"
    report = dedup(finished.base, tmp_path / "out", genomic=True)
    after = inspect_master(tmp_path / "out")
    table = after.dataset.to_table(columns=["chrom", "strand", "exon_pos"])
    assert sorted(zip(*(table[name].to_pylist() for name in table.column_names), strict=True)) == sorted(set(places))
    assert report.dropped == {"key": 0, "genomic": len(places) - len(set(places))}
    assert report.left == {"key": 0, "genomic": 0}
    assert after.manifest and after.manifest["deduplicated"] == ["key", "genomic"]
    assert after.manifest["rows"] == table.num_rows
    assert after.manifest["deduplicated_from"] != after.manifest["dataset_id"]
    rows = read_gene_manifest(tmp_path / "out" / "master" / "gene_manifest.csv").to_pylist()
    assert sum(r["n_rows"] for r in rows) == table.num_rows


def test_the_audit_names_every_row_that_went_and_the_one_that_stayed(finished: SmallBuild, tmp_path: Path) -> None:
    dedup(finished.base, tmp_path / "out", genomic=True)
    names = ["gene_id", "position", "label", "chrom", "strand", "exon_pos"]
    rows = {path.name: pq.read_table(path, columns=names).to_pylist() for path in finished.master.glob("*.parquet")}
    went_rows = DEDUP_AUDIT.read(tmp_path / "out" / "dedup_audit.parquet").to_pylist()
    assert len(went_rows) == 4 * 250 - 8, "250 shared bases per pair, of which the other's sites have no row"
    for went in went_rows:
        old, kept = rows[went["file"]][went["row"]], rows[went["kept_file"]][went["kept_row"]]
        assert {name: old[name] for name in ("gene_id", "position", "label")} == {
            name: went[name] for name in ("gene_id", "position", "label")
        }
        assert kept["gene_id"] == went["kept_gene_id"] != went["gene_id"]
        assert all(old[name] == kept[name] == went[name] for name in ("chrom", "strand", "exon_pos"))
        assert kept["label"] > 0 or old["label"] == 0


def test_the_owner_of_the_site_wins_then_the_longest_gene_then_the_first_by_name(tmp_path: Path) -> None:
    def overlapping(gene_id: str, place: int, length: int, **more: Any) -> dict[str, Any]:
        return row(gene_id, place, exon_pos=place, gene_start=1, gene_end=length, **more)

    source = foreign(
        tmp_path / "in",
        [overlapping("a", 5, 100, splice_type=None), overlapping("b", 5, 50, splice_type="donor")],
        [overlapping("a", 6, 100, splice_type=None), overlapping("b", 6, 150, splice_type=None)],
        [overlapping("c", 7, 80, splice_type=None), overlapping("b", 7, 80, splice_type="0")],
    )
    dedup(source, tmp_path / "out", genomic=True)
    names = [f"batch_0000{i}.parquet" for i in (1, 2, 3)]
    assert [rows_of(tmp_path / "out" / "master" / name) for name in names] == [[("b", 5)], [("b", 6)], [("b", 7)]]
    went = DEDUP_AUDIT.read(tmp_path / "out" / "dedup_audit.parquet").to_pylist()
    assert [(r["gene_id"], r["why"]) for r in went] == [
        ("a", "owns the site"),
        ("a", "longer gene"),
        ("c", "lexically first gene"),
    ]


def test_the_first_of_repeated_rows_stays_across_files_and_types_are_kept(tmp_path: Path) -> None:
    source = foreign(
        tmp_path / "in",
        [row("a", 1, chrom=7), row("a", 2, chrom=7), row("a", 1, chrom=7)],
        [row("a", 2, chrom=7), row("b", 2, chrom=7)],
    )
    report = dedup(source, tmp_path / "out")
    assert (report.rows, report.dropped) == (5, {"key": 2})
    assert rows_of(tmp_path / "out" / "master" / "batch_00001.parquet") == [("a", 1), ("a", 2)]
    assert rows_of(tmp_path / "out" / "master" / "batch_00002.parquet") == [("b", 2)]
    assert pq.read_schema(tmp_path / "out" / "master" / "batch_00002.parquet").equals(
        pq.read_schema(source / "batch_00002.parquet")
    )
    went = DEDUP_AUDIT.read(tmp_path / "out" / "dedup_audit.parquet").to_pylist()
    assert [(r["file"], r["row"], r["kept_file"], r["kept_row"]) for r in went] == [
        ("batch_00001.parquet", 2, "batch_00001.parquet", 0),
        ("batch_00002.parquet", 0, "batch_00001.parquet", 1),
    ]
    assert read_json(tmp_path / "out" / "dedup.json")["duplicate_rate_before"] == {"key": 0.4}


def test_genes_with_equal_positions_are_no_duplicates(tmp_path: Path) -> None:
    source = foreign(tmp_path / "in", [row("a", 1), row("b", 1)])
    assert audit(source).dropped == {"key": 0}


def test_how_many_rows_are_held_at_once_changes_nothing(
    finished: SmallBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dedup(finished.base, tmp_path / "one", genomic=True)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 10)
    dedup(finished.base, tmp_path / "two", genomic=True)
    for name in ("dedup_audit.parquet", "dedup.json", "master/manifest.json", "master/part-00001.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_repeats_in_a_dataset_of_ours_are_found(finished: SmallBuild, tmp_path: Path) -> None:
    base = Path(shutil.copytree(finished.base, tmp_path / "splice"))
    part = base / "master" / "part-00001.parquet"
    table = pq.read_table(part)
    pq.write_table(pa.concat_tables([table, table.slice(3, 2)]), part)
    write_receipt(part, records=table.num_rows + 2)
    (base / "master" / "manifest.json").unlink()
    assert audit(base, allow_partial=True).dropped == {"key": 2}


def test_missing_columns_are_named(tmp_path: Path) -> None:
    source = foreign(tmp_path / "in", [row("a", 1)])
    with pytest.raises(InputError, match=r"no column exon_pos, gene_start, gene_end.*trainyard splice patch"):
        dedup(source, tmp_path / "out", genomic=True)
    with pytest.raises(InputError, match="already there"):
        dedup(source, tmp_path)
    assert not (tmp_path / "out").exists()
