from __future__ import annotations

import json

import numpy as np
import pytest

from trainyard.voxel.scaling import fit_scaler, scale, scale_warning

PUBLISHED = np.array([320, 348, 379, 413, 450], np.float32)


def test_the_five_temperatures_have_the_published_float32_values():
    scaler = fit_scaler(PUBLISHED, clamp=False)
    expected = np.array([0.0, 0.21538462, 0.45384616, 0.71538460, 1.0], np.float32)
    assert np.array_equal(scale(PUBLISHED, scaler), expected)
    assert scale(PUBLISHED, scaler).dtype == np.float32


def test_parameters_have_the_published_keys_and_fit_json():
    scaler = fit_scaler(np.array([450, 320, 320.15], np.float32), clamp=False)
    assert (scaler["temp_min"], scaler["temp_max"], scaler["unit"], scaler["n_train"]) == (320.0, 450.0, "K", 3)
    assert json.loads(json.dumps(scaler)) == scaler
    assert fit_scaler(np.array([320.15], np.float32), clamp=False)["temp_min"] == 320.15


def test_a_temperature_beyond_train_is_scaled_beyond_one():
    scaler = fit_scaler(PUBLISHED[:4], clamp=False)
    assert scale(450, scaler) == pytest.approx(1.398, abs=5e-4)
    assert "450 K to 1.398" in scale_warning(PUBLISHED, scaler)
    assert "clamp" not in scale_warning(PUBLISHED, scaler)


def test_the_clamp_puts_it_on_the_edge_and_says_so():
    scaler = fit_scaler(PUBLISHED[:4], clamp=True)
    assert scale(450, scaler) == 1
    assert scale(300, scaler) == 0
    assert "450 K to 1.000; the clamp makes them equal to the edge" in scale_warning(PUBLISHED, scaler)


def test_no_warning_inside_the_range_of_train():
    assert not scale_warning(PUBLISHED, fit_scaler(PUBLISHED, clamp=False))


def test_one_temperature_is_scaled_to_a_half():
    scaler = fit_scaler(np.full(3, 348, np.float32), clamp=False)
    assert scale([348, 450], scaler).tolist() == [0.5, 0.5]


def test_parameters_with_the_two_published_keys_alone_are_enough():
    assert scale(385.0, {"temp_min": 320.0, "temp_max": 450.0}) == pytest.approx(0.5)


def test_no_train_sample_is_refused():
    with pytest.raises(ValueError, match="no sample"):
        fit_scaler(PUBLISHED[:0], clamp=False)
