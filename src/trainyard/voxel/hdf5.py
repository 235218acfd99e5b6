"""Voxel files: HDF5 in the layout of aposteriori, `domain/chain/residue`, opened without trusting them.

A file may be user-made, so nothing in it may make us read another file (external and virtual storage, links), or
take memory without bound. Its variants are in docs/voxel.md: channels first or last, any number type, channels in
any order as `atom_encoder` and the geometry of the grids tell it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5a, h5d, h5g, h5l, h5o, h5p, h5s, h5t

from trainyard.voxel.channels import channels_by_geometry, settle_channels
from trainyard.voxel.grids import Grid, GridFault, GridShape, Positions, collect, dense
from trainyard.voxel.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import as_fault, faults_named

_LARGEST_GRID = 2**28
"""Bytes of one grid or chunk beyond which a file is taken for a trap."""
_LARGEST_ATTRIBUTE = 2**20
_SAMPLED_GRIDS = 16
_SOFT_LINKS_DEEP = 8
_FORMS = 4
_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises when HDF5 finds its own structures broken."""


@contextmanager
def open_voxels(path: Path, *, wanted: Sequence[str]) -> Iterator[VoxelFile]:
    """Open a voxel file to read.

    Args:
        path: The file.
        wanted: Names of the channels in the order wanted, such as C, N, O, CA, CB.

    Raises:
        InputError: No such file, not HDF5, truncated, no grids, channels other than those wanted, channels whose
            order nothing tells, or data that lies outside the file.
        EnvironmentFault: No permission.
    """
    with _opened(path) as handle:
        yield VoxelFile(path, handle, wanted)


class VoxelFile:
    """An open voxel file; made by `open_voxels`, for one process."""

    path: Path
    shape: GridShape
    """Channels as wanted, sides and edge of its grids."""
    channels: tuple[str, ...]
    """Channels in the file's own order."""
    permutation: tuple[int, ...]
    """For each channel as wanted, its number in the file."""

    def __init__(self, path: Path, handle: h5py.File, wanted: Sequence[str]) -> None:
        self.path = path
        self._root: h5g.GroupID = handle["/"].id
        self._group_name, self._group = "", self._root
        self._forms: list[_Form] = []
        with self._structure("its root attributes"):
            encoder, dims, edge = self._attributes()
        samples = list(self._samples())
        n_channels = len(encoder or wanted)
        sides = self._sides(dims or self._usual_shape(samples), n_channels)
        # For the samples, channels are numbered as the file has them; which is which is what they will tell.
        self.permutation = tuple(range(n_channels))
        self.shape = GridShape(tuple(map(str, self.permutation)), sides, edge)
        seen = channels_by_geometry(list(self._readable(samples)), self.shape)
        self.channels = settle_channels(encoder, seen, tuple(wanted), path)
        self.permutation = tuple(self.channels.index(name) for name in wanted)
        self.shape = GridShape(tuple(wanted), sides, edge)
        self._forms = []

    def groups(self, where: str = "") -> tuple[list[str], list[str]]:
        """Return the names of the groups, and of the other things, in a group; both sorted.

        Args:
            where: Path of the group; "" for the root, whose groups are the domains.

        Raises:
            InputError: A link leads out of the file, or the file is broken.
        """
        split: tuple[list[str], list[str]] = ([], [])
        for name in self.names(where):
            split[0 if self._is_group(f"{where}/{name}".lstrip("/")) else 1].append(name)
        return split

    def names(self, where: str) -> list[str]:
        """Return the names of everything in a group, sorted.

        Raises:
            InputError: A link leads out of the file, or the file is broken.
        """
        found: list[tuple[bytes, int]] = []
        with self._structure(where or "its root"):
            group = self._open_group(where)
            # `append` returns None, which lets the iteration go on.
            group.links.iterate(lambda name, info: found.append((name, info.type)), info=True)
            for name, kind in found:
                if kind != h5l.TYPE_HARD:
                    self._check_link(group, name, f"{where}/{name.decode(errors='replace')}".lstrip("/"))
            return sorted(name.decode() for name, _ in found)

    def dataset(self, where: str) -> h5d.DatasetID:
        """Return the low-level handle of a dataset whose data is known to lie in this file.

        Args:
            where: `domain/chain/residue`.

        Raises:
            GridFault: `UNREADABLE`: not a dataset.
            InputError: Nothing of this name, a link or its data leads out of the file, or absurdly large.
        """
        try:
            dataset = self._open_dataset(where)
            self._check_storage(dataset.get_create_plist(), dataset.shape, where)
        except _UNREADABLE as error:
            raise GridFault(Reason.UNREADABLE, _text(error)) from error
        return dataset

    def read(self, where: str) -> Grid:
        """Return a grid, channels as wanted.

        Args:
            where: `domain/chain/residue`.

        Raises:
            GridFault: Unreadable, of another shape, not finite, or not 0 and 1 though declared bool.
            InputError: As for `dataset`.
        """
        try:
            dataset = self._open_dataset(where)
            form = self._form(dataset, where)
            # Where a file holds no chunk and names no fill value, HDF5 leaves what the last grid left.
            form.flat.fill(0)
            dataset.read(h5s.ALL, h5s.ALL, form.buffer, form.memory_type)
        except _UNREADABLE as error:
            raise GridFault(Reason.UNREADABLE, _text(error)) from error
        return form.grid()

    def _open_dataset(self, where: str) -> h5d.DatasetID:
        parent, _, name = where.rpartition("/")
        group, leaf = self._open_group(parent), name.encode()
        self._check_link(group, leaf, where)
        return h5d.open(group, leaf)

    @contextmanager
    def _structure(self, where: str) -> Iterator[None]:
        with faults_named(self.path):
            try:
                yield
            except _UNREADABLE as error:
                if isinstance(error, OSError) and as_fault(error, self.path):
                    raise
                raise InputError(f"{self.path}: {where} cannot be read ({_text(error)}); {_REMEDY}") from error

    def _attributes(self) -> tuple[tuple[str, ...], tuple[int, ...], float]:
        """Channel names (none: no such attribute), frame_dims (none: likewise) and edge of the cube, angstrom."""
        found: dict[str, Any] = {}
        for name in ("atom_encoder", "frame_dims", "frame_edge_length"):
            if h5a.exists(self._root, name.encode()):
                if h5a.get_info(self._root, name.encode()).data_size > _LARGEST_ATTRIBUTE:
                    raise ValueError(f"attribute {name} is absurdly large")
                found[name] = h5py.Group(self._root).attrs[name]
        encoder = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in found.get("atom_encoder", ()))
        dims = tuple(int(n) for n in found.get("frame_dims", ()))
        edge = float(found.get("frame_edge_length", 12.0))
        if not 0 < edge < float("inf"):
            raise ValueError(f"attribute frame_edge_length is {edge}")
        return encoder, dims, edge

    def _usual_shape(self, paths: Sequence[str]) -> tuple[int, ...]:
        shapes: Counter[tuple[int, ...]] = Counter(self.dataset(path).shape for path in paths)
        if not shapes:
            raise InputError(f"{self.path}: has neither the attribute frame_dims nor a grid at domain/chain/residue")
        (shape, _), *_ = shapes.most_common(1)
        return shape

    def _sides(self, dims: Sequence[int], n_channels: int) -> tuple[int, int, int]:
        if len(dims) != 4 or min(dims) < 1 or n_channels not in (dims[-1], dims[0]):
            raise InputError(
                f"{self.path}: frame_dims, or else the shape of its grids, is {list(dims)}, not three sides and"
                f" {n_channels} channels; check inputs.channel_order"
            )
        if prod(dims) * 8 > _LARGEST_GRID:
            raise InputError(f"{self.path}: grids of {list(dims)} are absurdly large; {_REMEDY}")
        x, y, z = dims[:-1] if dims[-1] == n_channels else dims[1:]
        return x, y, z

    def _samples(self) -> Iterator[str]:
        """Paths of some grids, spread over the file."""
        domains = self.names("")
        for at in sorted({i * len(domains) // _SAMPLED_GRIDS for i in range(_SAMPLED_GRIDS)} if domains else ()):
            members = self.names(domains[at]) if self._is_group(domains[at]) else []
            chains = (f"{domains[at]}/{name}" for name in members if self._is_group(f"{domains[at]}/{name}"))
            where = next(chains, None)
            # Down to a residue and, in files with grids per temperature, to one of these.
            while where and self._is_group(where):
                names = self.names(where)
                where = f"{where}/{names[len(names) // 2]}" if names else None
            if where:
                yield where

    def _is_group(self, where: str) -> bool:
        parent, _, name = where.rpartition("/")
        with self._structure(where):
            return bool(h5o.get_info(self._open_group(parent), name.encode()).type == h5o.TYPE_GROUP)

    def _readable(self, paths: Sequence[str]) -> Iterator[Grid]:
        for path in paths:
            try:
                yield self.read(path)
            except GridFault:
                continue  # It is rejected, with its reason, when its turn comes.

    def _open_group(self, where: str) -> h5g.GroupID:
        if where != self._group_name:
            parent, _, name = where.rpartition("/")
            group = self._open_group(parent) if parent else self._root
            self._check_link(group, name.encode(), where)
            with self._structure(where):
                self._group_name, self._group = where, h5g.open(group, name.encode()) if where else self._root
        return self._group

    def _check_link(self, group: h5g.GroupID, name: bytes, where: str, depth: int = 0) -> None:
        if not name:
            return
        try:
            kind = group.links.get_info(name).type
        except (KeyError, RuntimeError):
            if group.links.exists(name):
                raise
            raise InputError(f"{self.path}: no {where}; has the file changed since it was listed?") from None
        if kind == h5l.TYPE_HARD:
            return
        if kind != h5l.TYPE_SOFT or depth == _SOFT_LINKS_DEEP:
            raise InputError(f"{self.path}: {where} is a link out of the file; {_COPY}")
        # A soft link is followed by hand, since an external link may lie on its way.
        target = group.links.get_val(name)
        at = self._root if target.startswith(b"/") else group
        steps = [step for step in target.split(b"/") if step not in (b"", b".")]
        for i, step in enumerate(steps):
            self._check_link(at, step, where, depth + 1)
            if i < len(steps) - 1:
                at = h5g.open(at, step)

    def _check_storage(self, plan: h5p.PropDCID, shape: tuple[int, ...], where: str) -> None:
        layout = plan.get_layout()
        if layout == h5d.VIRTUAL or (layout == h5d.CONTIGUOUS and plan.get_external_count()):
            raise InputError(f"{self.path}: {where} keeps its data in other files; {_COPY}")
        cells = max(prod(shape), prod(plan.get_chunk()) if layout == h5d.CHUNKED else 0)
        if cells * 8 > _LARGEST_GRID:
            raise InputError(f"{self.path}: {where} has the absurd shape {list(shape)}; {_REMEDY}")

    def _form(self, dataset: h5d.DatasetID, where: str) -> _Form:
        """How to read this dataset; datasets of one shape, type and storage share a form, and with it the buffer."""
        shape, stored, plan = dataset.shape, dataset.get_type(), dataset.get_create_plist()
        for form in self._forms:
            if form.buffer.shape == shape and form.stored.equal(stored) and form.plan.equal(plan):
                return form
        self._check_storage(plan, shape, where)
        form = _new_form(dataset, plan, self.shape, self.permutation)
        # Files have one form or two; what has more is read, only slower.
        self._forms = [form, *self._forms][:_FORMS]
        return form


@dataclass(frozen=True)
class _Form:
    """How grids of one shape and type are read: into one buffer, and from there to canonical positions."""

    stored: h5t.TypeID
    plan: h5p.PropDCID
    memory_type: h5t.TypeID
    buffer: npt.NDArray[Any]
    """Of the shape that the file has."""
    flat: npt.NDArray[Any]
    """The same memory in one dimension."""
    bits: npt.NDArray[Any]
    """The same memory as a type whose only zero is all bits zero."""
    canonical: Positions
    """Canonical position of every cell of the flat buffer."""

    def grid(self) -> Grid:
        """Return the grid that was read into the buffer."""
        if self.bits.dtype == np.bool_ and self.flat.max() > 1:
            raise GridFault(Reason.NOT_BINARY, f"declared bool, but holds {self.flat.max()}")
        # The bit pattern, not the value, says what is set: -0.0 must come back as -0.0.
        at = self.bits.nonzero()[0]
        positions = self.canonical[at]
        if self.bits.dtype == np.bool_:
            positions.sort()
            return Grid(positions, None)
        with np.errstate(over="ignore", invalid="ignore"):
            values = self.flat[at].astype(np.float32)
        if not np.isfinite(values).all():
            raise GridFault(Reason.NOT_FINITE, f"{np.count_nonzero(~np.isfinite(values))} cells are not finite")
        order = positions.argsort()
        # float64 holds numbers so small that they are zero in float32.
        order = order[values.view(np.uint32)[order] != 0]
        positions, values = positions[order], values[order]
        return Grid(positions, None if (values == 1).all() else values)


def _new_form(dataset: h5d.DatasetID, plan: h5p.PropDCID, shape: GridShape, permutation: Sequence[int]) -> _Form:
    stored, dtype = dataset.get_type(), dataset.dtype
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise GridFault(Reason.UNREADABLE, f"its type {dtype} is no number that float32 is made from")
    own = np.arange(shape.cells, dtype=shape.index_dtype).reshape(shape.dims)
    canonical = np.empty_like(own)
    canonical[list(permutation)] = own  # now in the file's order of channels
    if dataset.shape == (*shape.sides, len(shape.channels)):
        canonical = np.moveaxis(canonical, 0, -1)
    elif dataset.shape != shape.dims:
        raise GridFault(Reason.WRONG_SHAPE, f"{list(dataset.shape)}, expected {[*shape.sides, len(shape.channels)]}")
    # A bool may hold any byte, which numpy's own bool would hide; in the file's own type it is read as it is.
    native = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
    memory_type = stored if dtype.kind == "b" else h5t.py_create(native)
    buffer = np.empty(dataset.shape, native)
    flat = buffer.reshape(-1)
    bits = flat.view({"b": "?", "f": f"u{native.itemsize}"}.get(dtype.kind, native))
    return _Form(stored, plan, memory_type, buffer, flat, bits, canonical.reshape(-1))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    with faults_named(path):
        try:
            # Locks fail on some network file systems, and nothing is written here. Every chunk is read once, so the
            # cache of chunks would only cost time.
            handle = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=0, rdcc_nslots=1)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            if as_fault(error, path):
                raise
            raise InputError(f"{path}: not a readable HDF5 file ({_text(error)}); {_REMEDY}") from error
    with handle:
        # Left alone, the cache of names and addresses grows to 200 MB and saves nothing: every grid is read once.
        cache = handle.id.get_mdc_config()
        cache.set_initial_size = True
        cache.initial_size = cache.min_size = cache.max_size = _METADATA_CACHE
        handle.id.set_mdc_config(cache)
        yield handle


def _text(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def read_grids(file: VoxelFile, residues: Iterable[tuple[str, str, str]]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield grids as float32 (C, D, H, W), channels as wanted.

    Args:
        file: The open file.
        residues: Domain, chain and residue of each, as the file names them.

    Raises:
        GridFault: A grid cannot be used; see `VoxelFile.read`.
    """
    for names in residues:
        grid = collect([file.read("/".join(names))], file.shape)
        yield dense(grid, cells=file.shape.cells).reshape(file.shape.dims)


_METADATA_CACHE = 2**20
_REMEDY = "the file is truncated or corrupt: copy it again, or make it again"
_COPY = "copy what it needs into the file itself (h5copy -f ext; h5repack for virtual datasets)"
