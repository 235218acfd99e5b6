"""The demo's catalogue and its files on disk."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainyard.demo.transit import MANIFEST, TCES, TRUTH, catalogue, write_inputs
from trainyard.transit.settings import DemoSettings
from trainyard.yard.files import sha256_file

TINY = DemoSettings(stars=2, sectors=1, days=4.0, stamp=5)


def grown(settings: DemoSettings, **changes: object) -> DemoSettings:
    return settings.model_copy(update=changes)


def states(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*.fits"))}


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_inputs(TINY, tmp_path / "a"), write_inputs(TINY, tmp_path / "b")
    assert first == second
    assert {entry["path"] for entry in first["files"]} >= {TCES, TRUTH}
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_the_manifest_vouches_for_every_file(tmp_path: Path) -> None:
    manifest = write_inputs(TINY, tmp_path)
    assert json.loads((tmp_path / MANIFEST).read_text()) == manifest
    on_disk = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {entry["path"] for entry in manifest["files"]} == on_disk - {MANIFEST}
    for entry in manifest["files"]:
        assert entry["bytes"] == (tmp_path / entry["path"]).stat().st_size
        assert entry["sha256"] == sha256_file(tmp_path / entry["path"])


def test_the_catalogue_knows_the_files_before_they_are_written(tmp_path: Path) -> None:
    for settings in (TINY, grown(TINY, stamp=7, days=4.3)):
        write_inputs(settings, tmp_path)
        files = {file.path: file.bytes for file in catalogue(settings).files}
        assert files == {str(path.relative_to(tmp_path)): path.stat().st_size for path in states(tmp_path)}


def test_the_catalogue_loads_no_fits_library() -> None:
    code = (
        "import sys; from trainyard.demo.transit import catalogue; from trainyard.transit.settings import DemoSettings;"
        " catalogue(DemoSettings()); print({'astropy', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_second_write_touches_nothing_and_mends_what_is_damaged(tmp_path: Path) -> None:
    write_inputs(TINY, tmp_path)
    before = states(tmp_path)
    damaged = sorted(before)[0]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"x")
    write_inputs(TINY, tmp_path)
    after = states(tmp_path)
    assert damaged.read_bytes() == whole
    assert {path: after[path] for path in after if path != damaged} == {
        path: before[path] for path in before if path != damaged
    }


def test_one_more_star_changes_no_file_and_no_row_of_the_others(tmp_path: Path) -> None:
    write_inputs(TINY, tmp_path)
    before, rows = states(tmp_path), (tmp_path / TCES).read_text()
    write_inputs(grown(TINY, stars=3), tmp_path)
    after = states(tmp_path)
    assert len(after) == len(before) + 2
    assert {path: after[path] for path in before} == before
    assert (tmp_path / TCES).read_text().startswith(rows)


@pytest.mark.parametrize("stars", [1, 7, 12, 24])
def test_the_catalogue_of_a_larger_demo_begins_with_that_of_a_smaller_one(stars: int) -> None:
    small, large = catalogue(DemoSettings(stars=stars)), catalogue(DemoSettings(stars=40))
    # repr, because a row without ephemeris holds NaN
    assert repr(large.stars[:stars]) == repr(small.stars)
    assert large.rows[: len(small.rows)] == small.rows
    assert large.files[: len(small.files)] == small.files


def test_one_more_sector_changes_no_file_of_the_others() -> None:
    one, two = (catalogue(DemoSettings(sectors=sectors)) for sectors in (1, 2))
    assert set(one.files) < set(two.files)


@pytest.mark.parametrize("changes", [{"seed": 8}, {"days": 5.0}, {"stamp": 7}])
def test_what_shapes_a_pixel_file_is_in_its_content(changes: dict[str, object]) -> None:
    before, after = (catalogue(settings).files for settings in (TINY, grown(TINY, **changes)))
    assert not {file.content for file in before if file.kind == "tp"} & {file.content for file in after}


def test_files_of_other_settings_are_removed_and_foreign_files_stay(tmp_path: Path) -> None:
    write_inputs(grown(TINY, sectors=2, pixels=False), tmp_path)
    foreign = tmp_path / "lc" / "mine.fits"
    foreign.write_bytes(b"SIMPLE  = T")
    write_inputs(grown(TINY, pixels=False), tmp_path)
    left = set(states(tmp_path))
    assert left == {foreign} | {tmp_path / file.path for file in catalogue(grown(TINY, pixels=False)).files}


def test_the_default_demo_holds_every_kind_of_row() -> None:
    demo = catalogue(DemoSettings())
    labels = [row["label"] for row in demo.rows]
    assert set(labels) == {"KP", "CP", "EB", "NTP", "NEB", "NPC", "UNK", "FP", "NONE"}
    for row in demo.rows:
        fitted = row["tce_period"] is not None
        assert fitted or row["label"] in ("NONE", "UNK")
        assert not fitted or (row["tce_time0bk"] is not None and row["tce_duration"] is not None)
    assert any(row["label"] == "UNK" and row["tce_period"] is None for row in demo.rows)
    assert len({row["uid"] for row in demo.rows}) == len(demo.rows)


def test_one_star_of_the_table_has_no_files() -> None:
    demo = catalogue(DemoSettings())
    missing = {row["target_id"] for row in demo.rows} - {file.target_id for file in demo.files}
    assert missing == {star.tic for star in demo.stars if not star.observed}
    assert len(missing) == 1


def test_a_planet_found_by_two_runs_has_two_slightly_different_ephemerides() -> None:
    first, second = catalogue(DemoSettings(stars=1)).rows
    assert (first["sector_run"], second["sector_run"]) == ("1", "1-2")
    assert first["tce_period"] != second["tce_period"]
    assert first["tce_period"] == pytest.approx(second["tce_period"], rel=1e-3)
    assert abs(first["tce_time0bk"] - second["tce_time0bk"]) < first["tce_duration"] / 24  # type: ignore[operator]


def test_binaries_have_secondaries_that_are_masked_and_planets_have_not() -> None:
    for row in catalogue(DemoSettings()).rows:
        if row["label"] == "EB":
            assert 15 <= row["tce_maxmes"] <= 40  # type: ignore[operator]
        elif row["label"] in ("KP", "CP"):
            assert row["tce_maxmes"] < 7.1  # type: ignore[operator]


def test_blended_stars_are_near_and_share_their_eclipse() -> None:
    stars = catalogue(DemoSettings()).stars
    binary, victim = stars[6], stars[7]
    east = (victim.ra - binary.ra) * np.cos(np.radians(binary.dec)) * 3600
    north = (victim.dec - binary.dec) * 3600
    assert 18 < np.hypot(east, north) < 22
    assert binary.signals[0].period == victim.signals[0].period
    assert victim.signals[0].disposition == "NEB"
    assert (victim.signals[0].east, victim.signals[0].north) == pytest.approx((-east, -north), abs=0.01)


def test_no_other_stars_are_nearer_than_a_minute_of_arc() -> None:
    stars = [star for star in catalogue(DemoSettings(stars=120)).stars if star.index % 12 != 7]
    places = np.radians([(star.ra, star.dec) for star in stars])
    dx = (places[:, None, 0] - places[None, :, 0]) * np.cos(places[:, None, 1])
    distance = np.degrees(np.hypot(dx, places[:, None, 1] - places[None, :, 1]))
    assert distance[np.triu_indices(len(stars), 1)].min() > 60 / 3600


def test_the_table_on_disk_is_the_catalogue(demo: Path) -> None:
    rows = list(csv.DictReader((demo / TCES).open()))
    expected = catalogue(DemoSettings(stars=3, sectors=1)).rows
    assert [row["uid"] for row in rows] == [row["uid"] for row in expected]
    assert [float(row["tce_period"]) for row in rows] == [row["tce_period"] for row in expected]
