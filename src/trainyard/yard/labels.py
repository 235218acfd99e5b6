"""Labels of shards and parts, `0001-0008` for the first of eight: 1-based, four digits, past 9,999 they grow."""

from __future__ import annotations

import re

PATTERN = r"(?P<shard>\d{4,})-(?P<num_shards>\d{4,})"


def shard_label(shard: int, num_shards: int) -> str:
    """Label of a shard: `(1, 8)` gives `0001-0008`.

    Raises:
        ValueError: `shard` is not in `[1, num_shards]`.
    """
    if not 1 <= shard <= num_shards:
        raise ValueError(f"shard {shard} is not one of 1 to {num_shards}")
    return f"{shard:04d}-{num_shards:04d}"


def parse_label(label: str) -> tuple[int, int]:
    """Shard (1-based) and number of shards of a label; the inverse of `shard_label`.

    Raises:
        ValueError: Not a label as `shard_label` writes it.
    """
    match = re.fullmatch(PATTERN, label, re.ASCII)
    if match:
        shard, num_shards = int(match["shard"]), int(match["num_shards"])
        if 1 <= shard <= num_shards and shard_label(shard, num_shards) == label:
            return shard, num_shards
    raise ValueError(f"{label!r} is not a shard label such as 0001-0008")


def shard_labels(num_shards: int) -> list[str]:
    """Labels of all shards in order."""
    return [shard_label(shard, num_shards) for shard in range(1, num_shards + 1)]
