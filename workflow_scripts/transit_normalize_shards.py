"""Add normalized flux and images to the records of the split shards of a block."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=Path, required=True, help="manifest of the split shards")
    parser.add_argument("--stats", type=Path, required=True, help="train_stats.json")
    parser.add_argument("--settings", required=True, help="NormalizeSettings as JSON")
    parser.add_argument("--durations", type=float, required=True, help="width of a window in transit durations")
    parser.add_argument("--code", required=True, help="digest of the code; shards of other code are made again")
    parser.add_argument("--manifest", type=Path, required=True, help="OUT/blocks/BLOCK.json; shards go to OUT")
    args = parser.parse_args(argv)

    from trainyard.transit.normalize import normalize_shards
    from trainyard.transit.settings import NormalizeSettings

    settings = parse_settings(args.settings, NormalizeSettings)
    told = normalize_shards(
        args.manifest, args.split, args.stats, settings=settings, n_durations_window=args.durations, code=args.code
    )
    print(told)


if __name__ == "__main__":
    run(main)
