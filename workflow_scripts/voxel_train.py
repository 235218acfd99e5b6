"""Train the torch consumer on the store."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    parser.add_argument("--settings", required=True, help="VoxelTrainSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the trained model")
    args = parser.parse_args(argv)

    from trainyard.voxel.settings import VoxelTrainSettings
    from trainyard.voxel.train.fit import train

    train(args.store, args.out, parse_settings(args.settings, VoxelTrainSettings))
    print(f"{args.out}: model trained")


if __name__ == "__main__":
    run(main)
