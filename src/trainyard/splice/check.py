"""The contract of a finished dataset: twelve checks, in streams of bounded memory.

What cannot be checked, since nothing is there to compare with, is said to be not checked, never passed. Checks 10 and
12 speak of leakage, all others of integrity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainyard.splice import naming, verdicts
from trainyard.splice.columnchecks import ColumnFacts, column_facts
from trainyard.splice.gate import reported
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import Master, inspect_master, read_manifest
from trainyard.splice.plan import planned_genes, read_ranking
from trainyard.splice.planfiles import LEDGER, RANKING_FILE
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference
from trainyard.splice.rowchecks import COLUMNS, RowChecks
from trainyard.splice.rowsample import share_of
from trainyard.splice.settings import SpliceLabelSettings, SpliceSettings
from trainyard.splice.splittable import read_splits
from trainyard.splice.verdicts import Finding
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger

SAMPLE_ROWS = 200_000
"""Rows that the probes look at."""
_LEAKS = frozenset({10, 12})


@dataclass(frozen=True)
class Report:
    """What all checks found."""

    folder: Path
    status: str
    rows: int
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; paths are left out, so that equal datasets give equal bytes."""
        checks = [finding.to_dict() for finding in self.findings]
        return {"status": self.status, "rows": self.rows, "sample_rows": SAMPLE_ROWS, "checks": checks}

    def raise_failures(self) -> None:
        """End with the failed checks, if there are any.

        Raises:
            IntegrityError: A check of integrity failed.
            LeakageError: Only checks of leakage failed.
        """
        failed = [finding for finding in self.findings if finding.passed is False]
        if not failed:
            return
        lines = "\n".join(finding.line() for finding in failed)
        leaks_only = all(finding.number in _LEAKS for finding in failed)
        kind = LeakageError if leaks_only else IntegrityError
        raise kind(f"{self.folder}: {len(failed)} of {len(self.findings)} checks failed\n{lines}")


def check_dataset(
    folder: Path,
    *,
    reference: Reference | None = None,
    with_genome: bool = True,
    planned: Iterable[str] | None = None,
    splits: pa.Table | None = None,
    allow_partial: bool = False,
    min_motif_share: float = 0.95,
) -> Report:
    """Run all checks on a dataset.

    Args:
        folder: `master/`, or the folder that holds it.
        reference: Reference that it was built with.
        with_genome: Compare bases with the genome of the reference.
        planned: Genes that were to be built; None takes the word of the gene manifest.
        splits: Table with columns gene_id, locus_cluster and split; None takes those of the gene manifest.
        allow_partial: Check an incomplete dataset.
        min_motif_share: Least share of GT among donors, and of AG among acceptors.

    Raises:
        InputError: There is no finished dataset, or its reference is another one.
        IntegrityError: A part is missing or damaged, so nothing else can be said.
    """
    master = inspect_master(folder, allow_partial=allow_partial)
    params = (master.manifest or {}).get("params") or {}
    _check_reference(master, reference)
    labels = SpliceLabelSettings.model_validate(params["labels"]) if "labels" in params else None
    rows = _stream_rows(master, labels, reference, with_genome=with_genome)
    facts = list(_stream_columns(master, rows))
    genes = _gene_manifest(master)
    return Report(
        master.folder,
        master.status,
        master.rows,
        (
            verdicts.schema(master, params),
            verdicts.of_rows(2, rows.keys),
            verdicts.of_rows(3, rows.probabilities),
            verdicts.of_rows(4, rows.outcomes, "the settings of labels are not known" if labels is None else ""),
            verdicts.sites(master, rows, reference, labels),
            verdicts.of_rows(6, rows.coordinates, verdicts.unknown(reference, with_genome)),
            verdicts.motifs(rows, min_motif_share),
            verdicts.values(master, facts),
            verdicts.genes(rows, genes, planned),
            verdicts.leaks(master, facts, rows),
            verdicts.constants(master, facts),
            verdicts.splits(rows, genes, splits),
        ),
    )


def check_build(base: Path, settings: SpliceSettings, *, splits: Path | None = None) -> Report:
    """Check the dataset of a finished build and its ledgers; writes `check/check.json` and `check/ledger.json`.

    Where a check fails, `check/check_refused.json` is written instead.

    Args:
        base: Folder of the line.
        settings: What it was built with.
        splits: Table of splits, where there is one.

    Raises:
        InputError, IntegrityError, LeakageError: See `check_dataset` and `Report.raise_failures`; items were lost.
    """
    ranking = read_ranking(base / "plan" / RANKING_FILE, columns=["rank", "gene_id"])
    planned = planned_genes(ranking, settings.selection.n_genes)["gene_id"].to_pylist()
    manifest = read_manifest(base / "master")
    if manifest is None:
        raise InputError(f"{base / 'master'}: has no {naming.MANIFEST}; assemble the dataset first")
    ledgers = _ledgers(base, manifest["parts_planned"])
    report = check_dataset(
        base / "master",
        reference=Reference(base / "reference"),
        planned=planned,
        splits=None if splits is None else read_splits(splits),
        min_motif_share=settings.inputs.min_motif_share,
    )
    _check_ledger(ledgers["batches"], report, planned)
    write_json(base / "check" / "ledger.json", {name: ledger.to_dict() for name, ledger in ledgers.items()})
    with reported(base / "check" / "check.json", report.to_dict()):
        report.raise_failures()
    return report


def _ledgers(base: Path, batches: int) -> dict[str, Ledger]:
    """Ledgers of the stages; the sums of each hold."""
    paths = [base / "batches" / naming.batch_ledger(batch) for batch in range(1, batches + 1)]
    found = {
        "reference": Ledger.from_dict(read_json(base / "reference" / "ledger.json"), Reason),
        "plan": Ledger.from_dict(read_json(base / "plan" / LEDGER), Reason),
        "batches": Ledger.merge([Ledger.from_dict(read_json(path), Reason) for path in paths]),
    }
    for ledger in found.values():
        ledger.check()
    return found


def _check_ledger(ledger: Ledger, report: Report, planned: Sequence[str]) -> None:
    """What the batches account for is what was planned, and what the parts hold.

    Raises:
        IntegrityError: It is not.
    """
    told = {
        "genes in the plan": (len(planned), ledger.expected("gene")),
        "rows in the parts": (report.rows, ledger.kept("position")),
    }
    for what, (listed, accounted) in told.items():
        if listed != accounted:
            raise IntegrityError(f"{listed} {what}, but the batches account for {accounted}; build again")


def _check_reference(master: Master, reference: Reference | None) -> None:
    stated = ((master.manifest or {}).get("reference") or {}).get("reference_id")
    if reference is not None and stated not in (None, reference.reference_id):
        raise InputError(
            f"{reference.folder}: is reference {reference.reference_id}, the dataset was built with {stated}; give the"
            " folder `reference` of its run"
        )


def _stream_rows(
    master: Master, labels: SpliceLabelSettings | None, reference: Reference | None, *, with_genome: bool
) -> RowChecks:
    genes = None if reference is None else {row["gene_id"]: row for row in reference.genes.to_pylist()}
    genome = reference.genome if reference is not None and with_genome else None
    rows = RowChecks(labels, genes=genes, genome=genome, share=share_of(master.rows, SAMPLE_ROWS))
    part, first = 0, 0
    for index, table in master.stream(COLUMNS):
        if index != part:
            rows.end_part(master.parts[part].path.name)
            part, first = index, 0
        rows.see(index, master.parts[index].path.name, first, table)
        first += table.num_rows
    rows.end_part(master.parts[part].path.name)
    return rows


def _stream_columns(master: Master, rows: RowChecks) -> Iterator[ColumnFacts]:
    paths = [part.path for part in master.parts]
    return column_facts(paths, master.contract.names, rows.sample, share=share_of(master.rows, SAMPLE_ROWS))


def _gene_manifest(master: Master) -> list[dict[str, Any]]:
    path = master.folder / naming.GENE_MANIFEST
    return list(read_gene_manifest(path).to_pylist()) if path.is_file() else []
