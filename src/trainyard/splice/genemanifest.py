"""`gene_manifest.csv`: what became of every gene that was asked for, one row each, and none missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from trainyard.splice import naming
from trainyard.splice.genecounts import GeneRows, row_groups
from trainyard.splice.master import Part
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import faults_named
from trainyard.yard.tables import Column, Role, TableContract

KEPT, FAILED, PENDING, LEFT_OUT = "kept", "failed", "pending", "left_out"
"""Values of `status`: in the dataset, if only with no rows; could not be built; its batch is not there yet; asked for,
but not taken."""

_KEY, _META, _NEVER = Role.KEY, Role.METADATA, Role.NEVER_A_FEATURE
I32, I64, F64, TEXT = pa.int32(), pa.int64(), pa.float64(), pa.string()

GENE_MANIFEST = TableContract(
    "splice_gene_manifest",
    (
        Column(
            "global_index", I32, _KEY, description="0-based number among the genes of the dataset; empty: not in it"
        ),
        Column("gene_id", TEXT, _KEY, description="gene; empty: the entry names none"),
        Column("gene_name", TEXT, _META, description="symbol"),
        Column("gene_type", TEXT, _META, description="biotype"),
        Column("chrom", TEXT, _META, description="contig of the genome"),
        Column("strand", TEXT, _META, description="+ or -"),
        Column("gene_length", I32, _META, "nt", "length of the locus"),
        Column("start", I64, _META, "nt", "first base, 1-based"),
        Column("end", I64, _META, "nt", "last base, 1-based"),
        Column("total_splice_sites", I32, _META, description="unique annotated sites"),
        Column("donor_sites", I32, _META, description="unique annotated donors"),
        Column("acceptor_sites", I32, _META, description="unique annotated acceptors"),
        Column("splice_density_per_kb", F64, _META, "1/kb", "total_splice_sites per 1,000 bases"),
        Column("file_index", I32, _META, description="1-based number of the part that holds its rows"),
        Column("file_name", TEXT, _META, description="that part"),
        Column("first_row_group", I32, _META, description="first row group (0-based) with its rows"),
        Column("last_row_group", I32, _META, description="last row group with its rows"),
        Column("n_rows", I32, _META, description="rows"),
        Column("n_neither", I32, _NEVER, description="rows with label 0"),
        Column("n_donor", I32, _NEVER, description="rows with label 1"),
        Column("n_acceptor", I32, _NEVER, description="rows with label 2"),
        Column("n_tp", I32, _NEVER, description="rows with outcome TP"),
        Column("n_fp", I32, _NEVER, description="rows with outcome FP"),
        Column("n_fn", I32, _NEVER, description="rows with outcome FN"),
        Column("n_tn", I32, _NEVER, description="rows with outcome TN"),
        Column(
            "n_rows_before_trimming", I64, _META, description="sum of sample_weight: positions that the rows stand for"
        ),
        Column(
            "base_f1", F64, _NEVER, description="F1 of the base model, both types pooled; empty: no site and no call"
        ),
        Column("base_f1_donor", F64, _NEVER, description="the same, donors"),
        Column("base_f1_acceptor", F64, _NEVER, description="the same, acceptors"),
        Column("split", TEXT, _META, description="train, val, test or none; empty: not assigned"),
        Column("locus_cluster", TEXT, _META, description="genes joined by overlap on one strand"),
        Column("rank", I32, _META, description="0-based place in the ranking"),
        Column("chosen_by", TEXT, _META, description="gene_file, or the policy"),
        Column("requested_as", TEXT, _META, description="entry of the gene file, with its line"),
        Column("status", TEXT, _META, description="kept, failed, pending or left_out", nullable=False),
        Column("reason", TEXT, _META, description="why, where something is missing; see the list of reasons"),
    ),
)

_PLACE = ("file_index", "file_name", "first_row_group", "last_row_group")


def gene_columns(gene: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of GENES says of a gene."""
    same = ("gene_id", "gene_name", "gene_type", "chrom", "strand", "start", "end", "locus_cluster")
    sites = gene["n_donors"] + gene["n_acceptors"]
    return {name: gene[name] for name in same} | {
        "gene_length": gene["length"],
        "total_splice_sites": sites,
        "donor_sites": gene["n_donors"],
        "acceptor_sites": gene["n_acceptors"],
        "splice_density_per_kb": sites / (gene["length"] / 1000),
    }


def row_columns(rows: GeneRows) -> dict[str, Any]:
    """How many rows a gene has."""
    names = ("n_neither", "n_donor", "n_acceptor", "n_tp", "n_fp", "n_fn", "n_tn")
    counts = [*rows.labels.tolist(), *rows.outcomes.tolist()]
    return dict(zip(names, counts, strict=True)) | {
        "n_rows": rows.rows,
        "n_rows_before_trimming": round(rows.weight),
    }


def placed(row: Mapping[str, Any], parts: Sequence[Part], rows: GeneRows | None) -> dict[str, Any]:
    """A row of the gene manifest with what holds now: how many rows the gene has, in which part and row groups."""
    if rows is None:
        return {**row, **row_columns(GeneRows(0)), **dict.fromkeys(_PLACE)}
    path = parts[rows.part].path
    place = (naming.parse_part(path.name), path.name, *row_groups(path, rows))
    return {**row, **row_columns(rows), **dict(zip(_PLACE, place, strict=True))}


def base_f1(performance: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """F1 of the base model on a gene, from its rows of PERFORMANCE (one per site type)."""
    found = {f"base_f1_{row['splice_type']}": _f1([row]) for row in performance}
    return found | {"base_f1": _f1(performance)}


def write_gene_manifest(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table, numbering the genes of the dataset in the order of the rows."""
    number = 0
    numbered = []
    for row in rows:
        mine = {name: None if value == "" else value for name, value in row.items()} | {"global_index": None}
        if row["status"] == KEPT:
            mine["global_index"], number = number, number + 1
        numbered.append(mine)
    GENE_MANIFEST.write_csv(path, GENE_MANIFEST.table(numbered))


def read_gene_manifest(path: Path) -> pa.Table:
    """Read the table with the types of its contract, whatever the text looks like; empty is null.

    Raises:
        IntegrityError: It is missing or not such a table.
    """
    types = {column.name: column.type for column in GENE_MANIFEST.columns}
    convert = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    try:
        with faults_named(path):
            table = pa_csv.read_csv(path, convert_options=convert)
    except (OSError, pa.ArrowInvalid) as error:
        raise IntegrityError(f"{path}: cannot be read as a gene manifest ({error}); assemble again") from error
    GENE_MANIFEST.check(table)
    return table.select(list(GENE_MANIFEST.names))


def failed_share(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Genes that failed, with their reasons, and how many were to be built."""
    planned = [row for row in rows if row["status"] in (KEPT, FAILED)]
    failed = [
        f"{row['gene_id'] or row['requested_as']} ({row['reason']})" for row in planned if row["status"] == FAILED
    ]
    return failed, len(planned)


def status_of(batch_is_there: bool, rows: GeneRows | None, rejected: Reason | None) -> dict[str, Any]:
    """Status and reason of a planned gene."""
    if not batch_is_there:
        return {"status": PENDING, "reason": ""}
    if rejected is not None:
        return {"status": FAILED, "reason": rejected}
    return {"status": KEPT, "reason": "" if rows is not None else Reason.NO_ROWS}


def _f1(performance: Sequence[Mapping[str, Any]]) -> float | None:
    tp, fp, fn = (sum(row[name] for row in performance) for name in ("TP", "FP", "FN"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
