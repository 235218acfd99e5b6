from __future__ import annotations

import hashlib

import numpy as np
import pytest
import training_set  # noqa: F401  (sets the device before TensorFlow starts)

from trainyard.transit.train.inputs import POINT_INPUTS, Inputs, split_features
from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.errors import ConfigError

pytest.importorskip("tensorflow")

from trainyard.transit.train.model import build_model, inputs_of
from trainyard.transit.train.storage import save_model

IMAGES = ("oot_img_stdnorm", "diff_img_stdnorm", "snr_img_stdnorm", "target_img")
PUBLISHED = Inputs(("flux_norm",), 100, IMAGES, (33, 33))
SMALL = TrainSettings(conv_blocks=1, convs_per_block=1, head_units=[4])
TINY = Inputs(("flux_norm",), 20, ("target_img",), (6, 6))


def parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_the_published_network_has_15638_parameters():
    model = build_model(PUBLISHED, TrainSettings())
    assert parameters(model) == 15_638
    assert {tensor.name for tensor in model.inputs} == {"flux_norm", *IMAGES}


def test_without_images_only_the_flux_branch_is_left():
    # 2,601 convolutions, 1,545 dense and slope, head of 289 + 1,057 + 33.
    model = build_model(Inputs(("flux_norm",), 100), TrainSettings())
    assert parameters(model) == 2_601 + 1_545 + 289 + 1_057 + 33
    assert [tensor.name for tensor in model.inputs] == ["flux_norm"]


def test_weights_are_a_function_of_the_seed():
    first, second = (build_model(TINY, SMALL).get_weights() for _ in range(2))
    other = build_model(TINY, SMALL.model_copy(update={"seed": 25})).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_every_option_makes_a_network_that_runs(activation):
    options = SMALL.model_copy(
        update={"activation": activation, "batch_norm": True, "l2": 0.1, "dropout": 0.2, "initializer": "he_uniform"}
    )
    model = build_model(Inputs(("flux_norm", "flux_quality"), 20, ("target_img",), (6, 6)), options)
    values = {"flux_norm": np.zeros((2, 20)), "flux_quality": np.ones((2, 20)), "target_img": np.zeros((2, 6, 6))}
    scores = np.asarray(model(values))
    assert scores.shape == (2, 1)
    assert ((scores > 0) & (scores < 1)).all()


def test_inputs_can_be_read_back_from_a_network():
    assert inputs_of(build_model(TINY, SMALL)) == TINY


@pytest.mark.parametrize(("points", "image"), [(7, 33), (100, 7)])
def test_pooling_more_often_than_there_are_points_is_refused(points, image):
    with pytest.raises(ConfigError, match="leave nothing of a"):
        build_model(Inputs(("flux_norm",), points, ("target_img",), (image, image)), TrainSettings())


def test_a_saved_network_has_the_same_bytes_every_time(tmp_path):
    digests = set()
    for i in range(2):
        save_model(build_model(TINY, SMALL), tmp_path / f"{i}.keras")
        digests.add(hashlib.sha256((tmp_path / f"{i}.keras").read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["uid", "label", "disposition", "true_it_mask", "n_eff", "t", "tce_depth", "mag"])
def test_what_tells_the_label_cannot_be_an_input(name):
    with pytest.raises(ConfigError, match=f"'{name}' cannot be an input"):
        split_features(["flux_norm", name])


def test_features_are_sorted_into_windows_and_images():
    assert split_features(["target_img", "flux_norm", "snr_img"]) == (("flux_norm",), ("target_img", "snr_img"))
    assert split_features(POINT_INPUTS) == (POINT_INPUTS, ())


def test_a_feature_named_twice_is_refused():
    with pytest.raises(ConfigError, match="twice"):
        split_features(["flux_norm", "flux_norm"])
