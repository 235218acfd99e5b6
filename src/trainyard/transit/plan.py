"""The plan: which star goes into which shard and split, as a pure function of catalogue and configuration.

It is computed when the Snakefile is read. A shard's rule carries the digest of its members in `params`, so one new
star reruns one shard, and a dry run already says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite

import numpy as np

from trainyard.transit.archive import ArchiveIndex, FileRecord
from trainyard.transit.blends import blend_groups
from trainyard.transit.events import same_event
from trainyard.transit.headers import REFERENCE_DAYS
from trainyard.transit.members import Star, digest_of
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import PlanSettings, SplitSettings
from trainyard.transit.split import assign
from trainyard.transit.tces import DISPOSITIONS, QUIET, Tce, TceTable
from trainyard.yard.errors import InputError
from trainyard.yard.identity import bucket
from trainyard.yard.ledger import Ledger

BTJD_MINUS_BKJD = REFERENCE_DAYS["BTJD"] - REFERENCE_DAYS["BKJD"]
"""Days to add to a BTJD time to get BKJD."""


@dataclass(frozen=True)
class Catalogue:
    """What a plan is made from: the table's TCEs and the archive's files."""

    table: TceTable
    archive: ArchiveIndex


@dataclass(frozen=True)
class PlannedStar:
    """A star with its place: shard (0-based), split, blend group and stratum."""

    star: Star
    shard: int
    split: str
    group: int
    stratum: str

    @property
    def target_id(self) -> int:
        """TIC, KIC or EPIC number."""
        return self.star.target_id


@dataclass(frozen=True)
class Plan:
    """All planned stars, ordered by target id."""

    num_shards: int
    stars: tuple[PlannedStar, ...]
    ledger: Ledger

    @cached_property
    def shards(self) -> tuple[tuple[PlannedStar, ...], ...]:
        """Members of each shard."""
        members: list[list[PlannedStar]] = [[] for _ in range(self.num_shards)]
        for star in self.stars:
            members[star.shard].append(star)
        return tuple(tuple(shard) for shard in members)

    def members(self, shard: int) -> tuple[Star, ...]:
        """Stars of one shard (0-based)."""
        return tuple(planned.star for planned in self.shards[shard])

    def assignment(self, shard: int) -> dict[int, str]:
        """Split of every star of one shard (0-based)."""
        return {planned.target_id: planned.split for planned in self.shards[shard]}

    @property
    def digest(self) -> str:
        """Digest of the whole plan, locations of files included."""
        return self.digest_with({planned.target_id: planned.star.digest for planned in self.stars})

    def digest_with(self, stars: Mapping[int, str]) -> str:
        """Digest of the whole plan, for those who have the digests of its stars already."""
        places = [
            (stars[p.target_id], p.split, p.group, p.stratum, [file.path for file in p.star.files]) for p in self.stars
        ]
        return digest_of([self.num_shards, places, self.ledger.to_dict()])


def make_plan(catalogue: Catalogue, plan: PlanSettings, split: SplitSettings, *, time_reference: str | None) -> Plan:
    """Assign stars to shards and splits.

    Raises:
        InputError: No star is left to build, none has a light curve, too much is rejected, or the files of one target
            are of two missions, whose target numbers mean different stars.
    """
    ledger = Ledger("transit", Reason)
    tces = _tces_to_build(catalogue.table, plan, ledger)
    files = _files_of(catalogue.archive, tces, ledger)
    _account_for_targets(tces, files, ledger)
    _refuse_if_rejected(ledger, plan)
    if not ledger.kept("target"):
        unreadable = [f"{path}: {detail}" for path, reason, detail in catalogue.archive.rejected if reason in _BROKEN]
        raise InputError(
            f"none of the {len(tces)} stars to build has a light curve in transit.inputs.light_curves"
            + (f"; {len(unreadable)} files there cannot be read, first: {unreadable[0]}" if unreadable else "")
        )
    positions = {star: _position(tces[star], files[star]) for star in tces}
    groups = blend_groups(tces, positions, radius_arcsec=split.blend_radius_arcsec, settings=plan)
    strata = {star: _stratum(rows) for star, rows in tces.items()}
    splits = assign([(star, groups[star], strata[star]) for star in sorted(tces)], split)
    unmasked = _unmasked(catalogue.table, tces, plan)
    planned = [
        PlannedStar(
            star=Star(
                star,
                tuple(in_time_of(tce, files[star], time_reference) for tce in (*tces[star], *unmasked[star])),
                tuple(files[star]),
            ),
            shard=bucket(star, plan.num_shards, salt="transit-shard"),
            split=splits[star],
            group=groups[star],
            stratum=strata[star],
        )
        for star in sorted(tces)
    ]
    return Plan(plan.num_shards, tuple(planned), ledger)


def in_time_of(tce: Tce, files: Sequence[FileRecord], table_reference: str | None) -> Tce:
    """The TCE with its epoch in the time system of the star's files."""
    if not files or table_reference in (None, files[0].time_reference):
        return tce
    shift = BTJD_MINUS_BKJD if files[0].time_reference == "BKJD" else -BTJD_MINUS_BKJD
    epoch = tce.epoch + shift
    return replace(tce, epoch=epoch, given={**tce.given, "tce_time0bk": epoch})


def _tces_to_build(table: TceTable, plan: PlanSettings, ledger: Ledger) -> dict[int, list[Tce]]:
    """TCEs of the stars to build, none for a quiet star; every row of the table is accounted for.

    Raises:
        InputError: No star is left.
    """
    ledger.expect("table_row", table.rows)
    for item, reason, detail in table.rejected:
        ledger.reject("table_row", item, reason, detail)
    kept: dict[int, list[Tce]] = defaultdict(list)
    for tce in table.tces:
        if tce.disposition in plan.keep_tce_disps:
            kept[tce.target_id].append(tce)
        else:
            ledger.reject("table_row", tce.uid, Reason.DISPOSITION_NOT_KEPT, tce.disposition)
    chosen = {star: tces for star, tces in kept.items() if _has_wanted(tces, plan)}
    chosen |= {star: [] for star in table.quiet if plan.quiet_stars}
    chosen = {star: tces for star, tces in chosen.items() if not plan.targets or star in plan.targets}
    for star, tces in kept.items():
        if star in chosen:
            ledger.keep("table_row", star, n=len(tces))
        else:
            for tce in tces:
                ledger.reject("table_row", tce.uid, Reason.TARGET_NOT_SELECTED, tce.disposition)
    for star in table.listed:
        if star in chosen:
            ledger.keep("table_row", star)
        else:
            ledger.reject("table_row", star, Reason.TARGET_NOT_SELECTED, QUIET)
    if not chosen:
        raise InputError(
            f"no star is left to build: none of the {table.rows} rows of the TCE table has a disposition of"
            f" transit.plan.keep_target_disps = {plan.keep_target_disps}" + (" and is in targets" * bool(plan.targets))
        )
    return chosen


def _unmasked(table: TceTable, tces: Mapping[int, Sequence[Tce]], plan: PlanSettings) -> dict[int, list[Tce]]:
    """Rejected rows that tell of dips which no TCE of their star masks, by star to build."""
    found: dict[int, list[Tce]] = {star: [] for star in tces}
    for row in table.unmasked:
        wanted = row.target_id in found and row.disposition in plan.keep_tce_disps
        if wanted and not any(_masks(tce, row, plan) for tce in tces[row.target_id]):
            found[row.target_id].append(row)
    return found


def _masks(tce: Tce, row: Tce, plan: PlanSettings) -> bool:
    """Whether every dip of a rejected row is one of a TCE, whose duration is known."""
    as_often = tce.period * (1 - plan.period_tolerance) <= row.period < np.inf
    return as_often and same_event(tce, replace(row, duration_hours=tce.duration_hours), plan)


def _has_wanted(tces: Sequence[Tce], plan: PlanSettings) -> bool:
    return any(tce.disposition in plan.keep_target_disps for tce in tces)


def _files_of(archive: ArchiveIndex, tces: Mapping[int, object], ledger: Ledger) -> dict[int, list[FileRecord]]:
    """Files of every star to build, by kind and sector; every file of the archive is accounted for.

    Raises:
        InputError: The files of one target are of two missions.
    """
    ledger.expect("archive_file", len(archive.files) + len(archive.rejected))
    for path, reason, detail in archive.rejected:
        ledger.reject("archive_file", path, reason, detail)
    files: dict[int, list[FileRecord]] = {star: [] for star in tces}
    for file in archive.files:
        if file.target_id in files:
            files[file.target_id].append(file)
            ledger.keep("archive_file", file.path)
        else:
            ledger.reject("archive_file", file.path, Reason.NOT_PLANNED, f"target {file.target_id}")
    for star, found in files.items():
        other = next((file for file in found if (file.mission == "TESS") != (found[0].mission == "TESS")), None)
        if other is not None:
            raise InputError(
                f"target {star} has files of {found[0].mission} ({found[0].path}) and {other.mission} ({other.path});"
                " their target numbers mean different stars, so build the missions from folders of their own"
            )
    return files


def _account_for_targets(tces: Mapping[int, object], files: Mapping[int, Sequence[FileRecord]], ledger: Ledger) -> None:
    """Count the stars that have a light curve, and those that cannot give examples."""
    ledger.expect("target", len(tces))
    for star in tces:
        if any(file.kind == "lc" for file in files[star]):
            ledger.keep("target", star)
        else:
            ledger.reject("target", star, Reason.NO_LIGHT_CURVE, "none in transit.inputs.light_curves")


_CHOSEN = {
    *(Reason.DISPOSITION_NOT_KEPT, Reason.TARGET_NOT_SELECTED, Reason.DUPLICATE_ROW),
    *(Reason.NOT_PLANNED, Reason.QUARANTINED, Reason.OTHER_CADENCE, Reason.DUPLICATE_FILE, Reason.WRONG_KIND),
    # A catalogue lists more stars than anyone has downloaded.
    Reason.NO_LIGHT_CURVE,
}
"""What is left out on purpose, or is not missed."""
_BROKEN = {Reason.EMPTY_FILE, Reason.UNREADABLE, Reason.NO_PERMISSION}


def _refuse_if_rejected(ledger: Ledger, plan: PlanSettings) -> None:
    """Stop when too much is unusable; what is left out on purpose does not count.

    Raises:
        InputError: It is more than the configuration allows.
    """
    ledger.check()
    for kind, counts in ledger.to_dict()["kinds"].items():
        unusable = {reason: n for reason, n in counts["rejected"].items() if reason not in _CHOSEN}
        if sum(unusable.values()) > plan.max_reject_fraction * counts["expected"]:
            worst = ", ".join(f"{n} {reason}" for reason, n in sorted(unusable.items(), key=lambda x: -x[1]))
            rows = [row for row in ledger.rejections if row["kind"] == kind and row["reason"] in unusable]
            raise InputError(
                f"{sum(unusable.values())} of {counts['expected']} items of kind {kind} cannot be used ({worst}), more"
                f" than transit.plan.max_reject_fraction = {plan.max_reject_fraction} allows; raise it if that is"
                " meant. First of them: " + "; ".join(f"{row['item']}: {row['detail']}" for row in rows[:3])
            )


def _stratum(tces: Sequence[Tce]) -> str:
    return min((tce.disposition for tce in tces), key=DISPOSITIONS.index, default=QUIET)


def _position(tces: Sequence[Tce], files: Sequence[FileRecord]) -> tuple[float, float]:
    """Right ascension and declination of a star, degrees: the table's, else a file's, else NaN."""
    for tce in tces:
        ra, dec = tce.scalar("ra"), tce.scalar("dec")
        if isfinite(ra) and isfinite(dec):
            return ra, dec
    for file in files:
        if isfinite(file.ra) and isfinite(file.dec):
            return file.ra, file.dec
    return float("nan"), float("nan")
