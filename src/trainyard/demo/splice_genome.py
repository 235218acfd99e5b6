"""Where the simulated genes lie, and the genome that holds them.

Chromosomes only grow at their ends: what stands before a gene does not depend on the genes that come later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainyard.demo.splice_bases import between, masked, paint
from trainyard.demo.splice_genes import FLANK, LOST_CONTIG, PAST_END, Gene, make_gene, partner_of
from trainyard.demo.splice_motifs import UNKNOWN, Codes, Flags, reverse_complement
from trainyard.splice.settings import SpliceDemoSettings

LOST, CUT = "scaffold_2", "scaffold_1"
"""Contigs of the annotation: one that the FASTA lacks, and one that is cut off in it."""
TELOMERE = 1000
"""N at both ends of a chromosome, nt."""
ODD_SHARE = (True, True, True, False)
"""Which of four consecutive genes go to odd chromosomes, which the base model has not seen by default."""

LINE = 60
Stretch = tuple[Codes, Flags]
"""Bases in genomic direction, and which of them are soft-masked; both of shape `(n,)`."""

_LETTERS = np.frombuffer(b"ACGTNacgtn", np.uint8)


@dataclass(frozen=True)
class Placed:
    """A gene on a contig."""

    gene: Gene
    contig: str
    start: int
    """First base, 1-based."""
    codes: Codes
    """Its bases in transcript direction, shape `(length,)`."""

    @property
    def end(self) -> int:
        """Last base, 1-based."""
        return self.start + self.gene.length - 1

    def position(self, t: int) -> int:
        """Place on the contig, 1-based, of a base of the gene, counted from 0 in transcript direction."""
        return self.start + t if self.gene.strand == "+" else self.end - t


@dataclass(frozen=True)
class Genome:
    """The simulated genome, with its genes by number."""

    contigs: dict[str, Stretch]
    genes: tuple[Placed, ...]


def contig_of(number: int, chromosomes: int) -> str:
    """Contig of a gene."""
    if number in (LOST_CONTIG, PAST_END):
        return LOST if number == LOST_CONTIG else CUT
    before = partner_of(number)
    if before is not None:
        return contig_of(before, chromosomes)
    turn, place = divmod(number, len(ODD_SHARE))
    odd = ODD_SHARE[place]
    names = range(1 if odd else 2, chromosomes + 1, 2)
    # How many genes have gone to chromosomes of this kind before.
    index = turn * ODD_SHARE.count(odd) + ODD_SHARE[:place].count(odd)
    return str(names[index % len(names)])


def make_genome(settings: SpliceDemoSettings) -> Genome:
    """Make all genes and put them on their contigs."""
    chromosomes = [str(number) for number in range(1, settings.chromosomes + 1)]
    telomere = np.full(TELOMERE, UNKNOWN, np.uint8), np.zeros(TELOMERE, np.bool_)
    pieces = {name: [telomere] for name in chromosomes}
    placed: list[Placed] = []
    painted: Codes | None = None
    for number in range(settings.genes):
        gene = make_gene(settings.seed, number)
        painted = paint(settings.seed, gene, painted if gene.shared else None)
        contig = contig_of(number, settings.chromosomes)
        there = pieces.setdefault(contig, [])
        new = _new_bases(settings.seed, gene, painted)
        ahead = -gene.shared if gene.shared else len(new) - gene.length - FLANK
        start = sum(len(codes) for codes, _ in there) + ahead + 1
        placed.append(Placed(gene, contig, start, painted[FLANK:-FLANK]))
        there.append((new, masked(settings.seed, number, len(new))))
    pieces.pop(LOST, None)
    contigs = {name: _joined([*parts, telomere] if name in chromosomes else parts) for name, parts in pieces.items()}
    if CUT in contigs:
        end = placed[PAST_END].end - placed[PAST_END].gene.length // 2
        contigs[CUT] = contigs[CUT][0][:end], contigs[CUT][1][:end]
    return Genome(contigs, tuple(placed))


def _joined(parts: Sequence[Stretch]) -> Stretch:
    codes, mask = zip(*parts, strict=True)
    return np.concatenate(codes), np.concatenate(mask)


def _new_bases(seed: int, gene: Gene, painted: Codes) -> Codes:
    """What a gene adds to its contig, in genomic direction."""
    if gene.head:
        return painted[FLANK + gene.head :]
    if gene.tail:
        return reverse_complement(painted[: -FLANK - gene.tail])
    genomic = painted if gene.strand == "+" else reverse_complement(painted)
    return np.concatenate([between(seed, gene.number), genomic])


def fasta(contigs: dict[str, Stretch], *, build: str) -> Iterator[bytes]:
    """Text of a FASTA, contig by contig, in lines of 60 letters; soft-masked ones are lower-case."""
    for name, (codes, mask) in contigs.items():
        n = len(codes)
        kind = "scaffold" if name == CUT else "chromosome"
        yield f">{name} dna_sm:{kind} {kind}:{build}:{name}:1:{n}:1\n".encode()
        letters = _LETTERS[codes + np.uint8(5) * mask]
        whole = n // LINE * LINE
        lines: NDArray[np.uint8] = np.pad(letters[:whole].reshape(-1, LINE), ((0, 0), (0, 1)), constant_values=10)
        yield lines.tobytes()
        if whole < n:
            yield letters[whole:].tobytes() + b"\n"
