"""Draw one figure of the splice dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    figures = ["class_balance", "strata", "base_scores", "outcome_scores", "features", "rejections"]
    parser.add_argument("--figure", required=True, choices=figures)
    parser.add_argument(
        "--inputs",
        type=Path,
        nargs="+",
        required=True,
        help="class_balance: gene_manifest.csv and split.parquet; strata: split.parquet and parts of master;"
        " base_scores and outcome_scores: parts; features: manifest.json and split.parquet; rejections: ledgers of"
        " reference, plan and batches",
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG")
    args = parser.parse_args(argv)

    from trainyard.splice.plots import draw

    draw(args.figure, args.inputs, args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
