from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest

from trainyard.voxel.reasons import Reason
from trainyard.voxel.rmsf import read_rmsf
from trainyard.voxel.schema import RMSF
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger

LONG = "domain_id,resid,resname,temperature_feature,target_rmsf\n"


class Read:
    """What a table gives: its rows, and the ledger, whose sums must add up."""

    def __init__(self, *paths, unit="nm", **policies):
        self.ledger = Ledger("voxel", Reason)
        self.table = read_rmsf(paths, unit=unit, ledger=self.ledger, settings=VoxelPlanSettings(**policies))
        self.ledger.check()
        assert self.ledger.kept("rmsf_row") == self.table.num_rows
        RMSF.check(self.table)

    def rejected(self):
        return {reason.value: n for reason in Reason if (n := self.ledger.rejected("rmsf_row", reason))}

    def column(self, name):
        return self.table.column(name).to_pylist()

    def values(self):
        keys = zip(*(self.column(name) for name in ("domain_id", "resid", "icode", "temperature")), strict=True)
        return dict(zip(keys, self.column("target_rmsf"), strict=True))


@pytest.fixture
def write(tmp_path):
    def write(text, name="rmsf.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_long_wide_and_single_temperature_tables_give_the_same(write):
    long = Read(write(LONG + "a,1,ALA,320,0.1\na,2,GLY,320,0.2\na,1,ALA,450,0.3\na,2,GLY,450,0.4\n"))
    wide = Read(write("domain_id,resid,resname,rmsf_320,rmsf_450\na,1,ALA,0.1,0.3\na,2,GLY,0.2,0.4\n"))
    one = write("domain_id,resid,resname,rmsf_320\na,1,ALA,0.1\na,2,GLY,0.2\n", "t_temperature_320.csv")
    other = write(
        "resname,domain_id,resid,target_rmsf\nALA,a,1,0.3\nGLY,a,2,0.4\n", "replica_average_temperature450.csv"
    )
    assert long.table.equals(wide.table)
    assert long.table.equals(Read(one, other).table)


def test_values_are_float32_of_the_text_and_keep_the_order_of_the_rows(write):
    read = Read(write(LONG + "b,-3,HSD,450.0,1.3483024\na,0,MET,320,0.1\n"))
    assert read.column("domain_id") == ["b", "a"]
    assert read.column("resid") == [-3, 0]
    assert read.table.column("target_rmsf").to_numpy().tolist() == [np.float32(1.3483024), np.float32(0.1)]


def test_angstrom_become_nm(write):
    path = write(LONG + "a,1,ALA,300,0.6280\n")
    assert Read(path, unit="angstrom").column("target_rmsf") == [np.float32(0.0628)]
    assert Read(path).column("target_rmsf") == [np.float32(0.628)]


def test_byte_order_mark_crlf_blanks_and_gzip_are_accepted(write):
    plain = Read(write(LONG + "a,1,ALA,320,0.1\n"))
    text = b"\xef\xbb\xbf" + LONG.replace(",", " , ").encode() + b" a , 1 , ALA , 320 , 0.1 \r\n\r\n"
    text = text.replace(b"rmsf\n", b"rmsf\r\n")
    assert Read(write(text)).table.equals(plain.table)
    assert Read(write(gzip.compress(text), "rmsf.csv.gz")).table.equals(plain.table)


def test_the_average_never_enters(write):
    wide = Read(write("domain_id,resid,resname,rmsf_320,rmsf_average\na,1,ALA,0.1,0.9\na,2,ALA,0.1,0.9\n"))
    assert wide.column("target_rmsf") == [np.float32(0.1)] * 2
    assert wide.rejected() == {"average_pseudo_temperature": 2}
    (row,) = wide.ledger.rejections
    assert row["item"] == "rmsf.csv: column rmsf_average"
    long = Read(write(LONG + "a,1,ALA,average,0.9\na,1,ALA,320,0.1\n"))
    assert long.column("temperature") == [320]
    assert long.rejected() == {"average_pseudo_temperature": 1}


def test_a_table_of_averages_alone_is_refused(write):
    with pytest.raises(InputError, match="average over temperatures only"):
        Read(write("domain_id,resid,resname,rmsf_average\na,1,ALA,0.9\n", "temperature_average.csv"))
    with pytest.raises(InputError, match=r"no RMSF row can be used \(average_pseudo_temperature: 1\)"):
        Read(write(LONG + "a,1,ALA,average,0.9\n"))


def test_a_file_called_average_of_replicas_is_no_average_over_temperatures(write):
    read = Read(write("domain_id,resid,resname,rmsf_348\na,1,ALA,0.5\n", "rmsf_replica_average_temperature348.csv"))
    assert read.column("temperature") == [348]


def test_what_is_missing_or_no_number_is_rejected_row_by_row(write):
    rows = [
        ",1,ALA,320,1",
        "a,,ALA,320,1",
        "a,1,,320,1",
        "a,1,ALA,,1",
        "a,1,ALA,320,",
        "a,x,ALA,320,1",
        "nan,1,ALA,320,1",
    ]
    rows += ["a,1,ALA,hot,1", "a,1,ALA,320,abc", "a,1,ALA,320,nan", "a,1,ALA,-5,1", "a,1,ALA,inf,1", "  ,1,ALA,320,1"]
    read = Read(write(LONG + "\n".join([*rows, "a,2,GLY,320,0.5"]) + "\n"))
    assert read.values() == {("a", 2, "", 320): 0.5}
    assert read.rejected() == {"missing_value": len(rows)}


def test_infinite_values_are_rejected(write):
    read = Read(write(LONG + "a,1,ALA,320,inf\na,2,ALA,320,1e39\na,3,ALA,320,1\n"))
    assert read.rejected() == {"not_finite": 2}


def test_a_fractional_number_is_rejected_and_a_whole_one_may_be_written_with_a_point(write):
    read = Read(write(LONG + "a,10.5,ALA,320,1\na,10.0,ALA,320,2\na,1e1,ALA,348,3\n"))
    assert read.values() == {("a", 10, "", 320): 2, ("a", 10, "", 348): 3}
    assert read.rejected() == {"fractional_resid": 1}
    (row,) = read.ledger.rejections
    assert (row["item"], row["detail"]) == ("a residue 10.5 at 320 K", "ALA 1 nm (rmsf.csv row 1)")


def test_insertion_codes_tell_residues_apart(write):
    read = Read(write(LONG + "a,10,ALA,320,1\na,10A,ALA,320,2\na,10B,ALA,320,3\n"))
    assert read.values() == {("a", 10, "", 320): 1, ("a", 10, "A", 320): 2, ("a", 10, "B", 320): 3}


def test_negative_values_are_rejected_or_clipped(write, caplog):
    path = write(LONG + "a,1,ALA,320,-0.5\na,2,ALA,320,0\n")
    read = Read(path)
    assert (read.column("resid"), read.rejected()) == ([2], {"negative_rmsf": 1})
    assert Read(path, negative_rmsf="clip").column("target_rmsf") == [0, 0]
    assert "1 negative RMSF values were set to 0" in caplog.text


def test_equal_rows_are_kept_once(write):
    read = Read(write(LONG + "a,1,HSD,320,0.5\na,1,HIS,320,0.50\na,1,HSD,348,0.5\n"))
    assert read.column("resname") == ["HSD", "HSD"]
    assert read.rejected() == {"repeated_row": 1}


CONFLICT = LONG + "a,1,ALA,320,0.1\na,1,ALA,320,0.1\na,1,ALA,320,0.2\na,2,ALA,320,0.3\n"


def test_two_values_for_one_residue_are_an_error_that_names_both(write):
    with pytest.raises(InputError, match=r"a residue 1 at 320 K is ALA 0.1 nm \(rmsf.csv row 1\) and ALA 0.2 nm"):
        Read(write(CONFLICT))


def test_conflicting_rows_are_all_rejected_on_demand(write):
    read = Read(write(CONFLICT), conflicting_rows="reject")
    assert (read.column("resid"), read.rejected()) == ([2], {"conflicting_rows": 3})


def test_the_first_of_conflicting_rows_is_kept_on_demand(write, caplog):
    read = Read(write(CONFLICT), conflicting_rows="warn")
    assert read.column("target_rmsf") == [np.float32(0.1), np.float32(0.3)]
    assert read.rejected() == {"repeated_row": 1, "conflicting_rows": 1}
    assert "1 rows contradict" in caplog.text


def test_two_names_for_one_residue_are_a_conflict(write):
    with pytest.raises(InputError, match=r"is ALA 0.1 nm .* and GLY 0.1 nm"):
        Read(write(LONG + "a,1,ALA,320,0.1\na,1,GLY,320,0.1\n"))


def test_conflicts_between_files_name_the_files(write):
    one, two = write(LONG + "a,1,ALA,320,0.1\n", "one.csv"), write(LONG + "a,1,ALA,320,0.2\n", "two.csv")
    with pytest.raises(InputError, match=r"one.csv row 1\) and ALA 0.2 nm \(two.csv row 1"):
        Read(one, two)


def test_only_the_temperatures_asked_for_are_kept(write):
    path = write("domain_id,resid,resname,rmsf_320,rmsf_348,rmsf_450\na,1,ALA,1,1,1\n")
    read = Read(path, temperatures=[450, 320])
    assert (read.column("temperature"), read.rejected()) == ([320, 450], {"temperature_not_used": 1})
    with pytest.raises(InputError, match=r"no RMSF at 300 K, which plan.temperatures asks for; there is 320 K"):
        Read(path, temperatures=[300, 320])


def test_strata_are_optional_and_never_cause_a_rejection(write):
    head = "domain_id,resid,resname,rmsf_320,relative_accessibility,dssp,secondary_structure_encoded\n"
    read = Read(write(head + "a,1,ALA,1,0.25,H,0\na,2,ALA,1,,,\na,3,ALA,1,x,E,7\na,4,ALA,1,inf,C,1.0\n"))
    assert read.column("relative_accessibility") == [0.25, None, None, None]
    assert read.column("dssp") == ["H", None, "E", "C"]
    assert read.column("secondary_structure") == [0, None, None, 1]
    bare = Read(write("domain_id,resid,resname,rmsf_320\na,1,ALA,1\n"))
    assert bare.column("dssp") == [None]


def test_a_repeated_row_lends_its_strata(write):
    plain = write("domain_id,resid,resname,rmsf_320\na,1,ALA,1\n", "plain.csv")
    rich = write("domain_id,resid,resname,rmsf_320,dssp\na,1,ALA,1,H\n", "rich.csv")
    assert Read(plain, rich).column("dssp") == ["H"]


def test_other_columns_are_ignored(write):
    read = Read(write("domain_id,resid,resname,rmsf_320,phi,rmsf_std_320\na,1,ALA,1,x,y\n"))
    assert read.column("temperature") == [320]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "x.csv", "cannot be read as CSV"),
        ("a,b\n1,2,3\n", "x.csv", "cannot be read as CSV"),
        (LONG + "a,1,ALA,320\n", "x.csv", "cannot be read as CSV"),
        (b"domain_id,resid,resname,rmsf_320\n\xff,1,ALA,1\n", "x.csv", "cannot be read as CSV in UTF-8"),
        ("domain_id,resname,rmsf_320\n", "x.csv", "has no column resid"),
        ("domain_id,resid,resname\n", "x.csv", "either in target_rmsf or in columns such as rmsf_320"),
        ("domain_id,resid,resname,target_rmsf,rmsf_320\n", "x.csv", "either in target_rmsf or"),
        ("domain_id,resid,resname,target_rmsf\n", "x.csv", "no temperature"),
        ("domain_id,resid,resname,temperature_feature,rmsf_320\n", "x.csv", "keep one of the two forms"),
        ("domain_id,resid,resname,rmsf_320\n", "temperature_348.csv", "the file's name says 348 K"),
        ("domain_id,resid,resname,rmsf_320,rmsf_320\n", "x.csv", "columns rmsf_320 twice"),
        (LONG, "x.csv", "no RMSF row can be used"),
    ],
)
def test_tables_of_no_known_form_are_refused(write, text, name, message):
    with pytest.raises(InputError, match=message):
        Read(write(text, name))


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="no RMSF table is given"):
        Read()


def test_an_unlikely_unit_is_told(write, caplog):
    caplog.set_level(logging.WARNING)
    Read(write(LONG + "a,1,ALA,320,2.5\n"))
    assert "median RMSF is 2.5 nm" in caplog.text
    caplog.clear()
    Read(write(LONG + "a,1,ALA,320,2.5\n"), unit="angstrom")
    assert not caplog.text


def test_counts_are_exact_beyond_the_rows_that_are_stored(write):
    path = write(LONG + "".join(f"a,{i},ALA,320,-1\n" for i in range(30)) + "a,99,ALA,320,1\n")
    ledger = Ledger("voxel", Reason, limit=10)
    read_rmsf([path], unit="nm", ledger=ledger, settings=VoxelPlanSettings())
    assert (ledger.rejected("rmsf_row", Reason.NEGATIVE_RMSF), len(ledger.rejections)) == (30, 10)
    assert all(row["item"] for row in ledger.rejections)
