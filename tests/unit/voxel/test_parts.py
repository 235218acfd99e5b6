"""A part holds what was asked for, exactly, in the same bytes every time."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from trainyard.voxel import parts
from trainyard.voxel.codec import checksums
from trainyard.voxel.grids import dense
from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.inventory import inventory
from trainyard.voxel.parts import GRID, encode_part, open_part, part_name, table_path
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import PARTS
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import verify

WANTED = ("C", "N", "O", "CA", "CB")


def encoded(path, out, *, rows=None, bad_grid="reject", **options):
    table = inventory(path, wanted_channels=WANTED, **options)
    ledger = Ledger("voxel", Reason)
    with open_voxels(path, wanted=WANTED) as file:
        encode_part(file, table if rows is None else table.take(rows), out, bad_grid=bad_grid, ledger=ledger)
    ledger.check()
    return ledger


def grids_of(part):
    return dense(part.take(), cells=part.shape.cells).reshape(-1, *part.shape.dims)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "store" / "grids" / part_name(0, 4)


def test_part_is_named_counting_from_one():
    assert part_name(0, 4) == "part_0001-0004.safetensors"


def test_part_table_and_receipt_tell_what_is_in_it(voxels, out):
    proteins = {"d1": voxels.protein("d1", ["9", "10", "10A"]), "d2": voxels.protein("d2", ["-3"])}
    ledger = encoded(voxels.write(proteins), out)
    part, table = open_part(out), PARTS.read(table_path(out))
    assert (part.codec, part.grids, part.rejected, ledger.kept(GRID)) == ("sparse", 4, 0, 4)
    assert table["residue"].to_pylist() == ["9", "10", "10A", "-3"]
    expected = [proteins[row["domain"]][row["chain"]][row["residue"]] for row in table.to_pylist()]
    assert np.array_equal(grids_of(part), expected)
    assert table["nnz"].to_pylist() == [int(grid.sum()) for grid in expected]
    assert table["crc32"].to_pylist() == checksums(part.take())
    assert verify(out).records == 4
    assert verify(out).schema == PARTS.digest


def test_the_safetensors_library_reads_a_part(voxels, out):
    protein = voxels.protein("d", ["1", "2"])
    encoded(voxels.write({"d": protein}), out)
    arrays = load_file(out)
    assert {name: array.dtype.name for name, array in arrays.items()} == {"indptr": "int64", "indices": "uint16"}
    (first, second) = (np.flatnonzero(grid) for grid in protein["A"].values())
    assert arrays["indptr"].tolist() == [0, len(first), len(first) + len(second)]
    assert np.array_equal(arrays["indices"], np.concatenate([first, second]))


def test_only_the_residues_asked_for_are_in_a_part_in_their_order(voxels, out):
    protein = voxels.protein("d", ["1", "2", "3"])
    encoded(voxels.write({"d": protein}), out, rows=[2, 0])
    assert np.array_equal(grids_of(open_part(out)), [protein["A"]["3"], protein["A"]["1"]])


def test_same_inputs_give_same_bytes_whatever_the_layout_of_the_file(voxels, tmp_path):
    proteins = {"d": voxels.protein("d", [str(i) for i in range(7)])}
    variants = [
        voxels.write(proteins),
        voxels.write(proteins, name="first.hdf5", first=True, dtype="float64"),
        voxels.write(proteins, name="old.hdf5", order=("C", "N", "O", "CB", "CA")),
    ]
    found = set()
    for number, path in enumerate([variants[0], *variants]):
        out = tmp_path / str(number) / "part.safetensors"
        encoded(path, out)
        found.add(tuple(file.read_bytes() for file in sorted(out.parent.iterdir())))
    assert len(found) == 1


def test_grids_of_single_temperatures_are_encoded_by_their_path(voxels, out):
    residues = {f"9/{kelvin}": voxels.grid(kelvin) for kelvin in (320, 348)}
    encoded(voxels.write({"d": {"A": residues}}), out, per_temperature=True)
    assert PARTS.read(table_path(out))["residue"].to_pylist() == ["9/320", "9/348"]
    assert np.array_equal(grids_of(open_part(out)), list(residues.values()))


def test_an_empty_part_is_a_part(voxels, out):
    encoded(voxels.write({"d": voxels.protein("d", ["1"])}), out, rows=pa.array([], pa.int64()))
    assert open_part(out).grids == 0
    assert len(open_part(out).take()) == 0


@pytest.mark.parametrize(
    ("scale", "value_type"), [(1.0, np.float16), (1 / 3, np.float32)], ids=["exact_in_float16", "only_in_float32"]
)
def test_values_are_kept_in_the_smallest_exact_type(voxels, out, scale, value_type, monkeypatch):
    monkeypatch.setattr(parts, "_BLOCK_CELLS", 2 * 46_305)  # values first appear in the second block
    grids = [voxels.grid(i).astype(float) for i in range(3)] + [voxels.gaussian(i) * scale for i in range(3)]
    path = voxels.write({"d": {"A": {str(i): grid for i, grid in enumerate(grids)}}})
    encoded(path, out)
    part = open_part(out)
    assert part.codec == "sparse"
    assert part.arrays["values"].dtype == value_type
    assert np.array_equal(grids_of(part), np.array(grids).astype(np.float32))
    assert PARTS.read(table_path(out))["crc32"].to_pylist() == checksums(part.take())


@pytest.mark.parametrize(("dtype", "codec"), [("bool", "packed"), ("float32", "raw")])
def test_dense_grids_are_packed_or_raw(voxels, out, dtype, codec, monkeypatch):
    monkeypatch.setattr(parts, "_BLOCK_CELLS", 2 * 46_305)
    grids = np.stack([voxels.grid(i) for i in range(5)]).astype(dtype)
    grids[:, :, :9] = 1 if dtype == "bool" else np.linspace(0.01, 1, 9 * 21 * 21).reshape(9, 21, 21)
    if dtype != "bool":
        grids[:, :, 11:] = 0.125
    path = voxels.write({"d": {"A": {str(i): grid for i, grid in enumerate(grids)}}})
    encoded(path, out)
    part = open_part(out)
    assert part.codec == codec
    assert np.array_equal(grids_of(part), grids.astype(np.float32))
    assert np.array_equal(dense(part.take(np.array([3, 1])), cells=46_305).reshape(2, 5, 21, 21, 21), grids[[3, 1]])


def test_a_part_larger_than_its_memory_is_the_same(voxels, tmp_path, monkeypatch):
    path = voxels.write({"d": {"A": {str(i): voxels.gaussian(i) for i in range(4)}}})
    encoded(path, tmp_path / "a" / "part.safetensors")
    monkeypatch.setattr(parts, "_IN_MEMORY", 100)
    encoded(path, tmp_path / "b" / "part.safetensors")
    assert [f.name for f in sorted((tmp_path / "b").iterdir())] == [f.name for f in sorted((tmp_path / "a").iterdir())]
    assert (tmp_path / "a" / "part.safetensors").read_bytes() == (tmp_path / "b" / "part.safetensors").read_bytes()


@pytest.fixture
def bad_file(voxels):
    """Residues 1 (good), 2 (no CA at the centre), 3 (empty), 4 (of another shape), 5 (good)."""
    residues = voxels.protein("d", [str(i) for i in range(1, 6)])["A"]
    residues["2"][3, 10, 10, 10] = False
    residues["3"][...] = False
    more = {f"d{i}": voxels.protein(f"d{i}", ["1"]) for i in range(6)}  # so that the order of channels is clear
    path = voxels.write({"d": {"A": residues}, **more})
    with h5py.File(path, "r+") as file:
        del file["d/A/4"]
        file["d/A/4"] = np.zeros((3, 3), bool)
    return path


def test_bad_grids_are_rejected_with_their_reason(bad_file, out):
    ledger = encoded(bad_file, out)
    part = open_part(out)
    assert PARTS.read(table_path(out))["residue"].to_pylist()[:2] == ["1", "5"]
    assert (part.grids, part.rejected) == (8, 3)
    assert [(row["item"], row["reason"]) for row in ledger.rejections] == [
        ("d/A/2", "no_ca_at_centre"),
        ("d/A/3", "empty_grid"),
        ("d/A/4", "wrong_shape"),
    ]


def test_a_part_whose_grids_are_all_bad_is_empty(bad_file, out):
    encoded(bad_file, out, rows=[1, 3])
    assert (open_part(out).grids, open_part(out).rejected) == (0, 2)
    assert PARTS.read(table_path(out)).num_rows == 0


def test_warn_keeps_what_can_be_kept(bad_file, out, caplog):
    with caplog.at_level(logging.WARNING):
        ledger = encoded(bad_file, out, bad_grid="warn")
    table = PARTS.read(table_path(out))
    assert table["residue"].to_pylist()[:4] == ["1", "2", "3", "5"]
    assert table["nnz"].to_pylist()[2] == 0
    assert ledger.rejected(GRID) == 1
    assert "d/A/2: no_ca_at_centre: channels set at the centre: none; kept" in caplog.text


def test_error_stops_and_leaves_nothing_behind(bad_file, out):
    with pytest.raises(InputError, match=r"d/A/4: wrong_shape: \[3, 3\], expected .*set plan.bad_grid to reject"):
        encoded(bad_file, out, bad_grid="error")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "no_header", "other_format", "empty"])
def test_what_is_not_a_whole_part_is_refused(voxels, out, damage):
    encoded(voxels.write({"d": voxels.protein("d", ["1"])}), out)
    whole = out.read_bytes()
    changed = {
        "cut": whole[:-3],
        "no_header": b"\xff" * 64,
        "other_format": whole.replace(b"trainyard.voxel_part", b"trainyard.voxel_pary"),
        "empty": b"",
    }
    out.write_bytes(changed[damage])
    with pytest.raises(IntegrityError, match="not a whole part of a voxel store"):
        open_part(out)


def test_missing_part_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_part(tmp_path / "part.safetensors")
