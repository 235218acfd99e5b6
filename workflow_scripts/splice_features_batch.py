"""Write the rows of a batch: sampled positions with all features, and their part of the dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, required=True, help="number of the batch, from 1")
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference tables")
    parser.add_argument("--seed", type=int, required=True, help="dataset seed")
    parser.add_argument("--sampling", required=True, help="SpliceSamplingSettings as JSON")
    parser.add_argument("--features", required=True, help="SpliceFeatureSettings as JSON")
    parser.add_argument("--export", required=True, help="SpliceExportSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    args = parser.parse_args(argv)

    from trainyard.splice.dataset_schema import BatchFiles
    from trainyard.splice.reference import Reference
    from trainyard.splice.rows import RowSettings, build_rows
    from trainyard.splice.settings import SpliceExportSettings, SpliceFeatureSettings, SpliceSamplingSettings

    reference = Reference(args.reference)
    settings = RowSettings(
        parse_settings(args.sampling, SpliceSamplingSettings),
        parse_settings(args.features, SpliceFeatureSettings),
        parse_settings(args.export, SpliceExportSettings),
        args.seed,
    )
    ledger = build_rows(BatchFiles(args.out, args.batch), reference.genes, reference.sites, settings=settings)
    print(f"batch {args.batch}: {ledger.summary() or 'no genes'}")


if __name__ == "__main__":
    run(main)
