"""Voxelise protein structures (PDB, mmCIF, mdCATH .h5): one file, many, or folders of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", default="{}", help="VoxelizeSettings as JSON; default: aposteriori's grids")
    parser.add_argument("--structures", type=Path, required=True, nargs="+", help="files, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="voxel file (HDF5); the ledger goes beside it")
    args = parser.parse_args(argv)

    from trainyard.voxel.aposteriori import voxelize_files
    from trainyard.voxel.settings import VoxelizeSettings

    ledger = voxelize_files(args.structures, args.out, settings=parse_settings(args.settings, VoxelizeSettings))
    print(f"{args.out}: {ledger.summary()}")


if __name__ == "__main__":
    run(main)
