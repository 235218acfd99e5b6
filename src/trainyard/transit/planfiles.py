"""The plan on disk: three tables that tell which star, TCE and file belong to which shard."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainyard.transit.archive import FileRecord
from trainyard.transit.plan import Plan, TargetPlan, members_digest
from trainyard.transit.schema import FLOAT_SCALARS, INT_SCALARS, STRING_SCALARS
from trainyard.transit.tces import Tce
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.tables import Column, Role, TableContract

_META, _KEY = Role.METADATA, Role.KEY

TARGETS = TableContract(
    "transit_targets",
    (
        Column("target_id", pa.int64(), _KEY, description="TIC, KIC or EPIC number", nullable=False),
        Column("shard", pa.int32(), _META, description="0-based shard"),
        Column("split", pa.string(), _META, description="train, val or test"),
        Column("group", pa.int64(), _META, description="lowest target id of the blend that the star belongs to"),
        Column("stratum", pa.string(), _META, description="strongest disposition of the star"),
    ),
)
TCES = TableContract(
    "transit_tces",
    (
        Column("shard", pa.int32(), _META, description="0-based shard"),
        Column("uid", pa.string(), _KEY, description="TCE id", nullable=False),
        Column("star", pa.int64(), _KEY, description="target that the TCE belongs to"),
        Column("sector_run", pa.string(), _META, description="sectors searched together, as in the table"),
        Column("sectors", pa.list_(pa.int32()), _META, description="the same, one by one; null: not stated"),
        Column("period", pa.float64(), _META, "d", "orbital period"),
        Column("epoch", pa.float64(), _META, "d", "mid-time of one transit, in the time system of the star's files"),
        Column("duration_hours", pa.float64(), _META, "h", "first to last contact"),
        Column("period_err", pa.float64(), _META, "d", "uncertainty of the period"),
        Column("epoch_err", pa.float64(), _META, "d", "uncertainty of the epoch"),
        *(Column(name, pa.int64(), _META) for name in INT_SCALARS),
        *(Column(name, pa.string(), _META) for name in STRING_SCALARS),
        *(Column(name, pa.float64(), _META, unit) for name, (unit, _) in FLOAT_SCALARS.items()),
    ),
)
FILES = TableContract(
    "transit_files",
    (
        Column("shard", pa.int32(), _META, description="0-based shard"),
        Column("path", pa.string(), _KEY, nullable=False),
        Column("kind", pa.string(), _META, description="lc: light curve, tp: target pixels"),
        Column("mission", pa.string(), _META, description="TESS, Kepler or K2"),
        Column("target_id", pa.int64(), _META),
        Column("sector", pa.int32(), _META, description="sector, quarter or campaign"),
        Column("bytes", pa.int64(), _META, "byte"),
        Column("content", pa.string(), _META, description="fingerprint of the file's data"),
        Column("ra", pa.float64(), _META, "deg"),
        Column("dec", pa.float64(), _META, "deg"),
        Column("mag", pa.float64(), _META, "mag"),
        Column("cadence_days", pa.float64(), _META, "d"),
        Column("time_reference", pa.string(), _META, description="BTJD or BKJD"),
    ),
)
_SCALARS = (*INT_SCALARS, *STRING_SCALARS, *FLOAT_SCALARS)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write `targets.parquet`, `tces.parquet`, `files.parquet`, `ledger.json` and, for people, `targets.csv`."""
    targets = [
        {"target_id": t.target_id, "shard": t.shard, "split": t.split, "group": t.group, "stratum": t.stratum}
        for t in plan.targets
    ]
    tces = [_tce_row(tce, target.shard) for target in plan.targets for tce in target.tces]
    files = [{**vars(file), "shard": target.shard} for target in plan.targets for file in target.files]
    TCES.write(folder / "tces.parquet", TCES.table(tces))
    FILES.write(folder / "files.parquet", FILES.table(files))
    write_json(folder / "ledger.json", plan.ledger.to_dict())
    table = TARGETS.table(targets)
    TARGETS.write_csv(folder / "targets.csv", table)
    TARGETS.write(folder / "targets.parquet", table)


def read_shard(folder: Path, shard: int, *, digest: str | None = None) -> tuple[TargetPlan, ...]:
    """Members of one shard, ordered by target id.

    Raises:
        IntegrityError: The plan on disk is not the one whose digest the rule carries.
    """
    mine = [("shard", "=", shard)]
    tces: dict[int, list[Tce]] = defaultdict(list)
    for row in TCES.read(folder / "tces.parquet", filters=mine).to_pylist():
        tces[row["star"]].append(_tce(row))
    files: dict[int, list[FileRecord]] = defaultdict(list)
    for row in FILES.read(folder / "files.parquet", filters=mine).to_pylist():
        row.pop("shard")
        files[row["target_id"]].append(FileRecord(**row))
    targets = tuple(
        TargetPlan(**row, tces=tuple(tces[row["target_id"]]), files=tuple(files[row["target_id"]]))
        for row in TARGETS.read(folder / "targets.parquet", filters=mine).to_pylist()
    )
    if digest is not None and members_digest(targets) != digest:
        raise IntegrityError(
            f"{folder}: shard {shard + 1} does not have the members that were planned when this run began; the table or"
            " the archive has changed since. Run the same command again."
        )
    return targets


def read_assignment(folder: Path, shard: int) -> dict[int, str]:
    """Split of every star of a shard."""
    rows = TARGETS.read(folder / "targets.parquet", filters=[("shard", "=", shard)]).to_pylist()
    return {row["target_id"]: row["split"] for row in rows}


def read_plan_ledger(folder: Path) -> dict[str, Any]:
    """Ledger of the plan as written."""
    return dict(read_json(folder / "ledger.json"))


def _tce_row(tce: Tce, shard: int) -> dict[str, Any]:
    return {
        "shard": shard,
        "uid": tce.uid,
        "star": tce.target_id,
        "sector_run": tce.sector_run,
        "sectors": None if tce.sectors is None else list(tce.sectors),
        "period": tce.period,
        "epoch": tce.epoch,
        "duration_hours": tce.duration_hours,
        "period_err": tce.period_err,
        "epoch_err": tce.epoch_err,
        **tce.scalars,
    }


def _tce(row: dict[str, Any]) -> Tce:
    return Tce(
        uid=row["uid"],
        target_id=row["star"],
        sector_run=row["sector_run"],
        sectors=None if row["sectors"] is None else tuple(row["sectors"]),
        disposition=row["disposition"],
        period=row["period"],
        epoch=row["epoch"],
        duration_hours=row["duration_hours"],
        period_err=row["period_err"],
        epoch_err=row["epoch_err"],
        scalars={name: row[name] for name in _SCALARS},
    )
