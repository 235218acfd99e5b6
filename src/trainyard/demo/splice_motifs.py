"""Motifs of simulated splice sites: what they are drawn from, how well bases fit them, and how to silence chance ones.

Bases are codes: A 0, C 1, G 2, T 3, 4 for an unknown one. Everything is in transcript direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.schema import ACCEPTOR, DONOR, SITE_TYPES

Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

BASES, UNKNOWN = 4, 4

BEGIN = {DONOR: -2, ACCEPTOR: -20}
"""Where a motif begins, from the exon base next to the intron: donors cover -3 to +6, acceptors -20 to +3."""
USUAL_ENDS = {DONOR: "GT", ACCEPTOR: "AG"}
"""The two bases at the ends of nearly all introns."""
_ENDS = {DONOR: 3, ACCEPTOR: 18}
"""Where in a motif the two bases at the end of the intron stand."""

# Shares of A, C, G, T in percent; the human consensus MAG|GTRAGT and a tract of pyrimidines before NCAG|G.
_TRACT = (11, 28, 10, 51)
_SHARES = {
    DONOR: (
        (34, 36, 18, 12),
        (62, 11, 12, 15),
        (9, 3, 80, 8),
        (0, 0, 100, 0),
        (0, 0, 0, 100),
        (59, 3, 35, 3),
        (71, 8, 12, 9),
        (8, 6, 80, 6),
        (16, 17, 20, 47),
    ),
    ACCEPTOR: (
        *((14, 26, 13, 47),) * 6,
        *(_TRACT,) * 10,
        (24, 27, 20, 29),
        (5, 64, 1, 30),
        (100, 0, 0, 0),
        (0, 0, 100, 0),
        (25, 13, 50, 12),
        (25, 18, 20, 37),
        (26, 23, 25, 26),
    ),
}
_LEAST = 0.002
_TABLES: dict[str, Floats] = {name: np.array(rows) / 100 for name, rows in _SHARES.items()}
_WEIGHTS: dict[str, Floats] = {
    name: np.pad(np.log2(np.maximum(table, _LEAST) * BASES), ((0, 0), (0, 1))) for name, table in _TABLES.items()
}
"""Log-odds in bits against even bases, shape (length, 5): A, C, G, T, and 0 for an unknown base."""
LENGTH = {name: len(table) for name, table in _TABLES.items()}

_MOST_ROUNDS = 20


def codes_of(text: str) -> Codes:
    """Codes of a text of the letters A, C, G and T."""
    return np.array(["ACGT".index(letter) for letter in text], np.uint8)


def reverse_complement(codes: Codes) -> Codes:
    """The other strand, read in its own direction."""
    return np.array([3, 2, 1, 0, UNKNOWN], np.uint8)[codes[::-1]]


def draw_bases(draw: np.random.Generator, shares: Sequence[float], n: int) -> Codes:
    """Bases drawn one by one with the given shares of A, C, G, T; shape `(n,)`."""
    return np.searchsorted(np.cumsum(shares)[:-1], draw.random(n), side="right").astype(np.uint8)


def draw_motif(draw: np.random.Generator, kind: str, ends: str) -> Codes:
    """A donor (9 bases) or acceptor (23 bases) whose two bases at the end of the intron are `ends`, such as GT.

    No other place within it fits better than its own, as real tracts have no AG before the acceptor's.
    """
    cumulative = np.cumsum(_TABLES[kind], axis=1)[:, :-1]
    while True:
        motif: Codes = (draw.random(LENGTH[kind])[:, None] >= cumulative).sum(axis=1).astype(np.uint8)
        if ends == "AT":
            # Minor introns have a donor of their own, with hardly any variation.
            motif[_ENDS[kind] :] = codes_of("ATATCC")
        motif[_ENDS[kind] : _ENDS[kind] + 2] = codes_of(ends)
        if ends not in USUAL_ENDS.values() or fit(motif, kind).argmax() == -BEGIN[kind]:
            return motif


def fit(codes: Codes, kind: str) -> Floats:
    """How well the bases around each position fit a motif, bits; shape `(n,)`.

    Args:
        codes: Shape `(n,)`; what lies beyond counts as unknown, which weighs nothing.
        kind: donor (the position being the last base of an exon) or acceptor (the first).
    """
    padded = np.pad(codes, LENGTH[kind], constant_values=UNKNOWN)
    total = np.zeros(len(codes))
    for i, weights in enumerate(_WEIGHTS[kind]):
        begin = LENGTH[kind] + BEGIN[kind] + i
        total += weights[padded[begin : begin + len(codes)]]
    return total


def silence(codes: Codes, locked: Flags, planted: Mapping[str, Sequence[int]], *, limit: float) -> None:
    """Spoil, in place, all motifs but the planted ones that fit too well, by a base each.

    Genomes have such chance sites too, but a position weight matrix alone would then find more of them than real ones.

    Args:
        codes: Shape `(n,)`.
        locked: Bases that must stay, shape `(n,)`; a motif made of them alone stays too.
        planted: Positions of planted donors and acceptors.
        limit: Bits from which a motif is spoilt.
    """
    for _ in range(_MOST_ROUNDS):
        spoilt = 0
        for kind in SITE_TYPES:
            good = fit(codes, kind) >= limit
            good[list(planted[kind])] = False
            for position in np.flatnonzero(good).tolist():
                spoilt += _spoil(codes, locked, kind, position)
        if not spoilt:
            return


def _spoil(codes: Codes, locked: Flags, kind: str, position: int) -> bool:
    """Put the worst base where it costs the motif most; False if all bases that matter are locked."""
    place = np.arange(LENGTH[kind]) + position + BEGIN[kind]
    inside = (place >= 0) & (place < len(codes))
    place, weights = place[inside], _WEIGHTS[kind][inside]
    loss = np.where(locked[place], 0.0, weights[np.arange(len(place)), codes[place]] - weights[:, :BASES].min(axis=1))
    worst = int(loss.argmax())
    if loss[worst] <= 0:
        return False
    codes[place[worst]] = weights[worst, :BASES].argmin()
    return True
