"""What is written without TensorFlow is what TensorFlow writes, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from trainyard.yard.examples import decode_example, decode_tensor, encode_example, encode_tensor
from trainyard.yard.tfrecord import RecordWriter, read_records

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow")

FEATURES: dict[str, Any] = {
    "uid": "1-1-S1_t_1325.7265000000002",
    "label": b"1",
    "t": 1325.7265,
    "flux": np.linspace(0.99, 1.01, 100, dtype=np.float32),
    "tce_prad": float("nan"),
    "mission": 0,
    "target_id": np.int64(-(2**62)),
    "several": [b"", b"\x00\xff"],
    "no_floats": np.array([], np.float32),
    "no_ints": np.array([], np.int64),
    "diff_img": encode_tensor(np.zeros((33, 33), np.float32)),
    "": 5,
    "Ümlaut": "ü",
}


def by_tensorflow(features: dict[str, Any]) -> bytes:
    lists = {}
    for name, value in features.items():
        values = np.atleast_1d(value)
        if isinstance(value, list | str | bytes):
            items = value if isinstance(value, list) else [value]
            texts = [item.encode() if isinstance(item, str) else item for item in items]
            lists[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
        elif values.dtype.kind == "f":
            lists[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            lists[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    example = tf.train.Example(features=tf.train.Features(feature=lists))
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


def written(path: Path, records: list[bytes]) -> Path:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for record in records:
            writer.write(record)
    return path


def test_example_has_the_bytes_that_tensorflow_gives() -> None:
    assert encode_example(FEATURES) == by_tensorflow(FEATURES)


@given(
    st.dictionaries(
        st.text(max_size=6),
        st.one_of(
            st.binary(max_size=8),
            st_np.arrays(np.int64, st.integers(0, 4)),
            st_np.arrays(np.float32, st.integers(0, 4)),
        ),
        max_size=6,
    )
)
@settings(max_examples=50)
def test_any_example_has_the_bytes_that_tensorflow_gives(features: dict[str, Any]) -> None:
    assert encode_example(features) == by_tensorflow(features)


def test_example_without_features_has_the_bytes_that_tensorflow_gives() -> None:
    assert encode_example({}) == tf.train.Example(features=tf.train.Features()).SerializeToString(deterministic=True)


def test_examples_of_tensorflow_are_decoded() -> None:
    decoded = decode_example(by_tensorflow(FEATURES))
    assert decoded["uid"] == [FEATURES["uid"].encode()]
    assert np.array_equal(decoded["flux"], FEATURES["flux"])
    assert decoded["target_id"] == [-(2**62)]
    assert decoded["several"] == [b"", b"\x00\xff"]


@given(st_np.arrays(np.float32, st_np.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)))
@settings(max_examples=50)
def test_tensor_has_the_bytes_that_tensorflow_gives(array: Any) -> None:
    serialized = tf.io.serialize_tensor(array).numpy()
    assert encode_tensor(array) == serialized
    assert np.array_equal(decode_tensor(serialized), array, equal_nan=True)
    assert np.array_equal(tf.io.parse_tensor(encode_tensor(array), tf.float32), array, equal_nan=True)


def test_tfrecord_file_has_the_bytes_that_tensorflow_writes(tmp_path: Path) -> None:
    records = [b"", b"a", bytes(range(256)) * 300, encode_example(FEATURES)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    assert written(tmp_path / "ours", records).read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(read_records(tmp_path / "theirs")) == records


def test_tf_data_parses_our_file(tmp_path: Path) -> None:
    path = written(tmp_path / "ours", [encode_example(FEATURES)] * 3)
    kinds = {
        "flux": tf.io.FixedLenFeature([100], tf.float32),
        "mission": tf.io.FixedLenFeature([], tf.int64),
        "uid": tf.io.FixedLenFeature([], tf.string),
        "diff_img": tf.io.FixedLenFeature([], tf.string),
    }
    rows = [tf.io.parse_single_example(record, kinds) for record in tf.data.TFRecordDataset(str(path))]
    assert len(rows) == 3
    assert np.array_equal(rows[0]["flux"], FEATURES["flux"])
    assert rows[0]["uid"].numpy().decode() == FEATURES["uid"]
    assert tf.io.parse_tensor(rows[0]["diff_img"], tf.float32).shape == (33, 33)


def test_our_messages_can_be_registered_after_tensorflow() -> None:
    # This module does it the other way round.
    program = (
        "import tensorflow as tf; from trainyard.yard.examples import encode_example;"
        "feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]));"
        "example = tf.train.Example(features=tf.train.Features(feature={'a': feature}));"
        "assert example.SerializeToString() == encode_example({'a': 1})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
