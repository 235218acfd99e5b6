"""The inventory of a voxel file: every grid with its name, label, shape, type and fingerprint; no grid is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from h5py import h5a, h5d, h5s, h5t

from trainyard.voxel.grids import GridFault
from trainyard.voxel.hdf5 import VoxelFile, open_voxels
from trainyard.voxel.names import parse_residue_key
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import INVENTORY
from trainyard.yard.ledger import Ledger

ITEM = "voxel file item"
"""Kind, in the ledger, of the things in a voxel file that are no grid."""

_GROUP = "not a dataset; set inputs.per_temperature if it holds one grid per temperature"
_LARGEST_LABEL = 1024
_NO_CHUNK = b"no such chunk"
_TEXT = h5t.py_create(h5py.string_dtype())


def inventory(
    path: Path, *, wanted_channels: Sequence[str], ledger: Ledger | None = None, per_temperature: bool = False
) -> pa.Table:
    """List the grids of a voxel file.

    A name that is no residue number gives a row without `resid`. The fingerprint covers what is stored (raw chunks,
    shape, type), the label, and the order of the channels, so that it changes whenever the grid may have.

    Args:
        path: The file.
        wanted_channels: Channels wanted, in order.
        ledger: Gets what is not a grid, as kind `ITEM`, each one rejected.
        per_temperature: There is one grid per temperature; the residue is then named `12/320`.

    Returns:
        A table under `schema.INVENTORY`, sorted by domain, chain, residue number, insertion code and name.

    Raises:
        InputError: The file cannot be used; see `open_voxels`.
    """
    found = Ledger("voxel", Reason) if ledger is None else ledger
    with open_voxels(path, wanted=wanted_channels) as file:
        lister = _Lister(file, found, per_temperature)
        domains, others = file.groups()
        lister.refuse(others, "not a group")
        # One table per domain: rows as Python values take ten times the memory.
        tables = [INVENTORY.table(lister.domain(name)) for name in domains]
    return pa.concat_tables([INVENTORY.schema.empty_table(), *tables]).combine_chunks()


class _Lister:
    def __init__(self, file: VoxelFile, ledger: Ledger, per_temperature: bool) -> None:
        self._file = file
        self._ledger = ledger
        self._per_temperature = per_temperature
        self._start = hashlib.blake2b(",".join([*file.channels, *file.shape.channels]).encode(), digest_size=8)
        self._types: list[tuple[h5t.TypeID, str]] = []

    def domain(self, domain: str) -> list[dict[str, Any]]:
        """Rows of a domain, sorted."""
        chains, others = self._file.groups(domain)
        self.refuse([f"{domain}/{name}" for name in others], "not a chain, which is a group")
        rows = []
        for chain in chains:
            for name in self._names(f"{domain}/{chain}"):
                try:
                    facts = self._facts(f"{domain}/{chain}/{name}")
                except GridFault as fault:
                    is_group = fault.detail.endswith("(not a dataset)")
                    reason, detail = (Reason.NOT_A_RESIDUE, _GROUP) if is_group else (fault.reason, fault.detail)
                    self.refuse([f"{domain}/{chain}/{name}"], detail, reason)
                else:
                    rows.append({"domain": domain, "chain": chain, "residue": name, **_number(name), **facts})
        if not rows:
            self.refuse([domain], "a domain without any grid", Reason.NO_RESIDUES)
        return sorted(rows, key=_order)

    def refuse(self, items: Sequence[str], detail: str, reason: Reason = Reason.NOT_A_RESIDUE) -> None:
        for item in items:
            self._ledger.expect(ITEM)
            self._ledger.reject(ITEM, item, reason, detail)

    def _names(self, chain: str) -> Iterator[str]:
        if not self._per_temperature:
            yield from self._file.names(chain)
            return
        residues, others = self._file.groups(chain)
        self.refuse([f"{chain}/{name}" for name in others], "not a group of temperatures")
        for residue in residues:
            for temperature in self._file.names(f"{chain}/{residue}"):
                if _is_temperature(temperature):
                    yield f"{residue}/{temperature}"
                else:
                    self.refuse([f"{chain}/{residue}/{temperature}"], "not a temperature")

    def _facts(self, where: str) -> dict[str, Any]:
        dataset = self._file.dataset(where)
        try:
            shape, dtype, label = dataset.shape, self._type(dataset), _label(dataset)
            digest = self._start.copy()
            digest.update(f"{shape} {dtype} {label} ".encode())
            for stored in _stored(dataset, shape):
                digest.update(stored)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise GridFault(Reason.UNREADABLE, str(error)) from error
        text = ",".join(map(str, shape))
        return {"label": label, "shape": text, "dtype": dtype, "fingerprint": digest.hexdigest()}

    def _type(self, dataset: h5d.DatasetID) -> str:
        # Asking HDF5 whether two types are equal is six times quicker than making a dtype of one.
        stored = dataset.get_type()
        for known, name in self._types:
            if known.equal(stored):
                return name
        self._types.append((stored, str(dataset.dtype)))
        return self._types[-1][1]


def _is_temperature(name: str) -> bool:
    try:
        return 0 < float(name) < float("inf")
    except ValueError:
        return False


def _number(name: str) -> dict[str, Any]:
    residue, _, temperature = name.partition("/")
    facts: dict[str, Any] = {"temperature": float(temperature) if temperature else None}
    with suppress(ValueError):  # without a number, the plan rejects the row
        facts["resid"], facts["icode"] = parse_residue_key(residue)
    return facts


def _order(row: dict[str, Any]) -> tuple[str, bool, int, str, float, str]:
    resid = row.get("resid")
    return row["chain"], resid is None, resid or 0, row.get("icode") or "", row["temperature"] or 0.0, row["residue"]


def _label(dataset: h5d.DatasetID) -> str | None:
    try:
        attribute = h5a.open(dataset, b"label")
    except KeyError:
        return None
    stored = attribute.get_type()
    if stored.get_class() != h5t.STRING or attribute.shape != () or stored.get_size() > _LARGEST_LABEL:
        return None
    # The usual string of variable length is told to HDF5, since asking for its dtype takes as long as all the rest.
    text = np.empty((), object if stored.is_variable_str() else attribute.dtype)
    attribute.read(text, _TEXT if stored.is_variable_str() else None)
    value = text[()]
    return (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip("\0 ")


def _stored(dataset: h5d.DatasetID, shape: tuple[int, ...]) -> Iterator[bytes]:
    """The bytes of a dataset as they lie in the file."""
    plan = dataset.get_create_plist()
    if plan.get_layout() != h5d.CHUNKED:
        values = np.empty(shape, dataset.dtype)
        dataset.read(h5s.ALL, h5s.ALL, values)
        yield values.tobytes()
        return
    for corner in product(*(range(0, side, step) for side, step in zip(shape, plan.get_chunk(), strict=True))):
        try:
            mask, stored = dataset.read_direct_chunk(corner)
        except RuntimeError:
            # A chunk of zeros may never have been written.
            mask, stored = 0, _NO_CHUNK
        yield mask.to_bytes(4, "little")
        yield stored
