"""A small store in which what a residue's neighbourhood holds decides how far it moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.merge import merge_store
from trainyard.voxel.parts import encode_part, part_name
from trainyard.voxel.plan import make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import RMSF
from trainyard.voxel.settings import VoxelPlanSettings, VoxelTrainSettings
from trainyard.voxel.train.fit import train
from trainyard.yard.identity import generator
from trainyard.yard.ledger import Ledger

CHANNELS = ("C", "N", "O", "CA", "CB")
KELVINS = (320.0, 379.0, 450.0)
SIDE = 9
LISTS = {"train": ["a", "b", "c", "d", "e"], "val": ["f"], "test": ["g"]}
NAMES = ("ALA", "GLY", "HIS", "LYS")

Rmsf = Callable[[int, float], float]


def planted(neighbours: int, kelvin: float) -> float:
    """RMSF, nm: crowded residues move less, and everything moves more where it is warm."""
    return (0.1 + (kelvin - 320) / 400) * (2 - neighbours / 40)


def grid_of(domain: str, resid: int, neighbours: int) -> np.ndarray:
    """A grid with its CA at the centre and so many other atoms, bool, channels first."""
    draw = generator("crowd", domain, resid)
    cells = SIDE**3 * len(CHANNELS)
    grid = np.zeros(cells, bool)
    grid[draw.choice(cells, neighbours, replace=False)] = True
    grid = grid.reshape(len(CHANNELS), SIDE, SIDE, SIDE)
    grid[:, SIDE // 2, SIDE // 2, SIDE // 2] = [channel == "CA" for channel in CHANNELS]
    return grid


def write_store(
    out: Path,
    *,
    lists: Mapping[str, Sequence[str]] = LISTS,
    residues: int = 24,
    rmsf: Rmsf = planted,
    kelvins: Callable[[str], Sequence[float]] = lambda domain: KELVINS,
    label: Callable[[int], str] = lambda resid: NAMES[resid % len(NAMES)],
    **changes: Any,
) -> Path:
    """Write a store, with strata for all residues but the first of every domain; returns its folder."""
    file, rows = out / "voxels.hdf5", []
    out.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as voxels:
        voxels.attrs["atom_encoder"] = list(CHANNELS)
        voxels.attrs["frame_dims"] = [SIDE, SIDE, SIDE, len(CHANNELS)]
        for domain in (name for names in lists.values() for name in names):
            for resid in range(residues):
                neighbours = int(generator("neighbours", domain, resid).integers(5, 75))
                data = np.moveaxis(grid_of(domain, resid, neighbours), 0, -1)
                voxels.create_dataset(f"{domain}/A/{resid}", data=data).attrs["label"] = label(resid)
                strata: dict[str, Any] = {}
                if resid:
                    strata = {"relative_accessibility": 1 - neighbours / 75, "dssp": "HEC"[resid % 3]}
                row = {"domain_id": domain, "resid": resid, "icode": "", "resname": label(resid), **strata}
                rows += [{**row, "temperature": k, "target_rmsf": rmsf(neighbours, k)} for k in kelvins(domain)]
    settings = VoxelPlanSettings(**{"num_parts": 1, "leakage": "report", **changes})
    plan = make_plan(inventory(file, wanted_channels=CHANNELS), RMSF.table(rows), lists, settings)
    ledger, part = Ledger("voxel", Reason), out / "store" / "grids" / part_name(0, 1)
    with open_voxels(file, wanted=CHANNELS) as opened:
        encode_part(opened, plan.residues, part, bad_grid="error", ledger=ledger)
    merge_store(plan, [part], out / "store", settings=settings, ledgers=[ledger], config_digest="0" * 16)
    return out / "store"


@pytest.fixture(scope="session")
def make_store() -> Callable[..., Path]:
    return write_store


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 train, 72 val and 72 test samples. Not to be written to."""
    return write_store(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="session")
def settings() -> VoxelTrainSettings:
    """A training that takes a second, with dropout, whose best epoch is not its last."""
    return VoxelTrainSettings(
        learning_rate=0.01, num_epochs=12, batch_size=32, dropout_rate=0.1, min_delta=0.01, seed=1
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, store_folder: Path, settings: VoxelTrainSettings) -> Path:
    """Folder of a trained model. Not to be written to."""
    out = tmp_path_factory.mktemp("trained")
    train(store_folder, out, settings)
    return out
