"""Predict every split with the trained model and measure how well it does."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="model.keras")
    parser.add_argument("--norm", type=Path, nargs="+", required=True, help="manifests of the normalized shards")
    parser.add_argument("--split", type=Path, nargs="+", required=True, help="manifests of the split shards")
    parser.add_argument("--selection", type=Path, nargs="?", help="selection table that training used, if any")
    parser.add_argument("--missing-images", choices=["drop", "zero"], default="drop", help="as in training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = parser.parse_args(argv)

    from trainyard.transit.blockfiles import norm_records, split_examples
    from trainyard.transit.schema import SPLITS
    from trainyard.transit.train.evaluate import evaluate

    shards = {split: norm_records(args.norm, split) for split in SPLITS}
    examples = split_examples(args.split)
    evaluate(args.model, shards, examples, args.selection, args.out, missing_images=args.missing_images)
    print(f"{args.out}: model evaluated")


if __name__ == "__main__":
    run(main)
