"""Kinds of residues that scores are told apart for; every residue is of exactly one kind in each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.voxel.settings import VoxelTrainSettings

STRATA = ("residue_name", "secondary_structure", "relative_accessibility", "location")
"""Ways to tell residues apart."""
UNKNOWN = "unknown"
RESIDUE_NAMES = (
    "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE",
    "LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL",
)  # fmt: skip
_STRUCTURES = ("helix", "sheet", "other")
_OF_DSSP = {**dict.fromkeys("HGI", 0), **dict.fromkeys("EB", 1)}


@dataclass(frozen=True)
class Strata:
    """One way to tell residues apart.

    Attributes:
        name: What it goes by.
        values: All kinds, also those that no residue is of.
        code: Position of each residue's kind among them, by `residue_uid`.
    """

    name: str
    values: tuple[str, ...]
    code: NDArray[np.int64]


def residue_strata(residues: pa.Table, settings: VoxelTrainSettings) -> list[Strata]:
    """Tell residues apart by name, secondary structure, accessibility, and core or exterior.

    The three states of secondary structure are those of the store, else helix for DSSP codes H, G and I, sheet for E
    and B, other for the rest.

    Args:
        residues: Contract RESIDUES, by `residue_uid`.
        settings: Bins of relative accessibility, and the limit of core.
    """
    accessibility = residues["relative_accessibility"].cast(pa.float64()).to_numpy()
    return [
        _names(residues["label"].to_pylist()),
        _structures(residues["secondary_structure"].to_pylist(), residues["dssp"].to_pylist()),
        _bins(accessibility, settings.sasa_bins),
        _location(accessibility, settings.core_accessibility),
    ]


def _names(labels: Sequence[str | None]) -> Strata:
    others = sorted({label for label in labels if label} - set(RESIDUE_NAMES))
    values = (*RESIDUE_NAMES, *others, UNKNOWN)
    return _coded("residue_name", values, [label or UNKNOWN for label in labels])


def _structures(states: Sequence[int | None], dssp: Sequence[str | None]) -> Strata:
    found = [
        UNKNOWN if state is None and not code else _STRUCTURES[_OF_DSSP.get(code or "", 2) if state is None else state]
        for state, code in zip(states, dssp, strict=True)
    ]
    return _coded("secondary_structure", (*_STRUCTURES, UNKNOWN), found)


def _bins(accessibility: NDArray[np.float64], edges: Sequence[float]) -> Strata:
    # In the precision of the table, or 0.1 would stand below the edge 0.1.
    bounds = np.array(edges, np.float32).astype(np.float64)
    code = np.searchsorted(bounds, accessibility, side="right") - 1
    outside, unknown = len(edges) - 1, len(edges)
    code[(accessibility < bounds[0]) | (accessibility >= bounds[-1])] = outside
    code[np.isnan(accessibility)] = unknown
    names = [f"[{low:g}, {high:g})" for low, high in pairwise(edges)]
    return Strata("relative_accessibility", (*names, "outside the bins", UNKNOWN), code)


def _location(accessibility: NDArray[np.float64], limit: float) -> Strata:
    code = np.where(accessibility <= np.float64(np.float32(limit)), 0, 1)
    code[np.isnan(accessibility)] = 2
    return Strata("location", ("core", "exterior", UNKNOWN), code)


def _coded(name: str, values: tuple[str, ...], found: Sequence[str]) -> Strata:
    position = {value: i for i, value in enumerate(values)}
    return Strata(name, values, np.array([position[value] for value in found], np.int64))
