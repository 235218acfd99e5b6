"""The list of features is what records really hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainyard.transit.archive import FileRecord
from trainyard.transit.features import FEATURES, UP_TO_ALL
from trainyard.transit.images import WindowImages
from trainyard.transit.normalize import normalize_shard
from trainyard.transit.preview import preview
from trainyard.transit.records import Example, example_bytes, star_scalars
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.settings import NormalizeSettings
from trainyard.transit.train.inputs import IMAGE_INPUTS, POINT_INPUTS
from trainyard.transit.windows import Resampled, Window
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tables import Role
from trainyard.yard.tfrecord import RecordWriter


def written_example(*, images: bool) -> bytes:
    file = FileRecord("lc.fits", "lc", "TESS", 25155310, 1, 0, "x", 63.4, -69.2, 10.5, 2 / 1440, "BTJD")
    points = np.linspace(0.99, 1, 100, dtype=np.float32)
    image = np.arange(33 * 33, dtype=np.float32).reshape(33, 33)
    return example_bytes(
        Example(
            uid="25155310-1-S1_t_1327.5", tce_uid="25155310-1-S1", tce_uids=("25155310-1-S1",), coincident_tce_uids=(),
            event_id="e", sector=1, label=1, transit_example=1, origin="own",
            window=Window(1327.5, 0.14, 0, 500, 1.0, 1.0),
            points=Resampled(points, points, points, points),
            images=WindowImages(image, image, image, image, (16, 16), np.arange(49)) if images else None,
            depth_measured_ppm=7000.0, timing_error_durations=0.01, scalars=star_scalars(None, file),
        )
    )  # fmt: skip


def normalized(folder: Path, *, images: bool) -> Path:
    raw, out = folder / "train_shard_0001-0001.tfrecord", folder / "norm_train_shard_0001-0001.tfrecord"
    with atomic_open(raw) as handle:
        RecordWriter(handle).write(written_example(images=images))
    write_receipt(raw, records=1)
    settings = NormalizeSettings(images="per_image")
    normalize_shard(raw, folder / "none.json", out, settings=settings, n_durations_window=5.0)
    return out


@pytest.mark.parametrize("images", [True, False])
def test_a_normalized_record_holds_the_listed_features_and_no_others(tmp_path: Path, images: bool) -> None:
    listed = {
        (f.name, f.kind, "49" if f.shape == UP_TO_ALL else f.shape)
        for f in FEATURES
        if images or "images" not in f.where
    }
    held = {(f.name, f.kind, f.shape) for f in preview(normalized(tmp_path, images=images), 0)}
    assert held == listed


def test_a_raw_record_lacks_what_normalization_adds(tmp_path: Path) -> None:
    normalized(tmp_path, images=True)
    held = {f.name for f in preview(tmp_path / "train_shard_0001-0001.tfrecord", 0)}
    assert held == {f.name for f in FEATURES if "norm" not in f.where}


def test_features_are_listed_once() -> None:
    assert len({f.name for f in FEATURES}) == len(FEATURES)


def test_a_model_may_see_windows_images_and_what_is_known_of_every_star_and_nothing_else() -> None:
    allowed = {f.name for f in FEATURES if f.role is Role.FEATURE}
    images = {"diff_img", "oot_img", "snr_img"}
    assert allowed == {
        *("flux", "flux_quality", "flux_norm", "target_img", *images, *(f"{name}_stdnorm" for name in images)),
        *("duration_hours", "mag", "mag_shift", "mag_cat", "mission"),
    }
    assert set(POINT_INPUTS) | set(IMAGE_INPUTS) <= allowed


def test_the_example_table_says_the_same_of_what_it_shares_with_the_records() -> None:
    columns = {column.name: column.role for column in SPLIT_EXAMPLES.columns}
    shared = {f.name: f.role for f in FEATURES if f.name in columns}
    assert {name: columns[name] for name in shared} == shared
    catalogue = {"tce_depth", "tce_max_mult_ev", "boot_fap", "tce_period", "tce_steff", "disposition", "tce_plnt_num"}
    assert {shared[name] for name in catalogue} == {Role.NEVER_A_FEATURE}


def test_preview_shows_first_values_and_ranges_of_images(tmp_path: Path) -> None:
    shown = {f.name: f.values for f in preview(normalized(tmp_path, images=True), 0)}
    assert shown["uid"] == "'25155310-1-S1_t_1327.5'"
    assert shown["flux"].startswith("0.99 ") and shown["flux"].endswith(" ...")
    assert shown["diff_img"] == "0 to 1088"
    assert shown["target_pos"] == "16 16"
    assert shown["tce_depth"] == "nan"


def test_preview_of_a_record_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    shard = normalized(tmp_path, images=False)
    with pytest.raises(InputError, match="has no record 1; it holds records 0 to 0"):
        preview(shard, 1)
    with pytest.raises(InputError, match="has no record -1"):
        preview(shard, -1)
    (tmp_path / "empty.tfrecord").touch()
    with pytest.raises(InputError, match="it holds no records"):
        preview(tmp_path / "empty.tfrecord", 0)
