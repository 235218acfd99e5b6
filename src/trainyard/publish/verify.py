"""Whether a finished folder still is what it was when it was finished."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainyard.transit import naming
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.examples import decode_example
from trainyard.yard.files import sha256_file
from trainyard.yard.labels import shard_label
from trainyard.yard.logs import progress
from trainyard.yard.receipts import RECEIPT, verify
from trainyard.yard.tfrecord import read_records, record_index

_RECORDS = ".tfrecord"


@dataclass(frozen=True)
class Verified:
    """What a look at a folder has found; `files`, `bytes` and `records` count the files that are as they should be."""

    files: int
    bytes: int
    records: int
    problems: tuple[str, ...]
    """One line each, in the order of the files."""


def verify_folder(folder: Path, *, deep: bool = False) -> Verified:
    """Compare every file below a folder that has a receipt with it: size, SHA-256 and number of records.

    So are the tables that were made together with such a file, those that belong below the folder.
    A receipt without its file, a TFRecord file without a receipt, and a set of shards that is incomplete or mixed with
    those of another number of shards are problems too.

    Args:
        folder: Any folder of a run, such as `results/demo`.
        deep: Also check the checksum of every record, and that it is a `tf.train.Example`.

    Raises:
        InputError: There is no such folder, or nothing in it has a receipt.
        EnvironmentFault: A file may not be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    vouched = {path.with_name(path.name.removesuffix(RECEIPT)) for path in folder.rglob(f"*{RECEIPT}")}
    if not vouched:
        raise InputError(f"{folder}: no file below it has a receipt; give the folder of a run, such as results/demo")
    files = size = records = 0
    problems = []
    tables: dict[Path, str] = {}
    for path in progress(sorted(vouched), total=len(vouched), what="files"):
        try:
            receipt = verify(path)
            _check_records(path, receipt.records, deep=deep)
        except IntegrityError as error:
            problems.append(str(error))
        else:
            files, size, records = files + 1, size + receipt.bytes, records + (receipt.records or 0)
            tables |= {_place(path.parent / name): sha256 for name, sha256 in (receipt.beside or {}).items()}
    for table, sha256 in sorted(tables.items()):
        if table.is_relative_to(_place(folder)) and not table.name.endswith(RECEIPT) and table not in vouched:
            problem = _difference(table, sha256)
            if problem is None:
                files, size = files + 1, size + table.stat().st_size
            else:
                problems.append(problem)
    found = {path for path in folder.rglob(f"*{_RECORDS}") if path.is_file()}
    problems += [
        f"{path}: has no receipt, so the job that wrote it did not finish; run the same command again"
        for path in sorted(found - vouched)
    ]
    return Verified(files, size, records, (*problems, *_broken_sets(vouched | found)))


def _place(path: Path) -> Path:
    """A path without "..", which a table beside the folder of its shard has."""
    return Path(os.path.normpath(path))


def _difference(table: Path, sha256: str) -> str | None:
    """What is wrong with a table that was made together with a shard."""
    if not table.is_file():
        return f"{table}: the file is missing although a shard was made together with it; run the same command again"
    found = sha256_file(table)
    if found == sha256:
        return None
    return f"{table}: sha256 is {found}, the receipt of its shard says {sha256}; {_REMEDY}"


def _check_records(path: Path, expected: int | None, *, deep: bool) -> None:
    """Compare the records of a TFRecord file with its receipt.

    Raises:
        IntegrityError: Another number of records, or, if `deep`, a record that is damaged or no example.
    """
    if path.suffix != _RECORDS:
        return
    held = _read_all(path) if deep else len(record_index(path))
    if held != expected:
        raise IntegrityError(f"{path}: holds {held} records, its receipt says {expected}; {_REMEDY}")


def _read_all(path: Path) -> int:
    number = 0
    for number, record in enumerate(read_records(path), start=1):
        try:
            decode_example(record)
        except IntegrityError as error:
            raise IntegrityError(f"{path}: record {number - 1}: {error}; {_REMEDY}") from error
    return number


def _broken_sets(paths: Iterable[Path]) -> list[str]:
    """Problems of sets of shards: those of one kind in one folder must be 1 to XXXX of one XXXX."""
    sets: dict[tuple[Path, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for path in paths:
        try:
            name = naming.parse_shard(path.name)
        except ValueError:
            continue
        sets[path.parent, path.name.partition("_shard_")[0]][name.num_shards].add(name.shard)
    problems = []
    for (folder, kind), by_total in sorted(sets.items()):
        totals = sorted(by_total)
        if len(totals) > 1:
            problems.append(
                f"{folder}: holds {kind} shards of builds with {' and with '.join(map(str, totals))} shards; delete"
                " those that the configuration no longer asks for"
            )
            continue
        missing = sorted(set(range(1, totals[0] + 1)) - by_total[totals[0]])
        if missing:
            labels = ", ".join(shard_label(shard, totals[0]) for shard in missing[:5])
            problems.append(
                f"{folder}: {len(missing)} of {totals[0]} {kind} shards are missing, first {labels}; copy them, or run"
                " the same command again"
            )
    return problems


_REMEDY = "delete the file and run the same command again"
