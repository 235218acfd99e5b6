"""Structures as files have them: which residues and atoms are read, and what is refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

from trainyard.voxel.reasons import Reason
from trainyard.voxel.structures import Residue, domain_name, find_structures, read_structure, standard_name
from trainyard.yard.errors import EnvironmentFault, InputError

PLACES = {"N": (0.0, 1.46, 0.0), "CA": (0.0, 0.0, 0.0), "C": (1.42, -0.55, 0.0), "O": (2.1, -0.2, 1.0)}


def atom(name, resid, x, y, z, *, resname="ALA", chain="A", icode=" ", alt=" ", record="ATOM"):
    where = f"{chain}{resid:4d}{icode}   {x:8.3f}{y:8.3f}{z:8.3f}"
    return f"{record:<6}    1  {name:<3}{alt}{resname:<3} {where}  1.00  0.00          {name[0]:>2}"


def residue(resid, *, shift=0.0, without=(), **options):
    """Lines of a residue; `shift` tells residues apart by their x."""
    return [atom(name, resid, x + shift, y, z, **options) for name, (x, y, z) in PLACES.items() if name not in without]


def write(path: Path, *lines):
    path.write_text("\n".join([*(line for part in lines for line in part), "END", ""]))
    return path


def read(folder: Path, *lines):
    return read_structure(write(folder / "x.pdb", *lines))


def ids(structure):
    return [(r.chain, r.key, r.label) for r in structure.residues]


def left_out(structure):
    return [(name, fault.reason) for name, fault in structure.left_out]


def test_backbone_comes_in_order_and_missing_atoms_are_nan(tmp_path):
    found = read(tmp_path, residue(1), residue(2, shift=4, without=["O"]), [atom("CB", 2, 9, 9, 9)])
    assert found.domain == "x"
    assert found.backbone.shape == (2, 4, 3)
    assert found.backbone[0].tolist() == [list(place) for place in PLACES.values()]
    assert np.isnan(found.backbone[1, 3]).all()
    assert found.backbone[1, :3, 0].tolist() == pytest.approx([4.0, 4.0, 5.42])


def test_numbers_below_one_and_insertion_codes_name_different_residues(tmp_path):
    lines = [residue(n, icode=i) for n, i in ((-3, " "), (0, " "), (10, " "), (10, "A"), (10, "B"), (9, " "))]
    found = read(tmp_path, *lines)
    assert [r.key for r in found.residues] == ["-3", "0", "10", "10A", "10B", "9"]
    assert found.residues[3] == Residue("A", 10, "A", "ALA")
    assert found.left_out == ()


def test_labels_are_standard_names(tmp_path):
    names = ["HSD", "HSE", "HSP", "HIE", "CYX", "MSE", "SEC", "UNK"]
    found = read(tmp_path, *(residue(i, resname=name) for i, name in enumerate(names)))
    assert [r.label for r in found.residues] == ["HIS", "HIS", "HIS", "HIS", "CYS", "MET", "SEC", "UNK"]
    assert standard_name("TPO") == "THR"


def test_the_last_of_two_atoms_of_one_name_wins(tmp_path):
    """Capped residues of mdCATH have two N; aposteriori takes the second."""
    found = read(tmp_path, [atom("N", 1, 5, 5, 5)], residue(1))
    assert found.backbone[0, 0].tolist() == [0.0, 1.46, 0.0]


def test_the_first_alternate_location_counts_and_atoms_without_one_belong_to_a(tmp_path):
    plain = residue(1, without=["O"])
    later = [atom("O", 1, 7, 7, 7, alt="B"), atom("O", 1, 6, 6, 6, alt="A")]
    assert read(tmp_path, plain, later).backbone[0, 3].tolist() == [6, 6, 6]
    # aposteriori has no O here, since state A has none.
    assert np.isnan(read(tmp_path, plain, later[:1]).backbone[0, 3]).all()


def test_a_backbone_that_the_first_state_lacks_comes_from_the_next(tmp_path):
    found = read(
        tmp_path, residue(1, without=["CA"]), [atom("CA", 1, 3, 3, 3, alt="C"), atom("CA", 1, 2, 2, 2, alt="B")]
    )
    assert found.backbone[0, :, 0].tolist() == [0.0, 2.0, 1.42, 2.1]


def test_only_the_first_model_counts(tmp_path):
    models = [["MODEL        1"], residue(1), ["ENDMDL", "MODEL        2"], residue(1, shift=9), residue(2), ["ENDMDL"]]
    found = read(tmp_path, *models)
    assert found.backbone[:, 1].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("chain", [" ", "0"])
def test_a_blank_chain_and_chain_0_become_a(tmp_path, chain):
    found = read(tmp_path, residue(1, chain=chain), residue(1, chain="B"))
    assert [r.chain for r in found.residues] == ["A", "B"]


def test_chains_are_sorted_and_keep_their_own_order_of_residues(tmp_path):
    found = read(tmp_path, residue(7, chain="B"), residue(9), residue(3))
    assert [(r.chain, r.key) for r in found.residues] == [("A", "9"), ("A", "3"), ("B", "7")]


def test_chains_that_would_get_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"x\.pdb: chains \(blank\) and A would both be chain A; rename one"):
        read(tmp_path, residue(1, chain=" "), residue(1))
    # Water in a chain without a name, as old files have it, does no harm.
    found = read(tmp_path, [atom("O", 1, 0, 0, 0, resname="HOH", chain=" ", record="HETATM")], residue(1))
    assert ids(found) == [("A", "1", "ALA")]


def test_what_is_no_amino_acid_is_ignored(tmp_path):
    others = [("HOH", "HETATM"), ("SO4", "HETATM"), ("ACE", "ATOM"), ("NME", "ATOM"), ("DA", "ATOM"), ("U", "ATOM")]
    lines = [residue(i, resname=name, record=record, without=["CA"]) for i, (name, record) in enumerate(others, 50)]
    calcium = [atom("CA", 90, 0, 0, 0, resname="CA", record="HETATM")]
    found = read(tmp_path, residue(1), *lines, calcium)
    assert ids(found) == [("A", "1", "ALA")]
    assert found.left_out == ()


def test_modified_residues_in_hetatm_need_their_whole_backbone(tmp_path):
    whole = residue(2, resname="MSE", record="HETATM")
    cut = residue(3, resname="MSE", record="HETATM", without=["O"])
    unknown = residue(4, resname="QQQ"), residue(5, resname="QQQ", without=["O"])
    found = read(tmp_path, residue(1), whole, cut, *unknown)
    assert ids(found) == [("A", "1", "ALA"), ("A", "2", "MET"), ("A", "4", "QQQ")]
    assert left_out(found) == [("A/3", Reason.MISSING_BACKBONE)]


def test_of_two_residues_of_one_number_the_first_stays(tmp_path):
    """A position that is SER in one state and THR in another; aposteriori gives the structure up."""
    found = read(tmp_path, residue(1, resname="SER", alt="A"), residue(1, resname="THR", alt="B"), residue(2))
    assert ids(found) == [("A", "1", "SER"), ("A", "2", "ALA")]
    assert left_out(found) == [("A/1", Reason.REPEATED_RESIDUE)]
    assert found.left_out[0][1].detail == "THR, but there is SER of this number"


def test_mmcif_and_gzip_give_what_pdb_gives(tmp_path):
    path = write(tmp_path / "x.pdb", residue(-1), residue(10, icode="A", resname="HSD"), residue(3, chain="B"))
    expected = read_structure(path)
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    (tmp_path / "cif").mkdir()
    structure.make_mmcif_document().write_file(str(tmp_path / "cif" / "x.cif"))
    zipped = [tmp_path / "cif" / "x.cif.gz", tmp_path / "cif" / "x.pdb.gz"]
    zipped[0].write_bytes(gzip.compress((tmp_path / "cif" / "x.cif").read_bytes()))
    zipped[1].write_bytes(gzip.compress(path.read_bytes()))
    for other in [tmp_path / "cif" / "x.cif", *zipped]:
        found = read_structure(other)
        assert (found.domain, found.residues) == (expected.domain, expected.residues)
        assert np.array_equal(found.backbone, expected.backbone)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pdb", b"", "cannot be read as PDB or mmCIF .* is it empty or cut off"),
        ("text.pdb", b"no structure\n", "holds no protein residue"),
        ("half.pdb.gz", gzip.compress(b"x" * 9999)[:20], "cannot be read as PDB or mmCIF"),
        ("data.cif", b"data_x\n_a.b 1\n", "holds no atoms"),
        ("bad.cif", b"data_x\nloop_\n_a.b\n_a.c\n1\n", "cannot be read as PDB or mmCIF"),
        ("nothing.h5", b"", "not a readable HDF5 file"),
    ],
)
def test_files_that_hold_no_structure_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*{message}"):
        read_structure(tmp_path / name)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.pdb: no such file"):
        read_structure(tmp_path / "no.pdb")
    with pytest.raises(InputError, match="cannot be read as PDB"):
        read_structure(tmp_path)


def test_dna_alone_is_no_protein(tmp_path):
    with pytest.raises(InputError, match="holds no protein residue"):
        read(tmp_path, residue(1, resname="DA"))


def test_a_chain_name_that_hdf5_cannot_hold_is_refused(tmp_path):
    structure = gemmi.read_structure(str(write(tmp_path / "x.pdb", residue(1))))
    structure[0][0].name = "A/B"
    structure.make_mmcif_document().write_file(str(tmp_path / "y.cif"))
    with pytest.raises(InputError, match="chain 'A/B' cannot be the name of a group"):
        read_structure(tmp_path / "y.cif")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("1ubq.pdb", "1ubq"),
        ("x.v2.pdb.gz", "x"),
        ("AF_P1_F1.cif", "AF_P1_F1"),
        ("mdcath_dataset_12asA00.h5", "12asA00"),
    ],
)
def test_the_domain_is_the_name_up_to_the_first_dot(name, domain):
    assert domain_name(Path(name)) == domain


def test_folders_are_searched_and_sorted_by_domain(tmp_path):
    for name in ("b.pdb", "sub/a.cif.gz", "c.ENT", "notes.txt", ".hidden.pdb", "d.pdb.part", "e.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_structures([tmp_path])
    assert list(found) == ["a", "b", "c", "e"]
    assert find_structures([tmp_path / "c.ENT", tmp_path / "b.pdb", tmp_path / "b.pdb"]) == {
        "b": tmp_path / "b.pdb",
        "c": tmp_path / "c.ENT",
    }


def test_two_files_of_one_domain_are_both_named(tmp_path):
    for name in ("x.v1.pdb", "x.v2.pdb"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"x\.v1\.pdb and .*x\.v2\.pdb are both domain x; rename one"):
        find_structures([tmp_path])


def test_paths_without_structures_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"gone: no such file or folder"):
        find_structures([tmp_path / "gone"])
    with pytest.raises(InputError, match=r"no structure in this folder; looked for \.cif"):
        find_structures([tmp_path])
    with pytest.raises(InputError, match="no name before its first dot"):
        find_structures([Path(__file__), write(tmp_path / ".pdb", residue(1))])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_fault_of_the_machine(tmp_path):
    path = write(tmp_path / "x.pdb", residue(1))
    path.chmod(0)
    with pytest.raises(EnvironmentFault, match="permission denied"):
        read_structure(path)
