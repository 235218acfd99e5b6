"""Plan the voxel line: domains, residues and samples with split, order, batch and store part."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="VoxelSettings (inputs, plan, export) as JSON")
    parser.add_argument("--cache", type=Path, help="folder for the inventory of the voxel file")
    parser.add_argument("--out", type=Path, required=True, help="folder of the plan")
    args = parser.parse_args(argv)

    from trainyard.voxel.catalogue import write_checked_plan
    from trainyard.voxel.settings import VoxelSettings

    print(write_checked_plan(parse_settings(args.settings, VoxelSettings), args.out, cache=args.cache))


if __name__ == "__main__":
    run(main)
