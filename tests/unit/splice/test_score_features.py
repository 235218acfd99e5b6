from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.score_features import (
    Context,
    base_features,
    context_at,
    nearest_stronger,
    peak_features,
    published_features,
    score_features,
    stronger_context,
)

GOLDEN_A2 = {
    "relative_donor_probability": 0.957447,
    "splice_probability": 0.940000,
    "donor_acceptor_diff": 0.955556,
    "splice_neither_diff": 0.933333,
    "donor_acceptor_logodds": 3.113515,
    "splice_neither_logodds": 2.751535,
    "probability_entropy": 0.392384,
    "context_neighbor_mean": 0.020000,
    "context_asymmetry": -0.020000,
    "context_max": 0.030000,
    "donor_diff_m1": 0.88,
    "donor_diff_m2": 0.89,
    "donor_diff_p1": 0.87,
    "donor_diff_p2": 0.88,
    "donor_surge_ratio": 18.0,
    "donor_is_local_peak": 1,
    "donor_weighted_context": 0.373,
    "donor_peak_height_ratio": 45.0,
    "donor_second_derivative": 1.75,
    "donor_signal_strength": 0.88,
    "donor_context_diff_ratio": 30.0,
    "acceptor_diff_m1": 0.02,
    "acceptor_diff_m2": 0.03,
    "acceptor_diff_p1": 0.01,
    "acceptor_diff_p2": 0.02,
    "acceptor_surge_ratio": 0.8,
    "acceptor_is_local_peak": 1,
    "acceptor_weighted_context": 0.029,
    "acceptor_peak_height_ratio": 2.0,
    "acceptor_second_derivative": 0.03,
    "acceptor_signal_strength": 0.02,
    "acceptor_context_diff_ratio": 1.333333,
    "donor_acceptor_peak_ratio": 22.5,
    "type_signal_difference": 0.86,
    "score_difference_ratio": 0.914894,
    "signal_strength_ratio": 44.0,
}


def doubles(*values):
    return np.array(values, np.float64)


@pytest.mark.parametrize(("name", "value"), GOLDEN_A2.items())
def test_golden_a2(name, value):
    d, a, n = doubles(0.90), doubles(0.04), doubles(0.06)
    context = Context(m2=doubles(0.01), m1=doubles(0.02), p1=doubles(0.03), p2=doubles(0.02))
    columns = base_features(d, a, n) | published_features(d, a, context)
    assert columns[name][0] == pytest.approx(value, abs=5.1e-7)


def test_golden_a2_through_the_tracks_of_a_gene():
    donor = np.float32([0.01, 0.02, 0.90, 0.03, 0.02])
    acceptor = np.float32([0.0, 0.0, 0.04, 0.0, 0.0])
    columns = score_features(donor, acceptor, np.array([2], np.int32), radii=[], published=True)
    for name, value in GOLDEN_A2.items():
        assert columns[name][0] == pytest.approx(value, rel=2e-6), name
    assert columns["score"][0] == np.float32(0.9)
    assert [columns[f"context_score_{at}"][0] for at in ("m2", "m1", "p1", "p2")] == pytest.approx(
        [0.01, 0.02, 0.03, 0.02]
    )


def test_the_context_is_zero_beyond_the_gene():
    context = context_at(np.float32([0.5, 0.25, 0.125]), np.array([0, 1, 2], np.int32))
    assert context.m2.tolist() == [0, 0, 0.5]
    assert context.m1.tolist() == [0, 0.5, 0.25]
    assert context.p1.tolist() == [0.25, 0.125, 0]
    assert context.p2.tolist() == [0.125, 0, 0]


def test_published_context_is_that_of_the_stronger_type_and_of_the_donor_in_a_tie():
    donor, acceptor = np.float32([0.1, 0.2, 0.3]), np.float32([0.3, 0.2, 0.1])
    t = np.arange(3, dtype=np.int32)
    contexts = {"donor": context_at(donor, t), "acceptor": context_at(acceptor, t)}
    chosen = stronger_context(donor, acceptor, contexts)
    assert chosen.p1 == pytest.approx([0.2, 0.3, 0.0])
    assert chosen.m1 == pytest.approx([0.0, 0.1, 0.2])


def test_each_type_is_compared_with_its_own_neighbours():
    donor, acceptor = np.float32([0.4, 0.2, 0.0]), np.float32([0.0, 0.1, 0.3])
    columns = score_features(donor, acceptor, np.array([1], np.int32), radii=[], published=False)
    assert columns["donor_ctx_m1"][0] == np.float32(0.4)
    assert columns["acceptor_ctx_m1"][0] == 0
    assert columns["acceptor_ctx_p1"][0] == np.float32(0.3)
    assert columns["donor_ctx_surge_log_ratio"][0] == pytest.approx(np.log(0.200001 / 0.400001), abs=1e-6)
    assert "score" not in columns


unit = st.floats(0, 1, width=32)


@settings(deadline=None)
@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=30))
def test_no_feature_is_ever_null_or_infinite_even_in_float32(pairs):
    donor, acceptor = np.float32(pairs).T
    too_much = np.maximum(donor + acceptor, 1)
    columns = score_features(
        donor / too_much, acceptor / too_much, np.arange(len(pairs), dtype=np.int32), radii=[3, 10], published=True
    )
    for name, values in columns.items():
        assert np.isfinite(values.astype(np.float32)).all(), name


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_log_ratio_has_the_sign_of_the_comparison_and_stays_small(seed):
    rng = np.random.default_rng(seed)
    donor, acceptor = (rng.random(50) ** 8 / 2).astype(np.float32), (rng.random(50) ** 8 / 2).astype(np.float32)
    columns = score_features(donor, acceptor, np.arange(50, dtype=np.int32), radii=[], published=True)
    for name in ("donor", "acceptor"):
        ratio = columns[f"{name}_ctx_peak_height_log_ratio"]
        assert np.array_equal(ratio > 0, columns[f"{name}_ctx_signal_strength"] > 0)
        assert np.abs(ratio).max() < 15


def plain_nearest(track, t, score, radius):
    """The definition, one position at a time."""
    padded = np.pad(track, 1)
    best = None
    for at in range(len(track)):
        is_peak = padded[at + 1] > padded[at] and padded[at + 1] > padded[at + 2] and track[at] > np.float32(0.001)
        if at != t and abs(at - t) <= radius and is_peak and track[at] > score:
            key = (abs(at - t), -track[at], at)
            best = min(best or key, key)
    return (radius + 1, 0.0) if best is None else (best[2] - t, -best[1])


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_the_nearest_stronger_peak_is_that_of_the_plain_definition(seed, radius):
    rng = np.random.default_rng(seed)
    donor, acceptor = (rng.integers(0, 8, 60).astype(np.float32) / 16 for _ in range(2))
    t = np.sort(rng.choice(60, 25, replace=False)).astype(np.int32)
    columns = peak_features(donor, acceptor, t, radii=[radius])
    for name, own, target in (
        ("donor_same", donor, donor),
        ("donor_other", donor, acceptor),
        ("acceptor_same", acceptor, acceptor),
        ("acceptor_other", acceptor, donor),
    ):
        expected = [plain_nearest(target, at, own[at], radius) for at in t.tolist()]
        found = zip(
            columns[f"{name}_peak_distance_{radius}"].tolist(),
            columns[f"{name}_peak_height_{radius}"].tolist(),
            strict=True,
        )
        assert list(found) == expected


def test_a_smaller_radius_sees_less():
    track = np.zeros(40, np.float32)
    track[[10, 13, 30]] = [0.2, 0.6, 0.9]
    columns = peak_features(track, np.zeros(40, np.float32), np.array([10, 13], np.int32), radii=[2, 5, 20])
    assert columns["donor_same_peak_distance_2"].tolist() == [3, 3]
    assert columns["donor_same_peak_distance_5"].tolist() == [3, 6]
    assert columns["donor_same_peak_distance_20"].tolist() == [3, 17]
    assert columns["donor_same_peak_height_20"].tolist() == pytest.approx([0.6, 0.9])
    assert columns["acceptor_other_peak_distance_5"].tolist() == [3, -3]


def test_a_gene_without_peaks_or_of_one_base_is_fine():
    flat = np.zeros(1, np.float32)
    distance, height = nearest_stronger(np.zeros(0, np.int64), flat, np.array([0], np.int32), flat, radius=5)
    assert (distance.tolist(), height.tolist()) == ([6], [0.0])
    columns = score_features(flat, flat, np.zeros(0, np.int32), radii=[5], published=True)
    assert {values.size for values in columns.values()} == {0}
