"""Page of all tables that the voxel line writes, made from the contracts."""

from __future__ import annotations

from trainyard.publish.contracts import ROLES, contract_text
from trainyard.voxel.schema import DOMAINS, PARTS, REJECTS, RESIDUES, SAMPLES
from trainyard.yard.tables import TableContract

_INTRO = """\
# Columns of the voxel line

<!-- Generated: `trainyard voxel columns --write`. Change src/trainyard/voxel/schema.py. -->

How they are made: [voxel.md](voxel.md). RMSF is in nm, temperatures are in K.
"""
_TABLES: tuple[tuple[str, str, TableContract], ...] = (
    ("`store/samples.parquet`", "One row per sample: a residue at a temperature, by split and place in it.", SAMPLES),
    ("`store/residues.parquet`, `plan/residues.parquet`", "One row per residue.", RESIDUES),
    ("`store/grids/part_*.parquet`", "One row per grid, in the order of the part's grids.", PARTS),
    ("`store/rejects.parquet`", "One row per rejected item; `check/rejects.csv` is the same for people.", REJECTS),
    ("`plan/domains.parquet`", "One row per domain of the voxel file or of a split list.", DOMAINS),
)


def voxel_columns() -> str:
    """The page as Markdown."""
    return "\n".join([_INTRO, ROLES, *(contract_text(*entry) for entry in _TABLES)])
