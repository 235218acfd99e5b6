"""Check a finished splice dataset: nothing lost, nothing leaked."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="SpliceSettings (inputs, selection) as JSON")
    parser.add_argument("--splits", type=Path, help="table of splits")
    parser.add_argument("--base", type=Path, required=True, help="folder of the line")
    args = parser.parse_args(argv)

    from trainyard.splice.check import check_build
    from trainyard.splice.settings import SpliceSettings

    report = check_build(args.base, parse_settings(args.settings, SpliceSettings), splits=args.splits)
    for finding in report.findings:
        print(finding.line())
    print(f"{args.base}: {report.rows} rows, all accounted for")


if __name__ == "__main__":
    run(main)
