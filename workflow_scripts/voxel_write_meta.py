"""Finish an export: lists of batch files, temperature scaling, failed domains; remove files of earlier exports."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    parser.add_argument("--domains", type=Path, required=True, help="the plan's table of domains")
    parser.add_argument("--settings", required=True, help="VoxelExportSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the export")
    args = parser.parse_args(argv)

    from trainyard.voxel.export import manifests
    from trainyard.voxel.metafiles import write_meta
    from trainyard.voxel.settings import VoxelExportSettings
    from trainyard.voxel.store import Store

    parts = manifests(args.out, parse_settings(args.settings, VoxelExportSettings))
    batches = write_meta(Store(args.store), args.domains, parts, args.out)
    print(f"{args.out}: " + ", ".join(f"{n} batches of {split}" for split, n in batches.items()))


if __name__ == "__main__":
    run(main)
