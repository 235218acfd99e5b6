"""A small splice model that needs no weights: two position weight matrices with the human consensus.

It sees the nine bases around a donor and the 23 before and behind an acceptor, and nothing of the rest, so it finds
most sites, misses weak ones and fires at decoys: what a meta-model is for. It stands in for a base model in the
demonstration and in tests; its scores are not for science.

Each matrix gives the log-odds of its motif against even bases; log-odds less `_BITS`, the bits that a site must have,
are the logit against "neither". As in the networks, the score sits on the exon's last (donor) or first (acceptor) base.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.layers import BASES, CHANNELS

CONTEXT = 80
"""Bases that the model wants around a position, both sides together; it reads fewer."""

Codes = NDArray[np.uint8]

_DONOR_START, _ACCEPTOR_START = -2, -20
"""Where the matrices begin, counted from the base that is scored."""
# Rounded shares of A, C, G, T at human donors, three exon and six intron bases.
_DONOR = (
    (0.33, 0.37, 0.18, 0.12),
    (0.60, 0.13, 0.13, 0.14),
    (0.09, 0.03, 0.80, 0.08),
    (0.001, 0.001, 0.997, 0.001),
    (0.001, 0.01, 0.001, 0.988),
    (0.53, 0.03, 0.42, 0.02),
    (0.71, 0.08, 0.12, 0.09),
    (0.07, 0.05, 0.82, 0.06),
    (0.16, 0.17, 0.20, 0.47),
)
# The same for acceptors: 16 bases of the pyrimidine tract, four up to the AG, three exon bases.
_TRACT = (0.13, 0.30, 0.12, 0.45)
_ACCEPTOR = (
    *(_TRACT,) * 16,
    (0.23, 0.28, 0.21, 0.28),
    (0.04, 0.65, 0.01, 0.30),
    (0.997, 0.001, 0.001, 0.001),
    (0.001, 0.001, 0.997, 0.001),
    (0.25, 0.14, 0.49, 0.12),
    (0.24, 0.19, 0.20, 0.37),
    (0.26, 0.23, 0.25, 0.26),
)
_BITS = {"acceptor": 7.5, "donor": 7.0}
_SPREAD = 0.03
"""Share of a probability that each of the two neighbours gets, so that peaks have flanks as a network's have."""


def score(codes: Codes) -> NDArray[np.float32]:
    """Score every base that has half the context on either side.

    Args:
        codes: Shape `(length + 80,)`, uint8: A, C, G, T as 0 to 3; 4 for an unknown base or none.

    Returns:
        Shape `(3, length)`: probabilities of neither, acceptor and donor.
    """
    # One base more on both sides, for the spread.
    first, length = CONTEXT // 2 - 1, codes.size - CONTEXT + 2
    logits = np.zeros((len(CHANNELS), length))
    for name, table, start in (("acceptor", _ACCEPTOR, _ACCEPTOR_START), ("donor", _DONOR, _DONOR_START)):
        logits[CHANNELS.index(name)] = _log_odds(codes, table, first + start, length) - _BITS[name]
    odds = np.exp2(logits)
    odds[1:, codes[first : first + length] >= BASES] = 0.0
    probabilities = odds / odds.sum(axis=0)
    spread = (1 - 2 * _SPREAD) * probabilities[:, 1:-1] + _SPREAD * (probabilities[:, :-2] + probabilities[:, 2:])
    scores: NDArray[np.float32] = spread.astype(np.float32)
    return scores


def _log_odds(codes: Codes, table: Sequence[Sequence[float]], start: int, length: int) -> NDArray[np.float64]:
    """Sum of log2(share / 0.25) over the matrix laid at every position; an unknown base counts nothing."""
    weights = np.zeros((len(table), BASES + 1))
    weights[:, :BASES] = np.log2(np.asarray(table) * BASES)
    total = np.zeros(length)
    for i, row in enumerate(weights):
        total += row[codes[start + i : start + i + length]]
    return total
