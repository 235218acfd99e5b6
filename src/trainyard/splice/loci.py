"""Overlaps of genes, and the clusters of genes that share sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.schema import OVERLAPS

Codes = NDArray[np.int32]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Overlaps:
    """Pairs of genes that share at least one base of the contig, each pair from either side."""

    first: Codes
    """Row of one gene, ascending."""
    second: Codes
    """Row of the other."""
    same_strand: NDArray[np.bool_]


def overlaps(chrom: Codes, start: Places, end: Places, sign: NDArray[np.int8]) -> Overlaps:
    """Find all overlapping pairs.

    Args:
        chrom: Contig of each gene, shape `(n,)`.
        start: First base, 1-based.
        end: Last base.
        sign: 1 or -1 for the strand.
    """
    order = np.lexsort((start, chrom))
    # One axis for all contigs: each starts past the end of the one before.
    offset = chrom[order].astype(np.int64) * (int(end.max(initial=0)) + 1)
    left, right = start[order] + offset, end[order] + offset
    count = np.searchsorted(left, right, side="right") - np.arange(len(order)) - 1
    one = np.repeat(np.arange(len(order)), count)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
    first, second = order[np.concatenate([one, other])], order[np.concatenate([other, one])]
    rows = np.lexsort((second, first))
    first, second = first[rows].astype(np.int32), second[rows].astype(np.int32)
    return Overlaps(first, second, sign[first] == sign[second])


def locus_clusters(
    chrom: Codes, start: Places, end: Places, sign: NDArray[np.int8], gene_ids: Sequence[str]
) -> list[str]:
    """Cluster of each gene: genes joined, directly or through others, by overlap on one strand.

    Args:
        chrom: Contig of each gene, shape `(n,)`.
        start: First base, 1-based.
        end: Last base.
        sign: 1 or -1 for the strand.
        gene_ids: Names, sorted.

    Returns:
        One name per gene: the lexically first gene_id of its cluster.
    """
    order = np.lexsort((start, sign, chrom))
    side = chrom[order].astype(np.int64) * 2 + (sign[order] > 0)
    offset = side * (int(end.max(initial=0)) + 1)
    left, right = start[order] + offset, end[order] + offset
    reach = np.maximum.accumulate(right) if len(right) else right
    cluster = np.zeros(len(order), np.int64)
    cluster[1:] = np.cumsum(left[1:] > reach[:-1])
    # Rows are in the order of names, so the lowest row has the first name.
    lowest = np.full(len(order), len(order), np.int64)
    np.minimum.at(lowest, cluster, order)
    name = np.empty(len(order), np.int64)
    name[order] = lowest[cluster]
    return [gene_ids[i] for i in name.tolist()]


def overlap_table(found: Overlaps, genes: pa.Table) -> pa.Table:
    """Table OVERLAPS of pairs.

    Args:
        found: Pairs.
        genes: Columns gene_id, chrom, start, end, strand, one row per gene.
    """
    sides = {"1": genes.take(pa.array(found.first)), "2": genes.take(pa.array(found.second))}
    per_gene = np.bincount(found.first, minlength=len(genes))
    values = {
        **{
            f"{name}_{side}": table[name]
            for side, table in sides.items()
            for name in ("gene_id", "start", "end", "strand")
        },
        "chrom": sides["1"]["chrom"],
        "num_overlaps": per_gene[found.first].astype(np.int32),
        "same_strand": found.same_strand,
    }
    return pa.table([values[name] for name in OVERLAPS.names], schema=OVERLAPS.schema)
