"""Assign every gene of the splice line to train, val, test or none, by locus cluster."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=Path, required=True, help="gene table of the reference")
    parser.add_argument("--ranking", type=Path, required=True, help="ranking of the plan")
    parser.add_argument("--n-genes", type=int, help="genes of the build; all of the ranking without it")
    parser.add_argument("--settings", required=True, help="SpliceSplitSettings as JSON")
    parser.add_argument("--held-out", nargs="*", default=[], help="contigs that the base model never saw")
    parser.add_argument("--trained-on", nargs="*", default=[], help="contigs that the base model saw")
    parser.add_argument("--may-be-empty", action="store_true", help="nothing is trained: only warn of empty splits")
    parser.add_argument("--out", type=Path, required=True, help="table of splits")
    args = parser.parse_args(argv)

    from trainyard.splice.plan import planned_genes, read_ranking
    from trainyard.splice.schema import GENES
    from trainyard.splice.settings import SpliceSplitSettings
    from trainyard.splice.split import write_split

    ranking = read_ranking(args.ranking, columns=["rank", "gene_id"])
    counts = write_split(
        GENES.read(args.genes),
        args.out,
        parse_settings(args.settings, SpliceSplitSettings),
        held_out=args.held_out,
        trained_on=args.trained_on,
        planned=planned_genes(ranking, args.n_genes)["gene_id"].to_pylist(),
        may_be_empty=args.may_be_empty,
    )
    print(f"{args.out}: " + ", ".join(f"{n} genes in {split}" for split, n in counts.items()))


if __name__ == "__main__":
    run(main)
