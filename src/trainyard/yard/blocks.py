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

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.labels import parse_label, shard_label, shard_labels
from trainyard.yard.logs import progress
from trainyard.yard.receipts import RECEIPT, digest, is_sealed, receipt_path, seal

_log = logging.getLogger(__name__)

MIN_JOBS, MAX_JOBS = 16, 256
"""Jobs per stage, where shards allow it: not fewer, for many cores; not more, so that planning takes seconds."""
FOLDER = "blocks"
"""Folder of manifests, in the folder whose files they vouch for."""


def shards_per_job(sizes: Sequence[int], *, enough: int) -> int:
    """How many shards make a job worth its start, between `MIN_JOBS` and `MAX_JOBS` jobs.

    A power of two below that upper limit, so that a few more items do not change it.

    Args:
        sizes: Number of items of each shard.
        enough: Number of items that take so long that starting a job does not count.
    """
    limit = len(sizes) / MIN_JOBS
    wanted = max(1, min(enough * len(sizes) / max(sum(sizes), 1), limit))
    return max(1 << math.floor(math.log2(wanted)), math.ceil(len(sizes) / MAX_JOBS))


def blocks(num_shards: int, per_job: int) -> dict[str, list[str]]:
    """Labels of the shards of every block, by the label of the block.

    Args:
        num_shards: Number of shards.
        per_job: Shards per block; the last one may have fewer.
    """
    labels = shard_labels(num_shards)
    parts = [labels[start : start + per_job] for start in range(0, num_shards, per_job)]
    return {shard_label(number, len(parts)): part for number, part in enumerate(parts, start=1)}


@dataclass(frozen=True)
class Unit:
    """A shard of a block that is to be made.

    Attributes:
        label: Its label.
        files: The files that `make` writes; the first one has a receipt.
        made_from: Everything that shapes them, as values that JSON knows: digests of inputs and code, settings.
        make: Writes them.
    """

    label: str
    files: Sequence[Path]
    made_from: Sequence[Any]
    make: Callable[[], object]

    @property
    def key(self) -> str:
        """16 hex digits that stand for `made_from`."""
        return hashlib.sha256(json.dumps(self.made_from, sort_keys=True).encode()).hexdigest()[:16]


def make_block(manifest: Path, units: Sequence[Unit]) -> int:
    """Make the shards of a block that are not there yet, and then its manifest.

    Args:
        manifest: The file that vouches for the block, in the folder `FOLDER` beside what it vouches for.
        units: The shards.

    Returns:
        Number of shards that were there already, whole and made from the same, and were kept.
    """
    kept = 0
    entries = {}
    for unit in progress(units, total=len(units), what=f"block {manifest.stem}"):
        if is_sealed(unit.files[0], unit.files[1:], unit.key):
            kept += 1
            _log.info("%s: kept, it is whole and made from the same", unit.label)
        else:
            unit.make()
            seal(unit.files[0], unit.files[1:], unit.key)
        entries[unit.label] = dict(_vouched(unit.files, manifest.parent.parent))
    write_json(manifest, {"shards": entries})
    return kept


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


def contents(manifests: Iterable[Path]) -> dict[str, dict[str, str]]:
    """SHA-256 of every file of the shards of some blocks, by label and name, but for receipts, which follow from them.

    Raises:
        IntegrityError: A manifest is missing or broken.
    """
    return {
        label: {name: facts["sha256"] for name, facts in files.items() if not name.endswith(RECEIPT)}
        for manifest in manifests
        for label, files in read_block(manifest).items()
    }


def shards_of(manifests: Iterable[Path]) -> list[tuple[Path, int, int]]:
    """The shards of some blocks in order: folder that holds them, number from 1, and number of shards in all.

    Raises:
        IntegrityError: A manifest is missing or broken.
    """
    found = [(path.parent.parent, *parse_label(label)) for path in manifests for label in read_block(path)]
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
            manifest.unlink(missing_ok=True)
            lost.append(wrong)
    return lost


def _sizes(manifest: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    for files in read_block(manifest).values():
        for name, facts in files.items():
            yield folder / name, facts["bytes"]


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
