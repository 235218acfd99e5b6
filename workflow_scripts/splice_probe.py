"""Ask what the meta-model's scores rest on: sanity probes, which fail the build, and ablations."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", type=Path, required=True, help="folder master of the dataset")
    parser.add_argument("--splits", type=Path, required=True, help="table of splits")
    parser.add_argument("--pruned", type=Path, required=True, help="list of pruned features")
    parser.add_argument("--settings", required=True, help="SpliceTrainSettings as JSON")
    parser.add_argument("--allow-partial", action="store_true", help="take what is finished of an incomplete dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = parser.parse_args(argv)

    from trainyard.splice.settings import SpliceTrainSettings
    from trainyard.splice.train.sanity import probe

    settings = parse_settings(args.settings, SpliceTrainSettings)
    found = probe(args.master, args.splits, args.pruned, args.out, settings, allow_partial=args.allow_partial)
    print(f"{args.out}: " + (", ".join(f"{one.name} AUROC {one.auroc:.3f}" for one in found) or "no probes"))


if __name__ == "__main__":
    run(main)
