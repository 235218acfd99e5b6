"""Names of residues and domains: three-letter codes, residue keys, CATH ids."""

from __future__ import annotations

import re
from typing import NamedTuple

_STANDARD = {
    "HIS": ("HSD", "HSE", "HSP", "HID", "HIE", "HIP", "HISD", "HISE", "HISH"),
    "CYS": ("CYX", "CYM", "CYS2", "CSO", "CSS", "CSD", "CME", "OCS"),
    "MET": ("MSE",),
    "ASP": ("ASH", "ASPP"),
    "GLU": ("GLH", "GLUP"),
    "LYS": ("LYN", "LSN", "MLY", "M3L", "KCX"),
    "ARG": ("ARN",),
    "TYR": ("TYM", "PTR"),
    "SER": ("SEP",),
    "THR": ("TPO",),
    "PRO": ("HYP",),
}
"""Protonation states of force fields (CHARMM, Amber) and modified residues, by the amino acid that they are."""

_BY_NAME = {name: standard for standard, names in _STANDARD.items() for name in names}
_RESIDUE_KEY = re.compile(r"([+-]?\d+)([A-Za-z]?)", re.ASCII)
_CATH = re.compile(r"([0-9][0-9A-Za-z]{3})([0-9A-Za-z])[0-9]{2}(?:_.*)?", re.ASCII)
_PDB = re.compile(r"([0-9][0-9A-Za-z]{3})(?:_.*)?", re.ASCII)
_LARGEST = 2**31 - 1


class DomainParts(NamedTuple):
    """PDB entry, in lower case, and PDB entry with chain, as far as a domain id tells them."""

    pdb: str
    chain: str


def normalise_resname(name: str) -> str:
    """Return the standard three-letter code of a residue name: `HSD` gives `HIS`, `MSE` gives `MET`.

    Voxel files carry standard names, RMSF tables those of the force field. An unknown name is returned in upper case.
    """
    upper = name.strip().upper()
    return _BY_NAME.get(upper, upper)


def parse_residue_key(key: str) -> tuple[int, str]:
    """Return residue number and insertion code of a residue's name: `10A` gives `(10, "A")`, `-3` gives `(-3, "")`.

    Raises:
        ValueError: Not a whole number of 32 bits with at most one letter behind it.
    """
    match = _RESIDUE_KEY.fullmatch(key)
    if match is None or len(match[1]) > 11 or abs(int(match[1])) > _LARGEST:
        raise ValueError(f"{key!r} is not a residue number such as 12, -3 or 10A")
    return int(match[1]), match[2]


def domain_parts(domain: str) -> DomainParts:
    """Return PDB entry and chain of a domain id: `5gaea00` gives `5gae` and `5gaea`.

    PDB entries are the same in either case, chains are not: `5gaea00` and `5gaeN01` share the entry, and chain `a` is
    not chain `A`. A suffix behind an underscore is ignored for a CATH id (`12asA00_pdb`). A bare PDB entry (`1ubq`,
    `6eqe_1`) is one chain per id, and any other id (`AF_P1_F1`) an entry of its own.
    """
    match = _CATH.fullmatch(domain)
    if match:
        pdb = match[1].lower()
        return DomainParts(pdb, pdb + match[2])
    match = _PDB.fullmatch(domain)
    return DomainParts(match[1].lower() if match else domain, domain)
