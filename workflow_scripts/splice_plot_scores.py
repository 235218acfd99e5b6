"""Draw one figure of the splice meta-model beside the base model."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    figures = ["history", "precision_recall", "scores", "delta", "top_k", "full_positions", "calibration", "importance"]
    figures += ["ablations"]
    parser.add_argument("--figure", required=True, choices=figures)
    parser.add_argument(
        "--input",
        type=Path,
        required=True,
        help="history.csv, predictions_test.parquet (precision_recall, scores), delta_vs_baseline.csv, topk.csv,"
        " full_positions.csv, calibration.csv, feature_importance_all.csv or ablations.csv",
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG")
    args = parser.parse_args(argv)

    from trainyard.splice.train.plots import FIGURES

    FIGURES[args.figure](args.input, args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
