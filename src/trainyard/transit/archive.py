"""Index of a FITS archive by header: which file holds which star and sector, and which files cannot be used."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trainyard.transit.headers import Mission, WrongKindError, read_info
from trainyard.transit.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json, write_text

_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz")
_MIN_CADENCE_DAYS = 100 / 86400
"""Shorter cadences are the 20-second and 1-minute products; the line is built for 2 minutes and longer."""
_CACHE_VERSION = 2
"""To be raised with every change of what is read from headers."""
_SAVE_EVERY = 20_000
"""Headers between two savings; reading them from a network file system takes a minute or more."""


@dataclass(frozen=True)
class FileRecord:
    """One usable file. `content` is a fingerprint of its data, `ra` and `dec` are degrees, `cadence_days` days."""

    path: str
    kind: str
    mission: Mission
    target_id: int
    sector: int
    bytes: int
    content: str
    ra: float
    dec: float
    mag: float
    cadence_days: float
    time_reference: str


@dataclass(frozen=True)
class ArchiveIndex:
    """Usable files, at most one per kind, star and sector, and the fate of all others."""

    files: tuple[FileRecord, ...]
    rejected: tuple[tuple[str, Reason, str], ...]


class Found(NamedTuple):
    """A file as the folder listing shows it; `changed_ns` is the time of its last change, -1 if it has no status.

    The change time (ctime) also moves with permissions, so that a file made readable is looked at again.
    """

    path: str
    size: int
    changed_ns: int


def list_files(folders: Iterable[Path]) -> tuple[Found, ...]:
    """All FITS files below the folders, by path.

    Raises:
        InputError: A folder is missing or cannot be listed.
    """
    found: dict[str, Found] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: this archive folder is not there; see transit.inputs")
        for entry in _walk(folder):
            try:
                status = entry.stat()
                found[entry.path] = Found(entry.path, status.st_size, status.st_ctime_ns)
            except OSError:  # a link to nowhere
                found[entry.path] = Found(entry.path, 0, -1)
    return tuple(found[path] for path in sorted(found))


def index_files(found: Sequence[Found], *, quarantine: Sequence[str], cache: Path | None) -> ArchiveIndex:
    """Identify files by their headers.

    Args:
        found: Files of the archive.
        quarantine: Names of files that must not be used.
        cache: Headers already read; those of files with the same path, size and change time are taken from it. What
            could not be read is not kept, because the next try may succeed. None: no cache.
    """
    from trainyard.yard.logs import progress

    known = _load_cache(cache)
    entries: dict[str, list[Any]] = {}
    reused = read = 0
    for item in progress(found, total=len(found), what="archive headers"):
        path, size, changed_ns = item
        cached = known.get(path)
        if cached is not None and cached[:2] == [size, changed_ns]:
            entries[path] = cached
            reused += 1
            continue
        outcome = _examine(item)
        entries[path] = [size, changed_ns, outcome]
        if "reason" not in outcome:
            read += 1
            if cache is not None and read % _SAVE_EVERY == 0:
                _save_cache(cache, {**known, **entries})
    if cache is not None and (read or reused < len(known)):
        _save_cache(cache, entries)
    records: list[FileRecord] = []
    rejected: list[tuple[str, Reason, str]] = []
    unwanted = set(quarantine)
    for path, (_, _, outcome) in entries.items():
        if unwanted and Path(path).name in unwanted:
            rejected.append((path, Reason.QUARANTINED, "named in transit.inputs.quarantine"))
        elif "reason" in outcome:
            rejected.append((path, Reason(outcome["reason"]), outcome["detail"]))
        else:
            records.append(FileRecord(**outcome))
    chosen, others = _one_per_sector(records)
    return ArchiveIndex(chosen, tuple(sorted(rejected + others)))


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    stack, seen = [str(folder)], set[str]()
    while stack:
        here = stack.pop()
        if os.path.realpath(here) in seen:  # a symbolic link back up
            continue
        seen.add(os.path.realpath(here))
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir():
                        stack.append(entry.path)
                    elif entry.name.lower().endswith(_SUFFIXES):
                        yield entry
        except OSError as error:
            raise InputError(f"{here}: this archive folder cannot be listed: {error.strerror}") from error


def _save_cache(cache: Path, entries: dict[str, list[Any]]) -> None:
    """Keep what could be read."""
    read = {path: entry for path, entry in entries.items() if "reason" not in entry[2]}
    # json writes and reads NaN, which is how a header without magnitude comes out.
    write_text(cache, json.dumps({"version": _CACHE_VERSION, "files": read}))


def _load_cache(cache: Path | None) -> dict[str, list[Any]]:
    if cache is None or not cache.is_file():
        return {}
    try:
        content = read_json(cache)
        return dict(content["files"]) if content["version"] == _CACHE_VERSION else {}
    except (InputError, KeyError, TypeError):
        return {}  # a cache that cannot be read only costs time


def _examine(item: Found) -> dict[str, Any]:
    """The record of a file, or why it has none, as plain values for the cache."""
    if item.changed_ns < 0:
        return {"reason": Reason.UNREADABLE, "detail": "cannot be examined; a link to a file that is gone?"}
    if item.size == 0:
        return {"reason": Reason.EMPTY_FILE, "detail": "0 bytes"}
    if not os.access(item.path, os.R_OK):
        return {"reason": Reason.NO_PERMISSION, "detail": "no permission to read"}
    try:
        info = read_info(Path(item.path))
    except WrongKindError as error:
        return {"reason": Reason.WRONG_KIND, "detail": str(error)}
    except InputError as error:
        return {"reason": Reason.UNREADABLE, "detail": str(error)}
    record = FileRecord(
        path=item.path,
        kind=info.kind,
        mission=info.mission,
        target_id=info.target_id,
        sector=info.sector,
        bytes=item.size,
        content=info.content,
        ra=info.ra,
        dec=info.dec,
        mag=info.mag,
        cadence_days=info.cadence_days,
        time_reference=info.time_reference,
    )
    return dict(vars(record))


def _one_per_sector(records: Sequence[FileRecord]) -> tuple[tuple[FileRecord, ...], list[tuple[str, Reason, str]]]:
    """The best file of each kind, star and sector: the shortest cadence of at least 100 s, then the larger file.

    Numbers of TIC, KIC and EPIC are different stars, so missions are kept apart.
    """
    rejected: list[tuple[str, Reason, str]] = []
    best: dict[tuple[str, str, int, int], FileRecord] = {}
    rivals: dict[tuple[str, str, int, int], list[FileRecord]] = defaultdict(list)
    for record in records:
        if record.cadence_days < _MIN_CADENCE_DAYS:
            cadence = f"cadence of {record.cadence_days * 86400:.1f} s"
            rejected.append((record.path, Reason.OTHER_CADENCE, cadence))
            continue
        key = (record.kind, record.mission, record.target_id, record.sector)
        # Hardly any file has a rival.
        if best.setdefault(key, record) is not record:
            rivals[key].append(record)
    for group, found in rivals.items():
        first, *others = sorted(
            [best[group], *found], key=lambda record: (round(record.cadence_days, 6), -record.bytes, record.path)
        )
        best[group] = first
        rejected += [
            (other.path, Reason.DUPLICATE_FILE, f"{first.path} is used for this star and sector") for other in others
        ]
    return tuple(best[group] for group in sorted(best)), rejected
