"""TFRecord files come back as written, and damage to them is always found."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.tfrecord import RecordWriter, read_at, read_records, record_index

RECORDS = st.lists(st.binary(max_size=40), min_size=1, max_size=5)
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def serialized(records: list[bytes]) -> bytes:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    assert [writer.write(record) for record in records] == list(range(len(records)))
    assert writer.records == len(records)
    return buffer.getvalue()


def test_one_record_has_the_published_framing() -> None:
    # 8 bytes length, 4 checksum, payload, 4 checksum; values as TensorFlow writes them.
    assert serialized([b"abc"]).hex() == "0300000000000000" + "b099490e" + b"abc".hex() + "6e57f121"


@given(RECORDS)
@shared_folder
def test_records_survive_a_round_trip(tmp_path: Path, records: list[bytes]) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(serialized(records))
    assert list(read_records(path)) == list(read_records(path, verify=False)) == records


@given(RECORDS)
@shared_folder
def test_index_leads_to_every_record(tmp_path: Path, records: list[bytes]) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(serialized(records))
    index = record_index(path)
    assert index.shape == (len(records), 2)
    with path.open("rb") as file:
        assert [read_at(file, *place) for place in index[::-1].tolist()] == records[::-1]


@given(RECORDS, st.data())
@shared_folder
def test_every_flipped_bit_is_found(tmp_path: Path, records: list[bytes], data: st.DataObject) -> None:
    path = tmp_path / "x.tfrecord"
    broken = bytearray(serialized(records))
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(broken)
    with pytest.raises(IntegrityError, match=r"x\.tfrecord: record \d+ at byte \d+"):
        list(read_records(path))


@given(RECORDS, st.data())
@shared_folder
def test_every_cut_inside_a_record_is_found(tmp_path: Path, records: list[bytes], data: st.DataObject) -> None:
    path = tmp_path / "x.tfrecord"
    whole = serialized(records)
    ends = {len(serialized(records[:n])) for n in range(len(records) + 1)}
    cut = data.draw(st.sampled_from(sorted(set(range(len(whole))) - ends)))
    path.write_bytes(whole[:cut])
    for read in (read_records, record_index):
        with pytest.raises(IntegrityError, match="ends inside it"):
            list(read(path))
    with pytest.raises(IntegrityError, match="ends inside it"):
        list(read_records(path, verify=False))


def test_damage_is_named_by_record_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    broken = bytearray(serialized([b"aaaa", b"bbbb", b"cccc"]))
    broken[20 + 12] ^= 1
    path.write_bytes(broken)
    with pytest.raises(IntegrityError, match=r"record 1 at byte 20: the checksum of its payload"):
        list(read_records(path))


def test_records_before_the_damage_are_still_given(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(serialized([b"aaaa", b"bbbb"])[:-1])
    assert next(read_records(path)) == b"aaaa"


def test_without_verify_payloads_pass_but_lengths_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    broken = bytearray(serialized([b"aaaa"]))
    broken[12] ^= 1
    path.write_bytes(broken)
    assert list(read_records(path, verify=False)) == [b"`aaa"]
    broken[7] ^= 1
    path.write_bytes(broken)
    with pytest.raises(IntegrityError, match="checksum of its length"):
        list(read_records(path, verify=False))


def test_read_at_refuses_a_wrong_place_and_a_damaged_payload(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(serialized([b"aaaa"]))
    with path.open("rb") as file:
        for offset, length in ((11, 4), (12, 3), (12, 5), (100, 4)):
            with pytest.raises(IntegrityError, match=r"x\.tfrecord: no whole record"):
                read_at(file, offset, length)


def test_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"")
    assert list(read_records(path)) == []
    assert record_index(path).shape == (0, 2)


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        list(read_records(tmp_path / "absent"))
