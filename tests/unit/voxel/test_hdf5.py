"""Voxel files are read exactly in all their variants, and never lead out of themselves."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from trainyard.voxel.grids import GridFault
from trainyard.voxel.hdf5 import open_voxels, read_grids
from trainyard.voxel.reasons import Reason
from trainyard.yard.errors import InputError

WANTED = ("C", "N", "O", "CA", "CB")
OLD = ("C", "N", "O", "CB", "CA")


@pytest.fixture
def protein(voxels):
    return {"1abcA00": {"A": {str(i): voxels.grid(i) for i in range(1, 6)}}}


def read_all(path, protein, wanted=WANTED):
    names = [(d, c, r) for d, chains in protein.items() for c, residues in chains.items() for r in residues]
    with open_voxels(path, wanted=wanted) as file:
        return dict(zip(map("/".join, names), read_grids(file, names), strict=True))


def fault(path, where="1abcA00/A/1"):
    with open_voxels(path, wanted=WANTED) as file, pytest.raises(GridFault) as caught:
        file.read(where)
    return caught.value


@pytest.mark.parametrize("first", [False, True], ids=["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", ">i4", "float16", "float32", "float64", ">f8"])
def test_grids_of_every_type_and_layout_are_float32_of_the_file(voxels, protein, dtype, first):
    found = read_all(voxels.write(protein, dtype=dtype, first=first), protein)
    for residue, grid in protein["1abcA00"]["A"].items():
        assert found[f"1abcA00/A/{residue}"].dtype == np.float32
        assert np.array_equal(found[f"1abcA00/A/{residue}"], grid)


@pytest.mark.parametrize("storage", [{"chunks": None}, {"chunks": (11, 11, 11, 5)}, {"compression": "lzf"}], ids=str)
def test_grids_of_every_storage_are_read(voxels, protein, storage):
    found = read_all(voxels.write(protein, **storage), protein)
    assert np.array_equal(found["1abcA00/A/3"], protein["1abcA00"]["A"]["3"])


def test_values_come_back_as_float32_of_the_file_down_to_signs_and_underflow(voxels):
    grid = voxels.gaussian("x")
    grid[0, 0, 0, :4] = [-0.0, 1e-60, 0.1, 1e-40]
    path = voxels.write({"d": {"A": {"1": grid}}})
    (found,) = read_all(path, {"d": {"A": {"1": grid}}}).values()
    with h5py.File(path) as file:
        expected = np.moveaxis(file["d/A/1"][()].astype(np.float32), -1, 0)
    assert np.array_equal(found.view(np.uint32), np.ascontiguousarray(expected).view(np.uint32))
    assert np.signbit(found[0, 0, 0, 0])


@pytest.mark.parametrize("dims", [None, (21, 21, 21, 5), (5, 21, 21, 21)], ids=str)
def test_frame_dims_may_be_missing_or_channels_first(voxels, protein, dims):
    found = read_all(voxels.write(protein, attributes={"frame_dims": dims}), protein)
    assert np.array_equal(found["1abcA00/A/2"], protein["1abcA00"]["A"]["2"])


@pytest.mark.parametrize("sides", [(11, 11, 11), (41, 31, 51), (20, 20, 20)], ids=str)
def test_other_sides_are_read_from_frame_dims(voxels, sides):
    protein = {"d": {"A": {str(i): voxels.grid(i, sides=sides) for i in range(3)}}}
    path = voxels.write(protein)
    with open_voxels(path, wanted=WANTED) as file:
        assert file.shape.dims == (5, *sides)
        assert file.shape.index_dtype == (np.uint16 if np.prod(sides) * 5 <= 65536 else np.uint32)
    assert np.array_equal(read_all(path, protein)["d/A/1"], protein["d"]["A"]["1"])


def test_chains_numbers_below_one_and_insertion_codes_are_names_like_others(voxels):
    protein = {"d": {"A": {n: voxels.grid(n) for n in ("0", "-3", "10", "10A")}, "B": {"-3": voxels.grid("b")}}}
    found = read_all(voxels.write(protein), protein)
    assert np.array_equal(found["d/B/-3"], protein["d"]["B"]["-3"])
    assert not np.array_equal(found["d/A/10"], found["d/A/10A"])


@pytest.mark.parametrize("attribute", [True, False], ids=["attribute", "geometry_alone"])
@pytest.mark.parametrize("order", [WANTED, OLD, ("O", "CA", "N", "CB", "C")], ids=" ".join)
@pytest.mark.parametrize("gaussian", [False, True], ids=["bool", "gaussian"])
def test_channels_come_as_wanted_whatever_their_order_in_the_file(voxels, protein, order, attribute, gaussian):
    if gaussian:
        protein = {"1abcA00": {"A": {str(i): voxels.gaussian(i) for i in range(4)}}}
    path = voxels.write(protein, order=order, attributes=None if attribute else {"atom_encoder": None})
    with open_voxels(path, wanted=WANTED) as file:
        assert file.channels == order
        assert [order[i] for i in file.permutation] == list(WANTED)
    assert np.array_equal(read_all(path, protein)["1abcA00/A/1"], protein["1abcA00"]["A"]["1"].astype(np.float32))


def test_wanted_order_is_free(voxels, protein):
    found = read_all(voxels.write(protein), protein, wanted=("CB", "CA", "O", "N", "C"))
    assert np.array_equal(found["1abcA00/A/1"], protein["1abcA00"]["A"]["1"][::-1])


def test_attribute_as_bytes_is_understood(voxels, protein):
    path = voxels.write(protein, attributes={"atom_encoder": np.array([name.encode() for name in WANTED])})
    assert np.array_equal(read_all(path, protein)["1abcA00/A/1"], protein["1abcA00"]["A"]["1"])


def test_attribute_that_the_geometry_contradicts_is_refused(voxels, protein):
    path = voxels.write(protein, order=WANTED, attributes={"atom_encoder": list(OLD)})
    with pytest.raises(InputError, match=r"atom_encoder says C, N, O, CB, CA, but in the grids CA is in channel 3"):
        read_all(path, protein)


def test_channels_that_nothing_tells_are_refused(voxels):
    protein = {"d": {"A": {"1": voxels.grid("x", sides=(20, 20, 20))}}}  # no centre voxel, so no geometry
    with pytest.raises(InputError, match="do not tell the order of the channels"):
        read_all(voxels.write(protein, attributes={"atom_encoder": None}), protein)


@pytest.mark.parametrize("wanted", [("C", "N", "O"), ("C", "N", "O", "CA", "Q"), ("C", "N", "O", "CA", "CA")])
def test_channels_other_than_those_of_the_file_are_refused(voxels, protein, wanted):
    with pytest.raises(InputError, match=r"channels C, N, O, CA, CB, but inputs.channel_order is"):
        read_all(voxels.write(protein), protein, wanted=wanted)


def test_one_broken_grid_does_not_hide_the_order_of_the_channels(voxels):
    proteins = {f"d{i}": voxels.protein(f"d{i}", ["1"]) for i in range(8)}
    proteins["d3"]["A"]["1"][...] = False
    path = voxels.write(proteins, order=OLD, attributes={"atom_encoder": None})
    assert np.array_equal(read_all(path, proteins)["d5/A/1"], proteins["d5"]["A"]["1"])


def test_bad_grids_are_faults_with_a_reason(voxels, protein):
    path = voxels.write(protein, dtype="float64")
    residues = protein["1abcA00"]["A"]
    with h5py.File(path, "r+") as file:
        group = file["1abcA00/A"]
        group["1"][0, 0, 0, 0] = np.nan
        group["2"][0, 0, 0, 0] = 1e300  # infinite in float32
        for name, data in {"3": residues["3"][:, :20], "4": np.array(["x"], "S4"), "5": np.zeros(4, "c8")}.items():
            del group[name]
            group[name] = data
        del group["5"]
        group.create_group("5")
    faults = {name: fault(path, f"1abcA00/A/{name}") for name in "12345"}
    assert [faults[name].reason for name in "123"] == [Reason.NOT_FINITE, Reason.NOT_FINITE, Reason.WRONG_SHAPE]
    assert [faults[name].reason for name in "45"] == [Reason.UNREADABLE] * 2
    assert "[5, 20, 21, 21], expected [21, 21, 21, 5]" in faults["3"].detail


def test_other_number_types_are_unreadable_but_named(voxels, protein):
    path = voxels.write(protein, dtype="complex64")
    assert "complex64 is no number" in fault(path).detail


def test_bytes_beyond_one_in_a_bool_are_not_hidden(voxels, protein):
    path = voxels.write(protein)
    with h5py.File(path, "r+") as file:
        dataset = file["1abcA00/A/1"].id
        raw = np.zeros((21, 21, 21, 5), np.int8)
        raw[10, 10, 10, 3] = 2
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, dataset.get_type())
    assert fault(path).reason is Reason.NOT_BINARY


def test_unknown_residue_is_an_error_that_names_it(voxels, protein):
    with (
        open_voxels(voxels.write(protein), wanted=WANTED) as file,
        pytest.raises(InputError, match=r"no 1abcA00/A/77; has the file changed"),
    ):
        file.read("1abcA00/A/77")


def leading_out(kind, file, folder):
    """Put something in place of residue 1 that leads out of the file."""
    group = file["1abcA00/A"]
    del group["1"]
    outside = folder / "other.hdf5"
    if kind == "external":
        group["1"] = h5py.ExternalLink(str(outside), "/x")
    elif kind == "external_behind_soft":
        file["1abcA00/B/out"] = h5py.ExternalLink(str(outside), "/")
        group["1"] = h5py.SoftLink("/1abcA00/B/out/x")
    elif kind == "virtual":
        layout = h5py.VirtualLayout((21, 21, 21, 5), "bool")
        layout[...] = h5py.VirtualSource(str(outside), "x", shape=(21, 21, 21, 5))
        group.create_virtual_dataset("1", layout)
    elif kind == "storage":
        group.create_dataset("1", (21, 21, 21, 5), "bool", external=[(str(outside), 0, h5py.h5f.UNLIMITED)])
    elif kind == "chain":
        file.move("1abcA00/A", "elsewhere")
        file["1abcA00/A"] = h5py.ExternalLink(str(outside), "/")
    elif kind == "circle":
        group["1"] = h5py.SoftLink("1")


@pytest.mark.parametrize("kind", ["external", "external_behind_soft", "virtual", "storage", "chain", "circle"])
def test_what_leads_out_of_the_file_is_refused_by_name(voxels, protein, kind):
    path = voxels.write(protein)
    with h5py.File(voxels.folder / "other.hdf5", "w") as file:
        file["x"] = np.moveaxis(protein["1abcA00"]["A"]["1"], 0, -1)
    with h5py.File(path, "r+") as file:
        leading_out(kind, file, voxels.folder)
    where = "1abcA00/A" if kind == "chain" else "1abcA00/A/1"
    with pytest.raises(InputError, match=rf"{where} (is a link out of the file|keeps its data in other files)"):
        read_all(path, {"1abcA00": {"A": {"1": None}}})


def test_dangling_soft_link_is_refused_and_one_within_the_file_followed(voxels, protein):
    path = voxels.write(protein)
    with h5py.File(path, "r+") as file:
        file["1abcA00/A/alias"] = h5py.SoftLink("/1abcA00/A/2")
    assert np.array_equal(
        read_all(path, {"1abcA00": {"A": {"alias": None}}})["1abcA00/A/alias"], protein["1abcA00"]["A"]["2"]
    )
    with h5py.File(path, "r+") as file:
        file["1abcA00/A/lost"] = h5py.SoftLink("/1abcA00/A/99")
    with pytest.raises(InputError, match="no 1abcA00/A/lost"):
        read_all(path, {"1abcA00": {"A": {"lost": None}}})


def test_absurd_shapes_are_refused(voxels, protein):
    path = voxels.write(protein)
    with h5py.File(path, "r+") as file:
        file["1abcA00/A"].create_dataset("9", (2**20, 2**20, 2**10, 5), "bool", chunks=(16, 16, 16, 5))
        file["1abcA00/A"].create_dataset(
            "8", (21, 21, 21, 5), "bool", chunks=(2**20, 21, 21, 5), maxshape=(None, 21, 21, 5)
        )
    for name in "89":
        with pytest.raises(InputError, match=f"1abcA00/A/{name} has the absurd shape"):
            read_all(path, {"1abcA00": {"A": {name: None}}})
    huge = voxels.write(protein, name="huge.hdf5", attributes={"frame_dims": [2**20, 2**20, 2**20, 5]})
    with pytest.raises(InputError, match="absurdly large"):
        read_all(huge, protein)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all" * 100, "truncated"], ids=["empty", "text", "truncated"])
def test_files_that_are_not_whole_hdf5_are_refused(voxels, protein, content):
    path = voxels.write(protein)
    path.write_bytes(path.read_bytes()[:-100] if content == "truncated" else content)
    with pytest.raises(InputError, match=f"{path.name}: not a readable HDF5 file"):
        read_all(path, protein)


def test_missing_file_and_file_without_grids_are_refused(voxels, protein):
    with pytest.raises(InputError, match="no such file"):
        read_all(voxels.folder / "none.hdf5", protein)
    path = voxels.folder / "bare.hdf5"
    h5py.File(path, "w").close()
    with pytest.raises(InputError, match="neither the attribute frame_dims nor a grid"):
        read_all(path, protein)


def test_damaged_bytes_end_as_an_input_error_or_a_fault(voxels, protein):
    path = voxels.write(protein)
    whole = path.read_bytes()
    outcomes = set()
    for start in range(0, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[start : start + 64] = b"\xa5" * len(damaged[start : start + 64])
        path.write_bytes(damaged)
        try:
            read_all(path, protein)
            outcomes.add("fine")
        except (InputError, GridFault) as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"fine", "InputError", "GridFault"}
