"""The bases of the simulated genes: what their exons and introns are made of, and the signal that is planted in them.

A base model that looks at 40 bases on either side sees motifs; decoys have them too. Further out, real exons have what
decoys lack: runs of G in the introns beside them, and enhancers within. A meta-model can count both in its window.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from trainyard.demo.splice_genes import FLANK, Gene, Site
from trainyard.demo.splice_motifs import (
    BEGIN,
    LENGTH,
    UNKNOWN,
    Codes,
    Flags,
    codes_of,
    draw_bases,
    draw_motif,
    reverse_complement,
    silence,
)
from trainyard.splice.schema import ACCEPTOR, DONOR, SITE_TYPES
from trainyard.yard.identity import generator

INTRON_SHARES, EXON_SHARES = (0.29, 0.20, 0.18, 0.33), (0.27, 0.25, 0.26, 0.22)
"""Shares of A, C, G, T; introns and what lies between genes have the first."""

RUNS, RUN_SPACING, RUN_REACH = ("GGG", "GGGA", "GGGG"), 30, (45, 200)
"""Runs of G in introns, one in so many bases, between so many bases from an exon, nt."""
ENHANCERS, ENHANCER_SPACING = ("GAAGAA", "GAAGAC", "AGAAGA", "GACGAA"), 25
"""Enhancers in exons, one in so many bases."""
LONG_TRACT, TRACT_SHARES = (-38, -20), (0.06, 0.34, 0.06, 0.54)
"""Where and of what the tract of pyrimidines goes on before an acceptor; it begins with the branch point."""
MINOR_BRANCH = "TTCCTTAAC"

STRONGEST_CHANCE = 6.0
"""Bits from which sites that chance made within genes are silenced."""


def paint(seed: int, gene: Gene, before: Codes | None = None) -> Codes:
    """Bases of a gene and of `FLANK` bases on both sides, in transcript direction; shape `(length + 2 * FLANK,)`.

    Args:
        seed: Of the simulation.
        gene: The gene.
        before: Bases of the gene that it overlaps, with flanks, in the direction of that gene.
    """
    draw = generator("demo-splice-bases", seed, gene.number)
    codes = draw_bases(draw, INTRON_SHARES, gene.length + 2 * FLANK)
    locked = np.zeros(len(codes), np.bool_)
    inside, fixed = codes[FLANK:-FLANK], locked[FLANK:-FLANK]
    for begin, end, word in _words(draw, gene, inside):
        inside[begin:end] = word
    for site in (*gene.decoys, *gene.sites):
        _put_site(draw, inside, fixed, site, is_real=site in gene.sites)
    if gene.unknown is not None:
        inside[slice(*gene.unknown)] = UNKNOWN
        fixed[slice(*gene.unknown)] = True
    if before is not None:
        _take_over(codes, locked, gene, before)
    everything = (*gene.sites, *gene.decoys)
    planted = {kind: [site.t + FLANK for site in everything if site.kind == kind] for kind in SITE_TYPES}
    silence(codes, locked, planted, limit=STRONGEST_CHANCE)
    return codes


def between(seed: int, number: int) -> Codes:
    """Bases before a gene that belong to no gene, in some cases with a run of N."""
    draw = generator("demo-splice-between", seed, number)
    codes = draw_bases(draw, INTRON_SHARES, int(draw.integers(800, 3500)))
    if draw.random() < 0.3:
        begin = len(codes) // 2
        codes[begin : begin + int(draw.integers(100, 300))] = UNKNOWN
    return codes


def masked(seed: int, number: int, n: int) -> Flags:
    """Which of the bases that a gene brings are soft-masked, as repeats are: about a third, in stretches."""
    draw = generator("demo-splice-masked", seed, number)
    turns = np.cumsum(draw.geometric(1 / 300, 2 * (n // 300) + 20) * np.resize([2, 1], 2 * (n // 300) + 20))
    odd: Flags = np.searchsorted(turns, np.arange(n), side="right") % 2 == 1
    return odd


def _take_over(codes: Codes, locked: Flags, gene: Gene, before: Codes) -> None:
    """Put the shared bases, with the flank on the far side, in their place."""
    n = gene.shared + FLANK
    if gene.head:
        codes[:n], locked[:n] = before[-n:], True
    else:
        codes[-n:], locked[-n:] = reverse_complement(before[-n:]), True


def _words(draw: np.random.Generator, gene: Gene, codes: Codes) -> Iterator[tuple[int, int, Codes]]:
    """What exons are made of, and words of the planted signal, by place."""
    exons = gene.transcripts[0].exons
    for begin, end in exons:
        yield begin, end, draw_bases(draw, EXON_SHARES, end - begin)
        yield from _scattered(draw, ENHANCERS, begin, end, ENHANCER_SPACING)
    near, far = RUN_REACH
    for (_, begin), (end, _) in pairwise(exons):
        middle = (begin + end) // 2
        yield from _scattered(draw, RUNS, begin + near, min(begin + far, middle), RUN_SPACING)
        yield from _scattered(draw, RUNS, max(end - far, middle), end - near, RUN_SPACING)


def _scattered(
    draw: np.random.Generator, words: tuple[str, ...], begin: int, end: int, spacing: int
) -> Iterator[tuple[int, int, Codes]]:
    """Words at random places, one per `spacing` bases."""
    room = end - begin - max(map(len, words))
    for _ in range(max(room, 0) // spacing):
        word = codes_of(words[int(draw.integers(len(words)))])
        at = begin + int(draw.integers(room))
        yield at, at + len(word), word


def _put_site(draw: np.random.Generator, codes: Codes, fixed: Flags, site: Site, *, is_real: bool) -> None:
    """Write the motif of a site, and lock it; a real acceptor also has a branch point and a longer tract."""
    if is_real and site.kind == ACCEPTOR:
        low, high = (site.t + place for place in LONG_TRACT)
        before = draw_bases(draw, TRACT_SHARES, high - low)
        if site.ends == "AC":
            before[-len(MINOR_BRANCH) :] = codes_of(MINOR_BRANCH)
        else:
            before[:5] = codes_of(_branch_point(draw))
        codes[low:high][~fixed[low:high]] = before[~fixed[low:high]]
    motif, begin = draw_motif(draw, site.kind, site.ends), site.t + BEGIN[site.kind]
    end = begin + LENGTH[site.kind]
    free = ~fixed[begin:end]
    if site.kind == DONOR:
        # The donor of an exon of one base: its intron's ends go before the acceptor's last bases.
        free[3:5] = True
    codes[begin:end][free] = motif[free]
    fixed[begin:end] = True


def _branch_point(draw: np.random.Generator) -> str:
    """A branch point, `YTNAY`."""
    first, second, third = draw.integers([2, 4, 2]).tolist()
    return f"{'CT'[first]}T{'ACGT'[second]}A{'CT'[third]}"
