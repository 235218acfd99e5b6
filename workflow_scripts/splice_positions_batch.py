"""Write every position of a batch of genes with scores, truth and call, and the base model's record."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranking", type=Path, required=True, help="plan/ranking.parquet")
    parser.add_argument("--begin", type=int, required=True, help="rank of the first gene of the batch")
    parser.add_argument("--end", type=int, required=True, help="rank after the last gene of the batch")
    parser.add_argument("--batch", type=int, required=True, help="number of the batch, from 1")
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference tables")
    parser.add_argument("--scores", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--indexes", type=Path, nargs="*", help="score indexes that count; all, if not given")
    parser.add_argument("--labels", required=True, help="SpliceLabelSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    args = parser.parse_args(argv)

    from trainyard.splice.dataset_schema import BatchFiles
    from trainyard.splice.gene_source import StoredGenes
    from trainyard.splice.plan import read_ranking
    from trainyard.splice.positions import build_positions
    from trainyard.splice.reference import Reference
    from trainyard.splice.scorestore import ScoreStore
    from trainyard.splice.settings import SpliceLabelSettings

    ledger = build_positions(
        read_ranking(args.ranking, columns=["rank", "gene_id"])["gene_id"].to_pylist()[args.begin : args.end],
        StoredGenes(Reference(args.reference), ScoreStore(args.scores, indexes=args.indexes or None)),
        BatchFiles(args.out, args.batch),
        settings=parse_settings(args.labels, SpliceLabelSettings),
    )
    print(f"batch {args.batch}: {ledger.summary() or 'no genes'}")


if __name__ == "__main__":
    run(main)
