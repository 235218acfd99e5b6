"""Write the pool of the splice line: every gene that may be chosen, in an order that more genes only lengthen."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="SpliceSelectionSettings as JSON")
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference tables")
    parser.add_argument("--out", type=Path, required=True, help="folder of the plan")
    args = parser.parse_args(argv)

    from trainyard.splice.planfiles import write_pool
    from trainyard.splice.selection import left_out
    from trainyard.splice.settings import SpliceSelectionSettings

    pool = write_pool(args.reference, args.out, parse_settings(args.settings, SpliceSelectionSettings))
    print(f"{args.out}: {pool.table.num_rows} genes in the pool; left out: {left_out(pool.ledger, 'gene')}")
    print(f"gene file: {pool.requested.num_rows} entries; left out: {left_out(pool.ledger, 'requested_gene')}")


if __name__ == "__main__":
    run(main)
