"""Reduce the samples of all train shards to the statistics of the image features."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="samples of the train shards")
    parser.add_argument("--settings", required=True, help="StatisticsSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the statistics")
    args = parser.parse_args(argv)

    from trainyard.transit.settings import StatisticsSettings
    from trainyard.transit.statistics import reduce_samples

    stats = reduce_samples(args.samples, out_dir=args.out, settings=parse_settings(args.settings, StatisticsSettings))
    print(f"{args.out}: statistics of {stats['n_examples']} examples")


if __name__ == "__main__":
    run(main)
