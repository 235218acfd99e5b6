"""The plan on real inputs: seven mdCATH domains, the published lists, and a plan of the published size."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainyard.voxel.names import parse_residue_key
from trainyard.voxel.plan import make_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.schema import INVENTORY, RMSF, SPLITS
from trainyard.voxel.settings import VoxelExportSettings, VoxelPlanSettings
from trainyard.voxel.sizes import total_bytes
from trainyard.voxel.splits import leakage_report, read_list
from trainyard.yard.errors import InputError, LeakageError
from trainyard.yard.ledger import Ledger

pytestmark = pytest.mark.real

LISTS = {"train": ["12asA00", "153lA00", "16pkA02", "1a05A00"], "val": ["1a0hA01", "1a0aA00"], "test": ["1a02F00"]}
KELVINS = (320, 348, 379, 413, 450)
PUBLISHED = {"train": (4911, 668_738), "val": (245, 38_022), "test": (222, 30_943)}


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "voxel" / "mdcath7"


@pytest.fixture(scope="module")
def inventory(folder):
    h5py = pytest.importorskip("h5py")
    rows = []
    with h5py.File(folder / "derived_voxels.hdf5") as file:
        for domain, chains in file.items():
            for chain, residues in chains.items():
                for name, data in residues.items():
                    resid, icode = parse_residue_key(name)
                    row = {"domain": domain, "chain": chain, "residue": name, "resid": resid, "icode": icode}
                    rows.append({**row, "label": data.attrs["label"]})
    return INVENTORY.table(rows)


def read(*paths, unit="nm", **policies):
    ledger = Ledger("voxel", Reason)
    table = read_rmsf(paths, unit=unit, ledger=ledger, settings=VoxelPlanSettings(**policies))
    ledger.check()
    return table


def wide(folder):
    return read(folder / "rmsf" / "rmsf_all_temperatures_all_replicas.csv")


def one_by_one(folder):
    return read(*(folder / "rmsf" / f"rmsf_replica_average_temperature{kelvin}.csv" for kelvin in KELVINS))


def long(folder, path):
    """A long table, residue by residue, made of the wide one as text."""
    with (folder / "rmsf" / "rmsf_all_temperatures_all_replicas.csv").open() as source, path.open("w") as out:
        print("domain_id,resid,resname,temperature_feature,target_rmsf", file=out)
        for row in csv.DictReader(source):
            for kelvin in (*KELVINS, "average"):
                values = [row["domain_id"], row["resid"], row["resname"], kelvin, row[f"rmsf_{kelvin}"]]
                print(*values, sep=",", file=out)
    return read(path)


def test_all_residues_of_seven_domains_join(inventory, folder):
    plan = make_plan(inventory, wide(folder), LISTS, VoxelPlanSettings())
    assert plan.ledger.summary() == ("7 of 7 domains kept, 1282 of 1282 residues kept, 6410 of 6410 samples kept")
    counts = {split: (n["samples"], n["batches"]) for split, n in plan.counts.items()}
    assert counts == {"train": (5385, 22), "val": (760, 3), "test": (265, 2)}
    assert plan.scaler["temp_min"] == 320
    assert plan.scaler["temp_max"] == 450
    assert plan.warnings == ()


def test_34_histidines_have_another_name_in_the_rmsf_table(inventory, folder):
    rows = wide(folder).to_pylist()
    table = {(row["domain_id"], row["resid"]): row["resname"] for row in rows}
    labels = {(row["domain"], row["resid"]): row["label"] for row in inventory.to_pylist()}
    differing = [(labels[key], table[key]) for key in labels if labels[key] != table[key]]
    assert len(differing) == 34
    assert {label for label, _ in differing} == {"HIS"}
    assert {resname for _, resname in differing} <= {"HSD", "HSE", "HSP"}


@pytest.mark.parametrize("order", ["shuffled", "domain", "legacy"])
def test_wide_long_and_single_tables_give_the_same_plan(inventory, folder, tmp_path, order):
    settings = VoxelPlanSettings(order=order)
    tables = [wide(folder), one_by_one(folder), long(folder, tmp_path / "long.csv")]
    first, *others = (make_plan(inventory, table, LISTS, settings) for table in tables)
    for other in others:
        assert first.samples.equals(other.samples)
        assert first.residues.equals(other.residues)
        assert first.domains.equals(other.domains)


def test_every_sample_has_the_value_of_the_csv_file(inventory, folder):
    truth = {}
    for kelvin in KELVINS:
        with (folder / "rmsf" / f"rmsf_replica_average_temperature{kelvin}.csv").open() as source:
            for row in csv.DictReader(source):
                truth[row["domain_id"], int(row["resid"]), kelvin] = np.float32(row[f"rmsf_{kelvin}"])
    plan = make_plan(inventory, wide(folder), LISTS, VoxelPlanSettings())
    names = plan.residues.select(["domain", "resid"]).to_pylist()
    found = {}
    for row in plan.samples.to_pylist():
        residue = names[row["residue_uid"]]
        found[residue["domain"], residue["resid"], int(row["temperature"])] = row["target"]
    assert found == truth


def test_batch_files_have_the_published_sizes(inventory, folder):
    plan = make_plan(inventory, wide(folder), LISTS, VoxelPlanSettings())
    sizes = total_bytes(plan, VoxelExportSettings(formats=["store", "pt"]), batch_size=256).batches["pt"]
    assert sizes["test"] == 47_420_558 + 1_669_134
    assert sizes["val"] == 2 * 47_420_558 + 45_938_638


def test_strata_come_from_the_feature_table(inventory, folder):
    rmsf = folder / "rmsf" / "rmsf_all_temperatures_all_replicas.csv"
    table = read(rmsf, folder / "ml_features" / "final_dataset_temperature_320.csv")
    plan = make_plan(inventory, table, LISTS, VoxelPlanSettings())
    assert plan.samples.equals(make_plan(inventory, wide(folder), LISTS, VoxelPlanSettings()).samples)
    assert plan.residues.column("dssp").null_count == 0
    assert set(plan.residues.column("secondary_structure").to_pylist()) == {0, 2}


def test_replicas_contradict_their_average(folder):
    with pytest.raises(
        InputError, match=r"1282 RMSF rows contradict an earlier row .* \(rmsf_replica0_temperature320.csv"
    ):
        read(
            folder / "rmsf" / "rmsf_replica_average_temperature320.csv",
            folder / "rmsf" / "replicas" / "rmsf_replica0_temperature320.csv",
        )


def test_the_average_dataset_adds_nothing(folder):
    """Upstream's file of the pseudo-temperature repeats the values of 320 K as the average."""
    table = read(
        folder / "ml_features" / "final_dataset_temperature_320.csv",
        folder / "ml_features" / "final_dataset_temperature_average.csv",
    )
    assert table.num_rows == 1282
    assert set(table.column("temperature").to_pylist()) == {320}


def test_a_shifted_table_is_found_out_by_its_names(inventory, folder):
    """Labels that slid by one residue, as upstream does where insertion codes confuse it."""
    table = wide(folder)
    shifted = pa.array(np.asarray(table.column("resid")) + 1)
    table = table.set_column(table.column_names.index("resid"), RMSF.schema.field("resid"), shifted)
    plan = make_plan(inventory, table, {**LISTS}, VoxelPlanSettings(resname_mismatch="warn"))
    assert "have another name" in plan.warnings[0]
    with pytest.raises(InputError, match=r"1282 of 1282 residues cannot be used \(1275 residue_name_mismatch"):
        make_plan(inventory, table, LISTS, VoxelPlanSettings())


def test_angstrom_tables_are_read_in_nm(real_data, tmp_path):
    source = real_data / "voxel" / "xray_bfactor" / "derived_rmsf_from_bfactor.csv"
    path = tmp_path / "rmsf.csv"
    path.write_text(source.read_text().replace("rmsf_from_b_angstrom", "rmsf_300"))
    table = read(path, unit="angstrom")
    assert table.num_rows == 283
    assert table.column("target_rmsf").to_pylist()[0] == np.float32(0.0628)


def published_lists(folder):
    return {split: read_list(folder / f"{split}_domains.txt") for split in SPLITS}


def test_published_lists_share_entries_and_chains(real_data):
    lists = published_lists(real_data / "voxel" / "domain_lists")
    assert {split: len(domains) for split, domains in lists.items()} == {"train": 4927, "val": 247, "test": 224}
    report = leakage_report(lists, policy="report")
    assert (report["val"]["same_pdb"], report["test"]["same_pdb"]) == (36, 20)
    assert (report["val"]["same_chain"], report["test"]["same_chain"]) == (32, 12)
    with pytest.raises(LeakageError, match=r"36 val and 20 test domains .* \(32 and 12 even the chain\)") as caught:
        leakage_report(lists, policy="error")
    assert caught.value.exit_code == 4


def test_a_plan_of_the_published_size_takes_less_than_2_gib(real_data):
    command = [sys.executable, __file__, str(real_data / "voxel" / "domain_lists")]
    found = json.loads(
        subprocess.run(command, check=True, capture_output=True, env={"PYTHONPATH": ":".join(sys.path)}).stdout
    )
    assert {split: tuple(n.values()) for split, n in found["counts"].items()} == {
        "train": (4911, 668_738, 3_343_690, 13_062),
        "val": (245, 38_022, 190_110, 743),
        "test": (222, 30_943, 154_715, 605),
    }
    # The published 683,247,814,050 takes 2,100 bytes of overhead for each of the three short files; torch has
    # 2,070, 2,022 and 2,058, see test_sizes.
    assert sum(found["bytes"].values()) == 683_247_814_050 - (30 + 78 + 42)
    assert (found["leakage"]["val"]["same_pdb"], found["leakage"]["test"]["same_pdb"]) == (36, 20)
    assert found["missing"] == 20
    assert found["peak"] < 2 * 2**30


def simulated(lists):
    """Inventory and RMSF with the published numbers of domains, residues and temperatures."""
    names, sizes = [], []
    rng = np.random.default_rng(1)
    for split, (domains, residues) in PUBLISHED.items():
        spare = residues - 48 * domains
        extra = rng.multinomial(spare, rng.dirichlet(np.full(domains, 3)))
        names += lists[split][:domains]
        sizes += (48 + extra).tolist()
    n = sum(sizes)
    domain = pa.array(names).take(pa.array(np.repeat(np.arange(len(names)), sizes)))
    resid = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
    label = pa.array(["ALA", "GLY", "HIS"]).take(pa.array(resid % 3))
    every = np.repeat(np.arange(n), len(KELVINS))
    inventory = {"domain": domain, "chain": pa.repeat("A", n), "residue": pa.array(resid).cast(pa.string())}
    inventory |= {"resid": pa.array(resid), "icode": pa.repeat("", n), "label": label}
    rmsf = {"domain_id": domain.take(pa.array(every)), "resid": pa.array(resid[every])}
    rmsf |= {"icode": pa.repeat("", every.size), "resname": label.take(pa.array(every))}
    rmsf |= {
        "temperature": pa.array(np.tile(np.float32(KELVINS), n)),
        "target_rmsf": pa.array(rng.random(every.size, np.float32)),
    }
    return filled(INVENTORY, inventory), filled(RMSF, rmsf)


def filled(contract, columns):
    n = len(next(iter(columns.values())))
    return pa.table([columns.get(c.name, pa.nulls(n, c.type)) for c in contract.columns], schema=contract.schema)


def main(folder):
    """Plan at the published scale in a process of its own, whose peak of memory is its own too."""
    lists = published_lists(folder)
    inventory, rmsf = simulated(lists)
    plan = make_plan(inventory, rmsf, lists, VoxelPlanSettings())
    sizes = total_bytes(plan, VoxelExportSettings(formats=["store", "pt"]), batch_size=256)
    found = {"counts": plan.counts, "bytes": sizes.batches["pt"], "leakage": plan.leakage}
    found["missing"] = plan.ledger.rejected("domain", Reason.NOT_IN_VOXEL_FILE)
    # ru_maxrss would begin with that of the process that started this one.
    found["peak"] = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
