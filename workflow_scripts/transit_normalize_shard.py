"""Add normalized flux and images to the records of one split shard."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="split shards")
    parser.add_argument("--stats", type=Path, required=True, help="train_stats.json")
    parser.add_argument("--settings", required=True, help="NormalizeSettings as JSON")
    parser.add_argument("--durations", type=float, required=True, help="width of a window in transit durations")
    parser.add_argument("--out", type=Path, nargs="+", required=True, help="normalized shards, one per split shard")
    args = parser.parse_args(argv)

    from trainyard.transit.normalize import normalize_shard
    from trainyard.transit.settings import NormalizeSettings

    settings = parse_settings(args.settings, NormalizeSettings)
    for shard, out in zip(args.shards, args.out, strict=True):
        n = normalize_shard(shard, args.stats, out, settings=settings, n_durations_window=args.durations)
        print(f"{out}: {n} examples")


if __name__ == "__main__":
    run(main)
