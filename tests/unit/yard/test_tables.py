"""A table is what its contract says, in memory and on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.yard import tables
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.tables import Column, Role, TableContract

STARS = TableContract(
    "stars",
    (
        Column("target_id", pa.int64(), Role.KEY, description="TIC number", nullable=False),
        Column("period", pa.float64(), Role.METADATA, "d", "orbital period"),
        Column("depth", pa.float32(), Role.FEATURE, "ppm"),
        Column("label", pa.int8(), Role.LABEL),
        Column("origin", pa.string(), Role.NEVER_A_FEATURE),
        Column("good", pa.bool_(), Role.METADATA),
    ),
)

ROWS = [
    {"target_id": 1, "period": 3.5, "depth": 100.5, "label": 1, "origin": "own", "good": True},
    {"target_id": 2, "period": float("nan"), "depth": None, "label": 0, "origin": "", "good": False},
    {"target_id": 3},
]

RANDOM_ROWS = st.lists(
    st.fixed_dictionaries(
        {"target_id": st.integers(-(2**63), 2**63 - 1)},
        optional={"depth": st.none() | st.floats(width=32, allow_nan=False), "origin": st.none() | st.text(max_size=5)},
    ),
    max_size=25,
)


def test_schema_carries_role_unit_description_name_and_version() -> None:
    field = STARS.schema.field("period")
    assert field.metadata == {b"role": b"metadata", b"unit": b"d", b"description": b"orbital period"}
    assert STARS.schema.metadata == {b"trainyard.contract": b"stars", b"trainyard.version": b"1"}
    assert not STARS.schema.field("target_id").nullable


def test_digest_follows_what_programs_rely_on_and_not_the_wording() -> None:
    def changed(**changes: Any) -> str:
        return dataclasses.replace(
            STARS, columns=(dataclasses.replace(STARS.columns[0], **changes), *STARS.columns[1:])
        ).digest

    assert changed(description="other words") == STARS.digest
    others = {changed(name="tic"), changed(type=pa.int32()), changed(unit="h"), changed(role=Role.FEATURE)}
    others |= {dataclasses.replace(STARS, version=2).digest, dataclasses.replace(STARS, name="x").digest, STARS.digest}
    assert len(others) == 7


def test_column_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="target_id"):
        TableContract("stars", (STARS.columns[0], STARS.columns[0]))


def test_missing_keys_become_null_and_nan_stays_nan() -> None:
    table = STARS.table(ROWS)
    assert table.schema.equals(STARS.schema, check_metadata=True)
    assert table["depth"].to_pylist() == [100.5, None, None]
    assert np.isnan(table["period"].to_pylist()[1])


def test_numpy_scalars_fit_their_columns() -> None:
    row = {"target_id": np.int64(1), "period": np.float32(0.5), "depth": np.float64(2.5), "good": np.bool_(True)}
    assert STARS.table([row]).to_pylist()[0] | row == STARS.table([row]).to_pylist()[0]


def test_unknown_key_is_named() -> None:
    with pytest.raises(ValueError, match="perod"):
        STARS.table([{"target_id": 1, "perod": 2.0}])


@pytest.mark.parametrize(
    ("name", "value"), [("label", 300), ("label", 1.5), ("label", float("nan")), ("period", "x"), ("origin", 5)]
)
def test_value_that_does_not_fit_names_its_column(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"column {name}"):
        STARS.table([{"target_id": 1, name: value}])


def test_required_value_that_is_missing_names_its_column() -> None:
    with pytest.raises(IntegrityError, match="required columns: target_id"):
        STARS.table([{"period": 1.0}])


def test_check_names_all_columns_that_break_the_contract() -> None:
    table = STARS.table(ROWS).drop_columns(["period"]).append_column("extra", pa.array([1, 2, 3]))
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array([1, 2, 3], pa.int64()))
    with pytest.raises(IntegrityError, match="missing period; unknown extra; label is int64, not int8"):
        STARS.check(table)


def test_order_of_columns_is_free_in_memory_and_fixed_on_disk(tmp_path: Path) -> None:
    table = STARS.table(ROWS)
    STARS.write(tmp_path / "a", table)
    STARS.write(tmp_path / "b", table.select(list(STARS.names)[::-1]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_table_survives_parquet_with_its_metadata(tmp_path: Path) -> None:
    STARS.write(tmp_path / "stars.parquet", STARS.table(ROWS))
    table = STARS.read(tmp_path / "stars.parquet")
    assert table.schema.equals(STARS.schema, check_metadata=True)
    assert repr(table.to_pylist()) == repr(STARS.table(ROWS).to_pylist())


def test_a_column_is_encoded_as_its_contract_says_and_by_a_dictionary_otherwise(tmp_path: Path) -> None:
    columns = (dataclasses.replace(STARS.columns[0], encoding="DELTA_BINARY_PACKED"), *STARS.columns[1:])
    contract = dataclasses.replace(STARS, columns=columns)
    contract.write(tmp_path / "stars.parquet", contract.table(ROWS))
    group = pq.read_metadata(tmp_path / "stars.parquet").row_group(0)
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings
    assert "RLE_DICTIONARY" in group.column(1).encodings
    assert STARS.read(tmp_path / "stars.parquet")["target_id"].to_pylist() == [1, 2, 3]


def test_columns_and_rows_can_be_chosen(tmp_path: Path) -> None:
    STARS.write(tmp_path / "x", STARS.table(ROWS))
    table = STARS.read(tmp_path / "x", columns=["period"], filters=[("target_id", "==", 1)])
    assert table.to_pylist() == [{"period": 3.5}]
    with pytest.raises(ValueError, match="perod"):
        STARS.read(tmp_path / "x", columns=["perod"])


@given(RANDOM_ROWS, st.lists(st.integers(1, 7), max_size=10))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_that_rows_come_in_do_not_change_the_bytes(
    tmp_path: Path, rows: list[dict[str, Any]], cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP", 10)
        STARS.write(tmp_path / "whole", STARS.table(rows))
        with STARS.writer(tmp_path / "streamed") as writer:
            left = rows
            for cut in cuts:
                writer.write_rows(left[:cut])
                left = left[cut:]
            writer.write_table(STARS.table(left))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "streamed").read_bytes()
    assert STARS.read(tmp_path / "streamed").num_rows == len(rows)
    assert pq.read_metadata(tmp_path / "streamed").num_row_groups == -(-len(rows) // 10)


def test_foreign_metadata_does_not_reach_the_bytes(tmp_path: Path) -> None:
    table = STARS.table(ROWS)
    STARS.write(tmp_path / "a", table)
    STARS.write(tmp_path / "b", table.replace_schema_metadata({"pandas": "{}"}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_table_of_another_contract_or_version_is_refused(tmp_path: Path) -> None:
    STARS.write(tmp_path / "x", STARS.table(ROWS))
    with pytest.raises(IntegrityError, match="holds stars version 1, expected planets version 1"):
        dataclasses.replace(STARS, name="planets").read(tmp_path / "x")
    with pytest.raises(IntegrityError, match="expected stars version 2"):
        dataclasses.replace(STARS, version=2).read(tmp_path / "x")


def test_parquet_of_somebody_else_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"target_id": [1]}), tmp_path / "x")
    with pytest.raises(IntegrityError, match="holds no contract"):
        STARS.read(tmp_path / "x")


def test_columns_that_differ_under_the_same_version_are_refused(tmp_path: Path) -> None:
    STARS.write(tmp_path / "x", STARS.table(ROWS))
    with pytest.raises(IntegrityError, match="unknown good"):
        dataclasses.replace(STARS, columns=STARS.columns[:-1]).read(tmp_path / "x")


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        STARS.read(tmp_path / "absent")


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_truncated_file_is_found(tmp_path: Path, keep: int) -> None:
    STARS.write(tmp_path / "x", STARS.table(ROWS))
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:keep])
    with pytest.raises(IntegrityError, match="Parquet"):
        STARS.read(tmp_path / "x")


def test_flipped_bit_in_a_page_is_found(tmp_path: Path) -> None:
    STARS.write(tmp_path / "x", STARS.table([{"target_id": i * i} for i in range(1000)]))
    data = bytearray((tmp_path / "x").read_bytes())
    data[500] ^= 1
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(IntegrityError, match="cannot be read"):
        STARS.read(tmp_path / "x")


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    STARS.write(tmp_path / "x", STARS.table(ROWS))
    before = (tmp_path / "x").read_bytes()
    with pytest.raises(ValueError, match="oops"), STARS.writer(tmp_path / "x") as writer:
        writer.write_rows([{"target_id": 1}])
        writer.write_rows([{"oops": 1}])
    assert (tmp_path / "x").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_folder_names_add_no_columns(tmp_path: Path) -> None:
    STARS.write(tmp_path / "split=train" / "x.parquet", STARS.table(ROWS))
    assert STARS.read(tmp_path / "split=train" / "x.parquet").column_names == list(STARS.names)


def test_csv_is_plain_and_keeps_float32_short(tmp_path: Path) -> None:
    rows = [*ROWS, {"target_id": 4, "depth": 0.1, "origin": 'a,"b"'}]
    STARS.write_csv(tmp_path / "x.csv", STARS.table(rows))
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        '"target_id","period","depth","label","origin","good"',
        '1,3.5,100.5,1,"own",true',
        '2,nan,,0,"",false',
        "3,,,,,",
        '4,,0.1,,"a,""b""",',
    ]
