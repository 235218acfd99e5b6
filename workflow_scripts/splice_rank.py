"""Write the ranking of the splice line: the order in which genes enter the dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="SpliceSelectionSettings as JSON")
    parser.add_argument("--plan", type=Path, required=True, help="folder of the plan, with the pool")
    parser.add_argument("--errors", type=Path, help="errors of the scored pool, for a policy that ranks by them")
    args = parser.parse_args(argv)

    from trainyard.splice.planfiles import write_ranking
    from trainyard.splice.selection import left_out
    from trainyard.splice.settings import SpliceSelectionSettings

    ranking = write_ranking(args.plan, parse_settings(args.settings, SpliceSelectionSettings), errors=args.errors)
    print(f"{args.plan}: {ranking.table.num_rows} genes ranked; left out: {left_out(ranking.ledger, 'ranked_gene')}")


if __name__ == "__main__":
    run(main)
