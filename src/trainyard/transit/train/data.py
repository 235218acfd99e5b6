"""Shards to batches: many shards read in turns, shuffled by seed, only what the model sees parsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard.transit.train.inputs import Inputs
from trainyard.transit.train.members import Members
from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.errors import IntegrityError
from trainyard.yard.identity import generator, keyed_hash

INTERLEAVED_SHARDS = 64
"""Shards open at once in training. A shard holds few stars, so a batch must draw from many shards."""


def training_batches(members: Members, inputs: Inputs, settings: TrainSettings, *, epoch: int) -> tf.data.Dataset:
    """Batches of one epoch, in an order that is a function of the seed and the epoch alone.

    Shards come in a fresh random order, up to `INTERLEAVED_SHARDS` are read in turns record by record, and a shuffle
    buffer mixes what comes out. An epoch needs nothing of the epochs before it, so a resumed run sees what an
    undisturbed one would have seen.

    Returns:
        Pairs of inputs, a dict of float32 arrays with ``(batch, ...)``, and labels, float32 ``(batch, 1)``.
    """
    order = generator("transit training shards", settings.seed, epoch).permutation(len(members.shards))
    records = _records(members, order.tolist(), interleaved=min(INTERLEAVED_SHARDS, max(1, len(order))))
    records = records.shuffle(
        settings.shuffle_buffer, seed=_seed("shuffle", settings, epoch), reshuffle_each_iteration=False
    )
    batches = records.map(_parser(inputs), num_parallel_calls=tf.data.AUTOTUNE).batch(settings.batch_size)
    if settings.augment:
        batches = batches.enumerate().map(_time_reversal(inputs, _seed("augment", settings, epoch)))
    return _finished(batches, members, settings.batch_size)


def ordered_batches(members: Members, inputs: Inputs, *, batch_size: int) -> tf.data.Dataset:
    """Batches for scoring: every member once, in the order of `members.rows`, nothing random.

    Returns:
        As `training_batches`.
    """
    records = _records(members, range(len(members.shards)), interleaved=1)
    examples = records.map(_parser(inputs), num_parallel_calls=tf.data.AUTOTUNE)
    return _finished(examples.batch(batch_size), members, batch_size)


def identified_batches(members: Members, inputs: Inputs, *, batch_size: int) -> tf.data.Dataset:
    """As `ordered_batches`, with the example's `uid` (bytes, ``(batch,)``) in place of the label."""
    records = _records(members, range(len(members.shards)), interleaved=1)
    examples = records.map(_parser(inputs, uid=True), num_parallel_calls=tf.data.AUTOTUNE)
    return _finished(examples.batch(batch_size), members, batch_size)


@contextmanager
def record_errors() -> Iterator[None]:
    """Turn what TensorFlow says of a broken record into an error for people.

    Raises:
        IntegrityError: A record is damaged, lacks a feature, holds NaN, or has a label other than 0 and 1.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise IntegrityError(
            f"a record of the shards cannot be used: {_reason(str(error.message))}; delete the normalized shards"
            " and run the same command again"
        ) from error


def _reason(message: str) -> str:
    """The one line of TensorFlow's message that says what is wrong, without its path through the graph."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.lstrip().startswith("[[")]
    return lines[-1].rsplit("::Map: ", 1)[-1]


def _records(members: Members, order: Any, *, interleaved: int) -> tf.data.Dataset:
    """Serialized members, `interleaved` shards read in turns."""
    if not members.shards:
        return tf.data.Dataset.from_tensor_slices(tf.constant([], tf.string))
    paths = tf.constant([str(members.shards[i]) for i in order])
    flags = tf.RaggedTensor.from_row_lengths(
        np.concatenate([members.keep[i] for i in order]), [len(members.keep[i]) for i in order]
    )

    def members_of(path: tf.Tensor, keep: tf.Tensor) -> tf.data.Dataset:
        records = tf.data.Dataset.zip(tf.data.TFRecordDataset(path), tf.data.Dataset.from_tensor_slices(keep))
        return records.filter(lambda _, kept: kept).map(lambda record, _: record)

    return tf.data.Dataset.from_tensor_slices((paths, flags)).interleave(
        members_of, cycle_length=interleaved, block_length=1, num_parallel_calls=1, deterministic=True
    )


def _parser(inputs: Inputs, *, uid: bool = False) -> Callable[[tf.Tensor], tuple[dict[str, tf.Tensor], tf.Tensor]]:
    spec: dict[str, Any] = {name: tf.io.FixedLenFeature([inputs.n_points], tf.float32) for name in inputs.points}
    # With `missing_images: zero` a missing image parses as zeros, after normalization the median of the train split.
    blank = tf.io.serialize_tensor(tf.zeros(inputs.image_shape, tf.float32)).numpy()
    spec |= {name: tf.io.FixedLenFeature([], tf.string, default_value=blank) for name in inputs.images}
    target = "uid" if uid else "label"
    spec[target] = tf.io.FixedLenFeature([], tf.string)

    def parse(record: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        parsed = tf.io.parse_single_example(record, spec)
        values = {name: parsed[name] for name in inputs.points}
        for name in inputs.images:
            image = tf.io.parse_tensor(parsed[name], tf.float32)
            values[name] = tf.ensure_shape(image, inputs.image_shape)
        # Pooling may swallow a NaN, and nobody would know.
        values = {name: tf.debugging.check_numerics(value, f"{name} is not finite") for name, value in values.items()}
        return values, parsed["uid"] if uid else _label(parsed["label"])

    return parse


def _label(text: tf.Tensor) -> tf.Tensor:
    known = tf.logical_or(text == b"0", text == b"1")
    with tf.control_dependencies([tf.debugging.Assert(known, ["label is neither 0 nor 1:", text])]):
        return tf.expand_dims(tf.cast(text == b"1", tf.float32), 0)


def _time_reversal(inputs: Inputs, seed: int) -> Callable[..., tuple[dict[str, tf.Tensor], tf.Tensor]]:
    """Reverse half of the windows in time; a transit looks the same both ways."""

    def reverse(batch: tf.Tensor, pair: tuple[dict[str, tf.Tensor], tf.Tensor]) -> Any:
        values, label = pair
        size = tf.shape(label)[0]
        chosen = tf.random.stateless_uniform([size, 1], seed=tf.stack([tf.cast(seed, tf.int64), batch])) < 0.5
        turned = {name: tf.where(chosen, tf.reverse(values[name], [1]), values[name]) for name in inputs.points}
        return values | turned, label

    return reverse


def _finished(batches: tf.data.Dataset, members: Members, batch_size: int) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    counted = batches.apply(tf.data.experimental.assert_cardinality(-(-len(members) // batch_size)))
    return counted.with_options(options).prefetch(tf.data.AUTOTUNE)


def _seed(purpose: str, settings: TrainSettings, epoch: int) -> int:
    return keyed_hash("transit training", purpose, settings.seed, epoch) % 2**31
