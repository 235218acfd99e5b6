"""How much worse a model gets when one of its inputs is dealt out anew among the samples (Breiman 2001)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.train.metrics import score_metrics
from trainyard.voxel.train.samples import EncodedSamples, Floats, Samples
from trainyard.yard.identity import generator


def permutation_importance(
    encoded: EncodedSamples, samples: Samples, *, repeats: int, seed: int
) -> dict[str, Any] | None:
    """Deal out temperatures, and then grids, among the samples, and score the predictions.

    Grids are encoded already, and only what the network makes of them is computed again, so this costs next to nothing.

    Args:
        encoded: The samples as the network sees them.
        samples: The same samples.
        repeats: How often; 0: not at all.
        seed: Seed of the dealing.

    Returns:
        For `temperature` and `voxels` the mean and the standard deviation over the repeats of the drop of Pearson's
        correlation and of the rise of the RMSE, nm. None for no repeats or no samples.
    """
    if not repeats or not len(samples):
        return None
    untouched = score_metrics(samples.target, encoded.predict())
    inputs = {}
    for name in ("temperature", "voxels"):
        drops, rises = [], []
        for repeat in range(repeats):
            dealt = _permutation(len(samples), seed, name, repeat)
            found = score_metrics(samples.target, _predict(encoded, samples, name, dealt))
            drops.append(untouched["pearson"] - found["pearson"])
            rises.append(found["rmse"] - untouched["rmse"])
        inputs[name] = {"pearson_drop": _spread(drops), "rmse_rise": _spread(rises)}
    about = {"split": samples.split, "n": len(samples), "repeats": repeats}
    return {**about, "pearson": untouched["pearson"], "rmse": untouched["rmse"], "inputs": inputs}


def _predict(encoded: EncodedSamples, samples: Samples, name: str, dealt: NDArray[np.int64]) -> Floats:
    if name == "voxels":
        return encoded.predict(grid_of=dealt)
    return encoded.predict(scaled_temp=samples.scaled_temp[dealt])


def _permutation(n: int, seed: int, name: str, repeat: int) -> NDArray[np.int64]:
    # The raw stream is sorted, because numpy may change `Generator.permutation` between versions.
    raw = generator("voxel importance", seed, name, repeat).bit_generator.random_raw(n)
    return np.argsort(np.asarray(raw, np.uint64), kind="stable")


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan}
