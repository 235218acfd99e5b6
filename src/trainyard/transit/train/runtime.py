"""TensorFlow, made to give the same bits every time."""

from __future__ import annotations

import logging

import keras
import tensorflow as tf

_log = logging.getLogger(__name__)


def make_reproducible(seed: int) -> None:
    """Make TensorFlow compute the same bits on every run of a machine, whatever the number of its cores in use.

    Another kind of processor, or a GPU, sums in another order: there the last bits may differ.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    try:
        # Sums are split among threads, and their number would decide the last bits.
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        _log.warning("TensorFlow was already running with threads of its own; another machine may give other last bits")
