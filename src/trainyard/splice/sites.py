"""Introns and splice sites of transcripts.

A splice site has two names: the intron base next to the exon (`intron_pos`, the G of GT or the G of AG) and the exon
base next to the intron (`exon_pos`), which base models score. In transcript direction a donor's exon base comes just
before its intron base, an acceptor's just after. The conversions stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.schema import ACCEPTOR, DONOR, SITES

Codes = NDArray[np.int32]
Places = NDArray[np.int64]
Signs = NDArray[np.int8]
Number = TypeVar("Number", int, Places)


@dataclass(frozen=True)
class Introns:
    """Introns of transcripts; all arrays have shape `(n,)`."""

    transcript: Codes
    """Row of the transcript."""
    gene: Codes
    """Row of the gene."""
    left: Places
    """First base on the contig, 1-based."""
    right: Places
    """Last base on the contig."""
    sign: Signs
    """1 on the + strand, -1 on the - strand."""

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class SitePlaces:
    """Both sites of introns, 1-based on the contig, each array of shape `(n,)`."""

    donor_intron: Places
    donor_exon: Places
    acceptor_intron: Places
    acceptor_exon: Places


def anchor(start: int, end: int, strand: str) -> tuple[int, int]:
    """First base of a gene in transcript direction, and 1 or -1 for its strand: what `to_t` and `to_exon_pos` take.

    Raises:
        ValueError: Another strand than + or -.
    """
    if strand not in ("+", "-"):
        raise ValueError(f"strand is {strand!r}, not + or -")
    return (start, 1) if strand == "+" else (end, -1)


def to_t(exon_pos: Number, first_base: Number | int, sign: Signs | int) -> Number:
    """Index of a base in its gene, 0-based, in transcript direction.

    Args:
        exon_pos: Place on the contig, 1-based.
        first_base: First base of the gene in transcript direction, see `anchor`.
        sign: 1 on the + strand, -1 on the - strand.
    """
    return (exon_pos - first_base) * sign  # type: ignore[return-value]


def to_exon_pos(t: Number, first_base: Number | int, sign: Signs | int) -> Number:
    """Place on the contig, 1-based, of a base of a gene: the inverse of `to_t`."""
    return first_base + t * sign  # type: ignore[return-value]


def site_places(left: Places, right: Places, sign: Signs) -> SitePlaces:
    """Donor and acceptor of introns (spec 2.4).

    Args:
        left: First bases of the introns on the contig, 1-based.
        right: Last bases.
        sign: 1 on the + strand, -1 on the - strand.
    """
    donor, acceptor = np.where(sign > 0, left, right), np.where(sign > 0, right, left)
    step = sign.astype(np.int64)
    return SitePlaces(donor, donor - step, acceptor, acceptor + step)


def site_table(
    introns: Introns, genes: pa.Table, transcript_ids: Sequence[str] | pa.ChunkedArray
) -> tuple[pa.Table, Codes, Codes]:
    """Unique sites of genes.

    Args:
        introns: Introns of all transcripts.
        genes: Columns gene_id, chrom, start, end, strand, one row per gene, sorted by gene_id.
        transcript_ids: One per transcript, in the order of their rows.

    Returns:
        The table (SITES), and the numbers of donors and of acceptors of each gene.
    """
    places = site_places(introns.left, introns.right, introns.sign)
    # Acceptors come first where a base is both, as their name sorts first.
    kind = np.repeat(np.array([0, 1], np.int8), len(introns))
    intron_pos = np.concatenate([places.acceptor_intron, places.donor_intron])
    exon_pos = np.concatenate([places.acceptor_exon, places.donor_exon])
    gene, transcript = np.tile(introns.gene, 2), np.tile(introns.transcript, 2)
    start, end = (genes[name].to_numpy()[introns.gene] for name in ("start", "end"))
    first_base, sign = np.tile(np.where(introns.sign > 0, start, end), 2), np.tile(introns.sign, 2)
    t = to_t(exon_pos, first_base, sign)

    order = np.lexsort((transcript, kind, t, gene))
    gene, kind, t, transcript = gene[order], kind[order], t[order], transcript[order]
    is_new = np.ones(len(t), bool)
    is_new[1:] = (np.diff(gene) != 0) | (np.diff(t) != 0) | (np.diff(kind) != 0)
    first = np.flatnonzero(is_new)
    offsets = np.append(first, len(t)).astype(np.int32)
    rows = gene[first]
    ids = transcript_ids if isinstance(transcript_ids, pa.ChunkedArray) else pa.array(transcript_ids, pa.string())
    carriers = pa.concat_arrays([pa.array([], pa.string()), *_chunks(ids.take(pa.array(transcript)))])
    values = {
        "gene_id": genes["gene_id"].take(pa.array(rows)),
        "site_type": pa.array([ACCEPTOR, DONOR]).take(pa.array(kind[first])),
        "t": pa.array(t[first], pa.int32()),
        "intron_pos": intron_pos[order][first],
        "exon_pos": exon_pos[order][first],
        "chrom": genes["chrom"].take(pa.array(rows)),
        "strand": genes["strand"].take(pa.array(rows)),
        "transcript_count": np.diff(offsets),
        "transcript_ids": pa.ListArray.from_arrays(pa.array(offsets), carriers),
    }
    table = pa.table([values[name] for name in SITES.names], schema=SITES.schema)
    is_donor = kind[first] == 1
    donors, acceptors = (
        np.bincount(rows[which], minlength=len(genes)).astype(np.int32) for which in (is_donor, ~is_donor)
    )
    return table, donors, acceptors


def _chunks(values: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return values.chunks if isinstance(values, pa.ChunkedArray) else [values]
