"""Records and rows: the same values, with everything the table says of the TCE."""

from __future__ import annotations

import math

import numpy as np
import pytest
from synthetic_stars import make_file, make_tce

from trainyard.transit.images import WindowImages
from trainyard.transit.records import Example, example_bytes, example_row, offset_sigma, star_scalars
from trainyard.transit.schema import EXAMPLES, FLOAT_SCALARS, INT_SCALARS, STRING_SCALARS
from trainyard.transit.windows import Resampled, Window
from trainyard.yard.examples import decode_example, decode_tensor

TIME = 1412.3449704478298
FLUX = np.linspace(0.99, 1.01, 100, dtype=np.float32)
POINTS = Resampled(FLUX, np.ones_like(FLUX), (FLUX < 0.995).astype(np.float32), np.full_like(FLUX, 3.5))
IMAGES = WindowImages(
    *(np.full((33, 33), k, dtype=np.float32) for k in range(4)), target_pos=(16, 9), camera_pixels=np.array([4, 9])
)


def make_example(images=IMAGES, **row):
    return Example(
        uid=f"7-1-S1_t_{TIME!r}",
        tce_uid="7-1-S1",
        tce_uids=("7-1-S1", "7-1-S1-13"),
        coincident_tce_uids=("7-2-S1",),
        event_id="7-1-S1",
        sector=17,
        label=1,
        transit_example=1,
        origin="own",
        window=Window(TIME, 0.125, 10, 460, 0.97, 0.99),
        points=POINTS,
        images=images,
        depth_measured_ppm=812.5,
        timing_error_durations=0.02,
        scalars=star_scalars(make_tce(**row), make_file()),
    )


def test_a_record_holds_the_published_features():
    record = decode_example(example_bytes(make_example(tce_depth=810.0, numberOfPlanets=2, matched_object="TOI-1")))
    texts = {"uid": f"7-1-S1_t_{TIME!r}", "tce_uid": "7-1-S1", "label": "1", "transit_example": "1", "sector": "17"}
    assert {name: record[name] for name in texts} == {name: [text.encode()] for name, text in texts.items()}
    assert np.array_equal(record["flux"], FLUX)
    assert np.array_equal(record["true_it_mask"], POINTS.in_transit)
    assert np.array_equal(record["flux_quality"], POINTS.quality)
    assert record["t"] == pytest.approx([TIME], abs=1e-4)
    for k, name in enumerate(("diff_img", "oot_img", "snr_img", "target_img")):
        image = decode_tensor(record[name][0])
        assert (image.shape, image.dtype, float(image.max())) == ((33, 33), np.float32, k)
    assert list(record["target_pos"]) == [16, 9]
    assert list(record["camera_pixels"]) == [4, 9]
    assert record["tce_depth"] == [810.0]
    assert list(record["numberOfPlanets"]) == [2]
    assert record["matched_object"] == [b"TOI-1"]
    assert {*INT_SCALARS, *FLOAT_SCALARS, *STRING_SCALARS} <= set(record)


def test_types_of_features_do_not_depend_on_their_values():
    """A missing number is NaN or -1, so that every record parses with the same schema."""
    full = decode_example(example_bytes(make_example(tce_depth=810.0, numberOfPlanets=2)))
    bare = decode_example(example_bytes(make_example()))
    assert {name: type(value) if isinstance(value, list) else value.dtype for name, value in full.items()} == {
        name: type(value) if isinstance(value, list) else value.dtype for name, value in bare.items()
    }
    assert math.isnan(bare["tce_depth"][0])
    assert list(bare["numberOfPlanets"]) == [-1]


def test_an_example_without_images_says_so_and_has_none():
    record = decode_example(example_bytes(make_example(images=None)))
    assert list(record["has_images"]) == [0]
    assert not [name for name in record if name.endswith("_img") or name in ("target_pos", "camera_pixels")]


def test_a_row_of_the_table_agrees_with_the_record_and_keeps_full_precision():
    example = make_example(tce_depth=810.0, tce_period=4.630879134159551)
    row = example_row(example, 5)
    (read,) = EXAMPLES.table([row]).to_pylist()
    assert (read["example_i"], read["uid"], read["time"]) == (5, example.uid, TIME)
    assert float(read["uid"].split("_t_")[1]) == read["time"]
    assert (read["tce_uids"], read["coincident_tce_uids"]) == ("7-1-S1;7-1-S1-13", "7-2-S1")
    assert (read["label"], read["transit_example"], read["origin"], read["has_images"]) == (1, 1, "own", True)
    assert (read["duration_hours"], read["tce_period"]) == (3.0, 4.630879134159551)
    assert read["in_transit_fraction"] == pytest.approx(POINTS.in_transit.mean())
    assert read["frac_good"] == pytest.approx(0.97)
    record = decode_example(example_bytes(example))
    for name in FLOAT_SCALARS:
        assert record[name][0] == pytest.approx(row[name], nan_ok=True)


def test_scalars_of_the_table_are_completed_from_the_header():
    scalars = star_scalars(make_tce(ra=61.5), make_file(ra=60.0, dec=-66.0, mag=6.5))
    assert (scalars["ra"], scalars["dec"], scalars["mag"]) == (61.5, -66.0, 6.5)
    assert (scalars["mag_shift"], scalars["mag_cat"], scalars["mission"]) == (-0.5, 0, 0)


@pytest.mark.parametrize(("mag", "category"), [(6.9, 0), (7.0, 0), (7.1, 1), (float("nan"), -1)])
def test_stars_of_magnitude_seven_and_brighter_are_saturated(mag, category):
    assert star_scalars(None, make_file(mag=mag))["mag_cat"] == category


@pytest.mark.parametrize(("mission", "number"), [("TESS", 0), ("Kepler", 1), ("K2", 1)])
def test_missions_are_numbered(mission, number):
    assert star_scalars(None, make_file(mission=mission))["mission"] == number


def test_a_window_without_tce_has_the_star_alone():
    scalars = star_scalars(None, make_file(target=9))
    assert (scalars["target_id"], scalars["disposition"], scalars["tce_plnt_num"]) == (9, "NONE", -1)
    assert math.isnan(scalars["tce_period"])


@pytest.mark.parametrize(
    ("offset", "error", "sigma"),
    [
        # 21/3.98 arcsec over the published error: (2.5/5.2764 + 0.5 - 0.0667) * 5.2764 arcsec
        (3.0, 0.5, 3.0 * 5.27638 / (0.5 * 5.27638 + 2.5 - 5.27638 * 0.0667)),
        (0.0, 0.5, 0.0),
        (3.0, -1.0, math.nan),
        (3.0, math.nan, math.nan),
        (math.nan, 0.5, math.nan),
    ],
)
def test_the_centroid_offset_is_that_of_the_published_filter(offset, error, sigma):
    scalars = {"tce_dikco_msky": offset, "tce_dikco_msky_err": error}
    assert offset_sigma(scalars) == pytest.approx(sigma, nan_ok=True, rel=1e-4)
