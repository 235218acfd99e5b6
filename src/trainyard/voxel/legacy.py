"""Existing sets of batch files: `{split}/batch_000000.pt ...` and the `{split}_batches.meta` that lists them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import faults_named

Batch: TypeAlias = dict[str, torch.Tensor]

TENSORS = {"voxels": 5, "scaled_temps": 2, "targets": 1}
"""What a batch file holds, and with how many axes; the first axis is that of the samples."""

_UNREADABLE = (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError)
"""What torch and safetensors raise when a file is not what it should be."""
_REMEDY = "remove it and export it again, or copy it again"


class LegacyBatchDataset(Dataset[Batch]):
    """The batch files of a split, each one an item; made for `DataLoader(dataset, batch_size=None)`.

    An item is a dict of `voxels` (B, C, D, H, W), `scaled_temps` (B, 1) and `targets` (B,), in the types of the file.
    """

    def __init__(self, meta: Path | str, processed_dir: Path | str | None = None) -> None:
        """Open a set; no batch file is read yet.

        Args:
            meta: The list, `{split}_batches.meta`, one path per line.
            processed_dir: Folder that the paths start from; None: that of the list.

        Raises:
            InputError: The list is missing or names something outside the folder, or files are missing.
        """
        self.meta = Path(meta)
        folder = self.meta.parent if processed_dir is None else Path(processed_dir)
        self.files = [folder / line for line in _lines(self.meta)]
        missing = [path for path in self.files if not path.is_file()]
        if missing:
            raise InputError(
                f"{self.meta}: {len(missing)} of the {len(self.files)} batch files that it lists are missing, first"
                f" {missing[0]}; complete the set, or export it again"
            )

    def __len__(self) -> int:
        """Number of files."""
        return len(self.files)

    def __getitem__(self, index: int) -> Batch:
        """Read a file.

        Raises:
            IntegrityError: It is truncated, or not a batch file.
        """
        return read_batch(self.files[index])


class LegacySampleDataset(Dataset[Batch]):
    """The samples of a set of batch files, one by one, in their order.

    A file is mapped for each sample, so that only the sample is read; still a hundred times slower than whole files.
    """

    def __init__(self, batches: LegacyBatchDataset) -> None:
        """Look into every file for the number of its samples.

        Raises:
            IntegrityError: A file is truncated, or not a batch file.
        """
        self.batches = batches
        counts = (len(read_batch(path, mapped=True)["targets"]) for path in batches.files)
        self._ends = np.fromiter(accumulate(counts), np.int64, len(batches))

    def __len__(self) -> int:
        """Number of samples."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Batch:
        """Read a sample: `voxels` (C, D, H, W), `scaled_temps` (1,) and `targets` ()."""
        sample = index + len(self) if index < 0 else index
        if not 0 <= sample < len(self):
            raise IndexError(f"{self.batches.meta} has {len(self)} samples, asked for {index}")
        file = int(np.searchsorted(self._ends, sample, side="right"))
        batch = read_batch(self.batches.files[file], mapped=True)
        row = sample - int(self._ends[file])  # from the end of the file, so negative
        return {name: tensor[row].clone() for name, tensor in batch.items()}


def read_batch(path: Path, *, mapped: bool = False) -> Batch:
    """Read a batch file, `.pt` or `.safetensors`, without running anything that is pickled in it.

    Args:
        path: The file.
        mapped: Leave the data on disk until it is touched.

    Raises:
        InputError: No such file.
        IntegrityError: Truncated, or not a batch file.
        EnvironmentFault: No permission.
    """
    try:
        with faults_named(path):
            batch = _read(path, mapped=mapped)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except _UNREADABLE as error:
        said = str(error).partition("\n")[0]
        raise IntegrityError(f"{path}: truncated, or not a batch file ({said}); {_REMEDY}") from error
    if not isinstance(batch, dict) or {name: _axes(value) for name, value in batch.items()} != TENSORS:
        raise IntegrityError(f"{path}: holds {_told(batch)}, expected voxels, scaled_temps and targets; {_REMEDY}")
    lengths = {name: len(tensor) for name, tensor in batch.items()}
    if len(set(lengths.values())) > 1 or batch["scaled_temps"].shape[1] != 1:
        raise IntegrityError(f"{path}: its tensors are of different batches, {_told(batch)}; {_REMEDY}")
    return batch


def _read(path: Path, *, mapped: bool) -> Batch:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found: Batch = load_file(path)
            return found
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    batch: Batch = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return batch


def _lines(meta: Path) -> Sequence[str]:
    try:
        with faults_named(meta):
            text = meta.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{meta}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{meta}: not a list of batch files ({error})") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if PurePosixPath(line).is_absolute() or ".." in PurePosixPath(line).parts:
            raise InputError(f"{meta}: names {line}, which lies outside its folder; paths in it are relative")
    return lines


def _axes(value: object) -> int | None:
    return value.dim() if isinstance(value, torch.Tensor) else None


def _told(batch: object) -> str:
    if not isinstance(batch, dict):
        return f"a {type(batch).__name__}"
    shapes = {name: list(v.shape) if isinstance(v, torch.Tensor) else type(v).__name__ for name, v in batch.items()}
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
