"""Join the finished parts to a store: residues, samples, rejects, scaling and manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="folder of the plan")
    parser.add_argument("--settings", required=True, help="VoxelPlanSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the store, with its parts")
    args = parser.parse_args(argv)

    from trainyard.voxel.merge import finish_store
    from trainyard.voxel.settings import VoxelPlanSettings

    plan = finish_store(args.plan, args.out, settings=parse_settings(args.settings, VoxelPlanSettings))
    print(f"{args.out}: {plan.residues.num_rows} residues, {plan.samples.num_rows} samples")


if __name__ == "__main__":
    run(main)
