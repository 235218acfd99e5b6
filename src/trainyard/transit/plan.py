"""The plan: which star goes into which shard and split, as a pure function of catalogue and configuration.

It is computed when the Snakefile is read. A shard's rule carries the digest of its members in `params`, so one new
star reruns one shard, and a dry run already says so.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from trainyard.transit.archive import ArchiveIndex, FileRecord
from trainyard.transit.blends import blend_groups
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import PlanSettings, SplitSettings
from trainyard.transit.split import assign
from trainyard.transit.tces import DISPOSITIONS, QUIET, Tce, TceTable
from trainyard.yard.errors import InputError
from trainyard.yard.identity import bucket
from trainyard.yard.ledger import Ledger

BTJD_MINUS_BKJD = 2457000 - 2454833
"""Days to add to a BTJD time to get BKJD."""


@dataclass(frozen=True)
class Catalogue:
    """What a plan is made from: the table's TCEs and the archive's files."""

    table: TceTable
    archive: ArchiveIndex


@dataclass(frozen=True)
class Star:
    """What one star is built from: its TCEs and its files."""

    target_id: int
    tces: tuple[Tce, ...]
    files: tuple[FileRecord, ...]

    @property
    def digest(self) -> str:
        """Fingerprint of everything that shapes the examples of this star; paths and file times are not in it."""
        files = [(file.kind, file.sector, file.bytes, file.content) for file in self.files]
        tces = [{**vars(tce), "scalars": dict(tce.scalars)} for tce in self.tces]
        return _digest([self.target_id, tces, files])


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
        places = [
            (p.star.digest, p.split, p.group, p.stratum, [file.path for file in p.star.files]) for p in self.stars
        ]
        return _digest([self.num_shards, places, self.ledger.to_dict()])


def members_digest(stars: Sequence[Star]) -> str:
    """Digest of the stars of one shard."""
    return _digest([star.digest for star in sorted(stars, key=lambda star: star.target_id)])


def assignment_digest(assignment: Mapping[int, str]) -> str:
    """Digest of the splits of the stars of one shard."""
    return _digest(sorted(assignment.items()))


def make_plan(catalogue: Catalogue, plan: PlanSettings, split: SplitSettings, *, time_reference: str | None) -> Plan:
    """Assign stars to shards and splits.

    Raises:
        InputError: Too many rows or files are rejected, or no star is left to build.
    """
    ledger = Ledger("transit", Reason)
    kept = _kept_tces(catalogue.table, plan, ledger)
    quiet = [star for star in catalogue.table.quiet if plan.quiet_stars and _wanted(star, plan)]
    tces: dict[int, list[Tce]] = {star: [] for star in quiet} | kept
    files = _files_of(catalogue.archive, tces, ledger)
    _refuse_if_rejected(ledger, plan)
    if not tces:
        raise InputError("no star is left to build: no row of the TCE table has a disposition of keep_target_disps")
    positions = {star: _position(tces[star], files.get(star, [])) for star in tces}
    groups = blend_groups(tces, positions, radius_arcsec=split.blend_radius_arcsec, settings=plan)
    strata = {star: _stratum(rows) for star, rows in tces.items()}
    splits = assign([(star, groups[star], strata[star]) for star in sorted(tces)], split)
    planned = [
        PlannedStar(
            star=Star(
                star, _in_time_of_files(tces[star], files.get(star, []), time_reference), tuple(files.get(star, []))
            ),
            shard=bucket(star, plan.num_shards, salt="transit-shard"),
            split=splits[star],
            group=groups[star],
            stratum=strata[star],
        )
        for star in sorted(tces)
    ]
    return Plan(plan.num_shards, tuple(planned), ledger)


def _in_time_of_files(tces: Sequence[Tce], files: Sequence[FileRecord], table_reference: str | None) -> tuple[Tce, ...]:
    return tuple(in_time_of(tce, files, table_reference) for tce in tces)


def in_time_of(tce: Tce, files: Sequence[FileRecord], table_reference: str | None) -> Tce:
    """The TCE with its epoch in the time system of the star's files."""
    if not files or table_reference in (None, files[0].time_reference):
        return tce
    shift = BTJD_MINUS_BKJD if files[0].time_reference == "BKJD" else -BTJD_MINUS_BKJD
    return replace(tce, epoch=tce.epoch + shift)


def _kept_tces(table: TceTable, plan: PlanSettings, ledger: Ledger) -> dict[int, list[Tce]]:
    """TCEs of the stars to build; every row of the table is accounted for."""
    ledger.expect("table_row", table.rows)
    for item, reason, detail in table.rejected:
        ledger.reject("table_row", item, reason, detail)
    stars: dict[int, list[Tce]] = defaultdict(list)
    for tce in table.tces:
        if tce.disposition in plan.keep_tce_disps:
            stars[tce.target_id].append(tce)
        else:
            ledger.reject("table_row", tce.uid, Reason.DISPOSITION_NOT_KEPT, tce.disposition)
    kept: dict[int, list[Tce]] = {}
    for star, tces in stars.items():
        if _wanted(star, plan) and any(tce.disposition in plan.keep_target_disps for tce in tces):
            kept[star] = tces
            ledger.keep("table_row", str(star), len(tces))
        else:
            for tce in tces:
                ledger.reject("table_row", tce.uid, Reason.TARGET_NOT_SELECTED, tce.disposition)
    listed = table.rows - len(table.rejected) - len(table.tces)
    ledger.keep("table_row", "stars listed without signal", listed)
    return kept


def _files_of(archive: ArchiveIndex, tces: Mapping[int, object], ledger: Ledger) -> dict[int, list[FileRecord]]:
    ledger.expect("archive_file", len(archive.files) + len(archive.rejected))
    for path, reason, detail in archive.rejected:
        ledger.reject("archive_file", path, reason, detail)
    files: dict[int, list[FileRecord]] = defaultdict(list)
    for file in archive.files:
        if file.target_id in tces:
            files[file.target_id].append(file)
            ledger.keep("archive_file", file.path)
        else:
            ledger.reject("archive_file", file.path, Reason.NOT_PLANNED, f"target {file.target_id}")
    return files


_CHOSEN = {Reason.DISPOSITION_NOT_KEPT, Reason.TARGET_NOT_SELECTED, Reason.NOT_PLANNED, Reason.QUARANTINED}


def _refuse_if_rejected(ledger: Ledger, plan: PlanSettings) -> None:
    """Stop when too much is unusable; what the configuration leaves out on purpose does not count."""
    ledger.check()
    for kind, counts in ledger.to_dict()["kinds"].items():
        unusable = {reason: n for reason, n in counts["rejected"].items() if reason not in _CHOSEN}
        if sum(unusable.values()) > plan.max_reject_fraction * max(counts["expected"], 1):
            worst = ", ".join(f"{n} {reason}" for reason, n in sorted(unusable.items(), key=lambda x: -x[1]))
            raise InputError(
                f"{sum(unusable.values())} of {counts['expected']} items of kind {kind} cannot be used ({worst}); the"
                f" limit is transit.plan.max_reject_fraction = {plan.max_reject_fraction}. First of them: "
                + "; ".join(
                    f"{row['item']}: {row['detail']}"
                    for row in [row for row in ledger.rejections if row["kind"] == kind][:3]
                )
            )


def _wanted(star: int, plan: PlanSettings) -> bool:
    return not plan.targets or star in plan.targets


def _stratum(tces: Sequence[Tce]) -> str:
    return min((tce.disposition for tce in tces), key=DISPOSITIONS.index, default=QUIET)


def _position(tces: Sequence[Tce], files: Sequence[FileRecord]) -> tuple[float, float]:
    """Right ascension and declination of a star, degrees: the table's, else a file's, else NaN."""
    places = [(tce.scalars["ra"], tce.scalars["dec"]) for tce in tces] + [(file.ra, file.dec) for file in files]
    return next((place for place in places if np.isfinite(place).all()), (float("nan"), float("nan")))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
