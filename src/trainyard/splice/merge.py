"""Merging: several datasets become one, without their rows being touched.

What is merged must be alike: the same columns always; the same reference, base model and settings unless a person says
that they may differ. A gene may stand in one of the datasets only; where a person says that the first one named has
precedence, the rows of such a gene are left out of the others, and only the parts that hold some are written anew. All
other parts are linked (copied where the file system cannot), byte for byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.splice import naming
from trainyard.splice.artifacts import stream
from trainyard.splice.dataset_schema import PERFORMANCE
from trainyard.splice.folders import check_absent, new_folder
from trainyard.splice.genecounts import GeneRows, count_rows
from trainyard.splice.genemanifest import KEPT, LEFT_OUT, placed, read_gene_manifest, write_gene_manifest
from trainyard.splice.manifest import digest, make_manifest, write_performance
from trainyard.splice.master import COMPLETE, Master, Part, inspect_master, stream_part
from trainyard.splice.reasons import Reason
from trainyard.splice.rows import link_or_copy
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import write_json
from trainyard.yard.receipts import write_receipt

Likeness = Literal["reference", "model", "params"]
LIKENESSES: tuple[Likeness, ...] = ("reference", "model", "params")
"""What datasets should have in common besides their columns."""


@dataclass(frozen=True)
class Source:
    """One of the datasets that are merged."""

    master: Master
    manifest: Mapping[str, Any]
    genes: list[dict[str, Any]]
    """Rows of its gene manifest."""

    @property
    def kept(self) -> list[str]:
        """Genes that it holds."""
        return [row["gene_id"] for row in self.genes if row["status"] == KEPT]


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    may_differ: Collection[Likeness] = (),
    first_wins: bool = False,
    drop_splits: bool = False,
    allow_partial: bool = False,
) -> dict[str, Any]:
    """Write a new dataset made of others: `out/master` and `out/full_splice_performance.tsv`.

    Args:
        folders: Datasets, at least two; their order is that of the parts, and of precedence.
        out: Folder of the new one; must not exist.
        may_differ: What may differ between them.
        first_wins: A gene of several datasets is taken from the first; otherwise it is an error.
        drop_splits: Forget the splits that the datasets come with.
        allow_partial: Merge incomplete datasets, which gives an incomplete one.

    Returns:
        The manifest.

    Raises:
        InputError: Fewer than two datasets, one that is not assembled, or `out` exists.
        IntegrityError: Datasets that are damaged or not alike, or genes in several of them.
        LeakageError: Genes of one locus cluster would stand in two splits.
    """
    check_absent(out)
    if len(folders) < 2:
        raise InputError(f"a merge takes at least two datasets, got {len(folders)}")
    sources = [_source(folder, allow_partial=allow_partial) for folder in folders]
    _check_alike(sources, may_differ)
    owners = _owners(sources, first_wins=first_wins)
    if not drop_splits:
        _check_splits(sources, owners)
    with new_folder(out) as part:
        parts, numbers = _write_parts(sources, owners, part / "master")
        counts = count_rows(parts)
        genes = _gene_rows(sources, owners, parts, counts, drop_splits=drop_splits)
        write_gene_manifest(part / "master" / naming.GENE_MANIFEST, genes)
        _merge_performance(sources, owners, part / naming.PERFORMANCE)
        planned = sum(source.manifest["parts_planned"] for source in sources)
        complete = all(source.manifest["status"] == COMPLETE for source in sources)
        manifest = make_manifest(
            parts,
            sources[0].master.contract,
            counts,
            genes,
            status=COMPLETE if complete else f"partial {sum(len(s.master.parts) for s in sources)} of {planned}",
            planned=len(parts) if complete else planned,
        )
        manifest |= _provenance(sources, numbers)
        write_json(part / "master" / naming.MANIFEST, manifest)
    return manifest


def identity(manifest: Mapping[str, Any], what: Likeness) -> str:
    """What tells one reference, base model or set of settings from another; empty where the manifest does not say."""
    if what == "params":
        return str(manifest.get("params_hash") or "")
    stated = manifest.get(what) or {}
    return str(stated.get(f"{what}_id") or "")


def _source(folder: Path, *, allow_partial: bool) -> Source:
    master = inspect_master(folder, allow_partial=allow_partial)
    if master.manifest is None:
        raise InputError(f"{master.folder}: has no {naming.MANIFEST}; assemble the dataset first")
    if len(master.parts) != len(master.manifest["parts"]):
        raise InputError(f"{master.folder}: has parts that its manifest does not list; assemble the dataset again")
    genes = read_gene_manifest(master.folder / naming.GENE_MANIFEST).to_pylist()
    return Source(master, master.manifest, genes)


def _check_alike(sources: Sequence[Source], may_differ: Collection[Likeness]) -> None:
    first = sources[0]
    for other in sources[1:]:
        if other.master.contract.digest != first.master.contract.digest:
            raise IntegrityError(
                f"{other.master.folder}: its columns are not those of {first.master.folder}; datasets with different"
                " columns cannot be merged, build one of them again with the features of the other"
            )
        for what in LIKENESSES:
            ours, theirs = identity(first.manifest, what), identity(other.manifest, what)
            if (ours != theirs or not ours) and what not in may_differ:
                raise IntegrityError(
                    f"{other.master.folder}: its {what} is {theirs or 'not stated'}, that of {first.master.folder} is"
                    f" {ours or 'not stated'}; merge only what was made alike, or say --may-differ {what}"
                )


def _owners(sources: Sequence[Source], *, first_wins: bool) -> dict[str, int]:
    """Index of the dataset that a gene is taken from."""
    owners: dict[str, int] = {}
    several = []
    for index, source in enumerate(sources):
        for gene_id in source.kept:
            if owners.setdefault(gene_id, index) != index:
                several.append(gene_id)
    if several and not first_wins:
        shown = ", ".join(sorted(several)[:5])
        raise IntegrityError(
            f"{len(several)} genes stand in several of the datasets, first {shown}; build them from gene lists that"
            " share no gene, or say that the first dataset named wins (--first-wins)"
        )
    return owners


def _check_splits(sources: Sequence[Source], owners: Mapping[str, int]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for index, source in enumerate(sources):
        for row in source.genes:
            if row["status"] == KEPT and owners[row["gene_id"]] == index and row["split"] in ("train", "val", "test"):
                splits[row["locus_cluster"]].add(row["split"])
    if torn := sorted(cluster for cluster, found in splits.items() if len(found) > 1):
        raise LeakageError(
            f"{len(torn)} locus clusters would stand in two splits, first {torn[0]} in"
            f" {' and '.join(sorted(splits[torn[0]]))}; merge with --drop-splits and split again"
        )


def _write_parts(
    sources: Sequence[Source], owners: Mapping[str, int], folder: Path
) -> tuple[list[Part], list[dict[str, Any]]]:
    """Parts of the new dataset, and which part of which dataset each one is."""
    parts: list[Part] = []
    numbers: list[dict[str, Any]] = []
    for index, source in enumerate(sources):
        foreign = pa.array([gene for gene in source.kept if owners[gene] != index], pa.string())
        touched = {
            row["file_name"] for row in source.genes if row["status"] == KEPT and owners[row["gene_id"]] != index
        }
        for old in source.master.parts:
            path = folder / naming.master_part(len(parts) + 1)
            rewritten = old.path.name in touched
            if rewritten:
                rows = _write_without(old.path, path, source.master, foreign)
            else:
                link_or_copy(old.path, path)
                rows = old.rows
            parts.append(Part(path, write_receipt(path, records=rows, schema=source.master.contract.digest)))
            numbers.append({"dataset": index, "file": old.path.name, "rewritten": rewritten})
    return parts, numbers


def _write_without(old: Path, new: Path, master: Master, genes: pa.Array) -> int:
    rows = 0
    with master.contract.writer(new) as writer:
        for table in stream_part(old):
            mine = table.filter(pc.invert(pc.is_in(table["gene_id"], genes)))
            writer.write_table(mine)
            rows += mine.num_rows
    return rows


def _gene_rows(
    sources: Sequence[Source],
    owners: Mapping[str, int],
    parts: Sequence[Part],
    counts: Mapping[str, GeneRows],
    *,
    drop_splits: bool,
) -> list[dict[str, Any]]:
    """Every gene that any of the datasets was asked for, once per request; only one of them counts."""
    rows = []
    counted: set[str] = set()
    for index, source in enumerate(sources):
        for row in source.genes:
            gene_id, status = row["gene_id"], row["status"]
            repeated = owners.get(gene_id, index) != index or gene_id in counted
            if status == KEPT and not repeated:
                mine = placed(row, parts, counts.get(gene_id))
            elif status == LEFT_OUT or gene_id is None or not repeated:
                mine = row
            else:
                mine = placed(row, parts, None) | {"status": LEFT_OUT, "reason": Reason.REPEATED_GENE}
            if mine["status"] != LEFT_OUT:
                counted.add(gene_id)
            rows.append(mine | {"split": None} if drop_splits else mine)
    return rows


def _merge_performance(sources: Sequence[Source], owners: Mapping[str, int], path: Path) -> None:
    """Base performance of each gene from the dataset that it is taken from.

    Raises:
        InputError: A dataset has no such table beside its folder `master`.
    """
    types = {column.name: column.type for column in PERFORMANCE.columns}
    tables = []
    for index, source in enumerate(sources):
        mine = pa.array([gene for gene in source.kept if owners[gene] == index], pa.string())
        told = source.master.folder.parent / naming.PERFORMANCE
        if not told.is_file():
            raise InputError(f"{told}: no such file; assemble the dataset again")
        tables += [table.filter(pc.is_in(table["gene_id"], mine)) for table in stream(told, types)]
    write_performance(path, tables)


def _provenance(sources: Sequence[Source], numbers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = sources[0].manifest
    told: dict[str, Any] = {"merged_parts": list(numbers), "sources": [_told(source) for source in sources]}
    for what in LIKENESSES:
        alike = len({identity(source.manifest, what) for source in sources}) == 1
        told[what] = first.get(what) if alike else None
    hashes = [source.manifest["params_hash"] for source in sources]
    return told | {"params_hash": hashes[0] if len(set(hashes)) == 1 else digest(hashes)}


def _told(source: Source) -> dict[str, Any]:
    keys = ("dataset_id", "status", "rows", "reference", "model", "params", "params_hash", "selection")
    return {key: source.manifest.get(key) for key in keys}
