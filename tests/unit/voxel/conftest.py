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


def build_store(voxel_file: Path, out: Path, *, kelvins: Sequence[float] = (320, 348, 450), **settings: Any) -> Any:
    """Build `out/plan` and `out/store` of a voxel file; its last domains are val, test, and in no list."""
    from trainyard.voxel.hdf5 import open_voxels
    from trainyard.voxel.inventory import inventory
    from trainyard.voxel.merge import merge_store
    from trainyard.voxel.parts import encode_part, part_name
    from trainyard.voxel.plan import make_plan
    from trainyard.voxel.planfiles import write_plan
    from trainyard.voxel.reasons import Reason
    from trainyard.voxel.schema import RMSF
    from trainyard.voxel.settings import VoxelPlanSettings
    from trainyard.voxel.store import Store
    from trainyard.yard.ledger import Ledger

    plan_settings = VoxelPlanSettings(**{"num_parts": 2, "batch_size": 8, **settings})
    found = inventory(voxel_file, wanted_channels=CHANNELS)
    rows = [
        {"domain_id": row["domain"], "resid": row["resid"], "icode": "", "resname": row["label"]}
        | {"temperature": kelvin, "target_rmsf": kelvin / 1000 + row["resid"] / 7}
        for row in found.to_pylist()
        for kelvin in kelvins
    ]
    *train, val, test, _ = sorted(set(found["domain"].to_pylist()))
    lists = {"train": train, "val": [val], "test": [test, "absent"]}
    plan = make_plan(found, RMSF.table(rows), lists, plan_settings)
    write_plan(plan, out / "plan")
    ledgers = [Ledger("voxel", Reason) for _ in range(plan_settings.num_parts)]
    parts = [out / "store" / "grids" / part_name(number, len(ledgers)) for number in range(len(ledgers))]
    for number, (part, ledger) in enumerate(zip(parts, ledgers, strict=True)):
        members = plan.residues.filter([value == number for value in plan.residues["part"].to_pylist()])
        with open_voxels(voxel_file, wanted=CHANNELS) as file:
            encode_part(file, members, part, bad_grid="reject", ledger=ledger)
    merge_store(plan, parts, out / "store", settings=plan_settings, ledgers=ledgers, config_digest="0" * 16)
    return Store(out / "store")


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store of five of six domains: 63 train, 27 val and 30 test samples, batches of 8. Not to be written to."""
    folder = tmp_path_factory.mktemp("small_store")
    files = VoxelFiles(folder)
    proteins = {f"d{i}": files.protein(f"d{i}", [str(n) for n in range(-1, 5 + i)]) for i in range(6)}
    return build_store(files.write(proteins), folder)


@pytest.fixture(scope="session")
def gaussian_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store of three of four domains of two residues each, whose grids hold sixteenths."""
    folder = tmp_path_factory.mktemp("gaussian_store")
    files = VoxelFiles(folder)
    proteins = {f"d{i}": {"A": {n: files.gaussian(f"d{i}", n) for n in "12"}} for i in range(4)}
    return build_store(files.write(proteins), folder)
