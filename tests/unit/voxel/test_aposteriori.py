"""Voxel files made from structures: the published layout, the same bytes, an account of every residue."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from trainyard.demo.voxel_folds import make_fold
from trainyard.voxel.aposteriori import RESIDUE, STRUCTURE, ledger_path, voxelize_files, write_voxels
from trainyard.voxel.hdf5 import open_voxels, read_grids
from trainyard.voxel.inventory import inventory
from trainyard.voxel.settings import VoxelizeSettings
from trainyard.voxel.structures import read_structure
from trainyard.voxel.voxelize import CHANNELS, voxelize
from trainyard.yard import receipts
from trainyard.yard.errors import EnvironmentFault, InputError
from trainyard.yard.files import read_json
from trainyard.yard.identity import generator
from workflow_scripts import voxel_voxelize

DEFAULT = VoxelizeSettings()
GAUSSIAN = VoxelizeSettings(gaussian=True)
KEYS = ["-1", "0", "10", "10A", "12", *map(str, range(100, 110))]
LABELS = ["HSD", "GLY", "UNK", "MSE", *["ALA"] * 11]


def write_pdb(path: Path, *, chains=("A",), without=()):
    """A simulated chain of 15 residues per name; `without` drops CA atoms by residue."""
    lines = []
    for number, chain in enumerate(chains):
        backbone = make_fold(generator("test-fold", number), len(KEYS)).backbone + 100.0 * number
        for key, label, places in zip(KEYS, LABELS, backbone, strict=True):
            resid, icode = (key[:-1], key[-1]) if key[-1].isalpha() else (key, " ")
            for name, (x, y, z) in zip(("N", "CA", "C", "O"), places, strict=True):
                if name != "CA" or key not in without:
                    where = f"{label} {chain}{resid:>4}{icode}   {x:8.3f}{y:8.3f}{z:8.3f}"
                    lines.append(f"ATOM  {len(lines):5d}  {name:<3} {where}  1.00  0.00          {name[0]:>2}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([*lines, "END\n"]))
    return path


def renamed(frames, domain):
    return replace(frames, structure=replace(frames.structure, domain=domain))


@pytest.fixture
def pdb(tmp_path):
    return write_pdb(tmp_path / "pdbs" / "1abcA00.v2.pdb", chains=("A", "b"))


@pytest.fixture
def voxels(pdb, tmp_path):
    voxelize_files([pdb], tmp_path / "voxels.hdf5", settings=DEFAULT)
    return tmp_path / "voxels.hdf5"


def test_root_attributes_are_those_of_aposteriori(voxels):
    with h5py.File(voxels) as file:
        found = dict(file.attrs)
        types = {name: file.attrs.get_id(name).dtype for name in found}
    assert list(found["frame_dims"]) == [21, 21, 21, 5]
    assert list(found["atom_encoder"]) == ["C", "N", "O", "CA", "CB"]
    codes = "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR"
    assert " ".join(found["residue_encoder"]) == codes
    assert (found["make_frame_dataset_ver"], found["frame_edge_length"]) == ("2.4.0", 12.0)
    assert (found["encode_cb"], found["voxels_as_gaussian"]) == (True, False)
    assert found["atom_filter_fn"] == "<function default_atom_filter>"
    assert types["frame_dims"] == np.int64
    assert types["encode_cb"] == types["voxels_as_gaussian"] == np.bool_


@pytest.mark.parametrize(
    ("settings", "dtype", "chunks"), [(DEFAULT, np.bool_, (11, 11, 11, 5)), (GAUSSIAN, np.float64, (6, 11, 11, 3))]
)
def test_datasets_are_stored_as_aposteriori_stores_them(pdb, tmp_path, settings, dtype, chunks):
    voxelize_files([pdb], tmp_path / "x.hdf5", settings=settings)
    with h5py.File(tmp_path / "x.hdf5") as file:
        assert (list(file), list(file["1abcA00"])) == (["1abcA00"], ["A", "b"])
        assert sorted(file["1abcA00/b"]) == sorted(KEYS)
        data = file["1abcA00/b/-1"]
        assert (data.shape, data.dtype, data.chunks) == ((21, 21, 21, 5), dtype, chunks)
        assert (data.compression, data.compression_opts, data.shuffle) == ("gzip", 4, False)
        assert {**data.attrs} | {"encoded_residue": ""} == {"label": "HIS", "rotamers": "NAN", "encoded_residue": ""}
        assert data.attrs["encoded_residue"].dtype == np.bool_
        names = file.attrs["residue_encoder"]
        for key, label in (("-1", "HIS"), ("0", "GLY"), ("10A", "MET")):
            assert list(names[file["1abcA00/A"][key].attrs["encoded_residue"]]) == [label]
        unknown = file["1abcA00/A/10"].attrs
        assert (unknown["label"], unknown["encoded_residue"].any()) == ("UNK", False)


@pytest.mark.parametrize("settings", [DEFAULT, GAUSSIAN], ids=["binary", "gaussian"])
def test_the_line_reads_the_grids_that_were_made(pdb, tmp_path, settings):
    path = tmp_path / "x.hdf5"
    voxelize_files([pdb], path, settings=settings)
    frames = voxelize(read_structure(pdb), settings)
    rows = inventory(path, wanted_channels=CHANNELS).to_pylist()
    assert [(r["chain"], r["residue"]) for r in rows] == [(c, key) for c in "Ab" for key in KEYS]
    assert [r["label"] for r in rows] == [residue.label for residue in frames.structure.residues]
    with open_voxels(path, wanted=CHANNELS) as file:
        assert file.channels == CHANNELS
        for i, grid in enumerate(read_grids(file, [("1abcA00", r["chain"], r["residue"]) for r in rows])):
            assert np.array_equal(np.flatnonzero(grid), frames.grids[i].positions)
            if settings.gaussian:
                assert np.array_equal(grid.reshape(-1)[frames.grids[i].positions], frames.grids[i].values)


def test_the_same_structures_give_the_same_bytes_in_whatever_order(pdb, tmp_path):
    other = write_pdb(tmp_path / "more" / "0xyz.pdb")
    voxelize_files([pdb, other], tmp_path / "a.hdf5", settings=DEFAULT)
    command = [sys.executable, "-m", "workflow_scripts.voxel_voxelize", "--out", str(tmp_path / "b.hdf5")]
    subprocess.run([*command, "--structures", str(other), str(pdb.parent)], check=True, capture_output=True)
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_receipt_and_ledger_vouch_for_the_file(voxels):
    assert receipts.verify(voxels).records == 30
    assert ledger_path(voxels).name == "voxels.ledger.json"
    kinds = read_json(ledger_path(voxels))["kinds"]
    assert kinds == {
        STRUCTURE: {"expected": 1, "kept": 1, "rejected": {}},
        RESIDUE: {"expected": 30, "kept": 30, "rejected": {}},
    }


def test_residues_and_files_that_cannot_be_used_are_counted_and_the_rest_is_written(tmp_path):
    folder = tmp_path / "pdbs"
    write_pdb(folder / "whole.pdb", chains="ABC")
    write_pdb(folder / "lacks.pdb", without=["0", "10A"])
    write_pdb(folder / "nothing.pdb", without=KEYS)
    (folder / "broken.pdb").touch()
    settings = VoxelizeSettings(max_reject_fraction=0.6)
    ledger = voxelize_files([folder], tmp_path / "x.hdf5", settings=settings)
    assert ledger.to_dict()["kinds"] == {
        STRUCTURE: {"expected": 4, "kept": 2, "rejected": {"no_residue_group": 1, "unreadable": 1}},
        RESIDUE: {"expected": 75, "kept": 58, "rejected": {"missing_backbone_atom": 17}},
    }
    named = {row["item"] for row in ledger.rejections}
    assert {"broken", "nothing", "lacks/A/0", "lacks/A/10A"} <= named
    with h5py.File(tmp_path / "x.hdf5") as file:
        assert list(file) == ["lacks", "whole"]


def test_too_many_rejects_stop_the_build_and_leave_what_was_there(tmp_path):
    out = tmp_path / "x.hdf5"
    out.write_text("before")
    (tmp_path / "broken.pdb").touch()
    with pytest.raises(InputError, match=r"1 of 1 structures cannot be voxelised; .* = 0\.2\..*broken: unreadable \("):
        voxelize_files([tmp_path / "broken.pdb"], out, settings=DEFAULT)
    path = write_pdb(tmp_path / "lacks.pdb", without=KEYS[:4])
    with pytest.raises(InputError, match=r"4 of 15 structure_residues cannot .* lacks/A/-1: missing_backbone_atom"):
        voxelize_files([path], out, settings=DEFAULT)
    assert out.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"x.hdf5", "broken.pdb", "lacks.pdb"}


def test_domains_come_one_at_a_time(pdb, tmp_path):
    """Nothing waits for all the structures: the second is made when the first has been written."""
    frames = voxelize(read_structure(pdb), DEFAULT)
    alive = []

    def stream():
        for i in range(3):
            alive.append(i)
            yield renamed(frames, f"d{i}")
            assert len(alive) == i + 1

    assert write_voxels(tmp_path / "x.hdf5", stream(), settings=DEFAULT) == 90


_FULL = """
import errno, io, sys
from pathlib import Path
from trainyard.voxel import aposteriori
from workflow_scripts.voxel_voxelize import main
from trainyard.yard.command import run

class Small(io.FileIO):
    def write(self, data):
        if self.tell() + len(data) > int(sys.argv[3]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)

aposteriori.io.FileIO = Small
run(lambda: main(["--structures", sys.argv[1], "--out", sys.argv[2]]))
"""


@pytest.mark.parametrize("room", [100, 60_000])
def test_a_full_disk_is_told_and_does_not_crash_the_process(pdb, tmp_path, room):
    """HDF5 crashes at exit when it could not close its file; the exit code must be that of the fault."""
    out = tmp_path / "x" / "voxels.hdf5"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(pdb), str(out), str(room)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stderr
    assert "voxels.hdf5: the disk is full" in done.stderr
    assert list(out.parent.iterdir()) == []


def test_nothing_more_is_made_once_the_disk_is_full(pdb, tmp_path, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    frames, made = voxelize(read_structure(pdb), DEFAULT), []

    def stream():
        for i in range(50):
            made.append(i)
            yield renamed(frames, f"d{i}")

    monkeypatch.setattr("trainyard.voxel.aposteriori.io.FileIO", Full)
    with pytest.raises(EnvironmentFault, match="the disk is full"):
        write_voxels(tmp_path / "x.hdf5", stream(), settings=DEFAULT)
    assert made == [0]


def test_one_command_voxelises_one_file(pdb, tmp_path, capsys):
    out = tmp_path / "one.hdf5"
    voxel_voxelize.main(["--structures", str(pdb), "--out", str(out)])
    assert capsys.readouterr().out == f"{out}: 1 of 1 structures kept, 30 of 30 structure_residues kept\n"
    voxel_voxelize.main(["--settings", '{"voxels_per_side": 11}', "--structures", str(pdb), "--out", str(out)])
    with h5py.File(out) as file:
        assert file["1abcA00/A/10A"].shape == (11, 11, 11, 5)
