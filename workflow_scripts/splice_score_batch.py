"""Score the genes of one batch with the base model, into the score store."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="folder of the reference")
    parser.add_argument("--selection", required=True, help="SpliceSelectionSettings as JSON")
    parser.add_argument("--batch", type=int, required=True, help="1-based number of the batch")
    parser.add_argument("--begin", type=int, required=True, help="first place of the batch in the pool")
    parser.add_argument("--end", type=int, required=True, help="place after the last one of the batch")
    parser.add_argument("--settings", required=True, help="SpliceModelSettings as JSON")
    parser.add_argument("--threads", type=int, help="instead of the number in the settings; changes no score")
    parser.add_argument("--out", type=Path, required=True, help="folder of the score store")
    args = parser.parse_args(argv)

    from trainyard.splice.naming import score_index
    from trainyard.splice.plan import pool_batch
    from trainyard.splice.planfiles import plan_pool
    from trainyard.splice.reference import Reference
    from trainyard.splice.scorebatch import score_batch
    from trainyard.splice.settings import SpliceModelSettings, SpliceSelectionSettings

    settings = parse_settings(args.settings, SpliceModelSettings)
    if args.threads:
        settings = settings.model_copy(update={"threads": args.threads})
    # The pool is made here, not read: where Snakemake makes a file anew, it looks for no other change in jobs that read
    # it, and would build all batches anew or, with `ancient`, none (snakemake/snakemake#4166).
    pool = plan_pool(args.reference, parse_settings(args.selection, SpliceSelectionSettings))
    genes = pool_batch(pool.table, range(args.begin, args.end))
    index = score_index(args.batch)
    tally = score_batch(Reference(args.reference), genes, args.out, index=index, settings=settings)
    print(f"{args.out / index}: {tally.summary()}")


if __name__ == "__main__":
    run(main)
