"""Simulate the proteins that the voxel demo builds from."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="VoxelDemoSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the simulated inputs")
    args = parser.parse_args(argv)

    from trainyard.demo.voxel import write_inputs
    from trainyard.voxel.settings import VoxelDemoSettings

    manifest = write_inputs(parse_settings(args.settings, VoxelDemoSettings), args.out)
    print(f"{args.out}: {len(manifest['files'])} files")


if __name__ == "__main__":
    run(main)
