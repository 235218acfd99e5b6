"""Receipts: a small file beside a big one that vouches for its bytes, written last."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, sha256_file, write_json

RECEIPT = ".receipt.json"
"""What the name of a receipt adds to that of its file."""


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
    made_from: str | None = None
    """Digest of everything that shaped the file and those beside it; None where the receipt is no seal."""
    beside: Mapping[str, str] | None = None
    """SHA-256 of the files that were made together with it, by their place relative to it."""


def receipt_path(path: Path) -> Path:
    """Return where the receipt of `path` stands: `x.tfrecord` has `x.tfrecord.receipt.json`."""
    return path.with_name(f"{path.name}{RECEIPT}")


def write_receipt(path: Path, *, records: int | None = None, schema: str | None = None) -> Receipt:
    """Hash a finished file as it is on disk and write its receipt.

    Args:
        path: The finished file.
        records: Number of records or rows in it.
        schema: Digest or name of its schema.
    """
    receipt = Receipt(sha256_file(path), path.stat().st_size, records, schema)
    _write(path, receipt)
    return receipt


def read_receipt(path: Path) -> Receipt:
    """Read the receipt of `path` (give the file that it vouches for), without checking the file.

    Raises:
        IntegrityError: There is no receipt, or it cannot be read.
    """
    where = receipt_path(path)
    try:
        found = read_json(where)
        optional = {name: found.get(name) for name in ("records", "schema", "made_from", "beside")}
        return Receipt(str(found["sha256"]), int(found["bytes"]), **optional)
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


def digest(path: Path) -> str:
    """SHA-256 of a file that was just written, from its receipt if it has one."""
    return read_receipt(path).sha256 if receipt_path(path).is_file() else sha256_file(path)


def seal(path: Path, others: Sequence[Path], made_from: str) -> None:
    """Have the receipt of a finished file vouch for the files made together with it too, and for what they are made of.

    Args:
        path: The finished file, with its receipt.
        others: The other finished files.
        made_from: Digest of everything that shaped them.

    Raises:
        IntegrityError: The file has no receipt.
    """
    receipts = [receipt_path(other) for other in others if receipt_path(other).is_file()]
    beside = {os.path.relpath(other, path.parent): digest(other) for other in (*others, *receipts)}
    _write(path, replace(read_receipt(path), made_from=made_from, beside=beside))


def is_sealed(path: Path, others: Sequence[Path], made_from: str) -> bool:
    """Whether some files are there, made from just this, and what they were when they were sealed, to the last byte.

    Args:
        path: The file whose receipt is the seal.
        others: The files that were sealed with it.
        made_from: Digest of everything that shapes them.
    """
    try:
        receipt = read_receipt(path)
        if receipt.made_from != made_from:
            return False
        verify(path)
        sealed = receipt.beside or {}
        return all(os.path.relpath(other, path.parent) in sealed for other in others) and all(
            sha256_file(path.parent / name) == known for name, known in sealed.items()
        )
    except (IntegrityError, OSError):
        return False


def _write(path: Path, receipt: Receipt) -> None:
    optional = ("made_from", "beside")
    content = {name: value for name, value in asdict(receipt).items() if name not in optional or value is not None}
    write_json(receipt_path(path), content)


_REMEDY = "delete the file and run the same command again"
