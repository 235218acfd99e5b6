"""One store part, from the voxel file and the planned residues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.parts import encode_part, ledger_path, part_name
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import MEMBERS, RESIDUES
from trainyard.voxel.store import RESIDUES_FILE
from trainyard.yard.files import write_json
from trainyard.yard.labels import parse_label
from trainyard.yard.ledger import Ledger


def build_part(
    voxels: Path,
    residues: Path,
    out: Path,
    *,
    label: str,
    channels: Sequence[str],
    bad_grid: Literal["error", "reject", "warn"],
) -> Ledger:
    """Encode the residues of one part; `ledger_<label>.json` beside it says what became of each grid.

    Args:
        voxels: The voxel file.
        residues: Planned residues: of this part alone, contract MEMBERS, or the plan's `residues.parquet`.
        out: Folder of the parts.
        label: The part, such as `0001-0004`.
        channels: Channels in the order wanted.
        bad_grid: As in `parts.encode_part`.

    Raises:
        InputError: The voxel file cannot be used, or a grid is bad and `bad_grid` is error.
    """
    part, num_parts = parse_label(label)
    ledger = Ledger("voxel", Reason)
    path = out / part_name(part - 1, num_parts)
    with open_voxels(voxels, wanted=channels) as file:
        encode_part(file, _members(residues, part - 1), path, bad_grid=bad_grid, ledger=ledger)
    write_json(ledger_path(path), ledger.to_dict())
    return ledger


def _members(path: Path, part: int) -> pa.Table:
    """Residues of a part, out of the plan's residues or as the Snakefile keeps them, part by part."""
    if path.name != RESIDUES_FILE:
        return MEMBERS.read(path)
    return RESIDUES.read(path, filters=pc.equal(pc.field("part"), part)).select(MEMBERS.names)
