"""Which positions of a gene become rows: every site, every error, and true negatives in three strata.

Drawn once, on the complete gene, by keys that depend on the dataset seed, the gene and the position alone: not on the
batch, not on the other genes. Weights make up for what is left out, so that weighted sums are those of the whole gene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.calls import TN, Bools, Floats, Labels
from trainyard.splice.settings import SpliceSamplingSettings
from trainyard.yard.identity import keyed_hash

NON_TN, HARD, NEIGHBOUR, EASY = 0, 1, 2, 3
STRATA = ("non_tn", "hard", "neighbour", "easy")
"""Names of the strata 0, 1, 2, 3."""


@dataclass(frozen=True)
class Sample:
    """The rows of one gene, by position."""

    t: NDArray[np.int32]
    """Positions kept, shape `(n,)`, ascending."""
    stratum: Labels
    """Stratum of each row, shape `(n,)`: 0 non_tn, 1 hard, 2 neighbour, 3 easy."""
    weight: Floats
    """Positions of the gene that a row stands for, shape `(n,)`: whole numbers, exact in float32 up to 2**24."""
    trimmed: int
    """Easy true negatives that were not drawn."""


def sample_positions(
    pred_type: Labels,
    site_score: Floats,
    eligible: Bools,
    *,
    settings: SpliceSamplingSettings,
    seed: int,
    gene_id: str,
) -> Sample:
    """Choose the rows of a gene.

    Kept are all TP, FP and FN; all TN with a site probability of `hard_prob` or more; all TN within `window` bases of a
    TP, FP or FN; and of the other TN, `easy_ratio` times as many as there are TP, FP and FN, at least one.

    The easy rows share out the easy positions in whole numbers: of 7 positions drawn as 2 rows, one row weighs 4 and
    one 3, by lot. Weights of a gene then add up to its eligible positions exactly, and, since the lot is blind,
    weighted sums stay unbiased as with 1/p = 3.5. Where `easy_ratio` is 0, nothing stands for the easy positions, and
    the sum is short of them.

    Args:
        pred_type: Outcome of each position, shape `(L,)`.
        site_score: The larger of donor and acceptor probability, shape `(L,)`.
        eligible: Positions that may become rows, shape `(L,)`.
        settings: The strata.
        seed: Dataset seed.
        gene_id: The gene.
    """
    strata = assign_strata(pred_type, site_score, eligible, settings=settings)
    weight = np.ones(strata.size, np.float32)
    easy = np.flatnonzero(strata == EASY)
    kept = eligible.copy()
    if not settings.keep_all and easy.size:
        wanted = int(settings.easy_ratio * int((strata == NON_TN).sum()))
        n_kept = min(easy.size, max(wanted, 1 if settings.easy_ratio > 0 else 0))
        drawn = easy[_smallest(_keys(seed, gene_id, strata.size)[easy], n_kept)]
        kept[easy] = False
        kept[drawn] = True
        weight[drawn] = _shares(easy.size, n_kept)
    t = np.flatnonzero(kept).astype(np.int32)
    return Sample(t, strata[t], weight[t], int(eligible.sum()) - t.size)


def assign_strata(
    pred_type: Labels, site_score: Floats, eligible: Bools, *, settings: SpliceSamplingSettings
) -> Labels:
    """Stratum of each position, shape `(L,)`; -1 where a position is not eligible."""
    non_tn = eligible & (pred_type != TN)
    strata = np.full(pred_type.size, EASY, np.int8)
    strata[within(non_tn, settings.window)] = NEIGHBOUR
    strata[site_score >= np.float32(settings.hard_prob)] = HARD
    strata[non_tn] = NON_TN
    strata[~eligible] = -1
    return strata


def within(marked: Bools, window: int) -> Bools:
    """Positions within `window` bases of a marked one, shape `(L,)`."""
    places = np.flatnonzero(marked)
    edges = np.zeros(marked.size + 1, np.int32)
    np.add.at(edges, np.maximum(places - window, 0), 1)
    np.subtract.at(edges, np.minimum(places + window + 1, marked.size), 1)
    return edges[:-1].cumsum() > 0


def _keys(seed: int, gene_id: str, length: int) -> NDArray[np.uint64]:
    """A number per position of the gene; positions with small ones are drawn first."""
    # The raw stream of PCG64 is fixed for ever; what NumPy's distributions make of a stream may change.
    return np.random.PCG64(keyed_hash(seed, "easy negatives", gene_id, size=16)).random_raw(length)


def _smallest(keys: NDArray[np.uint64], n: int) -> NDArray[np.intp]:
    """Indices of the `n` smallest keys, smallest first."""
    if n == 0:
        return np.zeros(0, np.intp)
    chosen = np.argpartition(keys, n - 1)[:n]
    return chosen[np.argsort(keys[chosen])]


def _shares(n_positions: int, n_rows: int) -> Floats:
    """Whole numbers that add up to `n_positions`, as equal as can be; the larger ones first."""
    if n_rows == 0:
        return np.zeros(0, np.float32)
    least, more = divmod(n_positions, n_rows)
    return (least + (np.arange(n_rows) < more)).astype(np.float32)
