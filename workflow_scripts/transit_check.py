"""Check a finished transit dataset: nothing lost, nothing leaked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transit", type=Path, required=True, help="folder of the line")
    parser.add_argument("--settings", required=True, help="TransitSettings that shaped the dataset, as JSON")
    parser.add_argument("--code", default="{}", help="digests of the code of the stages, as JSON")
    args = parser.parse_args(argv)

    from trainyard.transit.check import check_build
    from trainyard.transit.settings import TransitSettings

    summary = check_build(
        args.transit, settings=parse_settings(args.settings, TransitSettings), code=json.loads(args.code)
    )
    print(f"{args.transit}: {summary['examples']} examples of {summary['stars_planned']} stars, all accounted for")


if __name__ == "__main__":
    run(main)
