"""Reading, gridding and scoring of light curves."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light_curve_files import (
    KEPLER,
    KEPLER_TABLE,
    TWO_MINUTES,
    curve_columns,
    write_curve,
    write_pixels,
)

from trainyard.transit.lightcurves import NoFiniteFluxError, default_bitmask, prepare, read_light_curve
from trainyard.yard.errors import InputError

DEFAULT = default_bitmask("TESS")


def prepared_from(path, *, bitmask=DEFAULT):
    return prepare(read_light_curve(path), bitmask=bitmask, kernel_sigma=1.0)


def prepared(path, columns):
    return prepared_from(write_curve(path, columns))


def test_columns_come_back_in_native_order_with_missing_values_as_nan(tmp_path):
    columns = curve_columns(6)
    columns["TIME"][2] = np.nan
    columns["PDCSAP_FLUX"][[2, 4]] = np.nan
    columns["QUALITY"][5] = 4096
    curve = read_light_curve(write_curve(tmp_path / "a.fits", columns))
    for array, dtype in [
        (curve.time, np.float64),
        (curve.flux, np.float64),
        (curve.quality, np.int32),
        (curve.cadence_no, np.int32),
    ]:
        assert array.dtype == dtype
        assert array.dtype.isnative
        assert array.flags.owndata
    assert np.array_equal(np.isnan(curve.flux), [0, 0, 1, 0, 1, 0])
    assert np.array_equal(curve.time, columns["TIME"], equal_nan=True)
    assert curve.quality[5] == 4096
    assert curve.info.target_id == 25155310


def test_kepler_quality_stands_in_sap_quality(tmp_path):
    columns = curve_columns(5)
    columns["SAP_QUALITY"] = columns.pop("QUALITY") + 8
    curve = read_light_curve(write_curve(tmp_path / "a.fits", columns, primary=KEPLER, table=KEPLER_TABLE))
    assert np.all(curve.quality == 8)


def test_without_cadence_numbers_rows_are_counted(tmp_path):
    columns = curve_columns(5)
    del columns["CADENCENO"]
    assert np.array_equal(read_light_curve(write_curve(tmp_path / "a.fits", columns)).cadence_no, range(5))


def test_the_flux_column_can_be_chosen(tmp_path):
    columns = curve_columns(5)
    columns |= {"SAP_FLUX": columns["PDCSAP_FLUX"] * 2}
    curve = read_light_curve(write_curve(tmp_path / "a.fits", columns), flux_column="SAP_FLUX")
    assert np.all(curve.flux == 2000)


def test_reading_is_silent_and_leaves_warnings_as_they_were(tmp_path):
    path = write_curve(tmp_path / "a.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_light_curve(path)
        with pytest.raises(UserWarning):
            warnings.warn("still an error", UserWarning, stacklevel=1)


def test_a_gzipped_light_curve_reads_like_the_plain_one(tmp_path):
    path = write_curve(tmp_path / "a.fits")
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(read_light_curve(packed).time, read_light_curve(path).time)


@pytest.mark.parametrize("name", ["PDCSAP_FLUX", "QUALITY"])
def test_a_missing_column_is_named(tmp_path, name):
    columns = curve_columns(5) | {"SAP_FLUX": np.zeros(5)}
    del columns[name]
    with pytest.raises(InputError, match=rf"a\.fits: has no column {name}"):
        read_light_curve(write_curve(tmp_path / "a.fits", columns))


def test_a_light_curve_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.fits: has no cadence"):
        read_light_curve(write_curve(tmp_path / "a.fits", curve_columns(0)))


def test_a_target_pixel_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a target pixel file"):
        read_light_curve(write_pixels(tmp_path / "a.fits"))


@pytest.mark.parametrize(("mission", "mask"), [("TESS", 17087), ("Kepler", 1130799), ("K2", 1130799)])
def test_default_quality_masks(mission, mask):
    assert default_bitmask(mission) == mask


@pytest.mark.parametrize(
    ("hole", "expected"),
    [
        (1, [0.601]),
        (2, [0.359, 0.359]),
        (3, [0.305, 0.117, 0.305]),
        (5, [0.301, 0.059, 0.009, 0.059, 0.301]),
    ],
)
def test_quality_scores_inside_a_hole(tmp_path, hole, expected):
    columns = curve_columns(41)
    columns["PDCSAP_FLUX"][20 : 20 + hole] = np.nan
    curve = prepared(tmp_path / "a.fits", columns)
    assert curve.flux_quality.dtype == np.float32
    assert curve.flux_quality[20 : 20 + hole] == pytest.approx(expected, abs=0.0006)
    assert np.all(np.delete(curve.flux_quality, np.s_[20 : 20 + hole]) == 1)


def test_the_middle_of_a_deep_hole_scores_zero(tmp_path):
    columns = curve_columns(60)
    columns["QUALITY"][20:40] = 4
    assert prepared(tmp_path / "a.fits", columns).flux_quality[30] == 0


def test_good_needs_time_flux_and_no_masked_bit(tmp_path):
    columns = curve_columns(6)
    columns["TIME"][1] = np.nan
    columns["PDCSAP_FLUX"][2] = np.inf
    columns["QUALITY"][3] = 128
    columns["QUALITY"][4] = 4096  # scattered light: not among the default bits
    path = tmp_path / "a.fits"
    curve = prepared(path, columns)
    assert np.array_equal(curve.good, [1, 0, 0, 0, 1, 1])
    strict = prepared_from(path, bitmask=65535)
    assert np.array_equal(strict.good, [1, 0, 0, 0, 0, 1])


def test_bad_flux_lies_on_lines_in_time_and_is_constant_at_the_ends(tmp_path):
    columns = curve_columns(9)
    columns["PDCSAP_FLUX"][:] = [9, 9, 1, 9, 9, 4, 5, 9, 9]
    columns["QUALITY"][[0, 1, 3, 4, 7, 8]] = 1
    assert prepared(tmp_path / "a.fits", columns).flux == pytest.approx([1, 1, 1, 2, 3, 4, 5, 5, 5])


def test_measured_times_are_untouched_and_missing_ones_follow_the_cadence_number(tmp_path):
    columns = curve_columns(40)
    columns["TIME"] += 1e-6 * np.arange(40) ** 2  # a barycentric curve, much exaggerated
    truth = columns["TIME"].copy()
    columns["TIME"][[0, 1, 10, 11, 12, 38, 39]] = np.nan
    time = prepared(tmp_path / "a.fits", columns).time
    measured = np.isfinite(columns["TIME"])
    assert np.array_equal(time[measured], truth[measured])
    assert time[10:13] == pytest.approx(truth[10:13], abs=1e-5)
    step = np.median(np.diff(truth[2:10]).tolist() + np.diff(truth[13:38]).tolist() + [(truth[13] - truth[9]) / 4])
    assert time[:2] == pytest.approx(truth[2] - step * np.array([2, 1]))
    assert time[38:] == pytest.approx(truth[37] + step * np.array([1, 2]))
    assert np.all(np.diff(time) > 0)


def test_a_jump_of_the_cadence_number_spaces_missing_times(tmp_path):
    columns = curve_columns(6)
    columns["CADENCENO"] = np.array([10, 11, 14, 18, 19, 20], dtype=np.int32)
    columns["TIME"] = 1500 + TWO_MINUTES * columns["CADENCENO"].astype(float)
    truth = columns["TIME"].copy()
    columns["TIME"][[2, 3]] = np.nan
    time = prepared(tmp_path / "a.fits", columns).time
    assert len(time) == 11
    assert time[columns["CADENCENO"] - 10] == pytest.approx(truth, abs=1e-9)


def test_a_file_without_its_bad_rows_is_prepared_like_the_whole_one(tmp_path):
    whole = curve_columns(400)
    whole["PDCSAP_FLUX"] += np.arange(400)
    whole["QUALITY"][np.random.default_rng(2).random(400) < 0.4] = 32
    whole["QUALITY"][[0, -1]] = 0
    kept = whole["QUALITY"] == 0
    part = {name: values[kept] for name, values in whole.items()}
    every, some = (prepared(tmp_path / f"{len(c['TIME'])}.fits", c) for c in (whole, part))
    assert np.array_equal(some.good, every.good)
    assert some.time == pytest.approx(every.time, abs=1e-9)
    assert some.flux == pytest.approx(every.flux, rel=1e-9)
    assert np.array_equal(some.flux_quality, every.flux_quality)


def test_without_cadence_numbers_left_out_rows_are_seen_by_the_times(tmp_path):
    whole = curve_columns(60)
    del whole["CADENCENO"]
    whole["TIME"][20] = np.nan
    kept = np.ones(60, dtype=bool)
    kept[[10, 11, 30]] = False
    part = {name: values[kept] for name, values in whole.items()}
    good = prepared(tmp_path / "a.fits", part).good
    assert np.array_equal(np.flatnonzero(~good), [10, 11, 20, 30])


@pytest.mark.parametrize("number", [2**31 - 1, 7000 + 201 * 720])
def test_a_gap_longer_than_any_sector_is_refused(tmp_path, number):
    columns = curve_columns(8)
    columns["CADENCENO"][-1] = number
    with pytest.raises(InputError, match=r"a\.fits: its cadence numbers span \d+ d, more than any light curve"):
        prepared(tmp_path / "a.fits", columns)


def test_one_measured_time_is_enough(tmp_path):
    columns = curve_columns(3)
    truth = columns["TIME"].copy()
    columns["TIME"][[0, 2]] = np.nan
    assert prepared(tmp_path / "a.fits", columns).time == pytest.approx(truth, abs=1e-9)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["PDCSAP_FLUX"].fill(np.nan),
        lambda c: c["TIME"].fill(np.nan),
        lambda c: c["QUALITY"].fill(4),
    ],
)
def test_a_sector_without_any_good_cadence_says_so(tmp_path, spoil):
    columns = curve_columns(8)
    spoil(columns)
    with pytest.raises(NoFiniteFluxError, match=r"a\.fits: no cadence"):
        prepared(tmp_path / "a.fits", columns)


@pytest.mark.parametrize(("name", "reason"), [("TIME", "its times"), ("CADENCENO", "its cadence numbers")])
def test_times_and_cadence_numbers_must_increase(tmp_path, name, reason):
    columns = curve_columns(8)
    columns[name][4] = columns[name][3]
    with pytest.raises(InputError, match=rf"a\.fits: {reason} do not increase"):
        prepared(tmp_path / "a.fits", columns)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    return write_curve(tmp_path_factory.mktemp("whole") / "a.fits", checksum=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_overwritten_gives_a_curve_or_an_input_error(whole_file, tmp_path, data):
    content = bytearray(whole_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.text("0123456789 '.-+BDEIJTX", min_size=1, max_size=12)).encode()
        content[begin : begin + len(piece)] = piece
    broken = tmp_path / "broken.fits"
    broken.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            curve = prepared_from(broken)
            assert np.isfinite(curve.flux).all()
            assert np.all(np.diff(curve.time) > 0)
        except InputError as error:
            assert "broken.fits" in str(error)
