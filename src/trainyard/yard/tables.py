"""Table contracts: names, types, roles and units of a table, stated once for writer, reader and docs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open, faults_named

ROW_GROUP = 65_536
"""Rows per row group; fixed, because it shapes the bytes."""

_NAME = b"trainyard.contract"
_VERSION = b"trainyard.version"


class Role(StrEnum):
    """What a column may be used for."""

    KEY = "key"
    LABEL = "label"
    FEATURE = "feature"
    METADATA = "metadata"
    NEVER_A_FEATURE = "never-a-feature"


@dataclass(frozen=True)
class Column:
    """One column of a contract."""

    name: str
    type: pa.DataType
    role: Role
    unit: str = ""
    description: str = ""
    nullable: bool = True
    encoding: str = ""
    """How Parquet stores it, such as `PLAIN`; empty: by a dictionary, which is best for values that repeat."""

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with role, unit and description as metadata."""
        metadata = {"role": self.role.value, "unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=metadata)


@dataclass(frozen=True)
class TableContract:
    """The one statement of what a table holds."""

    name: str
    columns: tuple[Column, ...]
    version: int = 1

    def __post_init__(self) -> None:
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise ValueError(f"contract {self.name} names columns twice: {', '.join(repeated)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the contract's name and version as metadata."""
        metadata = {_NAME: self.name.encode(), _VERSION: str(self.version).encode()}
        return pa.schema([column.field for column in self.columns], metadata=metadata)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that a program relies on; rewording a description leaves it as it is."""
        columns = [[c.name, str(c.type), c.role.value, c.unit, c.nullable] for c in self.columns]
        return hashlib.sha256(json.dumps([self.name, self.version, columns]).encode()).hexdigest()

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Make a table of rows; a missing key becomes null.

        Raises:
            ValueError: A row has an unknown key, or a value does not fit its column.
            IntegrityError: A column that must have a value has none.
        """
        unknown = sorted({key for row in rows for key in row} - set(self.names))
        if unknown:
            raise ValueError(f"table {self.name} has no columns {', '.join(unknown)}")
        table = pa.table([_array(column, rows) for column in self.columns], schema=self.schema)
        self._check_nulls(table, where=f"table {self.name}")
        return table

    def check(self, table: pa.Table) -> None:
        """Check names, types and required values of a table; the order of the columns is free.

        Raises:
            IntegrityError: Names the columns that are missing, unknown, of another type, or null.
        """
        where = f"table {self.name}"
        self._check_schema(table.schema, where=where)
        self._check_nulls(table, where=where)

    def write(self, path: Path, table: pa.Table) -> None:
        """Write a table as Parquet: whole or not at all, and equal rows give equal bytes.

        Raises:
            IntegrityError: The table breaks the contract.
        """
        with self.writer(path) as writer:
            writer.write_table(table)

    @contextmanager
    def writer(self, path: Path) -> Iterator[TableWriter]:
        """Open a Parquet file for rows that come in batches; how they are batched does not change its bytes."""
        encodings = {column.name: column.encoding for column in self.columns if column.encoding}
        with (
            atomic_open(path) as handle,
            # The level is fixed and the file carries no time, so bytes depend on the rows alone.
            pq.ParquetWriter(
                handle,
                self.schema,
                compression="zstd",
                compression_level=3,
                write_page_checksum=True,
                use_dictionary=[name for name in self.names if name not in encodings] if encodings else True,
                column_encoding=encodings or None,
            ) as parquet,
        ):
            writer = TableWriter(self, parquet)
            yield writer
            writer.flush()

    def read(self, path: Path, *, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
        """Read a Parquet file that was written under this contract.

        Args:
            path: The file.
            columns: Columns wanted; None for all.
            filters: Rows wanted, as `pyarrow.parquet.read_table` takes them.

        Raises:
            InputError: No such file.
            IntegrityError: Not Parquet, or written under another contract or version.
            ValueError: A wanted column is not in the contract.
        """
        unknown = sorted(set(columns or ()) - set(self.names))
        if unknown:
            raise ValueError(f"table {self.name} has no columns {', '.join(unknown)}")
        try:
            with faults_named(path):
                self._check_file(path)
                # Without partitioning=None a folder called a=b would add a column.
                wanted = None if columns is None else list(columns)
                return pq.read_table(
                    path, columns=wanted, filters=filters, partitioning=None, page_checksum_verification=True
                )
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            raise IntegrityError(f"{path}: cannot be read as Parquet ({error}); {_REMEDY}") from error

    def read_all(self, paths: Sequence[Path], *, columns: Sequence[str] | None = None) -> pa.Table:
        """Read several files as one table, in their order; see `read`."""
        return pa.concat_tables(self.read(path, columns=columns) for path in paths)

    def write_csv(self, path: Path, table: pa.Table) -> None:
        """Write a table as CSV for people: null is empty, NaN is `nan`.

        Raises:
            IntegrityError: The table breaks the contract.
        """
        self.check(table)
        with atomic_open(path) as handle:
            pa_csv.write_csv(table.select(list(self.names)), handle, _CSV)

    def _check_file(self, path: Path) -> None:
        try:
            schema = pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise IntegrityError(f"{path}: not a Parquet file ({error}); {_REMEDY}") from error
        metadata = schema.metadata or {}
        found = (metadata.get(_NAME, b"no contract").decode(), metadata.get(_VERSION, b"0").decode())
        if found != (self.name, str(self.version)):
            raise IntegrityError(
                f"{path}: holds {found[0]} version {found[1]}, expected {self.name} version {self.version}; {_REMEDY}"
            )
        self._check_schema(schema, where=str(path))

    def _check_schema(self, schema: pa.Schema, *, where: str) -> None:
        found = dict(zip(schema.names, schema.types, strict=True))
        wanted = {column.name: column.type for column in self.columns}
        problems = [f"missing {name}" for name in wanted if name not in found]
        problems += [f"unknown {name}" for name in found if name not in wanted]
        problems += [f"twice {name}" for name in found if schema.names.count(name) > 1]
        problems += [
            f"{name} is {found[name]}, not {kind}" for name, kind in wanted.items() if found.get(name, kind) != kind
        ]
        if problems:
            raise IntegrityError(f"{where}: columns break the contract {self.name}: {'; '.join(problems)}")

    def _check_nulls(self, table: pa.Table, *, where: str) -> None:
        empty = [c.name for c in self.columns if not c.nullable and table.column(c.name).null_count]
        if empty:
            raise IntegrityError(f"{where}: no value in required columns: {', '.join(empty)}")


class TableWriter:
    """Collects rows and writes them in row groups of a fixed size; made by `TableContract.writer`."""

    def __init__(self, contract: TableContract, parquet: pq.ParquetWriter) -> None:
        self._contract = contract
        self._parquet = parquet
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows; see `TableContract.table`."""
        self._append(self._contract.table(rows))

    def write_table(self, table: pa.Table) -> None:
        """Append a table; see `TableContract.check`."""
        self._contract.check(table)
        # The cast replaces foreign metadata (pandas leaves some), which would end up in the bytes.
        self._append(table.select(list(self._contract.names)).cast(self._contract.schema))

    def flush(self) -> None:
        """Write what is waiting as the last row group."""
        self._write(pa.concat_tables(self._waiting) if self._waiting else self._contract.schema.empty_table())
        self._waiting, self._rows_waiting = [], 0

    def _append(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows_waiting += table.num_rows
        if self._rows_waiting < ROW_GROUP:
            return
        waiting = pa.concat_tables(self._waiting)
        whole = waiting.num_rows - waiting.num_rows % ROW_GROUP
        for start in range(0, whole, ROW_GROUP):
            self._write(waiting.slice(start, ROW_GROUP))
        self._waiting, self._rows_waiting = [waiting.slice(whole)], waiting.num_rows - whole

    def _write(self, group: pa.Table) -> None:
        # One chunk per column: page limits would otherwise follow the batches that the rows came in.
        if group.num_rows:
            self._parquet.write_table(group.combine_chunks(), row_group_size=ROW_GROUP)


def _array(column: Column, rows: Sequence[Mapping[str, Any]]) -> pa.Array:
    values = [row.get(column.name) for row in rows]
    if pa.types.is_integer(column.type):
        # Arrow would cut 1.5 down to 1 without a word.
        fractions = [v for v in values if isinstance(v, float | np.floating) and not v.is_integer()]
        if fractions:
            raise ValueError(f"column {column.name} ({column.type}): {fractions[0]} is not a whole number")
    try:
        return pa.array(values, type=column.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise ValueError(f"column {column.name} ({column.type}): {error}") from error


_CSV = pa_csv.WriteOptions(quoting_style="needed")
_REMEDY = "delete the file and run the same command again"
