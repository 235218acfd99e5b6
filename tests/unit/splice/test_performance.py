from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_genes import Annotation, N, codes_of, scores_of, sites_at

from trainyard.splice.calls import classify
from trainyard.splice.dataset_schema import PERFORMANCE
from trainyard.splice.performance import count_outcomes, gene_performance, top_k_accuracy
from trainyard.splice.settings import SpliceLabelSettings

A4 = [0.1, 0.7, 0.6, 0.2, 0.9, 0.4]


def record(scores, **chosen):
    labels = SpliceLabelSettings(**chosen)
    return gene_performance(scores, classify(scores, labels), labels)


def test_golden_a4_precision_recall_and_top_k():
    donors, acceptors = record(scores_of(A4, sites=sites_at([1, 5])))
    assert [donors[name] for name in ("TP", "FP", "FN", "TN", "n_splice_sites", "n_positions")] == [1, 2, 1, 2, 2, 6]
    assert donors["precision"] == pytest.approx(1 / 3)
    assert donors["recall"] == pytest.approx(1 / 2)
    assert donors["f1_score"] == pytest.approx(0.4)
    assert donors["specificity"] == pytest.approx(1 / 2)
    assert donors["fpr"] == pytest.approx(1 / 2)
    assert donors["fnr"] == pytest.approx(1 / 2)
    assert donors["top_k_accuracy"] == pytest.approx(0.5)
    assert acceptors["splice_type"] == "acceptor"


def test_a_gene_without_sites_of_a_type_has_counts_but_no_metrics():
    _, acceptors = record(scores_of(A4, [0.1, 0.1, 0.1, 0.7, 0, 0.1], sites=sites_at([1, 5])))
    assert [acceptors[name] for name in ("TP", "FP", "FN", "TN", "n_splice_sites")] == [0, 1, 0, 5, 0]
    metrics = ("precision", "recall", "specificity", "f1_score", "fpr", "fnr", "top_k_accuracy")
    assert all(acceptors[name] is None for name in metrics)


def test_a_ratio_of_nothing_is_zero():
    donors, _ = record(scores_of([0.1, 0.2], sites=sites_at([0, 1])))
    assert (donors["precision"], donors["recall"], donors["specificity"], donors["f1_score"]) == (0.0, 0.0, 0.0, 0.0)


def test_rows_fit_the_contract_and_have_all_published_columns():
    table = PERFORMANCE.table(record(Annotation([400]).gene("G00000")))
    assert table.num_rows == 2
    published = (
        "TP TN FP FN n_splice_sites top_k_accuracy precision recall specificity f1_score fpr fnr chrom splice_type"
    )
    assert {*published.split(), "gene_id"} <= set(table.column_names)


def test_a_site_of_another_gene_is_not_held_against_the_base_model_unless_asked_for():
    scores = scores_of([0.9, 0.9, 0.1], sites=sites_at([0]), elsewhere=sites_at([1]))
    donors, acceptors = record(scores)
    assert (donors["TP"], donors["FP"], donors["n_positions"], donors["n_left_out"]) == (1, 0, 2, 1)
    assert acceptors["n_positions"] == 3
    donors, _ = record(scores, annotated_elsewhere="keep")
    assert (donors["TP"], donors["FP"], donors["n_positions"]) == (1, 1, 3)


def test_unknown_bases_are_not_judged_but_sites_on_them_are():
    codes = codes_of("ACGT")
    codes[[0, 2]] = N
    donors, _ = record(scores_of([0.9, 0.1, 0.9, 0.1], sites=sites_at([0]), codes=codes))
    assert (donors["TP"], donors["FP"], donors["TN"], donors["n_left_out"]) == (1, 0, 2, 1)


def test_a_base_of_both_types_is_a_site_of_both():
    rows = record(scores_of([0.6, 0.0], [0.1, 0.0], sites=sites_at([0], [0])))
    assert [(row["TP"], row["FN"]) for row in rows] == [(1, 0), (0, 1)]


@settings(deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["threshold", "argmax"]),
    st.sampled_from(["drop", "donor"]),
    st.integers(0, 2),
)
def test_counts_are_those_of_positions_and_sites(seed, base_call, both_types, tolerance):
    scores = Annotation([300], seed=seed).gene("G00000")
    chosen = {"base_call": base_call, "both_types": both_types, "match_tolerance": tolerance}
    for row in record(scores, **chosen):
        acceptor = row["splice_type"] == "acceptor"
        assert row["TP"] + row["FN"] == row["n_splice_sites"] == (scores.sites.acceptor == acceptor).sum()
        assert row["TP"] + row["FN"] + row["FP"] + row["TN"] == row["n_positions"]
        assert row["n_positions"] + row["n_left_out"] == scores.gene.length


def test_with_a_tolerance_the_best_call_takes_a_site_and_the_others_are_false():
    track = np.float32([0.1, 0.8, 0.9, 0.1, 0.1, 0.6])
    is_site = np.array([False, True, False, False, False, False])
    assert count_outcomes(track, track >= 0.5, is_site) == (1, 2, 0)
    assert count_outcomes(track, track >= 0.5, is_site, tolerance=1) == (1, 2, 0)
    is_site = np.array([False, False, False, True, True, False])
    assert count_outcomes(track, track >= 0.5, is_site) == (0, 3, 2)
    assert count_outcomes(track, track >= 0.5, is_site, tolerance=1) == (2, 1, 0)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_tolerance_pairs_one_to_one_and_no_more_than_exist(seed):
    rng = np.random.default_rng(seed)
    track, is_site = rng.random(40).astype(np.float32), rng.random(40) < 0.2
    called = track >= 0.5
    for tolerance in range(3):
        tp, fp, fn = count_outcomes(track, called, is_site, tolerance=tolerance)
        assert min(tp, fp, fn) >= 0
        assert (tp + fp, tp + fn) == (called.sum(), is_site.sum())
        assert tp >= (called & is_site).sum() or tolerance > 0


def test_top_k_takes_the_first_of_equal_scores():
    judged = np.ones(4, bool)
    flat = np.float32([0.5, 0.5, 0.5, 0.5])
    assert top_k_accuracy(flat, np.array([True, False, False, True]), judged) == 0.5
    assert top_k_accuracy(flat, np.array([False, False, True, True]), judged) == 0.0


def test_top_k_leaves_out_what_is_not_judged_and_knows_a_tolerance():
    track = np.float32([0.9, 0.1, 0.6, 0.2])
    is_site = np.array([False, True, False, False])
    assert top_k_accuracy(track, is_site, np.ones(4, bool)) == 0.0
    assert top_k_accuracy(track, is_site, np.array([False, True, True, True]), tolerance=1) == 1.0


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_top_k_is_that_of_a_full_sort(seed):
    rng = np.random.default_rng(seed)
    track, is_site = rng.integers(0, 6, 30).astype(np.float32) / 6, rng.random(30) < 0.3
    k = int(is_site.sum())
    order = sorted(range(30), key=lambda t: (-track[t], t))[:k]
    expected = float(np.mean([is_site[t] for t in order])) if k else None
    assert top_k_accuracy(track, is_site, np.ones(30, bool)) == expected
