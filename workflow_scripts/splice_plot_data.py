"""Draw one figure of the splice dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    figures = ["class_balance", "strata", "base_scores", "outcome_scores", "features", "rejections"]
    parser.add_argument("--figure", required=True, choices=figures)
    parser.add_argument("--base", type=Path, required=True, help="folder of the line")
    parser.add_argument("--batches", type=int, required=True, help="number of batches of the dataset")
    parser.add_argument("--out", type=Path, required=True, help="PNG")
    args = parser.parse_args(argv)

    from trainyard.splice.naming import figure_inputs
    from trainyard.splice.plots import draw

    draw(args.figure, figure_inputs(args.figure, args.base, args.batches), args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
