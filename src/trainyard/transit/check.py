"""The last word on a build: every item accounted for, every file complete, no star in two splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from trainyard import __version__
from trainyard.transit import naming
from trainyard.transit.blockfiles import refuse_strays
from trainyard.transit.lightcurves import default_bitmask
from trainyard.transit.planfiles import FILES, TARGETS, TCES
from trainyard.transit.reasons import FAULTS, Reason
from trainyard.transit.schema import SPLIT_EXAMPLES, SPLITS
from trainyard.transit.settings import NOT_OF_THE_DATASET, TransitSettings
from trainyard.transit.software import versions
from trainyard.transit.split import check_disjoint
from trainyard.transit.star import SPARE
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import Receipt, read_receipt


def check_build(base: Path, *, settings: TransitSettings, code: Mapping[str, str]) -> dict[str, Any]:
    """Check a finished dataset and write `check/check.json`, `ledger.json`, `rejects.csv` and `dataset.json`.

    Args:
        base: Folder of the line, with `plan`, `raw`, `split` and `norm`.
        settings: Settings that shaped the dataset; they stand in `dataset.json`.
        code: Digests of the code of its stages; they stand there too.

    Raises:
        IntegrityError: Shards of an earlier plan lie there, items were lost, counts of files and tables differ, ids
            repeat, or too many files are unusable.
        LeakageError: A star, or stars of one blend, stand in two splits, or in another split than planned.
    """
    num_shards = settings.plan.num_shards
    ledger = _merged_ledger(base, num_shards)
    ledger.check()
    tables = [naming.examples_tbl(shard, num_shards) for shard in range(1, num_shards + 1)]
    examples = SPLIT_EXAMPLES.read_all([base / "split" / naming.TABLES / name for name in tables])
    targets = TARGETS.read(base / "plan" / "targets.parquet")
    refuse_strays(base, num_shards)
    _check_ledger(base / "plan", ledger, examples)
    _check_counts(base, examples, num_shards)
    _check_unique(examples)
    stars = check_disjoint([examples])
    _check_groups(targets)
    _check_assignment(examples, targets)
    _check_rejects(ledger, settings.plan.max_reject_fraction)
    summary = {
        "examples": examples.num_rows,
        "examples_by_split": {split: _count(examples, "split", split) for split in SPLITS},
        "stars_with_examples": stars,
        "stars_planned": targets.num_rows,
        "positives": _count(examples, "label", 1),
        "with_images": _count(examples, "has_images", True),
        "ledger": ledger.to_dict()["kinds"],
    }
    _write(base / "check", ledger, summary)
    write_json(base / "check" / "dataset.json", _provenance(settings, code, summary))
    return summary


def _provenance(settings: TransitSettings, code: Mapping[str, str], summary: Mapping[str, Any]) -> dict[str, Any]:
    """How a dataset came to be: with it and the inputs it can be built again."""
    bits = settings.build.light_curves.quality_bitmask
    missions: tuple[Literal["TESS"], Literal["Kepler"]] = ("TESS", "Kepler")
    return {
        "trainyard": __version__,
        "versions": versions(),
        "settings": settings.model_dump(mode="json", exclude=set(NOT_OF_THE_DATASET)),
        "code": dict(code),
        "quality_bitmask": {name: default_bitmask(name) if bits == "default" else bits for name in missions},
        "counts": dict(summary),
    }


def _merged_ledger(base: Path, num_shards: int) -> Ledger:
    paths = [base / "plan" / "ledger.json"]
    paths += [base / "raw" / naming.ledger(shard, num_shards) for shard in range(1, num_shards + 1)]
    return Ledger.merge([Ledger.from_dict(read_json(path), Reason) for path in paths])


def _check_ledger(plan: Path, ledger: Ledger, examples: pa.Table) -> None:
    """What was planned is what the shards account for, and what they kept is what the tables list."""
    spare = pc.equal(examples["origin"], SPARE)
    in_transit = pc.equal(examples["transit_example"], 1)
    told = {
        "TCEs in the plan": (TCES.read(plan / "tces.parquet", columns=["uid"]).num_rows, ledger.expected("tce")),
        "files in the plan": (FILES.read(plan / "files.parquet", columns=["path"]).num_rows, ledger.expected("file")),
        "in-transit examples": (_true(in_transit), ledger.kept("event")),
        "out-of-transit examples": (examples.num_rows - _true(pc.or_(in_transit, spare)), ledger.kept("negative")),
    }
    for what, (listed, accounted) in told.items():
        if listed != accounted:
            raise IntegrityError(f"{listed} {what}, but the shards account for {accounted}; build again")


def _check_counts(base: Path, examples: pa.Table, num_shards: int) -> None:
    """The receipts of raw, split and normalized shards tell the same story as the tables."""
    raw = sum(_records(base / "raw" / naming.raw_shard(k, num_shards)) for k in range(1, num_shards + 1))
    if raw != examples.num_rows:
        raise IntegrityError(f"the raw shards hold {raw} records, their tables {examples.num_rows}; build again")
    for split in SPLITS:
        listed = _count(examples, "split", split)
        for folder, name in ((base / "split" / split, naming.split_shard), (base / "norm" / split, naming.norm_shard)):
            held = sum(_records(folder / name(split, k, num_shards)) for k in range(1, num_shards + 1))
            if held != listed:
                raise IntegrityError(f"{folder}: the shards hold {held} records, the tables list {listed}")


def _check_unique(examples: pa.Table) -> None:
    repeated = examples.group_by("uid").aggregate([("uid", "count")]).filter(pc.field("uid_count") > 1)
    if repeated.num_rows:
        raise IntegrityError(f"{repeated.num_rows} example ids repeat, first {repeated['uid'][0]}")


def _check_groups(targets: pa.Table) -> None:
    splits = targets.group_by("group").aggregate([("split", "count_distinct")])
    torn = splits.filter(pc.field("split_count_distinct") > 1)["group"].to_pylist()
    if torn:
        raise LeakageError(f"stars of one blend stand in two splits; first group: {torn[0]}")


def _check_assignment(examples: pa.Table, targets: pa.Table) -> None:
    """Every example stands in the split that its star is planned for."""
    planned = dict(zip(targets["target_id"].to_pylist(), targets["split"].to_pylist(), strict=True))
    found = examples.group_by(["target_id", "split"]).aggregate([]).to_pylist()
    strays = [row for row in found if planned.get(row["target_id"]) != row["split"]]
    if strays:
        star = strays[0]["target_id"]
        raise LeakageError(
            f"{len(strays)} stars stand in another split than planned; first: {star} in {strays[0]['split']}, planned"
            f" for {planned.get(star, 'none')}; split again"
        )


def _check_rejects(ledger: Ledger, limit: float) -> None:
    broken = sum(ledger.rejected("file", reason) for reason in FAULTS)
    if broken > limit * max(ledger.expected("file"), 1):
        first = next(row for row in ledger.rejections if row["kind"] == "file" and Reason(row["reason"]) in FAULTS)
        raise IntegrityError(
            f"{broken} of {ledger.expected('file')} files could not be used, more than transit.plan.max_reject_fraction"
            f" = {limit} allows; first: {first['item']}: {first['detail']}"
        )


def _records(path: Path) -> int:
    receipt: Receipt = read_receipt(path)
    if receipt.bytes != path.stat().st_size:
        raise IntegrityError(f"{path}: has {path.stat().st_size} bytes, its receipt says {receipt.bytes}; delete it")
    return receipt.records or 0


def _count(table: pa.Table, column: str, value: object) -> int:
    return _true(pc.equal(table[column], value))


def _true(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values).as_py() or 0)


def _write(folder: Path, ledger: Ledger, summary: dict[str, Any]) -> None:
    ledger.write_csv(folder / "rejects.csv")
    write_json(folder / "ledger.json", ledger.to_dict())
    write_json(folder / "check.json", summary)
