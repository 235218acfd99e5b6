"""Draw training history, predictions, scores by temperature and errors by kind of residue."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=Path, required=True, help="history.csv")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions by split, test last")
    parser.add_argument("--evaluation", type=Path, required=True, help="evaluation.json")
    parser.add_argument("--max-points", type=int, required=True, help="points per panel of predictions")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    args = parser.parse_args(argv)

    from trainyard.voxel.train import plots

    plots.training_history(args.history, args.out / "history.png")
    plots.predicted_against_true(args.predictions, args.out / "predictions.png", max_points=args.max_points)
    plots.scores_by_temperature(args.evaluation, args.out / "temperatures.png")
    plots.errors_by_stratum(args.evaluation, args.out / "strata.png")
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
