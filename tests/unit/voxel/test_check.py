"""The check passes what is whole, counts every item, and refuses what is damaged, left over, or in two splits."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess

import pytest

from trainyard.voxel.aposteriori import RESIDUE, STRUCTURE
from trainyard.voxel.check import check_build
from trainyard.voxel.export import ExportPart, export_part, manifests
from trainyard.voxel.metafiles import write_meta
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import RESIDUES, SAMPLES, SPLITS
from trainyard.voxel.settings import VoxelSettings
from trainyard.voxel.store import Store
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.files import read_json, sha256_file, write_json
from trainyard.yard.ledger import Ledger

COUNTS = {"train": 63, "val": 27, "test": 30}


def settings(*formats, **plan):
    export = {"formats": ["store", *formats], "num_parts": 2}
    return VoxelSettings.model_validate({"plan": {"num_parts": 2, "batch_size": 8, **plan}, "export": export})


def checked(base, of=None, ledgers=()):
    return check_build(base, settings=of or settings(), code={"voxel_plan": "c0de"}, ledgers=ledgers)


def exported(base, of):
    store, out = Store(base / "store"), base / "export"
    for split in SPLITS:
        for number in range(of.export.num_parts):
            export_part(store, ExportPart(split, number, of.export.num_parts), out, settings=of.export)
    write_meta(store, base / "plan" / "domains.parquet", manifests(out, of.export), out)


def replaced(base, change, contract=RESIDUES, name="residues.parquet"):
    """Change rows of a table of the store, and the manifest so that it vouches for it."""
    path = base / "store" / name
    rows = contract.read(path).to_pylist()
    for row in rows:
        change(row)
    contract.write(path, contract.table(rows))
    manifest = read_json(base / "store" / "manifest.json")
    for entry in manifest["tables"]:
        if entry["file"] == path.name:
            entry["sha256"] = sha256_file(path)
    write_json(base / "store" / "manifest.json", manifest)


def voxelised(path, *, lost=0):
    """A ledger of structures of which one had no usable residue."""
    ledger = Ledger("voxel", Reason)
    ledger.expect(STRUCTURE, 6)
    ledger.keep(STRUCTURE, "", 5 - lost)
    ledger.reject(STRUCTURE, "1xyz", Reason.NO_RESIDUES, "none of its residues has a grid")
    ledger.expect(RESIDUE, 46)
    ledger.keep(RESIDUE, "", 45)
    ledger.reject(RESIDUE, "1xyz/A/7", Reason.MISSING_BACKBONE, "no CA")
    write_json(path, ledger.to_dict())
    return path


@pytest.fixture
def base(small_store, tmp_path):
    """A private copy of a finished line: plan and store."""
    for name in ("plan", "store"):
        shutil.copytree(small_store.folder.parent / name, tmp_path / "voxel" / name)
    return tmp_path / "voxel"


def test_a_whole_build_passes_and_its_counts_are_told(base):
    summary = checked(base)
    assert summary["samples"] == COUNTS
    assert summary["residues"] == Store(base / "store").residues.num_rows == 40
    assert (summary["grids_rejected"], summary["exported"]) == (0, {})
    assert json.loads((base / "check" / "check.json").read_text()) == summary
    ledger = Ledger.from_dict(read_json(base / "check" / "ledger.json"), Reason)
    assert (ledger.expected("domain"), ledger.kept("domain"), ledger.kept("sample")) == (7, 5, sum(COUNTS.values()))
    with (base / "check" / "rejects.csv").open() as file:
        rejected = {(row["kind"], row["item"], row["reason"]) for row in csv.DictReader(file)}
    assert rejected == {
        ("domain", "absent", "not_in_voxel_file"),
        ("domain", "d5", "in_no_split_list"),
        ("residue", "d5", "in_no_split_list"),
    }
    dataset = read_json(base / "check" / "dataset.json")
    assert dataset["code"] == {"voxel_plan": "c0de"}
    assert dataset["settings"]["plan"]["batch_size"] == 8
    assert "train" not in dataset["settings"]


def test_the_ledger_of_voxelising_is_merged_into_that_of_the_build(base, tmp_path):
    alone = checked(base)["ledger"]
    summary = checked(base, ledgers=[voxelised(tmp_path / "voxels.ledger.json")])
    kinds = read_json(base / "check" / "ledger.json")["kinds"]
    assert kinds == summary["ledger"]
    assert kinds["structure"] == {"expected": 6, "kept": 5, "rejected": {"no_residue_group": 1}}
    assert kinds["structure_residue"] == {"expected": 46, "kept": 45, "rejected": {"missing_backbone_atom": 1}}
    assert {kind: kinds[kind] for kind in alone} == alone
    assert "structure,1xyz,no_residue_group," in (base / "check" / "rejects.csv").read_text()


def test_structures_that_were_lost_on_the_way_stop_the_build(base, tmp_path):
    with pytest.raises(IntegrityError, match="structure: expected 6, kept 4, rejected 1"):
        checked(base, ledgers=[voxelised(tmp_path / "voxels.ledger.json", lost=1)])
    assert not (base / "check").exists()


def test_a_ledger_that_counts_otherwise_than_the_store_stops_the_build(base):
    path = base / "store" / "ledger.json"
    ledger = read_json(path)
    for key in ("expected", "kept"):
        ledger["kinds"]["residue"][key] -= 1
    write_json(path, ledger)
    with pytest.raises(IntegrityError, match="holds 40 residues, its ledger accounts for 39"):
        checked(base)


@pytest.mark.parametrize("left", ["part_0003-0003.safetensors", "part_0001-0003.parquet"])
def test_parts_of_another_number_of_parts_are_refused_until_the_command_in_the_message_was_given(base, left):
    grids = base / "store" / "grids"
    mine = sorted(grids.iterdir())
    names = {left, "part_0002-0003.safetensors.receipt.json", "ledger_0001-0003.json"}
    for name in names:
        (grids / name).write_bytes(b"of an earlier build")
    with pytest.raises(IntegrityError, match=r"parts of another voxel\.plan\.num_parts than 2 are there") as caught:
        checked(base)
    command = str(caught.value).rpartition("delete them: ")[2]
    assert command == f"rm {grids}/*-0003.*"
    subprocess.run(["sh", "-c", command], check=True)
    assert sorted(grids.iterdir()) == mine
    assert checked(base)["samples"] == COUNTS


def test_batch_files_are_counted_by_split_and_format(base):
    exported(base, settings("pt"))
    found = checked(base, settings("pt"))["exported"]
    assert {name: (sums["files"], sums["records"]) for name, sums in found.items()} == {
        "train pt": (8, 63),
        "val pt": (4, 27),
        "test pt": (4, 30),
    }
    assert found["val pt"]["bytes"] == sum(path.stat().st_size for path in (base / "export" / "val").glob("*.pt"))


def test_a_missing_or_cut_batch_file_is_named(base):
    exported(base, settings("pt"))
    path = base / "export" / "val" / "batch_000003.pt"
    path.write_bytes(path.read_bytes()[:-1])
    for spoil in (lambda: None, path.unlink):
        spoil()
        with pytest.raises(IntegrityError, match=r"batch_000003\.pt: missing or cut; delete .*part_0002-0002\.json"):
            checked(base, settings("pt"))


def test_batch_files_nobody_asks_for_may_stay_if_they_are_of_this_store(base):
    exported(base, settings("pt"))
    assert checked(base)["exported"] == {}
    stray = base / "export" / "train" / "batch_000099.pt"
    stray.write_bytes(b"of an earlier build")
    with pytest.raises(IntegrityError, match=rf"1 batch files of another store are there, first {stray}"):
        checked(base)
    stray.unlink()
    replaced(base, lambda row: row.update(dssp="H"))  # another store, though with the same samples
    with pytest.raises(IntegrityError, match=r"16 batch files of another store .*voxel\.export\.formats"):
        checked(base)
    shutil.rmtree(base / "export")
    assert checked(base)["samples"] == COUNTS


@pytest.mark.parametrize(
    "name", ["samples.parquet", "grids/part_0002-0002.safetensors", "grids/part_0001-0002.parquet"]
)
def test_a_damaged_file_of_the_store_is_named(base, name):
    path = base / "store" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=f"{path}: missing, or not the file that the manifest names"):
        checked(base)


def test_a_domain_in_two_splits_stops_the_build(base):
    replaced(base, lambda row: row.update(rmsf_domain="d0" if row["split"] == "train" else row["domain"]))
    assert checked(base)["samples"] == COUNTS  # all in train: no harm
    replaced(base, lambda row: row.update(rmsf_domain="d0" if row["split"] == "test" else row["domain"]))
    with pytest.raises(LeakageError, match="1 domains stand in two splits, first d0"):
        checked(base)


def test_samples_of_residues_of_another_split_stop_the_build(base):
    replaced(base, lambda row: row.update(split="train" if row["domain"] == "d3" else row["split"]))
    with pytest.raises(LeakageError, match="27 samples of val are of residues of another split"):
        checked(base)


def test_a_pdb_entry_in_two_splits_stops_the_build_where_leakage_is_an_error(base):
    ids = {"d0": "1abcA00", "d3": "1abcB01"}

    def rename(row):
        row["domain"] = ids.get(row["domain"], row["domain"])

    replaced(base, rename)
    assert checked(base)["samples"] == COUNTS
    with pytest.raises(LeakageError, match=r"1 val and 0 test domains share a PDB entry .*1abcB01") as caught:
        checked(base, settings(leakage="error"))
    assert caught.value.exit_code == 4


def test_a_sample_that_stands_twice_stops_the_build(base):
    def repeat(row):
        if row["split"] == "train" and row["sample_id"] < 2:
            row.update(residue_uid=0, temperature=320)

    replaced(base, repeat, SAMPLES, "samples.parquet")
    with pytest.raises(IntegrityError, match="a residue stands twice at one temperature in train"):
        checked(base)
