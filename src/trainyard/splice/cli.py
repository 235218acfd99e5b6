"""`trainyard splice …`: what is asked of, and done to, finished datasets of the splice line.

Everything heavy is imported where it is used, so that help and mistakes in the arguments answer at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainyard.yard.errors import IntegrityError

DATASET = "folder of a dataset: `master`, or the folder that holds it"


def add_commands(commands: Any) -> None:
    """Add the commands of the line.

    Args:
        commands: What `add_subparsers` of `trainyard splice` gave. Each command sets `call`, which takes the arguments.
    """
    _add_genes(commands)
    _add_merge(commands)
    _add_patch(commands)
    _add_dedup(commands)
    _add_check(commands)
    _add_summary(commands)
    _add_doctor(commands)


def _add(commands: Any, name: str, text: str, call: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(call=call)
    return parser


def _add_partial(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-partial", action="store_true", help="take what is finished of an incomplete dataset")


def _add_genes(commands: Any) -> None:
    parser = _add(
        commands, "genes", "write a gene list: the genes that tables or lists name, a head or a sample", _genes
    )
    parser.add_argument("sources", type=Path, nargs="+", help="tables, folders of tables, or lists")
    parser.add_argument("--out", type=Path, required=True, help="list to write, a table with tabs (.tsv)")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--head", type=_positive, metavar="N", help="the first N genes")
    chosen.add_argument("--sample", type=_positive, metavar="N", help="N genes by hash; a larger N begins with them")
    parser.add_argument("--seed", type=int, default=42, help="of the sample; default 42")
    parser.add_argument("--gene-col", default="gene_id", help="column that holds the genes; default gene_id")


def _add_merge(commands: Any) -> None:
    parser = _add(commands, "merge", "make one dataset of several, without touching their rows", _merge)
    parser.add_argument("datasets", type=Path, nargs="+", help=DATASET)
    parser.add_argument("--out", type=Path, required=True, help="folder of the new dataset")
    parser.add_argument(
        "--may-differ",
        nargs="+",
        choices=("reference", "model", "params"),
        default=[],
        help="what may differ between the datasets; their columns never may",
    )
    parser.add_argument("--first-wins", action="store_true", help="take a gene of several datasets from the first one")
    parser.add_argument("--drop-splits", action="store_true", help="forget the splits that the datasets come with")
    _add_partial(parser)


def _add_patch(commands: Any) -> None:
    text = "give a dataset of another program gene structure, gene type and labels, for every row alike"
    parser = _add(commands, "patch", text, _patch)
    parser.add_argument("dataset", type=Path, help="folder with the Parquet files of a dataset in the published layout")
    parser.add_argument("--reference", type=Path, required=True, help="folder `reference` of a run of this workflow")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder of the new dataset")
    where.add_argument("--in-place", action="store_true", help="take its place; the old one stays as NAME.unpatched")
    parser.add_argument("--allow-unknown", action="store_true", help="keep rows of genes that the reference lacks")
    parser.add_argument("--expected-gene-type", default="", metavar="TYPE", help="refuse genes of other types")


def _add_dedup(commands: Any) -> None:
    parser = _add(commands, "dedup", "leave out repeated rows, with a table of every row that went", _dedup)
    parser.add_argument("dataset", type=Path, help=DATASET)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder of the new dataset")
    where.add_argument("--audit", action="store_true", help="only count; exit code 3 if a position of a gene repeats")
    parser.add_argument("--genomic", action="store_true", help="also collapse bases that overlapping genes share")
    _add_partial(parser)


def _add_check(commands: Any) -> None:
    parser = _add(
        commands, "check", "check a dataset against its contract: integrity (exit code 3), leakage (4)", _check
    )
    parser.add_argument("dataset", type=Path, help=DATASET)
    parser.add_argument(
        "--reference", type=Path, help="folder `reference` of its run; default: the one beside `master`"
    )
    parser.add_argument("--no-genome", action="store_true", help="do not compare bases with the genome")
    parser.add_argument("--splits", type=Path, help="table of splits; default: those of the gene manifest")
    parser.add_argument("--min-motif-share", type=float, default=0.95, help="of GT among donors, AG among acceptors")
    parser.add_argument("--json", type=Path, help="also write what was found")
    _add_partial(parser)


def _add_summary(commands: Any) -> None:
    parser = _add(commands, "summary", "describe a dataset in numbers, as JSON and as a page", _summary)
    parser.add_argument("dataset", type=Path, help=DATASET)
    parser.add_argument("--out", type=Path, help="folder for both; default: `summary` beside `master`")
    _add_partial(parser)


def _add_doctor(commands: Any) -> None:
    text = "list damaged files of a run, and those of another make; exit code 3 if there are any"
    parser = _add(commands, "doctor", text, _doctor)
    parser.add_argument("folder", type=Path, help="folder of the line, such as results/demo/splice")
    parser.add_argument("--clean", action="store_true", help="move them to the trash; without it nothing is touched")
    parser.add_argument("--only", choices=("corrupted", "wrong_schema"), help="move this kind only")
    parser.add_argument("--json", type=Path, help="also write what was found")


def _genes(args: argparse.Namespace) -> None:
    from trainyard.splice.genes_tool import choose, find_genes, write_genes

    found = find_genes(args.sources, gene_col=args.gene_col)
    chosen = choose(list(found.rows), head=args.head, sample=args.sample, seed=args.seed)
    write_genes(args.out, chosen, found.rows)
    without = f", {found.without:,} rows without one" if found.without else ""
    print(f"{args.out}: {len(chosen):,} of {len(found.rows):,} genes in {found.files:,} files{without}")


def _merge(args: argparse.Namespace) -> None:
    from trainyard.splice.merge import merge

    manifest = merge(
        args.datasets,
        args.out,
        may_differ=args.may_differ,
        first_wins=args.first_wins,
        drop_splits=args.drop_splits,
        allow_partial=args.allow_partial,
    )
    kept, parts = manifest["genes"].get("kept", 0), len(manifest["parts"])
    print(f"{args.out}: {manifest['rows']:,} rows of {kept:,} genes in {parts:,} parts, {manifest['status']}")


def _patch(args: argparse.Namespace) -> None:
    from trainyard.splice.patch import patch
    from trainyard.splice.reference import Reference

    told = patch(
        args.dataset,
        args.out,
        Reference(args.reference),
        allow_unknown=args.allow_unknown,
        expected_gene_type=args.expected_gene_type,
    ).to_dict()
    for name, nulls in told["nulls_after"].items():
        if nulls:
            print(f"{name}: {nulls:,} rows without a value")
    for kind, offsets in told["offset_to_annotated_site"].items():
        counts = ", ".join(f"{offset}: {n:,}" for offset, n in offsets.items())
        print(f"{kind}s by distance to the nearest annotated one: {counts or 'none'}")
    print(f"{args.out or args.dataset}: {told['rows']:,} rows in {told['files']:,} files")


def _dedup(args: argparse.Namespace) -> None:
    from trainyard.splice.dedup import audit, dedup

    options = {"genomic": args.genomic, "allow_partial": args.allow_partial}
    found = audit(args.dataset, **options) if args.audit else dedup(args.dataset, args.out, **options)
    counts = ", ".join(f"{n:,} ({n / max(found.rows, 1):.2%}) in the {view} view" for view, n in found.dropped.items())
    told = f"{args.out or args.dataset}: repeated rows: {counts}, of {found.rows:,}"
    if args.audit and found.dropped["key"]:
        raise IntegrityError(f"{told}; write a dataset without them: dedup --out FOLDER")
    print(told)


def _check(args: argparse.Namespace) -> None:
    from trainyard.splice.check import check_dataset
    from trainyard.splice.master import master_folder
    from trainyard.splice.reference import Reference
    from trainyard.splice.splittable import read_splits
    from trainyard.yard.files import write_json

    beside = master_folder(args.dataset).parent / "reference"
    folder = args.reference or (beside if beside.is_dir() else None)
    report = check_dataset(
        args.dataset,
        reference=None if folder is None else Reference(folder),
        with_genome=not args.no_genome,
        splits=None if args.splits is None else read_splits(args.splits),
        allow_partial=args.allow_partial,
        min_motif_share=args.min_motif_share,
    )
    if args.json is not None:
        write_json(args.json, report.to_dict())
    for finding in report.findings:
        print(finding.line())
    report.raise_failures()
    print(f"{report.folder}: {report.rows:,} rows, {report.status}: no check failed")


def _summary(args: argparse.Namespace) -> None:
    from trainyard.splice.page import write_summary

    told, folder = write_summary(args.dataset, args.out, allow_partial=args.allow_partial)
    labels = ", ".join(f"{n:,} {name}" for name, n in told["labels"].items())
    print(f"{folder}: {told['rows']:,} rows of {told['genes']:,} genes ({labels or 'no labels'}), {told['status']}")


def _doctor(args: argparse.Namespace) -> None:
    from trainyard.splice.doctor import CURABLE, clean, examine, report, summary_line
    from trainyard.yard.files import write_json

    ailments = examine(args.folder)
    told = report(args.folder, ailments)
    if args.json is not None:
        write_json(args.json, told)
    for ailment in ailments:
        print(ailment.line(args.folder))
    line = summary_line(args.folder, told["counts"])
    if args.clean:
        trash, moved = clean(args.folder, ailments, kinds=[args.only] if args.only else CURABLE)
        print(f"{line}; {f'{moved:,} files moved to {trash}, run the build again' if trash else 'nothing to move'}")
    elif ailments:
        raise IntegrityError(f"{line}; nothing was touched, --clean moves what is vouched for to the trash")
    else:
        print(line)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value
