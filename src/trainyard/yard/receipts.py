"""Receipts: a small file beside a big one that vouches for its bytes, written last."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, sha256_file, write_json


@dataclass(frozen=True)
class Receipt:
    """What a file was when it was finished."""

    sha256: str
    """Of all bytes, in hex."""
    bytes: int
    """Size."""
    records: int | None
    """Number of records or rows; None where the format has none."""
    schema: str | None
    """Digest or name of the schema; None where there is none."""


def receipt_path(path: Path) -> Path:
    """Return where the receipt of `path` stands: `x.tfrecord` has `x.tfrecord.receipt.json`."""
    return path.with_name(f"{path.name}.receipt.json")


def write_receipt(path: Path, *, records: int | None = None, schema: str | None = None) -> Receipt:
    """Hash a finished file as it is on disk and write its receipt.

    Args:
        path: The finished file.
        records: Number of records or rows in it.
        schema: Digest or name of its schema.
    """
    receipt = Receipt(sha256_file(path), path.stat().st_size, records, schema)
    write_json(receipt_path(path), asdict(receipt))
    return receipt


def read_receipt(path: Path) -> Receipt:
    """Read the receipt of `path` (give the file that it vouches for), without checking the file.

    Raises:
        IntegrityError: There is no receipt, or it cannot be read.
    """
    where = receipt_path(path)
    try:
        found = read_json(where)
        return Receipt(str(found["sha256"]), int(found["bytes"]), found.get("records"), found.get("schema"))
    except (InputError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: its receipt {where.name} is missing or broken ({error}); {_REMEDY}") from error


def verify(path: Path) -> Receipt:
    """Compare a file with its receipt, size first, then every byte.

    Raises:
        IntegrityError: The file or its receipt is missing, or they disagree.
    """
    receipt = read_receipt(path)
    if not path.is_file():
        raise IntegrityError(f"{path}: the file is missing although it has a receipt; {_REMEDY}")
    size = path.stat().st_size
    if size != receipt.bytes:
        raise IntegrityError(f"{path}: has {size} bytes, its receipt says {receipt.bytes}; {_REMEDY}")
    digest = sha256_file(path)
    if digest != receipt.sha256:
        raise IntegrityError(f"{path}: sha256 is {digest}, its receipt says {receipt.sha256}; {_REMEDY}")
    return receipt


_REMEDY = "delete the file and run the same command again"
