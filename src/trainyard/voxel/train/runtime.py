"""Torch, made to give the same bits every time, and put back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.identity import keyed_hash


@contextmanager
def reproducible(settings: VoxelTrainSettings) -> Iterator[torch.device]:
    """Give the device that the settings ask for, where the same work gives the same bits.

    On a CPU they are the same for one kind of processor and one number of threads, since sums are split among threads.
    On a GPU some gradients are summed in no fixed order, and the last bits differ from run to run.

    Raises:
        EnvironmentFault: A GPU is asked for, and there is none.
    """
    device = _device(settings.device)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(settings.threads)
    # A GPU has no deterministic way back through pooling, and torch would refuse it.
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield device
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


def seed_for(*parts: str | int) -> int:
    """Return a seed for torch that depends on the parts alone."""
    return keyed_hash("voxel training", *parts) >> 1  # Torch takes 63 bits.


def precision(device: torch.device, settings: VoxelTrainSettings) -> torch.autocast:
    """Return the context in which grids are encoded: bfloat16 on a GPU, if the settings allow it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" and settings.mixed_precision)


def _device(wanted: str) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise EnvironmentFault(
            "voxel.train.device is 'cuda', but torch finds no GPU; install a build of torch for it, or set 'auto'"
        )
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")
