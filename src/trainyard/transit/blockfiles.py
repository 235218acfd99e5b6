"""Files of finished blocks: from the manifests that rules pass on to the shards and tables that a stage reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from trainyard.transit import naming
from trainyard.yard.blocks import FOLDER, shards_of
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
