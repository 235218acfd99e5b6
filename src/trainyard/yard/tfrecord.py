"""TFRecord files: length, checksum of the length, payload, checksum of the payload.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import faults_named

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


class RecordWriter:
    """Writes records to an open binary file, which stays the caller's to close."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._records = 0

    @property
    def records(self) -> int:
        """Number of records written."""
        return self._records

    def write(self, record: bytes) -> int:
        """Append one record and return its 0-based number in the file."""
        length = _LENGTH.pack(len(record))
        self._file.write(b"".join((length, _masked_crc(length), record, _masked_crc(record))))
        self._records += 1
        return self._records - 1


def read_records(path: Path, *, verify: bool = True) -> Iterator[bytes]:
    """Yield the records of a file in order.

    Args:
        path: A TFRecord file without compression.
        verify: Check the payloads too; lengths are always checked, since all that follows hangs on them.

    Raises:
        InputError: No such file.
        IntegrityError: A checksum is wrong or the file ends inside a record; names record and byte.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        offset = number = 0
        while offset < size:
            length = _payload_length(file.read(_HEADER.size), path, number, offset, size)
            record = file.read(length)
            checksum = file.read(_CHECKSUM.size)
            if verify and _masked_crc(record) != checksum:
                raise _broken(path, number, offset, "the checksum of its payload is wrong")
            yield record
            offset += _HEADER.size + length + _CHECKSUM.size
            number += 1


def record_index(path: Path) -> NDArray[np.int64]:
    """Return where the records are, without reading their payloads.

    Returns:
        Shape `(n, 2)`, int64: byte offset and length of each payload, for `read_at`.

    Raises:
        InputError: No such file.
        IntegrityError: A length's checksum is wrong or the file ends inside a record.
    """
    places: list[tuple[int, int]] = []
    with _opened(path) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        offset = 0
        while offset < size:
            # pread takes the 12 bytes alone; a buffered file would read whole blocks between them.
            header = os.pread(descriptor, _HEADER.size, offset)
            length = _payload_length(header, path, len(places), offset, size)
            places.append((offset + _HEADER.size, length))
            offset += _HEADER.size + length + _CHECKSUM.size
    return np.array(places, dtype=np.int64).reshape(-1, 2)


def read_at(file: IO[bytes], offset: int, length: int) -> bytes:
    """Return one payload, its checksum checked.

    Args:
        file: The open TFRecord file; its position is moved.
        offset: Byte offset of the payload, from `record_index`.
        length: Its length in bytes.

    Raises:
        IntegrityError: The file ends before, or the checksum is wrong.
    """
    file.seek(offset)
    data = file.read(length + _CHECKSUM.size)
    record = data[:length]
    if len(data) != length + _CHECKSUM.size or _masked_crc(record) != data[length:]:
        name = getattr(file, "name", "TFRecord file")
        raise IntegrityError(f"{name}: no whole record of {length} bytes at byte {offset}; {_REMEDY}")
    return record


def _opened(path: Path) -> IO[bytes]:
    try:
        with faults_named(path):
            return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None


def _payload_length(header: bytes, path: Path, number: int, offset: int, size: int) -> int:
    if len(header) != _HEADER.size:
        raise _broken(path, number, offset, "the file ends inside it")
    length, checksum = _HEADER.unpack(header)
    if _masked_crc(header[: _LENGTH.size]) != _CHECKSUM.pack(checksum):
        raise _broken(path, number, offset, "the checksum of its length is wrong")
    if offset + _HEADER.size + length + _CHECKSUM.size > size:
        raise _broken(path, number, offset, "the file ends inside it")
    return int(length)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    # The rotation and the constant are TensorFlow's (tsl/lib/hash/crc32c.h: Mask).
    return _CHECKSUM.pack((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _broken(path: Path, number: int, offset: int, what: str) -> IntegrityError:
    return IntegrityError(f"{path}: record {number} at byte {offset}: {what}; {_REMEDY}")


_REMEDY = "delete the file and run the same command again"
