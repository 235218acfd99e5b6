"""How every light curve was prepared, and for a few stars of each shard the curve with its masks, for the report."""

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
        Column("quality_bitmask", pa.int64(), _META, description="bits that made a cadence bad", nullable=False),
        Column(
            "pixel_quality_bitmask", pa.int64(), _META, description="the same for its pixels; null: none have been used"
        ),
        Column("detrend_method", pa.string(), _META, description="off, or the methods of its stretches, joined by +"),
        Column("detrend_order", pa.int32(), _META, description="polynomial order of savgol, chosen or configured"),
        Column("detrend_window_days", pa.float64(), _META, "d", "length of the detrender's window; NaN: off"),
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


def curve_row(sector: Sector, examples: Sequence[Example], *, pixel_bitmask: int, keep_curve: bool) -> dict[str, Any]:
    """Row of the table for one sector of one star; its lists are null where the curve is not kept."""
    with_images = any(example.images is not None for example in examples)
    prepared: dict[str, Any] = {
        "target_id": sector.file.target_id,
        "sector": sector.number,
        "quality_bitmask": sector.quality_bitmask,
        "pixel_quality_bitmask": pixel_bitmask if with_images else None,
        "detrend_method": sector.detrended.method,
        "detrend_order": sector.detrended.order,
        "detrend_window_days": sector.detrended.window_days,
    }
    return prepared | _curve(sector, examples) if keep_curve else prepared


def _curve(sector: Sector, examples: Sequence[Example]) -> dict[str, Any]:
    masks = sector.masks
    return {
        "time": sector.time,
        "flux": sector.flux.astype(np.float32),
        "good": sector.prepared.good,
        "positive": masks.positive(),
        "all_dispositions": masks.all_dispositions(),
        "true_in_transit": masks.true_in_transit(),
        "it_centres": [example.window.centre for example in examples if example.transit_example],
        "oot_centres": [example.window.centre for example in examples if not example.transit_example],
    }
