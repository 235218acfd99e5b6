"""All examples of one star in one sector: windows with images and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.events import Event, PredictedTime, predicted_times
from trainyard.transit.images import WindowImages
from trainyard.transit.reasons import Reason
from trainyard.transit.records import Example, star_scalars
from trainyard.transit.residual import residual_flux
from trainyard.transit.sector import Sector
from trainyard.transit.settings import BuildSettings, PlanSettings
from trainyard.transit.tces import Tce
from trainyard.transit.windows import Window, draw_apart, measured_depth_ppm, resample
from trainyard.yard.identity import generator, keyed_hash
from trainyard.yard.ledger import Ledger

OWN, SPARE, RESIDUAL = "own", "spare", "residual"
_EVENT, _NEGATIVE = "event", "negative"

ImageSource = Callable[[Window, float, float], WindowImages | Reason | None]
"""From a window and a position (right ascension and declination, deg) to its images; a reason rejects the window."""


@dataclass(frozen=True)
class Cut:
    """A window that was cut: for which TCE, and as what. `kind` is the ledger's, None where nothing was asked."""

    window: Window
    tce: Tce | None
    tce_uid: str
    event_id: str
    origin: str
    kind: str | None
    agreeing: tuple[str, ...] = ()
    timing_error: float = float("nan")
    flux: NDArray[np.float64] | None = None

    @property
    def uid(self) -> str:
        """Identity of the example: TCE and full-precision centre."""
        return f"{self.tce_uid}_t_{self.window.centre!r}"


class SectorBuilder:
    """Cuts the windows of one sector; every predicted event and every wanted negative ends in the ledger.

    After `examples` has run, `predicted` holds the uids of TCEs with an event in the data and `emitted` those whose
    event became an example, their own or that of a TCE of the same event; `counts` tells how many examples each TCE
    has, by (uid, 1 in transit or 0 out of transit).
    """

    def __init__(
        self,
        sector: Sector,
        images_of: ImageSource,
        plan: PlanSettings,
        settings: BuildSettings,
        ledger: Ledger,
    ) -> None:
        self.sector = sector
        self.predicted: set[str] = set()
        self.emitted: set[str] = set()
        self.counts: Counter[tuple[str, int]] = Counter()
        self._images_of = images_of
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._taken: list[tuple[float, float]] = []

    def examples(self, events: Sequence[Event]) -> list[Example]:
        """All examples of the sector: for each event its in-transit windows and its negatives, then spare ones."""
        found: list[Example] = []
        for event in events:
            kept = self._in_transit(event)
            found += self._finished(kept)
            for tce in {cut.tce_uid: cut.tce for cut in kept}.values():
                assert tce is not None
                found += self._finished(self._negatives(event, tce, sum(cut.tce is tce for cut in kept)))
        return found + self._finished(self._spares(events))

    def _in_transit(self, event: Event) -> list[Cut]:
        """In-transit windows of one event that pass every rule."""
        time = self.sector.time
        members = event.in_sector(self.sector.number)
        predictions = predicted_times(members, time[0], time[-1], self._plan.tce_example_disps)
        under_cap = self._under_cap(event, predictions)
        kept: list[Cut] = []
        for prediction in predictions:
            uids = tuple(tce.uid for tce in prediction.agreeing)
            self.predicted.update(uids)
            self._ledger.expect(_EVENT)
            outcome = self._window_of(prediction) if prediction.time in under_cap else Reason.OVER_CAP
            tce = prediction.tce
            if isinstance(outcome, Reason):
                self._ledger.reject(_EVENT, f"{tce.uid}_t_{prediction.time!r}", outcome, self._where)
            else:
                error = prediction.error_durations
                kept.append(Cut(outcome, tce, tce.uid, event.event_id, OWN, _EVENT, uids, error))
        return kept

    def _window_of(self, prediction: PredictedTime) -> Window | Reason:
        tce, settings = prediction.tce, self._settings
        duration = tce.duration_hours / 24
        limit = settings.windows.max_timing_error_durations
        if limit is not None and prediction.error_durations > limit:
            return Reason.EPHEMERIS_DRIFT
        negative = tce.disposition in settings.masks.negative_disps
        if negative and self.sector.touches_positive(prediction.time, duration, tce):
            return Reason.OVERLAPS_POSITIVE
        return self.sector.cutter.cut(prediction.time, duration, in_transit=True)

    def _under_cap(self, event: Event, predictions: Sequence[PredictedTime]) -> set[float]:
        """Times that stay under the cap per event and sector, chosen by hash."""
        cap = self._settings.windows.max_windows_per_event_sector
        key = ("cap", self._settings.seed, event.event_id, self.sector.number)
        times = sorted((prediction.time for prediction in predictions), key=lambda time: keyed_hash(*key, repr(time)))
        return set(times[:cap])

    def _negatives(self, event: Event, tce: Tce, events_kept: int) -> list[Cut]:
        """Out-of-transit windows for one TCE: as many as the quota asks for, where the star has room."""
        wanted = round(self._settings.negatives.per_in_transit * events_kept)
        self._ledger.expect(_NEGATIVE, wanted)
        duration = tce.duration_hours / 24
        forbidden = self.sector.forbids_negatives(duration, tce)
        drawn = self._draw(~forbidden, duration, wanted, self._generator("oot", event.event_id, tce.uid))
        cuts = [Cut(window, tce, tce.uid, event.event_id, OWN, _NEGATIVE) for window in drawn]
        if self._settings.negatives.residual and len(cuts) < wanted:
            flux, usable = residual_flux(self.sector.flux, self.sector.prepared.good, self.sector.masks)
            rng = self._generator("residual", event.event_id, tce.uid)
            drawn = self._draw(usable, duration, wanted - len(cuts), rng)
            cuts += [Cut(w, tce, tce.uid, event.event_id, RESIDUAL, _NEGATIVE, flux=flux) for w in drawn]
        short = wanted - len(cuts)
        detail = f"{self._where}: room for {len(cuts)} of {wanted}"
        self._ledger.reject(_NEGATIVE, tce.uid, Reason.OOT_EXHAUSTED, detail, n=short)
        return cuts

    def _spares(self, events: Sequence[Event]) -> list[Cut]:
        """Negatives beyond the quota, from the quiet time that is left, for stars that have too little of their own."""
        rng = self._generator("spare")
        own = {tce.duration_hours for event in events for tce in event.in_sector(self.sector.number)}
        pool = sorted(own) or self._settings.negatives.spare_durations_hours
        uid = f"{self.sector.file.target_id}-0-S{self.sector.number}"
        cuts: list[Cut] = []
        for hours in rng.choice(pool, size=self._settings.negatives.spare_per_sector):
            duration = float(hours) / 24
            drawn = self._draw(~self.sector.forbids_negatives(duration, None), duration, 1, rng)
            cuts += [Cut(window, None, uid, uid, SPARE, None) for window in drawn]
        return cuts

    def _draw(self, allowed: NDArray[np.bool_], duration: float, wanted: int, rng: np.random.Generator) -> list[Window]:
        """Quiet windows that keep clear of those already drawn in this sector."""
        cutter = self.sector.cutter
        half = cutter.half_width(duration)
        candidates = cutter.quiet_centres(~allowed, duration)
        avoid = self._settings.negatives.avoid_overlap
        centres = draw_apart(candidates, wanted, half, self._taken, rng, avoid_overlap=avoid)
        self._taken += [(centre, half) for centre in centres]
        windows = (cutter.cut(centre, duration, in_transit=False) for centre in centres)
        return [window for window in windows if isinstance(window, Window)]

    def _generator(self, purpose: str, *keys: str) -> np.random.Generator:
        return generator(purpose, self._settings.seed, self.sector.file.target_id, self.sector.number, *keys)

    @property
    def _where(self) -> str:
        return f"sector {self.sector.number}"

    def _finished(self, cuts: Iterable[Cut]) -> list[Example]:
        """Examples of the cuts, less those whose required images are missing."""
        found: list[Example] = []
        for cut in cuts:
            scalars = star_scalars(cut.tce, self.sector.file)
            images = self._images_of(cut.window, scalars["ra"], scalars["dec"])
            if isinstance(images, Reason):
                if cut.kind:
                    self._ledger.reject(cut.kind, cut.uid, images, self._where)
                continue
            if cut.kind:
                self._ledger.keep(cut.kind, cut.uid)
            if cut.kind == _EVENT:
                self.emitted.update(cut.agreeing)
            self.counts[cut.tce_uid, int(cut.kind == _EVENT)] += 1
            found.append(self._example(cut, scalars, images))
        return found

    def _example(self, cut: Cut, scalars: dict[str, object], images: WindowImages | None) -> Example:
        sector, windows = self.sector, self._settings.windows
        flux = sector.flux if cut.flux is None else cut.flux
        quality, good = sector.prepared.flux_quality, sector.prepared.good
        points = resample(cut.window, sector.time, flux, quality, sector.in_transit(cut.tce), good, windows)
        in_transit = cut.kind == _EVENT
        positive = cut.tce is not None and cut.tce.disposition in self._settings.masks.positive_disps
        return Example(
            uid=cut.uid,
            tce_uid=cut.tce_uid,
            tce_uids=cut.agreeing or (cut.tce_uid,),
            event_id=cut.event_id,
            sector=sector.number,
            label=int(in_transit and positive),
            transit_example=int(in_transit),
            origin=cut.origin,
            window=cut.window,
            points=points,
            images=images,
            depth_measured_ppm=measured_depth_ppm(points, windows.resampled_num_points / windows.n_durations_window),
            timing_error_durations=cut.timing_error,
            scalars=scalars,
        )
