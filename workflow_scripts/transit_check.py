"""Check a finished transit dataset: nothing lost, nothing leaked."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transit", type=Path, required=True, help="folder of the line")
    parser.add_argument("--num-shards", type=int, required=True, help="number of shards")
    parser.add_argument("--max-reject-fraction", type=float, required=True, help="largest part of unusable files")
    args = parser.parse_args(argv)

    from trainyard.transit.check import check_build

    summary = check_build(args.transit, num_shards=args.num_shards, max_reject_fraction=args.max_reject_fraction)
    print(f"{args.transit}: {summary['examples']} examples of {summary['stars_planned']} stars, all accounted for")


if __name__ == "__main__":
    run(main)
