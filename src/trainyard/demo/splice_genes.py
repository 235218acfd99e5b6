"""The simulated genes: exons, transcripts and decoys, each a function of the seed and the gene's number alone.

Some numbers have a role: what overlaps in real annotations, or goes wrong in them, does so there. A gene is described
in transcript direction, intervals being 0-based and half-open; where it lies is decided later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from trainyard.demo.splice_motifs import USUAL_ENDS
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import ACCEPTOR, DONOR
from trainyard.yard.identity import generator

PERIOD = 24
"""Roles that many genes may have come again every so many genes."""
READTHROUGH, CONVERGENT = 3, 7
"""Places in the period of genes that overlap the one before: on its strand, sharing a donor, or tail to tail."""
SINGLE_EXON, ONE_BASE_EXON, MINOR_INTRON, GC_INTRON = 5, 8, 10, 12
ABUTTING_EXONS, TWO_STRANDS, REPEATED_EXON = 0, 1, 4
"""Numbers of genes with a faulty transcript."""
LOST_CONTIG, PAST_END = 9, 14
"""Numbers of genes on a contig that the FASTA lacks, and past the end of one that it has."""

FLANK = 200
"""Bases beside a gene that belong to nothing else, nt."""
TAIL = 60
"""Bases that two genes share tail to tail, less the flank."""

DECOY_SHARE = 0.5
"""Decoys of each kind per intron that has room."""
NEAR_SHARE, NEAR, FAR = 0.25, 60, 260
"""Share of decoys that may lie near an exon, and how far from exons decoys lie at least, nt."""

Interval = tuple[int, int]
Ends = Literal["GT-AG", "GC-AG", "AT-AC"]
CANONICAL: Ends = "GT-AG"

_GC_SHARE = 0.01
_EXON, _INTRON = (125.0, 0.4, 50, 300), (900.0, 0.8, 120, 4500)
"""Median (nt), standard deviation of the logarithm, least and most."""
_LAST_EXON = (160, 300)
_COUNTS = {"protein_coding": (6, 14), "lncRNA": (3, 5), "unprocessed_pseudogene": (3, 6)}
"""Fewest and most exons."""
_ROOM = 300
"""Introns from this length on have room for an alternative site, nt."""
_ELBOW = 50
"""Bases between a decoy and anything else that is planted, nt."""


@dataclass(frozen=True)
class Transcript:
    """A transcript as the annotation lists it."""

    exons: tuple[Interval, ...]
    fault: Reason | None = None
    """What is wrong with it, if anything; only exons on two strands keep it from standing."""

    @property
    def stands(self) -> bool:
        """Whether it is a transcript of its gene."""
        return self.fault is not Reason.TWO_STRANDS

    @property
    def introns(self) -> list[Interval]:
        """Gaps between exons; abutting and repeated exons leave none."""
        return [(end, begin) for (_, end), (begin, _) in pairwise(self.exons) if begin > end]


@dataclass(frozen=True)
class Site:
    """A splice site or a decoy; `t` is the exon base next to the intron."""

    kind: str
    t: int
    ends: str
    """The two bases at that end of the intron."""


@dataclass(frozen=True)
class Gene:
    """A gene."""

    number: int
    gene_type: str
    strand: Literal["+", "-"]
    length: int
    transcripts: tuple[Transcript, ...]
    """The representative one first."""
    odd_introns: tuple[tuple[int, Ends], ...]
    """Introns of the first transcript that do not read GT-AG."""
    decoys: tuple[Site, ...]
    unknown: Interval | None
    """A run of N."""
    head: int = 0
    """Bases at its beginning that it shares with the gene before and the flank of that."""
    tail: int = 0
    """The same at its end."""

    @property
    def shared(self) -> int:
        """Bases that it shares with the gene before and the flank of that."""
        return self.head + self.tail

    @property
    def gene_id(self) -> str:
        """Identifier; the default split of the default demo then fills train, val and test."""
        return f"DEMOG{self.number + 1:05d}"

    @property
    def fate(self) -> Reason | None:
        """Why the gene does not stand; None if it does."""
        return fate_of(self.number)

    @cached_property
    def introns(self) -> dict[Interval, str]:
        """Unique introns of the transcripts that stand, with their terminal bases, such as GT-AG."""
        own = self.transcripts[0].introns
        donors = {own[i][0]: ends.split("-")[0] for i, ends in self.odd_introns}
        acceptors = {own[i][1]: ends.split("-")[1] for i, ends in self.odd_introns}
        found = {intron for transcript in self.transcripts if transcript.stands for intron in transcript.introns}
        return {(begin, end): f"{donors.get(begin, 'GT')}-{acceptors.get(end, 'AG')}" for begin, end in sorted(found)}

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """Unique sites by position and kind."""
        found = {}
        for (begin, end), ends in self.introns.items():
            found[begin - 1, DONOR], found[end, ACCEPTOR] = ends.split("-")
        return tuple(Site(kind, t, ends) for (t, kind), ends in sorted(found.items()))

    def transcripts_at(self, site: Site) -> int:
        """Transcripts that use a site."""
        users = 0
        for transcript in self.transcripts:
            ends = {begin - 1 if site.kind == DONOR else end for begin, end in transcript.introns}
            users += transcript.stands and site.t in ends
        return users


def fate_of(number: int) -> Reason | None:
    """Why the gene of a number does not stand; None if it does."""
    return {LOST_CONTIG: Reason.CONTIG_NOT_IN_GENOME, PAST_END: Reason.PAST_CONTIG_END}.get(number)


def is_eligible(number: int) -> bool:
    """Whether the gene of a number stands and has splice sites."""
    return fate_of(number) is None and number % PERIOD != SINGLE_EXON


def partner_of(number: int) -> int | None:
    """The gene that the gene of a number overlaps, if any."""
    return number - 1 if number % PERIOD in (READTHROUGH, CONVERGENT) else None


def make_gene(seed: int, number: int) -> Gene:
    """Make a gene."""
    draw = generator("demo-splice-gene", seed, number)
    place, before = number % PERIOD, partner_of(number)
    gene_type = _gene_type(place)
    if place == SINGLE_EXON:
        whole = (0, int(draw.integers(500, 900)))
        return Gene(number, gene_type, _strand(draw, place), whole[1], (Transcript((whole,)),), (), (), None)
    exons, head, tail, odd = _exons(draw, gene_type), 0, 0, _odd_introns(draw, place)
    if before is not None and place == READTHROUGH:
        exons, head, odd[0] = _read_through(make_gene(seed, before), exons)
    elif before is not None:
        tail = TAIL + FLANK
        exons[-1] = (exons[-1][0], exons[-1][1] + tail)
    length = exons[-1][1]
    odd_introns = tuple((i, ends) for i, ends in sorted(odd.items()) if i < len(exons) - 1 and ends != CANONICAL)
    transcripts = (Transcript(tuple(exons)), *_alternatives(draw, exons, gene_type, place, first=2 if head else 1))
    transcripts += tuple(_faulty(exons, number))
    unknown = _unknown(draw, exons) if place % 5 == 1 else None
    taken = [(t, t) for one in transcripts for intron in one.introns for t in intron]
    taken += [unknown] if unknown else []
    decoys = tuple(_decoys(draw, exons, head, taken))
    return Gene(number, gene_type, _strand(draw, place), length, transcripts, odd_introns, decoys, unknown, head, tail)


def _gene_type(place: int) -> str:
    if place % 8 == 4:
        return "lncRNA"
    return "unprocessed_pseudogene" if place in (11, 17) else "protein_coding"


def _strand(draw: np.random.Generator, place: int) -> Literal["+", "-"]:
    # Overlaps are laid out with the first gene on the + strand.
    if place in (READTHROUGH - 1, READTHROUGH, CONVERGENT - 1):
        return "+"
    return "-" if place == CONVERGENT or draw.random() < 0.5 else "+"


def _lengths(draw: np.random.Generator, shape: tuple[float, float, int, int], n: int) -> list[int]:
    median, spread, least, most = shape
    drawn: list[int] = np.rint(median * np.exp(spread * draw.standard_normal(n))).clip(least, most).astype(int).tolist()
    return drawn


def _exons(draw: np.random.Generator, gene_type: str) -> list[Interval]:
    fewest, most = _COUNTS[gene_type]
    n = int(draw.integers(fewest, most, endpoint=True))
    lengths, introns = _lengths(draw, _EXON, n), [*_lengths(draw, _INTRON, n - 1), 0]
    lengths[-1] = int(draw.integers(*_LAST_EXON, endpoint=True))
    exons, at = [], 0
    for length, intron in zip(lengths, introns, strict=True):
        exons.append((at, at + length))
        at += length + intron
    return exons


def _read_through(before: Gene, exons: list[Interval]) -> tuple[list[Interval], int, Ends]:
    """Begin in the last but one exon of the gene before, and go on past its end; the first exon's end is shared.

    Returns:
        Exons, bases shared with the gene before, and the ends of the first intron, whose donor is shared.
    """
    known = before.transcripts[0].exons
    begin, end = known[-2]
    start = (begin + end) // 2
    head = before.length + FLANK - start
    shift = head - exons[0][1]
    ends = dict(before.odd_introns).get(len(known) - 2, CANONICAL)
    return [(0, end - start), *((b + shift, e + shift) for b, e in exons[1:])], head, ends


def _odd_introns(draw: np.random.Generator, place: int) -> dict[int, Ends]:
    most = max(n for _, n in _COUNTS.values()) - 1
    odd: dict[int, Ends] = dict.fromkeys(np.flatnonzero(draw.random(most) < _GC_SHARE).tolist(), "GC-AG")
    if place in (MINOR_INTRON, GC_INTRON):
        odd[1] = "AT-AC" if place == MINOR_INTRON else "GC-AG"
    return odd


def _alternatives(
    draw: np.random.Generator, exons: list[Interval], gene_type: str, place: int, *, first: int
) -> Iterator[Transcript]:
    """Further transcripts, each of which differs at an exon of its own, from number `first` on."""
    most = {"protein_coding": 4, "lncRNA": 2}.get(gene_type, 0)
    wanted = 0 if place == MINOR_INTRON else int(draw.integers(0, most, endpoint=True))
    for j in draw.permutation(np.arange(first, len(exons) - 1))[:wanted].tolist():
        yield Transcript(tuple(_varied(draw, exons, j)))
    if place == ONE_BASE_EXON:
        longest = max(range(len(exons) - 1), key=lambda i: exons[i + 1][0] - exons[i][1])
        middle = (exons[longest][1] + exons[longest + 1][0]) // 2
        yield Transcript((*exons[: longest + 1], (middle, middle + 1), *exons[longest + 1 :]))


def _varied(draw: np.random.Generator, exons: list[Interval], j: int) -> list[Interval]:
    """Exons of which number `j` begins or ends elsewhere, goes on through the next intron, or is skipped."""
    (begin, end), before, after = exons[j], exons[j][0] - exons[j - 1][1], exons[j + 1][0] - exons[j][1]
    choice, step = int(draw.integers(4)), int(draw.integers(45, 90))
    new: list[Interval] = []
    if choice == 0 and after >= _ROOM:
        new = [(begin, end + step)]
    elif choice == 1 and before >= _ROOM:
        new = [(begin - step, end)]
    elif choice == 2 and end - begin >= 120:
        new = [(begin, end - step // 2)]
    elif choice == 3:
        return [*exons[:j], (begin, exons[j + 1][1]), *exons[j + 2 :]]
    return [*exons[:j], *new, *exons[j + 1 :]]


def _faulty(exons: list[Interval], number: int) -> Iterator[Transcript]:
    if number == ABUTTING_EXONS:
        begin, end = exons[1]
        middle = (begin + end) // 2
        yield Transcript((exons[0], (begin, middle), (middle, end), *exons[2:]), Reason.SHORT_INTRON)
    if number == TWO_STRANDS:
        yield Transcript(tuple(exons[:3]), Reason.TWO_STRANDS)
    if number == REPEATED_EXON:
        yield Transcript((*exons[:2], *exons[1:]), Reason.EXONS_OVERLAP)


def _unknown(draw: np.random.Generator, exons: list[Interval]) -> Interval | None:
    """A run of N in the middle of the longest intron, if that has room."""
    introns = [(end, begin) for (_, end), (begin, _) in pairwise(exons)]
    begin, end = max(introns, key=lambda intron: intron[1] - intron[0])
    length = int(draw.integers(40, 120))
    middle = (begin + end) // 2
    return (middle, middle + length) if end - begin > 2 * _ROOM else None


def _decoys(draw: np.random.Generator, exons: list[Interval], head: int, taken: list[Interval]) -> Iterator[Site]:
    """Sites in introns that no transcript uses, mostly far from exons, and not near anything that is taken."""
    for (_, begin), (end, _) in pairwise(exons):
        for kind, ends in USUAL_ENDS.items():
            chosen, near, place = draw.random(3).tolist()
            margin = NEAR if near < NEAR_SHARE else FAR
            least, most = max(begin, head) + margin, end - margin
            if chosen >= DECOY_SHARE or most <= least:
                continue
            t = least + int(place * (most - least))
            if any(low - _ELBOW < t < high + _ELBOW for low, high in taken):
                continue
            taken.append((t, t))
            yield Site(kind, t, ends)
