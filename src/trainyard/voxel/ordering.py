"""In which order samples come, and which batch each belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.voxel.schema import SPLITS
from trainyard.yard.identity import generator


def permutation(n: int, *, seed: int, split: str) -> NDArray[np.int64]:
    """Random order of `n` samples that depends on seed and split alone.

    The raw stream of the bit generator is sorted, because numpy may change `Generator.permutation` between versions.
    """
    raw = generator("voxel-order", seed, split).bit_generator.random_raw(n)
    return np.argsort(np.asarray(raw, np.uint64), kind="stable")


def number(samples: pa.Table, *, batch_size: int) -> pa.Table:
    """Number samples and batches anew, from 0 in each split.

    Args:
        samples: Contract SAMPLES, by split, in order; the numbers in it are replaced.
        batch_size: Samples per batch.
    """
    splits = samples.column("split")
    counts = [int(pc.sum(pc.equal(splits, split)).as_py() or 0) for split in SPLITS]
    position = np.concatenate([np.arange(n, dtype=np.int64) for n in counts])
    numbers = {
        "sample_id": position,
        "batch_index": (position // batch_size).astype(np.int32),
        "row_in_batch": (position % batch_size).astype(np.int32),
    }
    for name, values in numbers.items():
        index = samples.schema.get_field_index(name)
        samples = samples.set_column(index, samples.schema.field(index), pa.array(values))
    return samples
