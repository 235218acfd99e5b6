"""Draw training history, scores by disposition, and ROC and precision-recall curves."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=Path, required=True, help="history.csv")
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="predictions by split")
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    args = parser.parse_args(argv)

    from trainyard.transit.train import plots

    plots.training_history(args.history, args.out / "history.png")
    plots.score_histograms(args.predictions[-1], args.out / "scores.png")
    plots.roc_and_precision_recall(args.predictions, args.out / "curves.png")
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
