from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_genes import Annotation, codes_of, scores_of, sites_at

from trainyard.splice.calls import (
    CLASSES,
    PRED_TYPES,
    Gene,
    classify,
    fault_of_scores,
    neither_score,
)
from trainyard.splice.settings import SpliceLabelSettings
from trainyard.yard.errors import IntegrityError

PLAIN = SpliceLabelSettings()
A4 = [0.1, 0.7, 0.6, 0.2, 0.9, 0.4]


def outcomes(scores, **chosen):
    return [
        PRED_TYPES[code] if code >= 0 else None for code in classify(scores, SpliceLabelSettings(**chosen)).pred_type
    ]


def test_golden_a4_every_position_is_judged_at_itself():
    assert outcomes(scores_of(A4, sites=sites_at([1, 5]))) == ["TN", "TP", "FP", "TN", "FP", "FN"]


def test_golden_a1_positions_and_genomic_coordinates_are_one_to_one_on_both_strands():
    donors, acceptors = np.array([150, 300]), np.array([251, 351])
    plus, minus = Gene("G", "1", 101, 400, "+"), Gene("G", "1", 101, 400, "-")
    assert plus.length == 300
    assert plus.t(donors).tolist() == [49, 199]
    assert plus.t(acceptors).tolist() == [150, 250]
    assert minus.t(np.array([351, 251])).tolist() == [49, 149]
    assert minus.t(np.array([300, 150])).tolist() == [100, 250]


@given(st.integers(1, 10**9), st.integers(1, 500), st.sampled_from("+-"))
def test_a_position_goes_to_the_contig_and_back(start, length, strand):
    gene = Gene("G", "1", start, start + length - 1, strand)
    t = np.arange(length, dtype=np.int32)
    there = gene.exon_pos(t)
    assert np.array_equal(gene.t(there), t)
    assert sorted(there.tolist()) == list(range(gene.start, gene.end + 1))


def test_a_call_of_the_wrong_type_at_a_site_is_a_miss():
    scores = scores_of([0.1, 0.0], [0.9, 0.9], sites=sites_at([0]))
    assert outcomes(scores) == ["FN", "FP"]
    assert classify(scores, PLAIN).called.tolist() == [2, 2]


def test_the_threshold_itself_counts_as_a_call_also_in_float32():
    assert outcomes(scores_of([0.7, 0.6999], sites=sites_at([0])), threshold=0.7) == ["TP", "TN"]


def test_below_one_half_a_site_is_found_by_its_own_type_although_the_other_is_stronger():
    scores = scores_of([0.3], [0.5], sites=sites_at([0]))
    assert outcomes(scores, threshold=0.25) == ["TP"]


def test_argmax_calls_what_is_most_probable_and_both_calls_are_kept():
    scores = scores_of([0.4, 0.4, 0.5, 0.1], [0.3, 0.1, 0.5, 0.45], sites=sites_at([0, 1], [3]))
    calls = classify(scores, SpliceLabelSettings(base_call="argmax"))
    assert calls.argmax.tolist() == calls.called.tolist() == [1, 0, 1, 0]
    assert outcomes(scores, base_call="argmax") == ["TP", "FN", "FP", "FN"]
    assert classify(scores, PLAIN).argmax.tolist() == [1, 0, 1, 0]
    assert classify(scores, PLAIN).called.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("both_types", "label", "outcome"), [("drop", -1, None), ("donor", 1, "TP"), ("acceptor", 2, "FN")]
)
def test_a_base_of_both_types_is_what_the_settings_say(both_types, label, outcome):
    scores = scores_of([0.9, 0.1], [0.05, 0.1], sites=sites_at([0], [0], transcripts=3))
    calls = classify(scores, SpliceLabelSettings(both_types=both_types))
    assert (calls.label[0], outcomes(scores, both_types=both_types)[0]) == (label, outcome)
    assert calls.is_donor[0] and calls.is_acceptor[0]
    assert calls.transcripts.tolist() == [6, 0]


def test_sites_of_other_genes_are_marked_by_type_and_change_no_outcome():
    scores = scores_of([0.9, 0.1, 0.9], sites=sites_at([2]), elsewhere=sites_at([0], [1]))
    calls = classify(scores, PLAIN)
    assert calls.donor_elsewhere.tolist() == [True, False, False]
    assert calls.acceptor_elsewhere.tolist() == [False, True, False]
    assert calls.elsewhere.tolist() == [True, True, False]
    assert outcomes(scores) == ["FP", "TN", "TP"]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["threshold", "argmax"]), st.floats(0.05, 0.95))
def test_every_position_has_one_outcome_that_fits_label_and_call(seed, base_call, threshold):
    scores = Annotation([300], seed=seed).gene("G00000")
    calls = classify(scores, SpliceLabelSettings(base_call=base_call, threshold=threshold))
    outcome = np.array(PRED_TYPES)[calls.pred_type]
    labelled = calls.label > 0
    assert set(outcome[labelled]) <= {"TP", "FN"}
    assert set(outcome[~labelled]) <= {"FP", "TN"}
    assert np.array_equal(outcome[~labelled] == "FP", calls.called[~labelled] > 0)
    if base_call == "argmax" or threshold > 0.5:
        assert np.array_equal(outcome[labelled] == "TP", calls.called[labelled] == calls.label[labelled])


def test_the_three_scores_add_up_to_one_and_none_is_negative():
    donor, acceptor = np.float32([0.2, 1.0, 0.7, 0.60001]), np.float32([0.3, 0.0, 0.3, 0.4])
    neither = neither_score(donor, acceptor)
    assert neither.dtype == np.float32
    assert (neither >= 0).all()
    assert np.allclose(neither + donor + acceptor, 1, atol=1e-4)


@pytest.mark.parametrize(
    ("donor", "acceptor", "fault"),
    [
        ([0.1, np.nan], [0, 0], "donor score at position 1 is not finite"),
        ([0, 0], [0.1, np.inf], "acceptor score at position 1 is not finite"),
        ([-0.1, 0], [0, 0], "donor scores reach from -0.1 to 0"),
        ([0, 0], [0, 1.2], "acceptor scores reach from 0 to 1.2"),
        ([0.1, 0.7], [0, 0.7], "1.4 at position 1"),
    ],
)
def test_what_is_no_probability_is_named(donor, acceptor, fault):
    assert fault in fault_of_scores(np.float32(donor), np.float32(acceptor))


def test_probabilities_and_rounded_ones_are_fine():
    assert fault_of_scores(np.float32([0.99995, 0]), np.float32([0.0001, 1])) == ""
    assert fault_of_scores(np.zeros(0, np.float32), np.zeros(0, np.float32)) == ""


def test_scores_of_another_length_are_refused():
    with pytest.raises(IntegrityError, match=r"gene G: its locus has 3 bases, but there are \(2,\) bases"):
        scores_of([0.1, 0.2, 0.3], codes=codes_of("AC"))


def test_a_site_outside_of_the_gene_is_refused():
    with pytest.raises(IntegrityError, match="lies outside"):
        scores_of([0.1, 0.2], sites=sites_at([2]))


def test_classes_are_numbered_as_labels():
    assert CLASSES == ("neither", "donor", "acceptor")
