"""Count the base model's errors in the scored pool, for a selection that ranks genes by them."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="SpliceSelectionSettings as JSON")
    parser.add_argument("--labels", required=True, help="SpliceLabelSettings as JSON")
    parser.add_argument("--plan", type=Path, required=True, help="folder of the plan, with the pool")
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference tables")
    parser.add_argument("--scores", type=Path, required=True, help="folder of the score store")
    parser.add_argument("--score-batches", type=int, help="number of score batches that count; all, if not given")
    parser.add_argument("--positions", type=Path, nargs="*", default=[], help="classified positions, instead of scores")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    args = parser.parse_args(argv)

    from trainyard.splice.gene_source import StoredGenes
    from trainyard.splice.pool_errors import write_pool_errors
    from trainyard.splice.reference import Reference
    from trainyard.splice.scorestore import ScoreStore
    from trainyard.splice.settings import SpliceLabelSettings, SpliceSelectionSettings

    table = write_pool_errors(
        args.plan,
        args.out,
        parse_settings(args.settings, SpliceSelectionSettings),
        source=StoredGenes(Reference(args.reference), ScoreStore.of_batches(args.scores, args.score_batches)),
        labels=parse_settings(args.labels, SpliceLabelSettings),
        positions=args.positions,
    )
    print(f"{args.out}: errors of {table.num_rows} genes")


if __name__ == "__main__":
    run(main)
