"""The RMSF labels, cleaned: one row per residue and temperature, in nm.

All work is on whole columns; millions of rows take seconds.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.voxel.columns import Codes, codes, first_valid, look_up
from trainyard.voxel.names import normalise_resname, parse_residue_key
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf_files import STRATA, number_of, read_rows
from trainyard.voxel.schema import RMSF
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.verdicts import Mask, Verdicts
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger

_log = logging.getLogger(__name__)

KIND = "rmsf_row"
"""A ledger's kind for one value of one residue at one temperature, whatever the form of the table it came from."""

_NM = {"nm": 1.0, "angstrom": 0.1}
_PLAUSIBLE_NM = (0.03, 1.5)
_SHOWN = 5


def read_rmsf(
    paths: Sequence[Path], *, unit: Literal["nm", "angstrom"], ledger: Ledger, settings: VoxelPlanSettings
) -> pa.Table:
    """Read and clean RMSF tables.

    A table is long (`temperature_feature`, `target_rmsf`), wide (`rmsf_320`, `rmsf_348`, ...) or of one temperature
    (one such column, or `target_rmsf` in a file called `..._temperature_320.csv`). The pseudo-temperature "average"
    never enters. Unknown columns are ignored.

    Args:
        paths: CSV files in UTF-8, with or without byte order mark; `.csv.gz` too.
        unit: Unit of the RMSF columns.
        ledger: Takes the verdict on every row, kind `rmsf_row`.
        settings: `temperatures`, `negative_rmsf` and `conflicting_rows`.

    Returns:
        Contract RMSF, in the order of files, columns of RMSF and rows. The first of repeated rows stands for all of
        them, with the first optional value that any of them has.

    Raises:
        InputError: A file is missing or is no such table, a residue has two values, or no row is left.
    """
    if not paths:
        raise InputError("no RMSF table is given; set inputs.aggregated_rmsf_file")

    def leave_out(item: str, n: int) -> None:
        ledger.expect(KIND, n)
        ledger.reject(KIND, item, Reason.AVERAGE_TEMPERATURE, f"{n} rows", n=n)

    parts = [part for number, path in enumerate(paths) for part in read_rows(path, number, left_out=leave_out)]
    if not parts:
        raise InputError(f"{_listed(paths)}: hold the average over temperatures only; give the single temperatures")
    rows = _Rows(pa.concat_tables(parts), paths, to_nm=_NM[unit])
    rows.reject_bad_values(settings)
    stands_for = rows.reject_repeated(settings)
    rows.verdicts.settle(ledger, KIND, rows.describe)
    table = rows.table(stands_for)
    _refuse_empty(table, paths, ledger, settings)
    _warn_of_unit(float(np.median(table.column("target_rmsf").to_numpy())), paths)
    return table


class _Rows:
    """Long rows with their verdicts."""

    def __init__(self, rows: pa.Table, paths: Sequence[Path], *, to_nm: float) -> None:
        self.verdicts = Verdicts(rows.num_rows)
        self._rows = rows
        self._paths = paths
        self._domain = look_up(rows.column("domain_id"), lambda text: text.strip() or None, pa.string())
        self._resname = look_up(rows.column("resname"), lambda text: text.strip() or None, pa.string())
        # Compared and stored in the precision of the contract.
        self._temperature = np.asarray(rows.column("temperature").to_numpy(), np.float64).astype(np.float32)
        with np.errstate(over="ignore"):
            self._target = (np.asarray(rows.column("target").to_numpy(), np.float64) * to_nm).astype(np.float32)
        self._resid, self._icode, self._residue, self._fractional = _residues(rows.column("resid"))

    def reject_bad_values(self, settings: VoxelPlanSettings) -> None:
        """Reject rows without a usable number, name or temperature, and negative RMSF, or clip it."""
        verdicts = self.verdicts
        missing = ~_valid(self._domain) | ~_valid(self._resname) | ((self._residue < 0) & ~self._fractional)
        missing |= np.isnan(self._target) | ~(self._temperature > 0) | np.isinf(self._temperature)
        verdicts.reject(missing, Reason.MISSING_VALUE)
        verdicts.reject(self._fractional, Reason.FRACTIONAL_RESID)
        verdicts.reject(np.isinf(self._target), Reason.NOT_FINITE)
        if settings.temperatures:
            used = np.asarray(settings.temperatures, np.float32)
            verdicts.reject(~np.isin(self._temperature, used), Reason.TEMPERATURE_NOT_USED)
        negative = verdicts.kept & (self._target < 0)
        if settings.negative_rmsf == "reject":
            verdicts.reject(negative, Reason.NEGATIVE_RMSF)
        elif negative.any():
            self._target[negative] = 0.0
            _log.warning("%s: %d negative RMSF values were set to 0", _listed(self._paths), negative.sum())

    def reject_repeated(self, settings: VoxelPlanSettings) -> Codes:
        """Keep one row per domain, residue and temperature.

        Returns:
            For every row the position of the equal row that stands for it, -1 for rejected rows; shape `(n,)`.
        """
        rows = np.flatnonzero(self.verdicts.kept)
        names = codes(pa.chunked_array([self._resname]), {}, normalise_resname)[rows]
        first = _first_of_equal(self._keys(rows))
        differs = (self._target[rows] != self._target[rows][first]) | (names != names[first])
        if differs.any():
            self._settle_conflicts(rows, first, differs, settings)
        self.verdicts.reject(self._mask(rows[first != np.arange(rows.size)]), Reason.REPEATED_ROW)
        stands_for = np.full(self._target.size, -1)
        stands_for[rows[~differs]] = rows[first[~differs]]
        return stands_for

    def table(self, stands_for: Codes) -> pa.Table:
        """The kept rows under the contract."""
        kept = np.flatnonzero(self.verdicts.kept)
        groups = np.full(stands_for.size + 1, -1)
        groups[kept] = np.arange(kept.size)
        # Position -1 reads the last entry, which is -1.
        groups = groups[stands_for]
        columns = {
            "domain_id": self._domain.take(pa.array(kept)),
            "resid": self._resid[kept],
            "icode": self._icode.take(pa.array(kept)),
            "resname": self._resname.take(pa.array(kept)),
            "temperature": self._temperature[kept],
            "target_rmsf": self._target[kept],
        }
        for name, kind in STRATA.items():
            columns[name] = first_valid(self._rows.column(name), groups, kept.size).cast(kind)
        return pa.table([columns[name] for name in RMSF.names], schema=RMSF.schema)

    def describe(self, row: int, reason: Reason) -> tuple[str, str]:
        """Name and place of a row."""
        return self._name(row), self._value(row)

    def _settle_conflicts(self, rows: Codes, first: Codes, differs: Mask, settings: VoxelPlanSettings) -> None:
        if settings.conflicting_rows == "error":
            pairs = [(rows[first[i]], rows[i]) for i in np.flatnonzero(differs)[:_SHOWN]]
            raise InputError(
                f"{differs.sum()} RMSF rows contradict an earlier row of the same residue and temperature: "
                + "; ".join(f"{self._name(b)} is {self._value(a)} and {self._value(b)}" for a, b in pairs)
                + ". Correct the tables, or set plan.conflicting_rows to 'reject' (none of them is used) or 'warn' (the"
                " first is used)"
            )
        _log.warning("%s: %d rows contradict an earlier one", _listed(self._paths), differs.sum())
        rejected = np.isin(first, first[differs]) if settings.conflicting_rows == "reject" else differs
        self.verdicts.reject(self._mask(rows[rejected]), Reason.CONFLICTING_ROWS)

    def _keys(self, rows: Codes) -> Codes:
        """One number per domain, residue and temperature, for the given rows."""
        domain = codes(pa.chunked_array([self._domain]), {})[rows]
        kelvins, kelvin = np.unique(self._temperature[rows], return_inverse=True)
        residues = int(self._residue.max(initial=0)) + 1
        return np.asarray((domain * residues + self._residue[rows]) * kelvins.size + kelvin, np.int64)

    def _mask(self, rows: Codes) -> Mask:
        mask = np.zeros(self._target.size, np.bool_)
        mask[rows] = True
        return mask

    def _name(self, row: int) -> str:
        resid = self._rows.column("resid")[row].as_py()
        return f"{self._domain[row].as_py() or '?'} residue {resid or '?'} at {self._temperature[row]:g} K"

    def _value(self, row: int) -> str:
        source, line = self._rows.column("source")[row].as_py(), self._rows.column("line")[row].as_py()
        name = self._resname[row].as_py() or "?"
        return f"{name} {self._target[row]:.7g} nm ({self._paths[source].name} row {line + 1})"


def _residues(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array, Codes, Mask]:
    """Number, insertion code, dense code of the two (-1: no residue number), and whether the number has a fraction."""
    number = look_up(column, lambda text: found[0] if (found := _residue(text)) else None, pa.int32())
    icode = look_up(column, lambda text: found[1] if (found := _residue(text)) else None, pa.string())
    dense = np.where(_valid(number), codes(column, {}, _residue), -1)
    fractional = look_up(column, _has_fraction, pa.bool_()).fill_null(False)
    return np.asarray(number.fill_null(0)), icode, dense, fractional.to_numpy(zero_copy_only=False)


def _residue(text: str) -> tuple[int, str] | None:
    """Number and insertion code; a whole number may have been written as 10.0."""
    try:
        return parse_residue_key(text.strip())
    except ValueError:
        number = number_of(text)
    whole = number is not None and number.is_integer() and abs(number) < 2**31
    return (int(number), "") if whole and number is not None else None


def _has_fraction(text: str) -> bool:
    number = number_of(text)
    return number is not None and math.isfinite(number) and not number.is_integer()


def _valid(array: pa.Array) -> Mask:
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _first_of_equal(keys: Codes) -> Codes:
    """For every key the position where it stands first."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    first = np.empty_like(order)
    first[order] = np.repeat(order[starts], np.diff(starts, append=order.size))
    return first


def _refuse_empty(table: pa.Table, paths: Sequence[Path], ledger: Ledger, settings: VoxelPlanSettings) -> None:
    if table.num_rows == 0:
        found = ", ".join(f"{reason}: {n}" for reason in Reason if (n := ledger.rejected(KIND, reason)))
        raise InputError(f"{_listed(paths)}: no RMSF row can be used ({found or 'the tables are empty'})")
    there = table.column("temperature").unique().to_pylist()
    missing = [kelvin for kelvin in settings.temperatures if float(np.float32(kelvin)) not in there]
    if missing:
        raise InputError(
            f"{_listed(paths)}: no RMSF at {', '.join(f'{kelvin:g}' for kelvin in missing)} K, which plan.temperatures"
            f" asks for; there is {', '.join(f'{kelvin:g}' for kelvin in sorted(there))} K"
        )


def _warn_of_unit(median: float, paths: Sequence[Path]) -> None:
    low, high = _PLAUSIBLE_NM
    if not low <= median <= high:
        _log.warning(
            "%s: the median RMSF is %.3g nm, outside %g to %g nm; check inputs.rmsf_unit",
            _listed(paths),
            median,
            low,
            high,
        )


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
