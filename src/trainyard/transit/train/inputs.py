"""Which features a model may see, and what shape they have in a set of shards.

The Snakefile uses the names, so nothing that reads records is imported until it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from trainyard.transit.features import FEATURES, POINTS
from trainyard.yard.errors import ConfigError, InputError
from trainyard.yard.tables import Role

_ALLOWED = [feature for feature in FEATURES if feature.role is Role.FEATURE]
POINT_INPUTS = tuple(feature.name for feature in _ALLOWED if feature.shape == POINTS)
"""One number per point of the window."""
IMAGE_INPUTS = tuple(feature.name for feature in _ALLOWED if feature.kind == "tensor")
"""One float32 image per window, a serialized tensor."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model, by name, with their shapes.

    Attributes:
        points: Names of the features along the window, each of shape ``(n_points,)``.
        n_points: Points of a window.
        images: Names of the image features, each of shape `image_shape`; empty: no image branch.
        image_shape: Rows and columns of an image.
    """

    points: tuple[str, ...]
    n_points: int
    images: tuple[str, ...] = ()
    image_shape: tuple[int, int] = (0, 0)

    @property
    def names(self) -> tuple[str, ...]:
        """All inputs, windows first."""
        return (*self.points, *self.images)


def read_inputs(shards: Sequence[Path], features: Sequence[str], *, with_images: bool) -> Inputs:
    """Find the shapes of `features` in the first records that carry them.

    Args:
        shards: Normalized shards.
        features: Names from the settings, any order; the order within windows and within images is kept.
        with_images: False leaves image features out, for a set that has none.

    Raises:
        ConfigError: A feature is not allowed as input, is given twice, or none is left.
        InputError: No record carries a feature that is asked for.
    """
    from trainyard.yard.examples import decode_tensor
    from trainyard.yard.tfrecord import read_records

    points, images = split_features(features)
    images = images if with_images else ()
    if not points and not images:
        raise ConfigError(
            f"transit.train.features: {list(features)} leaves the model without input, because this set has no"
            f" images; add one of {', '.join(POINT_INPUTS)}"
        )
    records = chain.from_iterable(read_records(shard) for shard in shards)
    where = f"{shards[0]} and {len(shards) - 1} more shards" if shards else "an empty list of shards"
    n_points, image_shape = 0, (0, 0)
    if images:
        first = _first_with(records, (*points, *images), where)
        tensor = decode_tensor(_one_bytes(first[images[0]]))
        image_shape = (int(tensor.shape[0]), int(tensor.shape[1]))
    else:
        first = _first_with(records, points, where)
    if points:
        n_points = len(first[points[0]])
    return Inputs(points, n_points, images, image_shape)


def split_features(features: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sort feature names into windows and images.

    Raises:
        ConfigError: A name is unknown, stands twice, or tells the label.
    """
    known = (*POINT_INPUTS, *IMAGE_INPUTS)
    for name in features:
        if name not in known:
            raise ConfigError(
                f"transit.train.features: {name!r} cannot be an input; identifiers, catalogue values, masks and"
                f" counts tell the label. Allowed: {', '.join(known)}"
            )
    if len(set(features)) != len(features):
        raise ConfigError(f"transit.train.features: a name stands twice in {list(features)}")
    return (
        tuple(name for name in features if name in POINT_INPUTS),
        tuple(name for name in features if name in IMAGE_INPUTS),
    )


def _first_with(records: Iterable[bytes], names: Sequence[str], where: str) -> dict[str, list[bytes] | np.ndarray]:
    from trainyard.yard.examples import decode_example

    missing: Sequence[str] = names
    for record in records:
        example = decode_example(record)
        missing = [name for name in names if name not in example]
        if not missing:
            return example
    raise InputError(
        f"{where}: no example carries {', '.join(missing)}; normalize the set first, or take these names out of"
        " transit.train.features"
    )


def _one_bytes(value: list[bytes] | np.ndarray) -> bytes:
    return bytes(value[0])
