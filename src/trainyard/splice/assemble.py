"""Assembling: the parts of all batches become one dataset, with its manifest, gene manifest and base performance.

No row is touched. What is checked here is that the parts are those of the plan: all of them, of one schema, as their
receipts say, with every planned gene in exactly one of them or accounted for.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainyard.splice import naming
from trainyard.splice.dataset_schema import PERFORMANCE
from trainyard.splice.gate import refused
from trainyard.splice.genecounts import GeneRows, count_rows
from trainyard.splice.genelist import TAKEN
from trainyard.splice.genemanifest import (
    FAILED,
    LEFT_OUT,
    base_f1,
    failed_share,
    gene_columns,
    placed,
    status_of,
    write_gene_manifest,
)
from trainyard.splice.manifest import digest, make_manifest, write_performance
from trainyard.splice.master import COMPLETE, Master, inspect_master
from trainyard.splice.plan import REQUESTED, batch_count, place_count, planned_genes, read_ranking
from trainyard.splice.planfiles import LEDGER, RANKING_FILE, REQUESTED_FILE
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import GENES
from trainyard.splice.settings import SpliceSettings
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import faults_named, read_json, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import read_receipt, receipt_path

LARGEST_FAILED_SHARE = 0.01
"""Share of genes that may fail under a policy; a gene file allows none."""


@dataclass(frozen=True)
class Plan:
    """What was to be built: genes in order, cut into batches."""

    ranking: pa.Table
    """Rows of RANKING that are taken, by rank."""
    batch_size: int
    batches: int
    """Number of batches, empty ones at the end included."""

    def batch_of(self, rank: int) -> int:
        """Batch (1-based) of a rank."""
        return rank // self.batch_size + 1


def assemble(
    base: Path,
    settings: SpliceSettings,
    *,
    splits: Mapping[str, str] | None = None,
    batches: int | None = None,
    partial: bool = False,
) -> dict[str, Any]:
    """Write `master/gene_manifest.csv`, `full_splice_performance.tsv` and, last, `master/manifest.json`.

    Args:
        base: Folder of the line, with plan, reference, scores, batches and master.
        settings: Selection, labels, sampling and features of the build.
        splits: Split by gene, where there are splits.
        batches: Batches that were built, which may be more than the genes need (the last ones are empty then); None for
            as many as they need.
        partial: Assemble the parts that are there; otherwise every planned part must be.

    Returns:
        The manifest.

    Raises:
        IntegrityError: Parts are missing, damaged, of several schemas or of another plan, a gene has rows in two of
            them, or too many genes failed (then `check/gene_manifest_refused.csv` is written instead).
        InputError: Tables of the plan or of the reference are missing.
    """
    plan = _plan(base, settings, batches)
    _drop_stale(base, plan.batches)
    master = inspect_master(base / "master", allow_partial=True)
    present = {naming.parse_part(part.path.name) or 0: index for index, part in enumerate(master.parts)}
    missing = sorted(set(range(1, plan.batches + 1)) - set(present))
    if missing and not partial:
        raise IntegrityError(
            f"{base / 'master'}: {len(missing)} of {plan.batches} parts are missing, first"
            f" {naming.master_part(missing[0])}; run the build again, or assemble a partial dataset"
        )
    counts = count_rows(master.parts)
    rows = _gene_rows(base, plan, master, counts, present, splits or {})
    _check_failed(rows, settings, refused(base / "check" / naming.GENE_MANIFEST))
    write_gene_manifest(base / "master" / naming.GENE_MANIFEST, rows)
    tables = (PERFORMANCE.read(base / "batches" / naming.performance_batch(batch)) for batch in sorted(present))
    write_performance(base / naming.PERFORMANCE, tables)
    status = f"partial {len(present)} of {plan.batches}" if missing else COMPLETE
    manifest = make_manifest(master.parts, master.contract, counts, rows, status=status, planned=plan.batches)
    manifest |= _provenance(base, settings)
    write_json(base / "master" / naming.MANIFEST, manifest)
    return manifest


def _plan(base: Path, settings: SpliceSettings, batches: int | None) -> Plan:
    selection = settings.selection
    ranking = planned_genes(read_ranking(base / "plan" / RANKING_FILE), selection.n_genes)
    taken = ranking.num_rows
    if selection.n_genes is not None and taken < selection.n_genes:
        logging.warning("%d genes are asked for, policy '%s' has %d", selection.n_genes, selection.policy, taken)
    needed = batch_count(place_count(ranking, "rank"), selection.batch_size)
    return Plan(ranking, selection.batch_size, max(needed, batches or 0))


def _drop_stale(base: Path, batches: int) -> None:
    """Take away parts of batches that the plan no longer has; their rows stay in `batches/`.

    Raises:
        IntegrityError: Such a part is not the same as the file in `batches/`, so something would be lost.
    """
    folder = base / "master"
    for path in sorted(folder.glob("part-*.parquet")) if folder.is_dir() else []:
        batch = naming.parse_part(path.name)
        if batch is None or batch <= batches:
            continue
        twin = base / "batches" / naming.trim_batch(batch)
        if (
            not receipt_path(path).is_file()
            or not receipt_path(twin).is_file()
            or read_receipt(path) != read_receipt(twin)
        ):
            raise IntegrityError(
                f"{path}: the plan has {batches} batches, and this part is not the one in {twin.parent}; move it"
                " elsewhere, or ask for as many genes as before"
            )
        logging.info("%s: no longer in the plan of %s batches, taken out of master/; %s stays", path, batches, twin)
        path.unlink()
        receipt_path(path).unlink()


def _gene_rows(
    base: Path,
    plan: Plan,
    master: Master,
    counts: Mapping[str, GeneRows],
    present: Mapping[int, int],
    splits: Mapping[str, str],
) -> list[dict[str, Any]]:
    performance = _performance(base, sorted(present))
    rejected = _rejected(base, sorted(present))
    requested, others = _requested(base)
    planned = plan.ranking.select(["rank", "gene_id", "reason"]).to_pylist()
    known = _genes(base, [*plan.ranking["gene_id"].to_pylist(), *requested])
    if strangers := sorted(set(counts) - {row["gene_id"] for row in planned}):
        raise IntegrityError(f"{master.folder}: has rows of {len(strangers)} genes that are not in the plan, first"
                             f" {strangers[0]}; build its part again")  # fmt: skip
    rows = []
    for taken in planned:
        gene_id, batch = taken["gene_id"], plan.batch_of(taken["rank"])
        found = counts.get(gene_id)
        if found is not None and found.part != present.get(batch):
            raise IntegrityError(f"gene {gene_id} belongs to batch {batch}, but has rows in"
                                 f" {master.parts[found.part].path.name}; build both parts again")  # fmt: skip
        row = gene_columns(known[gene_id]) | status_of(batch in present, found, rejected.get(gene_id))
        row |= {"rank": taken["rank"], "chosen_by": taken["reason"], "requested_as": requested.pop(gene_id, "")}
        row |= {"split": splits.get(gene_id, "")} | base_f1(performance.get(gene_id, []))
        rows.append(placed(row, master.parts, found) if batch in present else row)
    # Listed genes beyond n_genes.
    rows += [
        gene_columns(known[gene_id]) | {"requested_as": entry, "status": LEFT_OUT, "reason": Reason.NOT_CHOSEN}
        for gene_id, entry in requested.items()
    ]
    return rows + others


def _genes(base: Path, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    genes = {row["gene_id"]: row for row in GENES.read(base / "reference" / "genes.parquet").to_pylist()}
    if unknown := sorted(set(wanted) - set(genes)):
        raise IntegrityError(
            f"{base}: {len(unknown)} planned genes are not in the reference tables, first {unknown[0]}; plan again"
        )
    return genes


def _performance(base: Path, batches: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for batch in batches:
        table = PERFORMANCE.read(
            base / "batches" / naming.performance_batch(batch), columns=["gene_id", "splice_type", "TP", "FP", "FN"]
        )
        for row in table.to_pylist():
            found[row["gene_id"]].append(row)
    return found


def _rejected(base: Path, batches: Sequence[int]) -> dict[str, Reason]:
    """Genes that their batch could not build, with the reason."""
    found: dict[str, Reason] = {}
    for batch in batches:
        ledger = Ledger.from_dict(read_json(base / "batches" / naming.batch_ledger(batch)), Reason)
        found |= {row["item"]: Reason(row["reason"]) for row in ledger.rejections if row["kind"] == "gene"}
    return found


def _requested(base: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Entries of the gene file: by gene those that were taken, and rows for all others."""
    taken, others = {}, []
    for row in REQUESTED.read(base / "plan" / REQUESTED_FILE).to_pylist():
        entry = f"{row['entry']} (line {row['line']})"
        if row["status"] == TAKEN:
            taken[row["gene_id"]] = entry
            continue
        named = row["status"] in (Reason.REPEATED_GENE, Reason.MALFORMED_LINE)
        status = LEFT_OUT if named else FAILED
        others.append(
            {"gene_id": row["gene_id"], "requested_as": entry, "status": status, "reason": Reason(row["status"])}
        )
    return taken, others


def _check_failed(rows: Sequence[Mapping[str, Any]], settings: SpliceSettings, out: Path) -> None:
    """Refuse a dataset that lacks too many genes, and write the rows of all genes to `out`, which is else not there.

    It does not stand in `master/`: a reader takes every table there for part of the dataset.
    """
    selection = settings.selection
    limit = selection.max_failed_genes
    if limit is None:
        limit = LARGEST_FAILED_SHARE if selection.gene_file is None else 0.0
    failed, planned = failed_share(rows)
    if len(failed) > limit * planned:
        write_gene_manifest(out, rows)
        shown = ", ".join(failed[:10]) + (f" and {len(failed) - 10} more" if failed[10:] else "")
        raise IntegrityError(
            f"{len(failed)} of {planned} genes failed, more than selection.max_failed_genes = {limit:g} allows:"
            f" {shown}; {out} lists every gene: put right what the reasons name, leave these genes out, or raise the"
            " limit"
        )
    with faults_named(out):
        out.unlink(missing_ok=True)


def _reference(told: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a reference, without paths, which differ from machine to machine."""
    files = {
        name: {"name": Path(told[name]["path"]).name, "sha256": told[name].get("sha256")}
        for name in ("fasta", "annotation")
        if name in told
    }
    names = ("reference_id", "build", "release", "dialect", "counts", "gt_ag_share")
    return {name: told[name] for name in names if name in told} | files


def _provenance(base: Path, settings: SpliceSettings) -> dict[str, Any]:
    """What the rows were made of: reference, base model and settings, each with the hash that a merge compares."""
    shaping = {
        "seed": settings.selection.seed,
        **settings.model_dump(mode="json", include={"labels", "sampling", "features"}),
    }
    selection = settings.selection.model_dump(mode="json", exclude={"gene_file"})
    card = base / "scores" / "model.json"
    return {
        "reference": _reference(read_json(base / "reference" / "reference.json")),
        "model": read_json(card) if card.is_file() else None,
        "params": shaping,
        "params_hash": digest(shaping),
        "selection": selection,
        "plan_ledger": read_json(base / "plan" / LEDGER)["kinds"],
    }
