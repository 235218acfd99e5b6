"""Files of mdCATH (`mdcath_dataset_12asA00.h5`): the structure, and the RMSF of its simulations.

One group per file, named as the domain, holds the PDB text of the protein (`pdbProteinAtoms`) and, per temperature (K)
and replica, `320/0/rmsf`: float32, nm, one value per CA atom in the order of the PDB text; and `320/0/dssp`: one
letter per frame and residue. Source: builder/molAnalyzer.py of github.com/compsciencelab/mdCATH.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import gemmi
import h5py
import numpy as np
from numpy.typing import NDArray

from trainyard.yard.errors import InputError
from trainyard.yard.files import as_fault, atomic_open, faults_named

SUFFIX = ".h5"
_PREFIX = "mdcath_dataset_"

COLUMNS = ("domain_id", "resid", "resname", "temperature_feature", "target_rmsf", "dssp")
"""Columns of the long RMSF table. mdCATH has no relative accessibility."""

_LARGEST = 2**30
"""Bytes of one dataset beyond which a file is taken for a trap; the longest DSSP record has 250,000."""
_COIL = "C"
_SHOWN = 5
_REMEDY = "the file is truncated or corrupt, or not of mdCATH: download it again"


class RmsfRow(NamedTuple):
    """One residue at one temperature, under the names of the published table."""

    domain_id: str
    resid: str
    """PDB residue number with insertion code."""
    resname: str
    """As in the force field, such as HSD."""
    temperature_feature: float
    """K"""
    target_rmsf: np.float32
    """nm, mean of the replicas; NaN where one of them has none."""
    dssp: str
    """Most frequent DSSP letter over all frames of all replicas; empty where the file has none."""


def domain_name(path: Path) -> str:
    """Return the domain that a file's name tells: `mdcath_dataset_12asA00.h5` is `12asA00`."""
    return path.name.partition(".")[0].removeprefix(_PREFIX)


def protein_pdb(path: Path) -> bytes:
    """Return the PDB text of the protein atoms.

    Raises:
        InputError: The file cannot be read, or has none.
    """
    with _domain(path) as group:
        return _pdb(path, group)


def mdcath_rmsf(path: Path) -> list[RmsfRow]:
    """Return the RMSF of a domain, by temperature, residues in their order in the structure.

    Raises:
        InputError: The file cannot be read, has no RMSF, or the number of its values is not that of the CA atoms.
    """
    domain = domain_name(path)
    with _domain(path) as group:
        residues = list(_residues(path, _pdb(path, group)))
        kelvins = sorted((name for name in group if _is_number(name)), key=float)
        if not kelvins:
            raise InputError(f"{path}: {domain} has no temperature; {_REMEDY}")
        return [
            RmsfRow(domain, resid, resname, float(kelvin), rmsf, dssp)
            for kelvin in kelvins
            for (resid, resname), rmsf, dssp in zip(
                residues, *_temperature(path, _group(path, group, kelvin), len(residues)), strict=True
            )
        ]


def write_rmsf(paths: Iterable[Path], out: Path) -> int:
    """Write the RMSF of many files as one long table, file by file; returns the number of its rows.

    Raises:
        InputError: A file cannot be used; see `mdcath_rmsf`.
        EnvironmentFault: Disk full, no permission.
    """
    n = 0
    with atomic_open(out) as handle:
        text = io.TextIOWrapper(handle, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path in paths:
            rows = mdcath_rmsf(path)
            writer.writerows((*row[:3], f"{row.temperature_feature:g}", *row[4:]) for row in rows)
            n += len(rows)
        text.detach()
    return n


@contextmanager
def _domain(path: Path) -> Iterator[h5py.Group]:
    """The group of a file's domain."""
    with faults_named(path):
        try:
            file = h5py.File(path, "r", locking="best-effort")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            if as_fault(error, path):
                raise
            raise InputError(f"{path}: not a readable HDF5 file ({error}); {_REMEDY}") from error
    with file:
        try:
            yield _group(path, file, domain_name(path))
        except (OSError, RuntimeError, KeyError) as error:
            if isinstance(error, OSError) and as_fault(error, path):
                raise
            raise InputError(f"{path}: {_text(error)}; {_REMEDY}") from error


def _group(path: Path, parent: h5py.Group, name: str) -> h5py.Group:
    """A group that lies in this file."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink) or not isinstance(parent[name], h5py.Group):
        found = ", ".join(list(parent)[:_SHOWN]) or "nothing"
        raise InputError(f"{path}: expected a group {name} in {parent.name}, but found {found}; {_REMEDY}")
    return parent[name]


def _read(path: Path, group: h5py.Group, name: str) -> Any:
    """The values of a dataset that lies in this file and has a reasonable size."""
    link = group.get(name, getlink=True)
    if link is None:
        raise InputError(f"{path}: has no {group.name}/{name}; {_REMEDY}")
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"{path}: {group.name}/{name} is a link; copy what it needs into the file itself")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise InputError(f"{path}: {group.name}/{name} is no dataset with its data in the file itself")
    if prod(dataset.shape) * dataset.dtype.itemsize > _LARGEST:
        raise InputError(f"{path}: {group.name}/{name} has the absurd shape {list(dataset.shape)}; {_REMEDY}")
    return dataset[()]


def _pdb(path: Path, group: h5py.Group) -> bytes:
    text = _read(path, group, "pdbProteinAtoms")
    if isinstance(text, bytes | np.bytes_):
        return bytes(text)
    raise InputError(f"{path}: {group.name}/pdbProteinAtoms is not text; {_REMEDY}")


def _residues(path: Path, pdb: bytes) -> Iterator[tuple[str, str]]:
    """Number and name of the residue of every CA atom, in the order of the text."""
    try:
        structure = gemmi.read_pdb_string(pdb)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: pdbProteinAtoms is not PDB text ({error}); {_REMEDY}") from error
    for chain in structure[0] if len(structure) else ():
        for residue in chain:
            for atom in residue:
                if atom.name == "CA":
                    yield f"{residue.seqid.num}{residue.seqid.icode.strip()}", residue.name


def _temperature(path: Path, group: h5py.Group, n: int) -> tuple[NDArray[np.float32], list[str]]:
    """Mean RMSF and most frequent DSSP letter at one temperature; both have the length `n`."""
    replicas = [_group(path, group, name) for name in sorted(group) if _is_number(name)]
    rmsf, letters = [], []
    for replica in replicas:
        values = np.asarray(_read(path, replica, "rmsf"))
        if values.shape != (n,):
            raise InputError(
                f"{path}: {replica.name}/rmsf has the shape {list(values.shape)}, but pdbProteinAtoms has {n} CA atoms;"
                " whose value is whose cannot be told"
            )
        rmsf.append(values.astype(np.float64))
        if "dssp" in replica:
            frames = np.asarray(_read(path, replica, "dssp"))
            if frames.ndim == 2 and frames.shape[1] == n:
                letters.append(frames.astype("S1"))
    if not rmsf:
        raise InputError(f"{path}: {group.name} has no replica; {_REMEDY}")
    return np.mean(rmsf, axis=0).astype(np.float32), _most_frequent(letters, n)


def _most_frequent(letters: list[NDArray[np.bytes_]], n: int) -> list[str]:
    if not letters:
        return [""] * n
    found, codes = np.unique(np.concatenate(letters), return_inverse=True)
    codes = codes.reshape(-1, n)
    counts = np.array([(codes == code).sum(axis=0) for code in range(len(found))])
    return [text.decode().strip() or _COIL for text in found[counts.argmax(axis=0)]]


def _is_number(name: str) -> bool:
    try:
        return 0 <= float(name) < float("inf")
    except ValueError:
        return False


def _text(error: Exception) -> str:
    return str(error.args[0]) if error.args else str(error)
