"""Train the Keras consumer on the normalized shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="normalized train shards")
    parser.add_argument("--val", type=Path, nargs="+", required=True, help="normalized val shards")
    parser.add_argument("--examples", type=Path, nargs="+", required=True, help="example tables of the splits")
    parser.add_argument("--selection", type=Path, nargs="?", help="selection table; all examples without it")
    parser.add_argument("--settings", required=True, help="TrainSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
    args = parser.parse_args(argv)

    from trainyard.transit.train.fit import train
    from trainyard.transit.train.settings import TrainSettings

    shards = {"train": args.train, "val": args.val}
    train(shards, args.examples, args.selection, args.out, parse_settings(args.settings, TrainSettings))
    print(f"{args.out}: model trained")


if __name__ == "__main__":
    run(main)
