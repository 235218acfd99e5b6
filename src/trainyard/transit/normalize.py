"""Normalization of windows: flux by its own depth, images by the train split's statistics or their own.

Formulas: docs/transit.md, normalization. Everything that a raw example holds stays in it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainyard.transit import naming
from trainyard.transit.schema import NORMALIZED_IMAGES
from trainyard.transit.settings import NormalizeSettings
from trainyard.transit.software import versions
from trainyard.transit.statistics import MAD_TO_STD
from trainyard.yard.blocks import Source, Unit, data_folder, make_block
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.examples import Value, decode_example, decode_tensor, encode_example, encode_tensor
from trainyard.yard.files import atomic_open, read_json, sha256_file
from trainyard.yard.labels import parse_label
from trainyard.yard.receipts import verify, write_receipt
from trainyard.yard.tfrecord import RecordWriter, read_records

_log = logging.getLogger(__name__)

_TINY = 1e-12
"""Added to every scale, as published, so that a constant becomes 0."""


def normalize_flux(
    flux: NDArray[np.floating], *, method: Literal["min", "robust"], n_durations_window: float
) -> tuple[NDArray[np.float32], float, float]:
    """Flux of a window in units of its depth: ``flux = flux_norm * scale + offset``.

    `min` (published): the median becomes 0 and the lowest of the central points -1, noise included. Central are the
    points within ``n / n_durations_window // 2`` of the middle, 40 to 59 of 100 for 5 transit durations (TD).

    `robust`: the median outside the central 1 TD becomes 0 and the median of the central half TD -1, unless it is
    shallower than the scatter outside (1.4826 MAD): then the scatter is the unit, and noise is not blown up.

    A window that rises in the middle is not turned upside down by either.

    Args:
        flux: Shape ``(n,)``, relative flux, finite.
        method: Formula.
        n_durations_window: Width of the window in TD.

    Returns:
        Normalized flux, shape ``(n,)``, float32, dimensionless; scale and offset in units of `flux`.

    Raises:
        ValueError: A point is not finite.
    """
    values = np.asarray(flux, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("flux has points that are not finite")
    center = central(values.size, n_durations_window)
    if method == "min":
        offset = float(np.median(values))
        depth = abs(float(values[center].min()) - offset)
    else:
        outside = np.delete(values, center)
        offset = float(np.median(outside))
        scatter = MAD_TO_STD * float(np.median(np.abs(outside - offset)))
        middle = values[central(values.size, 2 * n_durations_window)]
        depth = max(abs(float(np.median(middle)) - offset), scatter)
    scale = depth + _TINY
    return ((values - offset) / scale).astype(np.float32), scale, offset


def central(n: int, n_durations_window: float) -> slice:
    """The points of the central 1 TD of a window of `n` points that is `n_durations_window` TD wide."""
    half = max(int(n / n_durations_window) // 2, 1)
    return slice(n // 2 - half, n // 2 + half)


def normalize_image(image: NDArray[np.float32], *, median: float, scale: float) -> NDArray[np.float32]:
    """``(image - median) / (scale + 1e-12)``, float32, of the shape of `image`."""
    return ((image.astype(np.float64) - median) / (scale + _TINY)).astype(np.float32)


def robust_scale(std_mad: float, std: float) -> float:
    """The robust sigma; where more than half of the pixels are equal it is 0, and the standard deviation stands in."""
    return std_mad or std or 1.0


def read_image_stats(stats_json: Path) -> dict[str, tuple[float, float]]:
    """Median and scale of every image feature; empty where the train split has no images.

    Raises:
        InputError: The file is missing or holds no statistics.
        LeakageError: The statistics are not of the train split.
    """
    stats = read_json(stats_json)
    try:
        if stats["split"] != "train":
            raise LeakageError(f"{stats_json}: statistics of {stats['split']!r}; only those of train may be used")
        return {
            feature: (float(found["median"]), robust_scale(found["std_mad"], found["std"]))
            for feature, found in stats["features"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{stats_json}: no train statistics ({error!r}); make the file again") from error


def normalize_shards(
    manifest: Path, split: Path, stats_json: Path, *, settings: NormalizeSettings, n_durations_window: float, code: str
) -> str:
    """Normalize all splits of the shards of a block, but for those that are there already, made from the same.

    Args:
        manifest: The block's manifest, in `blocks` in the folder of the normalized shards; written last.
        split: Manifest of the split shards.
        stats_json: As for `normalize_shard`.
        settings: As for `normalize_shard`.
        n_durations_window: As for `normalize_shard`.
        code: Digest of the code that normalizes.

    Returns:
        How many shards there are, and how many were kept.

    Raises:
        IntegrityError: A split shard is not in its manifest, or is not what it says.
    """
    folder, source = data_folder(manifest), Source(split)
    shaped_by = [code, versions(), settings.model_dump(mode="json"), n_durations_window, sha256_file(stats_json)]

    def unit(label: str) -> Unit:
        inputs, outputs = (
            records(base, *parse_label(label))
            for records, base in ((naming.split_records, source.folder), (naming.norm_records, folder))
        )

        def make() -> bool:
            source.confirm(label, inputs)
            for records, out in zip(inputs, outputs, strict=True):
                n = normalize_shard(records, stats_json, out, settings=settings, n_durations_window=n_durations_window)
                _log.info("%s: %d examples", out, n)
            return True

        return Unit(label, outputs, [*shaped_by, source.digests(label, inputs)], make)

    return make_block(manifest, [unit(label) for label in source.labels])


def normalize_shard(
    split_shard: Path, stats_json: Path, out: Path, *, settings: NormalizeSettings, n_durations_window: float
) -> int:
    """Write a split shard with `flux_norm`, `flux_norm_scale` and `*_stdnorm` images added to every example.

    Args:
        split_shard: Records, with their receipt beside them.
        stats_json: Train statistics; read once.
        out: Normalized shard; its receipt is written beside it, the schema's name with `+norm` added.
        settings: Formulas.
        n_durations_window: Width of the windows in transit durations.

    Returns:
        Number of records.

    Raises:
        IntegrityError: Shard and receipt disagree, a record cannot be normalized, or it has images while the
            statistics have none; names the record.
    """
    receipt = verify(split_shard)
    stats = read_image_stats(stats_json) if settings.images == "train" else None
    with atomic_open(out) as handle:
        writer = RecordWriter(handle)
        for number, record in enumerate(read_records(split_shard)):
            features: dict[str, Value] = dict(decode_example(record))
            try:
                added = _flux_features(features, settings, n_durations_window) | _image_features(features, stats)
            except (IntegrityError, ValueError) as error:
                raise IntegrityError(f"{split_shard}: record {number} ({_uid(features)}): {error}") from error
            writer.write(encode_example(features | added))
    if receipt.records != writer.records:
        raise IntegrityError(
            f"{split_shard}: has {writer.records} records, its receipt says {receipt.records}; split the raw shard"
            " again"
        )
    write_receipt(out, records=writer.records, schema=f"{receipt.schema}+norm" if receipt.schema else None)
    return writer.records


def _flux_features(
    features: Mapping[str, Value], settings: NormalizeSettings, n_durations_window: float
) -> dict[str, Value]:
    flux = features.get("flux")
    if not isinstance(flux, np.ndarray) or not flux.size:
        raise ValueError("has no flux; build its raw shard again")
    normalized, scale, _ = normalize_flux(flux, method=settings.flux, n_durations_window=n_durations_window)
    return {"flux_norm": normalized, "flux_norm_scale": scale}


def _image_features(features: Mapping[str, Value], stats: Mapping[str, tuple[float, float]] | None) -> dict[str, Value]:
    """Normalized images of an example; `stats` None: by the image's own median and scale."""
    added: dict[str, Value] = {}
    for feature in NORMALIZED_IMAGES:
        tensors = features.get(feature)
        if not isinstance(tensors, list) or not tensors or not isinstance(tensors[0], bytes):
            continue
        image = decode_tensor(tensors[0])
        if not np.isfinite(image).all():
            raise ValueError(f"{feature} has pixels that are not finite; build its raw shard again")
        if stats is not None and feature not in stats:
            raise ValueError(
                f"has {feature}, but the train split has no images to take statistics from; set"
                " transit.normalize.images: per_image"
            )
        median, scale = _own_stats(image) if stats is None else stats[feature]
        added[f"{feature}_stdnorm"] = encode_tensor(normalize_image(image, median=median, scale=scale))
    return added


def _own_stats(image: NDArray[np.float32]) -> tuple[float, float]:
    values = image.astype(np.float64)
    median = float(np.median(values))
    return median, robust_scale(MAD_TO_STD * float(np.median(np.abs(values - median))), float(values.std()))


def _uid(features: Mapping[str, Value]) -> str:
    uid = features.get("uid")
    return uid[0].decode() if isinstance(uid, list) and uid and isinstance(uid[0], bytes) else "no uid"
