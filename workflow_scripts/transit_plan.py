"""Write the plan of the transit line: stars, TCEs and files by shard."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="TransitSettings (inputs, demo, plan, split) as JSON")
    parser.add_argument("--demo", type=Path, required=True, help="folder of the demo's inputs")
    parser.add_argument("--cache", type=Path, help="folder for headers already read")
    parser.add_argument("--digest", help="digest that the plan must have")
    parser.add_argument("--out", type=Path, required=True, help="folder of the plan")
    args = parser.parse_args(argv)

    from trainyard.transit.catalogue import load_plan
    from trainyard.transit.planfiles import write_plan
    from trainyard.transit.settings import TransitSettings

    settings = parse_settings(args.settings, TransitSettings)
    plan = load_plan(settings, args.demo, cache=args.cache, digest=args.digest)
    write_plan(plan, args.out)
    print(f"{args.out}: {len(plan.stars)} stars in {plan.num_shards} shards")


if __name__ == "__main__":
    run(main)
