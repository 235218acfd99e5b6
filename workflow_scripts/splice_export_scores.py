"""Write the scores of all genes as Parquet, bedGraph or BigWig."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference")
    parser.add_argument("--scores", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--score-batches", type=int, help="number of score batches that count; all, if not given")
    parser.add_argument("--format", choices=("parquet", "bedgraph", "bigwig"), required=True)
    parser.add_argument("--floor", type=float, default=0.001, help="least score in bedGraph and BigWig")
    parser.add_argument("--out", type=Path, required=True, help="folder; <format>.json comes last")
    args = parser.parse_args(argv)

    from trainyard.splice.reference import Reference
    from trainyard.splice.scoreexport import export_scores
    from trainyard.splice.scorestore import ScoreStore

    store = ScoreStore.of_batches(args.scores, args.score_batches)
    files = export_scores(Reference(args.reference), store, args.out, format=args.format, floor=args.floor)
    print(f"{args.out}: {', '.join(path.name for path in files)}")


if __name__ == "__main__":
    run(main)
