from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_member, write_pt
from small_scores import model_settings, random_codes

from trainyard.splice import toy
from trainyard.splice.backends import open_model
from trainyard.splice.scoring import Target, piece_length, score_genes
from trainyard.splice.settings import SpliceModelSettings
from trainyard.yard.errors import EnvironmentFault

TOY = open_model(SpliceModelSettings())


class Recorder:
    """A model that notes what it is asked for."""

    def __init__(self, model, change=None):
        self.card = model.card
        self.calls = []
        self._model, self._change = model, change

    def score(self, pieces):
        self.calls.append([len(piece) - self.card.context for piece in pieces])
        scores = self._model.score(pieces)
        return [self._change(one) for one in scores] if self._change else scores


def targets(lengths, halo=toy.CONTEXT):
    """Genes with real bases in their flanks, so that a wrong halo would show."""
    return [Target(f"g{i}", random_codes(n + halo, seed=i)) for i, n in enumerate(lengths)]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 1500), min_size=1, max_size=5),
    st.integers(100, 2000),
    st.integers(100, 3000),
)
def test_genes_come_back_whole_and_in_order_however_they_are_cut(lengths, block, batch_positions):
    genes = targets(lengths)
    found = list(score_genes(TOY, genes, block=block, batch_positions=batch_positions))
    assert [target.name for target, _ in found] == [gene.name for gene in genes]
    for target, scores in found:
        whole = toy.score(target.codes)
        np.testing.assert_array_equal(scores, whole[[2, 1]])
        assert scores.flags.c_contiguous


@given(st.integers(1, 10**7), st.integers(100, 10**6))
def test_pieces_cover_a_gene_without_being_longer_than_a_block(length, block):
    piece = piece_length(length, block)
    assert 1 <= piece <= block
    assert -(-length // piece) <= -(-length // block)
    assert piece % 256 == 0 or piece == block or length <= 256


def test_a_network_gives_the_same_scores_for_any_block(tmp_path):
    weights = [write_pt(tmp_path / "a.pt", random_member(groups=3))]
    genes = targets([3000, 400, 1], halo=304)
    model = open_model(model_settings(weights))
    whole = [scores for _, scores in score_genes(model, genes, block=10**6, batch_positions=10**6)]
    for block, positions in ((100, 100), (333, 1000), (1024, 10**6)):
        cut = [scores for _, scores in score_genes(model, genes, block=block, batch_positions=positions)]
        for a, b in zip(whole, cut, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_short_genes_are_scored_together_and_no_more_are_read_than_needed():
    model, read = Recorder(TOY), []

    def genes():
        for target in targets([1000] * 6):
            read.append(target.name)
            yield target

    found = score_genes(model, genes(), block=5000, batch_positions=2500)
    next(found)
    assert read == ["g0", "g1", "g2"]
    assert model.calls == [[1024, 1024, 1024]]
    assert len(list(found)) == 5
    assert len(model.calls) == 2


def test_genes_of_about_one_length_share_a_length_of_pieces():
    model = Recorder(TOY)
    list(score_genes(model, targets([10_001, 10_200, 9_999]), block=5000, batch_positions=10**6))
    assert set(model.calls[0]) == {3584, 5000}


def test_no_genes_give_no_scores():
    assert list(score_genes(TOY, [], block=100, batch_positions=100)) == []


def test_a_gene_without_bases_is_an_error():
    with pytest.raises(ValueError, match="g0 has 80 bases, flanks of 80 among them"):
        list(score_genes(TOY, targets([0]), block=100, batch_positions=100))


@pytest.mark.parametrize("change", [lambda s: s * np.nan, lambda s: s + 1, lambda s: -s, lambda s: s * 0.9])
def test_a_device_that_gives_no_probabilities_is_told(change):
    with pytest.raises(EnvironmentFault, match=r"g0: the model's scores are no probabilities.*device to cpu"):
        list(score_genes(Recorder(TOY, change), targets([300]), block=100, batch_positions=100))
