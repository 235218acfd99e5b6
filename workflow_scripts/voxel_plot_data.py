"""Draw one figure of the dataset from its store."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", required=True, choices=["density", "rmsf", "projections", "rejections"])
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)

    from trainyard.voxel import plots

    draw = {
        "density": plots.grid_density,
        "rmsf": plots.rmsf_by_temperature,
        "projections": plots.voxel_projections,
        "rejections": plots.rejections_of_store,
    }
    draw[args.figure](args.store, args.out)
    print(f"{args.out}: drawn")


if __name__ == "__main__":
    run(main)
