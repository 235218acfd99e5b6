"""The demo's check of a build: what was planted against what came out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainyard.demo import recovery as module
from trainyard.demo.recovery import check_recovery, is_comparable, write_recovery
from trainyard.demo.transit_truth import BORDERLINE, EXPECTED, IMPOSSIBLE, window_state
from trainyard.transit.schema import EXAMPLES
from trainyard.transit.settings import TransitSettings
from trainyard.yard.errors import InputError, IntegrityError

TARGET, SECTOR = 42, 1
recovery = partial(module.recovery, dispositions=("EB", "KP", "CP", "NTP"))


def event(times: Iterable[float], *, number: int = 1, disposition: str = "KP", **changes: Any) -> dict[str, Any]:
    mids = [{"time": time, "sector": SECTOR, "state": EXPECTED} for time in times]
    return {
        "event": f"{TARGET}-{number}",
        "target_id": TARGET,
        "disposition": disposition,
        "period_days": 2.0,
        "duration_hours": 3.0,
        "depth_ppm": 5000.0,
        "mid_times": mids,
    } | changes


def write_truth(folder: Path, *events: dict[str, Any]) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps({"events": list(events)}))
    return path


def write_examples(folder: Path, times: Iterable[float], *, depth: float = 5000.0, **values: Any) -> Path:
    rows = [
        {
            "uid": f"{TARGET}-1-S1_t_{time!r}",
            "target_id": TARGET,
            "sector": SECTOR,
            "time": time,
            "label": 1,
            "transit_example": 1,
            "depth_measured_ppm": depth,
        }
        | values
        for time in times
    ]
    path = folder / f"examples_{len(list(folder.glob('examples_*'))):04d}.parquet"
    EXAMPLES.write(path, EXAMPLES.table(rows))
    return path


def test_every_event_found_once_at_its_depth(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0, 3.0, 5.0]))
    tables = [write_examples(tmp_path, [1.02, 5.0]), write_examples(tmp_path, [2.95], depth=5200.0)]
    (row,) = recovery(truth, tables)
    assert (row["planted"], row["recovered"], row["missing"]) == (3, 3, 0)
    assert (row["duplicates"], row["spurious"]) == (0, 0)
    assert (row["planted_depth_ppm"], row["measured_depth_ppm"]) == (5000.0, 5000.0)
    check_recovery([row])


def test_missing_double_and_false_windows_are_told_apart(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0, 3.0]), event([20.0], number=2))
    (first, second) = recovery(truth, [write_examples(tmp_path, [1.0, 1.05, 4.0, 20.0])])
    assert [first[name] for name in ("recovered", "missing", "duplicates", "spurious")] == [1, 1, 1, 1]
    assert [second[name] for name in ("recovered", "missing", "duplicates", "spurious")] == [1, 0, 0, 0]


def test_events_of_two_planets_at_the_same_time_take_one_window_each(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0]), event([1.03], number=2))
    rows = recovery(truth, [write_examples(tmp_path, [1.001, 1.031])])
    assert [(row["recovered"], row["duplicates"]) for row in rows] == [(1, 0), (1, 0)]


def test_windows_of_another_sector_or_out_of_transit_do_not_count(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0]))
    tables = [write_examples(tmp_path, [1.0], sector=2), write_examples(tmp_path, [1.0], transit_example=0)]
    planted, stray = recovery(truth, tables)
    assert (planted["recovered"], planted["spurious"]) == (0, 0)
    assert (stray["event"], stray["target_id"], stray["spurious"]) == ("", TARGET, 1)


def test_a_borderline_window_may_be_there_or_not(tmp_path: Path) -> None:
    borderline = event([1.0, 3.0])
    borderline["mid_times"][1]["state"] = BORDERLINE
    truth = write_truth(tmp_path, borderline)
    for times in ([1.0], [1.0, 3.0]):
        (row,) = recovery(truth, [write_examples(tmp_path / str(len(times)), times)])
        assert (row["planted"], row["recovered"], row["missing"], row["spurious"]) == (1, 1, 0, 0)


def test_events_that_make_no_examples_are_not_asked_for(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0], disposition="UNK"), event([3.0], number=2))
    (row,) = recovery(truth, [write_examples(tmp_path, [3.0])])
    assert row["event"] == f"{TARGET}-2"


def test_too_many_missing_events_stop_the_build_and_name_the_worst(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event(np.arange(20.0)))
    check_recovery(recovery(truth, [write_examples(tmp_path, np.arange(19.0))]))
    with pytest.raises(IntegrityError, match=r"planted 20 events .* 18 came out.*42-1 \(KP\): 2 of 20"):
        check_recovery(recovery(truth, [write_examples(tmp_path, np.arange(18.0))]))


def test_a_demo_without_any_planted_event_is_no_proof() -> None:
    with pytest.raises(IntegrityError, match="planted 0 events"):
        check_recovery([])


@pytest.mark.parametrize(("measured", "fine"), [(4300.0, True), (4200.0, False), (5800.0, False)])
def test_depths_that_are_off_stop_the_build(tmp_path: Path, measured: float, fine: bool) -> None:
    truth = write_truth(tmp_path, event([1.0, 3.0]))
    rows = recovery(truth, [write_examples(tmp_path, [1.0, 3.0], depth=measured)])
    if fine:
        check_recovery(rows)
    else:
        with pytest.raises(IntegrityError, match="measured depths"):
            check_recovery(rows)


def test_shallow_events_are_not_judged_by_their_depth(tmp_path: Path) -> None:
    truth = write_truth(tmp_path, event([1.0], depth_ppm=0.0, disposition="NTP"))
    check_recovery(recovery(truth, [write_examples(tmp_path, [1.0], depth=-300.0)]))


def test_table_and_plot_tell_what_was_found(tmp_path: Path) -> None:
    rows = recovery(write_truth(tmp_path, event([1.0, 3.0])), [write_examples(tmp_path, [1.0])])
    write_recovery(rows, csv_path=tmp_path / "recovery.csv", png_path=tmp_path / "recovery.png")
    (row,) = csv.DictReader((tmp_path / "recovery.csv").open())
    assert (row["event"], row["planted"], row["recovered"]) == ("42-1", "2", "1")
    assert (tmp_path / "recovery.png").read_bytes().startswith(b"\x89PNG")


def test_another_file_is_refused_as_truth(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text("[]")
    with pytest.raises(InputError, match="not the truth of a demo"):
        recovery(path, [])


def curve() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Ten days of 2-minute cadences, all good."""
    time = np.arange(7200) / 720
    return time, np.ones(7200, dtype=bool)


def test_a_window_inside_good_data_is_expected() -> None:
    time, good = curve()
    assert window_state(5.0, 0.1, time, good) == EXPECTED


@pytest.mark.parametrize(("mid", "state"), [(0.2, IMPOSSIBLE), (0.25, BORDERLINE), (0.3, EXPECTED)])
def test_a_window_must_lie_inside_the_data(mid: float, state: str) -> None:
    time, good = curve()
    assert window_state(mid, 0.1, time, good) == state


@pytest.mark.parametrize(("bad", "state"), [(0.05, EXPECTED), (0.14, BORDERLINE), (0.25, IMPOSSIBLE)])
def test_a_window_needs_enough_good_cadences(bad: float, state: str) -> None:
    time, good = curve()
    first, count = np.searchsorted(time, 4.75), int(bad * 360)
    good[first : first + count] = False
    time[first : first + count] = np.nan
    assert window_state(5.0, 0.1, time, good) == state


def test_the_central_duration_needs_good_cadences_of_its_own() -> None:
    time, good = curve()
    good[(time > 4.98) & (time < 5.02)] = False
    assert window_state(5.0, 0.1, time, good) == IMPOSSIBLE


def test_expectations_are_those_of_the_default_rules() -> None:
    assert is_comparable(TransitSettings())
    for change in (
        {"plan": {"num_shards": 3}},
        {"train": {"enabled": False}},
        {"build": {"light_curves": {"detrend": "biweight"}}},
    ):
        assert is_comparable(TransitSettings.model_validate(change))
    for change in (
        {"plan": {"tce_example_disps": ["KP"]}},
        {"build": {"windows": {"max_windows_per_event_sector": 3}}},
    ):
        assert not is_comparable(TransitSettings.model_validate(change))
