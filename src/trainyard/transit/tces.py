"""The TCE table as people have it, brought to one contract; every row ends accepted or rejected for a reason."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from trainyard.transit.headers import REFERENCE_DAYS
from trainyard.transit.reasons import Reason
from trainyard.transit.schema import FLOAT_SCALARS, INT_SCALARS, STRING_SCALARS
from trainyard.transit.settings import InputSettings, PlanSettings
from trainyard.yard.errors import ConfigError, InputError

_log = logging.getLogger(__name__)

DISPOSITIONS = ("EB", "KP", "CP", "PC", "APC", "NEB", "NPC", "NTP", "FP", "BD", "UNK")
"""Known dispositions, strongest first: the order in which a star or an event takes its name."""
QUIET = "NONE"
_JULIAN_DATE = 2e6
"""Later epochs are full Julian dates: BTJD and BKJD count thousands of days."""
_UNKNOWN_SHOWN = 10
"""Unknown dispositions named in the log; a column of scores has hundreds."""

_EXACT = 2**53
"""Whole numbers below this are exact in double precision."""
_REQUIRED = ("target_id", "tce_period", "tce_time0bk", "tce_duration", "disposition")
_EXTRA_FLOATS = ("tce_period_err", "tce_time0bk_err")
_EXTRA_STRINGS = ("tce_uid", "sector_run", "sectors_observed")
_ALIASES: Mapping[str, Sequence[str]] = {
    "target_id": ("tic_id", "ticid", "TICID", "kepid", "epic_id", "TIC ID"),
    "tce_uid": ("uid", "kepoi_name", "TCE ID"),
    "disposition": ("label", "koi_disposition"),
    "disposition_source": ("label_source", "source"),
    "sector_run": ("sectors", "quarters", "Sector Run"),
    "tce_period": ("koi_period", "Orbital Period [day]"),
    "tce_time0bk": ("koi_time0bk", "Transit Epoch [BTJD]"),
    "tce_duration": ("koi_duration", "Transit Duration [hour]"),
    "tce_depth": ("koi_depth", "Transit Depth [ppm]"),
    "tce_period_err": ("koi_period_err1",),
    "tce_time0bk_err": ("koi_time0bk_err1",),
    "tce_plnt_num": ("koi_tce_plnt_num", "Planet Number"),
    "tce_max_mult_ev": ("koi_max_mult_ev", "MES"),
    "tce_model_snr": ("koi_model_snr",),
    "tce_num_transits": ("koi_num_transits",),
    "numberOfPlanets": ("koi_count",),
}
_DISPOSITION_ALIASES = {
    "CONFIRMED": "CP",
    "CANDIDATE": "PC",
    "FALSE POSITIVE": "FP",
    "NOT DISPOSITIONED": "UNK",
}


@dataclass(frozen=True)
class Tce:
    """One threshold crossing event.

    `epoch` is BTJD or BKJD as in the table, `period` in days, `duration_hours` in hours; `sectors` is None where the
    table does not say which sectors were searched. `scalars` holds the features of schema.INT_SCALARS,
    FLOAT_SCALARS and STRING_SCALARS (missing: -1, NaN, "").

    A row that is rejected although it tells of a dip (`TceTable.unmasked`) has a duration of NaN, whatever the table
    says: nobody can tell which cadences its dips take.
    """

    uid: str
    target_id: int
    sector_run: str
    sectors: tuple[int, ...] | None
    disposition: str
    period: float
    epoch: float
    duration_hours: float
    period_err: float
    epoch_err: float
    scalars: Mapping[str, Any]

    @property
    def can_be_masked(self) -> bool:
        """Whether the cadences of its dips are known."""
        return bool(np.isfinite(self.duration_hours))

    def covers(self, sector: int) -> bool:
        """Whether the run of this TCE includes the sector."""
        return self.sectors is None or sector in self.sectors


@dataclass(frozen=True)
class TceTable:
    """What the table holds: accepted rows by star, the fate of all others.

    `listed` has the star of every row that only lists a star without signal (disposition NONE). `unmasked` are rejected
    rows that tell of a dip all the same, by their epoch: their stars are not quiet.
    """

    tces: tuple[Tce, ...]
    listed: tuple[int, ...]
    rows: int
    rejected: tuple[tuple[str, Reason, str], ...]
    unmasked: tuple[Tce, ...] = ()
    unknown_dispositions: Mapping[str, int] = field(default_factory=dict)

    @property
    def quiet(self) -> tuple[int, ...]:
        """Stars that the table lists without any signal."""
        return tuple(sorted(set(self.listed) - {tce.target_id for tce in self.tces}))


def read_tces(path: Path, inputs: InputSettings, plan: PlanSettings) -> TceTable:
    """Read a TCE table (CSV, all columns optional but target, period, epoch, duration and disposition).

    Lines that begin with # may stand before the header, as in downloads from the NASA Exoplanet Archive.

    Raises:
        InputError: The file is missing, empty, not CSV, lacks required columns, repeats a TCE id with different
            values, nearly all of its durations look like days, or its epochs like full Julian dates.
        ConfigError: `disposition_map` leads to a disposition that Trainyard does not know.
    """
    if not path.is_file():
        raise InputError(f"{path}: the TCE table is not there; set transit.inputs.tce_table")
    try:
        reading = pa_csv.ReadOptions(block_size=1 << 22, skip_rows=_comment_lines(path))
        with pa_csv.open_csv(path, read_options=reading) as reader:
            header = reader.schema.names
        options = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=["", "nan", "NaN"]
        )
        raw = pa_csv.read_csv(path, read_options=reading, convert_options=options)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV table: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    table = normalise(raw, inputs, plan, source=str(path))
    if table.unknown_dispositions:
        unknown = sorted(table.unknown_dispositions.items(), key=lambda item: -item[1])
        words = ", ".join(f"{word!r} ({n} rows)" for word, n in unknown[:_UNKNOWN_SHOWN])
        more = f" and {len(unknown) - _UNKNOWN_SHOWN} more" if len(unknown) > _UNKNOWN_SHOWN else ""
        _log.warning(
            "%s: dispositions taken as UNK: %s%s; transit.inputs.disposition_map can name them", path, words, more
        )
    return table


def normalise(raw: pa.Table, inputs: InputSettings, plan: PlanSettings, *, source: str) -> TceTable:
    """Bring a table of strings to TCEs; see `read_tces`."""
    _check_mapping(inputs.disposition_map)
    columns = _find_columns(raw.column_names, inputs.columns, source)
    text = {name: raw[column].combine_chunks() for name, column in columns.items()}
    number = {name: _floats(text[name]) for name in (*_numeric_names(), *_EXTRA_FLOATS) if name in text}
    strings = {
        name: [value.strip() if value else "" for value in text[name].to_pylist()]
        for name in (*STRING_SCALARS, *_EXTRA_STRINGS)
        if name in text
    }
    _refuse_days(number["tce_duration"], plan, source)
    _refuse_julian_dates(number["tce_time0bk"], source)

    tces: list[Tce] = []
    listed: list[int] = []
    rejected: list[tuple[str, Reason, str]] = []
    unmasked: list[Tce] = []
    unknown: Counter[str] = Counter()
    for i in range(raw.num_rows):
        values = {name: float(column[i]) for name, column in number.items()}
        words = {name: column[i] for name, column in strings.items()}
        disposition = _disposition(words["disposition"], inputs.disposition_map, unknown)
        item = words.get("tce_uid") or f"{source}: row {i + 2}"
        fault = _fault(values, words, disposition, plan)
        if fault is not None:
            rejected.append((item, *fault))
            if fault[0] is not Reason.MISSING_TARGET and disposition != QUIET and np.isfinite(values["tce_time0bk"]):
                unmasked.append(_unmasked(values, {**words, "disposition": disposition}, fault[0]))
        elif disposition == QUIET:
            listed.append(int(values["target_id"]))
        else:
            tces.append(_tce(values, {**words, "disposition": disposition}))
    given = frozenset(strings.get("tce_uid", ()))
    unique, doubles = _unique(tces, given, source)
    rejected += [(tce.uid, Reason.DUPLICATE_ROW, "the same row again") for tce in doubles]
    return TceTable(
        tces=tuple(sorted(unique, key=lambda tce: (tce.target_id, tce.uid))),
        listed=tuple(sorted(listed)),
        rows=raw.num_rows,
        rejected=tuple(rejected),
        unmasked=tuple(sorted(unmasked, key=lambda tce: (tce.target_id, tce.uid, tce.epoch))),
        unknown_dispositions=dict(sorted(unknown.items())),
    )


def parse_sectors(run: str, observed: str = "") -> tuple[int, ...] | None:
    """Sectors of a run: "7", an inclusive span "14-19", or a list "11 38", "1_3_6"; None for an empty text.

    `observed`, where given, names the sectors of the span that were really observed and wins.

    Raises:
        ValueError: A word is neither a sector nor a span.
    """
    sectors: set[int] = set()
    for word in re.split(r"[\s,;_]+", (observed or run).strip()):
        if not word:
            continue
        match = _SPAN.fullmatch(word)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise ValueError(f"{word!r} is not a sector or a span of sectors such as 7 or 14-19")
        sectors.update(range(low, high + 1))
    return tuple(sorted(sectors)) or None


_SPAN = re.compile(r"[SQC]?0*(\d{1,3})(?:\.0*)?(?:-[SQC]?0*(\d{1,3})(?:\.0*)?)?", re.ASCII | re.IGNORECASE)
"""A sector, quarter or campaign, or a span; `7.0` is how a column with gaps comes out of pandas."""


def _comment_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in takewhile(lambda line: line.startswith(b"#"), file))


def _check_mapping(mapping: Mapping[str, str]) -> None:
    unknown = sorted({value for value in mapping.values() if value not in (*DISPOSITIONS, QUIET)})
    if unknown:
        raise ConfigError(
            f"transit.inputs.disposition_map leads to {', '.join(unknown)}; known are {', '.join(DISPOSITIONS)}, and"
            f" {QUIET} for a star without signal"
        )


def _numeric_names() -> tuple[str, ...]:
    return (*INT_SCALARS, *FLOAT_SCALARS)


def _find_columns(names: Sequence[str], mapping: Mapping[str, str], source: str) -> dict[str, str]:
    known = {*_numeric_names(), *STRING_SCALARS, *_EXTRA_FLOATS, *_EXTRA_STRINGS}
    for canonical, name in mapping.items():
        if canonical not in known:
            raise InputError(
                f"transit.inputs.columns: {canonical!r} is no column that Trainyard knows; see docs/transit.md"
            )
        if name not in names:
            raise InputError(f"{source}: has no column {name!r}, which transit.inputs.columns gives for {canonical}")
    found: dict[str, str] = {}
    for canonical in sorted(known):
        choices = (mapping.get(canonical), canonical, *_ALIASES.get(canonical, ()))
        match = next((name for name in choices if name in names), None)
        if match is not None:
            found[canonical] = match
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise InputError(
            f"{source}: lacks the column(s) {', '.join(missing)}. Name them in transit.inputs.columns, e.g."
            f" {{{missing[0]}: your_name}}. The table has: {', '.join(names)}"
        )
    repeated = sorted(name for name in found.values() if names.count(name) > 1)
    if repeated:
        raise InputError(f"{source}: has several columns of the name {', '.join(repeated)}; leave one of each")
    return found


def _floats(column: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers of a text column; NaN where the text is no number."""
    stripped = pc.utf8_trim_whitespace(column)
    is_number = pc.match_substring_regex(stripped, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    numbers = pc.cast(pc.if_else(is_number, pc.replace_substring_regex(stripped, r"^\+", ""), None), pa.float64())
    return np.asarray(pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _refuse_days(durations: np.ndarray[Any, np.dtype[np.float64]], plan: PlanSettings, source: str) -> None:
    finite = durations[np.isfinite(durations) & (durations > 0)]
    if len(finite) and np.median(finite) < plan.min_duration_hours:
        raise InputError(
            f"{source}: the median of tce_duration is {np.median(finite):.3g}; durations are hours here, and these look"
            " like days. Multiply them by 24, or lower transit.plan.min_duration_hours if they are right."
        )


def _refuse_julian_dates(epochs: np.ndarray[Any, np.dtype[np.float64]], source: str) -> None:
    """Full dates, as the NASA Exoplanet Archive gives them, would be folded to any phase without an error."""
    finite = epochs[np.isfinite(epochs)]
    if len(finite) and np.median(finite) > _JULIAN_DATE:
        known = " or ".join(f"{days:.0f} ({name})" for name, days in REFERENCE_DAYS.items())
        raise InputError(
            f"{source}: the median of tce_time0bk is {np.median(finite):.0f}; epochs are BTJD or BKJD here, and these"
            f" look like full Julian dates. Subtract {known}."
        )


def _disposition(word: str, mapping: Mapping[str, str], unknown: Counter[str]) -> str:
    for pattern, value in mapping.items():
        if word == pattern or fnmatch.fnmatchcase(word, pattern):
            return value
    known = _DISPOSITION_ALIASES.get(word.upper(), word.upper())
    if known in (*DISPOSITIONS, QUIET):
        return known
    unknown[word] += 1
    return "UNK"


def _fault(
    values: Mapping[str, float], words: Mapping[str, str], disposition: str, plan: PlanSettings
) -> tuple[Reason, str] | None:
    """Why a row cannot be used, or None."""
    target = values["target_id"]
    if not 0 < target < _EXACT or target != int(target):
        return Reason.MISSING_TARGET, f"target_id is {target}"
    period, epoch, hours = values["tce_period"], values["tce_time0bk"], values["tce_duration"]
    try:
        parse_sectors(words.get("sector_run", ""), words.get("sectors_observed", ""))
    except ValueError as error:
        return Reason.BAD_SECTOR_RUN, str(error)
    if disposition == QUIET:
        return None
    if not (np.isfinite(period) and np.isfinite(epoch) and np.isfinite(hours)):
        return Reason.NAN_EPHEMERIS, f"period {period}, epoch {epoch}, duration {hours}"
    if not 0 < period < 1e5:
        return Reason.IMPLAUSIBLE_PERIOD, f"period of {period} d"
    too_long = hours / 24 > plan.max_duration_period_ratio * period
    if not plan.min_duration_hours <= hours <= plan.max_duration_hours or too_long:
        return Reason.IMPLAUSIBLE_DURATION, f"duration of {hours} h at a period of {period} d (hours are expected)"
    return None


def _tce(values: Mapping[str, float], words: Mapping[str, str]) -> Tce:
    target = int(values["target_id"])
    run = words.get("sector_run", "").removeprefix("S")
    planet = values.get("tce_plnt_num", float("nan"))
    number = int(planet) if abs(planet) < _EXACT else 1
    # "_" would end the TCE id within an example's id, and "-" means a span.
    run_in_uid = "+".join(re.split(r"[\s,;_]+", run))
    scalars: dict[str, Any] = {name: values.get(name, float("nan")) for name in FLOAT_SCALARS}
    for name in INT_SCALARS:
        value = values.get(name, float("nan"))
        scalars[name] = int(value) if abs(value) < _EXACT else -1
    scalars |= {name: words.get(name, "") for name in STRING_SCALARS}
    return Tce(
        uid=words.get("tce_uid") or f"{target}-{number}-S{run_in_uid}",
        target_id=target,
        sector_run=run,
        sectors=parse_sectors(run, words.get("sectors_observed", "")),
        disposition=words["disposition"],
        period=values["tce_period"],
        epoch=values["tce_time0bk"],
        duration_hours=values["tce_duration"],
        period_err=_error(values.get("tce_period_err")),
        epoch_err=_error(values.get("tce_time0bk_err")),
        scalars=scalars,
    )


def _unmasked(values: Mapping[str, float], words: Mapping[str, str], fault: Reason) -> Tce:
    """A rejected row that tells of a dip."""
    run = {"sector_run": "", "sectors_observed": ""} if fault is Reason.BAD_SECTOR_RUN else {}
    return replace(_tce(values, {**words, **run}), duration_hours=float("nan"))


def _error(value: float | None) -> float:
    """Uncertainty of a fit; the archive's sentinel for a failed fit is -1."""
    return value if value is not None and np.isfinite(value) and value >= 0 else float("nan")


def _unique(tces: Sequence[Tce], given: frozenset[str], source: str) -> tuple[list[Tce], list[Tce]]:
    """Distinct TCEs and exact repetitions.

    Rows without an id of their own (not in `given`) can share target, planet number and run; they are numbered by
    period.

    Raises:
        InputError: An id given by the table stands for two different rows.
    """
    groups: dict[str, dict[str, Tce]] = {}
    doubles: list[Tce] = []
    for tce in tces:
        group = groups.setdefault(tce.uid, {})
        # repr compares NaN as equal, which == does not
        if repr(tce) in group:
            doubles.append(tce)
        group[repr(tce)] = tce
    unique: list[Tce] = []
    for uid, group in groups.items():
        rows = sorted(group.values(), key=lambda tce: (tce.period, tce.epoch, tce.duration_hours))
        if len(rows) > 1 and uid in given:
            both = " and ".join(f"(target {row.target_id}, period {row.period}, epoch {row.epoch})" for row in rows[:2])
            raise InputError(f"{source}: the TCE id {uid} stands for two different rows: {both}. Make the ids unique.")
        unique += [replace(row, uid=f"{uid}.{k}" if k > 1 else uid) for k, row in enumerate(rows, start=1)]
    return unique, doubles
