"""Check a finished voxel dataset: nothing lost, nothing leaked, every grid what its checksum says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxel", type=Path, required=True, help="folder of the line")
    parser.add_argument("--ledgers", type=Path, nargs="*", default=[], help="ledgers of voxelising, if it was done")
    parser.add_argument("--settings", required=True, help="VoxelSettings that shaped the dataset, as JSON")
    parser.add_argument("--digest", required=True, help="digest of what the plan was made from")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the inventory of the voxel file")
    parser.add_argument("--code", default="{}", help="digests of the code of the stages, as JSON")
    args = parser.parse_args(argv)

    from trainyard.voxel.catalogue import refuse_changed
    from trainyard.voxel.check import check_build
    from trainyard.voxel.settings import VoxelSettings

    settings = parse_settings(args.settings, VoxelSettings)
    refuse_changed(settings, args.digest, cache=args.cache)
    summary = check_build(args.voxel, settings=settings, code=json.loads(args.code), ledgers=args.ledgers)
    samples = sum(summary["samples"].values())
    print(f"{args.voxel}: {summary['residues']} residues, {samples} samples, all accounted for")


if __name__ == "__main__":
    run(main)
