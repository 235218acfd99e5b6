"""Tables of genes, transcripts, exons, sites and overlaps from what an annotation says and what of it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice import loci
from trainyard.splice.contigs import ContigMatch
from trainyard.splice.dialects import CANONICAL_TAGS, MANE_TAGS
from trainyard.splice.entities import Annotation, Places
from trainyard.splice.lineage import Codes
from trainyard.splice.placement import STANDS, Placement
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import EXONS, GENES, TRANSCRIPTS
from trainyard.splice.sites import Introns, site_table
from trainyard.yard.ledger import Ledger

_SIGNS = pa.array(["-", "+"])


@dataclass(frozen=True)
class Tables:
    """The reference tables, and the introns that they were made of."""

    genes: pa.Table
    transcripts: pa.Table
    exons: pa.Table
    sites: pa.Table
    overlaps: pa.Table
    introns: Introns


@dataclass(frozen=True)
class _Rows:
    """Rows of the tables as indices into the annotation, in the order of the tables."""

    genes: NDArray[np.int64]
    """Genes that stand, by gene_id."""
    transcripts: NDArray[np.int64]
    """Transcripts that stand, by gene_id and transcript_id."""
    gene_of: Codes
    """Row of the gene of each row of transcripts."""


@dataclass(frozen=True)
class _Exons:
    """Exons of the transcripts in the table, sorted by row of transcript and place; overlapping ones are merged."""

    transcript: Codes
    """Row of the transcript."""
    start: Places
    end: Places

    @property
    def length(self) -> Places:
        """Lengths in nt."""
        return self.end - self.start + 1


def build_tables(
    annotation: Annotation, placement: Placement, match: ContigMatch, ledger: Ledger, *, min_intron: int
) -> Tables:
    """Make the tables; kinds `exon`, `intron` and `spliced_transcript` of the ledger are counted.

    Args:
        annotation: What the file says.
        placement: What of it stands.
        match: How its contigs are called in the genome.
        ledger: Counts.
        min_intron: Shorter gaps between exons are no introns (nt).
    """
    rows = _rows(annotation, placement)
    exons = _exons(annotation, placement, rows, ledger)
    sign = placement.strand[rows.genes]
    introns = _introns(exons, rows, sign, ledger, annotation.transcripts.ids, min_intron=min_intron)
    transcripts = _transcript_table(annotation, placement, match, rows, exons)
    places = _gene_places(annotation, placement, match, rows)
    sites, donors, acceptors = site_table(introns, places, transcripts["transcript_id"])
    genes, overlaps = _gene_table(annotation, rows, places, transcripts, exons, (donors, acceptors))
    return Tables(genes, transcripts, _exon_table(exons, transcripts), sites, overlaps, introns)


def _rows(annotation: Annotation, placement: Placement) -> _Rows:
    genes, transcripts = annotation.genes, annotation.transcripts
    stands = np.flatnonzero(placement.genes == STANDS)
    kept = stands[_order([genes.ids[i] for i in stands])]
    row = np.full(len(genes.ids), -1, np.int32)
    row[kept] = np.arange(len(kept))
    stands = np.flatnonzero(placement.transcripts == STANDS)
    by_name = stands[_order([transcripts.ids[i] for i in stands])]
    chosen = by_name[np.argsort(row[transcripts.gene[by_name]], kind="stable")]
    return _Rows(kept, chosen, row[transcripts.gene[chosen]])


def _order(names: list[str]) -> NDArray[np.int64]:
    order: NDArray[np.int64] = pc.sort_indices(pa.array(names, pa.string())).to_numpy().astype(np.int64)
    return order


def _exons(annotation: Annotation, placement: Placement, rows: _Rows, ledger: Ledger) -> _Exons:
    """Exons of the transcripts that stand; those that overlap in one transcript become one, and are counted."""
    row = np.full(len(annotation.transcripts.ids), -1, np.int32)
    row[rows.transcripts] = np.arange(len(rows.transcripts))
    of, start, end = row[annotation.exons.transcript], annotation.exons.start, annotation.exons.end
    order = np.lexsort((end, start, of))
    order = order[of[order] >= 0]
    of, start, end = of[order], start[order], end[order]
    # One axis for all transcripts, so that the furthest end so far never reaches into the next transcript.
    offset = of.astype(np.int64) * (int(end.max(initial=0)) + 2)
    reach = np.maximum.accumulate(end + offset) if len(end) else end
    apart = np.ones(len(of), bool)
    apart[1:] = (start + offset)[1:] > reach[:-1]
    first = np.flatnonzero(apart)
    last = np.flatnonzero(np.append(apart[1:], True)) if len(of) else first
    merged = np.bincount(of[~apart], minlength=len(rows.transcripts))
    for i in np.flatnonzero(merged):
        name, n = annotation.transcripts.ids[rows.transcripts[i]], int(merged[i])
        for kind in ("exon", "intron"):
            ledger.reject(kind, name, Reason.EXONS_OVERLAP, "merged with the exon that it overlaps", n)
    ledger.keep("exon", "", len(first))
    ledger.expect("intron", len(of) - len(rows.transcripts))
    return _Exons(of[first], start[first], (reach - offset)[last])


def _introns(
    exons: _Exons, rows: _Rows, sign: NDArray[np.int8], ledger: Ledger, names: list[str], *, min_intron: int
) -> Introns:
    """Gaps between the exons of a transcript; too short ones are counted."""
    same = exons.transcript[1:] == exons.transcript[:-1]
    transcript, left, right = exons.transcript[1:][same], exons.end[:-1][same] + 1, exons.start[1:][same] - 1
    short = right - left + 1 < min_intron
    for i in np.flatnonzero(short):
        name, length = names[rows.transcripts[transcript[i]]], int(right[i] - left[i] + 1)
        ledger.reject("intron", name, Reason.SHORT_INTRON, f"{length} nt at {left[i]}, less than {min_intron}")
    ledger.keep("intron", "", int((~short).sum()))
    number = np.bincount(exons.transcript, minlength=len(rows.transcripts))
    ledger.expect("spliced_transcript", len(number))
    ledger.keep("spliced_transcript", "", int((number > 1).sum()))
    for i in np.flatnonzero(number == 1):
        ledger.reject("spliced_transcript", names[rows.transcripts[i]], Reason.SINGLE_EXON)
    gene = rows.gene_of[transcript[~short]]
    return Introns(transcript[~short], gene, left[~short], right[~short], sign[gene])


def _gene_places(annotation: Annotation, placement: Placement, match: ContigMatch, rows: _Rows) -> pa.Table:
    genes, which = annotation.genes, rows.genes
    start, end = placement.start[which], placement.end[which]
    return pa.table(
        {
            "gene_id": pa.array([genes.ids[i] for i in which], pa.string()),
            "chrom": pa.array([match.names[annotation.contigs[i]] for i in placement.contig[which]], pa.string()),
            "start": start,
            "end": end,
            "strand": _SIGNS.take(pa.array((placement.strand[which] + 1) // 2)),
        }
    )


def _transcript_table(
    annotation: Annotation, placement: Placement, match: ContigMatch, rows: _Rows, exons: _Exons
) -> pa.Table:
    transcripts, spans, which = annotation.transcripts, placement.spans, rows.transcripts
    gene = transcripts.gene[which]
    count = len(which)
    values = {
        "transcript_id": [transcripts.ids[i] for i in which],
        "gene_id": [annotation.genes.ids[i] for i in gene],
        "chrom": [match.names[annotation.contigs[i]] for i in spans.contig[which]],
        "start": spans.start[which],
        "end": spans.end[which],
        "strand": _SIGNS.take(pa.array((spans.strand[which] + 1) // 2)),
        "transcript_type": [transcripts.types[i] for i in which],
        "num_exons": np.bincount(exons.transcript, minlength=count).astype(np.int32),
        "spliced_length": np.bincount(exons.transcript, weights=exons.length, minlength=count).astype(np.int32),
        "cds_length": transcripts.cds_length[which].astype(np.int32),
        "tags": [transcripts.tags[i] for i in which],
    }
    return pa.table([values[name] for name in TRANSCRIPTS.names], schema=TRANSCRIPTS.schema)


def _exon_table(exons: _Exons, transcripts: pa.Table) -> pa.Table:
    """Exons in transcript direction."""
    number = transcripts["num_exons"].to_numpy()
    minus = np.array([strand == "-" for strand in transcripts["strand"].to_pylist()], bool)[exons.transcript]
    place = np.arange(len(exons.start)) - np.repeat(np.cumsum(number) - number, number)
    rank = np.where(minus, number[exons.transcript] - place, place + 1)
    order = np.lexsort((rank, exons.transcript))
    values = {
        "transcript_id": transcripts["transcript_id"].take(pa.array(exons.transcript)),
        "exon_rank": rank[order].astype(np.int32),
        "start": exons.start[order],
        "end": exons.end[order],
    }
    return pa.table([values[name] for name in EXONS.names], schema=EXONS.schema)


def _gene_table(
    annotation: Annotation,
    rows: _Rows,
    places: pa.Table,
    transcripts: pa.Table,
    exons: _Exons,
    sites: tuple[Codes, Codes],
) -> tuple[pa.Table, pa.Table]:
    """Table of genes, and that of their overlaps."""
    genes, which, ids = annotation.genes, rows.genes, places["gene_id"].to_pylist()
    start, end = places["start"].to_numpy(), places["end"].to_numpy()
    sign = np.array([1 if strand == "+" else -1 for strand in places["strand"].to_pylist()], np.int8)
    chrom = pc.dictionary_encode(places["chrom"].combine_chunks()).indices.to_numpy()
    found = loci.overlaps(chrom, start, end, sign)
    chosen = _representatives(transcripts, rows.gene_of, len(which))
    spliced, number = (transcripts[name].to_numpy()[chosen] for name in ("spliced_length", "num_exons"))
    span = (transcripts["end"].to_numpy() - transcripts["start"].to_numpy() + 1)[chosen]
    values = {
        **{name: places[name] for name in places.column_names},
        "gene_version": [genes.versions[i] for i in which],
        "gene_name": [genes.names[i] for i in which],
        "gene_type": [genes.types[i] for i in which],
        "length": (end - start + 1).astype(np.int32),
        "num_transcripts": np.bincount(rows.gene_of, minlength=len(which)).astype(np.int32),
        "n_donors": sites[0],
        "n_acceptors": sites[1],
        "locus_cluster": loci.locus_clusters(chrom, start, end, sign, ids),
        "overlap_same_strand": _tally(found.first[found.same_strand], len(which)),
        "overlap_opposite_strand": _tally(found.first[~found.same_strand], len(which)),
        "rep_transcript_id": transcripts["transcript_id"].take(pa.array(chosen)),
        "rep_spliced_length": spliced,
        "rep_num_exons": number,
        "rep_avg_exon_length": (spliced / np.maximum(number, 1)).astype(np.float32),
        "rep_median_exon_length": _median_lengths(exons, len(transcripts))[chosen].astype(np.float32),
        "rep_total_intron_length": (span - spliced).astype(np.int32),
        # Genes stand in the annotation's order before they are sorted.
        "source_order": np.argsort(np.argsort(which)).astype(np.int32),
    }
    table = pa.table([values[name] for name in GENES.names], schema=GENES.schema)
    return table, loci.overlap_table(found, table)


def _tally(rows: Codes, count: int) -> Codes:
    return np.bincount(rows, minlength=count).astype(np.int32)


def _representatives(transcripts: pa.Table, gene_of: Codes, count: int) -> NDArray[np.int64]:
    """Row of the representative transcript of each gene; the choice does not look at sites."""
    tags = transcripts["tags"].to_pylist()
    mane = _tagged(tags, MANE_TAGS)
    canonical = _tagged(tags, CANONICAL_TAGS)
    cds, spliced = (transcripts[name].to_numpy() for name in ("cds_length", "spliced_length"))
    # Rows are in the order of names, and so are ties.
    order = np.lexsort((np.arange(len(tags)), -spliced, -cds, ~canonical, ~mane, gene_of))
    return order[np.searchsorted(gene_of[order], np.arange(count))]


def _tagged(tags: list[str], wanted: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.array([bool(text) and not set(wanted).isdisjoint(text.split(",")) for text in tags], bool)


def _median_lengths(exons: _Exons, count: int) -> NDArray[np.float64]:
    """Median exon length (nt) of each of `count` transcripts."""
    order = np.lexsort((exons.length, exons.transcript))
    length, number = exons.length[order], np.bincount(exons.transcript, minlength=count)
    first = np.cumsum(number) - number
    median: NDArray[np.float64] = (length[first + (number - 1) // 2] + length[first + number // 2]) / 2
    return median
