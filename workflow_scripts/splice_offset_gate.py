"""Stop the build where the base model does not peak on the annotated sites."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference")
    parser.add_argument("--index", type=Path, nargs="+", required=True, help="score indexes whose genes are looked at")
    parser.add_argument("--min-share", type=float, required=True, help="least share of peaks on the site itself")
    parser.add_argument("--out", type=Path, required=True, help="offset.json")
    args = parser.parse_args(argv)

    from trainyard.splice.offset import offset_gate
    from trainyard.splice.reference import Reference
    from trainyard.splice.scorestore import ScoreStore

    store = ScoreStore(args.index[0].parent, indexes=args.index)
    report = offset_gate(Reference(args.reference), store, args.out, min_share=args.min_share)
    print(f"{args.out}: {report.genes} genes, {100 * report.exact:.1f} % of well-scored sites are their own peak")


if __name__ == "__main__":
    run(main)
