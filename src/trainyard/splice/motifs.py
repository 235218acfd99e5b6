"""Motifs of splice sites at a position: how well the bases around it fit a donor and an acceptor.

Weights are log-odds in bits against equal bases, from the frequencies in human introns of low G+C loci of Zhang (1998),
Hum. Mol. Genet. 7:919, table as in Deonier, Tavare & Waterman, Computational Genome Analysis, table 14.3. They are
constants, not fitted to the annotation at hand, so no label of the dataset is in them. The acceptor table covers
-15 to +2; the other positions of the 23-mer (-20 to -16 and +3) weigh nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.calls import UNKNOWN_BASE, Codes
from trainyard.splice.kmers import Places

DONOR_OFFSETS = (-2, 7)
"""The donor's 9-mer, -3 to +6: `[t - 2, t + 7)` around the last exon base `t`."""
ACCEPTOR_OFFSETS = (-20, 3)
"""The acceptor's 23-mer, -20 to +3: `[t - 20, t + 3)` around the first exon base `t`."""
TRACT_OFFSETS = (-20, -2)
"""Where the polypyrimidine tract is looked for, -20 to -3."""

_LEAST = 0.005
"""For bases that the table, given in hundredths, has at 0: half a hundredth."""
_REACH = 20
_A, _C, _G, _T = range(4)

_DONOR = (
    (0.38, 0.62, 0.12, 0.00, 0.00, 0.71, 0.73, 0.11, 0.21),
    (0.31, 0.10, 0.04, 0.00, 0.00, 0.02, 0.06, 0.06, 0.10),
    (0.18, 0.12, 0.77, 1.00, 0.00, 0.24, 0.08, 0.75, 0.14),
    (0.13, 0.16, 0.07, 0.00, 1.00, 0.03, 0.13, 0.08, 0.55),
)
"""Frequencies of A, C, G, T at -3 to +6."""
_ACCEPTOR = (
    (0.15, 0.14, 0.13, 0.11, 0.10, 0.10, 0.11, 0.12, 0.13, 0.11, 0.10, 0.26, 0.07, 1.00, 0.00, 0.26, 0.24),
    (0.24, 0.21, 0.20, 0.22, 0.21, 0.22, 0.25, 0.28, 0.28, 0.25, 0.22, 0.25, 0.55, 0.00, 0.00, 0.11, 0.15),
    (0.10, 0.12, 0.10, 0.09, 0.10, 0.09, 0.10, 0.10, 0.08, 0.05, 0.05, 0.15, 0.01, 0.00, 1.00, 0.50, 0.20),
    (0.51, 0.53, 0.57, 0.58, 0.59, 0.59, 0.54, 0.50, 0.51, 0.59, 0.63, 0.33, 0.37, 0.00, 0.00, 0.13, 0.41),
)
"""Frequencies of A, C, G, T at -15 to +2."""


def motif_features(codes: Codes, t: Places) -> dict[str, NDArray[Any]]:
    """Motif features of positions of a gene; bases beyond it are unknown, and those weigh nothing.

    Args:
        codes: Bases in transcript direction, shape `(L,)`: A 0, C 1, G 2, T 3, anything else 4.
        t: Positions, shape `(n,)`.
    """
    padded = np.pad(codes, _REACH, constant_values=UNKNOWN_BASE)
    donor, acceptor, tract = (
        padded[t[None, :] + (np.arange(begin, end)[:, None] + _REACH)]
        for begin, end in (DONOR_OFFSETS, ACCEPTOR_OFFSETS, TRACT_OFFSETS)
    )
    pyrimidines = ((tract == _C) | (tract == _T)).sum(axis=0)
    known = np.maximum((tract <= _T).sum(axis=0), 1)
    return {
        "donor_motif_score": _weigh(_DONOR_WEIGHTS, donor),
        "acceptor_motif_score": _weigh(_ACCEPTOR_WEIGHTS, acceptor),
        "donor_is_gt": _is(donor[3], _G, donor[4], _T),
        "donor_is_gc": _is(donor[3], _G, donor[4], _C),
        "donor_is_at": _is(donor[3], _A, donor[4], _T),
        "acceptor_is_ag": _is(acceptor[18], _A, acceptor[19], _G),
        "acceptor_is_ac": _is(acceptor[18], _A, acceptor[19], _C),
        "polypyrimidine_fraction": pyrimidines / known,
    }


def _log_odds(frequencies: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    """Bits, shape `(positions, 5)`: A, C, G, T, and 0 for an unknown base."""
    table = np.array(frequencies).T
    odds = np.log2(np.maximum(table, _LEAST) / 0.25)
    return np.pad(odds, ((0, 0), (0, 1)))


_DONOR_WEIGHTS = _log_odds(_DONOR)
_ACCEPTOR_WEIGHTS = np.pad(_log_odds(_ACCEPTOR), ((5, 1), (0, 0)))


def _weigh(weights: NDArray[np.float64], bases: NDArray[np.uint8]) -> NDArray[np.float64]:
    # Place by place, since NumPy adds up in an order that depends on the shape, and the last bit with it.
    total = np.zeros(bases.shape[1])
    for weight, base in zip(weights, bases, strict=True):
        total += weight[base]
    return total


def _is(first: NDArray[np.uint8], base: int, second: NDArray[np.uint8], other: int) -> NDArray[np.int8]:
    fits: NDArray[np.int8] = ((first == base) & (second == other)).astype(np.int8)
    return fits
