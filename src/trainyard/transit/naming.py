"""File names of the transit line: the one place that makes and reads them.

Numbers of shards are 1-based in names, padded to four digits; past 9,999 they grow. The names of shards and tables
are those that consumers of the published set know (DESIGN rule 13).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from trainyard.transit.schema import SPLITS
from trainyard.yard.labels import PATTERN, parse_label, shard_label

TABLES = "aux_tbls"
"""Folder of the tables of the split shards."""

_SHARD = re.compile(rf"(?P<norm>norm_)?(?P<what>raw|{'|'.join(SPLITS)})_shard_{PATTERN}\.tfrecord")


@dataclass(frozen=True)
class ShardName:
    """What the name of a TFRecord file says; `split` is None for a raw shard, `shard` is 1-based."""

    split: str | None
    shard: int
    num_shards: int
    normalized: bool = False

    def __str__(self) -> str:
        prefix = "norm_" if self.normalized else ""
        return f"{prefix}{self.split or 'raw'}_shard_{shard_label(self.shard, self.num_shards)}.tfrecord"


def raw_shard(shard: int, num_shards: int) -> str:
    """Records as built."""
    return str(ShardName(None, shard, num_shards))


def split_shard(split: str, shard: int, num_shards: int) -> str:
    """Records of one split."""
    return str(ShardName(_known(split), shard, num_shards))


def norm_shard(split: str, shard: int, num_shards: int) -> str:
    """Records of one split, normalized."""
    return str(ShardName(_known(split), shard, num_shards, normalized=True))


def parse_shard(name: str) -> ShardName:
    """What a TFRecord file's name says; the inverse of `raw_shard`, `split_shard` and `norm_shard`.

    Raises:
        ValueError: Not such a name.
    """
    match = _SHARD.fullmatch(name)
    if match and not (match["norm"] and match["what"] == "raw"):
        split = None if match["what"] == "raw" else match["what"]
        shard, num_shards = parse_label(f"{match['shard']}-{match['num_shards']}")
        return ShardName(split, shard, num_shards, normalized=match["norm"] is not None)
    raise ValueError(f"{name!r} is not the name of a shard such as train_shard_0001-0008.tfrecord")


def data_tbl(shard: int, num_shards: int) -> str:
    """One row per TCE of a raw shard."""
    return f"data_tbl_{shard_label(shard, num_shards)}.csv"


def examples_tbl(shard: int, num_shards: int) -> str:
    """One row per example; raw and split shards have one each."""
    return f"examples_{shard_label(shard, num_shards)}.parquet"


def shards_tbl(shard: int, num_shards: int) -> str:
    """One row per example of the split shards, as CSV for people."""
    return f"shards_tbl_{shard_label(shard, num_shards)}.csv"


def ledger(shard: int, num_shards: int) -> str:
    """What became of every item of a raw shard."""
    return f"ledger_{shard_label(shard, num_shards)}.json"


def curves(shard: int, num_shards: int) -> str:
    """Light curves with masks of a few stars of a raw shard."""
    return f"curves_{shard_label(shard, num_shards)}.parquet"


def feature_stats(feature: str) -> str:
    """Train statistics of one image feature."""
    return f"train_set_{feature}_stats.npy"


def raw_files(folder: Path, shard: int, num_shards: int) -> list[Path]:
    """All files of a raw shard in the folder of raw shards, the records first."""
    names = (raw_shard, data_tbl, examples_tbl, curves, ledger)
    return [folder / name(shard, num_shards) for name in names]


def split_records(folder: Path, shard: int, num_shards: int) -> list[Path]:
    """Records of train, val and test of a shard, in the folder of the splits."""
    return [folder / split / split_shard(split, shard, num_shards) for split in SPLITS]


def split_files(folder: Path, shard: int, num_shards: int) -> list[Path]:
    """All files of a shard in the folder of the splits: the records, and two tables."""
    tables = [folder / TABLES / name(shard, num_shards) for name in (examples_tbl, shards_tbl)]
    return [*split_records(folder, shard, num_shards), *tables]


def norm_records(folder: Path, shard: int, num_shards: int) -> list[Path]:
    """Normalized records of train, val and test of a shard, in the folder of all of them or of a selection."""
    return [folder / split / norm_shard(split, shard, num_shards) for split in SPLITS]


def _known(split: str) -> str:
    if split not in SPLITS:
        raise ValueError(f"{split!r} is not one of {', '.join(SPLITS)}")
    return split
