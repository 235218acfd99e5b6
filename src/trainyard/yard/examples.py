"""`tf.train.Example` and serialized tensors, byte for byte as TensorFlow writes them, without TensorFlow.

The messages live in a descriptor pool of their own, so TensorFlow can register its own ones in the
same process. Field numbers: tensorflow/core/example/{example,feature}.proto and
tensorflow/core/framework/{tensor,tensor_shape}.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from trainyard.yard.errors import IntegrityError

Value = bytes | str | int | float | Sequence[bytes] | Sequence[str] | Sequence[int] | Sequence[float] | NDArray[Any]
"""What a feature can be made of; text becomes UTF-8 bytes, arrays are flattened in C order."""

Decoded = list[bytes] | NDArray[np.float32] | NDArray[np.int64]

_PACKAGE = "trainyard.wire"
_DT_FLOAT = 1
_INT64_MAX = np.iinfo(np.int64).max


_MESSAGES: dict[str, list[tuple[str, int, str, str]]] = {
    "BytesList": [("value", 1, "many", "bytes")],
    "FloatList": [("value", 1, "many", "float")],
    "Int64List": [("value", 1, "many", "int64")],
    "Feature": [
        ("bytes_list", 1, "kind", "BytesList"),
        ("float_list", 2, "kind", "FloatList"),
        ("int64_list", 3, "kind", "Int64List"),
    ],
    "Features": [("feature", 1, "many", "Features.FeatureEntry")],
    "Features.FeatureEntry": [("key", 1, "one", "string"), ("value", 2, "one", "Feature")],
    "Example": [("features", 1, "one", "Features")],
    "Dim": [("size", 1, "one", "int64"), ("name", 2, "one", "string")],
    "Shape": [("dim", 2, "many", "Dim"), ("unknown_rank", 3, "one", "bool")],
    "Tensor": [
        ("dtype", 1, "one", "int32"),
        ("tensor_shape", 2, "one", "Shape"),
        ("tensor_content", 4, "one", "bytes"),
    ],
}
"""Message to its fields: name, number, how many (`kind`: one of the fields of that oneof), type."""


def _message_classes() -> tuple[Any, Any]:
    proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="trainyard/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        parent, _, short = name.rpartition(".")
        # The one nested message is the entry of a map, which protobuf wants inside the owner of the map.
        message = (file.message_type[-1].nested_type if parent else file.message_type).add(name=short)
        message.options.map_entry = bool(parent)
        for field, number, count, kind in fields:
            label = proto.LABEL_REPEATED if count == "many" else proto.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in _MESSAGES:
                added.type, added.type_name = proto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                added.type = getattr(proto, f"TYPE_{kind.upper()}")
            if count == "kind":
                added.oneof_index = 0
        if any(count == "kind" for _, _, count, _ in fields):
            message.oneof_decl.add(name="kind")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    example, tensor = (pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in ("Example", "Tensor"))
    return message_factory.GetMessageClass(example), message_factory.GetMessageClass(tensor)


_Example, _Tensor = _message_classes()


def encode_example(features: Mapping[str, Value]) -> bytes:
    """Return a serialized `tf.train.Example`, its features sorted by name.

    Bytes and text become a `bytes_list`, integers and booleans an `int64_list`, floats a
    `float_list` (float32; NaN is kept). Lists and arrays of them become lists of several values.

    Args:
        features: Name of a feature to its value or values.

    Raises:
        TypeError: A value is of another type, mixes text with numbers, or is an empty list (pass an
            empty array, which has a type).
        ValueError: A number does not fit int64 or float32.
    """
    example = _Example()
    # As TensorFlow does, an example without features still says that its map is there.
    example.features.SetInParent()
    target = example.features.feature
    for name, value in features.items():
        _fill(target[name], name, value)
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def decode_example(data: bytes) -> dict[str, Decoded]:
    """Return the features of a serialized example, sorted by name.

    Returns:
        Name to a list of bytes, a float32 array or an int64 array, each of shape `(n,)`; a feature
        without a kind is an empty list.

    Raises:
        IntegrityError: The bytes are no example.
    """
    features = _parse(_Example, data, "a tf.train.Example").features.feature
    return {name: _values(features[name]) for name in sorted(features)}


def encode_tensor(array: NDArray[np.float32]) -> bytes:
    """Return what `tf.io.serialize_tensor` gives for a float32 array of any shape.

    Raises:
        TypeError: The array is not float32.
    """
    if array.dtype != np.float32:
        raise TypeError(f"only float32 tensors are written, not {array.dtype}")
    tensor = _Tensor(dtype=_DT_FLOAT, tensor_content=array.astype("<f4", copy=False).tobytes())
    tensor.tensor_shape.SetInParent()
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    serialized: bytes = tensor.SerializeToString(deterministic=True)
    return serialized


def decode_tensor(data: bytes) -> NDArray[np.float32]:
    """Return the float32 array of a serialized tensor.

    Raises:
        IntegrityError: The bytes are no float32 tensor, or shape and content disagree.
    """
    tensor = _parse(_Tensor, data, "a serialized tensor")
    shape = tuple(int(dim.size) for dim in tensor.tensor_shape.dim)
    if tensor.dtype != _DT_FLOAT or tensor.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise IntegrityError(f"expected a float32 tensor, found data type {tensor.dtype} of shape {shape}")
    values = np.frombuffer(tensor.tensor_content, dtype="<f4") if len(tensor.tensor_content) % 4 == 0 else None
    if values is None or values.size != math.prod(shape):
        raise IntegrityError(f"a tensor of shape {shape} has {len(tensor.tensor_content)} bytes of content")
    return values.astype(np.float32).reshape(shape)


def _fill(feature: Any, name: str, value: Value) -> None:
    values: Any = [value] if isinstance(value, bytes | str) else value
    if isinstance(values, Sequence):
        if len(values) == 0:
            raise TypeError(f"feature {name!r} is an empty list, which has no type; pass an empty array")
        if any(isinstance(item, bytes | str) for item in values):
            # As objects, since NumPy's own byte strings lose trailing zeros.
            values = np.array(values, dtype=object)
    array = np.asarray(values).ravel()
    kind = array.dtype.kind
    if kind in "OSU":
        feature.bytes_list.value.extend(_as_bytes(name, item) for item in array.tolist())
        feature.bytes_list.SetInParent()
    elif kind in "iub":
        if kind == "u" and array.size and array.max() > _INT64_MAX:
            raise ValueError(f"feature {name!r} holds {array.max()}, more than int64 can")
        feature.int64_list.value.extend(array.astype(np.int64, copy=False).tolist())
        feature.int64_list.SetInParent()
    elif kind == "f":
        try:
            with np.errstate(over="raise"):
                array = array.astype(np.float32, copy=False)
        except FloatingPointError:
            raise ValueError(f"feature {name!r} holds a number that float32 cannot") from None
        feature.float_list.value.extend(array.tolist())
        feature.float_list.SetInParent()
    else:
        raise TypeError(f"feature {name!r} cannot be made of {type(value).__name__} with data type {array.dtype}")


def _as_bytes(name: str, item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise TypeError(f"feature {name!r} mixes text or bytes with {type(item).__name__}")


def _values(feature: Any) -> Decoded:
    kind = feature.WhichOneof("kind")
    if kind == "float_list":
        return np.array(feature.float_list.value, dtype=np.float32)
    if kind == "int64_list":
        return np.array(feature.int64_list.value, dtype=np.int64)
    return list(feature.bytes_list.value)


def _parse(message_class: Any, data: bytes, what: str) -> Any:
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise IntegrityError(f"{len(data)} bytes that should be {what} cannot be decoded: {error}") from error
