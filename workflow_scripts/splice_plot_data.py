"""Draw one figure of the splice dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", required=True, choices=["class_balance", "base_scores", "rejections"])
    parser.add_argument(
        "--inputs",
        type=Path,
        nargs="+",
        required=True,
        help="class_balance: gene_manifest.csv and split.parquet; base_scores: parts of master; rejections: ledgers",
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG")
    args = parser.parse_args(argv)

    from trainyard.splice.plots import draw

    draw(args.figure, args.inputs, args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
