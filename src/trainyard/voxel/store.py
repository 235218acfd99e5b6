"""The store: every grid once, shared by the temperatures, and the samples that refer to them.

    grids/part_*.safetensors    grids, sparse (codec.py), with grids/part_*.parquet naming them row by row
    residues.parquet            where the grid of each residue is
    samples.parquet             residue, temperature and target of each sample, in order
    manifest.json               what the store is, with the SHA-256 of its files

Only numpy is needed to read it; the torch side is in loader.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.voxel.codec import checksums
from trainyard.voxel.grids import Grids, Rows, flat_positions, join
from trainyard.voxel.parts import Part, open_part, table_path
from trainyard.voxel.schema import PARTS, RESIDUES, SAMPLES
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json, sha256_file

FORMAT, VERSION = "trainyard.voxel_store", 1
MANIFEST = "manifest.json"
RESIDUES_FILE, SAMPLES_FILE = "residues.parquet", "samples.parquet"

_REMEDY = "build the store again"


class ExpandBuffer:
    """A batch of grids to be filled again and again.

    Filling one clears what the last filling set, a thousandth of the whole, so the caller must be done with the last
    batch and must not have written into it.
    """

    def __init__(self, array: npt.NDArray[Any]) -> None:
        """Take an array, such as the memory of a pinned tensor, as buffer; it is set to zero.

        Args:
            array: Shape (B, C, D, H, W), C-contiguous.

        Raises:
            ValueError: Not contiguous.
        """
        if not array.flags.c_contiguous:
            raise ValueError("a buffer must be C-contiguous")
        array[...] = 0
        self.array = array
        self._flat = array.reshape(-1)
        self._set: npt.NDArray[np.intp] = np.empty(0, np.intp)

    def fill(self, grids: Grids) -> npt.NDArray[Any]:
        """Put grids, at most B, into the buffer; returns the part of it that they take."""
        at = flat_positions(grids, cells=self.array[0].size)
        self._flat[self._set] = 0
        self._flat[at] = 1 if grids.values is None else grids.values
        self._set = at
        return self.array[: len(grids)]


class Store:
    """A finished store, open for reading.

    Grids of zeros and ones are held in memory (72 MB for all of mdCATH), others are mapped from disk. Both happen at
    the first use, and a pickled store is its path, so that it can be handed to other processes by fork or spawn.
    """

    def __init__(self, folder: Path) -> None:
        """Open a store.

        Raises:
            InputError: There is none.
            IntegrityError: It is not one that this version reads.
        """
        self.folder = Path(folder)
        self.manifest: dict[str, Any] = read_json(self.folder / MANIFEST)
        try:
            found = (self.manifest["format"], self.manifest["version"])
            self.shape: tuple[int, int, int, int] = tuple(self.manifest["shape"])
            self.channels: tuple[str, ...] = tuple(self.manifest["channels"])
            self.part_files: list[Path] = [self.folder / part["file"] for part in self.manifest["parts"]]
        except (KeyError, TypeError) as error:
            raise IntegrityError(f"{self.folder / MANIFEST}: not a store's manifest ({error!r}); {_REMEDY}") from error
        if found != (FORMAT, VERSION):
            raise IntegrityError(f"{self.folder / MANIFEST}: is {found}, expected {(FORMAT, VERSION)}; {_REMEDY}")

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return Store, (self.folder,)

    def __len__(self) -> int:
        """Number of residues."""
        return int(self.manifest["counts"]["residues"])

    @property
    def cells(self) -> int:
        """Cells of one grid."""
        return int(np.prod(self.shape))

    @property
    def residues(self) -> pa.Table:
        """The residues, under `schema.RESIDUES`, by `residue_uid`; read from disk at each call."""
        return RESIDUES.read(self.folder / RESIDUES_FILE)

    def samples(self, split: str, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the samples of a split, under `schema.SAMPLES`, in their order; read from disk at each call."""
        return SAMPLES.read(self.folder / SAMPLES_FILE, columns=columns, filters=[("split", "==", split)])

    def gather(self, uids: Rows) -> Grids:
        """Return the grids of residues without their zeros, in the order of `residue_uid`s, repeated as these are."""
        rows = self._rows[uids]
        if self._in_memory is not None:
            return self._in_memory.take(rows)
        part = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(part, kind="stable")
        pieces = [self._parts[i].take(rows[part == i] - self._starts[i]) for i in np.unique(part)]
        return join(pieces).take(np.argsort(order, kind="stable")) if pieces else self._parts[0].take(rows)

    def expand(
        self, uids: Rows, out: ExpandBuffer | npt.NDArray[Any] | None = None, *, dtype: npt.DTypeLike = np.float32
    ) -> npt.NDArray[Any]:
        """Return the grids of residues with their zeros, shape (B, C, D, H, W), exact.

        Args:
            uids: `residue_uid`s, (B,), in any order, repeated as needed.
            out: Where to put them: a buffer of at least B grids (see `buffer`), of which only what the last call set
                is cleared; or an array of this shape, which is cleared. None makes a new array.
            dtype: Type of a new array: float32; uint8 or bool where all values are 0 or 1; float16 where it is exact.

        Raises:
            ValueError: The type does not hold the values, or the buffer is too small.
        """
        grids = self.gather(uids)
        array = out.array if isinstance(out, ExpandBuffer) else out
        if array is None:
            array = np.zeros((len(grids), *self.shape), dtype)
        if array.shape[1:] != self.shape or len(array) < len(grids) or not array.flags.c_contiguous:
            raise ValueError(f"a buffer for {len(grids)} grids of {self.shape} has shape {array.shape}")
        if grids.values is not None and not np.can_cast(grids.values.dtype, array.dtype):
            raise ValueError(f"{array.dtype} does not hold the values of these grids, which are {grids.values.dtype}")
        if isinstance(out, ExpandBuffer):
            return out.fill(grids)
        if out is not None:
            array[...] = 0
        array.reshape(-1)[flat_positions(grids, cells=self.cells)] = 1 if grids.values is None else grids.values
        return array[: len(grids)]

    def buffer(self, batch_size: int, *, dtype: npt.DTypeLike = np.float32) -> ExpandBuffer:
        """Return a buffer for `expand` that holds this many grids."""
        return ExpandBuffer(np.zeros((batch_size, *self.shape), dtype))

    def verify(self) -> None:
        """Compare every file with the manifest, and every grid with its checksum.

        Raises:
            IntegrityError: They disagree, or a file is missing.
        """
        sums = {entry["file"]: entry["sha256"] for entry in [*self.manifest["parts"], *self.manifest["tables"]]}
        for name, expected in sums.items():
            path = self.folder / name
            if not path.is_file() or sha256_file(path) != expected:
                raise IntegrityError(f"{path}: missing, or not the file that the manifest names; {_REMEDY}")
        for path in self.part_files:
            rows = PARTS.read(table_path(path))
            found = checksums(open_part(path).take())
            wrong = [i for i, crc in enumerate(rows["crc32"].to_pylist()) if crc != found[i]]
            if wrong:
                row = rows.slice(wrong[0], 1).to_pylist()[0]
                where = f"{row['domain']}/{row['chain']}/{row['residue']}"
                raise IntegrityError(f"{path}: {len(wrong)} grids differ from their checksum, first {where}; {_REMEDY}")

    @cached_property
    def _parts(self) -> list[Part]:
        parts = [open_part(path) for path in self.part_files]
        for part in parts:
            if (part.shape.dims, part.shape.channels) != (self.shape, self.channels):
                raise IntegrityError(f"{part.path}: grids of {part.shape}, unlike those of the store; {_REMEDY}")
        return parts

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """First row of each part, when the parts stand one behind the other."""
        return np.concatenate([[0], np.cumsum([part.grids for part in self._parts])[:-1]]).astype(np.int64)

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        """Row of each residue's grid, when the parts stand one behind the other."""
        where = RESIDUES.read(self.folder / RESIDUES_FILE, columns=["part", "row"])
        rows: npt.NDArray[np.int64] = self._starts[where["part"].to_numpy()] + where["row"].to_numpy()
        return rows

    @cached_property
    def _in_memory(self) -> Grids | None:
        """All grids, if they are sparse zeros and ones."""
        return join([part.take() for part in self._parts]) if all(part.is_sparse_bits for part in self._parts) else None
