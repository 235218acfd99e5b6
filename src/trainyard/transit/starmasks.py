"""Which events of a star mask which cadences of one sector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.events import Event
from trainyard.transit.masks import Ephemeris, event_mask, grown_mask
from trainyard.transit.settings import MaskSettings
from trainyard.transit.tces import Tce

Bools = NDArray[np.bool_]

_CLEARANCE_DAYS = 2 / 1440
"""Further clearance of a window from a mask: one TESS cadence."""


@dataclass(frozen=True)
class StarMasks:
    """Masks of one star on the cadences of one sector.

    `masking: target` uses the events of all runs; `masking: sector_run` those of the run that a window is cut for,
    which is what the methods' `run` names.
    """

    time: NDArray[np.float64]
    sector: int
    events: tuple[Event, ...]
    settings: MaskSettings

    def detrending(self) -> Bools:
        """Cadences that the trend must not follow: all events, `sg_it_mask_n_durations_window` wide."""
        return self._mask(lambda tce: True, self.settings.sg_it_mask_n_durations_window, secondaries=True)

    def true_in_transit(self, run: str | None = None) -> Bools:
        """Cadences inside a real transit or eclipse, on the target or beside it."""
        return self._mask(self._of_run(run, self.settings.true_it_disps), self.settings.true_it_mask_n_durations_window)

    def all_dispositions(self, run: str | None = None) -> Bools:
        """Cadences that out-of-transit windows keep clear of."""
        width = self.settings.ex_it_mask_n_durations_window
        return self._mask(self._of_run(run, None), width, secondaries=True)

    def positive(self, run: str | None = None) -> Bools:
        """Cadences that in-transit windows of negative dispositions keep clear of."""
        width = self.settings.ex_it_mask_n_durations_window
        return self._mask(self._of_run(run, self.settings.positive_disps), width, secondaries=True)

    def forbids_negatives(self, half_window: float, run: str | None = None) -> Bools:
        """Cadences where a window of half width `half_window` (days) would touch any event of the star."""
        return self._grown(self._of_run(run, None), half_window)

    def forbids_negative_dispositions(self, half_window: float, run: str | None = None) -> Bools:
        """Cadences where a window would touch a positive event (the negative-disposition transit mask)."""
        return self._grown(self._of_run(run, self.settings.positive_disps), half_window)

    def run_of(self, tce: Tce | None) -> str | None:
        """The run that masks are made for: that of the TCE, or None where the events of all runs count."""
        return tce.sector_run if tce is not None and self.settings.masking == "sector_run" else None

    def _of_run(self, run: str | None, dispositions: Sequence[str] | None) -> Callable[[Tce], bool]:
        def wanted(tce: Tce) -> bool:
            return (run is None or tce.sector_run == run) and (dispositions is None or tce.disposition in dispositions)

        return wanted

    def _mask(self, wanted: Callable[[Tce], bool], width: float, *, secondaries: bool = False) -> Bools:
        threshold = self.settings.weak_sec_mask_maxmes_thr if secondaries else float("inf")
        return event_mask(self.time, self._ephemerides(wanted), width=width, max_mes_threshold=threshold)

    def _grown(self, wanted: Callable[[Tce], bool], half_window: float) -> Bools:
        return grown_mask(
            self.time,
            self._ephemerides(wanted),
            width=self.settings.ex_it_mask_n_durations_window,
            max_mes_threshold=self.settings.weak_sec_mask_maxmes_thr,
            margin_days=half_window + _CLEARANCE_DAYS,
        )

    def dips(self) -> list[Ephemeris]:
        """The dips of every event from its best ephemeris, and those of a secondary above the threshold."""
        found: list[Ephemeris] = []
        for event in self.events:
            best = event.ephemerides_for(self.sector, lambda tce: True)[0]
            secondary = _strongest_secondary(best)
            epochs = self._with_secondary(secondary).epochs(self.settings.weak_sec_mask_maxmes_thr)
            found += [_ephemeris(best[0]), *(replace(_ephemeris(secondary), epoch=epoch) for epoch in epochs[1:])]
        return found

    def _ephemerides(self, wanted: Callable[[Tce], bool]) -> list[Ephemeris]:
        """Primaries of all wanted members, but one secondary per event and period.

        Each run measures its own noise there; masking it for all runs would leave little quiet time.
        """
        return [
            self._with_secondary(tce) if tce is _strongest_secondary(group) else _ephemeris(tce)
            for group in self._groups(wanted)
            for tce in group
        ]

    def _with_secondary(self, tce: Tce) -> Ephemeris:
        """The ephemeris with the secondary that was searched for, or the one that an unsearched binary must have."""
        known = _ephemeris(tce, secondary=True)
        unsearched = tce.disposition == "EB" and not np.isfinite([known.secondary_offset, known.secondary_mes]).all()
        if not (unsearched and self.settings.unlisted_secondaries):
            return known
        return replace(known, secondary_offset=tce.period / 2, secondary_mes=float("inf"))

    def _groups(self, wanted: Callable[[Tce], bool]) -> list[tuple[Tce, ...]]:
        return [group for event in self.events for group in event.ephemerides_for(self.sector, wanted)]


def _strongest_secondary(group: Sequence[Tce]) -> Tce:
    return max(group, key=lambda tce: np.nan_to_num(tce.scalars["tce_maxmes"], nan=-np.inf))


def _ephemeris(tce: Tce, *, secondary: bool = False) -> Ephemeris:
    return Ephemeris(
        period=tce.period,
        epoch=tce.epoch,
        duration=tce.duration_hours / 24,
        secondary_offset=tce.scalars["tce_maxmesd"] if secondary else float("nan"),
        secondary_mes=tce.scalars["tce_maxmes"] if secondary else float("nan"),
    )
