"""Voxel files made from structures: HDF5 in the layout of aposteriori 2.4.0, the same bytes for the same structures.

`domain/chain/residue` are datasets, channels last: bool, or float64 where Gaussian; gzip level 4. The name of a
residue has its insertion code (`10A`), where aposteriori would drop the residue for having the number of another.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.grids import GridShape
from trainyard.voxel.reasons import Reason
from trainyard.voxel.settings import VoxelizeSettings
from trainyard.voxel.structures import AMINO_ACIDS, find_structures, read_structure
from trainyard.voxel.voxelize import Frames, grid_shape, voxelize
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_path, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.logs import progress
from trainyard.yard.receipts import write_receipt

STRUCTURE, RESIDUE = "structure", "structure_residue"
"""Kinds, in the ledger, of the files and of their protein residues."""

_LAYOUT = "2.4.0"
_FILTER = "<function default_atom_filter>"
"""aposteriori has the function's address in memory here, so that no two of its files are the same."""
_SHOWN = 3

_log = logging.getLogger(__name__)


def voxelize_files(paths: Iterable[Path], out: Path, *, settings: VoxelizeSettings) -> Ledger:
    """Voxelise structures into one voxel file, with its receipt and its ledger.

    A file that cannot be read, or that no grid comes of, is rejected; memory holds one structure at a time.

    Args:
        paths: Structure files and folders of them; see `find_structures`.
        out: The voxel file; the ledger goes to `ledger_path(out)`.
        settings: How to voxelise.

    Returns:
        The ledger, kinds `STRUCTURE` and `RESIDUE`; its sums have been checked.

    Raises:
        InputError: No structure is found, two have the same domain, or more are rejected than `max_reject_fraction`
            allows.
        EnvironmentFault: Disk full, no permission.
    """
    files = find_structures(paths)
    ledger = Ledger("voxel", Reason)
    grids = write_voxels(out, voxelized(files, settings=settings, ledger=ledger), settings=settings)
    ledger.check()
    write_json(ledger_path(out), ledger.to_dict())
    write_receipt(out, records=grids, schema=f"aposteriori {_LAYOUT}")
    return ledger


def write_voxels(path: Path, domains: Iterable[Frames], *, settings: VoxelizeSettings) -> int:
    """Write a voxel file, domain by domain; returns the number of its grids.

    Args:
        path: The file; it appears when it is whole.
        domains: What to write, each domain once.
        settings: What the grids were made with.

    Raises:
        EnvironmentFault: Disk full, no permission.
    """
    shape = grid_shape(settings)
    grids = 0
    with atomic_path(path) as part, _new_hdf5(part) as (file, sink):
        _write_attributes(file, shape, settings)
        for frames in domains:
            group = file.create_group(frames.structure.domain)
            for _ in _write_grids(group, frames, shape, is_gaussian=settings.gaussian):
                sink.check()
                grids += 1
    return grids


def voxelized(files: Mapping[str, Path], *, settings: VoxelizeSettings, ledger: Ledger) -> Iterator[Frames]:
    """Yield the grids of one structure after the other.

    Args:
        files: Structure files by domain.
        settings: How to voxelise.
        ledger: Gets all structures and their residues, kinds `STRUCTURE` and `RESIDUE`.

    Yields:
        What comes of every structure that has at least one grid.

    Raises:
        InputError: At the end, if more are rejected than `max_reject_fraction` allows.
    """
    ledger.expect(STRUCTURE, len(files))
    for domain, path in progress(files.items(), total=len(files), what="structures"):
        try:
            frames = voxelize(read_structure(path), settings)
        except InputError as error:
            _log.warning("%s", error)
            ledger.reject(STRUCTURE, domain, Reason.UNREADABLE, str(error))
            continue
        ledger.expect(RESIDUE, len(frames.rows) + len(frames.faults))
        ledger.keep(RESIDUE, domain, len(frames.rows))
        for name, fault in frames.faults:
            ledger.reject(RESIDUE, f"{domain}/{name}", fault.reason, fault.detail)
        if len(frames.rows):
            ledger.keep(STRUCTURE, domain)
            yield frames
        else:
            ledger.reject(STRUCTURE, domain, Reason.NO_RESIDUES, "none of its residues has a grid")
    for kind in (STRUCTURE, RESIDUE):
        _refuse_rejects(ledger, kind, settings.max_reject_fraction)


def ledger_path(out: Path) -> Path:
    """Return the path of the ledger of a voxel file: `voxels.hdf5` has `voxels.ledger.json`."""
    return out.with_suffix(".ledger.json")


def _refuse_rejects(ledger: Ledger, kind: str, limit: float) -> None:
    rejected, expected = ledger.rejected(kind), ledger.expected(kind)
    if rejected > limit * expected:
        rows = [row for row in ledger.rejections if row["kind"] == kind][:_SHOWN]
        first = "; ".join(f"{row['item']}: {row['reason']} ({row['detail']})" for row in rows)
        raise InputError(
            f"{rejected} of {expected} {kind}s cannot be voxelised; the limit is voxelize.max_reject_fraction ="
            f" {limit}. First of them: {first}"
        )


class _Sink(io.RawIOBase):
    """The file that HDF5 writes to.

    A fault, such as a full disk, is kept from HDF5, since a file that it cannot close crashes the process.
    """

    def __init__(self, handle: io.FileIO) -> None:
        self._handle = handle
        self._fault: OSError | None = None

    def check(self) -> None:
        """Raise the fault that there was, if any."""
        if self._fault:
            raise self._fault

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        try:
            while left and not self._fault:
                left = left[self._handle.write(left) :]
        except OSError as error:
            self._fault = error
        return len(data)

    def readinto(self, data: Any) -> int:
        return self._handle.readinto(data) or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._handle.seek(offset, whence)

    def tell(self) -> int:
        return self._handle.tell()

    def truncate(self, size: int | None = None) -> int:
        return size or 0 if self._fault else self._handle.truncate(size)


@contextmanager
def _new_hdf5(path: Path) -> Iterator[tuple[h5py.File, _Sink]]:
    with io.FileIO(path, "w+") as handle:
        sink = _Sink(handle)
        with h5py.File(sink, "w") as file:
            yield file, sink
        sink.check()


def _write_attributes(file: h5py.File, shape: GridShape, settings: VoxelizeSettings) -> None:
    file.attrs["make_frame_dataset_ver"] = _LAYOUT
    file.attrs["frame_dims"] = np.array([*shape.sides, len(shape.channels)], np.int64)
    file.attrs["atom_encoder"] = list(shape.channels)
    file.attrs["encode_cb"] = settings.encode_cb
    file.attrs["atom_filter_fn"] = _FILTER
    file.attrs["residue_encoder"] = list(AMINO_ACIDS)
    file.attrs["frame_edge_length"] = shape.edge
    file.attrs["voxels_as_gaussian"] = settings.gaussian


def _write_grids(group: h5py.Group, frames: Frames, shape: GridShape, *, is_gaussian: bool) -> Iterator[h5py.Dataset]:
    """Write the grids of a domain; gives each dataset as it is written."""
    grid: NDArray[Any] = np.zeros(shape.dims, np.float64 if is_gaussian else np.bool_)
    for i, row in enumerate(frames.rows.tolist()):
        residue, (positions, values) = frames.structure.residues[row], frames.grids[i]
        grid.reshape(-1)[positions] = 1 if values is None else values
        dataset = group.require_group(residue.chain).create_dataset(
            residue.key, data=np.moveaxis(grid, 0, -1), compression="gzip", compression_opts=4, track_times=False
        )
        dataset.attrs["label"] = residue.label
        dataset.attrs["rotamers"] = "NAN"
        dataset.attrs["encoded_residue"] = np.array([residue.label == code for code in AMINO_ACIDS])
        grid.reshape(-1)[positions] = 0
        yield dataset
