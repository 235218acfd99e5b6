"""A light curve without its events, for negatives on stars that have no quiet time left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.masks import Ephemeris, event_mask, phase_distance
from trainyard.transit.starmasks import StarMasks

_BINS_PER_DURATION = 20
_MIN_PER_BIN = 3


def residual_flux(
    flux: NDArray[np.float64], good: NDArray[np.bool_], masks: StarMasks
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Divide out the folded median profile of every event of the star.

    Each event, primary and strong secondary, is folded on its ephemeris and divided by the median of bins a
    twentieth of a duration wide. Where a bin has fewer than three good cadences the event cannot be removed.

    Args:
        flux: Relative flux, shape ``(n,)``.
        good: Good cadences, shape ``(n,)``.
        masks: Events of the star on these cadences.

    Returns:
        Flux without events, shape ``(n,)``, and the cadences outside of events that could not be removed.
    """
    residual = flux.copy()
    usable = np.ones(len(flux), dtype=bool)
    for dip in _dips(masks):
        inside = event_mask(
            masks.time, [dip], width=masks.settings.ex_it_mask_n_durations_window, max_mes_threshold=np.inf
        )
        if not inside.any():
            continue
        phase = phase_distance(masks.time[inside], dip.epoch, dip.period)
        which = np.floor(phase / (dip.duration / _BINS_PER_DURATION)).astype(np.int64)
        level = np.full(len(which), np.nan)
        for number in np.unique(which):
            members = (which == number) & good[inside]
            if members.sum() >= _MIN_PER_BIN:
                level[which == number] = np.median(residual[inside][members])
        removed = np.isfinite(level) & (level > 0)
        residual[inside] = np.where(removed, residual[inside] / np.where(removed, level, 1.0), residual[inside])
        usable[np.flatnonzero(inside)[~removed]] = False
    return residual, usable


def _dips(masks: StarMasks) -> list[Ephemeris]:
    """One ephemeris per dip: the best member of each event, and its secondary where it is significant."""
    dips: list[Ephemeris] = []
    for event in masks.events:
        best = event.ephemerides_for(masks.sector, lambda tce: True)[0]
        duration = best.duration_hours / 24
        dips.append(Ephemeris(best.period, best.epoch, duration, float("nan"), float("nan")))
        offset, mes = best.scalars["tce_maxmesd"], best.scalars["tce_maxmes"]
        if mes > masks.settings.weak_sec_mask_maxmes_thr and np.isfinite(offset):
            dips.append(Ephemeris(best.period, best.epoch + offset, duration, float("nan"), float("nan")))
    return dips
