"""Identification of archive files by header: what is known, and what is refused."""

from __future__ import annotations

import gzip
import math
import shutil
import warnings

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light_curve_files import K2, KEPLER, KEPLER_TABLE, TESS, TESS_TABLE, curve_columns, write_curve, write_pixels

from trainyard.transit.headers import FileInfo, read_info
from trainyard.yard.errors import InputError


def test_a_tess_light_curve_is_known_whatever_its_name(tmp_path):
    info = read_info(write_curve(tmp_path / "download (3).fits"))
    assert (info.mission, info.target_id, info.sector, info.camera, info.ccd) == ("TESS", 25155310, 1, 4, 1)
    assert (info.ra, info.dec, info.mag) == (63.37389, -69.226789, 10.5)
    assert (info.kind, info.time_reference) == ("lc", "BTJD")
    assert info.cadence_days * 1440 == pytest.approx(2.0)
    assert info.bytes == info.path.stat().st_size


def test_a_kepler_light_curve_counts_quarters_and_bkjd(tmp_path):
    info = read_info(write_curve(tmp_path / "a.fits", primary=KEPLER, table=KEPLER_TABLE))
    assert (info.mission, info.target_id, info.sector, info.mag) == ("Kepler", 11442793, 3, 13.804)
    assert (info.time_reference, info.camera, info.ccd) == ("BKJD", None, None)
    assert info.cadence_days * 1440 == pytest.approx(29.42, abs=0.01)


def test_a_k2_light_curve_counts_campaigns(tmp_path):
    info = read_info(write_curve(tmp_path / "a.fits", primary=K2, table=KEPLER_TABLE))
    assert (info.mission, info.target_id, info.sector, info.time_reference) == ("K2", 201912552, 1, "BKJD")


@pytest.mark.parametrize(("primary", "table", "mission"), [(TESS, TESS_TABLE, "TESS"), (K2, KEPLER_TABLE, "K2")])
def test_a_target_pixel_file_is_told_from_a_light_curve_by_its_columns(tmp_path, primary, table, mission):
    info = read_info(write_pixels(tmp_path / "x_lc.fits", primary=primary, table=table))
    assert (info.kind, info.mission) == ("tp", mission)


def test_without_timedel_the_cadence_is_the_frames_it_sums(tmp_path):
    table = TESS_TABLE | {"TIMEDEL": None}
    assert read_info(write_curve(tmp_path / "a.fits", table=table)).cadence_days == pytest.approx(2 / 1440)


@pytest.mark.parametrize(("mode", "minutes"), [("long cadence", 29.424), ("short cadence", 0.981)])
def test_without_frames_keplers_mode_gives_the_cadence(tmp_path, mode, minutes):
    path = write_curve(tmp_path / "a.fits", primary=KEPLER | {"OBSMODE": mode}, table={"BJDREFI": 2454833})
    assert read_info(path).cadence_days * 1440 == pytest.approx(minutes, abs=0.001)


def test_a_missing_position_or_magnitude_is_nan(tmp_path):
    info = read_info(write_curve(tmp_path / "a.fits", primary=TESS | {"RA_OBJ": None, "TESSMAG": None}))
    assert math.isnan(info.ra)
    assert math.isnan(info.mag)
    assert info.dec == -69.226789


def test_the_time_reference_is_what_the_file_says(tmp_path):
    table = TESS_TABLE | {"BJDREFI": 2454833}
    assert read_info(write_curve(tmp_path / "a.fits", table=table)).time_reference == "BKJD"
    with pytest.raises(InputError, match="2400000"):
        read_info(write_curve(tmp_path / "b.fits", table=TESS_TABLE | {"BJDREFI": 2400000}))


@pytest.mark.parametrize("checksum", [True, False])
def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path, checksum):
    path = write_curve(tmp_path / "a.fits", checksum=checksum)
    copy = shutil.copy(path, tmp_path / "b.fits")
    other = curve_columns()
    other["PDCSAP_FLUX"][7] += 1
    changed = write_curve(tmp_path / "c.fits", other, checksum=checksum)
    assert read_info(copy).content == read_info(path).content != read_info(changed).content


def test_an_excerpt_that_kept_the_checksums_of_the_whole_has_another_fingerprint(tmp_path):
    whole = write_curve(tmp_path / "a.fits", curve_columns(50), checksum=True)
    sums = {name: fits.getheader(whole, 1)[name] for name in ("CHECKSUM", "DATASUM")}
    excerpt = write_curve(tmp_path / "b.fits", curve_columns(10), table=TESS_TABLE | sums)
    assert fits.getheader(excerpt, 1)["CHECKSUM"] == sums["CHECKSUM"]
    assert read_info(excerpt).content != read_info(whole).content


def test_a_gzipped_file_reads_like_the_plain_one_and_must_be_whole(tmp_path):
    path = write_curve(tmp_path / "a.fits", checksum=True)
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_info(packed).content == read_info(path).content
    packed.write_bytes(packed.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"a\.fits\.gz: .*end"):
        read_info(packed)


def end_of_table(path):
    """Where the data of the first extension end, padding included."""
    with fits.open(path) as hdus:
        place = hdus.fileinfo(1)
        return place["datLoc"] + place["datSpan"]


def test_a_cut_in_the_first_table_is_seen_by_the_size_alone(tmp_path):
    path = write_curve(tmp_path / "a.fits")
    expected = end_of_table(path)
    whole = path.read_bytes()
    assert expected < len(whole)
    path.write_bytes(whole[:expected])
    assert read_info(path).bytes == expected
    path.write_bytes(whole[: expected - 1])
    with pytest.raises(InputError, match=rf"a\.fits: truncated: its first table must reach to byte {expected}"):
        read_info(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a FITS file"),
        (b"<html>404</html>", "not a FITS file"),
        (b"SIMPLE  =                    T", "cannot be read"),
        (b"SIMPLE\x00\xff" * 999, "cannot be read"),
        (b"\x1f\x8b\x08 not gzip", "cannot be read"),
    ],
)
def test_what_is_not_fits_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.fits: {reason}"):
        read_info(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.fits: cannot be read"):
        read_info(tmp_path / "nothing.fits")


@pytest.mark.parametrize(
    ("primary", "table", "reason"),
    [
        (TESS | {"TICID": None}, TESS_TABLE, "neither TICID nor KEPLERID"),
        (TESS | {"TICID": ""}, TESS_TABLE, "TICID is missing or not a number"),
        (TESS | {"SECTOR": None}, TESS_TABLE, "SECTOR is missing"),
        (KEPLER | {"QUARTER": None}, KEPLER_TABLE, "QUARTER is missing"),
        (TESS, {"BJDREFI": 2457000}, "no cadence length"),
    ],
)
def test_a_header_without_what_identifies_a_file_is_refused(tmp_path, primary, table, reason):
    with pytest.raises(InputError, match=reason):
        read_info(write_curve(tmp_path / "a.fits", primary=primary, table=table))


def test_other_tables_of_the_missions_are_refused(tmp_path):
    validation = {"TIME": np.arange(5.0), "LC_INIT": np.zeros(5)}
    with pytest.raises(InputError, match="neither a light curve"):
        read_info(write_curve(tmp_path / "dvt.fits", validation))
    image = tmp_path / "image.fits"
    fits.HDUList(
        [fits.PrimaryHDU(header=fits.Header({"TICID": 1, "SECTOR": 1})), fits.ImageHDU(np.zeros((2, 2)))]
    ).writeto(image)
    with pytest.raises(InputError, match="not a table of cadences"):
        read_info(image)
    alone = tmp_path / "primary.fits"
    fits.PrimaryHDU(header=fits.Header({"TICID": 1})).writeto(alone)
    with pytest.raises(InputError, match="has no table"):
        read_info(alone)


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory):
    return write_curve(tmp_path_factory.mktemp("whole") / "a.fits", checksum=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_overwritten_in_the_headers_gives_facts_or_an_input_error(whole_file, tmp_path, data):
    content = bytearray(whole_file.read_bytes())
    end = end_of_table(whole_file)
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, end - 1))
        piece = data.draw(st.binary(min_size=1, max_size=80))
        content[begin : begin + len(piece)] = piece
    broken = tmp_path / "broken.fits"
    broken.write_bytes(content[: data.draw(st.sampled_from([len(content), end, end // 2]))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert isinstance(read_info(broken), FileInfo)
        except InputError as error:
            assert "broken.fits" in str(error)
