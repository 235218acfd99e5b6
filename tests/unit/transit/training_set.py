"""Small normalized sets for tests of training: a dip where the label is 1, noise where it is 0."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainyard.transit import naming
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.select import SELECTION
from trainyard.yard.examples import encode_example, encode_tensor
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import generator
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tfrecord import RecordWriter

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # The bytes that the tests compare are those of a CPU.

PIXELS = 9
STARS_PER_SHARD = 5


@dataclass
class TrainingSet:
    """Paths of a set; `rows` are the rows of its example table."""

    shards: dict[str, list[Path]] = field(default_factory=dict)
    examples: list[Path] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def flux_of(uid: str, label: int) -> np.ndarray:
    flux = generator("flux", uid).normal(0, 0.1, 100).astype(np.float32)
    flux[40:60] -= label
    return flux


def features_of(row: Mapping[str, Any]) -> dict[str, Any]:
    uid, label = row["uid"], row["label"]
    features: dict[str, Any] = {
        "uid": uid,
        "label": str(label),
        "transit_example": str(row["transit_example"]),
        "disposition": row["disposition"],
        "flux": 1 + 0.01 * flux_of(uid, label),
        "flux_norm": flux_of(uid, label),
        "true_it_mask": (label * (abs(np.arange(100) - 49.5) < 10)).astype(np.float32),
    }
    if row["has_images"]:
        draw = generator("image", uid)
        for name in ("diff_img", "oot_img", "snr_img"):
            image = draw.normal(size=(PIXELS, PIXELS)).astype(np.float32)
            features |= {name: encode_tensor(image), f"{name}_stdnorm": encode_tensor(image)}
        features["target_img"] = encode_tensor(np.eye(PIXELS, dtype=np.float32))
        features["target_pos"] = np.array([4, 3])
    return features


def write_training_set(
    folder: Path,
    counts: Mapping[str, tuple[int, ...]],
    *,
    label: Callable[[str, int], int] = lambda _, i: i % 2,
    images: Callable[[int], bool] = lambda _: True,
    change: Callable[[str, int, dict[str, Any]], None] = lambda *_: None,
    same_stars: bool = False,
) -> TrainingSet:
    """Write a set.

    Args:
        folder: Where.
        counts: Split -> records of each of its shards.
        label: Label of record i of a split's shards.
        images: Whether record i of a shard has images.
        change: Changes the features of record i of a split's shards in place.
        same_stars: Every split holds the same stars, which is a leak.
    """
    made = TrainingSet()
    for s, (split, sizes) in enumerate(counts.items()):
        made.shards[split] = []
        for k, size in enumerate(sizes, start=1):
            name = naming.split_shard(split, k, len(sizes))
            path = folder / split / f"norm_{name}"
            with atomic_open(path) as handle:
                writer = RecordWriter(handle)
                for i in range(size):
                    star = (0 if same_stars else 1000 * (s + 1)) + 10 * k + i % STARS_PER_SHARD
                    value = label(split, i)
                    row = {
                        "uid": f"{star}-1-S1_t_{1000 + i}",
                        "target_id": star,
                        "tce_uid": f"{star}-1-S1",
                        "disposition": "KP" if value else ("NTP" if i % 4 else "EB"),
                        "time": 1000.5 + i,
                        "label": value,
                        "transit_example": int(value or i % 4 > 0),
                        "has_images": images(i),
                        "split": split,
                        "shard": name,
                        "example_i_tfrec": i,
                    }
                    features = features_of(row)
                    change(split, i, features)
                    writer.write(encode_example(features))
                    made.rows.append(row)
            write_receipt(path, records=size)
            made.shards[split].append(path)
    table = folder / "examples.parquet"
    SPLIT_EXAMPLES.write(table, SPLIT_EXAMPLES.table(made.rows))
    made.examples.append(table)
    return made


def write_selection(path: Path, made: TrainingSet, keep: Callable[[Mapping[str, Any]], bool]) -> Path:
    columns = ("uid", "split", "shard", "example_i_tfrec", "target_id", "label")
    rows = [
        {**{name: row[name] for name in columns}, "kept": keep(row), "reason": "" if keep(row) else "where"}
        for row in made.rows
    ]
    SELECTION.write(path, SELECTION.table(rows))
    return path
