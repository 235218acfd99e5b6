"""Counts of k-mers and the composition of the sequence window around a position.

The window is symmetric, `2 * radius + 1` bases in transcript direction, and unknown (N) beyond the gene. The vocabulary
is closed: all 4^k words over A, C, G, T in alphabetical order; a word with an unknown base is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.calls import UNKNOWN_BASE, Codes

Places = NDArray[np.int32]
Counts = NDArray[np.uint16]

BASES = "ACGT"


def vocabulary(k: int) -> list[str]:
    """All words of length `k`, alphabetical: the order of the rows that `Windows.kmers` gives."""
    return ["".join(word) for word in product(BASES, repeat=k)]


def sizes_in(settings: Sequence[int]) -> list[int]:
    """Word lengths asked for, ascending and once each; 0 stands for none, as in the published flag."""
    return sorted({k for k in settings if k > 0})


class Windows:
    """Sequence windows of one gene; what all of its rows share is computed once."""

    def __init__(self, codes: Codes, radius: int) -> None:
        """Pad a gene.

        Args:
            codes: Bases in transcript direction, shape `(L,)`: A 0, C 1, G 2, T 3, anything else 4.
            radius: Bases on each side of a position.
        """
        self.radius = radius
        self.padded: Codes = np.pad(codes, radius, constant_values=UNKNOWN_BASE)
        """The gene with `radius` unknown bases on both sides; position `t` is at index `t + radius`."""

    def kmers(self, t: Places, k: int) -> Counts:
        """Count all k-mers in the windows of positions.

        A window differs from the one before by what enters on the right and leaves on the left, so the work is that of
        the steps between rows, not of the windows: rows in a run cost two words each.

        Args:
            t: Positions, shape `(n,)`, ascending.
            k: Length of the words, at least 1.

        Returns:
            Shape `(4**k, n)`: word by row.

        Raises:
            ValueError: The positions are not ascending.
        """
        if (np.diff(t) < 0).any():
            raise ValueError("positions must be ascending")
        words = _words(self.padded, k)
        n_words = max(2 * self.radius + 2 - k, 0)
        steps = np.zeros((4**k + 1, t.size), np.uint16)
        begin = t.astype(np.int64)
        # Nothing is in the window before the first.
        before = np.concatenate([[-n_words], begin[:-1]])[: t.size]
        # Arithmetic modulo 2**16 comes out right, since the sums are below it.
        _scatter(np.add, steps, words, np.maximum(begin, before + n_words), begin + n_words)
        _scatter(np.subtract, steps, words, np.maximum(before, 0), np.minimum(before + n_words, begin))
        np.cumsum(steps, axis=1, dtype=np.uint16, out=steps)
        return steps[:-1]

    def composition(self, t: Places) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of G and C, and Shannon entropy of the bases in bits, of the windows of positions.

        Unknown bases count in neither; a window without any known base has 0 and 0.

        Args:
            t: Positions, shape `(n,)`.

        Returns:
            Two arrays of shape `(n,)`: in `[0, 1]` and in `[0, 2]`.
        """
        end = t.astype(np.int64) + 2 * self.radius + 1
        counts = self._base_sums[:, end] - self._base_sums[:, t]
        known = np.maximum(counts.sum(axis=0), 1)
        share = counts / known
        entropy = -(share * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=0)
        return share[1] + share[2], np.abs(entropy)

    @cached_property
    def _base_sums(self) -> NDArray[np.int32]:
        """Shape `(4, len(padded) + 1)`: how often each base stands before an index."""
        sums = np.zeros((4, self.padded.size + 1), np.int32)
        for base in range(4):
            np.cumsum(self.padded == base, out=sums[base, 1:])
        return sums


def _words(codes: Codes, k: int) -> NDArray[np.int64]:
    """Number of the word that starts at each index, 2 bits per base; `4**k` where it holds an unknown base."""
    n = max(codes.size - k + 1, 0)
    words = np.zeros(n, np.int64)
    unknown = np.zeros(n, np.bool_)
    for i in range(k):
        piece = codes[i : i + n]
        words = words * 4 + piece
        unknown |= piece == UNKNOWN_BASE
    words[unknown] = 4**k
    return words


def _scatter(
    operation: np.ufunc, steps: Counts, words: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
) -> None:
    """Add (or subtract) 1 in column `i` of `steps` for each word that starts in `[begin[i], end[i])`."""
    lengths = np.maximum(end - begin, 0)
    columns = np.repeat(np.arange(lengths.size), lengths)
    # 0, 1, 2, ... anew within each row.
    within = np.arange(columns.size) - np.repeat(lengths.cumsum() - lengths, lengths)
    # One flat index, for which NumPy has a fast path.
    operation.at(steps.reshape(-1), words[begin[columns] + within] * lengths.size + columns, np.uint16(1))
