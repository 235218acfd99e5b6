from __future__ import annotations

import json
import sys
from subprocess import run

import numpy as np
import pytest
import torch
from random_networks import random_member, run_as_printed, write_pt
from small_scores import model_settings, random_codes

from trainyard.splice import toy
from trainyard.splice.backends import ModelCard, equal_batches, open_model
from trainyard.splice.settings import SpliceModelSettings
from trainyard.yard.errors import ConfigError, EnvironmentFault, IntegrityError
from trainyard.yard.files import sha256_file


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return [write_pt(folder / f"{i}.pt", random_member(i, groups=2)) for i in range(3)]


PIECES = [random_codes(144 + n, seed=n) for n in (100, 700, 100, 31, 1)]


def test_an_ensemble_is_the_mean_of_the_probabilities_of_its_members(weights):
    model = open_model(model_settings(weights))
    for piece, found in zip(PIECES, model.score(PIECES), strict=True):
        bases = torch.from_numpy(np.eye(5, 4, dtype=np.float32)[piece].T.copy())[None]
        alone = [run_as_printed(random_member(i, groups=2), bases)[0].numpy() for i in range(3)]
        assert found.shape == (3, piece.size - 144)
        np.testing.assert_allclose(found, np.mean(alone, axis=0), atol=1e-6)


def test_neither_threads_nor_company_nor_the_order_of_members_change_a_bit(weights):
    one = open_model(model_settings(weights, threads=1)).score(PIECES)
    many = open_model(model_settings(weights[::-1], threads=4)).score(PIECES[::-1])[::-1]
    for a, b, piece in zip(one, many, PIECES, strict=True):
        assert a.tobytes() == b.tobytes()
        (alone,) = open_model(model_settings(weights)).score([piece])
        assert alone.tobytes() == a.tobytes()


def test_equal_pieces_may_come_as_one_array(weights):
    batch = np.stack([PIECES[0], PIECES[2]])
    found = np.stack(open_model(model_settings(weights)).score(batch))
    assert found.shape == (2, 3, 100)


def test_the_number_of_threads_of_the_process_is_left_as_it_was(weights):
    before = torch.get_num_threads()
    open_model(model_settings(weights, threads=2)).score(PIECES)
    assert torch.get_num_threads() == before


def test_batches_as_on_a_gpu_give_the_same_scores(weights):
    model = open_model(model_settings(weights, batch_positions=500))
    for a, b in zip(model.score(PIECES), model._score_by_batches(PIECES), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_batches_hold_pieces_of_one_length_and_no_more_than_they_may():
    assert equal_batches([5, 9, 5, 5, 30], 12) == [[4], [1], [0, 2], [3]]
    assert equal_batches([], 12) == []


def test_the_model_id_follows_the_weights_alone(weights):
    card = open_model(model_settings(weights, licence="GPL-3.0", block=100, threads=1)).card
    assert card.model_id == open_model(model_settings(weights[::-1], flank_mode="genomic")).card.model_id
    assert card.model_id != open_model(model_settings(weights[:2])).card.model_id
    assert card.model_id != open_model(model_settings()).card.model_id
    assert (card.context, card.licence, card.backend) == (144, "GPL-3.0", "openspliceai-pt")
    assert sorted(file["sha256"] for file in card.members) == sorted(map(sha256_file, weights))
    assert card.held_out_contigs == ("1", "3", "5", "7", "9")


def test_a_card_survives_json(weights):
    card = open_model(model_settings(weights)).card
    assert ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
    with pytest.raises(IntegrityError, match="not the card of a base model"):
        ModelCard.from_dict({"backend": "toy"})


def test_the_toy_model_needs_no_torch():
    code = "import sys; from trainyard.splice.backends import open_model; "
    code += "from trainyard.splice.settings import SpliceModelSettings; open_model(SpliceModelSettings()); "
    code += "sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_toy_model_scores_with_its_own_context():
    model = open_model(SpliceModelSettings())
    piece = random_codes(toy.CONTEXT + 50)
    np.testing.assert_array_equal(model.score([piece])[0], toy.score(piece))
    assert model.card.context == toy.CONTEXT


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"backend": "scores-import"}, ConfigError, "computes none"),
        ({"backend": "openspliceai-pt", "weights": ["a"]}, ConfigError, "accept_licence"),
        ({"context": 10000}, ConfigError, "the toy model has 80"),
    ],
)
def test_settings_that_cannot_work_say_so(settings, error, message):
    with pytest.raises(error, match=message):
        open_model(SpliceModelSettings.model_validate(settings))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_a_fault_of_the_machine(weights):
    settings = model_settings(weights).model_copy(update={"device": "cuda"})
    with pytest.raises(EnvironmentFault, match="sees no GPU"):
        open_model(settings)
