"""Assembling: one dataset of all parts, with every gene that was asked for accounted for."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built, small_settings

from trainyard.splice.check import check_build
from trainyard.splice.dataset_schema import PERFORMANCE
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import inspect_master, open_master
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json
from trainyard.yard.receipts import receipt_path, write_receipt


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    build = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    return build


def copy_of(build: SmallBuild, folder: Path) -> SmallBuild:
    return SmallBuild(Path(shutil.copytree(build.base, folder / "splice")), settings=build.settings)


def test_the_manifest_counts_what_the_parts_hold(finished: SmallBuild) -> None:
    manifest = read_json(finished.master / "manifest.json")
    assert (manifest["status"], manifest["parts_planned"]) == ("complete", 3)
    assert manifest["rows"] == sum(pq.read_metadata(p).num_rows for p in finished.master.glob("*.parquet"))
    assert manifest["rows_by_label"]["donor"] == manifest["rows_by_label"]["acceptor"] == 24
    # In each of four overlapping pairs, either gene leaves out a site of the other.
    assert manifest["rows_before_trimming"] == 12 * 900 - 8
    assert manifest["genes"] == {"kept": 12}
    assert manifest["reference"]["reference_id"] == "ref-1"
    assert manifest["model"]["licence"] == "none"
    assert [c["family"] for c in manifest["schema"]["columns"] if c["name"] == "donor_is_gt"] == ["motif"]


def test_the_gene_manifest_has_the_published_columns_and_the_rows_of_every_gene(finished: SmallBuild) -> None:
    with (finished.master / "gene_manifest.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[:15] == [
        *("global_index", "gene_id", "gene_name", "gene_type", "chrom", "strand", "gene_length", "start", "end"),
        *("total_splice_sites", "donor_sites", "acceptor_sites", "splice_density_per_kb", "file_index", "file_name"),
    ]
    rows = read_gene_manifest(finished.master / "gene_manifest.csv").to_pylist()
    assert [row["global_index"] for row in rows] == list(range(12))
    table = pq.read_table(finished.master / "part-00002.parquet", columns=["gene_id", "label", "pred_type"]).to_pylist()
    for row in rows:
        mine = [r for r in table if r["gene_id"] == row["gene_id"]]
        if row["file_name"] != "part-00002.parquet":
            assert mine == []
            continue
        assert row["file_index"] == 2
        assert row["n_rows"] == len(mine)
        assert row["n_donor"] == row["n_acceptor"] == 2
        assert row["n_fn"] == sum(r["pred_type"] == "FN" for r in mine)
        assert row["n_rows_before_trimming"] in (899, 900)
        assert row["total_splice_sites"] == 4
        assert row["splice_density_per_kb"] == pytest.approx(4 / 0.9)
        assert (row["first_row_group"], row["last_row_group"]) == (0, 0)
        assert row["chosen_by"] == "random"


def test_base_f1_pools_both_types(finished: SmallBuild) -> None:
    performance = [
        row for path in sorted((finished.base / "batches").glob("performance_*.parquet"))
        for row in PERFORMANCE.read(path).to_pylist()
    ]  # fmt: skip
    for row in read_gene_manifest(finished.master / "gene_manifest.csv").to_pylist():
        tp, fp, fn = (sum(r[n] for r in performance if r["gene_id"] == row["gene_id"]) for n in ("TP", "FP", "FN"))
        assert row["base_f1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_the_performance_table_is_tab_separated_without_quotes(finished: SmallBuild) -> None:
    lines = (finished.base / "full_splice_performance.tsv").read_text().splitlines()
    assert lines[0].split("\t") == list(PERFORMANCE.names)
    assert len(lines) == 1 + 2 * 12
    assert '"' not in "".join(lines)


def test_the_same_parts_give_the_same_bytes(finished: SmallBuild, tmp_path: Path) -> None:
    again = copy_of(finished, tmp_path)
    names = [
        again.master / "manifest.json",
        again.master / "gene_manifest.csv",
        again.base / "full_splice_performance.tsv",
    ]
    before = [path.read_bytes() for path in names]
    for path in names:
        path.unlink()
    again.assembled()
    assert [path.read_bytes() for path in names] == before


def test_more_genes_add_parts_and_leave_the_old_ones_untouched(finished: SmallBuild, tmp_path: Path) -> None:
    few = built(tmp_path / "few", settings=small_settings(selection={"n_genes": 4}))
    few.assembled()
    assert inspect_master(few.base).rows
    old = (few.master / "part-00001.parquet").read_bytes()
    assert old == (finished.master / "part-00001.parquet").read_bytes()
    few.settings = small_settings(selection={"n_genes": 12})
    few.plan().batches(2, 3)
    assert few.assembled()["dataset_id"] == read_json(finished.master / "manifest.json")["dataset_id"]


def test_fewer_genes_take_parts_out_that_stay_among_the_batches(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    build.settings = small_settings(selection={"n_genes": 4})
    build.assembled()
    assert [part.path.name for part in inspect_master(build.base).parts] == ["part-00001.parquet"]
    assert (build.base / "batches" / "batch_00003_trim.parquet").is_file()


def test_a_part_of_no_batch_is_not_thrown_away(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    shutil.copy(build.master / "part-00001.parquet", build.master / "part-00009.parquet")
    with pytest.raises(IntegrityError, match=r"part-00009.parquet: the plan has 3 batches"):
        build.assembled()
    assert (build.master / "part-00009.parquet").is_file()


def test_missing_parts_stop_it_unless_a_partial_dataset_is_wanted(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    (build.master / "part-00002.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"1 of 3 parts are missing, first part-00002.parquet"):
        build.assembled()
    manifest = build.assembled(partial=True)
    assert (manifest["status"], manifest["genes"]) == ("partial 2 of 3", {"kept": 8, "pending": 4})
    rows = read_gene_manifest(build.master / "gene_manifest.csv").to_pylist()
    assert [row["status"] for row in rows] == ["kept"] * 4 + ["pending"] * 4 + ["kept"] * 4
    assert rows[4]["n_rows"] is None
    assert rows[8]["file_index"] == 3


def test_a_gene_in_the_wrong_part_is_refused(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    for name in ("part-00002.parquet", "part-00002.parquet.receipt.json"):
        shutil.copy(build.master / name.replace("2", "1"), build.master / name)
    with pytest.raises(IntegrityError, match=r"has rows in part-00001.parquet and in part-00002.parquet"):
        build.assembled()


def test_a_gene_that_was_not_planned_is_refused(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    path = build.master / "part-00002.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("gene_id")
    strange = table.set_column(place, table.schema.field(place), [["stranger"] * table.num_rows])
    pq.write_table(strange, path)
    write_receipt(path, records=table.num_rows)
    with pytest.raises(IntegrityError, match="rows of 1 genes that are not in the plan, first stranger"):
        build.assembled()


def test_failed_genes_are_listed_with_their_reason_and_limited(tmp_path: Path) -> None:
    build = built(tmp_path / "splice", failing=("G003",), settings=small_settings(selection={"max_failed_genes": 0.1}))
    build.assembled()
    failed = [r for r in read_gene_manifest(build.master / "gene_manifest.csv").to_pylist() if r["status"] == "failed"]
    assert [(row["gene_id"], row["reason"], row["n_rows"]) for row in failed] == [("G003", "no_scores", 0)]
    build.settings = small_settings()
    with pytest.raises(IntegrityError, match=r"1 of 12 genes failed.* = 0.01 allows: G003 \(no_scores\)"):
        build.assembled()


def test_the_list_of_genes_outlives_a_dataset_that_is_refused_for_them(tmp_path: Path) -> None:
    """Snakemake deletes the declared outputs of a job that has failed; this one is none of them."""
    failing = tuple(f"G{number:03d}" for number in range(11))
    build = built(tmp_path / "splice", failing=failing)
    told = build.base / "check" / "gene_manifest_refused.csv"
    with pytest.raises(IntegrityError, match=r"and 1 more; .*check/gene_manifest_refused.csv lists every gene"):
        build.assembled()
    assert not (build.master / "gene_manifest.csv").exists()
    rows = read_gene_manifest(told).to_pylist()
    assert {row["gene_id"]: row["reason"] for row in rows if row["status"] == "failed"} == dict.fromkeys(
        failing, "no_scores"
    )
    assert len(rows) == 12
    build.settings = small_settings(selection={"max_failed_genes": 0.95})
    build.assembled()
    assert not told.exists()
    assert len(read_gene_manifest(build.master / "gene_manifest.csv").to_pylist()) == 12


def test_every_requested_gene_ends_in_the_gene_manifest(tmp_path: Path) -> None:
    listed = tmp_path / "genes.txt"
    listed.write_text("NAME5\nG001.3\nG001\nnope\nG007\n")
    chosen = {"policy": "custom", "gene_file": listed, "n_genes": 2, "max_failed_genes": 0.5}
    build = built(tmp_path / "splice", settings=small_settings(selection=chosen))
    manifest = build.assembled()
    rows = read_gene_manifest(build.master / "gene_manifest.csv").to_pylist()
    assert [(r["gene_id"], r["requested_as"], r["status"], r["reason"]) for r in rows] == [
        ("G005", "NAME5 (line 1)", "kept", None),
        ("G001", "G001.3 (line 2)", "kept", None),
        ("G007", "G007 (line 5)", "left_out", "not_chosen"),
        ("G001", "G001 (line 3)", "left_out", "repeated_gene"),
        (None, "nope (line 4)", "failed", "not_in_annotation"),
    ]
    assert manifest["genes"] == {"failed": 1, "kept": 2, "left_out": 2}


def test_batches_that_the_genes_do_not_fill_are_empty_parts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build = built(tmp_path / "splice", settings=small_settings(selection={"n_genes": 20}))
    build.batches(4, 5)
    manifest = build.assembled(batches=5)
    assert [part["rows"] > 0 for part in manifest["parts"]] == [True, True, True, False, False]
    assert "20 genes are asked for, policy 'random' has 12" in caplog.text
    assert (manifest["status"], manifest["parts_planned"], manifest["genes"]) == ("complete", 5, {"kept": 12})
    assert open_master(build.base).count_rows() == manifest["rows"]
    assert all(finding.passed is not False for finding in check_build(build.base, build.settings).findings)


def test_splits_are_taken_along(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    build.assembled(splits=dict.fromkeys(build.genes[:6], "train"))
    rows = read_gene_manifest(build.master / "gene_manifest.csv").to_pylist()
    assert sum(row["split"] == "train" for row in rows) == 6


def test_a_receipt_alone_makes_no_part(finished: SmallBuild, tmp_path: Path) -> None:
    build = copy_of(finished, tmp_path)
    receipt_path(build.master / "part-00003.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"first part-00003.parquet"):
        build.assembled()
