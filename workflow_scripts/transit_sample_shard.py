"""Take the pixels of one train shard that enter the statistics."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", type=Path, required=True, help="train shard")
    parser.add_argument("--examples", type=Path, required=True, help="example table of the split")
    parser.add_argument("--settings", required=True, help="StatisticsSettings as JSON")
    parser.add_argument("--sample", type=Path, required=True, help="file to write")
    args = parser.parse_args(argv)

    from trainyard.transit.settings import StatisticsSettings
    from trainyard.transit.statistics import sample_shard

    settings = parse_settings(args.settings, StatisticsSettings)
    n = sample_shard(args.shard, args.examples, settings=settings, out=args.sample)
    print(f"{args.sample}: {n} examples")


if __name__ == "__main__":
    run(main)
