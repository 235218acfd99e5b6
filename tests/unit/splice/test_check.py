"""The contract of a dataset: each of the twelve checks passes what is right and names what is wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built, small_settings

from trainyard.splice.check import Report, check_build, check_dataset
from trainyard.splice.columnchecks import class_aucs, column_facts, roc_auc
from trainyard.splice.master import contract_of
from trainyard.splice.reference import Reference
from trainyard.splice.rowsample import sampled, share_of
from trainyard.splice.splittable import read_splits
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.receipts import write_receipt

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    build = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    return build


@pytest.fixture
def build(finished: SmallBuild, tmp_path: Path) -> SmallBuild:
    base = Path(shutil.copytree(finished.base, tmp_path / "splice"))
    told = read_json(base / "reference" / "reference.json")
    write_json(base / "reference" / "reference.json", told | {"fasta": {"path": str(base / "genome.fa")}})
    return SmallBuild(base)


def tamper(build: SmallBuild, change: Change, *, number: int = 1) -> None:
    """Change columns of a part (given as lists), with receipt and manifest to match."""
    path = build.master / f"part-{number:05d}.parquet"
    contract = contract_of(path)
    columns = pq.read_table(path).to_pydict()
    change(columns)
    arrays = [pa.array(columns[column.name], column.type) for column in contract.columns]
    pq.write_table(pa.Table.from_arrays(arrays, schema=contract.schema), path)
    receipt = write_receipt(path, records=len(arrays[0]), schema=contract.digest)
    manifest = read_json(build.master / "manifest.json")
    manifest["parts"][number - 1]["sha256"] = receipt.sha256
    write_json(build.master / "manifest.json", manifest)


def check(build: SmallBuild, **options: Any) -> Report:
    return check_dataset(build.base, reference=Reference(build.base / "reference"), **options)


def failed(report: Report) -> dict[int, str]:
    return {f.number: "; ".join(f.problems) for f in report.findings if f.passed is False}


def test_a_finished_build_passes_and_is_written_down(build: SmallBuild) -> None:
    splits = pa.table({"gene_id": build.genes, "locus_cluster": [r["locus_cluster"] for r in build.rows]})
    pq.write_table(splits.append_column("split", [["train"] * 12]), build.base / "split.parquet")
    report = check_build(build.base, build.settings, splits=build.base / "split.parquet")
    assert [f.passed for f in report.findings] == [True] * 12
    told = read_json(build.base / "check" / "check.json")
    assert [c["state"] for c in told["checks"]] == ["passed"] * 12
    assert set(read_json(build.base / "check" / "ledger.json")) == {"reference", "plan", "batches"}


def test_a_refused_build_has_no_report_of_passed_checks(build: SmallBuild) -> None:
    check_build(build.base, build.settings)
    tamper(build, set_at("donor_score", 0, 2.0))
    with pytest.raises(IntegrityError, match="checks failed"):
        check_build(build.base, build.settings)
    assert not (build.base / "check" / "check.json").exists()
    told = read_json(build.base / "check" / "check_refused.json")
    assert "failed" in {c["state"] for c in told["checks"]}


def test_what_cannot_be_checked_is_not_passed(build: SmallBuild) -> None:
    report = check_dataset(build.base)
    assert {f.number for f in report.findings if f.passed is None} == {5, 6, 7, 12}
    report.raise_failures()
    assert {f.number for f in check(build, with_genome=False).findings if f.passed is None} == {6, 7, 12}


def set_at(name: str, row: int, value: Any) -> Change:
    def change(columns: dict[str, Any]) -> None:
        columns[name][row] = value

    return change


def _repeat(columns: dict[str, Any]) -> None:
    columns["position"][1] = columns["position"][0]


def _other_site(columns: dict[str, Any]) -> None:
    row = columns["label"].index(1)
    for name, value in (("label", 2), ("is_donor", False), ("is_acceptor", True)):
        columns[name][row] = value


def _all(name: str, value: Any) -> Change:
    def change(columns: dict[str, Any]) -> None:
        columns[name] = [value] * len(columns[name])

    return change


@pytest.mark.parametrize(
    ("number", "change", "says"),
    [
        (2, _repeat, r"part-00001.parquet: gene G\d+, position \d+: stands twice"),
        (3, set_at("donor_score", 3, 1.5), r"a score is not a probability"),
        (3, set_at("acceptor_score", 3, float("nan")), r"a score is not a probability"),
        (3, set_at("neither_score", 3, 0.2), r"do not add up to 1"),
        (4, set_at("label", 0, 7), r"label is not 0, 1 or 2"),
        (4, set_at("is_donor", 0, True), r"label and is_donor"),
        (4, set_at("pred_type", 0, "TP"), r"label and pred_type disagree"),
        (4, set_at("pred_type", 0, "FP"), r"pred_type is not what label, scores and threshold give"),
        (4, set_at("called_type", 0, "donor"), r"called_type is not what the scores give"),
        (4, set_at("argmax_type", 0, "donor"), r"argmax_type is not the most probable"),
        (4, set_at("sample_weight", 0, 0.5), r"sample_weight does not fit"),
        (4, set_at("stratum", 0, "odd"), r"sample_weight does not fit"),
        (5, _other_site, r"gene G\d+: 1 donors and 3 acceptors, annotated 2 and 2"),
        (6, set_at("exon_pos", 2, 5), r"position and exon_pos are not the same base"),
        (6, set_at("position", 2, 9999), r"position lies outside of the gene"),
        (6, set_at("base", 2, "N"), r"base is not that of the genome"),
        (6, set_at("chrom", 2, "2"), r"the gene lies elsewhere in the reference tables"),
        (8, set_at("gc_content", 4, float("inf")), r"gc_content: 1 infinite"),
        (8, set_at("gc_content", 4, float("nan")), r"gc_content: 0 null, 1 NaN"),
        (9, _all("gene_id", "G000"), r"gene G000 has rows in part-00001.parquet and|gene G000 has \d+ rows, the gene"),
    ],
)
def test_a_wrong_row_is_named(build: SmallBuild, number: int, change: Change, says: str) -> None:
    tamper(build, change)
    found = failed(check(build))
    assert number in found
    assert re.search(says, found[number]), found


def test_failed_integrity_ends_with_code_3_and_failed_leakage_with_4(build: SmallBuild) -> None:
    def betray(columns: dict[str, Any]) -> None:
        columns["rep_num_exons"] = [int(label > 0) for label in columns["label"]]

    for number in (1, 2, 3):
        tamper(build, betray, number=number)
    report = check(build)
    assert failed(report) == {10: "rep_num_exons separates site from the rest with AUC 1.000"}
    with pytest.raises(LeakageError, match=r"1 of 12 checks failed\n10 no feature betrays") as caught:
        report.raise_failures()
    assert caught.value.exit_code == 4
    tamper(build, set_at("donor_score", 0, 2.0))
    with pytest.raises(IntegrityError, match=r"[23] of 12 checks failed") as both:
        check(build).raise_failures()
    assert both.value.exit_code == 3


def test_a_feature_of_one_class_betrays_as_well(build: SmallBuild) -> None:
    def betray(columns: dict[str, Any]) -> None:
        columns["num_transcripts"] = [{0: 2, 1: 3, 2: 1}[label] for label in columns["label"]]

    for number in (1, 2, 3):
        tamper(build, betray, number=number)
    assert failed(check(build)) == {10: "num_transcripts separates donor from the rest with AUC 1.000"}


def test_scores_and_motifs_may_tell_sites_apart(build: SmallBuild) -> None:
    def clear(columns: dict[str, Any]) -> None:
        columns["splice_probability"] = [float(label > 0) for label in columns["label"]]
        columns["donor_motif_score"] = [float(label == 1) for label in columns["label"]]

    for number in (1, 2, 3):
        tamper(build, clear, number=number)
    assert failed(check(build)) == {}


def test_a_missing_value_that_betrays_the_label_is_leakage(tmp_path: Path) -> None:
    labels = np.array([0] * 90 + [1, 2] * 5, np.int8)
    value = pa.array([None if label else 0.5 for label in labels], pa.float32())
    nan = pa.array([0.5 if i % 2 else float("nan") for i in range(100)], pa.float32())
    pq.write_table(pa.table({"value": value, "nan": nan}), tmp_path / "p.parquet")
    betrays, honest = column_facts([tmp_path / "p.parquet"], ["value", "nan"], labels, share=1.0)
    assert betrays.missing_auc["site"] == 1.0
    assert (betrays.nulls, betrays.nans, honest.nulls, honest.nans) == (10, 0, 0, 50)
    assert abs(honest.missing_auc["site"] - 0.5) <= 0.02


def test_a_feature_with_one_value_fails_only_where_chance_cannot_explain_it(tmp_path: Path) -> None:
    build = built(tmp_path / "splice", settings=small_settings(sampling={"easy_ratio": 20.0}))
    build.assembled()
    for number in (1, 2, 3):
        tamper(build, _all("donor_ctx_mean", 0.25), number=number)
    report = check(build)
    assert failed(report) == {11: "donor_ctx_mean has one value only"}
    assert "num_transcripts" in report.findings[10].measured["constant"]


def test_another_schema_than_the_settings_give_is_told(build: SmallBuild) -> None:
    manifest = read_json(build.master / "manifest.json")
    manifest["params"]["features"]["kmer_sizes"] = [2]
    write_json(build.master / "manifest.json", manifest)
    assert "the settings of features give" in failed(check(build))[1]


def test_sites_without_motif_are_told_beyond_chance(build: SmallBuild) -> None:
    genome = build.base / "genome.fa"
    genome.write_text(genome.read_text().replace("GT", "GA").replace("AC", "TC"))
    found = failed(check(build))
    assert "of 24 donors have GT, expected 95%" in found[7]
    assert 6 in found


def test_planned_genes_must_be_accounted_for(build: SmallBuild) -> None:
    found = failed(check(build, planned=[*build.genes, "G999"]))
    assert found == {9: "gene G999 was planned and is not accounted for"}


def test_a_cluster_in_two_splits_is_leakage(build: SmallBuild) -> None:
    clusters = [row["locus_cluster"] for row in build.rows]
    table = pa.table({"gene_id": build.genes, "locus_cluster": clusters, "split": ["train", "test"] * 6})
    report = check(build, splits=table)
    assert failed(report) == {}
    torn = ["train"] * 4 + ["test"] * 8
    report = check(build, splits=table.set_column(2, "split", [torn]))
    assert "locus cluster G000 is in test and train" in failed(report)[12]
    with pytest.raises(LeakageError):
        report.raise_failures()
    assert "gene G011 has no split" in failed(check(build, splits=table.slice(0, 11)))[12]


def test_splits_are_read_from_a_table_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("gene_id,split,locus_cluster,reason\n1,train,2,x\n")
    assert read_splits(tmp_path / "s.csv").to_pylist() == [{"gene_id": "1", "locus_cluster": "2", "split": "train"}]


def test_a_reference_of_another_build_is_refused(build: SmallBuild) -> None:
    told = read_json(build.base / "reference" / "reference.json")
    write_json(build.base / "reference" / "reference.json", told | {"reference_id": "ref-2"})
    with pytest.raises(InputError, match="is reference ref-2, the dataset was built with ref-1"):
        check(build)


def test_ledgers_that_do_not_add_up_with_the_rows_are_told(build: SmallBuild) -> None:
    path = build.base / "batches" / "ledger_00001.json"
    told = read_json(path)
    told["kinds"]["position"]["kept"] -= 1
    told["kinds"]["position"]["expected"] -= 1
    write_json(path, told)
    with pytest.raises(IntegrityError, match=r"930 rows in the parts, but the batches account for 929"):
        check_build(build.base, build.settings)


def test_the_area_under_the_curve_counts_ties_half() -> None:
    values = np.array([0.0, 1.0, 1.0, 2.0])
    assert roc_auc(values, np.array([False, False, True, True])) == 0.875
    assert roc_auc(values, np.ones(4, bool)) == 0.5
    labels = np.array([0, 0, 1, 2], np.int8)
    assert class_aucs(values, labels) == {"site": 0.875, "donor": 0.5, "acceptor": 1.0}


def test_the_sample_does_not_depend_on_how_rows_are_read() -> None:
    whole = sampled(3, 0, 10_000, share=0.1)
    pieces = [sampled(3, first, 700, share=0.1) for first in range(0, 10_000, 700)]
    assert np.array_equal(whole, np.concatenate(pieces)[:10_000])
    assert 900 < whole.sum() < 1100
    assert not np.array_equal(whole, sampled(4, 0, 10_000, share=0.1))
    assert sampled(0, 0, 5, share=share_of(5, 10)).all()
    assert share_of(100, 25) == 0.25
