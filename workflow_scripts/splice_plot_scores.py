"""Draw precision and recall, scores, differences, calibration, importance and ablations of the meta-model."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions_test.parquet")
    parser.add_argument("--delta", type=Path, required=True, help="delta_vs_baseline.csv")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration.csv")
    parser.add_argument("--importance", type=Path, required=True, help="feature_importance_all.csv")
    parser.add_argument("--ablations", type=Path, required=True, help="ablations.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    args = parser.parse_args(argv)

    from trainyard.splice.train import plots

    plots.precision_recall(args.predictions, args.out / "precision_recall.png")
    plots.score_histograms(args.predictions, args.out / "scores.png")
    plots.gene_deltas(args.delta, args.out / "delta.png")
    plots.calibration(args.calibration, args.out / "calibration.png")
    plots.importance(args.importance, args.out / "importance.png")
    plots.ablations(args.ablations, args.out / "ablations.png")
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
