from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from simulated_genes import Annotation
from test_rows import build, table_of

from trainyard.splice.analysis import ENHANCED, ERRORS
from trainyard.splice.features import published_names
from trainyard.yard.receipts import verify

LENGTHS = [1500, 900]


@pytest.fixture(scope="module")
def annotation():
    return Annotation(LENGTHS, exons=15)


@pytest.fixture(scope="module")
def files(annotation, tmp_path_factory):
    return build(annotation, tmp_path_factory.mktemp("analysis"), analysis=True)


@pytest.fixture(scope="module")
def enhanced(files):
    return ENHANCED.read(files.enhanced)


@pytest.fixture(scope="module")
def errors(files):
    return ERRORS.read(files.errors)


def test_positions_are_the_rows_of_the_dataset(files, enhanced):
    rows = table_of(files)
    assert enhanced["gene_id"].to_pylist() == rows["gene_id"].to_pylist()
    assert enhanced["position"].to_pylist() == rows["position"].to_pylist()
    assert enhanced["pred_type"].to_pylist() == rows["pred_type"].to_pylist()
    assert verify(files.enhanced).records == rows.num_rows


def test_all_published_score_features_are_there_and_equal_those_of_the_dataset(files, enhanced):
    rows = table_of(files)
    for name in published_names():
        assert enhanced[name].equals(rows[name]), name


def test_predicted_and_true_positions_follow_the_outcome(enhanced):
    for row in enhanced.to_pylist():
        position, outcome = row["position"], row["pred_type"]
        assert row["predicted_position"] == (position if outcome in ("TP", "FP") else None)
        assert row["true_position"] == (position if outcome in ("TP", "FN") else None)
        assert (row["splice_type"] is None) == (outcome in ("FP", "TN"))
        assert (row["transcript_id"] == "") == (outcome in ("FP", "TN"))


def test_transcripts_of_a_site_are_those_of_the_annotation(annotation, enhanced):
    listed = {(row["gene_id"], row["t"]): ";".join(row["transcript_ids"]) for row in annotation.sites.to_pylist()}
    found = enhanced.filter(pc.is_valid(enhanced["splice_type"])).to_pylist()
    assert {(row["gene_id"], row["position"]): row["transcript_id"] for row in found} == listed
    assert all(row["transcript_count"] == len(row["transcript_id"].split(";")) for row in found)


def test_windows_end_at_the_ends_of_the_gene(enhanced):
    assert min(enhanced["window_start"].to_pylist()) == 0
    for gene_id, length in zip(["G00000", "G00001"], LENGTHS, strict=True):
        of_gene = enhanced.filter(pc.equal(enhanced["gene_id"], gene_id))
        width = of_gene["window_end"].to_numpy() - of_gene["window_start"].to_numpy()
        assert of_gene["window_end"].to_numpy().max() <= length
        assert width.max() == 500


def test_errors_are_all_fp_and_fn_with_the_type_that_fired_or_was_missed(enhanced, errors):
    outcome = np.array(enhanced["pred_type"].to_pylist())
    wrong = enhanced.filter(np.isin(outcome, ["FP", "FN"]))
    assert errors["position"].to_pylist() == wrong["position"].to_pylist()
    assert errors["error_type"].to_pylist() == wrong["pred_type"].to_pylist()
    assert set(errors["error_type"].to_pylist()) == {"FP", "FN"}
    for error, row in zip(errors.to_pylist(), wrong.to_pylist(), strict=True):
        assert error["splice_type"] == (row["splice_type"] if row["pred_type"] == "FN" else row["called_type"])
        assert error["splice_type"] in ("donor", "acceptor")


def test_tables_are_written_only_where_they_are_asked_for(annotation, tmp_path):
    files = build(annotation, tmp_path)
    assert not files.enhanced.exists()
    assert not files.errors.exists()
