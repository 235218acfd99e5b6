"""Build the raw shards of a block: windows of their stars as records and tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=Path, required=True, help="folder of planned members")
    parser.add_argument("--shards", nargs="+", required=True, help="labels of the shards, e.g. 0001-0008")
    parser.add_argument("--digests", nargs="+", required=True, help="digest of each shard's members")
    parser.add_argument("--plan-settings", required=True, help="PlanSettings as JSON")
    parser.add_argument("--settings", required=True, help="BuildSettings as JSON")
    parser.add_argument("--code", required=True, help="digest of the code; shards of other code are built again")
    parser.add_argument("--manifest", type=Path, required=True, help="OUT/blocks/BLOCK.json; shards go to OUT")
    args = parser.parse_args(argv)

    from trainyard.transit.build import build_shards
    from trainyard.transit.settings import BuildSettings, PlanSettings

    told = build_shards(
        args.manifest,
        dict(zip(args.shards, args.digests, strict=True)),
        args.members,
        plan=parse_settings(args.plan_settings, PlanSettings),
        settings=parse_settings(args.settings, BuildSettings),
        code=args.code,
    )
    print(told)


if __name__ == "__main__":
    run(main)
