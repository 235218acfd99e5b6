"""A finished folder is compared with its receipts."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.publish.verify import verify_folder
from trainyard.yard.errors import InputError
from trainyard.yard.examples import encode_example
from trainyard.yard.files import atomic_open
from trainyard.yard.receipts import receipt_path, seal, write_receipt
from trainyard.yard.tfrecord import RecordWriter

EXAMPLES = [encode_example({"uid": f"star-{i}", "flux": [1.0, 0.9, 1.0]}) for i in range(3)]


def write_shard(path: Path, records: list[bytes], *, claimed: int | None = None) -> Path:
    with atomic_open(path) as handle:
        writer = RecordWriter(handle)
        for record in records:
            writer.write(record)
    write_receipt(path, records=len(records) if claimed is None else claimed, schema="test")
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Two whole shards of a set of two."""
    return [write_shard(tmp_path / "raw" / f"raw_shard_000{k}-0002.tfrecord", EXAMPLES) for k in (1, 2)]


def flip_bit(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_folder_has_no_problems(shards: list[Path], tmp_path: Path, deep: bool) -> None:
    found = verify_folder(tmp_path, deep=deep)
    assert found.problems == ()
    assert (found.files, found.records) == (2, 6)
    assert found.bytes == sum(path.stat().st_size for path in shards)


def test_a_flipped_bit_is_found(shards: list[Path], tmp_path: Path) -> None:
    flip_bit(shards[1], offset=40)
    found = verify_folder(tmp_path)
    assert len(found.problems) == 1
    assert str(shards[1]) in found.problems[0]
    assert "sha256" in found.problems[0]
    assert (found.files, found.records) == (1, 3)


def test_a_cut_file_is_found(shards: list[Path], tmp_path: Path) -> None:
    shards[0].write_bytes(shards[0].read_bytes()[:-5])
    (problem,) = verify_folder(tmp_path).problems
    assert f"has {shards[0].stat().st_size} bytes" in problem


def test_an_appended_record_is_found(shards: list[Path], tmp_path: Path) -> None:
    with shards[0].open("ab") as handle:
        RecordWriter(handle).write(EXAMPLES[0])
    (problem,) = verify_folder(tmp_path).problems
    assert "bytes, its receipt says" in problem


def test_a_receipt_that_counts_other_records_is_found(tmp_path: Path) -> None:
    write_shard(tmp_path / "raw_shard_0001-0001.tfrecord", EXAMPLES, claimed=2)
    (problem,) = verify_folder(tmp_path).problems
    assert "holds 3 records, its receipt says 2" in problem


def test_a_missing_file_that_a_receipt_names_is_found_once(shards: list[Path], tmp_path: Path) -> None:
    shards[0].unlink()
    (problem,) = verify_folder(tmp_path).problems
    assert str(shards[0]) in problem
    assert "missing" in problem


def test_a_broken_receipt_is_found(shards: list[Path], tmp_path: Path) -> None:
    receipt_path(shards[0]).write_text("{")
    (problem,) = verify_folder(tmp_path).problems
    assert "receipt" in problem
    assert str(shards[0]) in problem


def test_a_shard_without_receipt_is_unfinished(shards: list[Path], tmp_path: Path) -> None:
    receipt_path(shards[1]).unlink()
    (problem,) = verify_folder(tmp_path).problems
    assert str(shards[1]) in problem
    assert "no receipt" in problem


def test_a_shard_that_is_missing_with_its_receipt_is_found(shards: list[Path], tmp_path: Path) -> None:
    shards[1].unlink()
    receipt_path(shards[1]).unlink()
    (problem,) = verify_folder(tmp_path).problems
    assert "1 of 2 raw shards are missing, first 0002-0002" in problem


def test_shards_of_an_older_build_are_found(shards: list[Path], tmp_path: Path) -> None:
    write_shard(tmp_path / "raw" / "raw_shard_0001-0008.tfrecord", EXAMPLES)
    (problem,) = verify_folder(tmp_path).problems
    assert "builds with 2 and with 8 shards" in problem


def test_sets_of_other_kinds_and_folders_are_apart(tmp_path: Path) -> None:
    for name in ("norm/val/norm_val_shard_0001-0001.tfrecord", "select/x/val/norm_val_shard_0001-0001.tfrecord"):
        write_shard(tmp_path / name, EXAMPLES)
    write_shard(tmp_path / "norm" / "val" / "val_shard_0001-0001.tfrecord", [])
    assert verify_folder(tmp_path).problems == ()


def test_only_deep_verification_reads_what_a_record_holds(tmp_path: Path) -> None:
    write_shard(tmp_path / "raw_shard_0001-0001.tfrecord", [EXAMPLES[0], b"no example"])
    assert verify_folder(tmp_path).problems == ()
    (problem,) = verify_folder(tmp_path, deep=True).problems
    assert "record 1" in problem


def test_deep_verification_finds_a_payload_that_was_damaged_before_its_receipt(
    shards: list[Path], tmp_path: Path
) -> None:
    flip_bit(shards[0], offset=40)
    write_receipt(shards[0], records=3, schema="test")
    assert verify_folder(tmp_path).problems == ()
    (problem,) = verify_folder(tmp_path, deep=True).problems
    assert "checksum of its payload is wrong" in problem


def test_other_files_with_receipts_are_compared_too(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("one")
    write_receipt(path)
    path.write_text("two")
    assert len(verify_folder(tmp_path).problems) == 1


def test_every_problem_is_reported(shards: list[Path], tmp_path: Path) -> None:
    flip_bit(shards[0], offset=40)
    shards[1].unlink()
    assert len(verify_folder(tmp_path).problems) == 2


def test_a_folder_without_receipts_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file below it has a receipt"):
        verify_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        verify_folder(tmp_path / "nowhere")


def test_tables_made_together_with_a_shard_are_compared(shards: list[Path], tmp_path: Path) -> None:
    inside, outside = tmp_path / "raw" / "aux_tbls" / "examples.csv", tmp_path / "elsewhere.csv"
    for table in (inside, outside):
        table.parent.mkdir(exist_ok=True)
        table.write_text("uid\n1\n")
    seal(shards[0], [inside, outside], "0" * 16)
    assert verify_folder(tmp_path).problems == ()
    assert verify_folder(tmp_path).files == 4
    outside.unlink()
    assert verify_folder(tmp_path / "raw").problems == ()
    inside.write_text("uid\n2\n")
    changed, missing = sorted(verify_folder(tmp_path).problems, reverse=True)
    assert changed.startswith(f"{inside}: sha256 is ")
    assert missing.startswith(f"{outside}: the file is missing")
