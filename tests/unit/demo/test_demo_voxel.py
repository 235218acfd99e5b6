"""The simulated proteins: real geometry, a mess that the line accounts for, and a signal that the voxels reveal."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from trainyard.demo import voxel_proteins as planted
from trainyard.demo.voxel import write_inputs
from trainyard.demo.voxel_files import MANIFEST, RMSF, STRUCTURES, TRUTH, VOXELS, list_name
from trainyard.demo.voxel_folds import dihedral, make_fold
from trainyard.demo.voxel_proteins import make_protein
from trainyard.voxel.aposteriori import ledger_path
from trainyard.voxel.hdf5 import open_voxels, read_grids
from trainyard.voxel.inventory import inventory
from trainyard.voxel.plan import VoxelPlan, make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.settings import VoxelDemoSettings, VoxelInputSettings, VoxelPlanSettings
from trainyard.voxel.splits import split_lists
from trainyard.voxel.voxelize import CHANNELS, frame_axes, ideal_cb
from trainyard.yard.files import read_json, sha256_file
from trainyard.yard.identity import generator
from trainyard.yard.ledger import Ledger
from workflow_scripts import demo_voxel

DEFAULT = VoxelDemoSettings()
SMALL = VoxelDemoSettings(domains=3, residues=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with its default settings."""
    path = tmp_path_factory.mktemp("demo_voxel")
    write_inputs(DEFAULT, path)
    return path


def plan_of(folder: Path, **settings: Any) -> tuple[VoxelPlan, Ledger]:
    """The plan that the line makes of a demo, and the ledger of its RMSF table."""
    inputs = VoxelInputSettings(
        **{f"{split}_split_file": folder / list_name(split) for split in ("train", "val", "test")}
    )
    chosen, ledger = VoxelPlanSettings(**settings), Ledger("voxel", Reason)
    rmsf = read_rmsf([folder / RMSF], unit="nm", ledger=ledger, settings=chosen)
    table = inventory(folder / VOXELS, wanted_channels=CHANNELS, ledger=ledger)
    lists = split_lists(table["domain"].unique().to_pylist(), inputs, chosen)
    return make_plan(table, rmsf, lists, chosen, suffixes=inputs.domain_suffixes), ledger


@pytest.fixture(scope="module")
def planned(folder: Path) -> tuple[VoxelPlan, Ledger]:
    return plan_of(folder)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / RMSF).open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("seed", range(6))
def test_bonds_and_angles_are_those_of_proteins(seed: int) -> None:
    backbone = make_fold(generator("test", seed), 60).backbone
    n, ca, c, o = backbone.transpose(1, 0, 2)
    for a, b, length in (
        (n, ca, 1.458),
        (ca, c, 1.525),
        (c, o, 1.231),
        (c[:-1], n[1:], 1.329),
        (ca[:-1], ca[1:], 3.80),
    ):
        assert np.linalg.norm(a - b, axis=1) == pytest.approx(length, abs=0.02)
    omega = np.degrees(dihedral(ca[:-1], c[:-1], n[1:], ca[1:]))
    assert np.abs(omega) == pytest.approx(180, abs=0.5)
    # O stands opposite to the next N.
    assert np.abs(np.degrees(dihedral(o[:-1], ca[:-1], c[:-1], n[1:]))) == pytest.approx(180, abs=0.5)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_runs_into_anything_and_the_fold_is_compact(seed: int) -> None:
    backbone = make_fold(generator("test", seed), 60).backbone
    atoms = np.concatenate([backbone, ideal_cb(backbone, frame_axes(backbone))[:, None]], axis=1)
    residue = np.arange(300) // 5
    pairs = cKDTree(atoms.reshape(-1, 3)).query_pairs(2.75, output_type="ndarray")
    assert (np.abs(np.diff(residue[pairs], axis=1)) <= 1).all()
    # 60 residues of a real globular protein have 10 to 11 angstrom, stretched out they have 50.
    assert np.sqrt(((backbone[:, 1] - backbone[:, 1].mean(axis=0)) ** 2).sum(axis=1).mean()) < 17


def test_helices_and_strands_have_their_torsions_and_the_handedness_of_life() -> None:
    for seed in range(4):
        fold = make_fold(generator("test", seed), 60)
        n, ca, c, _ = fold.backbone.transpose(1, 0, 2)
        phi = np.degrees(dihedral(c[:-1], n[1:], ca[1:], c[1:]))[:-1]
        psi = np.degrees(dihedral(n[:-1], ca[:-1], c[:-1], n[1:]))[1:]
        kinds = np.array(list(fold.structure[1:-1]))
        for kind, centre in (("H", (-62, -42)), ("E", (-120, 130))):
            mine = kinds == kind
            if mine.any():
                assert (np.mean(phi[mine]), np.mean(psi[mine])) == pytest.approx(centre, abs=8)


def test_two_writes_give_the_same_bytes_wherever_they_go(tmp_path: Path) -> None:
    first, second = write_inputs(SMALL, tmp_path / "a"), write_inputs(SMALL, tmp_path / "long name" / "b")
    assert first == second
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "long name" / "b" / MANIFEST).read_bytes()


def test_the_manifest_vouches_for_every_file_and_comes_last(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {entry["path"] for entry in manifest["files"]} | {MANIFEST} == {str(f.relative_to(folder)) for f in files}
    for entry in manifest["files"]:
        path = folder / entry["path"]
        assert (entry["bytes"], entry["sha256"]) == (path.stat().st_size, sha256_file(path))
    assert max(files, key=lambda path: path.stat().st_mtime_ns).name == MANIFEST


def counts(ledger: Mapping[str, Any]) -> dict[str, Any]:
    return dict(ledger["kinds"])


def test_the_line_counts_what_the_truth_says(folder: Path, planned: tuple[VoxelPlan, Ledger]) -> None:
    expected = read_json(folder / TRUTH)["expected"]
    splits = expected.pop("splits")
    plan, rmsf = planned
    found = {
        **counts(read_json(ledger_path(folder / VOXELS))),
        **counts(rmsf.to_dict()),
        **counts(plan.ledger.to_dict()),
    }
    assert found == expected
    for split, numbers in splits.items():
        assert {name: plan.counts[split][name] for name in numbers} == numbers
        assert numbers["samples"] > 400


def test_everything_that_goes_wrong_in_real_data_is_there(folder: Path) -> None:
    expected = read_json(folder / TRUTH)["expected"]
    found = {(kind, reason) for kind, one in expected.items() for reason in one.get("rejected", ())}
    assert found == {
        ("structure", "no_residue_group"),
        ("structure_residue", "missing_backbone_atom"),
        ("rmsf_row", "average_pseudo_temperature"),
        ("rmsf_row", "missing_value"),
        ("rmsf_row", "repeated_row"),
        ("domain", "in_no_split_list"),
        ("domain", "not_in_voxel_file"),
        ("residue", "in_no_split_list"),
        ("residue", "residue_name_mismatch"),
        ("sample", "missing_temperatures"),
    }


def test_odd_numbers_names_and_suffixes_reach_the_plan(folder: Path, planned: tuple[VoxelPlan, Ledger]) -> None:
    residues = planned[0].residues.to_pylist()
    first = make_protein(DEFAULT, planted.FROM_MINUS_2).domain
    assert {"-2", "-1", "0", "1"} <= {row["residue"] for row in residues if row["domain"] == first}
    assert [row["icode"] for row in residues if row["icode"]] == ["A"]
    assert {row["chain"] for row in residues} == {"A"}
    domains = {row["domain"]: row for row in planned[0].domains.to_pylist()}
    suffixed = make_protein(DEFAULT, planted.SUFFIXED)
    assert domains[suffixed.domain + "_pdb_clean"]["rmsf_domain"] == suffixed.domain
    assert domains[suffixed.domain + "_pdb_clean"]["method"] == "suffix"
    names = {row["resname"] for row in rows_of(folder)}
    assert {"HSD", "HSE", "HSP"} <= names
    assert "HIS" not in names
    assert "HIS" in {row["label"] for row in residues}


def test_splits_follow_the_pdb_entry(planned: tuple[VoxelPlan, Ledger]) -> None:
    plan, _ = planned
    assert plan.leakage["val"]["same_pdb"] == plan.leakage["test"]["same_pdb"] == 0
    pdbs = [row["pdb"] for row in plan.domains.to_pylist()]
    assert len(set(pdbs)) < len(pdbs)


def burial(folder: Path, plan: VoxelPlan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Set voxels, mean RMSF relative to growth, and whether the residue is in train, of all residues used."""
    residues = plan.residues.to_pylist()
    with open_voxels(folder / VOXELS, wanted=CHANNELS) as file:
        where = [(row["domain"], row["chain"], row["residue"]) for row in residues]
        atoms = np.array([grid.sum() for grid in read_grids(file, where)])
    samples = plan.samples
    scaled = samples["target"].to_numpy() / np.exp(planted.GROWTH * (samples["temperature"].to_numpy() - 320))
    uid = samples["residue_uid"].to_numpy()
    flexibility = np.bincount(uid, scaled) / np.bincount(uid)
    return atoms, flexibility, np.array([row["split"] == "train" for row in residues])


def explained(atoms: np.ndarray, flexibility: np.ndarray, train: np.ndarray) -> float:
    """Share of the variance in the other splits that a line fitted on train explains."""
    slope, offset = np.polyfit(atoms[train], flexibility[train], 1)
    rest = flexibility[~train] - (slope * atoms[~train] + offset)
    return float(1 - rest.var() / flexibility[~train].var())


def test_counting_neighbours_in_the_voxels_finds_the_planted_flexibility(
    folder: Path, planned: tuple[VoxelPlan, Ledger]
) -> None:
    atoms, flexibility, train = burial(folder, planned[0])
    assert explained(atoms, flexibility, train) > 0.6
    slope, _ = np.polyfit(atoms, flexibility, 1)
    assert slope < -0.8 * planted.EXPOSED / (planted.CROWDED - planted.LONELY)
    shuffled = flexibility[generator("test-shuffle").permutation(len(flexibility))]
    assert explained(atoms, shuffled, train) < 0.1


def test_rmsf_grows_with_temperature_as_planted_and_as_in_mdcath(planned: tuple[VoxelPlan, Ledger]) -> None:
    samples = planned[0].samples
    kelvin, target = samples["temperature"].to_numpy(), samples["target"].to_numpy()
    growth, _ = np.polyfit(kelvin, np.log(target), 1)
    assert growth == pytest.approx(planted.GROWTH, rel=0.03)
    # Published means of mdCATH: 0.22 nm at 320 K, 0.94 nm at 450 K.
    assert target[kelvin == 320].mean() == pytest.approx(0.22, abs=0.05)
    assert target[kelvin == 450].mean() == pytest.approx(0.94, abs=0.2)


def test_strata_fit_what_is_planted(folder: Path) -> None:
    rows = [row for row in rows_of(folder) if row["temperature_feature"] == "320"]
    seen = np.array([float(row["relative_accessibility"]) for row in rows])
    assert (seen.min(), seen.max()) == (0, 1)
    assert {row["dssp"] for row in rows} == {"H", "E", "C"}
    rmsf = np.array([float(row["target_rmsf"]) for row in rows])
    assert np.corrcoef(seen, rmsf)[0, 1] > 0.6


def test_a_larger_demo_holds_the_smaller_one(folder: Path, tmp_path: Path) -> None:
    write_inputs(DEFAULT.model_copy(update={"domains": 14}), tmp_path)
    for path in sorted((folder / STRUCTURES).iterdir()):
        assert (tmp_path / STRUCTURES / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / RMSF).read_text().startswith((folder / RMSF).read_text())
    for split in ("train", "val", "test"):
        assert (tmp_path / list_name(split)).read_text().startswith((folder / list_name(split)).read_text())


def test_another_seed_gives_other_proteins(tmp_path: Path) -> None:
    first = write_inputs(SMALL, tmp_path / "a")
    second = write_inputs(SMALL.model_copy(update={"seed": 1}), tmp_path / "b")
    same = {entry["sha256"] for entry in first["files"]} & {entry["sha256"] for entry in second["files"]}
    assert {entry["path"] for entry in first["files"] if entry["sha256"] in same} <= {
        *(list_name(split) for split in ("train", "val", "test"))
    }


def test_the_smallest_demo_fills_all_splits(tmp_path: Path) -> None:
    write_inputs(SMALL, tmp_path)
    plan, _ = plan_of(tmp_path)
    assert [plan.counts[split]["domains"] for split in ("train", "val", "test")] == [1, 1, 1]
    expected = read_json(tmp_path / TRUTH)["expected"]
    assert counts(plan.ledger.to_dict()) == {kind: expected[kind] for kind in ("domain", "residue", "sample")}


def test_structures_of_another_demo_are_removed_and_those_of_other_origin_stay(tmp_path: Path) -> None:
    write_inputs(SMALL.model_copy(update={"domains": 4}), tmp_path)
    mine = tmp_path / STRUCTURES / "mine.pdb"
    mine.write_text("REMARK my own\n")
    write_inputs(SMALL, tmp_path)
    assert len(list((tmp_path / STRUCTURES).glob("*.pdb"))) == 4
    assert mine.exists()


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_voxel.main(["--settings", SMALL.model_dump_json(), "--out", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path}: 11 files\n"
