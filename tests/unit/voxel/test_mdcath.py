"""Files of mdCATH, built here after the published schema: structure and labels."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest

from trainyard.voxel.mdcath import mdcath_rmsf, write_rmsf
from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.structures import read_structure
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger
from workflow_scripts import voxel_extract_rmsf

RESIDUES = ((0, " ", "MET"), (1, " ", "HSD"), (1, "A", "GLY"))
PLACES = {
    "N": (0.0, 1.46, 0.0),
    "HN": (0.0, 2.0, 0.0),
    "CA": (0.0, 0.0, 0.0),
    "C": (1.42, -0.55, 0),
    "O": (2.1, -0.2, 1),
}


def pdb(residues=RESIDUES):
    lines = []
    for i, (resid, icode, resname) in enumerate(residues):
        for name, (x, y, z) in PLACES.items():
            where = f"{resname} 0{resid:4d}{icode}   {x + 4 * i:8.3f}{y:8.3f}{z:8.3f}"
            lines.append(f"ATOM  {len(lines) + 1:5d}  {name:<3} {where}  0.00  0.00           {name[0]}")
    return "\n".join(lines) + "\n"


def write(folder: Path, rmsf, *, domain="1abcA00", text=None, dssp=None):
    """A file; `rmsf` by temperature and replica, nm."""
    path = folder / f"mdcath_dataset_{domain}.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group(domain)
        group.create_dataset("pdbProteinAtoms", data=(pdb() if text is None else text).encode())
        group.create_dataset("resid", data=[0, 1, 1])
        for kelvin, replicas in rmsf.items():
            for name, values in replicas.items():
                replica = group.create_group(f"{kelvin}/{name}")
                replica.create_dataset("rmsf", data=np.array(values, np.float32))
                if dssp:
                    replica.create_dataset("dssp", data=np.array([list(frame) for frame in dssp], "S1"))
    return path


def test_the_structure_is_that_of_the_pdb_text(tmp_path):
    path = write(tmp_path, {320: {0: [0.1, 0.2, 0.3]}})
    (tmp_path / "1abcA00.pdb").write_text(pdb())
    found, expected = read_structure(path), read_structure(tmp_path / "1abcA00.pdb")
    assert found.domain == "1abcA00"
    assert [(r.chain, r.key, r.label) for r in found.residues] == [
        ("A", "0", "MET"),
        ("A", "1", "HIS"),
        ("A", "1A", "GLY"),
    ]
    assert np.array_equal(found.backbone, expected.backbone)


def test_rmsf_is_the_mean_of_the_replicas_by_temperature(tmp_path):
    rmsf = {1000: {0: [3, 4, 5]}, 320: {0: [0.1, 0.2, 0.3], 1: [0.2, 0.4, 0.6], 2: [0.3, 0.6, 0.9]}}
    rows = mdcath_rmsf(write(tmp_path, rmsf))
    assert [(row.resid, row.resname, row.temperature_feature) for row in rows] == [
        *[("0", "MET", 320), ("1", "HSD", 320), ("1A", "GLY", 320)],
        *[("0", "MET", 1000), ("1", "HSD", 1000), ("1A", "GLY", 1000)],
    ]
    assert [row.target_rmsf for row in rows] == pytest.approx([0.2, 0.4, 0.6, 3, 4, 5], rel=1e-6)
    assert {row.domain_id for row in rows} == {"1abcA00"}
    assert {row.dssp for row in rows} == {""}


def test_a_replica_without_a_value_leaves_none(tmp_path):
    rows = mdcath_rmsf(write(tmp_path, {320: {0: [0.1, 0.2, 0.3], 1: [0.1, np.nan, 0.3]}}))
    assert [bool(np.isnan(row.target_rmsf)) for row in rows] == [False, True, False]


def test_dssp_is_the_most_frequent_letter_of_all_frames(tmp_path):
    frames = ["HE ", "HEC", "T C", "TE ", "HB "]
    rows = mdcath_rmsf(write(tmp_path, {320: {0: [1, 1, 1], 1: [1, 1, 1]}}, dssp=frames))
    assert [row.dssp for row in rows] == ["H", "E", "C"]


def test_the_table_is_read_back_by_the_line(tmp_path):
    first = write(tmp_path, {320: {0: [0.1, 0.2, 0.3]}, 450: {0: [1, 2, np.nan]}})
    second = write(tmp_path, {320: {0: [0.4, 0.5, 0.6]}}, domain="2abcA00", dssp=["HHH"])
    out = tmp_path / "rmsf.csv"
    assert write_rmsf([first, second], out) == 9
    with out.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[0] == {
        **{"domain_id": "1abcA00", "resid": "0", "resname": "MET", "temperature_feature": "320"},
        **{"target_rmsf": "0.1", "dssp": ""},
    }
    ledger = Ledger("voxel", Reason)
    table = read_rmsf([out], unit="nm", ledger=ledger, settings=VoxelPlanSettings())
    assert table.num_rows == 8
    assert ledger.rejected("rmsf_row", Reason.MISSING_VALUE) == 1
    assert table["icode"].to_pylist()[:3] == ["", "", "A"]
    assert table["target_rmsf"].to_pylist()[-3:] == [np.float32(0.4), np.float32(0.5), np.float32(0.6)]


def test_a_folder_of_files_becomes_one_table_by_one_command(tmp_path, capsys):
    for domain in ("2abcA00", "1abcA00"):
        write(tmp_path, {320: {0: [0.1, 0.2, 0.3]}}, domain=domain)
    voxel_extract_rmsf.main(["--structures", str(tmp_path), "--out", str(tmp_path / "rmsf.csv")])
    assert capsys.readouterr().out == f"{tmp_path / 'rmsf.csv'}: 6 rows\n"
    assert [line[:7] for line in (tmp_path / "rmsf.csv").read_text().splitlines()[1:]] == ["1abcA00"] * 3 + [
        "2abcA00"
    ] * 3


def test_values_that_cannot_be_told_apart_are_refused(tmp_path):
    """Upstream cuts the longer one and goes on, with shifted labels."""
    path = write(tmp_path, {320: {0: [0.1, 0.2]}})
    with pytest.raises(
        InputError, match=r"/1abcA00/320/0/rmsf has the shape \[2\], but pdbProteinAtoms has 3 CA atoms"
    ):
        mdcath_rmsf(path)


def spoiled(path, how):
    """Break a whole file in one of several ways."""
    with h5py.File(path, "r+") as file:
        group = file["1abcA00"]
        if how == "renamed":
            file.move("1abcA00", "other")
        elif how == "no pdb":
            del group["pdbProteinAtoms"]
        elif how == "pdb is a number":
            del group["pdbProteinAtoms"]
            group["pdbProteinAtoms"] = 7
        elif how == "no temperature":
            del group["320"]
        elif how == "no replica":
            del group["320/0"]
        elif how == "no rmsf":
            del group["320/0/rmsf"]
        elif how == "link out":
            del group["320/0/rmsf"]
            group["320/0"]["rmsf"] = h5py.ExternalLink("other.h5", "/x")
        elif how == "group linked out":
            del group["320"]
            group["320"] = h5py.ExternalLink("other.h5", "/x")
        elif how == "virtual":
            del group["320/0/rmsf"]
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
            group["320/0"].create_virtual_dataset("rmsf", layout)
        elif how == "absurd":
            del group["320/0/rmsf"]
            group["320/0"].create_dataset("rmsf", shape=(2**40,), dtype="f4", chunks=(1024,))
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("renamed", "expected a group 1abcA00 in /, but found other"),
        ("no pdb", "has no /1abcA00/pdbProteinAtoms"),
        ("pdb is a number", "pdbProteinAtoms is not text"),
        ("no temperature", "1abcA00 has no temperature"),
        ("no replica", "/1abcA00/320 has no replica"),
        ("no rmsf", "has no /1abcA00/320/0/rmsf"),
        ("link out", "/1abcA00/320/0/rmsf is a link"),
        ("group linked out", "expected a group 320 in /1abcA00"),
        ("virtual", "no dataset with its data in the file itself"),
        ("absurd", r"has the absurd shape \[1099511627776\]"),
    ],
)
def test_broken_and_dangerous_files_are_refused(tmp_path, how, message):
    path = spoiled(write(tmp_path, {320: {0: [0.1, 0.2, 0.3]}}), how)
    with pytest.raises(InputError, match=rf"mdcath_dataset_1abcA00\.h5: .*{message}"):
        mdcath_rmsf(path)


def test_a_cut_off_file_is_refused(tmp_path):
    path = write(tmp_path, {320: {0: [0.1, 0.2, 0.3]}})
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        mdcath_rmsf(path)
    with pytest.raises(InputError, match="no such file"):
        mdcath_rmsf(tmp_path / "mdcath_dataset_none.h5")
