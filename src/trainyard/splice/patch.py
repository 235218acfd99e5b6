"""Patching: gene and transcript structure, gene type and label for datasets of another program.

A dataset of ours needs no patch: its structure is joined by gene and never null. In the published layout, columns of
transcripts are null exactly where a row is no annotated site, so their nulls spell out the label, and filling only the
nulls would leave another trace. Therefore **every** row gets the structure of its gene and of the gene's representative
transcript anew, whatever stood there, and the flags that say whether a row had a transcript are taken out.

Positions are left as they are. How far labelled rows are from annotated sites is counted, since the published pipeline
shifted some of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainyard.splice.folders import check_absent, new_folder
from trainyard.splice.master import stream_part
from trainyard.splice.reference import Reference
from trainyard.splice.schema import UNKNOWN_TYPE
from trainyard.splice.sources import labels_of, need_columns, open_source
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import write_json
from trainyard.yard.receipts import write_receipt

FLAGS = ("has_tx_info", "has_gene_info", "missing_transcript_feats")
"""Published columns that say whether a row had a transcript, which is its label; taken out."""
OFFSETS = 5
"""Labelled rows are compared with annotated sites within so many bases."""
_TYPE_VARIANT = re.compile(r"gene_(bio)?type(_\w+)?")
_STRUCTURE: dict[str, pa.DataType] = {
    "chrom": pa.string(),
    "strand": pa.string(),
    "gene_name": pa.string(),
    "gene_type": pa.string(),
    "gene_start": pa.int64(),
    "gene_end": pa.int64(),
    "gene_length": pa.int64(),
    "tx_start": pa.int64(),
    "tx_end": pa.int64(),
    "transcript_length": pa.int64(),
    "num_exons": pa.int64(),
    "avg_exon_length": pa.float64(),
    "median_exon_length": pa.float64(),
    "total_exon_length": pa.int64(),
    "total_intron_length": pa.int64(),
    "n_splice_sites": pa.int64(),
    "num_overlaps": pa.int64(),
}
"""Columns that come with the gene, under their published names; `transcript_length` is the span on the genome."""
_PLACES = ("absolute_position", "exon_pos", "distance_to_start", "distance_to_end")
"""Columns that come with gene and position; the first two are the same, under the published name and ours."""


@dataclass
class Report:
    """What a patch did."""

    rows: int = 0
    files: int = 0
    unknown_genes: Counter[str] = field(default_factory=Counter)
    """Rows of genes that the reference does not have."""
    nulls_before: Counter[str] = field(default_factory=Counter)
    nulls_after: Counter[str] = field(default_factory=Counter)
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    gene_types: Counter[str] = field(default_factory=Counter)
    offsets: dict[str, Counter[str]] = field(default_factory=lambda: {"donor": Counter(), "acceptor": Counter()})
    """Labelled rows by how far downstream of the nearest annotated site of their type they stand; `far`: further."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rows": self.rows,
            "files": self.files,
            "unknown_genes": dict(sorted(self.unknown_genes.items())),
            "nulls_before": dict(sorted(self.nulls_before.items())),
            "nulls_after": dict(sorted(self.nulls_after.items())),
            "columns_added": self.added,
            "columns_dropped": self.dropped,
            "gene_types": dict(sorted(self.gene_types.items())),
            "offset_to_annotated_site": {kind: dict(sorted(n.items())) for kind, n in self.offsets.items()},
        }


def patch(
    folder: Path,
    out: Path | None,
    reference: Reference,
    *,
    allow_unknown: bool = False,
    expected_gene_type: str = "",
) -> Report:
    """Write a patched copy of a foreign dataset, with receipts and `patch.json`.

    Args:
        folder: The dataset: Parquet files with columns gene_id and position (0-based, transcript direction).
        out: Folder of the new one, which gets `master/`; must not exist. None replaces the dataset's folder itself and
            keeps what stood there beside it, under its name and `.unpatched`.
        reference: Reference of the annotation that the dataset was made with.
        allow_unknown: Keep rows of genes that the reference does not have, without structure.
        expected_gene_type: Refuse genes of other types.

    Raises:
        InputError: A dataset of ours, missing columns, a target that exists, or genes that the reference does not have.
        IntegrityError: Positions or strands that do not fit the reference, or genes of other types than expected.
    """
    source = open_source(folder)
    if source.master is not None:
        raise InputError(f"{source.folder}: is a dataset of this workflow, which has no gaps to patch; build it again")
    if out is None and not folder.is_dir():
        raise InputError(f"{folder}: only a whole folder can be patched in place; name a folder for the result")
    need_columns(source, ["gene_id", "position"], purpose="patch")
    kept = source.folder.with_name(f"{source.folder.name}.unpatched")
    check_absent(kept if out is None else out)
    lookup = _Lookup(reference)
    report = Report(files=len(source.files))
    with new_folder(kept.with_suffix(".new") if out is None else out) as part:
        for path in source.files:
            name = path.relative_to(source.folder)
            _patch_file(path, part / name if out is None else part / "master" / name, lookup, report)
        _check(report, source.folder, allow_unknown=allow_unknown, expected_gene_type=expected_gene_type)
        if out is not None:
            write_json(part / "patch.json", report.to_dict())
    if out is None:
        source.folder.rename(kept)
        kept.with_suffix(".new").rename(source.folder)
    return report


class _Lookup:
    """What the reference says of a gene, by gene."""

    def __init__(self, reference: Reference) -> None:
        self.folder = reference.folder
        genes, transcripts = reference.genes, reference.transcripts
        place = pc.index_in(genes["rep_transcript_id"], transcripts["transcript_id"].combine_chunks())
        spans = [pc.coalesce(transcripts[name].take(place), genes[name]) for name in ("start", "end")]
        columns = {
            "chrom": genes["chrom"],
            "strand": genes["strand"],
            "gene_name": genes["gene_name"],
            "gene_type": genes["gene_type"],
            "gene_start": genes["start"],
            "gene_end": genes["end"],
            "gene_length": genes["length"],
            "tx_start": spans[0],
            "tx_end": spans[1],
            "transcript_length": pc.add(pc.subtract(spans[1], spans[0]), 1),
            "num_exons": genes["rep_num_exons"],
            "avg_exon_length": genes["rep_avg_exon_length"],
            "median_exon_length": genes["rep_median_exon_length"],
            "total_exon_length": genes["rep_spliced_length"],
            "total_intron_length": genes["rep_total_intron_length"],
            "n_splice_sites": pc.add(genes["n_donors"], genes["n_acceptors"]),
            "num_overlaps": pc.add(genes["overlap_same_strand"], genes["overlap_opposite_strand"]),
        }
        self.table = pa.table({name: columns[name].cast(kind) for name, kind in _STRUCTURE.items()}).combine_chunks()
        self.ids = genes["gene_id"].combine_chunks()
        sites = reference.sites.select(["gene_id", "site_type", "t"])
        gene = pc.index_in(sites["gene_id"], self.ids).to_numpy().astype(np.int64)
        codes = (gene << 32) | sites["t"].to_numpy()
        of_type = {kind: pc.equal(sites["site_type"], kind).to_numpy() for kind in ("donor", "acceptor")}
        self.sites: dict[str, NDArray[np.int64]] = {kind: np.sort(codes[mine]) for kind, mine in of_type.items()}

    def places(self, gene_id: pa.ChunkedArray) -> pa.Array:
        """Row of each gene, with or without its version; null for an unknown one."""
        text = gene_id.cast(pa.string())
        bare = pc.replace_substring_regex(text, r"\.\d+(_PAR_Y)?$", r"\1")
        return pc.coalesce(pc.index_in(text, self.ids), pc.index_in(bare, self.ids)).combine_chunks()


def _patch_file(path: Path, target: Path, lookup: _Lookup, report: Report) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in _patched(path, lookup, report):
            writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd", write_page_checksum=True)
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    report.rows += rows
    write_receipt(target, records=rows)


def _patched(path: Path, lookup: _Lookup, report: Report) -> Iterator[pa.Table]:
    empty = pq.read_schema(path).empty_table()
    pieces = stream_part(path) if pq.read_metadata(path).num_rows else iter([empty])
    for table in pieces:
        gene = lookup.places(table["gene_id"])
        _check_places(table, gene, lookup, path)
        new = _structure(table, gene, lookup)
        if "label" not in table.column_names and "splice_type" in table.column_names:
            new["label"] = labels_of(table["splice_type"])
        drop = [name for name in table.column_names if name in FLAGS or _is_other_type(name)]
        report.dropped = sorted({*report.dropped, *drop})
        report.added += [name for name in new if name not in table.column_names and name not in report.added]
        _count(table, new, gene, lookup, report)
        yield _replaced(table.drop_columns(drop), new)


def _structure(table: pa.Table, gene: pa.Array, lookup: _Lookup) -> dict[str, Any]:
    found = lookup.table.take(gene)
    new = {name: found[name] for name in _STRUCTURE}
    new["gene_type"] = pc.fill_null(new["gene_type"], UNKNOWN_TYPE)
    position = table["position"].cast(pa.int64())
    plus = pc.equal(new["strand"], "+")
    start, end = new["gene_start"], new["gene_end"]
    place = pc.if_else(plus, pc.add(start, position), pc.subtract(end, position))
    places = (place, place, pc.subtract(place, start), pc.subtract(end, place))
    return new | dict(zip(_PLACES, places, strict=True))


def _replaced(table: pa.Table, new: Mapping[str, Any]) -> pa.Table:
    """The table with columns replaced where they stood, and the others after them."""
    columns = {name: new.get(name, table[name]) for name in table.column_names}
    return pa.table(columns | {name: values for name, values in new.items() if name not in columns})


def _check_places(table: pa.Table, gene: pa.Array, lookup: _Lookup, path: Path) -> None:
    """Refuse positions and strands that cannot be of this reference.

    Raises:
        IntegrityError: Some are not.
    """
    length = lookup.table["gene_length"].take(gene)
    position = table["position"].cast(pa.int64())
    outside = pc.or_(pc.less(position, 0), pc.greater_equal(position, length))
    wrong = {"position lies outside of the gene": outside}
    if "strand" in table.column_names and pa.types.is_string(table["strand"].type):
        wrong["strand is the other one"] = pc.not_equal(table["strand"], lookup.table["strand"].take(gene))
    for what, rows in wrong.items():
        found = table.filter(pc.fill_null(rows, False))
        if found.num_rows:
            raise IntegrityError(
                f"{path}: {found.num_rows} rows whose {what}, first gene {found['gene_id'][0]}, position"
                f" {found['position'][0]}, in the reference {lookup.folder}; the dataset was made with another"
                " annotation or build: give its reference"
            )


def _count(table: pa.Table, new: Mapping[str, Any], gene: pa.Array, lookup: _Lookup, report: Report) -> None:
    unknown = table["gene_id"].filter(pc.is_null(gene))
    report.unknown_genes.update(unknown.cast(pa.string()).to_pylist())
    report.gene_types.update({v["values"]: v["counts"] for v in pc.value_counts(new["gene_type"]).to_pylist()})
    for name, values in new.items():
        if name in table.column_names:
            report.nulls_before[name] += table[name].null_count
        report.nulls_after[name] += values.null_count
    label = new.get("label", table["label"] if "label" in table.column_names else None)
    if label is None:
        return
    known = pc.is_valid(gene).to_numpy(zero_copy_only=False)
    codes = (pc.fill_null(gene, 0).to_numpy().astype(np.int64) << 32) | table["position"].to_numpy()
    labels = pc.fill_null(label.cast(pa.int8()), 0).to_numpy()
    for code, kind in ((1, "donor"), (2, "acceptor")):
        report.offsets[kind].update(_offsets(codes[known & (labels == code)], lookup.sites[kind]))


def _offsets(codes: NDArray[np.int64], sites: NDArray[np.int64]) -> Counter[str]:
    """How far positions are from the nearest site of their gene; a code is gene << 32 | position."""
    if not sites.size:
        return Counter({"far": codes.size}) if codes.size else Counter()
    after = np.minimum(np.searchsorted(sites, codes), sites.size - 1)
    before = np.maximum(after - 1, 0)
    steps = np.stack([codes - sites[after], codes - sites[before]])
    nearest = np.take_along_axis(steps, np.abs(steps).argmin(axis=0)[None], axis=0)[0]
    near = np.abs(nearest) <= OFFSETS
    found = Counter(f"{step:+d}" if step else "0" for step in nearest[near].tolist())
    return found + Counter({"far": int((~near).sum())})


def _is_other_type(name: str) -> bool:
    return name != "gene_type" and _TYPE_VARIANT.fullmatch(name) is not None


def _check(report: Report, folder: Path, *, allow_unknown: bool, expected_gene_type: str) -> None:
    if report.unknown_genes and not allow_unknown:
        shown = ", ".join(sorted(report.unknown_genes)[:5])
        raise InputError(
            f"{folder}: {len(report.unknown_genes)} genes ({report.unknown_genes.total()} rows) are not in the"
            f" reference, first {shown}; give the reference of the annotation that the dataset was made with, or say"
            " --allow-unknown"
        )
    others = sorted(set(report.gene_types) - {expected_gene_type, UNKNOWN_TYPE})
    if expected_gene_type and others:
        raise IntegrityError(f"{folder}: has genes of type {', '.join(others)}, expected {expected_gene_type} only")
