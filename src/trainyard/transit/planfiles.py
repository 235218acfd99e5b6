"""The plan for the record: three tables that tell which star, TCE and file belong to which shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from trainyard.transit.plan import Plan
from trainyard.transit.schema import FLOAT_SCALARS, INT_SCALARS, STRING_SCALARS
from trainyard.transit.tces import Tce
from trainyard.yard.files import write_json
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
        Column("path", pa.string(), _KEY, description="where the file is", nullable=False),
        Column("kind", pa.string(), _META, description="lc: light curve, tp: target pixels"),
        Column("mission", pa.string(), _META, description="TESS, Kepler or K2"),
        Column("target_id", pa.int64(), _META),
        Column("sector", pa.int32(), _META, description="sector, quarter or campaign"),
        Column("bytes", pa.int64(), _META, "byte", "size of the file"),
        Column("content", pa.string(), _META, description="fingerprint of the file's data"),
        Column("ra", pa.float64(), _META, "deg"),
        Column("dec", pa.float64(), _META, "deg"),
        Column("mag", pa.float64(), _META, "mag"),
        Column("cadence_days", pa.float64(), _META, "d", "time from one cadence to the next"),
        Column("time_reference", pa.string(), _META, description="BTJD or BKJD"),
    ),
)


def write_plan(plan: Plan, folder: Path) -> None:
    """Write `tces.parquet`, `files.parquet`, `ledger.json`, `targets.csv` for people and, last, `targets.parquet`."""
    targets = [
        {"target_id": p.target_id, "shard": p.shard, "split": p.split, "group": p.group, "stratum": p.stratum}
        for p in plan.stars
    ]
    tces = [_tce_row(tce, planned.shard) for planned in plan.stars for tce in planned.star.tces]
    files = [{**vars(file), "shard": planned.shard} for planned in plan.stars for file in planned.star.files]
    TCES.write(folder / "tces.parquet", TCES.table(tces))
    FILES.write(folder / "files.parquet", FILES.table(files))
    write_json(folder / "ledger.json", plan.ledger.to_dict())
    table = TARGETS.table(targets)
    TARGETS.write_csv(folder / "targets.csv", table)
    TARGETS.write(folder / "targets.parquet", table)


def _tce_row(tce: Tce, shard: int) -> dict[str, Any]:
    return {
        **{name: value for name, value in vars(tce).items() if name not in ("given", "target_id")},
        **tce.scalars,
        "shard": shard,
        "star": tce.target_id,
        "sectors": None if tce.sectors is None else list(tce.sectors),
    }
