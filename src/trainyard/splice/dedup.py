"""Deduplication, in two views, with a table of every row that goes.

- **key**: rows of one position of one gene. A dataset of ours has none, by construction; one of another program may.
  The first of them stays.
- **genomic**: rows of one base of one strand, seen from overlapping genes. The row of the gene that owns an annotated
  site there stays; else that of the longest gene; else that of the lexically first. After this view a gene no longer
  has all of its rows: split and weigh with that in mind.

Parts without such rows are linked, the others are written anew without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainyard.splice import naming
from trainyard.splice.folders import check_absent, new_folder
from trainyard.splice.genecounts import count_rows
from trainyard.splice.genemanifest import KEPT, placed, read_gene_manifest, write_gene_manifest
from trainyard.splice.manifest import make_manifest
from trainyard.splice.master import Master, Part, stream_part
from trainyard.splice.reasons import Reason
from trainyard.splice.rows import link_or_copy
from trainyard.splice.sources import Source, labels_of, need_columns, open_source
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_path, write_json
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tables import Column, Role, TableContract

View = Literal["key", "genomic"]
ROWS_AT_ONCE = 2_000_000
"""Rows whose keys are held in memory together; strands of contigs are packed up to it."""

DEDUP_AUDIT = TableContract(
    "splice_dedup_audit",
    (
        Column("file", pa.string(), Role.KEY, description="part that held the row", nullable=False),
        Column("row", pa.int64(), Role.KEY, description="0-based number of the row in it", nullable=False),
        Column("view", pa.string(), Role.METADATA, description="key or genomic", nullable=False),
        Column("why", pa.string(), Role.METADATA, description="what the kept row has over this one", nullable=False),
        Column("gene_id", pa.string(), Role.METADATA, description="gene of the dropped row", nullable=False),
        Column("position", pa.int32(), Role.METADATA, "nt", "its index in the gene", nullable=False),
        Column("label", pa.int8(), Role.NEVER_A_FEATURE, description="its label"),
        Column("chrom", pa.string(), Role.METADATA, description="contig"),
        Column("strand", pa.string(), Role.METADATA, description="+ or -"),
        Column("exon_pos", pa.int64(), Role.METADATA, "nt", "base on the contig, 1-based"),
        Column("kept_gene_id", pa.string(), Role.METADATA, description="gene of the row that stays", nullable=False),
        Column("kept_file", pa.string(), Role.METADATA, description="part that holds it", nullable=False),
        Column("kept_row", pa.int64(), Role.METADATA, description="its number there, before", nullable=False),
    ),
)
"""Rows dropped, by view, strand and place."""


@dataclass(frozen=True)
class Report:
    """What deduplication found."""

    rows: int
    """Rows before."""
    dropped: Mapping[str, int]
    """Rows that went, by view."""
    left: Mapping[str, int]
    """Rows that are still there twice, by view, counted anew in what was written; empty if nothing was written."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with rates."""
        after = self.rows - sum(self.dropped.values())
        return {
            "rows_before": self.rows,
            "rows_after": after,
            "dropped": dict(self.dropped),
            "duplicate_rate_before": {view: n / max(self.rows, 1) for view, n in self.dropped.items()},
            "duplicate_rate_after": {view: n / max(after, 1) for view, n in self.left.items()},
        }


def dedup(folder: Path, out: Path, *, genomic: bool = False, allow_partial: bool = False) -> Report:
    """Write a dataset without repeated rows, `dedup_audit.parquet` and `dedup.json`.

    The new dataset is `out/master`: one of ours has manifest and receipts, one of another program keeps its file names.

    Args:
        folder: The dataset.
        out: Folder of the new one; must not exist.
        genomic: Also collapse bases that overlapping genes share.
        allow_partial: Take what is finished of an incomplete dataset.

    Raises:
        InputError: Columns are missing, or `out` exists.
        IntegrityError: The dataset is damaged, or rows are still there twice afterwards.
    """
    check_absent(out)
    source = open_source(folder, allow_partial=allow_partial)
    with new_folder(out) as part:
        told = part / "dedup_audit.parquet"
        with DEDUP_AUDIT.writer(told) as writer:
            for table in find_repeats(source, genomic=genomic):
                writer.write_table(table)
        table = DEDUP_AUDIT.read(told, columns=["file", "row", "view"])
        drop = {
            name: table.filter(pc.equal(table["file"], name))["row"] for name in pc.unique(table["file"]).to_pylist()
        }
        target = part / "master"
        parts = [_write_part(path, target, source, drop.get(_name(path, source))) for path in source.files]
        if source.master:
            _write_manifest(source.master, parts, target, genomic=genomic)
            record = source.master.folder.parent / naming.PERFORMANCE
            if record.is_file():  # of whole genes, so no row that goes changes it
                link_or_copy(record, part / naming.PERFORMANCE)
        left = audit(target, genomic=genomic, allow_partial=True).dropped
        counts = {view: pc.sum(pc.equal(table["view"], view)).as_py() or 0 for view in left}
        report = Report(source.rows, counts, left)
        if any(left.values()):
            raise IntegrityError(f"{folder}: rows are still there twice after deduplication: {left}")
        write_json(part / "dedup.json", report.to_dict())
    return report


def audit(folder: Path, *, genomic: bool = False, allow_partial: bool = False) -> Report:
    """Count what `dedup` would drop, and write nothing; see there for arguments and errors."""
    source = open_source(folder, allow_partial=allow_partial)
    counts: dict[str, int] = dict.fromkeys(_views(genomic), 0)
    for table in find_repeats(source, genomic=genomic):
        for view in counts:
            counts[view] += pc.sum(pc.equal(table["view"], view)).as_py() or 0
    return Report(source.rows, counts, {})


def find_repeats(source: Source, *, genomic: bool) -> Iterator[pa.Table]:
    """Rows that are to go, under the contract DEDUP_AUDIT, some strands of contigs at a time.

    Raises:
        InputError: Columns are missing.
    """
    names = ["gene_id", "position", "chrom", "strand"]
    need_columns(source, names, purpose="dedup")
    if genomic:
        names += ["exon_pos", "gene_start", "gene_end"]
        need_columns(source, names, purpose="dedup --genomic")
        if not {"label", "splice_type"} & set(source.columns()):
            need_columns(source, ["label"], purpose="dedup --genomic")
    names += [name for name in ("label", "splice_type") if name in source.columns()]
    for strands in _packed(source):
        keys = pa.concat_tables(_keys(source, names, strands)).combine_chunks()
        repeated = _repeats(keys, ["gene_id", "position"], [], "key")
        yield repeated
        if genomic:
            gone = pa.concat_tables([repeated.select(["file", "row"])])
            keys = keys.join(gone, ["file", "row"], join_type="left anti")
            best = [("site", "descending"), ("length", "descending"), ("gene_id", "ascending")]
            yield _repeats(keys, ["chrom", "strand", "exon_pos"], best, "genomic")


def _views(genomic: bool) -> tuple[View, ...]:
    return ("key", "genomic") if genomic else ("key",)


def _packed(source: Source) -> Iterator[pa.Array]:
    """Strands, as contig and sign in one word, in groups of a bounded number of rows."""
    counts: dict[str, int] = {}
    for path in source.files:
        for table in stream_part(path, ["chrom", "strand"]):
            for found in pc.value_counts(_strand(table)).to_pylist():
                counts[found["values"]] = counts.get(found["values"], 0) + found["counts"]
    group: list[str] = []
    rows = 0
    for strand in sorted(counts):
        if group and rows + counts[strand] > ROWS_AT_ONCE:
            yield pa.array(group)
            group, rows = [], 0
        group.append(strand)
        rows += counts[strand]
    yield pa.array(group, pa.string())


def _strand(table: pa.Table) -> pa.ChunkedArray:
    chrom, strand = (pc.fill_null(table[name].cast(pa.string()), "") for name in ("chrom", "strand"))
    return pc.binary_join_element_wise(chrom, strand, " ")


def _keys(source: Source, names: Sequence[str], strands: pa.Array) -> Iterator[pa.Table]:
    """Keys of the rows on some strands."""
    for path in source.files:
        first = 0
        for table in stream_part(path, names):
            number = pa.array(np.arange(first, first + table.num_rows, dtype=np.int64))
            first += table.num_rows
            name = pa.repeat(_name(path, source), table.num_rows)
            found = table.append_column("row", number).append_column("file", name)
            yield _typed(found.filter(pc.is_in(_strand(table), strands)))


def _typed(table: pa.Table) -> pa.Table:
    """The columns of the audit, and what the genomic view goes by; null where the dataset does not have them."""
    n = table.num_rows
    columns: dict[str, Any] = {
        name: table[name].cast(DEDUP_AUDIT.schema.field(name).type)
        for name in ("file", "row", "gene_id", "position", "chrom", "strand", "exon_pos")
        if name in table.column_names
    }
    columns.setdefault("exon_pos", pa.nulls(n, pa.int64()))
    if "label" in table.column_names:
        columns["label"] = table["label"].cast(pa.int8())
    elif "splice_type" in table.column_names:
        columns["label"] = labels_of(table["splice_type"])
    else:
        columns["label"] = pa.nulls(n, pa.int8())
    columns["site"] = pc.fill_null(pc.greater(columns["label"], 0), False)
    if "gene_end" in table.column_names:
        columns["length"] = pc.subtract(table["gene_end"].cast(pa.int64()), table["gene_start"].cast(pa.int64()))
    else:
        columns["length"] = pa.nulls(n, pa.int64())
    return pa.table(columns)


def _repeats(keys: pa.Table, same: Sequence[str], best: Sequence[tuple[str, str]], view: View) -> pa.Table:
    """All but the best row of each group of rows with the same key."""
    order = [(name, "ascending") for name in same] + [*best, ("file", "ascending"), ("row", "ascending")]
    rows = keys.sort_by(order)
    starts = np.ones(rows.num_rows, np.bool_)
    for i, name in enumerate(same):
        column = rows[name]
        differs = pc.fill_null(
            pc.not_equal(column.slice(1), column.slice(0, max(len(column) - 1, 0))), False
        ).to_numpy()
        starts[1:] = differs | starts[1:] if i else differs
    # Index of the best row of each row's group.
    head = np.maximum.accumulate(np.where(starts, np.arange(rows.num_rows), 0))
    dropped, kept = rows.filter(pa.array(~starts)), rows.take(pa.array(head[~starts]))
    found = {name: dropped[name] for name in DEDUP_AUDIT.names if name in dropped.column_names}
    found |= {"view": pa.repeat(view, dropped.num_rows), "why": _why(dropped, kept, view)}
    found |= {f"kept_{name}": kept[name] for name in ("gene_id", "file", "row")}
    return pa.table({name: found[name] for name in DEDUP_AUDIT.names}).cast(DEDUP_AUDIT.schema)


def _why(dropped: pa.Table, kept: pa.Table, view: View) -> pa.Array:
    if view == "key":
        return pa.repeat(Reason.REPEATED_ROW.value, dropped.num_rows)
    owns = pc.and_not(kept["site"], dropped["site"])
    longer = pc.and_(pc.equal(kept["site"], dropped["site"]), pc.greater(kept["length"], dropped["length"]))
    return pc.case_when(pc.make_struct(owns, longer), "owns the site", "longer gene", "lexically first gene")


def _name(path: Path, source: Source) -> str:
    return path.relative_to(source.folder).as_posix()


def _write_part(path: Path, folder: Path, source: Source, drop: pa.ChunkedArray | None) -> Part:
    target = folder / _name(path, source)
    if drop is None:
        link_or_copy(path, target)
    else:
        keep = np.ones(pq.read_metadata(path).num_rows, np.bool_)
        keep[drop.to_numpy()] = False
        _write_kept(path, target, keep, source)
    schema = source.master.contract.digest if source.master else None
    return Part(target, write_receipt(target, records=pq.read_metadata(target).num_rows, schema=schema))


def _write_kept(path: Path, target: Path, keep: NDArray[np.bool_], source: Source) -> None:
    first = 0
    if source.master:
        with source.master.contract.writer(target) as rows:
            for table in stream_part(path):
                rows.write_table(table.filter(pa.array(keep[first : first + table.num_rows])))
                first += table.num_rows
        return
    with atomic_path(target) as part, pq.ParquetWriter(part, pq.read_schema(path), compression="zstd") as file:
        for table in stream_part(path):
            file.write_table(table.filter(pa.array(keep[first : first + table.num_rows])))
            first += table.num_rows


def _write_manifest(old: Master, parts: Sequence[Part], folder: Path, *, genomic: bool) -> None:
    if old.manifest is None:
        raise InputError(f"{old.folder}: has no {naming.MANIFEST}; assemble the dataset first")
    counts = count_rows(parts)
    rows = []
    for row in read_gene_manifest(old.folder / naming.GENE_MANIFEST).to_pylist():
        now = placed(row, parts, counts.get(row["gene_id"])) if row["status"] == KEPT else row
        emptied = row["n_rows"] and not now["n_rows"]
        rows.append(now | {"reason": Reason.REPEATED_ROW} if emptied else now)
    write_gene_manifest(folder / naming.GENE_MANIFEST, rows)
    manifest = make_manifest(
        parts, old.contract, counts, rows, status=old.status, planned=old.manifest["parts_planned"]
    )
    told = {key: value for key, value in old.manifest.items() if key not in manifest}
    told |= {"deduplicated": list(_views(genomic)), "deduplicated_from": old.manifest["dataset_id"]}
    write_json(folder / naming.MANIFEST, told | manifest)
