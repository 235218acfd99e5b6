"""Which samples come in which batch of an epoch, for one process or many that share the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from trainyard.voxel.rotations import draw_rotations
from trainyard.yard.identity import generator

Order: TypeAlias = Literal["stored", "shuffled"]
Samples: TypeAlias = npt.NDArray[np.int64]


class Wanted(NamedTuple):
    """A batch to be put together."""

    samples: Samples
    """Their `sample_id`s, (B,)."""
    rotations: npt.NDArray[np.uint8] | None
    """How each grid is turned, (B,); None: not at all."""


def epoch_order(n: int, *, seed: int, split: str, epoch: int) -> Samples:
    """Return a random order of the samples of a split, shape (n,), that depends on seed, split and epoch alone."""
    raw = generator("voxel-epoch", seed, split, epoch).bit_generator.random_raw(n)
    return np.argsort(np.asarray(raw, np.uint64), kind="stable")


class EpochBatches:
    """The batches of one epoch, as a sampler for a `DataLoader` whose own `batch_size` is None.

    A step of training takes the next `world_size * batch_size` samples of the epoch's order, and every process its own
    stretch of them. The last step is shared evenly, and the one before it leaves it enough for everybody: processes
    that wait for each other must have equally many batches.
    """

    def __init__(
        self,
        n: int,
        *,
        batch_size: int,
        order: Order,
        seed: int,
        split: str,
        rotations: bool = False,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Plan the epochs of a split of `n` samples; arguments as for `loader.make_loader`.

        Raises:
            ValueError: `batch_size` is not positive, `rank` is not in `[0, world_size)`, or no such order.
        """
        if batch_size < 1 or not 0 <= rank < world_size:
            raise ValueError(
                f"need batch_size >= 1 and 0 <= rank < world_size, got {batch_size}, rank {rank} of {world_size}"
            )
        if order not in ("stored", "shuffled"):
            raise ValueError(f"order must be 'stored' or 'shuffled', not {order!r}")
        self.n, self.batch_size, self.drop_last = n, batch_size, drop_last
        self.order, self.seed, self.split, self.rotations = order, seed, split, rotations
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        """Epoch that the next iteration serves."""
        self.start = 0
        """Samples of that epoch that all processes together have had before it."""

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        first, last = self._stretches(0)
        return int((last > first).sum())

    def __iter__(self) -> Iterator[Wanted]:
        # Not itself a generator, so that epoch and start are those of now, not of the first batch.
        return self._batches(self.epoch, self.start)

    def ends(self, start: int) -> Samples:
        """Return after how many samples of the epoch each step ends, for all processes together.

        Args:
            start: Samples of the epoch before the first of these steps.
        """
        step = self.world_size * self.batch_size
        ends = np.arange(start + step, self.n + 1, step, dtype=np.int64)
        rest = (self.n - start) % step
        if self.drop_last or not rest:
            return ends
        if ends.size and self.batch_size > 1:
            ends[-1] -= max(self.world_size - rest, 0)
        return np.append(ends, self.n)

    def _stretches(self, start: int) -> tuple[Samples, Samples]:
        """Begin and end, in the order of the epoch, of this process's share of each step."""
        ends = self.ends(start)
        begins = np.concatenate([[start], ends[:-1]]).astype(np.int64)[: ends.size]
        share = (ends - begins) * np.array([[self.rank], [self.rank + 1]]) // self.world_size
        first, last = begins + share
        return first, last

    def _batches(self, epoch: int, start: int) -> Iterator[Wanted]:
        order = turns = None
        if self.order == "shuffled":
            order = epoch_order(self.n, seed=self.seed, split=self.split, epoch=epoch)
        if self.rotations:
            turns = draw_rotations(self.n, seed=self.seed, split=self.split, epoch=epoch)
        for first, last in zip(*(stretch.tolist() for stretch in self._stretches(start)), strict=True):
            if first < last:
                samples = np.arange(first, last) if order is None else order[first:last]
                yield Wanted(samples, None if turns is None else turns[samples])
