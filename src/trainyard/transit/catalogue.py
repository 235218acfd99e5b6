"""Where a plan comes from: the demo's simulated catalogue, or a TCE table and an archive on disk.

The Snakefile needs no more of the plan than its digests; `plan_summary` keeps them beside the working folder and
works them out again only when the table, the archive, the settings or the planning code have changed.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from trainyard.transit.archive import HEADERS, ArchiveIndex, Found, index_files, list_files
from trainyard.transit.members import digest_of, is_kept, keep_plan, kept_plan
from trainyard.transit.plan import Catalogue, Plan, make_plan
from trainyard.transit.settings import InputSettings, TransitSettings
from trainyard.transit.tces import normalise, read_tces
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import keyed_hash

MEMBERS = "transit-members"
"""Folder, in the cache, of what the shards' jobs need of the plan."""


@dataclass(frozen=True)
class PlanSummary:
    """Digests of a plan, one per shard where there are several."""

    plan: str
    shards: tuple[str, ...]
    splits: tuple[str, ...]
    targets: tuple[int, ...]
    """Number of stars in each shard."""
    bytes: tuple[int, ...]
    """Bytes of input files of each shard."""
    light_curves: int
    """Number of light curves in all shards."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let no garbage be collected: a plan is millions of objects, looked through again and again and never garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def load_plan(settings: TransitSettings, demo_folder: Path, *, cache: Path | None, digest: str | None = None) -> Plan:
    """Plan the configured catalogue.

    Args:
        settings: The line's settings.
        demo_folder: Folder that the demo's inputs are, or will be, written to.
        cache: Folder for headers already read; None: read all.
        digest: Digest of the plan that the other jobs of the run follow; None: none does.

    Raises:
        InputError: The catalogue cannot be planned, or it has changed since the run began.
    """
    if settings.inputs.source == "demo":
        plan = _plan(settings, demo_catalogue(settings, demo_folder))
    else:
        plan = _plan(settings, _archive_catalogue(settings, _listing(settings.inputs), cache))
    if digest not in (None, plan.digest):
        raise InputError("the TCE table or the archive has changed since this run began; give the same command again")
    return plan


@_uncollected()
def plan_summary(
    settings: TransitSettings, demo_folder: Path, *, cache: Path, code: str, trust_cache: bool = False
) -> PlanSummary:
    """Digests of the plan, from the cache where nothing has changed.

    Args:
        settings: The line's settings.
        demo_folder: As in `load_plan`.
        cache: Folder of the caches.
        code: Digest of the planning code.
        trust_cache: Do not look at the archive when a summary for these settings is there; for the processes that
            Snakemake starts for single jobs, which only need to agree with the process that planned.
    """
    inputs = settings.inputs
    relevant = [settings.demo, inputs, settings.plan, settings.split]
    base = keyed_hash("plan-summary", code, str(demo_folder), *(part.model_dump_json() for part in relevant))
    file = cache / f"transit-plan-{base:016x}.json"
    known = _load_summary(file)
    if known is not None and not is_kept(cache / MEMBERS, [*known[1].shards, *known[1].splits]):
        known = None
    if known is not None and trust_cache:
        return known[1]
    if known is not None and kept_plan(cache / MEMBERS) != known[1].plan:
        known = None  # the members are kept with the places of another plan's files
    if known is not None and inputs.source == "demo":
        return known[1]
    found = () if inputs.source == "demo" else _listing(inputs)
    state = digest_of([_table_state(inputs), found])
    if known is not None and known[0] == state:
        return known[1]
    catalogue = (
        demo_catalogue(settings, demo_folder) if inputs.source == "demo" else _archive_catalogue(settings, found, cache)
    )
    summary = _summarize(_plan(settings, catalogue), cache / MEMBERS)
    with atomic_open(file) as handle:
        handle.write(msgspec.json.encode((state, summary)))
    return summary


def _summarize(plan: Plan, members: Path) -> PlanSummary:
    """What the Snakefile needs to know of a plan; what its jobs need is kept in `members`."""
    kept = keep_plan(plan, members)
    files = [[file.bytes for planned in shard for file in planned.star.files] for shard in plan.shards]
    return PlanSummary(
        plan=kept.plan,
        shards=kept.shards,
        splits=kept.splits,
        targets=tuple(map(len, plan.shards)),
        bytes=tuple(map(sum, files)),
        light_curves=sum(file.kind == "lc" for planned in plan.stars for file in planned.star.files),
    )


def demo_catalogue(settings: TransitSettings, folder: Path) -> Catalogue:
    """The catalogue of the demo as a pure function of its settings; no file needs to be there."""
    import pyarrow as pa

    from trainyard.demo.transit import catalogue

    demo = catalogue(settings.demo)
    names = sorted({name for row in demo.rows for name in row})
    columns = {name: ["" if row.get(name) is None else str(row.get(name)) for row in demo.rows] for name in names}
    raw = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    files = [replace(file, path=str(folder / file.path)) for file in demo.files]
    table = normalise(raw, settings.inputs, settings.plan, source="the demo's TCE table")
    ordered = sorted(files, key=lambda file: (file.kind, file.target_id, file.sector))
    return Catalogue(table, ArchiveIndex(tuple(ordered), ()))


def _plan(settings: TransitSettings, catalogue: Catalogue) -> Plan:
    return make_plan(catalogue, settings.plan, settings.split, time_reference=settings.inputs.time_reference)


def _archive_catalogue(settings: TransitSettings, found: Sequence[Found], cache: Path | None) -> Catalogue:
    inputs = settings.inputs
    if inputs.tce_table is None:
        raise InputError("transit.inputs.tce_table is not set")
    table = read_tces(inputs.tce_table, inputs, settings.plan)
    headers = cache / HEADERS if cache is not None else None
    archive = index_files(found, quarantine=inputs.quarantine, cache=headers)
    return Catalogue(table, archive)


def _listing(inputs: InputSettings) -> tuple[Found, ...]:
    return list_files([*inputs.light_curves, *inputs.target_pixels])


def _table_state(inputs: InputSettings) -> list[Any]:
    if inputs.tce_table is None or not inputs.tce_table.is_file():
        return []
    status = inputs.tce_table.stat()
    return [(str(inputs.tce_table), status.st_size, status.st_mtime_ns)]


def _load_summary(file: Path) -> tuple[str, PlanSummary] | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=tuple[str, PlanSummary])
    except (OSError, msgspec.MsgspecError):
        return None  # a cache that cannot be read only costs time
