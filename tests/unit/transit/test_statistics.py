from __future__ import annotations

import json
import math
import shutil
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_shards import example, write_split

from trainyard.transit.images import frame_images
from trainyard.transit.schema import NORMALIZED_IMAGES
from trainyard.transit.settings import StatisticsSettings
from trainyard.transit.statistics import MAD_TO_STD, choose, describe, reduce_samples, take_pixels
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.examples import decode_example, decode_tensor, encode_example, encode_tensor
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tfrecord import read_records

NATIVE, ALL = StatisticsSettings(), StatisticsSettings(pixels="all")
STARS = {1: "train", 2: "train", 3: "train", 4: "val", 5: "test"}
OUTPUTS = ["train_stats.json", "train_stats.npy", *(f"train_set_{feature}_stats.npy" for feature in NORMALIZED_IMAGES)]


def build(folder, examples, *, settings=NATIVE, shard_of=lambda target: 0, num_shards=1, backwards=False):
    """Split, sample and reduce some examples; gives the folder of the statistics."""
    samples = []
    for shard in range(num_shards):
        mine = [pair for pair in examples if shard_of(pair[0]["target_id"]) == shard]
        files = write_split(folder / str(shard), mine, STARS, shard=shard + 1, num_shards=num_shards)
        samples.append(folder / f"sample{shard}.npz")
        take_pixels([(files["train"], files["examples"])], settings=settings, out=samples[-1])
    reduce_samples(samples[::-1] if backwards else samples, out_dir=folder / "stats", settings=settings)
    return folder / "stats"


def some_examples(count=6):
    return [example(target, number) for target in STARS for number in range(count)]


def test_statistics_equal_numpy_on_the_pooled_sample(tmp_path):
    files = write_split(tmp_path, some_examples(3), STARS)
    sample = tmp_path / "sample.npz"
    assert take_pixels([(files["train"], files["examples"])], settings=ALL, out=sample) == 9
    stats = reduce_samples([sample], out_dir=tmp_path, settings=ALL)["features"]
    for feature in NORMALIZED_IMAGES:
        pixels = np.stack([decode_tensor(decode_example(r)[feature][0]) for r in read_records(files["train"])])
        pixels = pixels.astype(np.float64)
        median = np.median(pixels)
        assert stats[feature]["total_pixels"] == 9 * 33 * 33
        assert stats[feature]["mean"] == pytest.approx(pixels.mean(), rel=1e-13)
        assert stats[feature]["std"] == pytest.approx(pixels.std(), rel=1e-12)
        assert stats[feature]["median"] == median
        assert stats[feature]["std_mad"] == MAD_TO_STD * np.median(np.abs(pixels - median))


@given(
    hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False))
)
def test_description_equals_numpy_for_any_values(values):
    pixels = values.astype(np.float64)
    median = np.median(pixels)
    found = describe(values.copy())
    assert found["median"] == median
    assert found["std_mad"] == MAD_TO_STD * np.median(np.abs(pixels - median))
    assert found["mean"] == pytest.approx(pixels.mean(), rel=1e-9, abs=1e-9)
    assert found["std"] == pytest.approx(pixels.std(), rel=1e-6, abs=1e-6)


@given(st.permutations([-0.0, 0.0, 1e8, -1e8, 1.5, 1e-3, 7.0]))
def test_description_does_not_depend_on_order(values):
    ordered = describe(np.array(sorted(values), dtype=np.float32))
    assert repr(describe(np.array(values, dtype=np.float32))) == repr(ordered)


def test_the_robust_scale_is_that_of_astropy():
    mad_std = pytest.importorskip("astropy.stats").mad_std
    pixels = np.random.default_rng(0).normal(5, 3, 1001).astype(np.float32)
    assert describe(pixels.copy())["std_mad"] == pytest.approx(mad_std(pixels.astype(np.float64)), rel=1e-14)


def test_native_takes_every_camera_pixel_once(tmp_path):
    files = write_split(tmp_path, [example(1, 0)], STARS)
    take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")
    (record,) = read_records(files["train"])
    image = decode_tensor(decode_example(record)["diff_img"][0])
    with np.load(tmp_path / "sample.npz") as sample:
        assert sample["diff_img"].shape == (121,)
        assert len(np.unique(sample["diff_img"])) == 121
        np.testing.assert_array_equal(sample["diff_img"].reshape(11, 11), image[1::3, 1::3])


def test_native_leaves_out_copies_of_the_edge_and_what_fills_holes(tmp_path):
    """A stamp of 7 x 7 pixels with a hole has 48 of its own, whatever the size of the image."""
    stamp = np.random.default_rng(0).normal(500, 50, (7, 7))
    stamp[3, 2] = np.nan
    images = frame_images(np.stack([stamp] * 3), (3.0, 3.0), size=(11, 11), factor=(3, 3), center_target=False)
    row, record = example(1, 0)
    features = decode_example(record)
    features |= {name: encode_tensor(getattr(images, name)) for name in NORMALIZED_IMAGES}
    features["camera_pixels"] = images.camera_pixels
    files = write_split(tmp_path, [(row, encode_example(features))], STARS)
    take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")
    with np.load(tmp_path / "sample.npz") as sample:
        for name in NORMALIZED_IMAGES:
            assert np.array_equal(np.sort(sample[name]), np.sort(stamp[np.isfinite(stamp)].astype(np.float32)))


def test_records_that_do_not_tell_their_camera_pixels_are_refused(tmp_path):
    row, record = example(1, 0)
    features = decode_example(record)
    del features["camera_pixels"]
    files = write_split(tmp_path, [(row, encode_example(features))], STARS)
    with pytest.raises(IntegrityError, match="has no camera_pixels"):
        take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")


def test_native_and_all_agree_on_whole_blocks(tmp_path):
    native = json.loads((build(tmp_path / "a", some_examples(1)) / "train_stats.json").read_text())
    pooled = json.loads((build(tmp_path / "b", some_examples(1), settings=ALL) / "train_stats.json").read_text())
    for feature in NORMALIZED_IMAGES:
        a, b = native["features"][feature], pooled["features"][feature]
        assert 9 * a["total_pixels"] == b["total_pixels"]
        assert a["mean"] == pytest.approx(b["mean"])
        assert a["median"] == b["median"]


def test_shards_and_their_order_change_no_byte(tmp_path):
    one = build(tmp_path / "one", some_examples())
    three = build(tmp_path / "three", some_examples(), shard_of=lambda target: target % 3, num_shards=3)
    turned = build(
        tmp_path / "turned", some_examples()[::-1], shard_of=lambda target: target % 2, num_shards=2, backwards=True
    )
    for name in OUTPUTS:
        assert (one / name).read_bytes() == (three / name).read_bytes() == (turned / name).read_bytes(), name


def test_val_and_test_change_no_byte(tmp_path):
    train = [pair for pair in some_examples() if STARS[pair[0]["target_id"]] == "train"]
    others = [example(target, number + 50) for target in (4, 5) for number in range(9)]
    alone, among = build(tmp_path / "a", train), build(tmp_path / "b", [*others, *train])
    for name in OUTPUTS:
        assert (alone / name).read_bytes() == (among / name).read_bytes(), name


def test_a_train_star_more_changes_the_numbers_and_the_hash_of_the_ids(tmp_path):
    fewer = [pair for pair in some_examples() if pair[0]["target_id"] != 3]
    a = json.loads((build(tmp_path / "a", fewer) / "train_stats.json").read_text())
    b = json.loads((build(tmp_path / "b", some_examples()) / "train_stats.json").read_text())
    assert a["ids_sha256"] != b["ids_sha256"]
    assert a["features"] != b["features"]
    assert (a["n_examples"], b["n_examples"]) == (8, 12)


def test_the_same_sample_is_the_same_bytes_at_another_time(tmp_path, monkeypatch):
    files = write_split(tmp_path, some_examples(2), STARS)
    take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "a.npz")
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_at_most_so_many_examples_of_a_tce_enter():
    rows = [example(target, number, images=number != 3)[0] for target in (1, 2) for number in range(9)]
    chosen = choose(rows, 4)
    assert [row["target_id"] for row in chosen] == [1] * 4 + [2] * 4
    assert all(row["has_images"] for row in chosen)
    assert choose(rows[::-1], 4) == chosen
    assert {row["uid"] for row in choose(rows, 2)} < {row["uid"] for row in chosen}


def test_spare_negatives_of_different_stars_are_not_one_tce():
    rows = [example(target, number, tce_uid="")[0] for target in (1, 2) for number in range(5)]
    assert len(choose(rows, 4)) == 8


def test_the_published_files_are_read_back_as_dicts(tmp_path):
    stats = build(tmp_path, some_examples(1))
    numbers = json.loads((stats / "train_stats.json").read_text())["features"]
    assert np.load(stats / "train_stats.npy", allow_pickle=True).item() == numbers
    for feature in NORMALIZED_IMAGES:
        found = np.load(stats / f"train_set_{feature}_stats.npy", allow_pickle=True).item()
        assert found == numbers[feature]
        assert set(found) == {"mean", "std", "std_mad", "median", "total_pixels"}


def test_a_set_without_images_has_empty_features(tmp_path):
    stats = build(tmp_path, [example(1, 0, images=False), example(4, 0, images=False)])
    found = json.loads((stats / "train_stats.json").read_text())
    assert (found["features"], found["n_examples"]) == ({}, 0)
    assert np.load(stats / "train_stats.npy", allow_pickle=True).item() == {}
    nothing = np.load(stats / "train_set_oot_img_stats.npy", allow_pickle=True).item()
    assert nothing["total_pixels"] == 0
    assert math.isnan(nothing["median"])


def test_shards_without_images_beside_others_change_nothing(tmp_path):
    plain = [example(2, number, images=False) for number in range(3)]
    a = build(tmp_path / "a", [example(1, 0)])
    b = build(tmp_path / "b", [example(1, 0), *plain], shard_of=lambda target: target % 2, num_shards=2)
    assert (a / "train_stats.json").read_bytes() == (b / "train_stats.json").read_bytes()


def test_a_val_shard_is_leakage(tmp_path):
    files = write_split(tmp_path, some_examples(1), STARS)
    with pytest.raises(LeakageError, match="train split alone"):
        take_pixels([(files["val"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")


def test_val_records_under_the_name_of_a_train_shard_do_not_match_the_table(tmp_path):
    files = write_split(tmp_path, some_examples(1), STARS)
    shutil.copy(files["val"], files["train"])
    write_receipt(files["train"], records=1)
    with pytest.raises(IntegrityError, match="holds 1 records"):
        take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")


def test_an_example_in_two_samples_is_refused(tmp_path):
    files = write_split(tmp_path, some_examples(1), STARS)
    for name in ("a.npz", "b.npz"):
        take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / name)
    with pytest.raises(IntegrityError, match="1-1-S1_t_1000 stands in two samples"):
        reduce_samples([tmp_path / "a.npz", tmp_path / "b.npz"], out_dir=tmp_path, settings=NATIVE)


def test_a_pixel_that_is_not_finite_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("small_shards.upsampled_image", lambda *_: np.full((33, 33), np.nan, dtype=np.float32))
    files = write_split(tmp_path, [example(1, 0)], STARS)
    with pytest.raises(IntegrityError, match="example 1-1-S1_t_1000: diff_img has pixels that are not finite"):
        take_pixels([(files["train"], files["examples"])], settings=NATIVE, out=tmp_path / "sample.npz")
