"""Which events of a star mask which cadences of one sector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.events import Event, timing_error_durations
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
    which is what the methods' `run` names. `time` may be any times of the sector, such as those where a window could be
    centred. Masks that keep windows away reach `timing_error_sigmas` farther than their width.
    """

    time: NDArray[np.float64]
    sector: int
    events: tuple[Event, ...]
    settings: MaskSettings

    def detrending(self) -> Bools:
        """Cadences that the trend must not follow: all events, `sg_it_mask_n_durations_window` wide."""
        return self._mask(_any, self.settings.sg_it_mask_n_durations_window, secondaries=True)

    def true_in_transit(self, run: str | None = None) -> Bools:
        """Cadences inside a real transit or eclipse, on the target or beside it."""
        return self._mask(self._of_run(run, self.settings.true_it_disps), self.settings.true_it_mask_n_durations_window)

    def all_dispositions(self, run: str | None = None) -> Bools:
        """Cadences that out-of-transit windows keep clear of."""
        return self._keeping_away(self._of_run(run, None))

    def positive(self, run: str | None = None) -> Bools:
        """Cadences that in-transit windows of negative dispositions keep clear of."""
        return self._keeping_away(self._of_run(run, self.settings.positive_disps))

    def forbids_negatives(self, half_window: float, run: str | None = None) -> Bools:
        """Cadences where a window of half width `half_window` (days) would touch any event of the star."""
        return self._keeping_away(self._of_run(run, None), half_window + _CLEARANCE_DAYS)

    def forbids_negative_dispositions(self, half_window: float, run: str | None = None) -> Bools:
        """Cadences where a window would touch a positive event (the negative-disposition transit mask)."""
        return self._keeping_away(self._of_run(run, self.settings.positive_disps), half_window + _CLEARANCE_DAYS)

    def drifted(self, limit: float, run: str | None = None) -> bool:
        """Whether some event's place in this sector is not known to `limit` transit durations.

        Of several ephemerides for the same dips the best decides; those without uncertainties tell nothing.
        """
        return any(self._error(group) > limit for group in self._groups(self._of_run(run, None)))

    def _error(self, group: Sequence[Tce]) -> float:
        """Uncertainty of the mid-times of a group in this sector, transit durations."""
        ends = self.time[[0, -1]].tolist()
        errors = [max(timing_error_durations(tce, time) for time in ends) for tce in group]
        return min((error for error in errors if np.isfinite(error)), default=0.0)

    def run_of(self, tce: Tce | None) -> str | None:
        """The run that masks are made for: that of the TCE, or None where the events of all runs count."""
        return tce.sector_run if tce is not None and self.settings.masking == "sector_run" else None

    def _of_run(self, run: str | None, dispositions: Sequence[str] | None) -> Callable[[Tce], bool]:
        def wanted(tce: Tce) -> bool:
            return (run is None or tce.sector_run == run) and (dispositions is None or tce.disposition in dispositions)

        return wanted

    def _mask(self, wanted: Callable[[Tce], bool], width: float, *, secondaries: bool = False) -> Bools:
        threshold = self.settings.weak_sec_mask_maxmes_thr if secondaries else float("inf")
        ephemerides = self._with_secondaries(self._groups(wanted))
        return event_mask(self.time, ephemerides, width=width, max_mes_threshold=threshold)

    def _keeping_away(self, wanted: Callable[[Tce], bool], margin_days: float = 0.0) -> Bools:
        return self._reached(self._with_secondaries(self._groups(wanted)), margin_days)

    def _reached(self, ephemerides: Sequence[Ephemeris], margin_days: float) -> Bools:
        return grown_mask(
            self.time,
            ephemerides,
            width=self.settings.ex_it_mask_n_durations_window,
            max_mes_threshold=self.settings.weak_sec_mask_maxmes_thr,
            margin_days=margin_days,
            timing_error_sigmas=self.settings.timing_error_sigmas,
        )

    def around(self, dip: Ephemeris) -> Bools:
        """Cadences that out-of-transit windows keep clear of because of one of the `dips`."""
        return self._reached([dip], 0.0)

    def beside_dips(self) -> Bools:
        """Cadences around dips that only another period of an event tells of; they are not among `dips`."""
        others = [group for event in self.events for group in event.ephemerides_for(self.sector, _any)[1:]]
        return self._reached(self._with_secondaries(others), 0.0)

    def dips(self) -> list[Ephemeris]:
        """The dips of every event from its best ephemeris, and those of a secondary above the threshold."""
        found: list[Ephemeris] = []
        for event in self.events:
            best = event.ephemerides_for(self.sector, _any)[0]
            secondary = _strongest_secondary(best)
            epochs = self._with_secondary(secondary).epochs(self.settings.weak_sec_mask_maxmes_thr)
            found += [_ephemeris(best[0]), *(replace(_ephemeris(secondary), epoch=epoch) for epoch in epochs[1:])]
        return found

    def _with_secondaries(self, groups: Sequence[tuple[Tce, ...]]) -> list[Ephemeris]:
        """Primaries of all members, but one secondary per event and period.

        Each run measures its own noise there; masking it for all runs would leave little quiet time.
        """
        return [
            self._with_secondary(tce) if tce is _strongest_secondary(group) else _ephemeris(tce)
            for group in groups
            for tce in group
        ]

    def _with_secondary(self, tce: Tce) -> Ephemeris:
        """The ephemeris with the secondary that was searched for, or the one that an unsearched binary must have.

        Tables write 0 or -1 for a search that was not made; one that was finds a positive strength, of noise at least.
        """
        known = _ephemeris(tce, secondary=True)
        searched = np.isfinite([known.secondary_offset, known.secondary_mes]).all() and known.secondary_mes > 0
        if searched or tce.disposition != "EB" or not self.settings.unlisted_secondaries:
            return known
        return replace(known, secondary_offset=tce.period / 2, secondary_mes=float("inf"))

    def _groups(self, wanted: Callable[[Tce], bool]) -> list[tuple[Tce, ...]]:
        return [group for event in self.events for group in event.ephemerides_for(self.sector, wanted)]


def _any(tce: Tce) -> bool:
    return True


def _strongest_secondary(group: Sequence[Tce]) -> Tce:
    return max(group, key=lambda tce: np.nan_to_num(tce.scalar("tce_maxmes"), nan=-np.inf))


def _ephemeris(tce: Tce, *, secondary: bool = False) -> Ephemeris:
    return Ephemeris(
        period=tce.period,
        epoch=tce.epoch,
        duration=tce.duration_hours / 24,
        secondary_offset=tce.scalar("tce_maxmesd") if secondary else float("nan"),
        secondary_mes=tce.scalar("tce_maxmes") if secondary else float("nan"),
        period_err=float(np.nan_to_num(tce.period_err)),
        epoch_err=float(np.nan_to_num(tce.epoch_err)),
    )
