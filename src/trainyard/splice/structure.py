"""Gene structure as features, joined by gene only.

A row finds its gene whatever it is, site or not; a join by transcript would find one for annotated sites alone, and its
nulls would spell out the label. Everything per transcript is therefore that of the gene's representative transcript,
which the reference tables choose without looking at splice sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.calls import Gene
from trainyard.yard.errors import IntegrityError

Places = NDArray[np.int32]

GENE_FEATURES = (
    "num_transcripts",
    "overlap_same_strand",
    "overlap_opposite_strand",
    "rep_spliced_length",
    "rep_num_exons",
    "rep_avg_exon_length",
    "rep_median_exon_length",
    "rep_total_intron_length",
)
"""Columns of GENES that are features of every row of the gene."""
_NEEDED = ("gene_id", "chrom", "start", "end", "strand", "n_donors", "n_acceptors", "locus_cluster", *GENE_FEATURES)

GeneRow = Mapping[str, Any]
"""A row of GENES: column -> value."""


class GeneTable:
    """The GENES table, asked for one gene at a time."""

    def __init__(self, genes: pa.Table) -> None:
        """Take a GENES table."""
        self._genes = genes
        self._places = {name: i for i, name in enumerate(genes.column("gene_id").to_pylist())}

    def row(self, gene_id: str) -> GeneRow:
        """Row of a gene.

        Raises:
            IntegrityError: The gene is missing, or lacks a value that a feature is made of.
        """
        place = self._places.get(gene_id)
        if place is None:
            raise IntegrityError(f"gene {gene_id} is not in the gene table; {_REMEDY}")
        row: GeneRow = self._genes.slice(place, 1).to_pylist()[0]
        empty = [name for name in _NEEDED if row.get(name) is None]
        if empty:
            raise IntegrityError(f"gene {gene_id} has no {', '.join(empty)} in the gene table; {_REMEDY}")
        return row


def gene_of(row: GeneRow) -> Gene:
    """Place of a gene, from its row of GENES."""
    return Gene(row["gene_id"], row["chrom"], row["start"], row["end"], row["strand"])


def structure_features(row: GeneRow, t: Places) -> dict[str, NDArray[Any]]:
    """Features of the gene and of the place in it; never null.

    Args:
        row: Row of GENES of the gene.
        t: Positions, shape `(n,)`.
    """
    length = gene_of(row).length
    n_sites = row["n_donors"] + row["n_acceptors"]
    of_gene = {name: row[name] for name in GENE_FEATURES} | {
        "gene_length": length,
        "n_donors": row["n_donors"],
        "n_acceptors": row["n_acceptors"],
        "n_splice_sites": n_sites,
        "splice_density_per_kb": n_sites / (length / 1000),
    }
    of_place: dict[str, NDArray[Any]] = {
        "dist_to_5p": t,
        "dist_to_3p": length - 1 - t,
        "relative_position": t / max(length - 1, 1),
    }
    return of_place | {name: np.full(t.size, value) for name, value in of_gene.items()}


_REMEDY = "plan and reference tables do not belong together: build both again"
