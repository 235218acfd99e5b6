"""Files of finished blocks: from the manifests that rules pass on to the shards and tables that a stage reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainyard.transit import naming
from trainyard.yard.blocks import shards_of


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
