"""Physical events of a star: TCEs of several runs clustered by ephemeris, each event emitted once per sector.

The published build emits one window per TCE, so a transit found in four overlapping runs became four examples
(docs/transit.md, "Events"). Here TCEs whose periods agree, or stand in a small integer ratio, and whose phases agree
within a transit duration are one event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.settings import PlanSettings
from trainyard.transit.tces import DISPOSITIONS, Tce


@dataclass(frozen=True)
class Event:
    """TCEs that describe one physical event of a star, best ephemeris first."""

    event_id: str
    members: tuple[Tce, ...]

    def in_sector(self, sector: int) -> tuple[Tce, ...]:
        """Members whose run includes the sector, best first."""
        return tuple(tce for tce in self.members if tce.covers(sector))

    def ephemerides_for(self, sector: int, wanted: Callable[[Tce], bool]) -> tuple[tuple[Tce, ...], ...]:
        """Wanted members that tell where the event falls in a sector: those searched there, else the best one.

        One group per period at which the event was found, best first: where a sector was searched at twice the true
        period, a run that found the true one tells of the dips in between.
        """
        members = [tce for tce in self.members if wanted(tce)]
        shortest = min((tce.period for tce in members), default=1.0)
        groups: dict[int, list[Tce]] = {}
        for tce in members:
            groups.setdefault(round(tce.period / shortest), []).append(tce)
        return tuple(tuple(tce for tce in group if tce.covers(sector)) or (group[0],) for group in groups.values())


@dataclass(frozen=True)
class PredictedTime:
    """One mid-time of an event inside a stretch of data.

    `time` is in days in the time system of the TCE; `tce` gave it, `agreeing` are all members that predict it;
    `error_durations` is its uncertainty in transit durations (NaN where the table has no uncertainties). `coincident`
    are TCEs of other events of the star with a dip at this time; their own mid-time is a twin, to which no window
    belongs.
    """

    time: float
    tce: Tce
    agreeing: tuple[Tce, ...]
    error_durations: float
    coincident: tuple[Tce, ...] = ()
    is_twin: bool = False


def cluster(tces: Iterable[Tce], settings: PlanSettings) -> tuple[Event, ...]:
    """Group the TCEs of one star into physical events, ordered by event id."""
    ordered = sorted(tces, key=lambda tce: _rank(tce, settings))
    if settings.duplicates == "keep":
        return tuple(Event(tce.uid, (tce,)) for tce in sorted(ordered, key=lambda tce: tce.uid))
    groups: list[list[Tce]] = []
    for tce in ordered:
        matching = [group for group in groups if any(same_event(tce, other, settings) for other in group)]
        merged = sorted((member for group in matching for member in group), key=lambda tce: _rank(tce, settings))
        groups = [group for group in groups if group not in matching]
        groups.append([*merged, tce])
    events = (Event(group[0].uid, tuple(sorted(group, key=lambda tce: _rank(tce, settings)))) for group in groups)
    return tuple(sorted(events, key=lambda event: event.event_id))


def same_event(a: Tce, b: Tce, settings: PlanSettings) -> bool:
    """Whether two ephemerides describe the same dips.

    Periods must agree within `period_tolerance`, or stand in an integer ratio up to `max_period_ratio`; phases must
    agree within the longer duration at the reference epoch of either one.
    """
    short, long = sorted((a, b), key=lambda tce: tce.period)
    ratio = max(1, round(long.period / short.period))
    if ratio > settings.max_period_ratio or abs(long.period / short.period / ratio - 1) > settings.period_tolerance:
        return False
    tolerance = max(a.duration_hours, b.duration_hours) / 24
    difference = long.epoch - short.epoch
    # far from its own epoch an ephemeris drifts, so the better of the two decides
    offsets = (_fold(difference, short.period), _fold(difference, long.period / ratio))
    return min(abs(offset) for offset in offsets) <= tolerance


def predict(tce: Tce, start: float, end: float) -> NDArray[np.float64]:
    """Mid-times of a linear ephemeris from the first one at or after `start` (or the epoch's), up to `end`.

    Returns:
        Shape ``(k,)``, days, in the time system of the TCE; transit timing variations are not modelled.
    """
    shift = np.ceil((start - tce.epoch) / tce.period)
    count = max(int(np.ceil((end - start) / tce.period)), 0) + 1
    times: NDArray[np.float64] = tce.epoch + (shift + np.arange(count)) * tce.period
    return times[(times >= start) & (times <= end)]


def predicted_times(
    members: Sequence[Tce], start: float, end: float, exemplified: Sequence[str]
) -> tuple[PredictedTime, ...]:
    """Mid-times of an event in ``[start, end]``, each once, in time order.

    `members` come best first. A mid-time of a later member within one duration of an earlier one's is the same dip
    and only adds its TCE to the agreeing ones. Members whose disposition is not exemplified agree, but predict
    nothing.
    """
    found: list[tuple[float, Tce, list[Tce]]] = []
    for tce in members:
        for time in predict(tce, start, end):
            near = [
                entry
                for entry in found
                if abs(entry[0] - time) <= max(entry[1].duration_hours, tce.duration_hours) / 24
            ]
            if near:
                agreeing = min(near, key=lambda entry: abs(entry[0] - time))[2]
                if tce not in agreeing:
                    agreeing.append(tce)
            elif tce.disposition in exemplified:
                found.append((float(time), tce, [tce]))
    return tuple(
        PredictedTime(time, tce, tuple(agreeing), timing_error_durations(tce, time))
        for time, tce, agreeing in sorted(found, key=lambda entry: entry[0])
    )


def predict_sector(
    events: Iterable[Event], sector: int, start: float, end: float, settings: PlanSettings
) -> dict[str, list[PredictedTime]]:
    """Mid-times of all events of a star in ``[start, end]`` of a sector, by event id.

    Two planets can be in transit at once, and runs of one sector know a period badly, so that one planet can end as
    two events. Where two events predict a time to half of the shorter duration it is one dip, for the better one, and a
    twin for the other. With `duplicates: keep` there are no twins.
    """
    found: dict[str, list[PredictedTime]] = {event.event_id: [] for event in events}
    for event in sorted(events, key=lambda event: _rank(event.members[0], settings)):
        others = [] if settings.duplicates == "keep" else [times for times in found.values() if times]
        for time in predicted_times(event.in_sector(sector), start, end, settings.tce_example_disps):
            same = ((times, i) for times in others for i, other in enumerate(times) if _is_one_dip(other, time))
            twin = next(same, None)
            if twin is not None:
                times, i = twin
                times[i] = replace(times[i], coincident=(*times[i].coincident, *time.agreeing))
            found[event.event_id].append(replace(time, is_twin=twin is not None))
    return found


def _is_one_dip(shown: PredictedTime, other: PredictedTime) -> bool:
    near = min(shown.tce.duration_hours, other.tce.duration_hours) / 48
    return not shown.is_twin and abs(shown.time - other.time) <= near


def timing_error_durations(tce: Tce, time: float) -> float:
    """Uncertainty of a mid-time n periods from the epoch, in TD: sqrt(sigma_epoch^2 + n^2 sigma_period^2)."""
    if not (np.isfinite(tce.period_err) and np.isfinite(tce.epoch_err)):
        return float("nan")
    periods = round((time - tce.epoch) / tce.period)
    return float(np.hypot(tce.epoch_err, periods * tce.period_err) / (tce.duration_hours / 24))


def _fold(offset: float, period: float) -> float:
    return (offset + period / 2) % period - period / 2


def _rank(tce: Tce, settings: PlanSettings) -> tuple[bool, int, int, float, str]:
    """Sort key of the better ephemeris: exemplified, strongest disposition, more sectors, higher MES."""
    sectors = len(tce.sectors) if tce.sectors is not None else 1000
    mes = tce.scalar("tce_max_mult_ev")
    strength = mes if np.isfinite(mes) else 0.0
    order = DISPOSITIONS.index(tce.disposition)
    return tce.disposition not in settings.tce_example_disps, order, -sectors, -strength, tce.uid
