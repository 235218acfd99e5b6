from __future__ import annotations

import pytest

from trainyard.voxel.names import domain_parts, normalise_resname, parse_residue_key


@pytest.mark.parametrize("name", ["HSD", "HSE", "HSP", "HID", "HIE", "HIP", "HIS", "hsd", " HIS "])
def test_protonation_states_of_histidine_are_histidine(name):
    assert normalise_resname(name) == "HIS"


@pytest.mark.parametrize(("name", "standard"), [("MSE", "MET"), ("CYX", "CYS"), ("ASH", "ASP"), ("ALA", "ALA")])
def test_modified_residues_have_the_name_of_their_amino_acid(name, standard):
    assert normalise_resname(name) == standard


def test_an_unknown_name_stays():
    assert normalise_resname("xyz") == "XYZ"


@pytest.mark.parametrize(
    ("key", "parts"),
    [("12", (12, "")), ("0", (0, "")), ("-3", (-3, "")), ("10A", (10, "A")), ("-1b", (-1, "b")), ("007", (7, ""))],
)
def test_residue_keys_have_a_number_and_perhaps_an_insertion_code(key, parts):
    assert parse_residue_key(key) == parts


@pytest.mark.parametrize("key", ["", "A", "10AB", "1.5", "10 ", "--3", "1_0", "٣", str(2**31), "9" * 5000])
def test_what_is_no_residue_number_is_refused(key):
    with pytest.raises(ValueError, match="is not a residue number"):
        parse_residue_key(key)


@pytest.mark.parametrize(
    ("domain", "pdb", "chain"),
    [
        ("12asA00", "12as", "12asA"),
        ("1bho100", "1bho", "1bho1"),
        ("5gaea00", "5gae", "5gaea"),
        ("5gaeN01", "5gae", "5gaeN"),
        ("5GAEN01", "5gae", "5gaeN"),
        ("12asA00_pdb_clean", "12as", "12asA"),
        ("1ubq", "1ubq", "1ubq"),
        ("6eqe_1", "6eqe", "6eqe_1"),
        ("AF_P1_F1", "AF_P1_F1", "AF_P1_F1"),
        ("demo0001", "demo0001", "demo0001"),
    ],
)
def test_domain_ids_tell_entry_and_chain(domain, pdb, chain):
    assert domain_parts(domain) == (pdb, chain)
