"""The TCE table as people have it, brought to one contract; every row ends accepted or rejected for a reason."""

from __future__ import annotations

import fnmatch
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.transit.headers import REFERENCE_DAYS
from trainyard.transit.reasons import Reason
from trainyard.transit.runs import Run, parse_runs
from trainyard.transit.schema import FLOAT_SCALARS, INT_SCALARS, NO_SCALARS, STRING_SCALARS
from trainyard.transit.settings import InputSettings, PlanSettings
from trainyard.yard.errors import ConfigError, InputError

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]

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
    table does not say which sectors were searched. `given` holds those features of schema.NO_SCALARS that the table
    tells; most tables tell few.

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
    given: Mapping[str, Any]

    @property
    def scalars(self) -> dict[str, Any]:
        """All scalar features, by name; -1, NaN or "" where the table does not tell."""
        return {**NO_SCALARS, **self.given}

    def scalar(self, name: str) -> Any:
        """One of them."""
        return self.given.get(name, NO_SCALARS[name])

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
    words = {
        name: [value.strip() if value else "" for value in text[name].to_pylist()]
        for name in (*STRING_SCALARS, *_EXTRA_STRINGS)
        if name in text
    }
    _refuse_days(number["tce_duration"], plan, source)
    _refuse_julian_dates(number["tce_time0bk"], source)
    words["disposition"], unknown = _dispositions(words["disposition"], inputs.disposition_map)
    blank = [""] * raw.num_rows
    uids = words.get("tce_uid", blank)
    runs = parse_runs(words.get("sector_run", blank), words.get("sectors_observed", blank))
    faults = _faults(number, words["disposition"], runs, plan)

    tces: list[Tce] = []
    listed: list[int] = []
    rejected: list[tuple[str, Reason, str]] = []
    unmasked: list[Tce] = []
    for i, tce in enumerate(_tces(number, words, uids, runs)):
        if i in faults:
            reason, detail = faults[i]
            rejected.append((uids[i] or f"{source}: row {i + 2}", reason, detail))
            if reason is not Reason.MISSING_TARGET and tce.disposition != QUIET and np.isfinite(tce.epoch):
                unmasked.append(replace(tce, duration_hours=float("nan")))
        elif tce.disposition == QUIET:
            listed.append(tce.target_id)
        else:
            tces.append(tce)
    unique, doubles = _unique(tces, frozenset(uids), source)
    rejected += [(tce.uid, Reason.DUPLICATE_ROW, "the same row again") for tce in doubles]
    return TceTable(
        tces=tuple(sorted(unique, key=lambda tce: (tce.target_id, tce.uid))),
        listed=tuple(sorted(listed)),
        rows=raw.num_rows,
        rejected=tuple(rejected),
        unmasked=tuple(sorted(unmasked, key=lambda tce: (tce.target_id, tce.uid, tce.epoch))),
        unknown_dispositions=unknown,
    )


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


def _floats(column: pa.Array) -> Floats:
    """Numbers of a text column; NaN where the text is no number."""
    stripped = pc.utf8_trim_whitespace(column)
    is_number = pc.match_substring_regex(stripped, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    numbers = pc.cast(pc.if_else(is_number, pc.replace_substring_regex(stripped, r"^\+", ""), None), pa.float64())
    return np.asarray(pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _whole(column: Floats, *, missing: int) -> list[int]:
    """Whole numbers of a column."""
    whole: list[int] = np.where(np.abs(column) < _EXACT, column, missing).astype(np.int64).tolist()
    return whole


def _refuse_days(durations: Floats, plan: PlanSettings, source: str) -> None:
    finite = durations[np.isfinite(durations) & (durations > 0)]
    if len(finite) and np.median(finite) < plan.min_duration_hours:
        raise InputError(
            f"{source}: the median of tce_duration is {np.median(finite):.3g}; durations are hours here, and these look"
            " like days. Multiply them by 24, or lower transit.plan.min_duration_hours if they are right."
        )


def _refuse_julian_dates(epochs: Floats, source: str) -> None:
    """Full dates, as the NASA Exoplanet Archive gives them, would be folded to any phase without an error."""
    finite = epochs[np.isfinite(epochs)]
    if len(finite) and np.median(finite) > _JULIAN_DATE:
        known = " or ".join(f"{days:.0f} ({name})" for name, days in REFERENCE_DAYS.items())
        raise InputError(
            f"{source}: the median of tce_time0bk is {np.median(finite):.0f}; epochs are BTJD or BKJD here, and these"
            f" look like full Julian dates. Subtract {known}."
        )


def _dispositions(words: Sequence[str], mapping: Mapping[str, str]) -> tuple[list[str], dict[str, int]]:
    """Known dispositions of all rows, and how often each unknown word stands in the table."""
    counts = Counter(words)
    known = {word: _disposition(word, mapping) for word in counts}
    unknown = {word: n for word, n in sorted(counts.items()) if known[word] is None}
    return [known[word] or "UNK" for word in words], unknown


def _disposition(word: str, mapping: Mapping[str, str]) -> str | None:
    for pattern, value in mapping.items():
        if word == pattern or fnmatch.fnmatchcase(word, pattern):
            return value
    known = _DISPOSITION_ALIASES.get(word.upper(), word.upper())
    return known if known in (*DISPOSITIONS, QUIET) else None


def _faults(
    number: Mapping[str, Floats], dispositions: Sequence[str], runs: Sequence[Run], plan: PlanSettings
) -> dict[int, tuple[Reason, str]]:
    """Why rows cannot be used, by row; of several reasons the first counts."""
    target, period, epoch, hours = (number[name] for name in _REQUIRED[:4])
    is_quiet = np.array([disposition == QUIET for disposition in dispositions], bool)
    is_usual = (plan.min_duration_hours <= hours) & (hours <= plan.max_duration_hours)
    is_short = hours / 24 <= plan.max_duration_period_ratio * period
    good: dict[Reason, NDArray[np.bool_]] = {
        Reason.MISSING_TARGET: (target > 0) & (target < _EXACT) & (target == np.trunc(target)),
        Reason.BAD_SECTOR_RUN: np.array([not run.complaint for run in runs], bool),
        Reason.NAN_EPHEMERIS: is_quiet | np.isfinite(period) & np.isfinite(epoch) & np.isfinite(hours),
        Reason.IMPLAUSIBLE_PERIOD: is_quiet | (period > 0) & (period < 1e5),
        Reason.IMPLAUSIBLE_DURATION: is_quiet | is_usual & is_short,
    }
    details: dict[Reason, Callable[[int], str]] = {
        Reason.MISSING_TARGET: lambda i: f"target_id is {target[i]}",
        Reason.BAD_SECTOR_RUN: lambda i: runs[i].complaint,
        Reason.NAN_EPHEMERIS: lambda i: f"period {period[i]}, epoch {epoch[i]}, duration {hours[i]}",
        Reason.IMPLAUSIBLE_PERIOD: lambda i: f"period of {period[i]} d",
        Reason.IMPLAUSIBLE_DURATION: lambda i: (
            f"duration of {hours[i]} h at a period of {period[i]} d (hours are expected)"
        ),
    }
    faults: dict[int, tuple[Reason, str]] = {}
    for reason, is_good in good.items():
        for i in np.flatnonzero(~is_good).tolist():
            if i not in faults:
                faults[i] = reason, details[reason](i)
    return faults


def _tces(
    number: Mapping[str, Floats], words: Mapping[str, Sequence[str]], uids: Sequence[str], runs: Sequence[Run]
) -> Iterator[Tce]:
    """A TCE of every row, also of those that cannot be used."""
    whole = {name: _whole(number[name], missing=-1) for name in INT_SCALARS if name in number}
    given: dict[str, Sequence[Any]] = {name: number[name].tolist() for name in FLOAT_SCALARS if name in number}
    given |= whole | {name: words[name] for name in STRING_SCALARS if name in words}
    unknown = np.full(len(runs), np.nan)
    planets = _whole(number.get("tce_plnt_num", unknown), missing=1)
    named = zip(uids, whole["target_id"], planets, runs, strict=True)
    return map(
        Tce,
        (uid or f"{target}-{planet}-S{run.in_uid}" for uid, target, planet, run in named),
        whole["target_id"],
        (run.name for run in runs),
        (run.sectors for run in runs),
        words["disposition"],
        given["tce_period"],
        given["tce_time0bk"],
        given["tce_duration"],
        _errors(number.get("tce_period_err", unknown)),
        _errors(number.get("tce_time0bk_err", unknown)),
        _given(given),
    )


def _given(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """What each row tells, without its gaps."""
    with_gaps = [name for name, values in columns.items() if _has_gaps(values, NO_SCALARS[name])]
    for row in zip(*columns.values(), strict=True):
        given = dict(zip(columns, row, strict=True))
        for name in with_gaps:
            if _has_gaps((given[name],), NO_SCALARS[name]):
                del given[name]
        yield given


def _has_gaps(values: Sequence[Any], missing: Any) -> bool:
    is_number = isinstance(missing, float)
    return any(map(isnan, values)) if is_number else missing in values


def _errors(column: Floats) -> list[float]:
    """Uncertainties of a fit; the archive's sentinel for a failed fit is -1."""
    errors: list[float] = np.where(np.isfinite(column) & (column >= 0), column, np.nan).tolist()
    return errors


def _unique(tces: Sequence[Tce], given: frozenset[str], source: str) -> tuple[list[Tce], list[Tce]]:
    """Distinct TCEs and exact repetitions.

    Rows without an id of their own (not in `given`) can share target, planet number and run; they are numbered by
    period.

    Raises:
        InputError: An id given by the table stands for two different rows.
    """
    rows_of = Counter(tce.uid for tce in tces)
    unique = [tce for tce in tces if rows_of[tce.uid] == 1]
    groups: dict[str, dict[str, Tce]] = defaultdict(dict)
    doubles: list[Tce] = []
    for tce in (tce for tce in tces if rows_of[tce.uid] > 1):
        # repr compares NaN as equal, which == does not
        if repr(tce) in groups[tce.uid]:
            doubles.append(tce)
        groups[tce.uid][repr(tce)] = tce
    for uid, group in groups.items():
        rows = sorted(group.values(), key=lambda tce: (tce.period, tce.epoch, tce.duration_hours))
        if len(rows) > 1 and uid in given:
            both = " and ".join(f"(target {row.target_id}, period {row.period}, epoch {row.epoch})" for row in rows[:2])
            raise InputError(f"{source}: the TCE id {uid} stands for two different rows: {both}. Make the ids unique.")
        unique += [rows[0], *(replace(row, uid=f"{uid}.{k}") for k, row in enumerate(rows[1:], start=2))]
    return unique, doubles
