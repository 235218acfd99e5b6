"""What a shard's jobs need of the plan, kept under its digest where the Snakefile is read.

A file per shard would be thousands of files, which take minutes to make on a network file system. So shards lie in
packs, each by its digest. A pack is named by its content and never changes; the index tells which digest is
in which pack. Packs of earlier plans stay, because their jobs may still be waiting.

Members go to jobs beside Snakemake, not as an output of the plan's rule: with that, every shard would rerun whenever
the plan's file is written, and `ancient()` on a file that a pending rule makes hides the shard's own reasons to rerun
(Snakemake 9.27). The digest is in the rule's `params`, and is checked when the members are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from trainyard.transit.archive import FileRecord
from trainyard.transit.tces import Tce
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import faults_named

if TYPE_CHECKING:
    # Not at run time: how stars are assigned is no part of the code that builds a shard.
    from trainyard.transit.plan import Plan

T = TypeVar("T")

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
    def content(self) -> bytes:
        """Everything that shapes the examples of this star; paths and file times are not in it."""
        files = [(file.kind, file.sector, file.bytes, file.content) for file in self.files]
        return _encode((self.target_id, self.tces, files))

    @property
    def digest(self) -> str:
        """Fingerprint of the content."""
        return _digest(self.content)


_Entry = tuple[tuple[int, tuple[Tce, ...], Any], tuple[FileRecord, ...]]
"""A star as it is kept: its content, and its files with their places."""


class Kept(NamedTuple):
    """Digests of a plan that is kept: of the whole, and one per shard of its members and of their splits."""

    plan: str
    shards: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class _Index:
    """Digest of the plan that was kept last, and the digests in each pack, those of this plan first."""

    plan: str | None = None
    packs: dict[str, list[str]] = field(default_factory=dict)


def members_digest(stars: Sequence[Star]) -> str:
    """Digest of the stars of one shard."""
    return digest_of([star.digest for star in sorted(stars, key=lambda star: star.target_id)])


def assignment_digest(assignment: Mapping[int, str]) -> str:
    """Digest of the splits of the stars of one shard."""
    return digest_of(sorted(assignment.items()))


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def digest_of(content: object) -> str:
    """16 hex digits that stand for plain values."""
    return _digest(_encode(content))


def _digest(data: bytes) -> str:
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
    others = {name: digests for name, digests in _index(folder).packs.items() if name not in packs}
    _put(folder / _INDEX, msgspec.json.encode(_Index(digest, packs | others)))
    shards, assignments = (tuple(chain(*(found for _, found in kept))) for kept in (members, splits))
    return Kept(digest, shards, assignments)


def kept_plan(folder: Path) -> str | None:
    """Digest of the plan that was kept last, None if there is none.

    Members of equal digest are equal but for the places of their files, which are those of this plan.
    """
    return _index(folder).plan


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
    stars = tuple(Star(target, tces, files) for (target, tces, _), files in _get(folder, digest, list[_Entry]))
    return _checked(stars, members_digest(stars), digest, folder)


def read_assignment(folder: Path, digest: str) -> dict[int, str]:
    """Split of every star of the shard with this digest of splits.

    Raises:
        IntegrityError: They are not kept, or not what the digest says.
    """
    assignment = dict(_get(folder, digest, list[tuple[int, str]]))
    return _checked(assignment, assignment_digest(assignment), digest, folder)


def _members(plan: Plan, digests: dict[int, str]) -> Iterator[tuple[str, bytes]]:
    """Digest and content of the members of every shard; puts the digests of the stars into `digests` on the way."""
    for shard in range(plan.num_shards):
        stars = plan.members(shard)
        contents = [star.content for star in stars]
        found = {star.target_id: _digest(content) for star, content in zip(stars, contents, strict=True)}
        digests |= found
        entries = [(msgspec.Raw(content), star.files) for content, star in zip(contents, stars, strict=True)]
        yield digest_of([found[target] for target in sorted(found)]), _encode(entries)


def _splits(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Digest and content of the splits of every shard."""
    for shard in range(plan.num_shards):
        content = _encode(sorted(plan.assignment(shard).items()))
        yield _digest(content), content


def _put_packs(shards: Iterable[tuple[str, bytes]], size: int, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Write packs of `size` shards each; yields their names, and the digests in them."""
    remaining = iter(shards)
    while pack := list(islice(remaining, size)):
        data = _encode({digest: msgspec.Raw(content) for digest, content in pack})
        name = f"{_digest(data)}.msgpack"
        _put(folder / name, data)
        yield name, [digest for digest, _ in pack]


def _put(path: Path, data: bytes) -> None:
    """Write without syncing, which takes long for hundreds of packs; the digests show what a crash has cut."""
    if path.is_file() and path.read_bytes() == data:
        return
    part = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)


def _index(folder: Path) -> _Index:
    try:
        return msgspec.json.decode((folder / _INDEX).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return _Index()


def _pack_of(folder: Path) -> dict[str, str]:
    """Pack of every digest; of several packs that have it, the last plan's, which knows where the files are now."""
    packs = _index(folder).packs
    return {digest: pack for pack in reversed(packs) for digest in packs[pack]}


def _get(folder: Path, digest: str, kind: type[T]) -> T:
    pack = _pack_of(folder).get(digest)
    if pack is None:
        raise IntegrityError(_lost(folder, digest))
    try:
        with faults_named(folder / pack):
            shards = msgspec.msgpack.decode((folder / pack).read_bytes(), type=dict[str, msgspec.Raw])
        return msgspec.msgpack.decode(shards[digest], type=kind)
    except (FileNotFoundError, KeyError, msgspec.MsgspecError) as error:
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
