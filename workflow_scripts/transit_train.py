"""Train the Keras consumer on the normalized shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norm", type=Path, nargs="+", required=True, help="manifests of the normalized shards")
    parser.add_argument("--split", type=Path, nargs="+", required=True, help="manifests of the split shards")
    parser.add_argument("--selection", type=Path, nargs="?", help="selection table; all examples without it")
    parser.add_argument("--settings", required=True, help="TrainSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
    args = parser.parse_args(argv)

    from trainyard.transit.blockfiles import norm_records, split_examples
    from trainyard.transit.train.fit import train
    from trainyard.transit.train.settings import TrainSettings

    shards = {split: norm_records(args.norm, split) for split in ("train", "val")}
    settings = parse_settings(args.settings, TrainSettings)
    train(shards, split_examples(args.split), args.selection, args.out, settings)
    print(f"{args.out}: model trained")


if __name__ == "__main__":
    run(main)
