"""Store parts: the grids of some domains in one safetensors file, with a table that names them row by row."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.voxel.codec import Codec, checksums, choose_codec, decode, encode, fits_float16
from trainyard.voxel.grids import Grid, GridFault, Grids, GridShape, Rows, check_grids, collect, pointers
from trainyard.voxel.hdf5 import VoxelFile
from trainyard.voxel.schema import PARTS
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open, faults_named
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import write_receipt

GRID = "grid"
"""Kind, in the ledger, of the grids that parts are to hold."""

_FORMAT, _VERSION = "trainyard.voxel_part", "1"
_BLOCK_CELLS = 2**22
"""Cells of the grids that are worked on at a time; it bounds memory also where grids are dense, and shapes no bytes."""
_IN_MEMORY = 2**26
"""Bytes of a part that are kept in memory before they go to disk."""
_DTYPES = {"I64": "<i8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "F32": "<f4", "F16": "<f2"}
_CODES = {np.dtype(kind): code for code, kind in _DTYPES.items()}
_LARGEST_HEADER = 2**20
_REMEDY = "delete the file and run the same command again"

_log = logging.getLogger(__name__)


def part_name(part: int, num_parts: int) -> str:
    """Return the file name of a part, which counts from 0: `part_0001-0004.safetensors` is the first of four."""
    return f"part_{part + 1:04d}-{num_parts:04d}.safetensors"


def table_path(part: Path) -> Path:
    """Return the path of a part's table."""
    return part.with_suffix(".parquet")


def ledger_path(part: Path) -> Path:
    """Return the path of a part's ledger: `part_0001-0004.safetensors` has `ledger_0001-0004.json`."""
    return part.with_name(f"ledger_{part.stem.removeprefix('part_')}.json")


def encode_part(
    file: VoxelFile, residues: pa.Table, out: Path, *, bad_grid: Literal["error", "reject", "warn"], ledger: Ledger
) -> None:
    """Write a part with its table and its receipt; grids pass through a bounded piece of memory.

    Args:
        file: The voxel file.
        residues: What the part is to hold, in this order: domain, chain, residue, resid, icode, label.
        out: The part's path; the table goes beside it.
        bad_grid: What to do with a grid that cannot or should not be used. 'warn' keeps it where that is possible,
            that is when it is empty or lacks the CA at its centre.
        ledger: Gets every grid, as kind `GRID`.

    Raises:
        InputError: A bad grid, with 'error'; or a residue that is not in the file.
        EnvironmentFault: Disk full, no permission.
    """
    names = residues.select([name for name in PARTS.names if name in residues.column_names])
    paths = ["/".join(key) for key in zip(*(names[k].to_pylist() for k in ("domain", "chain", "residue")), strict=True)]
    ledger.expect(GRID, len(paths))
    policy = _Policy(file.path, bad_grid, ledger)
    kept: list[int] = []
    with atomic_open(out) as handle, _spool(out.parent) as indices, _spool(out.parent) as values:
        writer = _PartWriter(file.shape, indices, values)
        block = _block(file.shape)
        for start in range(0, len(paths), block):
            rows, grids = _read_block(file, paths, range(start, min(start + block, len(paths))), policy)
            writer.add(grids)
            kept += rows
        writer.write(handle, rejected=len(paths) - len(kept))
    ledger.keep(GRID, out.name, len(kept))
    table = names.take(pa.array(kept, pa.int64()))
    table = table.append_column("nnz", pa.array(writer.counts, pa.int32()))
    table = table.append_column("crc32", pa.array(writer.checksums, pa.uint32()))
    PARTS.write(table_path(out), table.select(list(PARTS.names)).cast(PARTS.schema))
    write_receipt(out, records=len(kept), schema=PARTS.digest)


@dataclass(frozen=True)
class _Policy:
    """What to do with bad grids."""

    path: Path
    bad_grid: str
    ledger: Ledger

    def keeps(self, where: str, fault: GridFault, *, possible: bool) -> bool:
        """Whether a bad grid is kept; if not, the ledger has it."""
        if self.bad_grid == "error":
            raise InputError(f"{self.path}: {where}: {fault}; mend the file, or set plan.bad_grid to reject") from fault
        if self.bad_grid == "warn" and possible:
            _log.warning("%s: %s: %s; kept, since plan.bad_grid is warn", self.path, where, fault)
            return True
        self.ledger.reject(GRID, where, fault.reason, fault.detail)
        return False


def _read_block(file: VoxelFile, paths: Sequence[str], rows: range, policy: _Policy) -> tuple[list[int], Grids]:
    """Read some grids; returns the rows that are kept and their grids."""
    kept: list[int] = []
    single: list[Grid] = []
    for row in rows:
        try:
            single.append(file.read(paths[row]))
            kept.append(row)
        except GridFault as fault:
            policy.keeps(paths[row], fault, possible=False)
    grids = collect(single, file.shape)
    faults = check_grids(grids, file.shape)
    bad = {i for i, fault in faults.items() if not policy.keeps(paths[kept[i]], fault, possible=True)}
    if not bad:
        return kept, grids
    good = [i for i in range(len(kept)) if i not in bad]
    return [kept[i] for i in good], grids.take(np.array(good, np.int64))


def _block(shape: GridShape) -> int:
    return max(1, _BLOCK_CELLS // shape.cells)


def _spool(folder: Path) -> tempfile.SpooledTemporaryFile[bytes]:
    # On disk it has no name, so that nothing is left of it when the process is killed.
    return tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))


class _PartWriter:
    """Collects grids, sparse, and writes them with the codec that their density asks for."""

    def __init__(self, shape: GridShape, indices: IO[bytes], values: IO[bytes]) -> None:
        self.counts: list[int] = []
        self.checksums: list[int] = []
        self._shape = shape
        self._indices, self._values = indices, values
        self._all_ones = self._half = True

    def add(self, grids: Grids) -> None:
        if grids.values is not None and self._all_ones:
            # The first values of the part: what came before them was ones.
            self._all_ones = False
            for count in self.counts:
                self._values.write(np.ones(count, np.float32).tobytes())
        self.counts += np.diff(grids.indptr).tolist()
        self.checksums += checksums(grids)
        self._indices.write(grids.indices.tobytes())
        if not self._all_ones:
            values = np.ones(len(grids.indices), np.float32) if grids.values is None else grids.values
            self._half = self._half and fits_float16(values.astype(np.float32, copy=False))
            self._values.write(values.tobytes())

    def write(self, handle: IO[bytes], *, rejected: int) -> None:
        """Write the part: safetensors, with what is needed to read it as metadata."""
        n, cells, total = len(self.counts), self._shape.cells, sum(self.counts)
        dtype = np.dtype(np.bool_ if self._all_ones else np.float16 if self._half else np.float32)
        codec = choose_codec(total / max(n, 1), cells, dtype)
        tensors: dict[str, tuple[npt.DTypeLike, tuple[int, ...]]]
        if codec == "sparse":
            values = {} if self._all_ones else {"values": (dtype, (total,))}
            tensors = {"indptr": (np.int64, (n + 1,)), **values, "indices": (self._shape.index_dtype, (total,))}
        elif codec == "packed":
            tensors = {"packed": (np.uint8, (n, -(-cells // 8)))}
        else:
            tensors = {"grids": (dtype, (n, *self._shape.dims))}
        handle.write(_header(tensors, _metadata(self._shape, codec, n, rejected)))
        for name in tensors:
            if name == "indptr":
                handle.write(pointers(np.array(self.counts, np.int64)).tobytes())
                continue
            for block in self._blocks(dtype):
                handle.write(encode(block, codec, cells=cells)[name].tobytes())

    def _blocks(self, dtype: npt.DTypeLike) -> Iterator[Grids]:
        """All that was collected, from the beginning, in blocks; values, if any, as this type."""
        self._indices.seek(0)
        self._values.seek(0)
        index, block = self._shape.index_dtype, _block(self._shape)
        for start in range(0, len(self.counts), block):
            indptr = pointers(np.array(self.counts[start : start + block], np.int64))
            indices = np.frombuffer(self._indices.read(int(indptr[-1]) * index.itemsize), index)
            values = None
            if not self._all_ones:
                values = np.frombuffer(self._values.read(int(indptr[-1]) * 4), np.float32).astype(dtype)
            yield Grids(indptr, indices, values)


@dataclass(frozen=True)
class Part:
    """A part, its arrays mapped from disk, read-only."""

    path: Path
    codec: Codec
    shape: GridShape
    grids: int
    rejected: int
    """Grids that were planned for the part and rejected."""
    arrays: Mapping[str, npt.NDArray[Any]]

    def take(self, rows: Rows | None = None) -> Grids:
        """Return grids of the part, in the order of `rows`; None for all."""
        return decode(self.arrays, self.codec, cells=self.shape.cells, rows=rows)

    @property
    def is_sparse_bits(self) -> bool:
        """Whether the part holds positions only, all values being 1."""
        return self.codec == "sparse" and "values" not in self.arrays


def open_part(path: Path) -> Part:
    """Open a part that `encode_part` wrote; its bytes are the business of its receipt.

    Raises:
        InputError: No such file.
        IntegrityError: Not a part, or not whole.
    """
    try:
        with faults_named(path):
            data = np.memmap(path, np.uint8, mode="r")
        length = int(data[:8].view("<u8")[0])
        header = json.loads(data[8 : 8 + min(length, _LARGEST_HEADER)].tobytes())
        about = header.pop("__metadata__")
        if (about["format"], about["version"]) != (_FORMAT, _VERSION) or about["codec"] not in get_args(Codec):
            raise ValueError(f"format {about['format']} version {about['version']} codec {about['codec']}")
        arrays = {name: _array(data[8 + length :], entry) for name, entry in header.items()}
        x, y, z = (int(side) for side in about["sides"].split(","))
        shape = GridShape(tuple(about["channels"].split(",")), (x, y, z), float(about["edge_angstrom"]))
        return Part(path, about["codec"], shape, int(about["grids"]), int(about["rejected"]), arrays)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: not a whole part of a voxel store ({error!r}); {_REMEDY}") from error


def _metadata(shape: GridShape, codec: Codec, grids: int, rejected: int) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "codec": codec,
        "channels": ",".join(shape.channels),
        "sides": ",".join(map(str, shape.sides)),
        "edge_angstrom": repr(shape.edge),
        "grids": str(grids),
        "rejected": str(rejected),
    }


def _header(tensors: Mapping[str, tuple[npt.DTypeLike, tuple[int, ...]]], metadata: Mapping[str, str]) -> bytes:
    """Header of a safetensors file (github.com/huggingface/safetensors#format).

    Written here because the library needs all tensors in memory and orders metadata differently in every process.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        header[name] = {"dtype": _CODES[np.dtype(dtype)], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _array(data: npt.NDArray[Any], entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    start, stop = entry["data_offsets"]
    if stop > len(data):
        raise ValueError(f"{stop - len(data)} bytes are missing")
    array: npt.NDArray[Any] = np.asarray(data[start:stop]).view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return array
