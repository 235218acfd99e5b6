"""Write every position of a batch of genes with scores, truth and call, and the base model's record."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranking", type=Path, help="plan/ranking.parquet, if errors rank the genes")
    parser.add_argument("--begin", type=int, default=0, help="rank of the first gene of the batch")
    parser.add_argument("--end", type=int, default=0, help="rank after the last gene of the batch")
    parser.add_argument("--batch", type=int, required=True, help="number of the batch, from 1")
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference tables")
    parser.add_argument("--scores", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--score-batches", type=int, help="with a ranking: number of score batches that count, or all")
    parser.add_argument("--labels", required=True, help="SpliceLabelSettings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    args = parser.parse_args(argv)

    from trainyard.splice.dataset_schema import BatchFiles
    from trainyard.splice.gene_source import StoredGenes
    from trainyard.splice.naming import score_index
    from trainyard.splice.plan import ranking_batch
    from trainyard.splice.positions import build_positions
    from trainyard.splice.reference import Reference
    from trainyard.splice.scorestore import ScoreStore
    from trainyard.splice.settings import SpliceLabelSettings

    if args.ranking:
        scores = ScoreStore.of_batches(args.scores, args.score_batches)
        genes = ranking_batch(args.ranking, range(args.begin, args.end))
    else:
        # The batch has the genes that were scored for it.
        scores = ScoreStore(args.scores, indexes=[args.scores / score_index(args.batch)])
        genes = list(scores.entries)
    ledger = build_positions(
        genes,
        StoredGenes(Reference(args.reference), scores),
        BatchFiles(args.out, args.batch),
        settings=parse_settings(args.labels, SpliceLabelSettings),
    )
    print(f"batch {args.batch}: {ledger.summary() or 'no genes'}")


if __name__ == "__main__":
    run(main)
