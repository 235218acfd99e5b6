from __future__ import annotations

import pytest

from trainyard.voxel.mapping import map_domains, read_domain_table
from trainyard.yard.errors import InputError

SUFFIXES = ["_pdb", "_pdb_clean", "_pdb_clean_fixed"]


def mapped(voxel, rmsf, **options):
    return {match.domain: match.rmsf_domain for match in map_domains(voxel, rmsf, **options)}


def test_equal_names_match_exactly_and_say_so():
    (match,) = map_domains(["12asA00"], ["12asA00", "153lA00"], suffixes=SUFFIXES)
    assert (match.rmsf_domain, match.method, match.evidence) == ("12asA00", "exact", "same name")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_listed_suffix_may_stand_on_either_side(suffix):
    for voxel, rmsf in ((f"12asA00{suffix}", "12asA00"), ("12asA00", f"12asA00{suffix}")):
        (match,) = map_domains([voxel], [rmsf], suffixes=SUFFIXES)
        assert (match.rmsf_domain, match.method) == (rmsf, "suffix")
        assert match.evidence == f"same name without {suffix}"


def test_different_suffixes_on_both_sides_are_both_named():
    (match,) = map_domains(["12asA00_pdb_clean"], ["12asA00_pdb"], suffixes=SUFFIXES)
    assert match.evidence == "same name without _pdb_clean and _pdb"


def test_an_ending_that_is_not_listed_is_part_of_the_name():
    assert mapped(["12asA00_other"], ["12asA00"], suffixes=SUFFIXES) == {"12asA00_other": None}


def test_ids_with_underscores_never_collapse():
    voxel = ["AF_P1_F1", "AF_P2_F1", "6eqe_1"]
    assert mapped(voxel, ["AF_P9_F1", "6eqe_3"], suffixes=SUFFIXES) == dict.fromkeys(voxel)
    assert mapped(voxel, ["AF_P2_F1", "6eqe_1"], suffixes=SUFFIXES)["AF_P2_F1"] == "AF_P2_F1"


def test_upper_and_lower_case_are_different_domains():
    both = ["5gaeN01", "5gaen01", "5gaea00"]
    assert mapped(both, both) == dict(zip(both, both, strict=True))
    assert mapped(["5gaeN01"], ["5gaen01"])["5gaeN01"] is None


def test_two_candidates_are_an_error_that_names_them():
    with pytest.raises(InputError, match=r"12asA00_pdb of the voxel file .* 12asA00, 12asA00_pdb_clean"):
        map_domains(["12asA00_pdb"], ["12asA00", "12asA00_pdb_clean"], suffixes=SUFFIXES)


def test_an_exact_name_is_no_ambiguity():
    assert mapped(["12asA00"], ["12asA00", "12asA00_pdb"], suffixes=SUFFIXES) == {"12asA00": "12asA00"}


def test_two_voxel_domains_on_one_rmsf_domain_are_an_error_that_names_them():
    with pytest.raises(InputError, match="12asA00_pdb, 12asA00_pdb_clean on 12asA00"):
        map_domains(["12asA00_pdb", "12asA00_pdb_clean"], ["12asA00"], suffixes=SUFFIXES)


def test_the_table_wins_and_can_switch_a_domain_off():
    voxel = ["12asA00_pdb", "12asA00_pdb_clean"]
    table = {"12asA00_pdb": "", "12asA00_pdb_clean": "12asA00"}
    matches = map_domains(voxel, ["12asA00"], suffixes=SUFFIXES, table=table)
    assert [(match.rmsf_domain, match.method) for match in matches] == [(None, "none"), ("12asA00", "table")]


def test_a_table_that_names_an_unknown_domain_maps_to_nothing():
    (match,) = map_domains(["a"], ["a", "b"], table={"a": "c"})
    assert match.rmsf_domain is None
    assert "c, which has no RMSF" in match.evidence


def test_empty_suffixes_do_nothing():
    assert mapped(["a"], ["b"], suffixes=["", "a"]) == {"a": None}


def test_the_order_of_the_names_does_not_matter():
    names = ["b_pdb", "a", "c"]
    assert map_domains(names, ["a", "b"], suffixes=SUFFIXES) == map_domains(names[::-1], ["b", "a"], suffixes=SUFFIXES)


def test_a_table_may_have_a_byte_order_mark_crlf_and_more_columns(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbfvoxel_domain, rmsf_domain,note\r\nx_pdb,x,good\r\ny_pdb,,\r\n\r\n")
    assert read_domain_table(path) == {"x_pdb": "x", "y_pdb": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("voxel_domain\nx\n", "has no column rmsf_domain"),
        ("", "has no column"),
        ("voxel_domain,rmsf_domain\nx,y\nx,z\n", "x is given both 'y' and 'z'"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_domain_table(path)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_domain_table(tmp_path / "none.csv")
