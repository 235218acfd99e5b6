"""One sector of one star, read, graded, detrended and masked: what windows are cut from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.archive import FileRecord
from trainyard.transit.detrend import Detrended, detrend
from trainyard.transit.events import Event
from trainyard.transit.lightcurves import PreparedCurve, chosen_bitmask, prepare, read_light_curve
from trainyard.transit.settings import BuildSettings
from trainyard.transit.starmasks import StarMasks
from trainyard.transit.tces import Tce
from trainyard.transit.windows import Cutter, scattered
from trainyard.yard.identity import generator

Bools = NDArray[np.bool_]


class Sector:
    """Light curve and masks of one sector.

    `flux` is relative flux around 1 (shape ``(n,)``, float64), filled at cadences that are not good; `time` is in
    days, BTJD or BKJD; `places` are times where out-of-transit windows may be centred, one next to each cadence.
    """

    def __init__(
        self,
        file: FileRecord,
        prepared: PreparedCurve,
        detrended: Detrended,
        events: tuple[Event, ...],
        settings: BuildSettings,
    ) -> None:
        self.file = file
        self.number = file.sector
        self.prepared = prepared
        self.detrended = detrended
        self.quality_bitmask = chosen_bitmask(settings.light_curves.quality_bitmask, file.mission)
        self.flux = detrended.flux
        self.masks = StarMasks(prepared.time, file.sector, events, settings.masks)
        self.cutter = Cutter(prepared.time, prepared.good, settings.windows)
        self.places = scattered(prepared.time, generator("centres", settings.seed, file.target_id, file.sector))
        self._max_timing_error = settings.windows.max_timing_error_durations
        self._made: dict[tuple[str, float, str | None], Bools] = {}

    @property
    def time(self) -> NDArray[np.float64]:
        """Mid-exposure times, shape ``(n,)``, days."""
        return self.prepared.time

    def in_transit(self, tce: Tce | None) -> Bools:
        """Cadences inside real events, for a window of this TCE."""
        run = self.masks.run_of(tce)
        return self._once(("in_transit", 0.0, run), lambda: self.masks.true_in_transit(run))

    def forbids_negatives(self, duration: float, tce: Tce | None) -> Bools:
        """Those of `places` where an out-of-transit window for this duration (days) would touch an event."""
        run, half = self.masks.run_of(tce), self.cutter.half_width(duration)
        masks = replace(self.masks, time=self.places)
        return self._once(("negatives", half, run), lambda: masks.forbids_negatives(half, run))

    def touches_positive(self, time: float, duration: float, tce: Tce) -> bool:
        """Whether a window at `time` (days) overlaps a positive event."""
        run, half = self.masks.run_of(tce), self.cutter.half_width(duration)
        return bool(replace(self.masks, time=np.array([time])).forbids_negative_dispositions(half, run)[0])

    def drifted(self, tce: Tce | None) -> bool:
        """Whether events may lie in this sector elsewhere than predicted, so that no place is known to be quiet."""
        limit = self._max_timing_error
        return limit is not None and self.masks.drifted(limit, self.masks.run_of(tce))

    def _once(self, key: tuple[str, float, str | None], make: Callable[[], Bools]) -> Bools:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def read_sector(file: FileRecord, events: tuple[Event, ...], settings: BuildSettings) -> Sector:
    """Read, grade and detrend one light curve.

    Raises:
        NoFiniteFluxError: No cadence is good.
        NonPositiveFluxError: The flux or its trend is not positive.
        InputError: The file cannot be read.
    """
    options = settings.light_curves
    curve = read_light_curve(Path(file.path), flux_column=options.flux_column)
    bitmask = chosen_bitmask(options.quality_bitmask, file.mission)
    prepared = prepare(curve, bitmask=bitmask, kernel_sigma=options.quality_kernel_sigma)
    protected = StarMasks(prepared.time, file.sector, events, settings.masks).detrending()
    longest = max((tce.duration_hours / 24 for event in events for tce in event.members), default=0.0)
    result = detrend(prepared, protected, settings=options, longest_duration_days=longest)
    return Sector(file, prepared, result, events, settings)
