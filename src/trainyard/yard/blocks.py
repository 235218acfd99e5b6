"""Blocks: runs of shards that one job makes, each with a manifest that vouches for every file of them.

A shard is the unit of a dataset, a block the unit of work: so many shards that a job is worth its start, and that
thousands of shards do not become tens of thousands of jobs. A block's manifest is the one output that Snakemake sees.
A job that was killed, or whose block has got one star more, keeps the shards that are whole and made from the same.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard.yard.errors import (
    ConfigError,
    EnvironmentFault,
    InputError,
    IntegrityError,
    LeakageError,
    TrainyardError,
)
from trainyard.yard.files import faults_named, read_json, write_json
from trainyard.yard.labels import parse_label, shard_label, shard_labels
from trainyard.yard.locks import RunLock
from trainyard.yard.logs import progress
from trainyard.yard.receipts import digest, is_sealed, receipt_path, seal

_log = logging.getLogger(__name__)

_FEWEST_JOBS, _MANY_JOBS = 8, 128
"""Jobs per stage that many shards are divided among where nobody says how many belong together; the cores of a machine
are to have work, and planning, reading and printing them is to take seconds."""
_MOST_JOBS = 1000
"""More manifests than that would not fit into the command of a job that reads all of them."""
FOLDER = "blocks"
"""Folder of manifests, in the folder whose files they vouch for."""


def shards_per_job(num_shards: int, items: int, items_per_job: int) -> int:
    """How many shards a job makes where nobody says it.

    Jobs are a power of two in number, so that an archive that grows divides its shards otherwise only when it has
    doubled.

    Args:
        num_shards: Number of shards.
        items: What the work of all shards grows with, such as light curves.
        items_per_job: So many that the start of a job is little beside them.
    """
    worth_starting = 1 << (max(1, items // items_per_job).bit_length() - 1)
    return max(1, min(math.ceil(num_shards / min(worth_starting, _MANY_JOBS)), num_shards // _FEWEST_JOBS))


def blocks(num_shards: int, per_job: int) -> dict[str, list[str]]:
    """Labels of the shards of every block, by the label of the block.

    Args:
        num_shards: Number of shards.
        per_job: Shards per block; the last one may have fewer.

    Raises:
        ConfigError: Too many blocks.
    """
    labels = shard_labels(num_shards)
    parts = [labels[start : start + per_job] for start in range(0, num_shards, per_job)]
    if len(parts) > _MOST_JOBS:
        least = math.ceil(num_shards / _MOST_JOBS)
        raise ConfigError(
            f"shards_per_job: {per_job} makes {len(parts):,} jobs per stage, too many; make it {least} or more"
        )
    return {shard_label(number, len(parts)): part for number, part in enumerate(parts, start=1)}


@dataclass(frozen=True)
class Unit:
    """A shard of a block that is to be made.

    Attributes:
        label: Its label.
        files: The files that `make` writes; the first one has a receipt.
        made_from: Everything that shapes them, as values that JSON knows: digests of inputs and code, settings.
        make: Writes them; returns whether they may be kept by later jobs.
    """

    label: str
    files: Sequence[Path]
    made_from: Sequence[Any]
    make: Callable[[], bool]

    @property
    def key(self) -> str:
        """16 hex digits that stand for `made_from`."""
        return hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()[:16]


def make_block(manifest: Path, units: Sequence[Unit]) -> str:
    """Make the shards of a block that are not there yet, and then its manifest.

    A job of a run that was killed may still be at work on the block: its end is waited for. Manifests of the stage that
    divide the shards otherwise are removed, since they will not tell the truth any more.

    Args:
        manifest: The file that vouches for the block, in the folder `FOLDER` beside what it vouches for.
        units: The shards. One that cannot be made does not keep the others from being made.

    Returns:
        How many there are, and how many were there already, whole and made from the same.

    Raises:
        TrainyardError: Of the first shard that cannot be made; there is no manifest then.
    """
    lock = RunLock(manifest.parent, manifest.stem)
    lock.acquire(wait=True)
    with lock:
        remove_other_blocks(manifest)
        with faults_named(manifest):
            manifest.unlink(missing_ok=True)
        made = [_kept_or_made(unit) for unit in progress(units, total=len(units), what=f"block {manifest.stem}")]
        failed = [one for one in made if isinstance(one, TrainyardError)]
        if failed:
            _log.error("%d of %d shards cannot be made", len(failed), len(units))
            raise failed[0]
        write_json(manifest, {"shards": {one.label: dict(_vouched(one.files, data_folder(manifest))) for one in units}})
    return f"{manifest}: {len(units)} shards, {made.count(False)} of them were there"


def data_folder(manifest: Path) -> Path:
    """The folder whose files a manifest vouches for."""
    return manifest.parent.parent


def _kept_or_made(unit: Unit) -> bool | TrainyardError:
    """Whether a shard had to be made, or why it cannot be."""
    if is_sealed(unit.files[0], unit.files[1:], unit.key):
        _log.info("%s: kept, it is whole and made from the same", unit.label)
        return False
    try:
        if unit.make():
            seal(unit.files[0], unit.files[1:], unit.key)
    except (InputError, IntegrityError, LeakageError) as error:
        _log.error("%s: %s", unit.label, error)
        return error
    return True


def remove_other_blocks(path: Path) -> None:
    """Remove the files that stand for blocks as `path` does, but where shards are divided into another number of them.

    Raises:
        EnvironmentFault: One may not be removed.
    """
    kind, underscore, label = path.stem.rpartition("_")
    _, total = parse_label(label)
    for other in path.parent.glob(f"{kind}{underscore}*-*{path.suffix}"):
        if not other.stem.endswith(f"-{total:04d}"):
            with faults_named(other):
                other.unlink(missing_ok=True)


def _vouched(files: Iterable[Path], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in files:
        yield path.relative_to(folder).as_posix(), {"bytes": path.stat().st_size, "sha256": digest(path)}
        receipt = receipt_path(path)
        if receipt.is_file():
            yield receipt.relative_to(folder).as_posix(), {"bytes": receipt.stat().st_size, "sha256": digest(receipt)}


def read_block(manifest: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What a manifest vouches for: bytes and sha256 of every file of a shard, by label and name.

    Names are relative to the folder that the manifest's folder is in.

    Raises:
        IntegrityError: The manifest is missing or broken.
    """
    try:
        shards: dict[str, dict[str, dict[str, Any]]] = read_json(manifest)["shards"]
        for label, files in shards.items():
            parse_label(label)
            if not all(isinstance(facts["bytes"], int) for facts in files.values()):
                raise TypeError("sizes are no numbers")
    except (InputError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise IntegrityError(f"{manifest}: no manifest of a block ({error}); delete it and run again") from error
    return shards


class Source:
    """A finished block that another one is made from.

    Raises:
        IntegrityError: Its manifest is missing or broken.
    """

    def __init__(self, manifest: Path) -> None:
        self.manifest = manifest
        self.folder = data_folder(manifest)
        self._shards = read_block(manifest)

    @property
    def labels(self) -> list[str]:
        """Labels of its shards."""
        return list(self._shards)

    def digests(self, label: str, files: Iterable[Path]) -> dict[str, str]:
        """SHA-256 of some files of a shard, by name.

        Raises:
            IntegrityError: The manifest does not list them.
        """
        listed = self._shards.get(label, {})
        names = [path.relative_to(self.folder).as_posix() for path in files]
        missing = [name for name in names if name not in listed]
        if missing:
            raise IntegrityError(
                f"{self.manifest}: does not list {missing[0]}; delete it and run the same command again"
            )
        return {name: listed[name]["sha256"] for name in names}

    def confirm(self, label: str, files: Iterable[Path]) -> None:
        """Make sure that some files of a shard are what the manifest says, by their receipts where they have one.

        Raises:
            EnvironmentFault: One is not there, which on a slow network file system may pass.
            IntegrityError: One is another.
        """
        for name, known in self.digests(label, files).items():
            path = self.folder / name
            if not path.is_file():
                raise EnvironmentFault(
                    f"{path}: not there although {self.manifest} lists it; run the same command again, if the file"
                    " system is slow with a longer latency-wait"
                )
            if digest(path) != known:
                raise IntegrityError(
                    f"{path}: is not the file that {self.manifest} lists; delete both and run the same command again"
                )


def shards_of(manifests: Iterable[Path]) -> list[tuple[Path, int, int]]:
    """The shards of some blocks in order: folder that holds them, number from 1, and number of shards in all.

    Raises:
        IntegrityError: A manifest is missing or broken.
    """
    found = [(data_folder(path), *parse_label(label)) for path in manifests for label in read_block(path)]
    return sorted(found, key=lambda shard: shard[1])


def void_incomplete(folder: Path, labels: Iterable[str]) -> list[Path]:
    """Remove manifests that vouch for what is not there any more: a file is gone, or has another size.

    Snakemake then sees what is missing as it would if it knew every file, and the shards that are left are kept when
    the block is made again.

    Args:
        folder: Folder whose files the manifests vouch for.
        labels: Labels of the blocks.

    Returns:
        The first file that is missing or wrong of each manifest that was removed.

    Raises:
        EnvironmentFault: A manifest may not be removed.
    """
    lost = []
    for label in labels:
        manifest = folder / FOLDER / f"{label}.json"
        if not manifest.is_file():
            continue
        try:
            wrong = next((path for path, size in _sizes(manifest, folder) if not _has_size(path, size)), None)
        except IntegrityError:
            wrong = manifest
        if wrong is not None:
            with faults_named(manifest):
                manifest.unlink(missing_ok=True)
            lost.append(wrong)
    return lost


def _sizes(manifest: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    for files in read_block(manifest).values():
        for name, facts in files.items():
            yield folder / name, facts["bytes"]


def _has_size(path: Path, size: int) -> bool:
    try:
        with faults_named(path):
            return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False
