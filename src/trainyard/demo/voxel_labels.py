"""The RMSF table of the simulated proteins, with what goes wrong in real tables, and an account of what must become
of every row, residue and sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainyard.demo import voxel_proteins as planted
from trainyard.demo.voxel_proteins import Protein
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import SPLITS
from trainyard.yard.identity import generator

KELVINS = (320, 348, 379, 413, 450)
COLUMNS = ("domain_id", "resid", "resname", "temperature_feature", "target_rmsf", "relative_accessibility", "dssp")

MISSING = {0: {(5, 413), (5, 450), (9, 320)}}
"""Protein, then row and temperature (K) of values that the table lacks."""
NOT_A_NUMBER = {1: {(4, 379)}}
REPEATED = {4: {(3, 320), (3, 348), (8, 450)}}
AVERAGED = 0
"""Protein with a row "average" for every residue."""
MISNAMED = {6: 7}
"""Protein and row of a residue that the table gives another name."""

_HISTIDINES = ("HSD", "HSE", "HSP")

Row = tuple[str, ...]


def rmsf_rows(protein: Protein, *, seed: int) -> list[Row]:
    """Rows of the table, by residue and temperature; RMSF in nm."""
    draw = generator("demo-rmsf", seed, protein.index)
    n = len(protein.residues)
    growth = np.exp(planted.GROWTH * (np.array(KELVINS) - KELVINS[0]))
    rmsf = protein.flexibility[:, None] * growth * np.exp(planted.NOISE * draw.standard_normal((n, len(KELVINS))))
    seen = (protein.exposure + 0.05 * draw.standard_normal(n)).clip(0, 1)
    rows = []
    for i in range(n):
        for kelvin, value in zip(KELVINS, rmsf[i].tolist(), strict=True):
            if (i, kelvin) in MISSING.get(protein.index, ()):
                continue
            is_number = (i, kelvin) not in NOT_A_NUMBER.get(protein.index, ())
            row = _row(protein, i, str(kelvin), f"{value:.6f}" if is_number else "nan", seen[i])
            rows += [row] * (2 if (i, kelvin) in REPEATED.get(protein.index, ()) else 1)
    if protein.index == AVERAGED:
        rows += [_row(protein, i, "average", f"{rmsf[i].mean():.6f}", seen[i]) for i in range(n)]
    return rows


def expected(proteins: Sequence[Protein]) -> dict[str, Any]:
    """What the line must report: per kind of item what its ledgers say, and the numbers of every split."""
    used = [p for p in proteins if p.split and p.index != planted.CA_ONLY]
    grids = {p.index: len(p.residues) - len(p.gridless) for p in proteins}
    unlisted = [p for p in proteins if not p.split]
    residues = {p.index: grids[p.index] - (p.index in MISNAMED) for p in used}
    lost = {p.index: len(MISSING.get(p.index, ())) + len(NOT_A_NUMBER.get(p.index, ())) for p in used}
    n_rows = sum(len(p.residues) * len(KELVINS) - len(MISSING.get(p.index, ())) for p in proteins)
    bad_rows = {
        Reason.AVERAGE_TEMPERATURE: sum(len(p.residues) for p in proteins if p.index == AVERAGED),
        Reason.MISSING_VALUE: sum(len(NOT_A_NUMBER.get(p.index, ())) for p in proteins),
        Reason.REPEATED_ROW: sum(len(REPEATED.get(p.index, ())) for p in proteins),
    }
    gridless = [p for p in proteins if not grids[p.index]]
    return {
        "structure": _account(len(proteins) - len(gridless), {Reason.NO_RESIDUES: len(gridless)}),
        "structure_residue": _account(
            sum(grids.values()), {Reason.MISSING_BACKBONE: sum(len(p.gridless) for p in proteins)}
        ),
        "rmsf_row": _account(n_rows - bad_rows[Reason.MISSING_VALUE], bad_rows),
        "domain": _account(len(used), {Reason.NOT_IN_SPLITS: len(unlisted), Reason.NOT_IN_VOXEL_FILE: len(gridless)}),
        "residue": _account(
            sum(residues.values()),
            {
                Reason.NOT_IN_SPLITS: sum(grids[p.index] for p in unlisted),
                Reason.RESNAME_MISMATCH: sum(p.index in MISNAMED for p in used),
            },
        ),
        "sample": _account(
            sum(residues.values()) * len(KELVINS) - sum(lost.values()),
            {Reason.MISSING_TEMPERATURES: sum(lost.values())},
        ),
        "splits": {
            split: {
                "domains": sum(p.split == split for p in used),
                "residues": sum(residues[p.index] for p in used if p.split == split),
                "samples": sum(residues[p.index] * len(KELVINS) - lost[p.index] for p in used if p.split == split),
            }
            for split in SPLITS
        },
    }


def _row(protein: Protein, i: int, temperature: str, rmsf: str, seen: float) -> Row:
    residue = protein.residues[i]
    name = residue.label
    if name == "HIS":
        name = _HISTIDINES[i % len(_HISTIDINES)]
    if MISNAMED.get(protein.index) == i:
        name = "TRP" if residue.label != "TRP" else "GLY"
    kind = protein.fold.structure[i]
    return (protein.domain, residue.key, name, temperature, rmsf, f"{seen:.3f}", kind)


def _account(kept: int, rejected: dict[Reason, int]) -> dict[str, Any]:
    found: Counter[str] = Counter({reason.value: n for reason, n in rejected.items() if n})
    return {"expected": kept + found.total(), "kept": kept, "rejected": dict(sorted(found.items()))}
