"""How the base model does on one gene, per site type: the rows of `full_splice_performance.tsv`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.calls import (
    ACCEPTOR,
    DONOR,
    UNKNOWN_BASE,
    Bools,
    Calls,
    Floats,
    GeneScores,
)
from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.settings import SpliceLabelSettings

Counts = tuple[int, int, int]
"""TP, FP and FN."""


def gene_performance(scores: GeneScores, calls: Calls, settings: SpliceLabelSettings) -> list[dict[str, Any]]:
    """Rows of the contract PERFORMANCE of one gene: one for donors, one for acceptors.

    Each type is judged by its own probability against its own sites, so TP + FN is the number of annotated sites, also
    where a base is of both types. Every position counts but those that the dataset leaves out as well: unlabelled
    unknown bases, and sites of another gene where `labels.annotated_elsewhere` is 'exclude'. A gene without sites of a
    type has its counts, but no metrics.
    """
    rows = []
    for site_type in SITE_TYPES:
        is_donor = site_type == "donor"
        track = scores.donor if is_donor else scores.acceptor
        is_site = calls.is_donor if is_donor else calls.is_acceptor
        elsewhere = calls.donor_elsewhere if is_donor else calls.acceptor_elsewhere
        out = scores.codes == UNKNOWN_BASE
        if settings.annotated_elsewhere == "exclude":
            out = out | elsewhere
        judged = is_site | ~out
        if settings.base_call == "argmax":
            called = calls.argmax == (DONOR if is_donor else ACCEPTOR)
        else:
            called = track >= np.float32(settings.threshold)
        counts = count_outcomes(track, called & judged, is_site, tolerance=settings.match_tolerance)
        n_positions = int(judged.sum())
        n_sites = int(is_site.sum())
        row: dict[str, Any] = {"gene_id": scores.gene.gene_id, "chrom": scores.gene.chrom, "strand": scores.gene.strand}
        row |= {"splice_type": site_type, "n_splice_sites": n_sites, "n_positions": n_positions}
        row |= {"n_left_out": scores.gene.length - n_positions, "match_tolerance": settings.match_tolerance}
        top_k = top_k_accuracy(track, is_site, judged, tolerance=settings.match_tolerance)
        rows.append(row | metrics(counts, n_positions=n_positions, n_sites=n_sites) | {"top_k_accuracy": top_k})
    return rows


def count_outcomes(track: Floats, called: Bools, is_site: Bools, *, tolerance: int = 0) -> Counts:
    """TP, FP and FN of one type.

    With a tolerance, calls and sites are matched one to one: from the best call down, each takes the nearest site that
    is still free within so many bases (of two, the first). A call that finds none is a FP, a site that is left a FN.

    Args:
        track: Probability of the type, shape `(L,)`.
        called: Where the base model calls the type, shape `(L,)`.
        is_site: Where an annotated site of the type stands, shape `(L,)`.
        tolerance: Bases between a call and its site; 0 is exact.
    """
    if tolerance == 0:
        tp = int((called & is_site).sum())
    else:
        tp = _matched(track, np.flatnonzero(called), np.flatnonzero(is_site), tolerance)
    return tp, int(called.sum()) - tp, int(is_site.sum()) - tp


def metrics(counts: Counts, *, n_positions: int, n_sites: int) -> dict[str, Any]:
    """Counts and the ratios made of them; 0 where a denominator is 0, null where there are no sites."""
    tp, fp, fn = counts
    tn = n_positions - tp - fp - fn
    found: dict[str, Any] = {"TP": tp, "TN": tn, "FP": fp, "FN": fn}
    ratios = {
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "f1_score": (2 * tp, 2 * tp + fp + fn),
        "fpr": (fp, fp + tn),
        "fnr": (fn, fn + tp),
    }
    return found | {name: None if n_sites == 0 else a / b if b else 0.0 for name, (a, b) in ratios.items()}


def top_k_accuracy(track: Floats, is_site: Bools, judged: Bools, *, tolerance: int = 0) -> float | None:
    """Share of the k best-scored positions that are true sites, with k the number of true sites.

    Of equal scores the first position counts as better.

    Args:
        track: Probability of the type, shape `(L,)`.
        is_site: Where an annotated site of the type stands, shape `(L,)`.
        judged: Positions that count, shape `(L,)`.
        tolerance: A position within so many bases of a true site is right as well.

    Returns:
        The share, or None without sites.
    """
    k = int(is_site.sum())
    if k == 0:
        return None
    places = np.flatnonzero(judged)
    values = track[places]
    least = np.partition(values, values.size - k)[values.size - k]
    above = places[values > least]
    best = np.concatenate([above, places[values == least][: k - above.size]])
    sites = np.flatnonzero(is_site)
    return float((_distance_to_nearest(best, sites) <= tolerance).mean())


def _distance_to_nearest(places: NDArray[np.int64], sites: NDArray[np.int64]) -> NDArray[np.int64]:
    after = np.minimum(np.searchsorted(sites, places), sites.size - 1)
    before = np.maximum(after - 1, 0)
    distance: NDArray[np.int64] = np.minimum(np.abs(places - sites[after]), np.abs(places - sites[before]))
    return distance


def _matched(track: Floats, called: NDArray[np.int64], sites: NDArray[np.int64], tolerance: int) -> int:
    """Number of pairs; only calls near a site are walked through, at most 2 * tolerance + 1 per site."""
    if not sites.size:
        return 0
    near = called[_distance_to_nearest(called, sites) <= tolerance]
    free = dict.fromkeys(sites.tolist())
    steps = sorted(range(-tolerance, tolerance + 1), key=abs)
    pairs = 0
    for call in near[np.argsort(-track[near], kind="stable")].tolist():
        site = next((call + step for step in steps if call + step in free), None)
        if site is not None:
            del free[site]
            pairs += 1
    return pairs
