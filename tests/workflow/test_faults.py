"""Whatever is wrong with configuration or inputs ends in one message for people, or counted in the rejects."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits

from trainyard.transit.archive import list_files
from trainyard.yard.errors import InputError

if TYPE_CHECKING:
    from conftest import Outcome, Workspace


def refusal(workspace: Workspace, target: str = "transit_data") -> str:
    """The one message with which a dry run is refused because of configuration or inputs."""
    outcome = workspace.snakemake("-n", target)
    assert outcome.code == 2, outcome.text[:2000]
    assert_quiet(outcome)
    _, *messages = re.split(r"^error: ", outcome.text, flags=re.MULTILINE)
    assert len(messages) == 1, outcome.text
    return messages[0]


def assert_quiet(outcome: Outcome) -> None:
    """No traceback, and no job announced."""
    assert "Traceback" not in outcome.text
    assert not outcome.jobs


# Configuration


def test_an_unknown_key_is_named_with_the_nearest_known_one_and_all_mistakes_are_listed(workspace: Workspace) -> None:
    workspace.configure(
        {
            "transit": {
                "build": {"windows": {"resampled_num_pionts": 100}},
                "plan": {"num_shards": 0},
                "normalize": {"flux": "median"},
            },
            "runn": "x",
        }
    )
    message = refusal(workspace)
    assert (
        "config.yaml: transit.build.windows.resampled_num_pionts: unknown key, did you mean resampled_num_points?"
        in (message)
    )
    assert "transit.plan.num_shards: input should be greater than or equal to 1; found 0" in message
    assert "transit.normalize.flux: input should be 'min' or 'robust'; found 'median'" in message
    assert "runn: unknown key, did you mean run?" in message
    assert len(message.strip().splitlines()) == 4


@pytest.mark.parametrize(
    ("select", "words"),
    [
        ({"deep": {"where": "labell == 1"}}, ("transit.select.deep.where", "labell", "label")),
        ({"deep": {"where": "label = 1"}}, ("transit.select.deep.where", "==")),
        (
            {"deep": {"max_per_disposition": {"PLANET": 3}}},
            ("transit.select.deep.max_per_disposition", "'PLANET'", "KP"),
        ),
    ],
    ids=["unknown-column", "not-an-expression", "unknown-disposition"],
)
def test_a_selection_that_cannot_be_made_is_refused_before_anything_is_built(
    workspace: Workspace, select: dict[str, Any], words: tuple[str, ...]
) -> None:
    message = refusal(workspace.configure({"transit": {"select": select}}))
    for word in words:
        assert word in message


def test_a_key_that_stands_twice_is_refused_with_its_line(workspace: Workspace) -> None:
    config = workspace.folder / "config.yaml"
    config.write_text(f"{config.read_text()}run: another\n")
    line = len(config.read_text().splitlines())
    assert f"config.yaml: line {line}: key run stands twice" in refusal(workspace)


def test_broken_yaml_is_refused(workspace: Workspace) -> None:
    (workspace.folder / "config.yaml").write_text("run: t\ntransit: {plan: [}\n")
    outcome = workspace.snakemake("-n", "transit_data")
    assert outcome.code == 1, "Snakemake reads the file before the Snakefile"
    assert "Config file is not valid JSON or YAML" in outcome.text
    assert_quiet(outcome)


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (
            "raw/blocks/0004-0003.json",
            "0004-0003: the configuration has no such thing, see transit.shards_per_job; the last of the 3 jobs",
        ),
        ("select/none/selection.parquet", "none: the configuration has no such thing, see transit.select"),
    ],
)
def test_a_target_that_does_not_follow_from_the_configuration_is_refused(
    workspace: Workspace, target: str, key: str
) -> None:
    assert key in refusal(workspace, f"results/t/transit/{target}")


# The archive


@pytest.mark.parametrize("make", ["nothing", "file"])
def test_an_archive_folder_that_is_not_there_is_named(workspace: Workspace, make: str) -> None:
    folder = workspace.folder / "in" / "lc"
    shutil.rmtree(folder)
    if make == "file":
        folder.write_text("")
    assert "in/lc: this archive folder is not there; see transit.inputs" in refusal(workspace)


def test_an_archive_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed: this archive folder cannot be listed: Permission denied"):
        list_files([tmp_path])


def test_an_archive_without_a_usable_light_curve_is_refused(workspace: Workspace) -> None:
    for path in workspace.files("in/**/*.fits"):
        path.write_bytes(path.read_bytes()[:-100_000])
    message = refusal(workspace)
    assert "16 of 16 items of kind archive_file cannot be used (16 unreadable_file)" in message
    assert "transit.plan.max_reject_fraction" in message
    assert "truncated" in message
    assert "in/lc/sector_1/tess" in message


# The TCE table


Rows = list[dict[str, str]]


def edit(workspace: Workspace, change: Callable[[Rows], object]) -> None:
    """Change the rows of the TCE table."""
    path = workspace.folder / "in" / "tces.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _drop_periods(rows: Rows) -> None:
    for row in rows:
        del row["tce_period"], row["tce_time0bk"]


def _give_days(rows: Rows) -> None:
    for row in rows:
        if row["tce_duration"]:
            row["tce_duration"] = str(float(row["tce_duration"]) / 24)


def _repeat_an_id(rows: Rows) -> None:
    rows.append({**rows[0], "tce_period": "3.21"})


def _lose_all_ephemerides(rows: Rows) -> None:
    for row in rows:
        row["tce_period"] = "nan"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            _drop_periods,
            ("lacks the column(s) tce_period, tce_time0bk", "transit.inputs.columns", "The table has: uid, target_id,"),
            id="missing columns",
        ),
        pytest.param(
            _give_days, ("durations are hours here, and these look like days", "by 24"), id="durations in days"
        ),
        pytest.param(
            _repeat_an_id,
            ("the TCE id 900005401-1-S1 stands for two different rows", "period 3.21", "Make the ids unique"),
            id="an id twice",
        ),
        pytest.param(
            _lose_all_ephemerides, ("nan_ephemeris", "transit.plan.max_reject_fraction"), id="no ephemeris at all"
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    workspace: Workspace, change: Callable[[Rows], object], words: tuple[str, ...]
) -> None:
    edit(workspace, change)
    message = refusal(workspace)
    for word in words:
        assert word in message


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n\x00\x00", b"target_id,tce_period\n1,2,3\n"])
def test_a_table_that_is_no_table_is_named(workspace: Workspace, content: bytes | None) -> None:
    table = workspace.folder / "in" / "tces.csv"
    table.unlink()
    if content is not None:
        table.write_bytes(content)
    assert "in/tces.csv" in refusal(workspace)


# Single bad items in a good archive


def test_single_bad_items_are_counted_with_their_reason_and_the_rest_is_built(workspace: Workspace) -> None:
    curves = {path.name.split("-")[2]: path for path in workspace.files("in/lc/**/*.fits")}
    pixels = {path.name.split("-")[2]: path for path in workspace.files("in/tp/**/*.fits")}
    truncated, empty, blank, flagged = (curves[f"{900005400 + star:016d}"] for star in (1, 2, 7, 8))
    cut = pixels[f"{900005400 + 3:016d}"]
    truncated.write_bytes(truncated.read_bytes()[:-100_000])
    cut.write_bytes(cut.read_bytes()[:-100_000])
    empty.write_bytes(b"")
    with fits.open(blank, mode="update") as file:
        file[1].data["PDCSAP_FLUX"] = np.nan
    with fits.open(flagged, mode="update") as file:
        file[1].data["QUALITY"] |= 128

    def spoil(rows: Rows) -> None:
        rows.append(dict(rows[0]))
        rows.append({**rows[0], "uid": "long", "tce_duration": "70"})
        rows.append({**rows[0], "uid": "nowhere", "target_id": ""})

    edit(workspace, spoil)
    workspace.configure({"transit": {"select": {"deep": None}}}).build()

    with (workspace.folder / "results/t/transit/check/rejects.csv").open() as file:
        rows = list(csv.DictReader(file))
    reasons = {(row["kind"], Path(row["item"]).name): row["reason"] for row in rows}
    expected = {
        ("archive_file", truncated.name): "unreadable_file",
        ("archive_file", cut.name): "unreadable_file",
        ("archive_file", empty.name): "empty_file",
        ("file", blank.name): "no_finite_flux",
        ("file", flagged.name): "no_finite_flux",
        ("table_row", "900005405-2-S1"): "nan_ephemeris",
        ("table_row", "900005401-1-S1"): "duplicate_row",
        ("table_row", "long"): "implausible_duration",
        ("table_row", "nowhere"): "missing_target_id",
    }
    assert {key: reasons.get(key) for key in expected} == expected
    assert all(row["reason"] for row in rows)
    assert Counter(row["reason"] for row in rows)["unexpected_error"] == 0
    assert "Traceback" not in workspace.logs()


def test_a_failing_job_ends_with_its_message_in_the_log_and_on_the_screen(built: Workspace) -> None:
    stats = built.folder / "results/t/transit/stats/train_stats.json"
    stats.write_text("{")
    outcome = built.snakemake("--cores", "1", "transit_data")
    assert outcome.code == 1
    assert outcome.errors
    assert "train_stats.json: not valid JSON" in outcome.errors[0]
    assert "Traceback" not in outcome.text
