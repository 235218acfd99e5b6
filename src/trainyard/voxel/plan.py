"""The plan of the voxel line: which samples exist, in which split, order, batch and store part.

A pure function of tables and settings: nothing here opens a voxel file, and torch is not needed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.voxel.columns import Codes, ranks
from trainyard.voxel.domains import (
    PlannedDomain,
    domains_table,
    judge_domains,
    part_of,
    settle_domains,
    with_residues,
)
from trainyard.voxel.join import Join, residue_name
from trainyard.voxel.mapping import map_domains
from trainyard.voxel.ordering import number, permutation
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf_files import STRATA
from trainyard.voxel.scaling import fit_scaler, scale, scale_warning
from trainyard.voxel.schema import INVENTORY, RESIDUES, RMSF, SAMPLES, SPLITS
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.splits import check_disjoint, leakage_report
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger

_log = logging.getLogger(__name__)

_BY_CHOICE = (Reason.NOT_IN_SPLITS, Reason.OVER_MAX_DOMAINS, Reason.CHAIN_NOT_USED)
"""Reasons that the settings ask for; residues rejected for them do not count as unusable."""


@dataclass(frozen=True)
class VoxelPlan:
    """What is to be built.

    Attributes:
        domains: Contract DOMAINS: every domain of the lists and of the voxel file, sorted.
        residues: Contract RESIDUES: the residues used, by `residue_uid`.
        samples: Contract SAMPLES: by split (train, val, test), then `sample_id`.
        scaler: Parameters of the temperature scaling, fitted on train.
        leakage: What the lists of val and test share with train.
        ledger: Verdicts on domains, residues and samples.
        warnings: What a person should know, one sentence each.
    """

    domains: pa.Table
    residues: pa.Table
    samples: pa.Table
    scaler: dict[str, Any]
    leakage: dict[str, Any]
    ledger: Ledger
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Numbers of domains, residues, samples and batches that are used, by split."""
        used = self.domains.filter(pc.greater(self.domains.column("residues"), 0))
        tables = {"domains": used, "residues": self.residues, "samples": self.samples}
        found = {name: _count_by_split(table) for name, table in tables.items()}
        rows = self.samples.group_by("split").aggregate([("batch_index", "max")]).to_pylist()
        batches = {row["split"]: row["batch_index_max"] + 1 for row in rows}
        return {
            split: {**{name: n.get(split, 0) for name, n in found.items()}, "batches": batches.get(split, 0)}
            for split in SPLITS
        }

    @property
    def failed_domains(self) -> list[str]:
        """Listed domains without a single sample, sorted: the content of `failed_preprocess_domains.txt`."""
        columns = [self.domains.column(name).to_pylist() for name in ("domain", "split", "residues")]
        return sorted(domain for domain, split, residues in zip(*columns, strict=True) if split and not residues)


def make_plan(
    inventory: pa.Table,
    rmsf: pa.Table,
    lists: Mapping[str, Sequence[str]],
    settings: VoxelPlanSettings,
    *,
    suffixes: Sequence[str] = (),
    table: Mapping[str, str] | None = None,
) -> VoxelPlan:
    """Plan the samples.

    Args:
        inventory: Contract INVENTORY, any order.
        rmsf: Contract RMSF, clean, in the order of its files (order `legacy` follows it).
        lists: Domains by split, in order, as the voxel file names them; see `splits.split_lists`.
        settings: Policies, order, sizes and seed.
        suffixes: Endings of domain names, see `mapping.map_domains`.
        table: RMSF domain by voxel domain, see `mapping.map_domains`.

    Raises:
        InputError: Domains cannot be mapped without a guess, a policy is `error` and its case occurs, train or val
            have no residue, or more residues are rejected than `max_reject_fraction` allows.
        LeakageError: A domain stands in two splits, or `leakage` is `error` and splits share a PDB entry.
    """
    INVENTORY.check(inventory)
    RMSF.check(rmsf)
    check_disjoint(lists)
    leakage = leakage_report(lists, policy=settings.leakage)
    ledger = Ledger("voxel", Reason)
    names = [table_.column(name).unique().to_pylist() for table_, name in ((inventory, "domain"), (rmsf, "domain_id"))]
    matches = map_domains(*names, suffixes=suffixes, table=table)
    domains = judge_domains(lists, matches, max_domains=settings.max_domains)
    _settle_unused(inventory, domains.values(), ledger)
    join = _join(inventory, rmsf, domains.values())
    join.judge(settings)
    join.verdicts.settle(ledger, "residue", join.describe)
    domains = with_residues(domains, join)
    settle_domains(domains, ledger)
    _settle_samples(join, ledger)
    residues, uid = _residues(join, domains, settings)
    plan = VoxelPlan(
        domains_table(domains, num_parts=settings.num_parts),
        residues,
        _samples(join, domains, uid, settings),
        scaler={},
        leakage=leakage,
        ledger=ledger,
        warnings=tuple(join.warnings),
    )
    return _finished(plan, settings)


def drop_residues(
    plan: VoxelPlan, rejected: Mapping[int, tuple[Reason, str]], settings: VoxelPlanSettings
) -> VoxelPlan:
    """Take residues out of a plan, because their grids turned out to be unusable.

    What stays keeps its order. Residues, rows of parts, samples and batches are numbered anew without gaps, and the
    temperature scaling is fitted again.

    Args:
        plan: The plan that the store was encoded by.
        rejected: Reason and detail by `residue_uid`.
        settings: The settings of the plan.

    Raises:
        InputError: Train or val have no residue left, or more are rejected than `max_reject_fraction` allows.
    """
    if not rejected:
        return plan
    ledger = Ledger.from_dict(plan.ledger.to_dict(), Reason)
    kept = np.ones(plan.residues.num_rows, np.bool_)
    kept[list(rejected)] = False
    uid = plan.samples.column("residue_uid").to_numpy()
    samples_of = np.bincount(uid, minlength=kept.size)
    for residue, (reason, detail) in sorted(rejected.items()):
        name, n = residue_name(plan.residues, residue), int(samples_of[residue])
        _take_back(ledger, "residue", name, reason, detail)
        _take_back(ledger, "sample", name, Reason.GRID_REJECTED, f"{n} temperatures", n)
    residues = plan.residues.filter(pa.array(kept))
    residues = _with(residues, residue_uid=np.arange(residues.num_rows))
    residues = _with(residues, row=_rows_in_parts(residues.column("part").to_numpy()))
    samples = plan.samples.filter(pa.array(kept[uid]))
    samples = _with(samples, residue_uid=(np.cumsum(kept) - 1)[uid[kept[uid]]])
    domains = _drop_domains(plan.domains, residues, ledger)
    return _finished(replace(plan, domains=domains, residues=residues, samples=samples, ledger=ledger), settings)


def _settle_unused(inventory: pa.Table, domains: Iterable[PlannedDomain], ledger: Ledger) -> None:
    """Account for the residues of the domains that are not used, one entry per domain."""
    found = inventory.column("domain").value_counts()
    counts = dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))
    for domain in domains:
        if domain.reason is not None and domain.match is not None:
            n = counts[domain.name]
            ledger.expect("residue", n)
            detail = "; ".join(filter(None, [f"all {n} residues of the domain", domain.detail]))
            ledger.reject("residue", domain.name, domain.reason, detail, n=n)


def _join(inventory: pa.Table, rmsf: pa.Table, domains: Iterable[PlannedDomain]) -> Join:
    names = {d.name: d.match.rmsf_domain for d in domains if d.used and d.match and d.match.rmsf_domain}
    used = pc.is_in(inventory.column("domain"), pa.array(list(names), pa.string()))
    return Join(inventory.filter(used), rmsf, names)


def _settle_samples(join: Join, ledger: Ledger) -> None:
    """A residue should have a sample per temperature; account for those that it has not."""
    kept = join.verdicts.kept
    has = np.bincount(join.pair_residue, minlength=kept.size)
    ledger.expect("sample", int(join.wanted_rows[kept].sum()))
    ledger.keep("sample", "", int(has[kept].sum()))
    missing = np.where(kept, join.wanted_rows - has, 0)
    incomplete = np.flatnonzero(missing).tolist()
    for residue in incomplete[: ledger.limit]:
        detail = join.lacking(residue)
        ledger.reject("sample", join.name(residue), Reason.MISSING_TEMPERATURES, detail, n=int(missing[residue]))
    ledger.reject("sample", "", Reason.MISSING_TEMPERATURES, n=int(missing[incomplete[ledger.limit :]].sum()))


def _residues(join: Join, domains: Mapping[str, PlannedDomain], settings: VoxelPlanSettings) -> tuple[pa.Table, Codes]:
    """Contract RESIDUES of the residues kept, and the uid of every residue of the join (-1: rejected)."""
    kept = np.flatnonzero(join.verdicts.kept)
    uid = np.full(join.residues.num_rows, -1)
    uid[kept] = np.arange(kept.size)
    of_domain = pa.array(join.domain[kept])
    planned = [domains[name] for name in join.domains]
    part = np.array([part_of(name, settings.num_parts) for name in join.domains], np.int32)[join.domain[kept]]
    found = join.residues.take(pa.array(kept))
    columns = {name: found.column(name) for name in ("domain", "chain", "resid", "icode", "residue", "label")}
    columns |= {name: join.stratum(name).take(pa.array(kept)).cast(kind) for name, kind in STRATA.items()}
    columns |= {
        "residue_uid": pa.array(uid[kept], pa.int32()),
        "rmsf_domain": pa.array([d.match.rmsf_domain if d.match else None for d in planned], pa.string()).take(
            of_domain
        ),
        "split": pa.array([domain.split for domain in planned], pa.string()).take(of_domain),
        "part": pa.array(part),
        "row": pa.array(_rows_in_parts(part)),
    }
    return pa.table([columns[name] for name in RESIDUES.names], schema=RESIDUES.schema), uid


def _rows_in_parts(part: NDArray[np.int32]) -> NDArray[np.int32]:
    """Row of every residue in its part, in the order given."""
    order = np.argsort(part, kind="stable")
    sizes = np.bincount(part)
    row = np.empty(part.size, np.int32)
    row[order] = np.arange(part.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return row


def _samples(join: Join, domains: Mapping[str, PlannedDomain], uid: Codes, settings: VoxelPlanSettings) -> pa.Table:
    """Contract SAMPLES in its final order, not yet numbered and scaled."""
    residue, row = join.kept_pairs()
    planned = [domains[name] for name in join.domains]
    split = np.array([SPLITS.index(domain.split) for domain in planned], np.int8)[join.domain[residue]]
    position = np.array([domain.position for domain in planned], np.int64)[join.domain[residue]]
    # Pairs come by domain name, chain, number and temperature; the lists decide between domains.
    if settings.order == "legacy":
        name, _ = ranks(join.residues.column("residue"))
        order = np.lexsort((row, name[residue], join.chain[residue], position, split))
    else:
        order = np.lexsort((position, split))
    if settings.order == "shuffled":
        order = _shuffled(order, split, settings.seed)
    residue, row, split = residue[order], row[order], split[order]
    n = residue.size
    columns = {
        "sample_id": np.zeros(n, np.int64),
        "split": pa.DictionaryArray.from_arrays(split, pa.array(SPLITS)).cast(pa.string()),
        "residue_uid": uid[residue].astype(np.int32),
        "temperature": join.rmsf.column("temperature").take(pa.array(row)),
        "scaled_temp": np.zeros(n, np.float32),
        "target": join.rmsf.column("target_rmsf").take(pa.array(row)),
        "batch_index": np.zeros(n, np.int32),
        "row_in_batch": np.zeros(n, np.int32),
    }
    return pa.table([columns[name] for name in SAMPLES.names], schema=SAMPLES.schema)


def _shuffled(order: Codes, split: NDArray[np.int8], seed: int) -> Codes:
    sizes = np.bincount(split, minlength=len(SPLITS)).tolist()
    ends = np.cumsum(sizes)
    parts = np.split(order, ends[:-1])
    return np.concatenate(
        [part[permutation(part.size, seed=seed, split=name)] for part, name in zip(parts, SPLITS, strict=True)]
    )


def _finished(plan: VoxelPlan, settings: VoxelPlanSettings) -> VoxelPlan:
    """Number and scale the samples, and refuse a plan that is not worth building."""
    plan.ledger.check()
    _refuse_rejects(plan.ledger, settings)
    counts = _count_by_split(plan.samples)
    empty = [split for split in SPLITS if not counts.get(split)]
    for split in empty:
        if split != "test":
            raise InputError(_empty(plan, split))
    samples = number(plan.samples, batch_size=settings.batch_size)
    temperatures = samples.column("temperature").to_numpy()
    scaler = fit_scaler(temperatures[: counts["train"]], clamp=settings.clamp_temperature)
    samples = _with(samples, scaled_temp=scale(temperatures, scaler))
    news = ["the test split has no samples"] if empty else []
    news += filter(None, [scale_warning(temperatures, scaler)])
    news = [message for message in news if message not in plan.warnings]
    for message in news:
        _log.warning("%s", message)
    return replace(plan, samples=samples, scaler=scaler, warnings=(*plan.warnings, *news))


def _refuse_rejects(ledger: Ledger, settings: VoxelPlanSettings) -> None:
    by_choice = sum(ledger.rejected("residue", reason) for reason in _BY_CHOICE)
    rejected = ledger.rejected("residue") - by_choice
    wanted = ledger.expected("residue") - by_choice
    if rejected > settings.max_reject_fraction * wanted:
        counts = {reason: ledger.rejected("residue", reason) for reason in Reason if reason not in _BY_CHOICE}
        found = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items(), key=lambda item: -item[1]) if n)
        rows = [row for row in ledger.rejections if row["kind"] == "residue" and row["reason"] not in _BY_CHOICE]
        first = "; ".join(f"{row['item']}: {row['detail'] or row['reason']}" for row in rows[:3])
        raise InputError(
            f"{rejected} of {wanted} residues cannot be used ({found}); the limit is plan.max_reject_fraction ="
            f" {settings.max_reject_fraction}. First of them: {first}"
        )


def _empty(plan: VoxelPlan, split: str) -> str:
    listed = plan.domains.filter(pc.equal(plan.domains.column("split"), split)).column("domain").to_pylist()
    why = {row["item"]: row["reason"] for row in plan.ledger.rejections if row["kind"] == "domain"}
    first = ", ".join(f"{domain}: {why[domain]}" for domain in [name for name in listed if name in why][:3])
    return (
        f"no sample is in {split}; of its {len(listed)} listed domains none can be used"
        + (f" ({first})" if first else "")
        + ". Check the split list against the names in the voxel file"
    )


def _drop_domains(domains: pa.Table, residues: pa.Table, ledger: Ledger) -> pa.Table:
    """Count residues anew; a domain that lost all of them goes to the ledger."""
    left = Counter(residues.column("domain").to_pylist())
    names, before = (domains.column(name).to_pylist() for name in ("domain", "residues"))
    for name, n in zip(names, before, strict=True):
        if n and not left[name]:
            _take_back(ledger, "domain", name, Reason.NO_RESIDUES, "no grid can be used")
    return _with(domains, residues=np.array([left[name] for name in names]))


def _take_back(ledger: Ledger, kind: str, item: str, reason: Reason, detail: str, n: int = 1) -> None:
    ledger.keep(kind, item, -n)
    ledger.reject(kind, item, reason, detail, n=n)


def _count_by_split(table: pa.Table) -> dict[str, int]:
    found = table.column("split").value_counts()
    return dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))


def _with(table: pa.Table, **columns: NDArray[Any]) -> pa.Table:
    """Replace columns, keeping their fields."""
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        field = table.schema.field(index)
        table = table.set_column(index, field, pa.array(values).cast(field.type))
    return table
