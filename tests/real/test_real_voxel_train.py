"""The consumer on seven mdCATH domains: unseen domains are predicted better than by their temperature alone."""

from __future__ import annotations

import json

import pytest

from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.merge import merge_store
from trainyard.voxel.parts import encode_part, part_name
from trainyard.voxel.plan import make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.settings import VoxelPlanSettings, VoxelTrainSettings
from trainyard.voxel.train.evaluate import evaluate
from trainyard.voxel.train.fit import train
from trainyard.yard.ledger import Ledger

pytestmark = pytest.mark.real

WANTED = ("C", "N", "O", "CA", "CB")
LISTS = {"train": ["12asA00", "153lA00", "16pkA02", "1a05A00"], "val": ["1a0hA01", "1a0aA00"], "test": ["1a02F00"]}


@pytest.fixture(scope="module")
def store(real_data, tmp_path_factory):
    folder, out = real_data / "voxel" / "mdcath7", tmp_path_factory.mktemp("store")
    settings, ledger = VoxelPlanSettings(num_parts=1), Ledger("voxel", Reason)
    tables = [
        folder / "rmsf" / "rmsf_all_temperatures_all_replicas.csv",
        folder / "ml_features" / "final_dataset_temperature_320.csv",
    ]
    rmsf = read_rmsf(tables, unit="nm", ledger=Ledger("voxel", Reason), settings=settings)
    voxels = folder / "derived_voxels.hdf5"
    plan = make_plan(inventory(voxels, wanted_channels=WANTED), rmsf, LISTS, settings)
    part = out / "grids" / part_name(0, 1)
    with open_voxels(voxels, wanted=WANTED) as file:
        encode_part(file, plan.residues, part, bad_grid="error", ledger=ledger)
    merge_store(plan, [part], out, settings=settings, ledgers=[ledger], config_digest="0" * 16)
    return out


def test_unseen_domains_are_predicted_better_than_by_their_temperature(store, tmp_path):
    settings = VoxelTrainSettings(num_epochs=3)
    train(store, tmp_path, settings)
    evaluate(store, tmp_path, tmp_path, settings)
    splits = json.loads((tmp_path / "evaluation.json").read_text())["splits"]
    assert [splits[split]["overall"]["n"] for split in ("train", "val", "test")] == [5385, 760, 265]
    val = splits["val"]
    assert [group["temperature"] for group in val["by_temperature"]] == [320, 348, 379, 413, 450]
    assert val["overall"]["model"]["skill_over_temperature_mean"] > 0.1
    for group in val["by_temperature"]:
        assert group["model"]["pearson"] > group["residue_mean"]["pearson"]
    # The features table tells core from exterior by a relative accessibility of 0.2: 559 and 723 of 1,282 residues.
    groups = [group for split in splits.values() for group in split["strata"]["location"]]
    counts = {kind: sum(g["n"] for g in groups if g["value"] == kind) for kind in ("core", "exterior", "unknown")}
    assert counts == {"core": 559 * 5, "exterior": 723 * 5, "unknown": 0}
