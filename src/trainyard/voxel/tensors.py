"""From positions to tensors: batches of grids with their zeros, in host memory or on an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from trainyard.voxel.grids import Grids, dense, flat_positions
from trainyard.voxel.store import ExpandBuffer

Expand: TypeAlias = Literal["device", "host", "uint8"]
Shape: TypeAlias = tuple[int, int, int, int]
Expander: TypeAlias = Callable[[Grids], torch.Tensor]


def make_expander(
    expand: Expand, shape: Shape, *, device: torch.device, batch_size: int, reuse_buffer: bool
) -> Expander:
    """Return what makes grids, at most `batch_size`, a tensor (B, C, D, H, W); see `loader.make_loader`.

    Raises:
        ValueError: No such way to expand.
    """
    if expand not in ("device", "host", "uint8"):
        raise ValueError(f"expand must be 'device', 'host' or 'uint8', not {expand!r}")
    rows = batch_size if reuse_buffer else None
    if expand == "device" and device.type != "cpu":
        return DeviceExpander(shape, device=device, buffer_rows=rows)
    return HostExpander(shape, dtype=np.dtype(np.uint8 if expand == "uint8" else np.float32), buffer_rows=rows)


class HostExpander:
    """Expands in host memory.

    NumPy does it: its fresh zeros cost nothing until they are touched, which makes this six times quicker than torch.
    """

    def __init__(self, shape: Shape, *, dtype: np.dtype[np.float32 | np.uint8], buffer_rows: int | None = None) -> None:
        """Prepare for grids of a shape.

        Args:
            shape: (C, D, H, W).
            dtype: Type of the tensors.
            buffer_rows: Most grids of a batch, to use one piece of memory again and again; None: fresh memory.
        """
        self._shape, self._dtype = shape, dtype
        self._buffer = None if buffer_rows is None else ExpandBuffer(np.empty((buffer_rows, *shape), dtype))

    def __call__(self, grids: Grids) -> torch.Tensor:
        """Return the grids as a tensor (B, C, D, H, W).

        Raises:
            ValueError: The type is uint8, and the grids hold other values than 0 and 1.
        """
        if grids.values is not None and self._dtype != np.float32:
            raise ValueError("these grids hold other values than 0 and 1: set expand to 'device' or 'host'")
        if self._buffer is not None:
            return torch.from_numpy(self._buffer.fill(grids))
        cells = int(np.prod(self._shape))
        return torch.from_numpy(dense(grids, cells=cells, dtype=self._dtype).reshape(-1, *self._shape))


class DeviceExpander:
    """Ships the positions, a four-hundredth of the batch, and expands them to float32 on a device."""

    def __init__(self, shape: Shape, *, device: torch.device, buffer_rows: int | None = None) -> None:
        """Prepare for grids of a shape; arguments as for `HostExpander`."""
        self._shape, self._device = shape, device
        self._buffer = None if buffer_rows is None else torch.zeros((buffer_rows, *shape), device=device)
        self._set = torch.empty(0, dtype=torch.int64, device=device)

    def __call__(self, grids: Grids) -> torch.Tensor:
        """Return the grids as a tensor (B, C, D, H, W) on the device."""
        at = self._ship(flat_positions(grids, cells=int(np.prod(self._shape))))
        if self._buffer is None:
            full = torch.zeros((len(grids), *self._shape), device=self._device)
        else:
            full = self._buffer[: len(grids)]
            self._buffer.view(-1).index_fill_(0, self._set, 0.0)
            self._set = at
        if grids.values is None:
            full.view(-1).index_fill_(0, at, 1.0)
        else:
            full.view(-1).index_copy_(0, at, self._ship(grids.values.astype(np.float32)))
        return full

    def _ship(self, array: npt.NDArray[np.int64 | np.float32]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)
