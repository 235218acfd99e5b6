"""All examples of one star in one sector: windows with images and labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.events import Event, PredictedTime, predict_sector
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
_EVENT, _NEGATIVE, _SPARE = "event", "negative", "spare"

ImageSource = Callable[[Window, float, float], WindowImages | Reason | None]
"""From a window and a position (right ascension and declination, deg) to its images; a reason rejects the window."""


@dataclass
class Tally:
    """What has come of the TCEs of a star so far.

    `sectors` are those whose light curve could be used; `predicted` holds the uids of TCEs with an event in the data,
    `emitted` those whose event became an example, their own or that of a TCE of the same event; `counts` tells how
    many examples each TCE has, by (uid, 1 in transit or 0 out of transit).
    """

    sectors: set[int] = field(default_factory=set)
    predicted: set[str] = field(default_factory=set)
    emitted: set[str] = field(default_factory=set)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add what has come of them in another sector."""
        self.sectors |= other.sectors
        self.predicted |= other.predicted
        self.emitted |= other.emitted
        self.counts.update(other.counts)


@dataclass(frozen=True)
class Cut:
    """A window that was cut: for which TCE, and as what; `kind` is the ledger's."""

    window: Window
    tce: Tce | None
    tce_uid: str
    event_id: str
    origin: str
    kind: str
    agreeing: tuple[str, ...] = ()
    coincident: tuple[str, ...] = ()
    timing_error: float = float("nan")
    flux: NDArray[np.float64] | None = None
    """Light curve without its events, where the window is cut from that."""

    @property
    def uid(self) -> str:
        """Identity of the example: TCE and full-precision centre."""
        return f"{self.tce_uid}_t_{self.window.centre!r}"


class SectorBuilder:
    """Cuts the windows of one sector; every predicted event and every wanted negative ends in the ledger.

    After `examples` has run, `tally` tells what came of the TCEs in this sector. A star with TCEs that are `unmasked`,
    because nobody knows where their dips lie, gives no negatives.
    """

    def __init__(
        self,
        sector: Sector,
        images_of: ImageSource,
        plan: PlanSettings,
        settings: BuildSettings,
        ledger: Ledger,
        *,
        unmasked: Sequence[str] = (),
    ) -> None:
        self.sector = sector
        self.tally = Tally(sectors={sector.number})
        self._images_of = images_of
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._unmasked = unmasked
        self._taken: list[tuple[float, float]] = []

    def examples(self, events: Sequence[Event]) -> list[Example]:
        """All examples of the sector: for each event its in-transit windows and its negatives, then spare ones."""
        found: list[Example] = []
        start, end = self.sector.time[[0, -1]]
        predictions = predict_sector(events, self.sector.number, start, end, self._plan)
        for event in events:
            kept = self._in_transit(event, predictions[event.event_id])
            found += self._finished(kept)
            windows = Counter(cut.tce_uid for cut in kept)
            for tce in (tce for tce in event.members if windows[tce.uid]):
                found += self._finished(self._negatives(event, tce, windows[tce.uid]))
        return found + self._finished(self._spares(events))

    def _in_transit(self, event: Event, predictions: Sequence[PredictedTime]) -> list[Cut]:
        """In-transit windows of one event that pass every rule."""
        self._ledger.expect(_EVENT, len(predictions))
        cuts: list[Cut] = []
        for prediction in predictions:
            tce, uids = prediction.tce, tuple(tce.uid for tce in prediction.agreeing)
            self.tally.predicted.update(uids)
            outcome = self._window_of(prediction)
            if isinstance(outcome, Reason):
                self._ledger.reject(_EVENT, f"{tce.uid}_t_{prediction.time!r}", outcome, self._where)
            else:
                others = tuple(tce.uid for tce in prediction.coincident)
                error = prediction.error_durations
                cuts.append(Cut(outcome, tce, tce.uid, event.event_id, OWN, _EVENT, uids, others, error))
        return self._under_cap(event, cuts)

    def _window_of(self, prediction: PredictedTime) -> Window | Reason:
        tce, settings = prediction.tce, self._settings
        if prediction.is_twin:
            return Reason.SAME_EVENT
        duration = tce.duration_hours / 24
        limit = settings.windows.max_timing_error_durations
        if limit is not None and prediction.error_durations > limit:
            return Reason.EPHEMERIS_DRIFT
        negative = tce.disposition in settings.masks.negative_disps
        if negative and self.sector.touches_positive(prediction.time, duration, tce):
            return Reason.OVERLAPS_POSITIVE
        return self.sector.cutter.cut(prediction.time, duration, in_transit=True)

    def _under_cap(self, event: Event, cuts: list[Cut]) -> list[Cut]:
        """Windows that stay under the cap per event and sector, chosen by hash, in time order."""
        cap = self._settings.windows.max_windows_per_event_sector
        if cap is None:
            return cuts
        key = ("cap", self._settings.seed, event.event_id, self.sector.number)
        drawn = sorted(cuts, key=lambda cut: keyed_hash(*key, repr(cut.window.centre)))
        for cut in drawn[cap:]:
            self._ledger.reject(_EVENT, cut.uid, Reason.OVER_CAP, self._where)
        return sorted(drawn[:cap], key=lambda cut: cut.window.centre)

    def _negatives(self, event: Event, tce: Tce, events_kept: int) -> list[Cut]:
        """Out-of-transit windows for one TCE: as many as the quota asks for, where the star has room."""
        wanted = round(self._settings.negatives.per_in_transit * events_kept)
        self._ledger.expect(_NEGATIVE, wanted)
        if self._without_negatives(_NEGATIVE, tce, tce.uid, wanted):
            return []
        duration = tce.duration_hours / 24
        forbidden = self.sector.forbids_negatives(duration, tce)
        drawn = self._draw(~forbidden, duration, wanted, self._generator("oot", event.event_id, tce.uid))
        cuts = [Cut(window, tce, tce.uid, event.event_id, OWN, _NEGATIVE) for window in drawn]
        if self._settings.negatives.residual and self._settings.images.images != "require" and len(cuts) < wanted:
            flux, free = residual_flux(self.sector.flux, self.sector.prepared.good, self.sector.masks)
            usable = ~self.sector.cutter.windows_with(~free, self.sector.places, duration)
            rng = self._generator("residual", event.event_id, tce.uid)
            drawn = self._draw(usable, duration, wanted - len(cuts), rng)
            cuts += [Cut(w, tce, tce.uid, event.event_id, RESIDUAL, _NEGATIVE, flux=flux) for w in drawn]
        quiet = f"{(~forbidden).mean():.0%} of its cadences are far enough from events"
        self._reject_missing(_NEGATIVE, tce.uid, wanted, len(cuts), quiet)
        return cuts

    def _spares(self, events: Sequence[Event]) -> list[Cut]:
        """Negatives beyond the quota, from the quiet time that is left, for stars that have too little of their own."""
        wanted = self._settings.negatives.spare_per_sector
        uid = f"{self.sector.file.target_id}-0-S{self.sector.number}"
        self._ledger.expect(_SPARE, wanted)
        if self._without_negatives(_SPARE, None, uid, wanted):
            return []
        rng = self._generator("spare")
        own = {tce.duration_hours for event in events for tce in event.in_sector(self.sector.number)}
        pool = sorted(own) or self._settings.negatives.spare_durations_hours
        cuts: list[Cut] = []
        for hours in rng.choice(pool, size=wanted):
            duration = float(hours) / 24
            drawn = self._draw(~self.sector.forbids_negatives(duration, None), duration, 1, rng)
            cuts += [Cut(window, None, uid, uid, SPARE, _SPARE) for window in drawn]
        self._reject_missing(_SPARE, uid, wanted, len(cuts), "no quiet time is left")
        return cuts

    def _without_negatives(self, kind: str, tce: Tce | None, uid: str, wanted: int) -> bool:
        """Whether no place of the sector is known to be quiet; what is wanted is rejected then."""
        if self._unmasked:
            detail = f"{self._where}: nobody knows where {', '.join(self._unmasked)} has its dips"
            self._ledger.reject(kind, uid, Reason.NO_EPHEMERIS, detail, n=wanted)
        elif self.sector.drifted(tce):
            self._ledger.reject(kind, uid, Reason.EPHEMERIS_DRIFT, self._where, n=wanted)
        else:
            return False
        return True

    def _reject_missing(self, kind: str, uid: str, wanted: int, found: int, why: str) -> None:
        detail = f"{self._where}: room for {found} of {wanted}; {why}"
        self._ledger.reject(kind, uid, Reason.OOT_EXHAUSTED, detail, n=wanted - found)

    def _draw(self, allowed: NDArray[np.bool_], duration: float, wanted: int, rng: np.random.Generator) -> list[Window]:
        """Quiet windows that keep clear of those already drawn in this sector."""
        cutter = self.sector.cutter
        half = cutter.half_width(duration)
        candidates = cutter.quiet_centres(self.sector.places[allowed], duration)
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
            # The pixels still show the events that a residual light curve has lost.
            images = None if cut.flux is not None else self._images_of(cut.window, scalars["ra"], scalars["dec"])
            if isinstance(images, Reason):
                self._ledger.reject(cut.kind, cut.uid, images, self._where)
                continue
            self._ledger.keep(cut.kind, cut.uid)
            if cut.kind == _EVENT:
                self.tally.emitted.update((*cut.agreeing, *cut.coincident))
            self.tally.counts[cut.tce_uid, int(cut.kind == _EVENT)] += 1
            found.append(self._example(cut, scalars, images))
        return found

    def _example(self, cut: Cut, scalars: dict[str, object], images: WindowImages | None) -> Example:
        sector, windows = self.sector, self._settings.windows
        flux, dips = sector.flux, sector.in_transit(cut.tce)
        if cut.flux is not None:
            flux, dips = cut.flux, np.zeros_like(dips)
        quality, good = sector.prepared.flux_quality, sector.prepared.good
        points = resample(cut.window, sector.time, flux, quality, dips, good, windows)
        in_transit = cut.kind == _EVENT
        positive = cut.tce is not None and cut.tce.disposition in self._settings.masks.positive_disps
        return Example(
            uid=cut.uid,
            tce_uid=cut.tce_uid,
            tce_uids=cut.agreeing or (cut.tce_uid,),
            coincident_tce_uids=cut.coincident,
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
