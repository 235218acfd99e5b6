"""Decide which genes and transcripts of an annotation stand, and count the others with the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.contigs import ContigMatch
from trainyard.splice.entities import Annotation, Exons, Places
from trainyard.splice.lineage import Codes, Flags
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import UNKNOWN_TYPE
from trainyard.yard.ledger import Ledger

Signs = NDArray[np.int8]
Verdicts = NDArray[np.int8]
"""Index into REASONS, or `STANDS`."""
Values = TypeVar("Values", Places, Codes, Signs)

REASONS = tuple(Reason)
STANDS = -1
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Spans:
    """Where transcripts lie by their exons; all arrays have shape `(transcripts,)`."""

    contig: Codes
    """Contig of the first exon."""
    strand: Signs
    """Strand of the first exon."""
    start: Places
    end: Places
    exons: Codes
    """Number of exon lines."""
    consistent: Flags
    """Whether all exons lie on one contig and strand."""


@dataclass(frozen=True)
class Placement:
    """Verdicts, and where genes lie: each covers its line and its transcripts that stand."""

    genes: Verdicts
    transcripts: Verdicts
    contig: Codes
    """Contig of each gene, by index into the annotation's contigs; -1 for a gene without line and transcript."""
    strand: Signs
    """1, -1, or 0 where none is stated."""
    start: Places
    end: Places
    spans: Spans


def place(
    annotation: Annotation, *, match: ContigMatch, lengths: Mapping[str, int], used: Sequence[str] = ()
) -> Placement:
    """Decide what stands.

    A transcript stands if its exons agree on gene, contig and strand, with each other and with the gene, and if its
    gene stands. A gene stands if it lies on a contig that is used, not past its end, on a strand, and has such a
    transcript.

    Args:
        annotation: What the file says.
        match: How its contigs are called in the genome.
        lengths: Contigs of the genome (nt).
        used: Contigs (names of the genome) that are used; empty for all.
    """
    transcripts, genes = annotation.transcripts, annotation.genes
    spans, gene = _spans(annotation.exons, len(transcripts.ids)), transcripts.gene
    own = np.full(len(gene), STANDS, np.int8)
    own[spans.strand == 0] = _code(Reason.NO_STRAND)
    own[~spans.consistent] = _code(Reason.TWO_STRANDS)
    own[transcripts.two_genes] = _code(Reason.TWO_GENES)
    own[gene < 0] = _code(Reason.NO_GENE)
    contig, strand = _gene_places(annotation, spans, own == STANDS)
    elsewhere = (spans.contig != contig[gene]) | (spans.strand != strand[gene])
    own[(own == STANDS) & elsewhere] = _code(Reason.TWO_STRANDS)

    good = own == STANDS
    start, end = np.where(genes.start > 0, genes.start, _FAR), genes.end.copy()
    np.minimum.at(start, gene[good], spans.start[good])
    np.maximum.at(end, gene[good], spans.end[good])

    # The reasons that say most about a gene come last, and win.
    verdicts = _by_transcripts(gene, own, has_line=genes.contig >= 0)
    names = [match.names.get(name) for name in annotation.contigs]
    contig_ends = np.array([_FAR if name is None else lengths[name] for name in names])
    verdicts[end > contig_ends[contig]] = _code(Reason.PAST_CONTIG_END)
    verdicts[(strand == 0) & (contig >= 0)] = _code(Reason.NO_STRAND)
    on_contig = np.array([_contig_verdict(name, used) for name in names], np.int8)[contig]
    verdicts = np.where((on_contig == STANDS) | (contig < 0), verdicts, on_contig).astype(np.int8)
    inherited = np.where(gene >= 0, verdicts[gene], STANDS)
    return Placement(
        genes=verdicts,
        transcripts=np.where(good, inherited, own).astype(np.int8),
        contig=contig,
        strand=strand,
        start=start,
        end=end,
        spans=spans,
    )


def genes_by_contig(annotation: Annotation, placement: Placement) -> tuple[dict[str, int], int]:
    """Genes on contigs that are not left out by choice, by the annotation's names, and how many reach past the end."""
    counted = (placement.genes != _code(Reason.CONTIG_NOT_USED)) & (placement.contig >= 0)
    counts = np.bincount(placement.contig[counted], minlength=len(annotation.contigs))
    past = int((placement.genes == _code(Reason.PAST_CONTIG_END)).sum())
    return {name: int(n) for name, n in zip(annotation.contigs, counts, strict=True) if n}, past


def count_placed(annotation: Annotation, placement: Placement, ledger: Ledger) -> None:
    """Count genes, transcripts and the exons of rejected transcripts, and what genes do not state."""
    genes, transcripts = annotation.genes, annotation.transcripts
    _count(ledger, "gene", genes.ids, placement.genes)
    _count(ledger, "transcript", transcripts.ids, placement.transcripts)
    for gene, where in genes.repeated:
        ledger.expect("gene")
        ledger.reject("gene", gene, Reason.REPEATED_GENE, f"again at {where}; the first line counts")
    for transcript in annotation.without_exons:
        ledger.expect("transcript")
        ledger.reject("transcript", transcript, Reason.NO_EXONS)
    for i in np.flatnonzero(placement.transcripts != STANDS):
        reason, n = REASONS[placement.transcripts[i]], int(placement.spans.exons[i])
        ledger.reject("exon", transcripts.ids[i], reason, f"{n} exons of a transcript that does not stand", n)
    stands = np.flatnonzero(placement.genes == STANDS)
    for kind, reason, lacks in (
        ("gene_line", Reason.NO_GENE_LINE, genes.contig < 0),
        ("gene_type", Reason.NO_GENE_TYPE, np.array([kind == UNKNOWN_TYPE for kind in genes.types], bool)),
    ):
        verdicts = np.where(lacks[stands], _code(reason), STANDS)
        _count(ledger, kind, [genes.ids[i] for i in stands], verdicts)


def _count(ledger: Ledger, kind: str, items: Sequence[str], verdicts: NDArray[np.signedinteger]) -> None:
    ledger.expect(kind, len(items))
    ledger.keep(kind, "", int((verdicts == STANDS).sum()))
    for i in np.flatnonzero(verdicts != STANDS):
        ledger.reject(kind, items[int(i)], REASONS[verdicts[i]])


def _code(reason: Reason) -> int:
    return REASONS.index(reason)


def _spans(exons: Exons, count: int) -> Spans:
    order = np.argsort(exons.transcript, kind="stable")
    first = np.searchsorted(exons.transcript[order], np.arange(count))

    def least(values: Values) -> Values:
        return np.minimum.reduceat(values[order], first)

    def most(values: Values) -> Values:
        return np.maximum.reduceat(values[order], first)

    contig, strand = exons.contig, exons.strand
    return Spans(
        contig=contig[order][first],
        strand=strand[order][first],
        start=least(exons.start),
        end=most(exons.end),
        exons=np.diff(first, append=len(order)).astype(np.int32),
        consistent=(least(contig) == most(contig)) & (least(strand) == most(strand)),
    )


def _gene_places(annotation: Annotation, spans: Spans, good: Flags) -> tuple[Codes, Signs]:
    """Contig and strand of each gene: by its line, else by its first transcript, a good one if there is one."""
    genes, gene = annotation.genes, annotation.transcripts.gene
    contig, strand = np.full(len(genes.ids), -1, np.int32), np.zeros(len(genes.ids), np.int8)
    for chosen in (gene >= 0, good):
        backwards = np.flatnonzero(chosen)[::-1]
        contig[gene[backwards]], strand[gene[backwards]] = spans.contig[backwards], spans.strand[backwards]
    return np.where(genes.contig >= 0, genes.contig, contig), np.where(genes.strand != 0, genes.strand, strand)


def _by_transcripts(gene: Codes, own: Verdicts, *, has_line: Flags) -> Verdicts:
    """Verdict on genes by their transcripts: one that stands, else that on the first, else that they have no exons."""
    # A gene with neither line nor transcript was named by an exon of a transcript that another exon gives elsewhere.
    verdicts = np.where(has_line, _code(Reason.NO_EXONS), _code(Reason.TWO_GENES)).astype(np.int8)
    for chosen in (gene >= 0, (gene >= 0) & (own == STANDS)):
        backwards = np.flatnonzero(chosen)[::-1]
        verdicts[gene[backwards]] = own[backwards]
    return verdicts


def _contig_verdict(name: str | None, used: Sequence[str]) -> int:
    if used:
        return STANDS if name in used else _code(Reason.CONTIG_NOT_USED)
    return STANDS if name is not None else _code(Reason.CONTIG_NOT_IN_GENOME)
