from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_member, run_as_printed

from trainyard.splice.layers import Norm
from trainyard.splice.network import Network


def random_bases(n: int, length: int, seed: int = 0) -> torch.Tensor:
    """One-hot bases, a tenth of them unknown."""
    codes = np.random.default_rng(seed).choice(5, (n, length), p=[0.225] * 4 + [0.1])
    return torch.from_numpy(np.eye(5, 4, dtype=np.float32)[codes]).transpose(1, 2).contiguous()


@pytest.fixture(autouse=True)
def one_thread():
    """As scoring runs it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
@pytest.mark.parametrize(("epsilon", "slope"), [(1e-5, 0.1), (1e-3, 0.0)])
def test_it_gives_what_the_plan_gives_as_printed(groups, epsilon, slope):
    member = random_member(groups, groups=groups, epsilon=epsilon, slope=slope)
    bases = random_bases(2, member.context + 150)
    found = Network(member).probabilities(bases)
    assert found.shape == (2, 3, 150)
    np.testing.assert_allclose(found.numpy(), run_as_printed(member, bases).numpy(), atol=2e-6)
    np.testing.assert_allclose(found.numpy().sum(axis=1), 1, atol=3e-7)


@pytest.mark.parametrize(("groups", "context"), [(1, 16), (2, 144), (3, 304), (4, 704)])
def test_the_context_follows_from_widths_and_dilations(groups, context):
    member = random_member(groups=groups)
    assert member.context == context
    assert not member.problems()


def test_a_score_depends_on_exactly_the_context():
    member = random_member()
    network, half = Network(member), member.context // 2
    bases = random_bases(1, 2 * half + 1)
    alone = network.probabilities(bases)
    assert alone.shape == (1, 3, 1)
    for edge in (0, 2 * half):
        changed = bases.clone()
        changed[:, :, edge] = 1 - changed[:, :, edge]
        assert not torch.equal(network.probabilities(changed), alone)
    wider = torch.cat([random_bases(1, 9, seed=1), bases, random_bases(1, 5, seed=2)], dim=2)
    np.testing.assert_allclose(network.probabilities(wider)[..., 9].numpy(), alone[..., 0].numpy(), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(0, 5))
def test_neither_cuts_nor_company_change_scores(lengths, seed):
    member = random_member(3, groups=2)
    network, halo = Network(member), member.context
    bases = random_bases(1, halo + sum(lengths), seed)
    whole = network.probabilities(bases)
    starts = np.cumsum([0, *lengths])[:-1]
    pieces = [bases[..., start : start + n + halo].contiguous() for start, n in zip(starts, lengths, strict=True)]
    parts = torch.cat([network.probabilities(piece) for piece in pieces], dim=2)
    np.testing.assert_allclose(parts.numpy(), whole.numpy(), atol=1e-6)
    together = network.probabilities(torch.cat([bases, random_bases(2, bases.shape[-1], seed=9)]))
    np.testing.assert_allclose(together[:1].numpy(), whole.numpy(), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 100), (1, 5, 100), (1, 4, 16)])
def test_bases_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"need \(n, 4, at least 17\)"):
        Network(random_member()).probabilities(torch.zeros(shape))


def test_parameters_are_counted_without_running_statistics():
    member = random_member()
    convs = 6 * 4 + 6 + 2 * (6 * 6 + 6) + 8 * (6 * 6 * 3 + 6) + 3 * 6 + 3
    assert member.parameters == convs + 8 * 2 * 6


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: replace(m, units=m.units[:3]), "has 3 residual units, not a multiple of 4"),
        (lambda m: replace(m, skips=m.skips[:1]), "has 1 skip convolutions, 4 residual units need 2"),
        (lambda m: replace(m, exit=m.entry), r"last convolution has shape \(6, 4, 1\)"),
        (
            lambda m: replace(m, units=(replace(m.units[0], norm1=Norm(*[np.ones(5, np.float32)] * 4)), *m.units[1:])),
            r"gain of norm 1 of unit 0 has shape \(5,\)",
        ),
        (
            lambda m: replace(m, entry=replace(m.entry, bias=np.full(6, np.nan, np.float32))),
            "holds numbers that are not finite",
        ),
        (
            lambda m: replace(
                m,
                units=(
                    *m.units[:3],
                    replace(m.units[3], conv1=replace(m.units[3].conv1, weight=m.units[3].conv1.weight[..., :2])),
                ),
            ),
            r"convolution 1 of unit 3 has shape \(6, 6, 2\)",
        ),
    ],
)
def test_weights_of_another_plan_are_told_apart(change, problem):
    problems = change(random_member()).problems()
    assert any(re.search(problem, found) for found in problems)
