"""What a shard's jobs need of the plan, kept under its digest where the Snakefile is read.

Members go to jobs beside Snakemake, not as an output of the plan's rule: with that, every shard would rerun whenever
the plan's file is written, and `ancient()` on a file that a pending rule makes hides the shard's own reasons to rerun
(Snakemake 9.27). The digest is in the rule's `params`, and is checked when the members are read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trainyard.transit.archive import FileRecord
from trainyard.transit.tces import Tce
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json

if TYPE_CHECKING:
    # Not at run time: how stars are assigned is no part of the code that builds a shard.
    from trainyard.transit.plan import Plan

T = TypeVar("T")

_PLAN = "plan"


@dataclass(frozen=True)
class Star:
    """What one star is built from: its TCEs and its files."""

    target_id: int
    tces: tuple[Tce, ...]
    files: tuple[FileRecord, ...]

    @property
    def digest(self) -> str:
        """Fingerprint of everything that shapes the examples of this star; paths and file times are not in it."""
        files = [(file.kind, file.sector, file.bytes, file.content) for file in self.files]
        tces = [{**vars(tce), "scalars": dict(tce.scalars)} for tce in self.tces]
        return digest_of([self.target_id, tces, files])


def members_digest(stars: Sequence[Star]) -> str:
    """Digest of the stars of one shard."""
    return digest_of([star.digest for star in sorted(stars, key=lambda star: star.target_id)])


def assignment_digest(assignment: Mapping[int, str]) -> str:
    """Digest of the splits of the stars of one shard."""
    return digest_of(sorted(assignment.items()))


def digest_of(content: object) -> str:
    """16 hex digits that stand for plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def keep_plan(plan: Plan, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep members and splits of every shard; returns their digests, one per shard each."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[str] = []
    splits: list[str] = []
    for shard in range(plan.num_shards):
        stars, assignment = plan.members(shard), plan.assignment(shard)
        shards.append(members_digest(stars))
        splits.append(assignment_digest(assignment))
        _put(folder / f"{shards[-1]}.json", [asdict(star) for star in stars])
        _put(folder / f"{splits[-1]}.json", sorted(assignment.items()))
    _put(folder / _PLAN, plan.digest)
    return tuple(shards), tuple(splits)


def kept_plan(folder: Path) -> str | None:
    """Digest of the plan that was kept last, None if there is none.

    Members of equal digest are equal but for the places of their files, which are those of this plan.
    """
    try:
        return str(json.loads((folder / _PLAN).read_text()))
    except (OSError, ValueError):
        return None


def is_kept(folder: Path, digests: Sequence[str]) -> bool:
    """Whether all digests are there."""
    return folder.is_dir() and {f"{digest}.json" for digest in digests} <= {path.name for path in folder.iterdir()}


def read_members(folder: Path, digest: str) -> tuple[Star, ...]:
    """Stars of the shard with this digest, ordered by target id.

    Raises:
        IntegrityError: They are not kept, or not what the digest says.
    """
    stars = tuple(_star(entry) for entry in _get(folder, digest))
    return _checked(stars, members_digest(stars), digest, folder)


def read_assignment(folder: Path, digest: str) -> dict[int, str]:
    """Split of every star of the shard with this digest of splits.

    Raises:
        IntegrityError: They are not kept, or not what the digest says.
    """
    assignment = {int(star): str(split) for star, split in _get(folder, digest)}
    return _checked(assignment, assignment_digest(assignment), digest, folder)


def _put(path: Path, content: object) -> None:
    """Write without syncing, which takes minutes for thousands of shards; the digest shows what a crash has cut."""
    text = json.dumps(content)
    if path.is_file() and path.read_text() == text:
        return
    part = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)


def _get(folder: Path, digest: str) -> Any:
    try:
        return read_json(folder / f"{digest}.json")
    except InputError as error:
        raise IntegrityError(_lost(folder, digest)) from error


def _checked(value: T, found: str, wanted: str, folder: Path) -> T:
    if found != wanted:
        raise IntegrityError(_lost(folder, wanted))
    return value


def _lost(folder: Path, digest: str) -> str:
    return (
        f"{folder / digest}.json: the planned members of this shard are lost; delete {folder} and run snakemake again"
    )


def _star(entry: dict[str, Any]) -> Star:
    tces = (
        Tce(**{**tce, "sectors": None if tce["sectors"] is None else tuple(tce["sectors"])}) for tce in entry["tces"]
    )
    files = (FileRecord(**file) for file in entry["files"])
    return Star(entry["target_id"], tuple(tces), tuple(files))
