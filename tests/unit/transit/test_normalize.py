from __future__ import annotations

import sys
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_shards import example, write_split

from trainyard.transit.normalize import central, normalize_flux, normalize_image, normalize_shard
from trainyard.transit.schema import NORMALIZED_IMAGES
from trainyard.transit.settings import NormalizeSettings, StatisticsSettings
from trainyard.transit.statistics import MAD_TO_STD, reduce_samples, take_pixels
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.examples import decode_example, decode_tensor
from trainyard.yard.files import read_json, write_json
from trainyard.yard.receipts import verify
from trainyard.yard.tfrecord import read_records

STARS = {1: "train", 2: "train", 3: "val"}
NOISE = np.random.default_rng(3).normal(0, 1e-4, 100)
TRANSIT = 1 + NOISE - 0.01 * (np.abs(np.arange(100) - 49.5) < 10)


def mad_std(values):
    return MAD_TO_STD * np.median(np.abs(values - np.median(values)))


def normalized(folder, examples, split="train", **settings):
    """Split, take statistics of all train pixels and normalize; gives (split shard, normalized shard)."""
    files = write_split(folder, examples, STARS)
    everything = StatisticsSettings(max_examples_per_tce=1000, pixels="all")
    take_pixels([(files["train"], files["examples"])], settings=everything, out=folder / "sample.npz")
    reduce_samples([folder / "sample.npz"], out_dir=folder, settings=everything)
    out = folder / "norm" / f"norm_{files[split].name}"
    chosen = NormalizeSettings(**settings)
    normalize_shard(files[split], folder / "train_stats.json", out, settings=chosen, n_durations_window=5)
    return files[split], out


def images(shard, feature):
    return np.stack([decode_tensor(decode_example(record)[feature][0]) for record in read_records(shard)])


def test_the_central_points_are_40_to_59_of_100():
    assert (central(100, 5).start, central(100, 5).stop) == (40, 60)
    assert (central(200, 5).start, central(200, 5).stop) == (80, 120)
    assert (central(10, 20).start, central(10, 20).stop) == (4, 6)


@given(hnp.arrays(np.float64, 100, elements=st.floats(0.5, 1.5)))
def test_the_deepest_central_point_is_minus_one_below_the_median(flux):
    scaled, scale, offset = normalize_flux(flux, method="min", n_durations_window=5)
    depth = np.median(flux) - flux[40:60].min()
    if depth > 1e-6:
        assert scaled[40:60].min() == pytest.approx(-1, abs=1e-5)
    assert np.median(scaled) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(scaled * scale + offset, flux, rtol=1e-5)


def test_min_is_the_published_formula():
    c = TRANSIT - np.median(TRANSIT)
    expected = c / (abs(c[40:60].min()) + 1e-12)
    scaled, scale, offset = normalize_flux(TRANSIT, method="min", n_durations_window=5)
    np.testing.assert_array_equal(scaled, expected.astype(np.float32))
    assert scaled.dtype == np.float32
    assert (scale, offset) == (abs(c[40:60].min()) + 1e-12, np.median(TRANSIT))


@pytest.mark.parametrize("method", ["min", "robust"])
def test_a_rise_in_the_middle_is_not_turned_upside_down(method):
    scaled, _, _ = normalize_flux(2 - TRANSIT, method=method, n_durations_window=5)
    assert scaled[45:55].mean() > 0.5


@pytest.mark.parametrize("method", ["min", "robust"])
def test_a_constant_becomes_zero(method):
    scaled, _, offset = normalize_flux(np.ones(100, dtype=np.float32), method=method, n_durations_window=5)
    assert (scaled == 0).all()
    assert offset == 1


def test_robust_puts_the_middle_of_a_transit_at_minus_one():
    scaled, scale, offset = normalize_flux(TRANSIT, method="robust", n_durations_window=5)
    assert np.median(scaled[45:55]) == pytest.approx(-1, abs=1e-5)
    assert np.median(np.delete(scaled, slice(40, 60))) == pytest.approx(0, abs=1e-6)
    assert scale == pytest.approx(0.01, rel=0.02)
    assert offset == pytest.approx(1, abs=1e-4)


def test_robust_is_less_biased_by_noise_than_min():
    noisy = 1 + 10 * NOISE - 0.001 * (np.abs(np.arange(100) - 49.5) < 10)
    _, published, _ = normalize_flux(noisy, method="min", n_durations_window=5)
    _, robust, _ = normalize_flux(noisy, method="robust", n_durations_window=5)
    assert abs(robust - 0.001) < abs(published - 0.001)


def test_robust_leaves_noise_at_one_sigma_where_min_stretches_it():
    quiet = 1 + NOISE
    scaled, scale, _ = normalize_flux(quiet, method="robust", n_durations_window=5)
    assert scale == pytest.approx(mad_std(np.delete(quiet, slice(40, 60))), rel=1e-6)
    assert np.abs(np.median(scaled[45:55])) < 1


def test_a_point_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        normalize_flux(np.array([1.0, np.nan, 1.0]), method="min", n_durations_window=5)


def test_an_image_loses_median_and_scale():
    image = np.array([[1, 3], [5, 7]], dtype=np.float32)
    np.testing.assert_allclose(normalize_image(image, median=3, scale=2), [[-1, 0], [1, 2]])


def test_the_train_split_has_median_0_and_robust_sigma_1_per_feature(tmp_path):
    _, norm = normalized(tmp_path, [example(target, number) for target in (1, 2, 3) for number in range(3)])
    for feature in NORMALIZED_IMAGES:
        pixels = images(norm, f"{feature}_stdnorm")
        assert np.median(pixels) == pytest.approx(0, abs=1e-6)
        assert mad_std(pixels) == pytest.approx(1, abs=1e-5)


def test_everything_of_the_raw_example_is_kept(tmp_path):
    shard, norm = normalized(tmp_path, [example(1, 0), example(1, 1, images=False)])
    for raw, record in zip(read_records(shard), read_records(norm), strict=True):
        before, after = decode_example(raw), decode_example(record)
        has_images = "diff_img" in before
        added = {"flux_norm", "flux_norm_scale"}
        added |= {f"{feature}_stdnorm" for feature in NORMALIZED_IMAGES} if has_images else set()
        assert set(after) - set(before) == added
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value)
        np.testing.assert_allclose(
            after["flux_norm"] * after["flux_norm_scale"] + np.median(before["flux"]), before["flux"], rtol=1e-5
        )


def test_the_receipt_vouches_for_the_normalized_shard(tmp_path):
    _, norm = normalized(tmp_path, [example(1, 0), example(2, 0)])
    receipt = verify(norm)
    assert (receipt.records, receipt.schema) == (2, "test+norm")


def test_an_empty_shard_gives_an_empty_one(tmp_path):
    _, norm = normalized(tmp_path, [example(1, 0)], split="test")
    assert norm.stat().st_size == 0
    assert verify(norm).records == 0


def test_normalizing_again_gives_the_same_bytes(tmp_path):
    examples = [example(1, number) for number in range(3)]
    _, a = normalized(tmp_path / "a", examples)
    _, b = normalized(tmp_path / "b", examples)
    assert a.read_bytes() == b.read_bytes()


def test_per_image_uses_the_numbers_of_each_image(tmp_path):
    _, norm = normalized(tmp_path, [example(1, 0), example(2, 1)], images="per_image")
    for image in images(norm, "diff_img_stdnorm"):
        assert np.median(image) == pytest.approx(0, abs=1e-6)
        assert mad_std(image) == pytest.approx(1, abs=1e-5)


def test_per_image_needs_no_statistics(tmp_path):
    files = write_split(tmp_path, [example(3, 0)], STARS)
    out, chosen = tmp_path / "out.tfrecord", NormalizeSettings(images="per_image")
    assert normalize_shard(files["val"], tmp_path / "none.json", out, settings=chosen, n_durations_window=5) == 1


def test_an_image_that_is_mostly_one_value_is_scaled_by_its_standard_deviation(tmp_path, monkeypatch):
    spot = np.zeros((33, 33), dtype=np.float32)
    spot[16, 16] = 5
    monkeypatch.setattr("small_shards.upsampled_image", lambda *_: spot)
    _, norm = normalized(tmp_path, [example(1, 0)])
    assert images(norm, "diff_img_stdnorm").max() == pytest.approx(5 / spot.std(), rel=1e-5)


def test_a_set_without_images_is_normalized_by_flux_alone(tmp_path):
    _, norm = normalized(tmp_path, [example(1, 0, images=False)])
    (record,) = read_records(norm)
    assert "flux_norm" in decode_example(record)
    assert not any(name.endswith("_stdnorm") for name in decode_example(record))


def test_val_images_without_train_images_name_the_way_out(tmp_path):
    with pytest.raises(IntegrityError, match=r"record 0 \(3-1-S1_t_1000\): has diff_img, but .* per_image"):
        normalized(tmp_path, [example(1, 0, images=False), example(3, 0)], split="val")


def test_statistics_of_another_split_are_leakage(tmp_path):
    shard, _ = normalized(tmp_path, [example(1, 0)])
    stats = tmp_path / "train_stats.json"
    write_json(stats, read_json(stats) | {"split": "val"})
    with pytest.raises(LeakageError, match="only those of train"):
        normalize_shard(shard, stats, tmp_path / "out", settings=NormalizeSettings(), n_durations_window=5)


def test_a_file_without_statistics_is_refused(tmp_path):
    shard, _ = normalized(tmp_path, [example(1, 0)])
    stats = tmp_path / "train_stats.json"
    write_json(stats, {"split": "train", "features": {"diff_img": {}}})
    with pytest.raises(InputError, match="no train statistics"):
        normalize_shard(shard, stats, tmp_path / "out", settings=NormalizeSettings(), n_durations_window=5)


def test_a_truncated_shard_is_refused_and_leaves_nothing(tmp_path):
    shard, norm = normalized(tmp_path, [example(1, 0), example(1, 1)])
    before = norm.read_bytes()
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(IntegrityError, match="its receipt says"):
        normalize_shard(shard, tmp_path / "train_stats.json", norm, settings=NormalizeSettings(), n_durations_window=5)
    assert norm.read_bytes() == before


def test_nothing_here_imports_tensorflow():
    modules = ["naming", "split", "statistics", "normalize", "expressions", "select"]
    code = "import sys;" + "".join(f"import trainyard.transit.{module};" for module in modules)
    code += "sys.exit(any(name.split('.')[0] in ('tensorflow', 'torch', 'astropy', 'wotan') for name in sys.modules))"
    assert run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
