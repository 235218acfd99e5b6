"""Distribute the records of the raw shards of a block over train, val and test by star."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="manifest of the raw shards")
    parser.add_argument("--members", type=Path, required=True, help="folder of planned members")
    parser.add_argument("--shards", nargs="+", required=True, help="labels of the shards, e.g. 0001-0008")
    parser.add_argument("--digests", nargs="+", required=True, help="digest of the splits of each shard's stars")
    parser.add_argument("--code", required=True, help="digest of the code; shards of other code are split again")
    parser.add_argument("--manifest", type=Path, required=True, help="OUT/blocks/BLOCK.json; splits go to OUT")
    args = parser.parse_args(argv)

    from trainyard.transit.split import split_shards

    assignments = dict(zip(args.shards, args.digests, strict=True))
    told = split_shards(args.manifest, args.raw, assignments, args.members, code=args.code)
    print(told)


if __name__ == "__main__":
    run(main)
