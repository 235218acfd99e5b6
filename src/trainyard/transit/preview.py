"""One example of a shard, told in words: what is in it, in which shape, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.examples import Decoded, decode_example, decode_tensor
from trainyard.yard.tfrecord import read_at, record_index

_SHOWN = 5


@dataclass(frozen=True)
class FeatureView:
    """A feature of one example: its kind (bytes, int64, float32, or tensor), its shape, and its first values.

    Of a tensor the range is told: an image begins with copies of one corner pixel.
    """

    name: str
    kind: str
    shape: str
    values: str


def preview(shard: Path, number: int) -> list[FeatureView]:
    """Features of one record, by name.

    Args:
        shard: TFRecord file of examples.
        number: 0-based number of the record.

    Raises:
        InputError: No such file, or fewer records.
        IntegrityError: The file or the record is damaged, or holds no example.
    """
    index = record_index(shard)
    if not 0 <= number < len(index):
        held = f"records 0 to {len(index) - 1}" if len(index) else "no records"
        raise InputError(f"{shard}: has no record {number}; it holds {held}")
    offset, length = (int(value) for value in index[number])
    with shard.open("rb") as file:
        features = decode_example(read_at(file, offset, length))
    return [_view(name, features[name]) for name in sorted(features)]


def _view(name: str, value: Decoded) -> FeatureView:
    if isinstance(value, np.ndarray):
        return FeatureView(name, str(value.dtype), str(value.size), _first(value))
    if len(value) == 1:
        try:
            tensor = decode_tensor(value[0])
        except IntegrityError:
            pass
        else:
            return FeatureView(name, "tensor", " x ".join(map(str, tensor.shape)), _range(tensor))
    texts = [item.decode(errors="backslashreplace") for item in value]
    return FeatureView(name, "bytes", str(len(value)), " ".join(repr(text) for text in texts[:_SHOWN]))


def _range(values: np.ndarray) -> str:
    return f"{values.min():.7g} to {values.max():.7g}" if values.size else "empty"


def _first(values: np.ndarray) -> str:
    shown = " ".join(f"{value:.7g}" if values.dtype.kind == "f" else str(value) for value in values[:_SHOWN])
    return f"{shown} ..." if values.size > _SHOWN else shown
