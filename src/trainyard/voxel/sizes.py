"""How many bytes the outputs take, before any of them is written.

Sizes of batch files are exact, of what torch 2.13 and safetensors write. Those of the store are a bound and a guess.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainyard.voxel.plan import VoxelPlan
from trainyard.voxel.settings import VoxelExportSettings
from trainyard.yard.errors import EnvironmentFault

GRID = (5, 21, 21, 21)
"""Channels and sides of a grid, as published."""

_ITEM_BYTES = {"float32": 4, "float16": 2, "bool": 1}
_SAFETENSORS = {"float32": "F32", "float16": "F16", "bool": "BOOL"}

_ALIGNMENT = 64
"""Torch starts every record of its zip files at a multiple of this."""
_LOCAL_HEADER, _CENTRAL_HEADER, _DESCRIPTOR = 30, 46, 16
_END = 56 + 20 + 22
"""End record and locator of zip64, which torch always writes, and end record of the zip."""
_ZIP64 = 2**32 - 1
"""Sizes and offsets from here on stand in zip64 fields."""

_RESIDUE_ROW, _SAMPLE_ROW, _PART_ROW = 160, 48, 120
"""Most bytes that a row of the store's tables takes; the names in it are short."""
_REST_OF_STORE = 2**20
_TYPICAL_SET, _TYPICAL_SAMPLE_ROW, _TYPICAL_RESIDUE_ROW = 50, 12, 24
"""Voxels that are set in a grid of a protein, and compressed bytes of rows."""


@dataclass(frozen=True)
class OutputBytes:
    """Bytes by output.

    Attributes:
        store_most: Bytes that the store cannot exceed, whatever its grids hold.
        store_typical: About what it takes with grids of proteins, one point per atom.
        batches: Exact bytes of the batch files, by format and split.
        lists: Exact bytes of the lists of batch files, by format and split.
    """

    store_most: int
    store_typical: int
    batches: dict[str, dict[str, int]]
    lists: dict[str, dict[str, int]]

    @property
    def exports(self) -> int:
        """All batch files and their lists together."""
        return sum(sum(splits.values()) for part in (self.batches, self.lists) for splits in part.values())

    @property
    def total(self) -> int:
        """Bytes that all outputs together cannot exceed."""
        return self.store_most + self.exports


def total_bytes(
    plan: VoxelPlan,
    export: VoxelExportSettings,
    *,
    batch_size: int,
    grid: Sequence[int] = GRID,
    source_dtype: str = "bool",
) -> OutputBytes:
    """Bytes of all outputs of a plan; see `output_bytes`."""
    samples = {split: n["samples"] for split, n in plan.counts.items()}
    residues = plan.residues.num_rows
    return output_bytes(samples, residues, export, batch_size=batch_size, grid=grid, source_dtype=source_dtype)


def output_bytes(
    samples: Mapping[str, int],
    residues: int,
    export: VoxelExportSettings,
    *,
    batch_size: int,
    grid: Sequence[int] = GRID,
    source_dtype: str = "bool",
) -> OutputBytes:
    """Bytes of all outputs.

    Args:
        samples: Number of samples by split.
        residues: Number of residues.
        export: Formats and type of the batch files.
        batch_size: Samples per batch file.
        grid: Channels and sides of a grid.
        source_dtype: Type of the grids in the voxel file, as numpy names it.
    """

    def pt(n: int, name: str) -> int:
        return pt_bytes(n, dtype=export.dtype, grid=grid, archive=name)

    def safetensors(n: int, name: str) -> int:
        return safetensors_bytes(n, dtype=export.dtype, grid=grid)

    sizes = {name: size for name, size in (("pt", pt), ("safetensors", safetensors)) if name in export.formats}
    n_samples = sum(samples.values())
    # A grid is bit-packed at worst; other types may have to be stored as they are.
    cells = math.prod(grid)
    most = -(-cells // 8) if source_dtype == "bool" else cells * np.dtype(source_dtype).itemsize
    rows = residues * (_RESIDUE_ROW + _PART_ROW) + n_samples * _SAMPLE_ROW
    typical_rows = residues * 2 * _TYPICAL_RESIDUE_ROW + n_samples * _TYPICAL_SAMPLE_ROW
    return OutputBytes(
        store_most=residues * (most + 8) + rows + _REST_OF_STORE,
        store_typical=residues * (2 * _TYPICAL_SET + 8) + typical_rows,
        batches={
            name: {s: _files_bytes(n, batch_size, size) for s, n in samples.items()} for name, size in sizes.items()
        },
        lists={name: {s: _list_bytes(n, batch_size, s, name) for s, n in samples.items()} for name in sizes},
    )


def pt_bytes(samples: int, *, dtype: str = "float32", grid: Sequence[int] = GRID, archive: str = "batch_000000") -> int:
    """Size of what `torch.save` writes for a dict of `voxels`, `scaled_temps` (n, 1) and `targets` (n,).

    A torch file is an uncompressed zip in which each record starts at a multiple of 64 bytes.

    Args:
        samples: Samples in the file.
        dtype: Type of `voxels`; the other two are float32.
        grid: Channels and sides.
        archive: Stem of the file's name, which stands in every record's name; `archive` for a file object.
    """
    voxels = samples * math.prod(grid) * _ITEM_BYTES[dtype]
    records = {
        "data.pkl": _pickle_bytes(samples, dtype, grid),
        ".format_version": 1,
        ".storage_alignment": 2,
        "byteorder": len("little"),
        "data/0": voxels,
        "data/1": 4 * samples,
        "data/2": 4 * samples,
        "version": 2,
        ".data/serialization_id": 40,
    }
    offset, directory = 0, 0
    for name, size in records.items():
        full = len(f"{archive}/{name}".encode())
        wide, far = size >= _ZIP64, offset >= _ZIP64
        zip64 = (4 + 16 * wide + 8 * far) if wide or far else 0
        # Padding stands in an extra field, whose own header is 4 bytes.
        start = offset + _LOCAL_HEADER + full + zip64 + 4
        start += -start % _ALIGNMENT
        offset = start + size + _DESCRIPTOR + (8 if zip64 else 0)
        directory += _CENTRAL_HEADER + full + zip64
    return offset + directory + _END


def _pickle_bytes(samples: int, dtype: str, grid: Sequence[int]) -> int:
    """Size of the pickle (protocol 2) that describes the tensors: fixed text, and the integers in it."""
    shape = (samples, *grid)
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    integers = [math.prod(shape), *shape, *strides, samples, samples, 1, 1, 1, samples, samples, 1]
    # Half and bool have a storage type of their own, one letter shorter, so that of the floats is spelt out later.
    return 283 + (19 if dtype != "float32" else 0) + sum(map(_integer_bytes, integers))


def _integer_bytes(value: int) -> int:
    """Size of a pickled integer: BININT1, BININT2, BININT or LONG1."""
    for limit, size in ((2**8, 2), (2**16, 3), (2**31, 5)):
        if value < limit:
            return size
    return 2 + value.bit_length() // 8 + 1


def safetensors_bytes(
    samples: int,
    *,
    dtype: str = "float32",
    grid: Sequence[int] = GRID,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Size of what `safetensors` writes for the same three tensors: length, header in JSON, data."""
    kinds = {"voxels": dtype, "scaled_temps": "float32", "targets": "float32"}
    shapes = {"voxels": (samples, *grid), "scaled_temps": (samples, 1), "targets": (samples,)}
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    # Wide types come first, then names in order.
    for name in sorted(kinds, key=lambda name: (-_ITEM_BYTES[kinds[name]], name)):
        start, end = end, end + math.prod(shapes[name]) * _ITEM_BYTES[kinds[name]]
        header[name] = {"dtype": _SAFETENSORS[kinds[name]], "shape": shapes[name], "data_offsets": (start, end)}
    text = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + text + -text % 8 + end


def check_disk(path: Path, needed: int, *, margin: float = 0.02) -> None:
    """Make sure that a folder's disk has room.

    Args:
        path: The folder; it need not exist yet.
        needed: Bytes that will be written.
        margin: Room to leave beyond that, as a fraction of `needed`.

    Raises:
        EnvironmentFault: It has not; the message has the numbers.
    """
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed * (1 + margin):
        raise EnvironmentFault(
            f"{path}: the outputs take {needed:,} bytes ({needed / 1e9:,.1f} GB), the disk has {free:,} free"
            f" ({free / 1e9:,.1f} GB). Free space, choose another folder, or drop formats from export.formats: the"
            " store alone serves the same tensors"
        )


def _files_bytes(n: int, batch_size: int, size: Callable[[int, str], int]) -> int:
    """Bytes of all batch files of a split."""
    whole, rest = divmod(n, batch_size)
    total = size(rest, f"batch_{whole:06d}") if rest else 0
    for files, name in _names(whole):
        total += files * size(batch_size, name)
    return total


def _list_bytes(n: int, batch_size: int, split: str, suffix: str) -> int:
    """Bytes of the list of a split's batch files, one path per line."""
    return sum(files * len(f"{split}/{name}.{suffix}\n") for files, name in _names(-(-n // batch_size)))


def _names(files: int) -> list[tuple[int, str]]:
    """How many of the first files have names as long as the one given; numbers have six digits or more."""
    found = []
    first, after = 0, 10**6
    while first < files:
        found.append((min(files, after) - first, f"batch_{first:06d}"))
        first, after = after, 10 * after
    return found
