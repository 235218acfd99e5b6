"""Statistics of the image features, from the train split alone, by map and reduce.

Every train shard gives the pixels of a few examples of each TCE; one reduction takes exact statistics over all of
them. Which examples enter depends on their ids only, sums are exact and medians are taken of sorted values, so the
result is the same to the last bit for any number and order of shards.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.transit import naming
from trainyard.transit.blockfiles import split_examples, split_records
from trainyard.transit.schema import NORMALIZED_IMAGES, SPLIT_EXAMPLES
from trainyard.transit.settings import StatisticsSettings
from trainyard.yard.blocks import remove_other_blocks
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.examples import decode_example, decode_tensor
from trainyard.yard.files import atomic_open, write_json
from trainyard.yard.identity import keyed_hash
from trainyard.yard.receipts import verify
from trainyard.yard.tfrecord import read_at, record_index

MAD_TO_STD = 1.482602218505602
"""1 / Phi^-1(3/4): the robust sigma of a normal distribution over its median absolute deviation."""

STATS_JSON = "train_stats.json"
STATS_NPY = "train_stats.npy"

_NOTHING = {"mean": math.nan, "std": math.nan, "std_mad": math.nan, "median": math.nan, "total_pixels": 0}
_CHUNK = 1 << 20
_COLUMNS = ["uid", "target_id", "tce_uid", "has_images", "split", "shard", "example_i_tfrec"]


def sample_shards(split: Path, *, settings: StatisticsSettings, out: Path) -> int:
    """Write the pixels that the train shards of a block give to the statistics.

    Of every TCE at most `settings.max_examples_per_tce` examples with images are taken, in the order of a keyed hash of
    their ids. All examples of a TCE are of one star, hence in one shard, so the choice does not depend on sharding.
    Only the chosen records are read.

    Args:
        split: Manifest of the split shards.
        settings: How many examples, and which pixels.
        out: NumPy archive: `uid` of shape ``(n,)``, and per image feature the pixels of all examples in a row, float32,
            e-/cadence (sigma for snr_img).

    Returns:
        Number of examples taken.

    Raises:
        IntegrityError: Shard, receipt and table disagree, or a pixel is not finite.
    """
    remove_other_blocks(out)
    shards = zip(split_records([split], "train"), split_examples([split]), strict=True)
    return take_pixels(shards, settings=settings, out=out)


def take_pixels(shards: Iterable[tuple[Path, Path]], *, settings: StatisticsSettings, out: Path) -> int:
    """Write the pixels that some train shards give to the statistics.

    Args:
        shards: Every train shard, with its receipt beside it, and the example table that lists it (contract
            SPLIT_EXAMPLES); rows of other files are passed over.
        settings: As for `sample_shards`.
        out: As for `sample_shards`.

    Returns:
        Number of examples taken.

    Raises:
        LeakageError: A shard is not of the train split.
        IntegrityError: As for `sample_shards`.
    """
    uids: list[str] = []
    pixels: dict[str, list[NDArray[np.float32]]] = {feature: [np.empty(0, np.float32)] for feature in NORMALIZED_IMAGES}
    for shard, examples in shards:
        for uid, images in _chosen(shard, examples, settings):
            uids.append(uid)
            for feature, values in images.items():
                pixels[feature].append(values)
    arrays = {feature: np.concatenate(taken) for feature, taken in pixels.items()}
    with atomic_open(out) as handle:
        # Members of an archive that savez writes are dated 1980, whatever the clock says.
        np.savez(handle, allow_pickle=False, uid=np.array(uids, dtype=np.str_), **arrays)
    return len(uids)


def _chosen(
    split_shard: Path, examples: Path, settings: StatisticsSettings
) -> Iterator[tuple[str, dict[str, NDArray[np.float32]]]]:
    """Id and pixels of the examples of one train shard that enter the statistics."""
    receipt = verify(split_shard)
    rows: list[dict[str, Any]] = SPLIT_EXAMPLES.read(
        examples, columns=_COLUMNS, filters=[("shard", "=", split_shard.name)]
    ).to_pylist()
    if naming.parse_shard(split_shard.name).split != "train" or any(row["split"] != "train" for row in rows):
        raise LeakageError(f"{split_shard}: statistics are taken from the train split alone; pass a train shard")
    if receipt.records != len(rows):
        raise IntegrityError(
            f"{split_shard}: holds {receipt.records} records, but {examples.name} lists {len(rows)}; split the raw"
            " shard again"
        )
    native = settings.pixels == "native"
    index = record_index(split_shard)
    with split_shard.open("rb") as file:
        for row in choose(rows, settings.max_examples_per_tce):
            offset, length = (int(number) for number in index[row["example_i_tfrec"]])
            images = decode_example(read_at(file, offset, length))
            where = f"{split_shard}: example {row['uid']}"
            taken = {name: _pixels(images, name, native=native, where=where) for name in NORMALIZED_IMAGES}
            yield row["uid"], taken


def choose(rows: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """At most `limit` examples with images of every TCE, in the order of their ids.

    Args:
        rows: Rows of the example table, in any order. Examples without TCE (spare negatives) count by star.
        limit: Examples per TCE.
    """
    members: dict[tuple[int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["has_images"]:
            members[row["target_id"], row["tce_uid"]].append(row)
    chosen = [
        row
        for group in members.values()
        for row in sorted(group, key=lambda row: keyed_hash("train-statistics", row["uid"]))[:limit]
    ]
    return sorted(chosen, key=lambda row: str(row["uid"]))


def _pixels(images: Mapping[str, Any], feature: str, *, native: bool, where: str) -> NDArray[np.float32]:
    """Pixels of an image in a row: all, or each one of the camera once, without copies and guesses."""
    missing = [name for name in (feature, "camera_pixels") if name not in images]
    if missing:
        raise IntegrityError(
            f"{where}: has no {' and no '.join(missing)}, although its table says that it has images; build it again"
        )
    image = decode_tensor(images[feature][0]).ravel()
    pixels: NDArray[np.float32] = image[images["camera_pixels"]] if native else image
    if not np.isfinite(pixels).all():
        raise IntegrityError(f"{where}: {feature} has pixels that are not finite; build its raw shard again")
    return pixels


def reduce_samples(samples: Sequence[Path], *, out_dir: Path, settings: StatisticsSettings) -> dict[str, Any]:
    """Write the train statistics, exact over all samples.

    Writes `train_stats.json`, and for consumers of the published set `train_stats.npy` (a dict by feature) and
    `train_set_{feature}_stats.npy` (a dict each; NaN and 0 pixels where the train split has no images), to be read with
    `np.load(..., allow_pickle=True).item()`. One feature at a time is held in memory, 8 bytes per pixel.

    Args:
        samples: Files of `sample_shards`, in any order.
        out_dir: Folder of the outputs.
        settings: Settings that the samples were taken with; recorded.

    Returns:
        The content of the JSON file: `features` (mean, std, std_mad, median, total_pixels of each; empty where the
        train split has no images), `n_examples`, `ids_sha256` (of the sorted ids, one per line) and `settings`.

    Raises:
        IntegrityError: An example stands in two samples.
    """
    uids = sorted(uid for path in samples for uid in _load(path, "uid").tolist())
    if len(set(uids)) != len(uids):
        twice = next(a for a, b in pairwise(uids) if a == b)
        raise IntegrityError(f"example {twice} stands in two samples of the train split; take the samples again")
    features: dict[str, dict[str, float | int]] = {}
    for feature in NORMALIZED_IMAGES:
        if uids:
            features[feature] = describe(np.concatenate([_load(path, feature).ravel() for path in samples]))
        _save_dict(out_dir / naming.feature_stats(feature), features.get(feature, _NOTHING))
    stats = {
        "split": "train",
        "features": features,
        "n_examples": len(uids),
        "ids_sha256": hashlib.sha256("\n".join(uids).encode()).hexdigest(),
        "settings": settings.model_dump(mode="json"),
    }
    _save_dict(out_dir / STATS_NPY, features)
    write_json(out_dir / STATS_JSON, stats)
    return stats


def describe(pixels: NDArray[np.float32]) -> dict[str, float | int]:
    """Mean, population standard deviation, robust sigma, median and number of some pixels.

    Sums are exact before they are rounded once, so order does not matter.

    Args:
        pixels: Shape ``(n,)``, finite, n >= 1; sorted in place.
    """
    pixels += np.float32(0)  # turns -0 into 0, which sort as equals
    pixels.sort()
    n = pixels.size
    mean = math.fsum(value for chunk in _chunks(pixels) for value in chunk.tolist()) / n
    squares = math.fsum(value for chunk in _chunks(pixels) for value in ((chunk - mean) ** 2).tolist())
    low, high = (n - 1) // 2, n // 2
    median = (float(pixels[low]) + float(pixels[high])) / 2
    deviation = (_nth_deviation(pixels, median, low) + _nth_deviation(pixels, median, high)) / 2
    return {
        "mean": mean,
        "std": math.sqrt(squares / n),
        "std_mad": MAD_TO_STD * deviation,
        "median": median,
        "total_pixels": n,
    }


def _chunks(values: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, values.size, _CHUNK):
        yield values[start : start + _CHUNK].astype(np.float64)


def _nth_deviation(ordered: NDArray[np.float32], center: float, n: int) -> float:
    """The n-th smallest (from 0) distance of sorted values to `center`, without a second array.

    The n + 1 nearest values stand in a row; sliding a row of that length to the right, its left end comes nearer to
    the center and its right end goes away, so the best row is where the two distances cross.
    """

    def left(start: int) -> float:
        return center - float(ordered[start])

    def right(start: int) -> float:
        return float(ordered[start + n]) - center

    rows = range(ordered.size - n)
    crossing = bisect_left(rows, True, key=lambda start: right(start) >= left(start))
    return min(max(left(start), right(start)) for start in rows[max(crossing - 1, 0) : crossing + 1])


def _load(sample: Path, name: str) -> NDArray[Any]:
    with np.load(sample, allow_pickle=False) as arrays:
        values: NDArray[Any] = arrays[name]
        return values


def _save_dict(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_open(path) as handle:
        np.save(handle, np.array(content, dtype=object), allow_pickle=True)
