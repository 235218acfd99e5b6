"""The simulated proteins: who they are, what their files look like, and how flexible they were made.

Everything about a protein depends on the seed and its number alone, so a larger demo holds the smaller one. Some
numbers have a role: what goes wrong in real archives goes wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainyard.demo.voxel_folds import LOOP, Fold, make_fold
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelDemoSettings, VoxelizeSettings
from trainyard.voxel.structures import BACKBONE, Residue, Structure
from trainyard.voxel.voxelize import voxelize
from trainyard.yard.identity import generator, keyed_hash

FROM_MINUS_2, RAW_CHAIN, SUFFIXED, INSERTED, UNLISTED, CA_ONLY, WITHOUT_CA = 0, 2, 3, 4, 5, 7, 8
"""Numbers of the proteins that: start at residue -2; are in chain 0, as in mdCATH's raw files; carry a suffix in the
voxel file; have a residue with an insertion code; stand in no split list; have nothing but CA atoms in their file;
lack the CA of one residue."""

SUFFIX = "_pdb_clean"
INSERTED_ROW, WITHOUT_CA_ROW = 12, 10

FLOOR, EXPOSED, END, COILED = 0.05, 0.25, 0.2, 0.06
"""Flexibility at 320 K, nm: of every residue, of a fully exposed one, at the ends of the chain, in loops."""
CROWDED, LONELY = 60, 15
"""Set voxels in the grid of a residue at which it counts as buried, and as fully exposed."""
END_RESIDUES = 3.0
GROWTH = 0.0112
"""Per K; the RMSF grows as exp(GROWTH * (T - 320)), 4.3 times up to 450 K, as in mdCATH."""
NOISE = 0.05
"""Standard deviation of the logarithm of the RMSF."""

MARK = "REMARK 999 SIMULATED FOR THE DEMO OF TRAINYARD"
"""First line of the PDB files."""

_SPLIT_OF_GROUP = ("train", "val", "test", "train", "train", "train", "train", "val", "train")
_SPREAD = 0.25
_LARGEST_START = 150
_SHARES = {
    **{"ALA": 8, "ARG": 5, "ASN": 4, "ASP": 6, "CYS": 2, "GLN": 4, "GLU": 7, "GLY": 7, "HIS": 4, "ILE": 6},
    **{"LEU": 9, "LYS": 6, "MET": 2, "PHE": 4, "PRO": 5, "SER": 6, "THR": 5, "TRP": 1, "TYR": 3, "VAL": 6},
}
"""Percent of each residue; about those of real proteins."""


@dataclass(frozen=True)
class Protein:
    """A protein domain with everything that is planted in it."""

    index: int
    group: int
    """Proteins of one group share their PDB entry."""
    domain: str
    """Name in the RMSF table."""
    residues: tuple[Residue, ...]
    fold: Fold

    @property
    def voxel_domain(self) -> str:
        """Name in the voxel file and in the split lists."""
        return self.domain + (SUFFIX if self.index == SUFFIXED else "")

    @property
    def split(self) -> str:
        """Its split; empty: it is in no list."""
        return "" if self.index == UNLISTED else _SPLIT_OF_GROUP[self.group % len(_SPLIT_OF_GROUP)]

    @property
    def gridless(self) -> frozenset[int]:
        """Rows of the residues for which the file lacks what a grid needs."""
        if self.index == CA_ONLY:
            return frozenset(range(len(self.residues)))
        return frozenset([WITHOUT_CA_ROW] if self.index == WITHOUT_CA else [])

    @cached_property
    def exposure(self) -> NDArray[np.float64]:
        """From 0, buried, to 1, fully exposed, by the number of set voxels in the residue's grid; shape (n,)."""
        frames = voxelize(Structure(self.domain, self.residues, self.fold.backbone), VoxelizeSettings())
        return ((CROWDED - np.diff(frames.grids.indptr)) / (CROWDED - LONELY)).clip(0, 1)

    @cached_property
    def flexibility(self) -> NDArray[np.float64]:
        """RMSF at 320 K before noise, nm, shape (n,)."""
        n = len(self.residues)
        to_end = np.minimum(np.arange(n), np.arange(n)[::-1])
        is_loop = np.array([kind == LOOP for kind in self.fold.structure])
        return FLOOR + EXPOSED * self.exposure + END * np.exp(-to_end / END_RESIDUES) + COILED * is_loop

    def pdb(self) -> str:
        """Its file: backbone, a doubled N in the first residue as in mdCATH, two water molecules."""
        chain = "0" if self.index == RAW_CHAIN else "A"
        lines = [MARK]
        for name, residue, place in self._atoms():
            lines.append(_pdb_line("ATOM", len(lines), name, residue, chain, place))
        last = self.residues[-1].resid
        for number in (1, 2):
            water = Residue(chain, last + number, "", "HOH")
            lines.append(_pdb_line("HETATM", len(lines), "O", water, chain, np.full(3, 60.0 + number)))
        return "\n".join([*lines, "END", ""])

    def _atoms(self) -> Iterator[tuple[str, Residue, NDArray[np.float64]]]:
        for row, (residue, places) in enumerate(zip(self.residues, self.fold.backbone, strict=True)):
            # In a row without a grid the file has either nothing but CA, or everything but CA.
            names = [name for name in BACKBONE if (name == "CA") == (self.index == CA_ONLY) or row not in self.gridless]
            if row == 0 and "N" in names:
                yield "N", residue, places[0] + [0.0, 0.0, 1.2]
            for name in names:
                yield name, residue, places[BACKBONE.index(name)]


def make_protein(settings: VoxelDemoSettings, index: int) -> Protein:
    """Make a protein; a function of the seed, the mean number of residues and its own number."""
    draw = generator("demo-protein", settings.seed, settings.residues, index)
    n = round(settings.residues * draw.uniform(1 - _SPREAD, 1 + _SPREAD))
    group, place = 3 * (index // 4) + min(index % 4, 2), index % 4
    entry = "0" + np.base_repr(group, 36).lower().zfill(3)
    domain = entry + ("a" if group % 5 == 3 else "A") + {2: "01", 3: "02"}.get(place, "00")
    first = -2 if index == FROM_MINUS_2 else 1 + keyed_hash("demo-first-residue", settings.seed, index) % _LARGEST_START
    labels = draw.choice(list(_SHARES), n, p=np.array(list(_SHARES.values())) / 100)
    residues = []
    for row, label in enumerate(labels.tolist()):
        is_inserted = index == INSERTED and row == INSERTED_ROW
        resid = first + row - (index == INSERTED and row >= INSERTED_ROW)
        residues.append(Residue("A", resid, "A" if is_inserted else "", label))
    return Protein(index, group, domain, tuple(residues), make_fold(draw, n))


def split_lists(proteins: list[Protein]) -> dict[str, list[str]]:
    """Names of the listed proteins, as in the voxel file, by split."""
    return {split: [protein.voxel_domain for protein in proteins if protein.split == split] for split in SPLITS}


def _pdb_line(record: str, serial: int, name: str, residue: Residue, chain: str, place: NDArray[np.float64]) -> str:
    x, y, z = place
    where = f"{chain}{residue.resid:4d}{residue.icode or ' '}"
    return (
        f"{record:<6}{serial % 100_000:5d}  {name:<3} {residue.label} {where}   {x:8.3f}{y:8.3f}{z:8.3f}"
        f"  1.00  0.00          {name[0]:>2}"
    )
