"""Make one dataset of the parts of all batches: manifest, gene manifest and base performance."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", required=True, help="SpliceSettings (selection, labels, sampling, features) as JSON"
    )
    parser.add_argument("--splits", type=Path, help="table of splits")
    parser.add_argument("--batches", type=int, help="batches that were built; default: as many as the genes need")
    parser.add_argument("--partial", action="store_true", help="take the parts that are there")
    parser.add_argument("--base", type=Path, required=True, help="folder of the line")
    args = parser.parse_args(argv)

    from trainyard.splice.assemble import assemble
    from trainyard.splice.settings import SpliceSettings
    from trainyard.splice.splittable import split_of_genes

    manifest = assemble(
        args.base,
        parse_settings(args.settings, SpliceSettings),
        splits=None if args.splits is None else split_of_genes(args.splits),
        batches=args.batches,
        partial=args.partial,
    )
    genes = ", ".join(f"{n} {status}" for status, n in manifest["genes"].items())
    print(
        f"{args.base}: {manifest['rows']} rows in {len(manifest['parts'])} parts, {manifest['status']}; genes: {genes}"
    )


if __name__ == "__main__":
    run(main)
