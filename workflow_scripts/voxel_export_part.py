"""Write one part of the batch files of a split from the store."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--part", required=True, help="label of the part, e.g. 0001-0004")
    parser.add_argument("--settings", required=True, help="VoxelExportSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the export")
    args = parser.parse_args(argv)

    from trainyard.voxel.export import ExportPart, export_part
    from trainyard.voxel.settings import VoxelExportSettings
    from trainyard.voxel.store import Store

    settings = parse_settings(args.settings, VoxelExportSettings)
    part = ExportPart.parse(args.split, args.part)
    files = export_part(Store(args.store), part, args.out, settings=settings)["files"]
    print(f"{part.manifest(args.out)}: {len(files)} batch files, {sum(file['bytes'] for file in files):,} bytes")


if __name__ == "__main__":
    run(main)
