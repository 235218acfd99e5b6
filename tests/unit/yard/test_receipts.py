"""Receipts vouch for the bytes of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.yard.errors import IntegrityError
from trainyard.yard.receipts import Receipt, read_receipt, receipt_path, verify, write_receipt


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "raw_shard_0001-0008.tfrecord"
    path.write_bytes(b"payload")
    write_receipt(path, records=3, schema="abc")
    return path


def test_receipt_stands_beside_its_file(shard: Path) -> None:
    assert receipt_path(shard) == shard.parent / "raw_shard_0001-0008.tfrecord.receipt.json"
    assert receipt_path(shard).is_file()


def test_receipt_holds_digest_size_records_and_schema(shard: Path) -> None:
    digest = "239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5"
    assert read_receipt(shard) == verify(shard) == Receipt(digest, 7, 3, "abc")


def test_same_file_gives_the_same_receipt_bytes(shard: Path) -> None:
    before = receipt_path(shard).read_bytes()
    write_receipt(shard, records=3, schema="abc")
    assert receipt_path(shard).read_bytes() == before


def test_changed_byte_is_found(shard: Path) -> None:
    shard.write_bytes(b"pAyload")
    with pytest.raises(IntegrityError, match="sha256"):
        verify(shard)


def test_truncated_file_is_found(shard: Path) -> None:
    shard.write_bytes(b"payl")
    with pytest.raises(IntegrityError, match="has 4 bytes, its receipt says 7"):
        verify(shard)


def test_missing_file_is_found(shard: Path) -> None:
    shard.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify(shard)


@pytest.mark.parametrize("content", [None, "", "[]", "null", '{"sha256": "a"}', '{"sha256": "a", "bytes": "x"}'])
def test_missing_or_broken_receipt_is_found(shard: Path, content: str | None) -> None:
    if content is None:
        receipt_path(shard).unlink()
    else:
        receipt_path(shard).write_text(content)
    with pytest.raises(IntegrityError, match="receipt"):
        verify(shard)
