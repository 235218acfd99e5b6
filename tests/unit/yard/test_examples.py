"""Examples and tensors come back as they went in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from trainyard.yard.errors import IntegrityError
from trainyard.yard.examples import decode_example, decode_tensor, encode_example, encode_tensor

VALUES = st.one_of(
    st.binary(max_size=20),
    st.lists(st.binary(max_size=5), min_size=1, max_size=4),
    st_np.arrays(np.int64, st.integers(0, 5)),
    st_np.arrays(np.float32, st.integers(0, 5)),
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=6))
def test_features_survive_a_round_trip(features: dict[str, Any]) -> None:
    decoded = decode_example(encode_example(features))
    assert list(decoded) == sorted(features)
    for name, value in features.items():
        if isinstance(value, np.ndarray):
            assert isinstance(found := decoded[name], np.ndarray)
            assert found.dtype == value.dtype
            assert found.tobytes() == value.tobytes() or np.array_equal(found, value, equal_nan=True)
        else:
            assert decoded[name] == ([value] if isinstance(value, bytes) else value)


@given(st.permutations(["a", "b", "c", "ä", "aa"]))
@settings(max_examples=20)
def test_order_of_the_features_does_not_change_the_bytes(order: list[str]) -> None:
    assert encode_example({name: name for name in order}) == encode_example({n: n for n in sorted(order)})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("å", ["å".encode()]),
        (["a", b"b\0"], [b"a", b"b\0"]),
        (np.array(["a", "bc"]), [b"a", b"bc"]),
        (True, [1]),
        (np.bool_(True), [1]),
        ([True, False], [1, 0]),
        (3, [3]),
        (np.uint64(7), [7]),
        (np.arange(4, dtype=np.int8).reshape(2, 2), [0, 1, 2, 3]),
        (0.1, [np.float32(0.1)]),
        ([1, 2.5], [1.0, 2.5]),
        (np.float64(np.inf), [np.inf]),
    ],
)
def test_kind_follows_the_type(value: Any, expected: list[object]) -> None:
    assert list(decode_example(encode_example({"x": value}))["x"]) == expected


@pytest.mark.parametrize("value", [[], None, ["a", 1], 1j, {"a": 1}, np.array(["2020"], "M8[D]"), [[1, 2], [3]]])
def test_values_without_a_clear_kind_are_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode_example({"x": value})


@pytest.mark.parametrize("value", [1e300, np.array([0.0, -1e39]), np.array([2**63], np.uint64), 2**63])
def test_numbers_that_do_not_fit_name_their_feature(value: Any) -> None:
    with pytest.raises(ValueError, match="'depth'"):
        encode_example({"depth": value})


def test_bytes_that_are_no_example_are_refused() -> None:
    with pytest.raises(IntegrityError, match=r"tf\.train\.Example"):
        decode_example(encode_example({"x": 1})[:-1])


@given(st_np.arrays(np.float32, st_np.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_tensors_survive_a_round_trip(array: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    decoded = decode_tensor(encode_tensor(array))
    assert decoded.dtype == np.float32
    assert decoded.shape == array.shape
    assert np.array_equal(decoded, array, equal_nan=True)


def test_tensor_of_a_strided_view_is_that_of_its_values() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert encode_tensor(array.T) == encode_tensor(array.T.copy())


def test_decoded_tensor_can_be_written_to() -> None:
    decode_tensor(encode_tensor(np.zeros(2, np.float32)))[0] = 1


def test_only_float32_tensors_are_written() -> None:
    with pytest.raises(TypeError, match="float64"):
        encode_tensor(np.zeros(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x02\x12\x00\x22\x04\0\0\0\0",  # double
        b"\x08\x01\x12\x04\x12\x02\x08\x02\x22\x04\0\0\0\0",  # two values announced, one given
        b"\x08\x01\x12\x04\x12\x02\x08\x01\x22\x03\0\0\0",  # three bytes
        b"\x08\x01\x12\x0d\x12\x0b\x08" + b"\xff" * 9 + b"\x01",  # size -1
        b"\xff",
    ],
)
def test_broken_tensors_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_tensor(data)
