"""Draw one figure of the dataset from its shards and tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", required=True, choices=["windows", "masks", "class_balance", "rejections"])
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help="manifests of its shards, or the ledger")
    parser.add_argument("--windows", type=int, required=True, help="windows drawn")
    parser.add_argument("--light-curves", type=int, required=True, help="light curves drawn")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)

    from trainyard.transit import plots
    from trainyard.transit.blockfiles import norm_records, raw_curves, split_examples
    from trainyard.yard.waterfall import rejections

    if args.figure == "windows":
        plots.example_windows(norm_records(args.inputs, "train"), args.out, count=args.windows)
    elif args.figure == "masks":
        plots.light_curve_masks(raw_curves(args.inputs), args.out, count=args.light_curves)
    elif args.figure == "class_balance":
        plots.class_balance(split_examples(args.inputs), args.out)
    else:
        rejections(args.inputs, args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
