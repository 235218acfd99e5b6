"""Encode the grids of one store part."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=Path, required=True, help="voxel file (HDF5)")
    parser.add_argument("--residues", type=Path, required=True, help="table of residues, of this part or of all")
    parser.add_argument("--part", required=True, help="label of the part, e.g. 0001-0004")
    parser.add_argument("--channels", nargs="+", required=True, help="channels in the order wanted")
    parser.add_argument("--bad-grid", choices=("error", "reject", "warn"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the parts")
    args = parser.parse_args(argv)

    from trainyard.voxel.build import build_part

    ledger = build_part(
        args.voxels, args.residues, args.out, label=args.part, channels=args.channels, bad_grid=args.bad_grid
    )
    print(f"part {args.part}: {ledger.summary()}")


if __name__ == "__main__":
    run(main)
