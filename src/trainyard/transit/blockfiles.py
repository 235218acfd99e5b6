"""Files of shards on disk: which a manifest stands for, which have lost theirs, and which should not be there.

The Snakefile uses this module, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trainyard.transit import naming
from trainyard.yard.blocks import FOLDER, shards_of
from trainyard.yard.errors import IntegrityError
from trainyard.yard.labels import parse_label


def raw_examples(manifests: Iterable[Path]) -> list[Path]:
    """Example tables of raw shards, in the order of the shards."""
    return [folder / naming.examples_tbl(*shard) for folder, *shard in shards_of(manifests)]


def raw_curves(manifests: Iterable[Path]) -> list[Path]:
    """Light curves kept for the report, in the order of the shards."""
    return [folder / naming.curves(*shard) for folder, *shard in shards_of(manifests)]


def split_examples(manifests: Iterable[Path]) -> list[Path]:
    """Example tables of split shards, in the order of the shards."""
    return [folder / naming.TABLES / naming.examples_tbl(*shard) for folder, *shard in shards_of(manifests)]


def split_records(manifests: Iterable[Path], split: str) -> list[Path]:
    """Records of one split, in the order of the shards."""
    return [folder / split / naming.split_shard(split, *shard) for folder, *shard in shards_of(manifests)]


def norm_records(manifests: Iterable[Path], split: str) -> list[Path]:
    """Normalized records of one split, in the order of the shards."""
    return [folder / split / naming.norm_shard(split, *shard) for folder, *shard in shards_of(manifests)]


def torn_blocks(base: Path, blocks: Mapping[str, Sequence[str]]) -> list[Path]:
    """Manifests that are missing though raw or split records of their shards are there.

    A job was killed, or files were lost. Who has deleted all records of a block to save disk does not want them back.

    Args:
        base: Folder of the line.
        blocks: Labels of the shards of every block.
    """
    records = {"raw": naming.raw_files, "split": naming.split_records}
    return [
        manifest
        for stage, files in records.items()
        for block, shards in blocks.items()
        if not (manifest := base / stage / FOLDER / f"{block}.json").exists()
        and any(files(base / stage, *parse_label(shard))[0].exists() for shard in shards)
    ]


def refuse_strays(base: Path, num_shards: int) -> None:
    """Who reads all `*.tfrecord` of a folder must not meet those of an earlier number of shards.

    Raises:
        IntegrityError: Such shards are there.
    """
    folders = ["raw", "split", "norm", "select"]
    strays = [
        path
        for folder in folders
        for path in sorted((base / folder).rglob("*_shard_*.tfrecord"))
        if not path.stem.endswith(f"-{num_shards:04d}")
    ]
    if strays:
        raise IntegrityError(
            f"{len(strays)} shards of another transit.plan.num_shards than {num_shards} are there, first {strays[0]};"
            f" set num_shards back, give this run another name, or delete them:"
            f" rm -r {' '.join(str(base / folder) for folder in folders)}"
        )
