"""Features made of the base model's scores at and around a position.

The published score features keep their names and formulas (44 of them, in `base_features` and `published_features`).
They take one set of neighbouring scores per row, which the published pipeline took from the pass that the row came
from; here every row takes that of its stronger type, so a row's features never depend on its label. `context_features`
are what they should have been: each type against its own neighbours, with log-ratios in place of ratios that explode.

All functions compute in float64; columns are stored as float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.calls import Floats, neither_score
from trainyard.splice.schema import SITE_TYPES

EPS = 1e-10
"""Of the published formulas."""
LOG_EPS = 1e-6
"""Of log-ratios: scores below it are noise of float32 softmax."""
LEAST_PEAK = 0.001
"""A peak is higher than this (published)."""
REACH = 2
"""Neighbours on each side that make up the context (published)."""

Doubles = NDArray[np.float64]
Places = NDArray[np.int32]
Columns = dict[str, NDArray[Any]]
"""Name of a feature -> values of the rows, shape `(n,)`."""


@dataclass(frozen=True)
class Context:
    """Scores of one type at the two bases before and after each row; 0 beyond the gene. All shapes are `(n,)`."""

    m2: Doubles
    m1: Doubles
    p1: Doubles
    p2: Doubles

    @property
    def mean(self) -> Doubles:
        """Mean of the four."""
        return (self.m2 + self.m1 + self.p1 + self.p2) / 4

    @property
    def max(self) -> Doubles:
        """Largest of the four."""
        return np.maximum(np.maximum(self.m2, self.m1), np.maximum(self.p1, self.p2))

    @property
    def asymmetry(self) -> Doubles:
        """Upstream less downstream."""
        return (self.m1 + self.m2) - (self.p1 + self.p2)

    def is_peak(self, score: Doubles) -> NDArray[np.int8]:
        """1 where a score is above both direct neighbours and above `LEAST_PEAK`, else 0."""
        return ((score > self.m1) & (score > self.p1) & (score > LEAST_PEAK)).astype(np.int8)

    def second_derivative(self, score: Doubles) -> Doubles:
        """Published form: twice the score less both direct neighbours."""
        return (score - self.m1) - (self.p1 - score)

    def weighted(self, score: Doubles) -> Doubles:
        """Published form: 0.1, 0.2, 0.4, 0.2, 0.1 from two before to two after."""
        return 0.1 * self.m2 + 0.2 * self.m1 + 0.4 * score + 0.2 * self.p1 + 0.1 * self.p2


def score_features(donor: Floats, acceptor: Floats, t: Places, *, radii: Sequence[int], published: bool) -> Columns:
    """All score features of some rows of a gene.

    Args:
        donor: Donor probabilities of the whole gene, shape `(L,)`.
        acceptor: Acceptor probabilities of the whole gene, shape `(L,)`.
        t: Positions of the rows, shape `(n,)`.
        radii: Radii in which the nearest stronger peak is looked for, in bases.
        published: Also make the published features that need a context.
    """
    d, a = donor[t].astype(np.float64), acceptor[t].astype(np.float64)
    n = neither_score(donor[t], acceptor[t]).astype(np.float64)
    contexts = {"donor": context_at(donor, t), "acceptor": context_at(acceptor, t)}
    columns = base_features(d, a, n) | context_features(d, a, contexts)
    columns |= peak_features(donor, acceptor, t, radii=radii)
    if published:
        columns |= published_features(d, a, stronger_context(d, a, contexts))
    return columns


def context_at(track: Floats, t: Places) -> Context:
    """Neighbouring scores of positions `t`, with 0 beyond the ends of the gene."""
    padded = np.pad(track, REACH)
    m2, m1, p1, p2 = (padded[t + REACH + step].astype(np.float64) for step in (-2, -1, 1, 2))
    return Context(m2, m1, p1, p2)


def stronger_context(d: Doubles, a: Doubles, contexts: Mapping[str, Context]) -> Context:
    """The context of each row's stronger type; a tie goes to the donor."""
    donor, acceptor = contexts["donor"], contexts["acceptor"]
    pairs = ((donor.m2, acceptor.m2), (donor.m1, acceptor.m1), (donor.p1, acceptor.p1), (donor.p2, acceptor.p2))
    return Context(*(np.where(d >= a, ours, theirs) for ours, theirs in pairs))


def base_features(d: Doubles, a: Doubles, n: Doubles) -> Columns:
    """Features of the three scores at the position itself: published ones, and two log-ratios."""
    strongest = np.maximum(d, a)
    return {
        "donor_score": d,
        "acceptor_score": a,
        "neither_score": n,
        "relative_donor_probability": d / (d + a + EPS),
        "splice_probability": (d + a) / (d + a + n + EPS),
        "donor_acceptor_diff": (d - a) / (strongest + EPS),
        "splice_neither_diff": (strongest - n) / (np.maximum(strongest, n) + EPS),
        "donor_acceptor_logodds": np.log(d + EPS) - np.log(a + EPS),
        "splice_neither_logodds": np.log(d + a + EPS) - np.log(n + EPS),
        "probability_entropy": -(_plogp(d) + _plogp(a) + _plogp(n)),
        "score_difference_ratio": (d - a) / (d + a + EPS),
        "donor_acceptor_log_ratio": log_ratio(d, a),
        "splice_neither_log_ratio": log_ratio(d + a, n),
    }


def published_features(d: Doubles, a: Doubles, context: Context) -> Columns:
    """The published features that use a context, which is the same for both types.

    Ratios are as published: they reach 1e10 and beyond where the context is 0. Trees do not mind; linear models should
    take the log-ratios of `context_features`.
    """
    columns: Columns = {
        "score": np.maximum(d, a),
        "context_score_m2": context.m2,
        "context_score_m1": context.m1,
        "context_score_p1": context.p1,
        "context_score_p2": context.p2,
        "context_neighbor_mean": context.mean,
        "context_asymmetry": context.asymmetry,
        "context_max": context.max,
    }
    for site_type, s in zip(SITE_TYPES, (d, a), strict=True):
        columns |= _published_of_type(site_type, s, context)
    height = [s / (context.mean + EPS) for s in (d, a)]
    strength = [s - context.mean for s in (d, a)]
    return columns | {
        "donor_acceptor_peak_ratio": height[0] / (height[1] + EPS),
        "type_signal_difference": strength[0] - strength[1],
        "signal_strength_ratio": _ratio(strength[0], strength[1] + EPS),
    }


def _published_of_type(site_type: str, s: Doubles, context: Context) -> Columns:
    columns: Columns = {
        "diff_m1": s - context.m1,
        "diff_m2": s - context.m2,
        "diff_p1": s - context.p1,
        "diff_p2": s - context.p2,
        "surge_ratio": s / (context.m1 + context.p1 + EPS),
        "is_local_peak": context.is_peak(s),
        "weighted_context": context.weighted(s),
        "peak_height_ratio": s / (context.mean + EPS),
        "second_derivative": context.second_derivative(s),
        "signal_strength": s - context.mean,
        "context_diff_ratio": s / (context.max + EPS),
    }
    return {f"{site_type}_{name}": values for name, values in columns.items()}


def context_features(d: Doubles, a: Doubles, contexts: Mapping[str, Context]) -> Columns:
    """Each type against its own neighbours, with log-ratios."""
    columns: Columns = {}
    for site_type, s in zip(SITE_TYPES, (d, a), strict=True):
        context = contexts[site_type]
        of_type: Columns = {
            "ctx_m2": context.m2,
            "ctx_m1": context.m1,
            "ctx_p1": context.p1,
            "ctx_p2": context.p2,
            "ctx_mean": context.mean,
            "ctx_max": context.max,
            "ctx_asymmetry": context.asymmetry,
            "ctx_is_peak": context.is_peak(s),
            "ctx_weighted": context.weighted(s),
            "ctx_second_derivative": context.second_derivative(s),
            "ctx_signal_strength": s - context.mean,
            "ctx_surge_log_ratio": log_ratio(s, context.m1 + context.p1),
            "ctx_peak_height_log_ratio": log_ratio(s, context.mean),
            "ctx_max_log_ratio": log_ratio(s, context.max),
        }
        columns |= {f"{site_type}_{name}": values for name, values in of_type.items()}
    heights = [log_ratio(s, contexts[kind].mean) for kind, s in zip(SITE_TYPES, (d, a), strict=True)]
    return columns | {"donor_acceptor_peak_log_ratio": heights[0] - heights[1]}


def peak_features(donor: Floats, acceptor: Floats, t: Places, *, radii: Sequence[int]) -> Columns:
    """Distance to and height of the nearest stronger peak of the same and of the other type, within each radius.

    A peak is a position above both its neighbours and above `LEAST_PEAK` on its own track. It is stronger when it is
    above the row's own score of the type that the column is named after, so `donor_other_peak_*` asks for an acceptor
    above the row's donor score. Distances are in bases, negative upstream; of two equally near ones the higher counts,
    then the upstream one. Where there is none within the radius R, the distance is R + 1 and the height 0: no nulls.
    """
    tracks = {"donor": donor, "acceptor": acceptor}
    peaks = {site_type: _peaks(track) for site_type, track in tracks.items()}
    columns: Columns = {}
    for site_type, other in (SITE_TYPES, SITE_TYPES[::-1]):
        for relation, target in (("same", site_type), ("other", other)):
            distance, height = nearest_stronger(
                peaks[target], tracks[target], t, tracks[site_type][t], radius=max(radii, default=0)
            )
            for radius in radii:
                inside = np.abs(distance) <= radius
                columns[f"{site_type}_{relation}_peak_distance_{radius}"] = np.where(inside, distance, radius + 1)
                columns[f"{site_type}_{relation}_peak_height_{radius}"] = np.where(inside, height, np.float32(0))
    return columns


def nearest_stronger(
    peaks: NDArray[np.int64], track: Floats, t: Places, score: Floats, *, radius: int
) -> tuple[NDArray[np.int64], Floats]:
    """Signed distance to and height of the nearest peak above each row's score, within a radius.

    Args:
        peaks: Positions of peaks, ascending.
        track: Scores that the peaks are on, shape `(L,)`.
        t: Positions of the rows, shape `(n,)`; a peak at the position itself does not count.
        score: What a peak must exceed, shape `(n,)`.
        radius: Largest distance.

    Returns:
        Distance, `radius + 1` where there is none, and height, 0 where there is none; both of shape `(n,)`.
    """
    left = _walk(peaks, track, t, score, radius, step=-1)
    right = _walk(peaks, track, t, score, radius, step=1)
    heights = np.append(track, np.float32(0))
    none = track.size
    far = radius + 1
    gap_left = np.where(left == none, far, t - left)
    gap_right = np.where(right == none, far, right - t)
    take_right = (gap_right < gap_left) | ((gap_right == gap_left) & (heights[right] > heights[left]))
    distance = np.where(take_right, gap_right, np.where(left == none, far, -gap_left))
    return distance, heights[np.where(take_right, right, left)]


def _peaks(track: Floats) -> NDArray[np.int64]:
    padded = np.pad(track, 1)
    return np.flatnonzero((track > padded[:-2]) & (track > padded[2:]) & (track > np.float32(LEAST_PEAK)))


def _walk(
    peaks: NDArray[np.int64], track: Floats, t: Places, score: Floats, radius: int, *, step: int
) -> NDArray[np.int64]:
    """Position of the first stronger peak on one side of each row; `L` where there is none within the radius.

    All rows go from peak to peak together, and a row leaves when it has found its own or has gone too far, so the
    number of rounds is that of the peaks within the radius, not that of the rows.
    """
    found = np.full(t.size, track.size, np.int64)
    # Far-away peaks of endless height stop every row at the ends.
    beyond = np.int64(track.size + 2 * radius + 2)
    places = np.concatenate([[-beyond], peaks, [2 * beyond]])
    at = np.searchsorted(peaks, t, side="left") if step < 0 else np.searchsorted(peaks, t, side="right") + 1
    rows = np.arange(t.size)
    while rows.size:
        place = places[at]
        near = np.abs(place - t[rows]) <= radius
        rows, at, place = rows[near], at[near], place[near]
        stronger = track[place] > score[rows]
        found[rows[stronger]] = place[stronger]
        rows, at = rows[~stronger], at[~stronger] + step
    return found


def log_ratio(x: Doubles, y: Doubles) -> Doubles:
    """`ln((x + 1e-6) / (y + 1e-6))`: within 14 for probabilities, and no sign to flip."""
    return np.log((x + LOG_EPS) / (y + LOG_EPS))


def _ratio(x: Doubles, y: Doubles) -> Doubles:
    """`x / y`, with `EPS` for a denominator that is exactly 0."""
    return x / np.where(y == 0, EPS, y)


def _plogp(p: Doubles) -> Doubles:
    found: Doubles = p * np.log(p + EPS)
    return found
