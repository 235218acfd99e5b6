"""Compare the trained meta-model with the base model on the same rows of val and test."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", type=Path, required=True, help="folder master of the dataset")
    parser.add_argument("--splits", type=Path, required=True, help="table of splits")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--reference", type=Path, help="folder of the reference, to check figures on whole genes")
    parser.add_argument("--scores", type=Path, help="folder of the score store, for the same")
    parser.add_argument("--score-batches", type=int, help="number of score batches that count; all, if not given")
    parser.add_argument(
        "--held-out", nargs="*", help="contigs that the base model never saw; if not given, what the dataset says"
    )
    parser.add_argument("--trained-on", nargs="*", help="contigs that the base model saw, likewise")
    parser.add_argument("--settings", required=True, help="SpliceTrainSettings as JSON")
    parser.add_argument("--allow-partial", action="store_true", help="take what is finished of an incomplete dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    args = parser.parse_args(argv)

    from trainyard.splice.settings import SpliceTrainSettings
    from trainyard.splice.train.evaluate import evaluate
    from trainyard.splice.train.full_positions import Sources

    settings = parse_settings(args.settings, SpliceTrainSettings)
    whole = args.reference is not None and args.scores is not None
    report = evaluate(
        args.master,
        args.splits,
        args.model,
        args.out,
        settings,
        sources=Sources.open(args.reference, args.scores, batches=args.score_batches) if whole else None,
        held_out=args.held_out,
        trained_on=args.trained_on,
        allow_partial=args.allow_partial,
    )
    for remark in report["remarks"]:
        print(remark)
    whole_genes = (report["full_positions"] or {"delta": {}})["delta"]
    for rows, deltas in (("rows of test", report["delta"]), ("every position of some genes", whole_genes)):
        for site_type, found in deltas.items():
            print(f"{rows}, {site_type}: AUPRC {told(found['delta_auprc'])}; F1 at 0.5 {told(found['delta_f1'])}")


def told(delta: dict[str, Any]) -> str:
    """A mean difference with its interval."""
    if not delta["genes"]:
        return "no gene to compare"
    low, high = delta["ci95"]
    return f"{delta['mean']:+.4f} [{low:+.4f}, {high:+.4f}] over {delta['genes']} genes"


if __name__ == "__main__":
    run(main)
