"""Compare what the demo planted with what the transit line found; fails where planted events were lost."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", type=Path, required=True, help="truth.json of the demo")
    parser.add_argument("--raw", type=Path, nargs="+", required=True, help="manifests of the raw shards")
    parser.add_argument("--dispositions", nargs="+", required=True, help="dispositions that become examples")
    parser.add_argument("--report-only", action="store_true", help="the rules are not the default ones: do not judge")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--figure", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)

    from trainyard.demo.recovery import check_recovery, recovery, write_recovery
    from trainyard.transit.blockfiles import raw_examples

    rows = recovery(args.truth, raw_examples(args.raw), dispositions=args.dispositions)
    write_recovery(rows, csv_path=args.table, png_path=args.figure)
    if not args.report_only:
        check_recovery(rows)
    print(f"{args.table}: {len(rows)} planted events" + ", not judged" * args.report_only)


if __name__ == "__main__":
    run(main)
