"""The torch side of a store: the tensors of the published batch files, from a thousandth of their bytes.

    loader = make_loader("results/demo/voxel/store", "train", 256, order="shuffled", device="cuda")
    for epoch in range(loader.epoch, 50):
        for batch in loader:
            loss = loss_of(model(batch["voxels"], batch["scaled_temps"]), batch["targets"])

A `DataLoader` of torch gathers batches as positions, about 30 kB each, so its workers, if any, have next to nothing to
send; the process that trains gives them their zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from trainyard.voxel.epochs import EpochBatches, Order, Wanted
from trainyard.voxel.grids import Grids
from trainyard.voxel.rotations import moved_voxels, rotate
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.store import SAMPLES_FILE, Store
from trainyard.voxel.tensors import Expand, Expander, HostExpander, make_expander

Batch: TypeAlias = dict[str, torch.Tensor]

_STATE_VERSION = 1


class SparseBatch(NamedTuple):
    """A batch without the zeros of its grids; NumPy arrays, since small ones cross processes best in a pipe."""

    grids: Grids
    scaled_temps: npt.NDArray[np.float32]
    """(B, 1)."""
    targets: npt.NDArray[np.float32]
    """(B,), nm."""
    sample_ids: npt.NDArray[np.int64]
    """(B,)."""
    residue_uids: npt.NDArray[np.int64]
    """(B,)."""


class VoxelDataset(Dataset[Batch]):
    """The samples of a split, in the order of the store, which is that of the published batch files.

    `ds[7]` is a sample, `ds[[7, 3, 3]]` or `ds[0:256]` a batch: a dict of `voxels` float32 (B, C, D, H, W),
    `scaled_temps` float32 (B, 1) and `targets` float32 (B,), nm; with `ids` also `sample_ids` and `residue_uids`,
    int64 (B,), the keys of the store's tables. A sample has the same without B.

    It keeps 16 bytes per sample, beside the grids of the store. Pickled it is its path, so that it can go to processes
    that are forked or spawned.
    """

    def __init__(self, store: Store | Path | str, split: str, *, ids: bool = False) -> None:
        """Open a split.

        Args:
            store: The store or its folder.
            split: train, val or test.
            ids: Whether batches name their samples.

        Raises:
            InputError: There is no store.
            IntegrityError: It is damaged.
            ValueError: No such split.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        self.store = store if isinstance(store, Store) else Store(Path(store))
        self.split, self.ids = split, ids
        table = self.store.samples(split, columns=["residue_uid", "scaled_temp", "target"])
        self._uids: npt.NDArray[np.int64] = table["residue_uid"].to_numpy().astype(np.int64)
        self._scaled_temps: npt.NDArray[np.float32] = table["scaled_temp"].to_numpy().reshape(-1, 1)
        self._targets: npt.NDArray[np.float32] = table["target"].to_numpy()
        self._expand = HostExpander(self.store.shape, dtype=np.dtype(np.float32))
        self._moved: npt.NDArray[np.unsignedinteger[Any]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.store, self.split, self.ids)

    def __len__(self) -> int:
        return len(self._uids)

    def __getitem__(self, index: int | slice | Sequence[int] | npt.NDArray[np.integer[Any]] | torch.Tensor) -> Batch:
        """Return a sample for a number, a batch for several.

        Raises:
            IndexError: There are fewer samples.
        """
        rows = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
        if rows.size and rows.dtype.kind not in "iu":
            raise TypeError(f"samples are asked for by their numbers, not by {rows.dtype}")
        rows = np.where(rows < 0, rows + len(self), rows).astype(np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"{self.split} has {len(self)} samples, asked for {rows.min()} to {rows.max()}")
        batch = self.tensors(self.gather(Wanted(np.atleast_1d(rows), None)), self._expand)
        return batch if rows.ndim else {name: tensor[0] for name, tensor in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> list[Batch]:
        """Return samples one by one, as a plain `DataLoader` wants them; they share the memory of one batch."""
        batch = self[indices]
        return [{name: tensor[i] for name, tensor in batch.items()} for i in range(len(indices))]

    def gather(self, wanted: Wanted) -> SparseBatch:
        """Return a batch without the zeros of its grids."""
        uids = self._uids[wanted.samples]
        grids = self.store.gather(uids)
        if wanted.rotations is not None:
            grids = rotate(grids, wanted.rotations, moved=self._cube())
        samples = wanted.samples
        return SparseBatch(grids, self._scaled_temps[samples], self._targets[samples], samples, uids)

    def tensors(self, sparse: SparseBatch, expand: Expander) -> Batch:
        """Return a gathered batch as tensors."""
        names = ["scaled_temps", "targets", *(("sample_ids", "residue_uids") if self.ids else ())]
        return {"voxels": expand(sparse.grids), **{n: torch.from_numpy(getattr(sparse, n)) for n in names}}

    def _cube(self) -> npt.NDArray[np.unsignedinteger[Any]]:
        if self._moved is None:
            _, *sides = self.store.shape
            if len(set(sides)) > 1:
                raise ValueError(f"grids of {sides} voxels are no cubes: they cannot be rotated")
            self._moved = moved_voxels(sides[0])
        return self._moved


def _reopened(store: Store, split: str, ids: bool) -> VoxelDataset:
    return VoxelDataset(store, split, ids=ids)


class VoxelLoader:
    """Batches of a split, epoch by epoch; made by `make_loader`.

    Iterating gives one epoch and then moves on to the next. An epoch that is broken off begins anew; to go on with it,
    load its state.
    """

    def __init__(
        self,
        dataset: VoxelDataset,
        batches: EpochBatches,
        expand: Expander,
        *,
        device: torch.device,
        workers: int = 0,
        context: str | None = None,
    ) -> None:
        """Put the parts together; see `make_loader`."""
        self.dataset = dataset
        self.epoch = 0
        """The epoch that comes, or is under way."""
        self._batches, self._expand, self._device = batches, expand, device
        self._start = 0
        """Samples of the epoch that a loaded state has had."""
        self._seen = 0
        """Samples of the epoch up to the end of the batch that was delivered last."""
        self._gatherer: DataLoader[SparseBatch] = DataLoader(
            _Gatherer(dataset),
            batch_size=None,
            sampler=batches,
            num_workers=workers,
            collate_fn=_as_it_is,
            persistent_workers=workers > 0,
            multiprocessing_context=context,
            # Its own, since drawing the workers' seeds from the global one would change what the user draws.
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        self._batches.epoch, self._batches.start = self.epoch, self._start
        self._seen = self._start
        # A process may lack the last batch of an epoch with fewer samples than processes.
        for sparse, end in zip(self._gatherer, self._batches.ends(self._seen).tolist(), strict=False):
            self._seen = end
            batch = self.dataset.tensors(sparse, self._expand)
            yield {name: tensor.to(self._device) for name, tensor in batch.items()}
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch; does nothing in that epoch itself, so that a loaded state stays."""
        if epoch != self.epoch:
            self.epoch, self._start, self._seen = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is: after the batch delivered last, whatever workers have fetched ahead."""
        return {**self._identity(), "epoch": self.epoch, "samples": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where another loader was; the next iteration gives the batches that it had not yet given.

        Batch size, workers, device and number of processes may be others.

        Raises:
            ValueError: That loader read other samples, or in another order.
        """
        differing = [name for name, value in self._identity().items() if state.get(name) != value]
        if differing:
            told = ", ".join(f"{name} {state.get(name)!r}, here {self._identity()[name]!r}" for name in differing)
            raise ValueError(f"the state is of another loader: {told}")
        self.epoch = int(state["epoch"])
        self._start = self._seen = int(state["samples"])

    def _identity(self) -> dict[str, Any]:
        """What decides which sample comes when."""
        batches = self._batches
        sums = {entry["file"]: entry["sha256"] for entry in self.dataset.store.manifest["tables"]}
        return {
            "version": _STATE_VERSION,
            "samples_sha256": sums[SAMPLES_FILE],
            "split": batches.split,
            "order": batches.order,
            "seed": batches.seed,
            "rotations": batches.rotations,
        }


def make_loader(
    store: Store | Path | str,
    split: str,
    batch_size: int = 256,
    *,
    order: Order = "stored",
    seed: int = 0,
    rotations: bool = False,
    expand: Expand = "device",
    device: torch.device | str = "cpu",
    reuse_buffer: bool = False,
    ids: bool = False,
    drop_last: bool = False,
    workers: int = 0,
    context: str | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> VoxelLoader:
    """Return a loader of batches; see `VoxelDataset` for what is in one.

    Which sample comes when depends on the store, `order`, `seed` and the epoch alone, never on the workers.

    Args:
        store: The store or its folder.
        split: train, val or test.
        batch_size: Samples per batch, and process.
        order: 'stored' is the order of the published batch files, equal in each epoch; 'shuffled' draws a new one of
            all samples for every epoch.
        seed: Seed of the shuffling and of the rotations.
        rotations: Turn every grid by one of the 24 exact rotations of a cube, drawn anew in each epoch.
        expand: Where grids get their zeros: 'device' ships positions and makes float32 of them on `device`; 'host'
            makes float32 in host memory; 'uint8' makes uint8 there, for `.float()` on the device.
        device: Where the tensors of a batch shall be.
        reuse_buffer: Put every batch into the same memory. Many times quicker, but when asking for the next batch the
            caller must be done with the last one, and must not have written into its voxels.
        ids: Whether batches name their samples.
        drop_last: Leave out the last step of an epoch if it is short.
        workers: Processes that gather ahead. None are needed: gathering takes a tenth of a millisecond.
        context: How workers start: fork, spawn, forkserver; None: as torch does.
        rank: Number of this process among those that share the epoch, each without the samples of the others.
        world_size: Number of these processes.

    Raises:
        InputError: There is no store.
        IntegrityError: It is damaged.
        ValueError: An argument is out of its range, or does not fit the grids.
    """
    dataset = VoxelDataset(store, split, ids=ids)
    batches = EpochBatches(
        len(dataset),
        batch_size=batch_size,
        order=order,
        seed=seed,
        split=split,
        rotations=rotations,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
    )
    where = torch.device(device)
    expander = make_expander(
        expand, dataset.store.shape, device=where, batch_size=batch_size, reuse_buffer=reuse_buffer
    )
    if len(dataset):
        # Faults show here, not in a worker, and processes that are forked share the grids that this loads.
        first = Wanted(np.zeros(1, np.int64), np.zeros(1, np.uint8) if rotations else None)
        dataset.tensors(dataset.gather(first), expander)
    return VoxelLoader(dataset, batches, expander, device=where, workers=workers, context=context)


class _Gatherer(Dataset[SparseBatch]):
    """What the `DataLoader` asks for batches; its items are wanted batches, not single samples."""

    def __init__(self, dataset: VoxelDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, wanted: Wanted) -> SparseBatch:
        return self._dataset.gather(wanted)


def _as_it_is(fetched: Any) -> Any:
    return fetched
