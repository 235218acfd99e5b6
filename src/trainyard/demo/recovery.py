"""The demo's examples against what was planted: every event found once, at its depth, and nothing else."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainyard.demo.transit_truth import EXPECTED
from trainyard.transit.schema import EXAMPLES
from trainyard.transit.settings import TransitSettings
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_path, read_json, write_text

MATCH_DAYS = 0.1
MIN_RECOVERED = 0.95
MIN_DEPTH_PPM = 2000.0
MAX_DEPTH_ERROR = 0.15

_COLUMNS = (
    *("event", "target_id", "disposition", "period_days", "duration_hours"),
    *("planted", "recovered", "missing", "duplicates", "spurious"),
    *("planted_depth_ppm", "measured_depth_ppm"),
)
_EXAMPLE_COLUMNS = ["target_id", "sector", "time", "transit_example", "depth_measured_ppm"]

Row = dict[str, Any]
Place = tuple[int, int]
"""Target and sector."""


def is_comparable(settings: TransitSettings) -> bool:
    """Whether the demo's expectations hold: they are those of the default rules for stars, events and windows."""
    free = {"num_shards", "max_reject_fraction"}
    default = TransitSettings()
    return (
        settings.plan.model_dump(exclude=free) == default.plan.model_dump(exclude=free)
        and settings.build.windows == default.build.windows
        and settings.build.masks == default.build.masks
        and settings.build.light_curves.quality_bitmask == default.build.light_curves.quality_bitmask
        and settings.build.images.images != "require"
    )


def recovery(truth_path: Path, examples_paths: Sequence[Path], *, dispositions: Sequence[str]) -> list[Row]:
    """Compare the in-transit windows of a build with the planted events.

    A window and a mid-time of the same star and sector match when they are closest to each other, within 0.1 d.
    Windows around mid-times that the rules of the data may or may not keep (see `transit_truth`) are welcome, but not
    asked for.

    Args:
        truth_path: `truth.json` of the demo.
        examples_paths: Example tables (contract EXAMPLES) of all shards.
        dispositions: Dispositions that the build makes examples of.

    Returns:
        One row per planted event, and one with an empty event for each star that has windows but no event: number of
        `planted` mid-times with good data, of those `recovered` and `missing`, further windows on a matched mid-time
        (`duplicates`), windows without one (`spurious`, at the event nearest in time), and depths (ppm) as planted
        (0: an ephemeris without dips) and as the median measured one (NaN: no window).

    Raises:
        InputError: The truth is not that of a demo.
    """
    events = _planted(truth_path, dispositions)
    windows = _windows(examples_paths)
    rows = {index: _row(event) for index, event in enumerate(events)}
    depths: dict[int, list[float]] = defaultdict(list)
    strays: dict[int, Row] = {}
    mid_times: dict[Place, list[tuple[float, int, bool]]] = defaultdict(list)
    for index, event in enumerate(events):
        for mid in event["mid_times"]:
            place = (event["target_id"], mid["sector"])
            mid_times[place].append((mid["time"], index, mid["state"] == EXPECTED))
            rows[index]["planted"] += mid["state"] == EXPECTED
    for place, found in sorted(windows.items()):
        planted = mid_times.get(place, [])
        for window, match in _pair([time for time, *_ in planted], [time for time, _ in found]).items():
            index, expected = planted[match][1:]
            depths[index].append(found[window][1])
            rows[index]["recovered"] += expected
            found[window] = (np.nan, np.nan)
        for time in (time for time, _ in found if np.isfinite(time)):
            distance, index = min(((abs(mid - time), index) for mid, index, _ in planted), default=(np.inf, -1))
            row = rows[index] if index >= 0 else strays.setdefault(place[0], _stray(place[0]))
            row["duplicates" if distance <= MATCH_DAYS else "spurious"] += 1
    for index, row in rows.items():
        row["missing"] = row["planted"] - row["recovered"]
        row["measured_depth_ppm"] = float(np.median(depths[index])) if depths[index] else float("nan")
    return [*rows.values(), *strays.values()]


def check_recovery(rows: Sequence[Row]) -> None:
    """Make sure that the build found what was planted.

    Raises:
        IntegrityError: Fewer than 95 % of the planted events with good data were recovered; or the measured depth of
            events deeper than 2,000 ppm is off by more than 15 % in the median.
    """
    planted, recovered = sum(row["planted"] for row in rows), sum(row["recovered"] for row in rows)
    if recovered < MIN_RECOVERED * planted or planted == 0:
        worst = sorted(rows, key=lambda row: -row["missing"])[:3]
        names = ", ".join(
            f"{row['event']} ({row['disposition']}): {row['missing']} of {row['planted']}" for row in worst
        )
        raise IntegrityError(
            f"the demo planted {planted} events with good data and {recovered} came out as examples; at least"
            f" {MIN_RECOVERED:.0%} must. Missing most: {names}. Look for them in the ledgers of the raw shards."
        )
    ratios = _depth_ratios(rows)
    error = abs(float(np.median(list(ratios.values()))) - 1) if ratios else 0.0
    if error > MAX_DEPTH_ERROR:
        far = sorted(ratios.items(), key=lambda item: -abs(item[1] - 1))[:3]
        names = ", ".join(f"{event}: {ratio:.2f} of the planted depth" for event, ratio in far)
        raise IntegrityError(
            f"measured depths of the demo's events deeper than {MIN_DEPTH_PPM:.0f} ppm are off by {error:.0%} in the"
            f" median, more than {MAX_DEPTH_ERROR:.0%}: {names}. Look at detrending and resampling."
        )


def write_recovery(rows: Sequence[Row], *, csv_path: Path, png_path: Path) -> None:
    """Write the comparison as a table and as a plot."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(csv_path, text.getvalue())
    with atomic_path(png_path) as part:
        _plot(rows, part)


def _planted(truth_path: Path, dispositions: Sequence[str]) -> list[dict[str, Any]]:
    try:
        events = read_json(truth_path)["events"]
        return [event for event in events if event["disposition"] in dispositions]
    except (KeyError, TypeError):
        raise InputError(f"{truth_path}: is not the truth of a demo; write the demo again") from None


def _windows(paths: Sequence[Path]) -> dict[Place, list[tuple[float, float]]]:
    """Time and measured depth of every in-transit window, by target and sector, in time order."""
    windows: dict[Place, list[tuple[float, float]]] = defaultdict(list)
    for path in paths:
        table = EXAMPLES.read(path, columns=_EXAMPLE_COLUMNS).to_pydict()
        for target, sector, time, in_transit, depth in zip(*(table[name] for name in _EXAMPLE_COLUMNS), strict=True):
            if in_transit == 1:
                windows[target, sector].append((time, np.nan if depth is None else depth))
    return {place: sorted(found) for place, found in windows.items()}


def _pair(planted: Sequence[float], found: Sequence[float]) -> dict[int, int]:
    """Pairs window -> mid-time, the closest first, each used once."""
    near = sorted(
        (abs(mid - time), window, match)
        for window, time in enumerate(found)
        for match, mid in enumerate(planted)
        if abs(mid - time) <= MATCH_DAYS
    )
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for _, window, match in near:
        if window not in pairs and match not in used:
            pairs[window] = match
            used.add(match)
    return pairs


def _row(event: Mapping[str, Any]) -> Row:
    names = ("event", "target_id", "disposition", "period_days", "duration_hours")
    counts = dict.fromkeys(("planted", "recovered", "missing", "duplicates", "spurious"), 0)
    return {name: event[name] for name in names} | counts | {"planted_depth_ppm": event["depth_ppm"]}


def _stray(target: int) -> Row:
    unknown = float("nan")
    row = _row(
        {
            "event": "",
            "target_id": target,
            "disposition": "",
            "period_days": unknown,
            "duration_hours": unknown,
            "depth_ppm": 0.0,
        }
    )
    return row | {"measured_depth_ppm": unknown}


def _depth_ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Measured over planted depth of the events that are deep enough to tell."""
    return {
        row["event"]: row["measured_depth_ppm"] / row["planted_depth_ppm"]
        for row in rows
        if row["planted_depth_ppm"] > MIN_DEPTH_PPM and np.isfinite(row["measured_depth_ppm"])
    }


def _plot(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    depth, count = figure.subplots(1, 2)
    for disposition in dict.fromkeys(row["disposition"] for row in rows if row["event"]):
        chosen = [row for row in rows if row["disposition"] == disposition]
        dips = [row for row in chosen if row["planted_depth_ppm"] > 0]
        depths = ([row["planted_depth_ppm"] for row in dips], [row["measured_depth_ppm"] for row in dips])
        depth.loglog(*depths, "o", alpha=0.7, label=disposition)
        counts = ([row["planted"] for row in chosen], [row["recovered"] for row in chosen])
        count.plot(*counts, "o", alpha=0.7, label=disposition)
    depth.set(xlabel="planted depth (ppm)", ylabel="measured depth, median (ppm)")
    count.set(xlabel="planted events with good data", ylabel="recovered windows")
    count.xaxis.get_major_locator().set_params(integer=True)
    count.yaxis.get_major_locator().set_params(integer=True)
    for axes in (depth, count):
        limits = axes.axis()
        axes.axline((1, 1), (10, 10), color="0.7", zorder=0)
        axes.axis(limits)
    count.legend(title="disposition")
    # Without the program's version the same rows give the same bytes.
    figure.savefig(path, dpi=150, metadata={"Software": None})
