"""The TCE table: whatever its columns are called, every row ends as a TCE, as a quiet star, or with a reason."""

from __future__ import annotations

import logging
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.transit.reasons import Reason
from trainyard.transit.runs import parse_sectors
from trainyard.transit.settings import InputSettings, PlanSettings
from trainyard.transit.tces import read_tces
from trainyard.yard.errors import ConfigError, InputError

GOOD = {
    **{"uid": "260647166-3-S1-13", "target_id": "260647166", "sector_run": "1-13"},
    **{"tce_period": "9.97702", "tce_time0bk": "1466.85", "tce_duration": "3.5", "label": "CP"},
}


@pytest.fixture
def read(tmp_path):
    """Write rows as CSV and read them as a TCE table."""

    def read_rows(*rows, inputs=None, plan=None, before="", header=None):
        names = header or list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(names), *(",".join(row.get(name, "") for name in names) for row in rows)]
        path = tmp_path / "tces.csv"
        path.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
        return read_tces(path, InputSettings(**(inputs or {})), plan or PlanSettings())

    return read_rows


def numbered(n, **values):
    """Rows of different stars."""
    return [GOOD | {"uid": f"{k}-1-S1", "target_id": str(k)} | values for k in range(1, n + 1)]


def test_a_row_becomes_a_tce_in_its_own_units(read):
    (tce,) = read(GOOD | {"tce_maxmesd": "-0.41", "tce_maxmes": "8.5", "tce_time0bk_err": "0.001"}).tces
    assert (tce.uid, tce.target_id, tce.sector_run) == ("260647166-3-S1-13", 260647166, "1-13")
    assert (tce.period, tce.epoch, tce.duration_hours) == (9.97702, 1466.85, 3.5)
    assert tce.sectors == tuple(range(1, 14))
    assert (tce.disposition, tce.scalars["disposition"]) == ("CP", "CP")
    assert (tce.scalars["tce_maxmesd"], tce.scalars["tce_maxmes"]) == (-0.41, 8.5)
    assert tce.epoch_err == 0.001
    assert math.isnan(tce.period_err)


def test_columns_that_are_missing_hold_sentinels(read):
    (tce,) = read({name: GOOD[name] for name in GOOD if name not in ("uid", "sector_run")}).tces
    assert tce.sectors is None
    assert tce.covers(1)
    assert tce.covers(99)
    assert tce.scalars["numberOfPlanets"] == -1
    assert math.isnan(tce.scalars["tce_depth"])
    assert tce.scalars["matched_object"] == ""


def test_nan_in_an_integer_column_does_not_cost_the_row(read):
    values = {"tce_num_transits": "nan", "tce_plnt_num": "", "mag_cat": "1e300", "numberOfPlanets": "3.0"}
    (tce,) = read(GOOD | values).tces
    found = [tce.scalars[name] for name in ("tce_num_transits", "tce_plnt_num", "mag_cat", "numberOfPlanets")]
    assert found == [-1, -1, -1, 3]


def test_columns_of_other_names_are_mapped(read):
    row = {"star": "5", "P": "3.5", "T0": "1400.5", "dur_h": "2.5", "kind": "CP"}
    names = {
        "target_id": "star",
        "tce_period": "P",
        "tce_time0bk": "T0",
        "tce_duration": "dur_h",
        "disposition": "kind",
    }
    (tce,) = read(row, inputs={"columns": names}).tces
    assert (tce.target_id, tce.period, tce.epoch, tce.duration_hours) == (5, 3.5, 1400.5, 2.5)
    assert tce.disposition == "CP"


def test_a_mapped_column_wins_over_one_of_the_canonical_name(read):
    (tce,) = read(GOOD | {"refined_period": "5.5"}, inputs={"columns": {"tce_period": "refined_period"}}).tces
    assert tce.period == 5.5


def test_a_table_of_kepler_objects_is_read_as_it_comes_with_its_comments(read):
    row = {"kepid": "11442793", "kepoi_name": "K00351.01", "koi_disposition": "CONFIRMED", "koi_period": "331.6"}
    (tce,) = read(row | {"koi_time0bk": "140.48", "koi_duration": "14.5"}, before="# KOI table\n# a comment\n").tces
    assert (tce.uid, tce.target_id, tce.disposition) == ("K00351.01", 11442793, "CP")


def test_a_byte_order_mark_is_no_part_of_the_first_name(read):
    assert len(read(GOOD, before="\ufeff").tces) == 1


@pytest.mark.parametrize(
    ("run", "observed", "sectors"),
    [
        ("7", "", (7,)),
        ("14-19", "", (14, 15, 16, 17, 18, 19)),
        ("S0014-0016", "", (14, 15, 16)),
        ("11 38", "", (11, 38)),
        ("1-3, 27", "", (1, 2, 3, 27)),
        ("Q1-3", "", (1, 2, 3)),
        ("7.0", "", (7,)),
        ("0", "", (0,)),
        ("1-13", "1_3_6_9", (1, 3, 6, 9)),
        ("", "2_4", (2, 4)),
        ("", "", None),
    ],
)
def test_runs_name_their_sectors(run, observed, sectors):
    assert parse_sectors(run, observed) == sectors


@pytest.mark.parametrize("run", ["19-14", "inf", "N/A", "-5", "7.5", "1-2-3", "1e9", "1000"])
def test_what_is_no_run_is_refused(run):
    with pytest.raises(ValueError, match="sector"):
        parse_sectors(run)


@given(st.sets(st.integers(0, 999), min_size=1, max_size=20))
def test_a_list_of_sectors_comes_back_sorted(sectors):
    assert parse_sectors("_".join(map(str, sectors))) == tuple(sorted(sectors))


def test_sectors_really_observed_win_over_the_span(read):
    (tce,) = read(GOOD | {"sectors_observed": "1_3_6"}).tces
    assert tce.sectors == (1, 3, 6)
    assert not tce.covers(2)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"target_id": ""}, Reason.MISSING_TARGET),
        ({"target_id": "-4"}, Reason.MISSING_TARGET),
        ({"target_id": "TIC 5"}, Reason.MISSING_TARGET),
        ({"target_id": "4689637789368607232"}, Reason.MISSING_TARGET),  # too large to be exact, e.g. of Gaia
        ({"tce_period": "nan"}, Reason.NAN_EPHEMERIS),
        ({"tce_time0bk": ""}, Reason.NAN_EPHEMERIS),
        ({"tce_duration": "inf"}, Reason.NAN_EPHEMERIS),
        ({"tce_period": "0"}, Reason.IMPLAUSIBLE_PERIOD),
        ({"tce_period": "-3"}, Reason.IMPLAUSIBLE_PERIOD),
        ({"tce_duration": "0.1"}, Reason.IMPLAUSIBLE_DURATION),
        ({"tce_duration": "2508"}, Reason.IMPLAUSIBLE_DURATION),
        ({"tce_duration": "3", "tce_period": "0.2"}, Reason.IMPLAUSIBLE_DURATION),
        ({"sector_run": "20-14"}, Reason.BAD_SECTOR_RUN),
        ({"sector_run": "inf"}, Reason.BAD_SECTOR_RUN),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_alone(read, values, reason):
    table = read(*numbered(4), GOOD | values)
    assert len(table.tces) == 4
    ((item, found, detail),) = table.rejected
    assert (item, found) == (GOOD["uid"], reason)
    assert detail


def test_of_several_reasons_the_first_counts_and_rows_keep_their_order(read):
    faults = [
        {"target_id": "", "sector_run": "20-14"},
        {"tce_duration": "2508"},
        {"sector_run": "20-14", "tce_period": ""},
        {"tce_period": "", "tce_duration": "2508"},
    ]
    table = read(*numbered(5), *(GOOD | {"uid": f"bad {k}"} | values for k, values in enumerate(faults)))
    assert [(item, reason) for item, reason, _ in table.rejected] == [
        ("bad 0", Reason.MISSING_TARGET),
        ("bad 1", Reason.IMPLAUSIBLE_DURATION),
        ("bad 2", Reason.BAD_SECTOR_RUN),
        ("bad 3", Reason.NAN_EPHEMERIS),
    ]
    assert table.rejected[0][2] == "target_id is nan"
    assert table.rejected[1][2] == "duration of 2508.0 h at a period of 9.97702 d (hours are expected)"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tce_duration": "2508"}, True),
        ({"tce_duration": ""}, True),
        ({"tce_period": "0"}, True),  # a single transit
        ({"sector_run": "20-14"}, True),
        ({"tce_time0bk": ""}, False),
        ({"target_id": ""}, False),
        ({"label": "NONE", "sector_run": "20-14"}, False),
        ({}, False),
    ],
)
def test_a_rejected_row_that_knows_of_a_dip_is_remembered(read, values, told):
    table = read(*numbered(2), GOOD | values)
    assert [tce.uid for tce in table.unmasked] == [GOOD["uid"]] * told
    assert all(tce.sector_run in ("1-13", "") for tce in table.unmasked)
    assert not any(tce.can_be_masked for tce in table.unmasked)
    assert all(tce.can_be_masked for tce in table.tces)


def test_a_rejected_row_without_id_is_named_by_its_place(read):
    row = {name: value for name, value in GOOD.items() if name != "uid"}
    ((item, _, _),) = read(row, row | {"tce_period": ""}).rejected
    assert item.endswith("tces.csv: row 3")


def test_failed_fits_have_no_uncertainty(read):
    (tce,) = read(GOOD | {"tce_period_err": "-1", "tce_time0bk_err": "-1"}).tces
    assert math.isnan(tce.period_err)
    assert math.isnan(tce.epoch_err)


@pytest.mark.parametrize(
    ("word", "known"), [("eb", "EB"), ("CONFIRMED", "CP"), ("FALSE POSITIVE", "FP"), ("candidate", "PC")]
)
def test_dispositions_are_known_by_their_usual_names(read, word, known):
    assert read(GOOD | {"label": word}).tces[0].disposition == known


def test_dispositions_are_mapped_word_for_word_or_by_pattern(read):
    mapping = {"J [old]": "NTP", "V*": "NEB"}
    rows = [row | {"label": word} for row, word in zip(numbered(2), ["J [old]", "V-17"], strict=True)]
    assert [tce.disposition for tce in read(*rows, inputs={"disposition_map": mapping}).tces] == ["NTP", "NEB"]


def test_unknown_dispositions_become_unk_and_are_counted_and_told(read, caplog):
    with caplog.at_level(logging.WARNING):
        table = read(*numbered(2, label="maybe"), GOOD)
    assert [tce.disposition for tce in table.tces] == ["UNK", "UNK", "CP"]
    assert table.unknown_dispositions == {"maybe": 2}
    assert "'maybe' (2 rows)" in caplog.text


def test_a_map_to_an_unknown_disposition_is_refused(read):
    with pytest.raises(ConfigError, match="disposition_map leads to PLANET"):
        read(GOOD, inputs={"disposition_map": {"CP": "PLANET"}})


def test_rows_without_signal_list_quiet_stars(read):
    quiet = {"target_id": "8", "label": "NONE"}
    both = [GOOD | {"uid": "9-1-S1", "target_id": "9"}, {"target_id": "9", "label": "NONE"}]
    table = read(GOOD, quiet, *both)
    assert table.quiet == (8,)
    assert table.listed == (8, 9)
    assert len(table.tces) == 2


def test_a_row_that_stands_twice_counts_once(read):
    table = read(GOOD, GOOD)
    assert len(table.tces) == 1
    assert [reason for _, reason, _ in table.rejected] == [Reason.DUPLICATE_ROW]


def test_one_id_for_two_different_rows_is_refused(read):
    with pytest.raises(InputError, match=r"260647166-3-S1-13 stands for two different rows.*period 5\.0"):
        read(GOOD | {"tce_period": "5.0"}, GOOD)


def test_rows_without_ids_get_them_from_target_number_and_run(read):
    rows = [{name: value for name, value in GOOD.items() if name != "uid"} | {"tce_plnt_num": "2"}]
    rows += [rows[0] | {"tce_period": "20.0"}, rows[0] | {"sector_run": "1_3"}]
    uids = [tce.uid for tce in read(*rows).tces]
    assert uids == ["260647166-2-S1+3", "260647166-2-S1-13", "260647166-2-S1-13.2"]
    assert not any("_" in uid for uid in uids)


def test_durations_in_days_are_noticed(read):
    with pytest.raises(InputError, match="these look like days"):
        read(*numbered(5, tce_duration="0.12"))


def test_full_julian_dates_are_noticed(read):
    with pytest.raises(InputError, match=r"look like full Julian dates. Subtract 2457000 \(BTJD\)"):
        read(*numbered(5, tce_time0bk="2458500.5"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable CSV table"),
        ("a,b\n1,2,3\n", "not a readable CSV table"),
        ("uid;target_id\n1;2\n", "lacks the column"),
        ("target_id,tce_period,tce_time0bk,tce_duration\n", r"lacks the column\(s\) disposition"),
        ("target_id,tce_period,tce_time0bk,tce_duration,label,ra,ra\n", "several columns of the name ra"),
    ],
)
def test_what_is_no_tce_table_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "tces.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_tces(path, InputSettings(), PlanSettings())
    assert str(path) in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: the TCE table is not there"):
        read_tces(tmp_path / "nowhere.csv", InputSettings(), PlanSettings())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tce_period": "P"}, "has no column 'P'"),
        ({"perod": "tce_period"}, "'perod' is no column that Trainyard knows"),
    ],
)
def test_a_wrong_mapping_is_refused(read, columns, message):
    with pytest.raises(InputError, match=message):
        read(GOOD, inputs={"columns": columns})


def test_a_table_of_a_header_alone_is_empty(read):
    table = read(header=list(GOOD))
    assert (table.rows, table.tces, table.rejected) == (0, (), ())


ROWS = [
    *numbered(3),
    GOOD,
    GOOD,
    GOOD | {"uid": "", "tce_period": ""},
    GOOD | {"uid": "", "target_id": "12"},
    GOOD | {"uid": "", "target_id": "12", "tce_period": "4"},
    {"target_id": "8", "label": "NONE"},
    {"target_id": "8", "label": "NONE"},
]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_rows_does_not_matter_and_all_are_accounted_for(read, seed):
    shuffled = random.Random(seed).sample(ROWS, len(ROWS))
    table, reference = read(*shuffled), read(*ROWS)
    # repr, because NaN is not equal to itself
    assert repr((table.tces, table.listed)) == repr((reference.tces, reference.listed))
    assert sorted(reason for _, reason, _ in table.rejected) == [Reason.DUPLICATE_ROW, Reason.NAN_EPHEMERIS]
    assert len(table.tces) + len(table.listed) + len(table.rejected) == table.rows == len(ROWS)
