"""Build one raw shard: windows of its stars as records and tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of planned members")
    parser.add_argument("--digest", required=True, help="digest of the shard's members")
    parser.add_argument("--shard", required=True, help="label of the shard, e.g. 0001-0008")
    parser.add_argument("--plan-settings", required=True, help="PlanSettings as JSON")
    parser.add_argument("--settings", required=True, help="BuildSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the raw shards")
    args = parser.parse_args(argv)

    from trainyard.transit.build import build_shard
    from trainyard.transit.members import read_members
    from trainyard.transit.settings import BuildSettings, PlanSettings
    from trainyard.yard.labels import parse_label

    shard, num_shards = parse_label(args.shard)
    ledger = build_shard(
        read_members(args.members, args.digest),
        args.out,
        shard=shard,
        num_shards=num_shards,
        plan=parse_settings(args.plan_settings, PlanSettings),
        settings=parse_settings(args.settings, BuildSettings),
    )
    print(f"shard {args.shard}: {ledger.summary()}")


if __name__ == "__main__":
    run(main)
