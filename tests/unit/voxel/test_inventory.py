"""The inventory lists every grid once, in canonical order, with a fingerprint of what is stored."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from trainyard.voxel.inventory import ITEM, inventory
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import INVENTORY
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger

WANTED = ("C", "N", "O", "CA", "CB")


def listed(path, **options):
    return inventory(path, wanted_channels=WANTED, **options)


def prints(table):
    return dict(zip(table["residue"].to_pylist(), table["fingerprint"].to_pylist(), strict=True))


def test_rows_are_sorted_by_number_not_by_name(voxels):
    residues = ["10", "9", "-3", "0", "100", "10A", "11"]
    proteins = {"5gaeN01": voxels.protein("n", ["1"]), "5gaea00": voxels.protein("a", residues)}
    proteins["5gaea00"]["B"] = {"2": voxels.grid("b")}
    table = listed(voxels.write(proteins))
    INVENTORY.check(table)
    assert table["domain"].to_pylist() == ["5gaeN01"] + ["5gaea00"] * 8
    assert table["chain"].to_pylist() == ["A"] * 8 + ["B"]
    assert table["residue"].to_pylist() == ["1", "-3", "0", "9", "10", "10A", "11", "100", "2"]
    assert table["resid"].to_pylist() == [1, -3, 0, 9, 10, 10, 11, 100, 2]
    assert table["icode"].to_pylist() == [""] * 5 + ["A"] + [""] * 3
    assert set(table["label"].to_pylist()) == {"ALA"}
    assert set(zip(table["shape"].to_pylist(), table["dtype"].to_pylist(), strict=True)) == {("21,21,21,5", "bool")}
    assert table["temperature"].null_count == 9


@pytest.mark.parametrize("storage", [{"chunks": None}, {"compression": "gzip"}], ids=["contiguous", "chunked"])
def test_fingerprint_follows_grid_label_and_channels_of_its_residue_alone(voxels, storage):
    proteins = {"d": voxels.protein("d", ["1", "2", "3"])}
    before = prints(listed(voxels.write(proteins, **storage)))
    assert before == prints(listed(voxels.write(proteins, name="copy.hdf5", **storage)))
    assert len(set(before.values())) == 3
    proteins["d"]["A"]["2"] = voxels.grid("other")
    path = voxels.write(proteins, **storage)
    with h5py.File(path, "r+") as file:
        file["d/A/3"].attrs["label"] = "GLY"
    after = prints(listed(path))
    assert before["1"] == after["1"]
    assert before["2"] != after["2"]
    assert before["3"] != after["3"]
    swapped = prints(inventory(path, wanted_channels=("C", "N", "O", "CB", "CA")))
    assert not {*swapped.values()} & {*after.values()}


def test_labels_of_every_kind_of_text_are_read_and_others_are_null(voxels):
    path = voxels.write({"d": voxels.protein("d", ["1", "2", "3", "4", "5"])})
    with h5py.File(path, "r+") as file:
        for name, label in {"1": "GLY", "2": np.bytes_("HIS"), "3": 7, "4": np.array(["A", "B"], "S1")}.items():
            file[f"d/A/{name}"].attrs["label"] = label
        del file["d/A/5"].attrs["label"]
    assert listed(path)["label"].to_pylist() == ["GLY", "HIS", None, None, None]


def test_what_is_no_grid_goes_to_the_ledger_and_names_without_number_have_no_resid(voxels):
    path = voxels.write({"d": voxels.protein("d", ["1", "hello"])})
    with h5py.File(path, "r+") as file:
        file["readme"] = "text"
        file["d/note"] = np.arange(3)
        file.create_group("empty")
        file.create_group("d/A/2/320")
    ledger = Ledger("voxel", Reason)
    table = listed(path, ledger=ledger)
    ledger.check()
    assert table["residue"].to_pylist() == ["1", "hello"]
    assert table["resid"].to_pylist() == [1, None]
    rows = {row["item"]: (row["reason"], row["detail"]) for row in ledger.rejections if row["kind"] == ITEM}
    assert rows["readme"] == ("not_a_residue", "not a group")
    assert rows["d/note"] == ("not_a_residue", "not a chain, which is a group")
    assert rows["empty"] == ("no_residue_group", "a domain without any grid")
    assert "set inputs.per_temperature" in rows["d/A/2"][1]


def test_grids_of_other_shapes_and_types_are_listed_for_the_plan_to_judge(voxels):
    path = voxels.write({"d": voxels.protein("d", ["1", "2"])})
    with h5py.File(path, "r+") as file:
        del file["d/A/2"]
        file["d/A/2"] = np.zeros((3, 3), "f4")
    table = listed(path)
    assert table["shape"].to_pylist() == ["21,21,21,5", "3,3"]
    assert table["dtype"].to_pylist() == ["bool", "float32"]


def test_one_grid_per_temperature_is_a_row_per_temperature(voxels):
    residues = {f"{residue}/{kelvin}": voxels.grid(residue, kelvin) for residue in (9, 10) for kelvin in (320, 348)}
    path = voxels.write({"d": {"A": residues}})
    with h5py.File(path, "r+") as file:
        file["d/A/9/mean"] = np.zeros(3)
    ledger = Ledger("voxel", Reason)
    table = listed(path, per_temperature=True, ledger=ledger)
    assert table["residue"].to_pylist() == ["9/320", "9/348", "10/320", "10/348"]
    assert table["resid"].to_pylist() == [9, 9, 10, 10]
    assert table["temperature"].to_pylist() == [320, 348, 320, 348]
    assert [row["item"] for row in ledger.rejections] == ["d/A/9/mean"]


def test_chunks_that_were_never_written_are_part_of_the_fingerprint(voxels):
    path = voxels.write({"d": voxels.protein("d", ["1"])})
    with h5py.File(path, "r+") as file:
        for name, corner in {"2": 0, "3": 20}.items():
            dataset = file["d/A"].create_dataset(name, (21, 21, 21, 5), "bool", chunks=(11, 11, 11, 5))
            dataset[corner, 0, 0, 0] = True
    assert len({*prints(listed(path)).values()}) == 3


def test_links_out_of_the_file_are_refused_already_when_listing(voxels):
    path = voxels.write({"d": voxels.protein("d", ["1"])})
    with h5py.File(path, "r+") as file:
        file["d/A/2"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(InputError, match="d/A/2 is a link out of the file"):
        listed(path)
