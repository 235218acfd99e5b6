"""The archive: files are known by their headers, wherever they lie and whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from astropy.io import fits
from light_curve_files import K2, KEPLER, KEPLER_TABLE, TESS, TESS_TABLE, write_curve, write_pixels

from trainyard.transit import archive
from trainyard.transit.archive import index_files, list_files
from trainyard.transit.reasons import Reason
from trainyard.yard.errors import InputError

FAST = TESS_TABLE | {"TIMEDEL": 20 / 86400}


def index(*folders, quarantine=(), cache=None):
    return index_files(list_files(folders), quarantine=quarantine, cache=cache)


def reasons(found):
    return [reason for _, reason, _ in found.rejected]


@pytest.fixture
def forget_headers(monkeypatch):
    """Make every look at a header fail, so that only the cache can answer."""

    def forbid(path):
        raise AssertionError(f"{path} was read")

    return lambda: monkeypatch.setattr(archive, "read_info", forbid)


def test_files_are_found_in_any_folder_under_any_name(tmp_path):
    (tmp_path / "sector_1").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write_curve(tmp_path / "sector_1" / "tess2018-s0001-lc.fits")
    write_curve(tmp_path / "deep" / "er" / "whatever.FITS", primary=TESS | {"SECTOR": 2})
    write_pixels(tmp_path / "a b.fits")
    (tmp_path / "readme.txt").write_text("not looked at")
    found = index(tmp_path)
    assert [(file.kind, file.target_id, file.sector) for file in found.files] == [
        ("lc", 25155310, 1),
        ("lc", 25155310, 2),
        ("tp", 25155310, 1),
    ]
    assert found.rejected == ()


@pytest.mark.parametrize(
    ("primary", "mission", "target", "sector", "reference"),
    [
        (KEPLER, "Kepler", 11442793, 3, "BKJD"),
        (K2, "K2", 201912552, 1, "BKJD"),
    ],
)
def test_kepler_and_k2_are_told_from_their_headers(tmp_path, primary, mission, target, sector, reference):
    write_curve(tmp_path / "llc.fits", primary=primary, table=KEPLER_TABLE)
    (file,) = index(tmp_path).files
    assert (file.mission, file.target_id, file.sector, file.time_reference) == (mission, target, sector, reference)


def test_twenty_second_files_never_stand_in_for_two_minute_ones(tmp_path):
    write_curve(tmp_path / "a_fast-lc.fits", table=FAST)
    write_curve(tmp_path / "b_lc.fits")
    found = index(tmp_path)
    assert [Path(file.path).name for file in found.files] == ["b_lc.fits"]
    assert reasons(found) == [Reason.OTHER_CADENCE]


def test_of_two_cadences_the_shorter_is_used(tmp_path):
    write_curve(tmp_path / "a.fits", table=TESS_TABLE | {"TIMEDEL": 600 / 86400})
    write_curve(tmp_path / "b.fits")
    found = index(tmp_path)
    assert [Path(file.path).name for file in found.files] == ["b.fits"]
    ((path, reason, detail),) = found.rejected
    assert (Path(path).name, reason) == ("a.fits", Reason.DUPLICATE_FILE)
    assert "b.fits is used for this star and sector" in detail


def test_a_tic_and_a_kic_of_the_same_number_are_two_stars(tmp_path):
    write_curve(tmp_path / "tess.fits", primary=TESS | {"SECTOR": 3})
    write_curve(tmp_path / "kepler.fits", primary=KEPLER | {"KEPLERID": TESS["TICID"]}, table=KEPLER_TABLE)
    assert [file.mission for file in index(tmp_path).files] == ["Kepler", "TESS"]


def test_every_file_that_cannot_be_used_has_a_reason(tmp_path):
    write_curve(tmp_path / "good.fits")
    (tmp_path / "empty.fits").touch()
    (tmp_path / "text.fits").write_text("hello")
    (tmp_path / "link.fits").symlink_to(tmp_path / "gone.fits")
    whole = write_curve(tmp_path / "cut.fits", primary=TESS | {"SECTOR": 2}).read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:-9000])
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU([[1]])]).writeto(tmp_path / "image.fits")
    write_curve(tmp_path / "bad.fits", primary=TESS | {"SECTOR": 3})
    found = index(tmp_path, quarantine=["bad.fits"])
    assert len(found.files) == 1
    assert {Path(path).name: reason for path, reason, _ in found.rejected} == {
        "bad.fits": Reason.QUARANTINED,
        "cut.fits": Reason.UNREADABLE,
        "empty.fits": Reason.EMPTY_FILE,
        "image.fits": Reason.WRONG_KIND,
        "link.fits": Reason.UNREADABLE,
        "text.fits": Reason.UNREADABLE,
    }
    assert all(detail for _, _, detail in found.rejected)
    assert len(found.files) + len(found.rejected) == len(list_files([tmp_path]))


def test_a_folder_named_twice_or_linked_to_itself_is_searched_once(tmp_path):
    write_curve(tmp_path / "a.fits")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(list_files([tmp_path, tmp_path])) == 1


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: this archive folder is not there"):
        list_files([tmp_path / "nowhere"])


def test_headers_already_read_come_from_the_cache(tmp_path, forget_headers):
    cache = tmp_path / "cache"
    write_curve(tmp_path / "a.fits")
    first = index(tmp_path, cache=cache)
    forget_headers()
    assert index(tmp_path, cache=cache) == first


def test_the_cache_is_written_when_there_is_news_and_only_then(tmp_path):
    cache = tmp_path / "cache"
    first, second = (write_curve(tmp_path / f"{k}.fits", primary=TESS | {"SECTOR": k}) for k in (1, 2))
    (tmp_path / "text.fits").write_text("can never be read")
    index(tmp_path, cache=cache)
    before = cache.stat().st_mtime_ns
    index(tmp_path, cache=cache)
    assert cache.stat().st_mtime_ns == before
    second.unlink()
    index(tmp_path, cache=cache)
    assert archive.load_headers(cache).keys() == {str(first)}


def test_headers_are_saved_on_the_way(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    for sector in (1, 2, 3):
        write_curve(tmp_path / f"{sector}.fits", primary=TESS | {"SECTOR": sector})
    examine, seen = archive._examine, []

    def interrupted(item):
        seen.append(item)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return examine(item)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_SAVE_EVERY", 2)
        patch.setattr(archive, "_examine", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index(tmp_path, cache=cache)
    assert len(archive.load_headers(cache)) == 2


def test_a_file_that_has_changed_is_read_again(tmp_path):
    cache = tmp_path / "cache"
    path = write_curve(tmp_path / "a.fits")
    index(tmp_path, cache=cache)
    path.unlink()
    write_curve(path, primary=TESS | {"SECTOR": 9})
    assert index(tmp_path, cache=cache).files[0].sector == 9


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    write_curve(tmp_path / "a.fits")

    def fail(path):
        raise InputError(f"{path}: cannot be read: the network is down")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "read_info", fail)
        assert reasons(index(tmp_path, cache=cache)) == [Reason.UNREADABLE]
    assert len(index(tmp_path, cache=cache).files) == 1


def test_a_star_without_magnitude_can_be_cached(tmp_path, forget_headers):
    cache = tmp_path / "cache"
    write_curve(tmp_path / "a.fits", primary=TESS | {"TESSMAG": None})
    first = index(tmp_path, cache=cache)
    assert first.files[0].mag != first.files[0].mag
    forget_headers()
    assert repr(index(tmp_path, cache=cache)) == repr(first)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 0, "files": {}}', b"\xff"])
def test_a_broken_cache_only_costs_time(tmp_path, content):
    cache = tmp_path / "cache"
    cache.write_bytes(content)
    write_curve(tmp_path / "a.fits")
    assert len(index(tmp_path, cache=cache).files) == 1


def test_a_cache_of_another_version_is_not_used(tmp_path, monkeypatch):
    write_curve(tmp_path / "a.fits")
    index(tmp_path, cache=tmp_path / "cache")
    assert len(archive.load_headers(tmp_path / "cache")) == 1
    monkeypatch.setattr(archive, "_CACHE_VERSION", archive._CACHE_VERSION + 1)
    assert archive.load_headers(tmp_path / "cache") == {}


def test_a_name_that_is_not_utf8_is_counted(tmp_path):
    write_curve(tmp_path / "a.fits")
    try:
        (tmp_path / "a.fits").rename(tmp_path / os.fsdecode(b"\xe9.fits"))
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    found = index(tmp_path)
    assert reasons(found) == [Reason.UNREADABLE]
    assert found.rejected[0][0].endswith("\\xe9.fits")
