"""RMSF tables as they come: long, wide or one file per temperature, all read as long rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from trainyard.voxel.columns import look_up
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

STRATA = {"relative_accessibility": pa.float32(), "dssp": pa.string(), "secondary_structure": pa.int8()}
"""Optional columns, by type."""

_KEYS = ("domain_id", "resid", "resname")
_TEMPERATURE = "temperature_feature"
_TARGETS = ("target_rmsf", "rmsf")
_RENAMED = {"secondary_structure_encoded": "secondary_structure"}
_COLUMN = re.compile(r"rmsf_(\d+(?:\.\d+)?|average|mean)", re.ASCII)
_FILE = re.compile(r"temperature_?(\d+(?:\.\d+)?)(?!.*\d)", re.ASCII | re.IGNORECASE)
_AVERAGES = frozenset({"average", "mean"})
_NULLS = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A"]
_TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class _Source:
    """One table: where temperature and RMSF stand in it."""

    path: Path
    table: pa.Table
    values: list[tuple[str, str]]
    """Columns of RMSF, each with its temperature as text; empty where a column gives the temperature."""


def read_rows(path: Path, number: int, *, left_out: Callable[[str, int], None]) -> list[pa.Table]:
    """Read one file as tables of long rows, one table per column of RMSF.

    Args:
        path: CSV file in UTF-8, with or without byte order mark; `.csv.gz` too.
        number: Goes to the column `source`.
        left_out: Called with item and number of the rows of the pseudo-temperature "average", which are not returned.

    Returns:
        Columns domain_id, resid, resname, dssp (dictionaries of text), temperature (K) and target (float64), the
        other strata, source and line (0-based row of the file). What is no number is null.

    Raises:
        InputError: The file is missing or is no RMSF table.
    """
    source = _open(path)
    tables = [_rows(source, number, column, temperature, left_out) for column, temperature in source.values]
    return [table for table in tables if table is not None]


def number_of(text: str) -> float | None:
    """Return the number that a text is, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def _open(path: Path) -> _Source:
    table = _read_csv(path)
    names, listed = table.column_names, ", ".join(table.column_names)
    missing = [name for name in _KEYS if name not in names]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; its columns are {listed}")
    targets = [name for name in _TARGETS if name in names]
    wide = [(name, match[1]) for name in names if (match := _COLUMN.fullmatch(name))]
    stated = _FILE.search(path.stem)
    if len(targets) + bool(wide) != 1:
        raise InputError(
            f"{path}: expected the RMSF either in target_rmsf or in columns such as rmsf_320; its columns are {listed}"
        )
    if _TEMPERATURE in names:
        if wide:
            raise InputError(f"{path}: has both {_TEMPERATURE} and {wide[0][0]}; keep one of the two forms")
        return _Source(path, table, [(targets[0], "")])
    if targets and not stated:
        raise InputError(
            f"{path}: no temperature, neither in a column {_TEMPERATURE}, nor in a column such as rmsf_320, nor in the"
            " file's name (..._temperature_320.csv)"
        )
    if targets and stated:
        return _Source(path, table, [(targets[0], stated[1])])
    kelvins = {float(text) for _, text in wide if text not in _AVERAGES}
    if stated and len(kelvins) == 1 and float(stated[1]) not in kelvins:
        raise InputError(f"{path}: the file's name says {stated[1]} K, its column {wide[0][0]}; correct one of them")
    return _Source(path, table, wide)


def _read_csv(path: Path) -> pa.Table:
    """The columns that matter, text as dictionaries and numbers as float64, their names without blanks."""
    try:
        with faults_named(path):
            raw = pa_csv.open_csv(path).schema.names
            names = [name.strip() for name in raw]
            repeated = sorted({name for name in names if _matters(name) and names.count(name) > 1})
            if repeated:
                raise InputError(f"{path}: has the columns {', '.join(repeated)} twice; keep one of each")
            table = _parse(path, {name: _kind(name.strip()) for name in raw if _matters(name.strip())})
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    stripped = [name.strip() for name in table.column_names]
    return table.rename_columns([_RENAMED.get(name, name) for name in stripped])


def _matters(name: str) -> bool:
    return name in (*_KEYS, _TEMPERATURE, *_TARGETS, *STRATA, *_RENAMED) or _COLUMN.fullmatch(name) is not None


def _kind(name: str) -> pa.DataType:
    return _TEXT if name in (*_KEYS, _TEMPERATURE, "dssp") else pa.float64()


def _parse(path: Path, kinds: dict[str, pa.DataType]) -> pa.Table:
    try:
        return _parse_as(path, kinds)
    except pa.ArrowInvalid:
        # Some value is no number. It alone is missing then, so read text and convert value by value.
        table = _parse_as(path, dict.fromkeys(kinds, _TEXT))
        for i, (name, kind) in enumerate(kinds.items()):
            if kind != _TEXT:
                table = table.set_column(i, name, look_up(table.column(i), number_of, kind))
        return table


def _parse_as(path: Path, kinds: dict[str, pa.DataType]) -> pa.Table:
    options = pa_csv.ConvertOptions(
        column_types=kinds, include_columns=list(kinds), null_values=_NULLS, strings_can_be_null=True
    )
    return pa_csv.read_csv(path, convert_options=options)


def _rows(
    source: _Source, number: int, column: str, temperature: str, left_out: Callable[[str, int], None]
) -> pa.Table | None:
    table = source.table
    lines = np.arange(table.num_rows, dtype=np.int32)
    if temperature in _AVERAGES:
        left_out(f"{source.path.name}: column {column}", lines.size)
        return None
    if temperature:
        kelvin = pa.array(np.full(lines.size, float(temperature)))
    else:
        texts = table.column(_TEMPERATURE)
        average = look_up(texts, lambda text: text.strip().lower() in _AVERAGES, pa.bool_()).fill_null(False)
        left_out(f"{source.path.name}: {_TEMPERATURE} average", average.true_count)
        table, lines = table.filter(pc.invert(average)), lines[~average.to_numpy(zero_copy_only=False)]
        kelvin = look_up(table.column(_TEMPERATURE), number_of, pa.float64())
    columns = {name: table.column(name) for name in _KEYS}
    columns |= {"temperature": kelvin, "target": table.column(column)}
    columns |= {name: _stratum(table, name) for name in STRATA}
    columns |= {"source": pa.array(np.full(lines.size, number, np.int32)), "line": pa.array(lines)}
    return pa.table(columns)


def _stratum(table: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
    """An optional column; what cannot be converted is null, and so is all of a column that is not there."""
    if name not in table.column_names:
        return pa.nulls(table.num_rows, _TEXT if name == "dssp" else STRATA[name])
    column = table.column(name)
    if name == "dssp":
        return column
    values = np.asarray(column.to_numpy(), np.float64)
    usable = np.isin(values, (0, 1, 2)) if name == "secondary_structure" else np.isfinite(values)
    return pa.array(np.where(usable, values, 0), mask=~usable).cast(STRATA[name])
