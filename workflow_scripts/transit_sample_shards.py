"""Take the pixels that the train shards of a block give to the statistics."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=Path, required=True, help="manifest of the split shards")
    parser.add_argument("--settings", required=True, help="StatisticsSettings as JSON")
    parser.add_argument("--sample", type=Path, required=True, help="file to write")
    args = parser.parse_args(argv)

    from trainyard.transit.settings import StatisticsSettings
    from trainyard.transit.statistics import sample_shards

    n = sample_shards(args.split, settings=parse_settings(args.settings, StatisticsSettings), out=args.sample)
    print(f"{args.sample}: {n} examples")


if __name__ == "__main__":
    run(main)
