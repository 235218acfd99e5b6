"""The samples of a split as arrays, and what a network says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.tensors import make_expander
from trainyard.voxel.train.models import VoxelNetwork
from trainyard.voxel.train.runtime import precision

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Samples in the order of the store, all arrays of shape (n,).

    Attributes:
        split: train, val or test.
        residue_uid: Key of the store's residues.
        temperature: K.
        scaled_temp: As the network sees it.
        target: RMSF, nm.
    """

    split: str
    residue_uid: Rows
    temperature: Floats
    scaled_temp: Floats
    target: Floats

    def __len__(self) -> int:
        return len(self.target)


def read_samples(store: Store, split: str) -> Samples:
    """Read the samples of a split; one without samples is empty."""
    table = store.samples(split, columns=["residue_uid", "temperature", "scaled_temp", "target"])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    columns["residue_uid"] = columns["residue_uid"].astype(np.int64)
    return Samples(split, **columns)


def residues_sha256(store: Store, samples: Samples) -> str:
    """Return the hash of the names, domain/chain/residue, of the residues of samples, in sorted order."""
    chosen = store.residues.take(np.unique(samples.residue_uid))
    names = pc.binary_join_element_wise(*(chosen[name] for name in ("domain", "chain", "residue")), "/")
    return hashlib.sha256("\n".join(sorted(names.to_pylist())).encode()).hexdigest()


class EncodedSamples:
    """The grids of samples as a network sees them, each encoded once for all of its temperatures."""

    def __init__(
        self,
        network: VoxelNetwork,
        store: Store,
        samples: Samples,
        *,
        device: torch.device,
        settings: VoxelTrainSettings,
    ) -> None:
        """Encode; the network must be on the device, and is set to evaluation."""
        uids, self._row = np.unique(samples.residue_uid, return_inverse=True)
        self._network = network.eval()
        self._scaled_temp = samples.scaled_temp
        self._size = settings.prediction_batch_size
        expand = make_expander("device", store.shape, device=device, batch_size=self._size, reuse_buffer=True)
        parts = [torch.empty((0, network.features), device=device)]
        with torch.inference_mode(), precision(device, settings):
            for start in range(0, len(uids), self._size):
                parts.append(network.encode(expand(store.gather(uids[start : start + self._size]))))
        self._features = torch.cat(parts)

    def predict(self, *, scaled_temp: Floats | None = None, grid_of: Rows | None = None) -> Floats:
        """Return the RMSF of each sample, nm, (n,).

        Args:
            scaled_temp: Scaled temperatures instead of the samples' own, (n,).
            grid_of: The sample whose grid each sample gets instead of its own, (n,).
        """
        temps = self._scaled_temp if scaled_temp is None else scaled_temp
        rows = self._row if grid_of is None else self._row[grid_of]
        device = self._features.device
        parts = [np.empty(0, np.float32)]
        with torch.inference_mode():
            for start in range(0, len(rows), self._size):
                chosen = slice(start, start + self._size)
                features = self._features[torch.from_numpy(rows[chosen]).to(device)]
                scaled = torch.from_numpy(temps[chosen].reshape(-1, 1).copy()).to(device)
                parts.append(self._network.judge(features, scaled).cpu().numpy())
        return np.concatenate(parts)
