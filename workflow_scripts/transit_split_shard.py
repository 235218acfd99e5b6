"""Distribute the records of one raw shard over train, val and test by star."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, required=True, help="raw shard")
    parser.add_argument("--examples", type=Path, required=True, help="its example table")
    parser.add_argument("--members", type=Path, required=True, help="folder of planned members")
    parser.add_argument("--digest", required=True, help="digest of the splits of the shard's stars")
    parser.add_argument("--shard", required=True, help="label of the shard, e.g. 0001-0008")
    parser.add_argument("--out", type=Path, required=True, help="folder of the splits")
    args = parser.parse_args(argv)

    from trainyard.transit.members import read_assignment
    from trainyard.transit.split import split_shard
    from trainyard.yard.labels import parse_label

    shard, num_shards = parse_label(args.shard)
    assignment = read_assignment(args.members, args.digest)
    counts = split_shard(args.raw, args.examples, assignment, args.out, shard=shard, num_shards=num_shards)
    print(f"shard {args.shard}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))


if __name__ == "__main__":
    run(main)
