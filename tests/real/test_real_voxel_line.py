"""Seven mdCATH domains through Snakemake: published counts and sizes, batch files equal to the inputs bit for bit."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from trainyard import cli
from trainyard.voxel.store import Store
from trainyard.yard.files import read_json

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).resolve().parents[2]
RMSF = "rmsf/rmsf_all_temperatures_all_replicas.csv"
SAMPLES = {"train": 5385, "val": 760, "test": 265}
FILES = {
    "train": [47_420_558] * 21 + [1_669_134],
    "val": [47_420_558] * 2 + [45_938_638],
    "test": [47_420_558, 1_669_134],
}
TEST_BYTES = 49_089_692


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--directory", str(folder)]
    command += ["--workflow-profile", str(REPOSITORY / "profiles" / "default")]
    command += ["--configfile", str(REPOSITORY / "tests" / "configs" / "real_voxel.yaml")]
    command += ["--cores", "2", *arguments, "voxel_data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def line(workplace):
    """The line's folder after a dry run and a build, and what both printed; 1.2 GB, which go in the end."""
    tests = workplace / "tests"  # the configuration names its lists from the repository's root
    tests.symlink_to(REPOSITORY / "tests")
    announced, built = snakemake(workplace, "-n"), snakemake(workplace)
    folder = workplace / "results" / "real_voxel" / "voxel"
    yield folder, announced, built
    for path in (folder / "export").glob("*/*.pt"):
        path.unlink()
    tests.unlink()


@pytest.fixture(scope="module")
def base(line):
    return line[0]


def test_what_the_dry_run_announces_is_what_is_there_to_the_byte(line):
    base, announced, _ = line
    written = sum(path.stat().st_size for path in (base / "export").glob("*/*.pt"))
    assert f"pt files exactly {written:,} bytes" in announced
    assert "samples: 5,385 train, 760 val, 265 test" in announced


def test_every_residue_and_every_sample_is_accounted_for(base):
    check = read_json(base / "check" / "check.json")
    assert (check["residues"], check["samples"], check["grids_rejected"]) == (1282, SAMPLES, 0)
    assert {kind: (n["expected"], n["kept"]) for kind, n in check["ledger"].items() if kind != "rmsf_row"} == {
        "domain": (7, 7),
        "grid": (1282, 1282),
        "residue": (1282, 1282),
        "sample": (6410, 6410),
    }
    assert check["ledger"]["rmsf_row"]["kept"] == 6410
    assert (base / "export" / "failed_preprocess_domains.txt").read_text() == ""


@pytest.mark.parametrize("split", SAMPLES)
def test_batch_files_have_the_published_names_numbers_and_sizes(base, split):
    names = [f"{split}/batch_{number:06d}.pt" for number in range(len(FILES[split]))]
    assert (base / "export" / f"{split}_batches.meta").read_text().splitlines() == names
    assert sorted(path.name for path in (base / "export" / split).glob("*.pt")) == [Path(name).name for name in names]
    assert [(base / "export" / name).stat().st_size for name in names] == FILES[split]


def test_the_test_split_takes_49_089_692_bytes(base):
    assert sum(path.stat().st_size for path in (base / "export" / "test").glob("*.pt")) == TEST_BYTES
    assert read_json(base / "check" / "check.json")["exported"]["test pt"] == {
        "files": 2,
        "bytes": TEST_BYTES,
        "records": 265,
    }


def test_every_sample_of_the_test_files_is_bit_equal_to_a_direct_read_of_the_inputs(base, real_data):
    """The store only says which sample stands where; grids and values are read with h5py and csv alone."""
    folder = real_data / "voxel" / "mdcath7"
    with (folder / RMSF).open() as file:
        rmsf = {(row["domain_id"], row["resid"]): row for row in csv.DictReader(file)}
    store = Store(base / "store")
    samples, residues = store.samples("test").to_pylist(), store.residues.to_pylist()
    seen = set()
    with h5py.File(folder / "derived_voxels.hdf5") as voxels:
        for number in range(2):
            batch = torch.load(base / "export" / "test" / f"batch_{number:06d}.pt", weights_only=True)
            assert list(batch) == ["voxels", "scaled_temps", "targets"]
            mine = samples[number * 256 : (number + 1) * 256]
            for row, sample in enumerate(mine):
                residue, kelvin = residues[sample["residue_uid"]], int(sample["temperature"])
                grid = voxels[residue["domain"]][residue["chain"]][residue["residue"]][()]
                target = rmsf[residue["domain"], residue["residue"]][f"rmsf_{kelvin}"]
                assert np.array_equal(batch["voxels"][row].numpy(), np.moveaxis(grid, -1, 0).astype(np.float32))
                assert batch["targets"][row].numpy() == np.float32(target)
                assert batch["scaled_temps"][row].numpy() == np.float32((kelvin - 320) / (450 - 320 + 1e-8))
                seen.add((residue["domain"], residue["residue"], kelvin))
            assert all(len(tensor) == len(mine) for tensor in batch.values())
        wanted = {("1a02F00", name, k) for name in voxels["1a02F00"]["A"] for k in (320, 348, 379, 413, 450)}
    assert seen == wanted
    assert len(seen) == 265


def test_histidines_join_under_their_standard_name(base):
    residues = Store(base / "store").residues
    assert pc.sum(pc.equal(residues["label"], "HIS")).as_py() == 34


def test_the_built_line_has_nothing_left_to_do_and_its_files_verify(line, workplace):
    base, _, built = line
    assert "Error" not in built
    assert "Nothing to be done" in snakemake(workplace)
    cli._command(["verify", str(base.parent), "--deep"])
