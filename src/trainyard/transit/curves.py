"""Light curves with their masks, kept for a few stars of each shard so that the report can show what was masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.transit.records import Example
from trainyard.transit.sector import Sector
from trainyard.yard.tables import Column, Role, TableContract

_META = Role.METADATA

CURVES = TableContract(
    "transit_curves",
    (
        Column("target_id", pa.int64(), Role.KEY, description="TIC, KIC or EPIC number"),
        Column("sector", pa.int32(), Role.KEY, description="sector, quarter or campaign"),
        Column("time", pa.list_(pa.float64()), _META, "d", "mid-exposure times, BTJD or BKJD"),
        Column("flux", pa.list_(pa.float32()), _META, description="relative flux after detrending, gaps filled"),
        Column("good", pa.list_(pa.bool_()), _META, description="measured and not flagged"),
        Column("positive", pa.list_(pa.bool_()), _META, description="inside a positive-disposition mask"),
        Column("all_dispositions", pa.list_(pa.bool_()), _META, description="inside any event's mask"),
        Column("true_in_transit", pa.list_(pa.bool_()), _META, description="inside a real event"),
        Column("it_centres", pa.list_(pa.float64()), _META, "d", "centres of in-transit windows"),
        Column("oot_centres", pa.list_(pa.float64()), _META, "d", "centres of out-of-transit windows"),
    ),
)


def curve_row(sector: Sector, examples: Sequence[Example]) -> dict[str, Any]:
    """Row of the table for one sector of one star."""
    masks = sector.masks
    return {
        "target_id": sector.file.target_id,
        "sector": sector.number,
        "time": sector.time,
        "flux": sector.flux.astype(np.float32),
        "good": sector.prepared.good,
        "positive": masks.positive(),
        "all_dispositions": masks.all_dispositions(),
        "true_in_transit": masks.true_in_transit(),
        "it_centres": [example.window.centre for example in examples if example.transit_example],
        "oot_centres": [example.window.centre for example in examples if not example.transit_example],
    }
