"""Copy the records that a selection keeps to a shard of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", type=Path, required=True, help="normalized shard")
    parser.add_argument("--selection", type=Path, required=True, help="selection table")
    parser.add_argument("--out", type=Path, required=True, help="shard to write")
    args = parser.parse_args(argv)

    from trainyard.transit.select import materialize_shard

    print(f"{args.out}: {materialize_shard(args.shard, args.selection, args.out)} examples")


if __name__ == "__main__":
    run(main)
