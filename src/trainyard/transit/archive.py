"""Index of a FITS archive by header: which file holds which star and sector, and which files cannot be used."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from trainyard.transit.headers import Mission, WrongKindError, read_info
from trainyard.transit.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open

_SUFFIXES = (".fits", ".fits.gz", ".fit", ".fit.gz")
_MIN_CADENCE_DAYS = 100 / 86400
"""Shorter cadences are the 20-second and 1-minute products; the line is built for 2 minutes and longer."""
HEADERS = "transit-headers.msgpack"
"""File, in the cache, of what headers have told."""
_CACHE_VERSION = 3
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


class Header(NamedTuple):
    """What the headers of a file have told, and when the file had last changed then."""

    changed_ns: int
    record: FileRecord


class _Fault(NamedTuple):
    """Why a file cannot be used."""

    reason: Reason
    detail: str


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
                entry.path.encode()
                status = entry.stat()
                found[entry.path] = Found(entry.path, status.st_size, status.st_ctime_ns)
            except (OSError, UnicodeEncodeError):  # a link to nowhere, or a name that no table can hold
                path = os.fsencode(entry.path).decode(errors="backslashreplace")
                found[path] = Found(path, 0, -1)
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

    known = load_headers(cache)
    headers = {item.path: known[item.path] for item in found if _is_as_read(item, known.get(item.path))}
    unread = [item for item in found if item.path not in headers]
    faults: dict[str, _Fault] = {}
    is_kept_as_is = len(headers) == len(known)
    for item in progress(unread, total=len(unread), what="archive headers"):
        outcome = _examine(item)
        if isinstance(outcome, _Fault):
            faults[item.path] = outcome
            continue
        headers[item.path] = Header(item.changed_ns, outcome)
        is_kept_as_is = False
        if cache is not None and len(headers) % _SAVE_EVERY == 0:
            save_headers(cache, {**known, **headers})
    if cache is not None and not is_kept_as_is:
        save_headers(cache, headers)
    names = set(quarantine)
    unwanted = {item.path for item in found if Path(item.path).name in names} if names else set()
    records = [header.record for path, header in headers.items() if path not in unwanted]
    rejected = [(path, Reason.QUARANTINED, "named in transit.inputs.quarantine") for path in unwanted]
    rejected += [(path, *fault) for path, fault in faults.items() if path not in unwanted]
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


def _is_as_read(item: Found, header: Header | None) -> bool:
    return header is not None and header.changed_ns == item.changed_ns and header.record.bytes == item.size


def save_headers(cache: Path, headers: Mapping[str, Header]) -> None:
    """Keep what headers have told, by path."""
    with atomic_open(cache) as handle:
        handle.write(msgspec.msgpack.encode((_CACHE_VERSION, list(headers.values()))))


def load_headers(cache: Path | None) -> dict[str, Header]:
    """What headers have told, by path; nothing if it was not kept, or not by this version."""
    if cache is None or not cache.is_file():
        return {}
    try:
        content = cache.read_bytes()
        version, _ = msgspec.msgpack.decode(content, type=tuple[int, msgspec.Raw])
        if version != _CACHE_VERSION:
            return {}
        _, headers = msgspec.msgpack.decode(content, type=tuple[int, list[Header]])
    except (OSError, msgspec.MsgspecError):
        return {}  # a cache that cannot be read only costs time
    return {header.record.path: header for header in headers}


def _examine(item: Found) -> FileRecord | _Fault:
    """The record of a file, or why it has none."""
    if item.changed_ns < 0:
        return _Fault(Reason.UNREADABLE, "cannot be examined; a link to nowhere, or a name that is not UTF-8?")
    if item.size == 0:
        return _Fault(Reason.EMPTY_FILE, "0 bytes")
    if not os.access(item.path, os.R_OK):
        return _Fault(Reason.NO_PERMISSION, "no permission to read")
    try:
        info = read_info(Path(item.path))
    except WrongKindError as error:
        return _Fault(Reason.WRONG_KIND, str(error))
    except InputError as error:
        return _Fault(Reason.UNREADABLE, str(error))
    return FileRecord(
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
