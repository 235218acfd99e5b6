"""Make the reference of the splice line: tables of genes and sites, checked against the genome."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="SpliceInputSettings as JSON")
    parser.add_argument("--fasta", type=Path, help="instead of the one in the settings")
    parser.add_argument("--annotation", type=Path, help="instead of the one in the settings")
    parser.add_argument("--out", type=Path, required=True, help="folder of the reference")
    args = parser.parse_args(argv)

    from trainyard.splice.reference import build_reference
    from trainyard.splice.settings import SpliceInputSettings

    settings = parse_settings(args.settings, SpliceInputSettings)
    made = build_reference(settings, args.out, fasta=args.fasta, annotation=args.annotation)
    counts = made["counts"]
    print(
        f"{args.out}: {made['dialect']}, {counts['genes']} genes, {counts['donors']} donors, {counts['acceptors']}"
        f" acceptors, {100 * made['gt_ag_share']:.1f} % of {counts['unique_introns']} introns GT-AG"
    )


if __name__ == "__main__":
    run(main)
