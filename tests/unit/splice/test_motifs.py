from __future__ import annotations

import numpy as np
import pytest
from simulated_genes import codes_of

from trainyard.splice.motifs import motif_features


def at(sequence, t):
    features = motif_features(codes_of(sequence), np.array([t], np.int32))
    return {name: values[0] for name, values in features.items()}


def test_the_consensus_donor_beats_every_single_change_of_it():
    best = at("TTTCAGGTAAGTTTT", 5)
    assert (best["donor_is_gt"], best["donor_is_gc"], best["donor_is_at"]) == (1, 0, 0)
    assert best["donor_motif_score"] > 9
    for place in range(3, 12):
        for base in "ACGT":
            changed = "TTTCAGGTAAGTTTT"
            changed = changed[:place] + base + changed[place + 1 :]
            assert at(changed, 5)["donor_motif_score"] <= best["donor_motif_score"] + 0.3, (place, base)


def test_the_donor_score_is_the_sum_of_published_log_odds():
    frequencies = [0.31, 0.62, 0.77, 1.00, 1.00, 0.71, 0.73, 0.75, 0.55]
    assert at("CAGGTAAGT", 2)["donor_motif_score"] == pytest.approx(np.log2(np.array(frequencies) / 0.25).sum())


def test_the_acceptor_score_is_the_sum_of_published_log_odds_of_17_bases():
    tract = "A" * 5 + "T" * 11 + "ACAG" + "GTA"
    frequencies = [0.51, 0.53, 0.57, 0.58, 0.59, 0.59, 0.54, 0.50, 0.51, 0.59, 0.63, 0.26, 0.55, 1.0, 1.0, 0.50, 0.41]
    found = at(tract, 20)
    assert found["acceptor_motif_score"] == pytest.approx(np.log2(np.array(frequencies) / 0.25).sum())
    assert (found["acceptor_is_ag"], found["acceptor_is_ac"]) == (1, 0)
    assert found["polypyrimidine_fraction"] == pytest.approx(12 / 18)


def test_every_base_counts_at_its_place():
    exon, donor = "ACG", "GTCCCC"
    assert at(exon + donor, 2)["donor_is_gt"] == 1
    assert at(exon + donor, 1)["donor_is_gt"] == 0
    assert at("AAA" + "GCAAGT", 2)["donor_is_gc"] == 1
    assert at("AAA" + "ATATCC", 2)["donor_is_at"] == 1
    assert at("TTTTTAC" + "G", 7)["acceptor_is_ac"] == 1
    assert at("TTTTTAG" + "G", 7)["acceptor_is_ag"] == 1
    assert at("TTTTTAG" + "G", 6)["acceptor_is_ag"] == 0


def test_unknown_bases_and_those_beyond_the_gene_weigh_nothing():
    assert at("N" * 60, 30) == {
        "donor_motif_score": 0,
        "acceptor_motif_score": 0,
        "donor_is_gt": 0,
        "donor_is_gc": 0,
        "donor_is_at": 0,
        "acceptor_is_ag": 0,
        "acceptor_is_ac": 0,
        "polypyrimidine_fraction": 0,
    }
    assert at("G", 0)["donor_motif_score"] == pytest.approx(np.log2(0.77 / 0.25))
    assert at("CAGGT", 2)["donor_motif_score"] > at("CAG", 2)["donor_motif_score"]


def test_the_share_of_pyrimidines_is_that_of_known_bases():
    assert at("NNNNNNNNNNNNNNNNCAAG" + "G", 20)["polypyrimidine_fraction"] == pytest.approx(1 / 2)
    assert at("C" * 18 + "AG" + "G", 20)["polypyrimidine_fraction"] == 1


def test_all_positions_of_a_gene_at_once_are_those_one_by_one():
    codes = np.random.default_rng(3).integers(0, 5, 70).astype(np.uint8)
    together = motif_features(codes, np.arange(70, dtype=np.int32))
    for t in range(70):
        alone = motif_features(codes, np.array([t], np.int32))
        assert all(together[name][t] == alone[name][0] for name in together)
