"""What a shard's jobs need of the plan, kept under its digest where the Snakefile is read.

A file per shard would be thousands of files, which take minutes to make on a network file system. So shards lie in
packs, one line each: digest and JSON. A pack is named by its content and never changes; the index tells which digest is
in which pack. Packs of earlier plans stay, because their jobs may still be waiting.

Members go to jobs beside Snakemake, not as an output of the plan's rule: with that, every shard would rerun whenever
the plan's file is written, and `ancient()` on a file that a pending rule makes hides the shard's own reasons to rerun
(Snakemake 9.27). The digest is in the rule's `params`, and is checked when the members are read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from trainyard.transit.archive import FileRecord
from trainyard.transit.schema import FLOAT_SCALARS
from trainyard.transit.tces import Tce
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import faults_named

if TYPE_CHECKING:
    # Not at run time: how stars are assigned is no part of the code that builds a shard.
    from trainyard.transit.plan import Plan

T = TypeVar("T")

_NO_SCALARS = dict.fromkeys(FLOAT_SCALARS, math.nan)
_INDEX = "index.json"
_STARS_PER_PACK = 1000
"""A job reads a whole pack, about 2 MB."""


@dataclass(frozen=True)
class Star:
    """What one star is built from: its TCEs and its files."""

    target_id: int
    tces: tuple[Tce, ...]
    files: tuple[FileRecord, ...]

    @property
    def content(self) -> str:
        """Everything that shapes the examples of this star, as JSON; paths and file times are not in it."""
        files = [(file.kind, file.sector, file.bytes, file.content) for file in self.files]
        return _encode([self.target_id, [_row(tce) for tce in self.tces], files])

    @property
    def digest(self) -> str:
        """Fingerprint of the content."""
        return _digest(self.content)


class Kept(NamedTuple):
    """Digests of a plan that is kept: of the whole, and one per shard of its members and of their splits."""

    plan: str
    shards: tuple[str, ...]
    splits: tuple[str, ...]


def members_digest(stars: Sequence[Star]) -> str:
    """Digest of the stars of one shard."""
    return digest_of([star.digest for star in sorted(stars, key=lambda star: star.target_id)])


def assignment_digest(assignment: Mapping[int, str]) -> str:
    """Digest of the splits of the stars of one shard."""
    return digest_of(sorted(assignment.items()))


_encode = json.JSONEncoder(sort_keys=True, check_circular=False).encode
"""JSON; `json.dumps` would make an encoder for each of many thousand stars."""


def digest_of(content: object) -> str:
    """16 hex digits that stand for plain values."""
    return _digest(_encode(content))


def _digest(text: str) -> str:
    return _digest_of_bytes(text.encode())


def _digest_of_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def keep_plan(plan: Plan, folder: Path) -> Kept:
    """Keep members and splits of every shard, as those of the last plan."""
    folder.mkdir(parents=True, exist_ok=True)
    size = max(1, _STARS_PER_PACK * plan.num_shards // max(1, len(plan.stars)))
    stars: dict[int, str] = {}
    members = list(_put_packs(_members(plan, stars), size, folder))
    splits = list(_put_packs(_splits(plan), size, folder))
    digest = plan.digest_with(stars)
    packs = dict([*members, *splits])
    _, earlier = _index(folder)
    others = {name: digests for name, digests in earlier.items() if name not in packs}
    _put(folder / _INDEX, json.dumps({"plan": digest, "packs": packs | others}).encode())
    shards, assignments = (tuple(chain(*(found for _, found in kept))) for kept in (members, splits))
    return Kept(digest, shards, assignments)


def kept_plan(folder: Path) -> str | None:
    """Digest of the plan that was kept last, None if there is none.

    Members of equal digest are equal but for the places of their files, which are those of this plan.
    """
    return _index(folder)[0]


def is_kept(folder: Path, digests: Sequence[str]) -> bool:
    """Whether all digests are there."""
    pack_of = _pack_of(folder)
    there = {path.name for path in folder.iterdir()} if pack_of else set()
    return all(pack_of.get(digest) in there for digest in digests)


def read_members(folder: Path, digest: str) -> tuple[Star, ...]:
    """Stars of the shard with this digest, ordered by target id.

    Raises:
        IntegrityError: They are not kept, or not what the digest says.
    """
    stars = tuple(_star(*entry) for entry in _get(folder, digest))
    return _checked(stars, members_digest(stars), digest, folder)


def read_assignment(folder: Path, digest: str) -> dict[int, str]:
    """Split of every star of the shard with this digest of splits.

    Raises:
        IntegrityError: They are not kept, or not what the digest says.
    """
    assignment = {int(star): str(split) for star, split in _get(folder, digest)}
    return _checked(assignment, assignment_digest(assignment), digest, folder)


def _members(plan: Plan, digests: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Digest and JSON of the members of every shard; puts the digests of the stars into `digests` on the way."""
    for shard in range(plan.num_shards):
        stars = plan.members(shard)
        contents = [star.content for star in stars]
        found = {star.target_id: _digest(content) for star, content in zip(stars, contents, strict=True)}
        digests |= found
        files = (_encode([list(vars(file).values()) for file in star.files]) for star in stars)
        entries = (f"[{content}, {records}]" for content, records in zip(contents, files, strict=True))
        yield digest_of([found[target] for target in sorted(found)]), f"[{', '.join(entries)}]"


def _splits(plan: Plan) -> Iterator[tuple[str, str]]:
    """Digest and JSON of the splits of every shard."""
    for shard in range(plan.num_shards):
        content = _encode(sorted(plan.assignment(shard).items()))
        yield _digest(content), content


def _put_packs(shards: Iterable[tuple[str, str]], size: int, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Write packs of `size` shards each; yields their names, and the digests in them."""
    remaining = iter(shards)
    while pack := list(islice(remaining, size)):
        data = "".join(f"{digest} {content}\n" for digest, content in pack).encode()
        name = f"{_digest_of_bytes(data)}.jsonl"
        _put(folder / name, data)
        yield name, [digest for digest, _ in pack]


def _put(path: Path, data: bytes) -> None:
    """Write without syncing, which takes long for hundreds of packs; the digests show what a crash has cut."""
    if path.is_file() and path.read_bytes() == data:
        return
    part = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def _index(folder: Path) -> tuple[str | None, dict[str, list[str]]]:
    """Digest of the plan that was kept last, and the digests in each pack, those of this plan first."""
    try:
        content = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        return str(content["plan"]), dict(content["packs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}


def _pack_of(folder: Path) -> dict[str, str]:
    """Pack of every digest; of several packs that have it, the last plan's, which knows where the files are now."""
    _, packs = _index(folder)
    return {digest: pack for pack in reversed(packs) for digest in packs[pack]}


def _get(folder: Path, digest: str) -> Any:
    pack = _pack_of(folder).get(digest)
    if pack is None:
        raise IntegrityError(_lost(folder, digest))
    try:
        with faults_named(folder / pack), (folder / pack).open(encoding="utf-8") as shards:
            return json.loads(next(line for line in shards if line.startswith(digest)).removeprefix(digest))
    except (FileNotFoundError, StopIteration, ValueError) as error:
        raise IntegrityError(_lost(folder, digest)) from error


def _checked(value: T, found: str, wanted: str, folder: Path) -> T:
    if found != wanted:
        raise IntegrityError(_lost(folder, wanted))
    return value


def _lost(folder: Path, digest: str) -> str:
    return (
        f"{folder}: the planned members of this shard are lost (digest {digest}); delete the folder and run snakemake"
        " again"
    )


def _row(tce: Tce) -> dict[str, Any]:
    """Values of a TCE. Most of its scalars are NaN, in most tables, and are left out."""
    known = {name: value for name, value in tce.scalars.items() if value == value}  # noqa: PLR0124 (NaN is not itself)
    return {**vars(tce), "scalars": known}


def _tce(row: dict[str, Any]) -> Tce:
    """The inverse of `_row`."""
    scalars = sorted((_NO_SCALARS | row["scalars"]).items())
    sectors = None if row["sectors"] is None else tuple(row["sectors"])
    return Tce(**row | {"sectors": sectors, "scalars": dict(scalars)})


def _star(content: list[Any], files: list[list[Any]]) -> Star:
    target, tces, _ = content
    return Star(target, tuple(map(_tce, tces)), tuple(FileRecord(*values) for values in files))
