"""A light curve without its events, for negatives on stars that have no quiet time left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.masks import phase_distance
from trainyard.transit.starmasks import StarMasks

_BINS_PER_DURATION = 20
_MIN_EVENTS_PER_BIN = 3
"""With fewer, the profile is the noise of the window itself, and dividing by it would leave a window without noise."""


def residual_flux(
    flux: NDArray[np.float64], good: NDArray[np.bool_], masks: StarMasks
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Divide out the folded median profile of every event of the star.

    Each event, primary and strong secondary, is folded on its ephemeris and divided by the median of bins a
    twentieth of a duration wide. Where fewer than three events share a bin they cannot be removed.

    Args:
        flux: Relative flux, shape ``(n,)``.
        good: Good cadences, shape ``(n,)``.
        masks: Events of the star on these cadences.

    Returns:
        Flux without events, shape ``(n,)``, and which cadences are free of events now.
    """
    residual = flux.copy()
    # Dips that only another period of an event tells of are left as they are.
    left = masks.beside_dips()
    failed = np.zeros(len(flux), dtype=bool)
    for dip in masks.dips():
        inside = masks.around(dip)
        if not inside.any():
            continue
        time = masks.time[inside]
        phase = phase_distance(time, dip.epoch, dip.period)
        event = np.rint((time - dip.epoch - phase) / dip.period)
        which = np.floor(phase / (dip.duration / _BINS_PER_DURATION)).astype(np.int64)
        level = np.full(len(which), np.nan)
        for number in np.unique(which):
            members = (which == number) & good[inside]
            if len(np.unique(event[members])) >= _MIN_EVENTS_PER_BIN:
                level[which == number] = np.median(residual[inside][members])
        removed = np.isfinite(level) & (level > 0)
        residual[inside] = np.where(removed, residual[inside] / np.where(removed, level, 1.0), residual[inside])
        failed[np.flatnonzero(inside)[~removed]] = True
        left &= ~inside
    return residual, ~(left | failed)
