"""Small raw shards for tests: a few stars, a few examples each, with or without images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainyard.transit import naming
from trainyard.transit.schema import EXAMPLES, NORMALIZED_IMAGES
from trainyard.transit.split import split_shard
from trainyard.yard.examples import encode_example, encode_tensor
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import generator
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tfrecord import RecordWriter


def upsampled_image(draw: np.random.Generator, *, brightness: float = 100.0) -> np.ndarray:
    native = draw.normal(brightness, brightness / 10, size=(11, 11)).astype(np.float32)
    return native.repeat(3, axis=0).repeat(3, axis=1)


def example(target: int, number: int, *, images: bool = True, **row: Any) -> tuple[dict[str, Any], bytes]:
    """One example as (row of the example table, record); its numbers depend on its uid alone."""
    tce = row.pop("tce_uid", f"{target}-1-S1")
    uid = f"{tce or target}_t_{1000 + number}"
    draw = generator("test", uid)
    label = row.pop("label", number % 2)
    features: dict[str, Any] = {
        "uid": uid,
        "tce_uid": tce,
        "label": str(label),
        "target_id": target,
        "flux": 1 + draw.normal(0, 1e-3, 100).astype(np.float32) - 0.01 * label * (abs(np.arange(100) - 49.5) < 10),
        "tce_period": np.array([np.nan], dtype=np.float32),
        "has_images": int(images),
    }
    if images:
        features |= {name: encode_tensor(upsampled_image(draw)) for name in NORMALIZED_IMAGES}
        features["target_img"] = encode_tensor(np.eye(33, dtype=np.float32))
        features["camera_pixels"] = (33 * np.arange(0, 33, 3)[:, None] + np.arange(0, 33, 3)).ravel()
    table = {"uid": uid, "target_id": target, "tce_uid": tce, "label": label, "has_images": images, "origin": "own"}
    return {"event_id": f"{target}-e1", "disposition": "KP", "duration_hours": 3.0, **table, **row}, encode_example(
        features
    )


def write_raw(folder: Path, examples: Iterable[tuple[dict[str, Any], bytes]], *, shard: int = 1, num_shards: int = 1):
    """Write a raw shard with its receipt and example table; gives both paths."""
    raw, table = folder / naming.raw_shard(shard, num_shards), folder / naming.examples_tbl(shard, num_shards)
    rows = []
    with atomic_open(raw) as handle:
        writer = RecordWriter(handle)
        for row, record in examples:
            rows.append({**row, "example_i": writer.write(record)})
    write_receipt(raw, records=len(rows), schema="test")
    EXAMPLES.write(table, EXAMPLES.table(rows))
    return raw, table


def write_split(
    folder: Path,
    examples: Iterable[tuple[dict[str, Any], bytes]],
    assignment: Mapping[int, str],
    *,
    shard: int = 1,
    num_shards: int = 1,
) -> dict[str, Path]:
    """Write a raw shard and split it; gives the split shards by split, and the example table as `examples`."""
    raw, table = write_raw(folder / "raw", examples, shard=shard, num_shards=num_shards)
    out = folder / "split"
    split_shard(raw, table, assignment, out, shard=shard, num_shards=num_shards)
    files = {split: out / split / naming.split_shard(split, shard, num_shards) for split in ("train", "val", "test")}
    return files | {"examples": out / "aux_tbls" / naming.examples_tbl(shard, num_shards)}
