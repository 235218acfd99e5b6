"""Small voxel files for tests, in every variant of the layout of aposteriori."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainyard.yard.identity import generator

CHANNELS = ("C", "N", "O", "CA", "CB")
ATOMS = {"CA": (0.0, 0.0, 0.0), "CB": (-0.741, -0.539, -1.224), "N": (0.0, 1.46, 0.0), "C": (1.43, -0.53, 0.0)}


class VoxelFiles:
    """Makes grids and voxel files; grids are channels first, in the order C, N, O, CA, CB."""

    channels = CHANNELS

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def grid(*seed: str | int, sides: Sequence[int] = (21, 21, 21), atoms: int = 30) -> np.ndarray:
        """A residue with its own N, CA, C and CB where they belong, and other atoms; bool."""
        draw = generator("test", *seed)
        grid = np.zeros((5, *sides), bool)
        for _ in range(atoms):
            grid[(draw.integers(5), *(draw.integers(side) for side in sides))] = True
        centre = tuple(side // 2 for side in sides)
        grid[(slice(None), *centre)] = False
        for atom, place in ATOMS.items():
            voxel = (round(q * side / 12) + side // 2 for q, side in zip(place, sides, strict=True))
            grid[(CHANNELS.index(atom), *voxel)] = True
        return grid

    @classmethod
    def gaussian(cls, *seed: str | int) -> np.ndarray:
        """Every atom spread over 3 x 3 x 3 voxels, in sixteenths, which float16 holds; float64."""
        grid = cls.grid(*seed).astype(np.float64)
        spread = np.zeros_like(grid)
        for x in (-1, 0, 1):
            for y in (-1, 0, 1):
                spread += np.roll(grid, (x, y), (1, 2)) / (4 if x == y == 0 else 16)
        return spread

    def protein(self, name: str, residues: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
        """One chain A with these residues."""
        return {"A": {residue: self.grid(name, residue) for residue in residues}}

    def write(
        self,
        proteins: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
        *,
        name: str = "voxels.hdf5",
        order: Sequence[str] = CHANNELS,
        first: bool = False,
        dtype: Any = None,
        attributes: Mapping[str, Any] | None = None,
        label: str = "ALA",
        **storage: Any,
    ) -> Path:
        """Write a file; `attributes` replaces root attributes, None leaves one out."""
        path = self.folder / name
        some = next(grid for chains in proteins.values() for chain in chains.values() for grid in chain.values())
        root = {"atom_encoder": list(order), "frame_dims": [*some.shape[1:], some.shape[0]], "frame_edge_length": 12.0}
        storage = storage or {"compression": "gzip", "compression_opts": 4}
        with h5py.File(path, "w") as file:
            for key, value in {**root, **(attributes or {})}.items():
                if value is not None:
                    file.attrs[key] = value
            for domain, chains in proteins.items():
                for chain, residues in chains.items():
                    for residue, grid in residues.items():
                        stored = grid[[CHANNELS.index(channel) for channel in order]]
                        stored = stored if first else np.moveaxis(stored, 0, -1)
                        stored = stored if dtype is None else stored.astype(dtype)
                        where = f"{domain}/{chain}/{residue}"
                        file.create_dataset(where, data=stored, **storage).attrs["label"] = label
        return path


@pytest.fixture
def voxels(tmp_path: Path) -> VoxelFiles:
    return VoxelFiles(tmp_path)
