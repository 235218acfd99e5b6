"""The annotated sites of the whole annotation, found by gene and by place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice.calls import Bools, Gene, Sites


@dataclass(frozen=True)
class _Place:
    """Sites of one strand of one contig, sorted by coordinate."""

    exon_pos: NDArray[np.int64]
    acceptor: Bools
    transcripts: NDArray[np.int16]
    gene: NDArray[np.int32]


class SiteIndex:
    """Answers, for a gene, which sites are its own and which lie in it but belong to others."""

    def __init__(self, sites: pa.Table) -> None:
        """Sort the sites.

        Args:
            sites: The SITES table.
        """
        self._sites = sites
        names = pc.unique(sites.column("gene_id"))
        self._number = {name: i for i, name in enumerate(names.to_pylist())}
        gene = pc.index_in(sites.column("gene_id"), names).to_numpy().astype(np.int32)
        t = sites.column("t").to_numpy()
        acceptor = pc.equal(sites.column("site_type"), "acceptor").to_numpy().astype(np.bool_)
        transcripts = np.minimum(sites.column("transcript_count").to_numpy(), np.iinfo(np.int16).max).astype(np.int16)
        by_gene = np.argsort(gene, kind="stable")
        self._t, self._acceptor, self._transcripts = t[by_gene], acceptor[by_gene], transcripts[by_gene]
        self._by_gene = by_gene
        self._begin = np.searchsorted(gene[by_gene], np.arange(len(names) + 1))
        self._places = {
            (chrom, strand): _place(rows, sites.column("exon_pos").to_numpy(), acceptor, transcripts, gene)
            for (chrom, strand), rows in _rows_by_place(sites).items()
        }

    def own(self, gene_id: str) -> Sites:
        """Sites of a gene; none for a gene without sites."""
        rows = self._rows(gene_id)
        return Sites(self._t[rows].astype(np.int32), self._acceptor[rows], self._transcripts[rows])

    def elsewhere(self, gene: Gene) -> Sites:
        """Sites of other genes on the same strand that lie within a gene, at positions of this gene."""
        place = self._places.get((gene.chrom, gene.strand))
        if place is None:
            return Sites.none()
        inside = slice(*np.searchsorted(place.exon_pos, [gene.start, gene.end + 1]))
        others = place.gene[inside] != self._number.get(gene.gene_id, -1)
        return Sites(
            gene.t(place.exon_pos[inside][others]), place.acceptor[inside][others], place.transcripts[inside][others]
        )

    def transcripts(self, gene_id: str) -> dict[int, list[str]]:
        """Position of each site of a gene -> the transcripts that use it, sorted."""
        found: dict[int, set[str]] = {}
        rows = self._sites.select(["t", "transcript_ids"]).take(self._by_gene[self._rows(gene_id)])
        for t, names in zip(*(rows.column(name).to_pylist() for name in rows.column_names), strict=True):
            found.setdefault(t, set()).update(names)
        return {t: sorted(names) for t, names in found.items()}

    def _rows(self, gene_id: str) -> slice:
        """Where the sites of a gene stand in the arrays that are sorted by gene."""
        number = self._number.get(gene_id)
        return slice(0, 0) if number is None else slice(self._begin[number], self._begin[number + 1])


def _rows_by_place(sites: pa.Table) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Row numbers of each strand of each contig."""
    places = sites.select(["chrom", "strand"]).append_column("row", pa.array(np.arange(sites.num_rows)))
    grouped = places.group_by(["chrom", "strand"], use_threads=False).aggregate([("row", "list")])
    columns = (grouped.column(name).to_pylist() for name in ("chrom", "strand", "row_list"))
    return {(chrom, strand): np.array(rows) for chrom, strand, rows in zip(*columns, strict=True)}


def _place(
    rows: NDArray[np.int64],
    exon_pos: NDArray[np.int64],
    acceptor: Bools,
    transcripts: NDArray[np.int16],
    gene: NDArray[np.int32],
) -> _Place:
    rows = rows[np.argsort(exon_pos[rows], kind="stable")]
    return _Place(exon_pos[rows], acceptor[rows], transcripts[rows], gene[rows])
