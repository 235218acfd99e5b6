"""One store part, from the voxel file and the planned residues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.voxel.hdf5 import open_voxels
from trainyard.voxel.parts import encode_part, part_name
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import MEMBERS, RESIDUES
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
        residues: Planned residues, of this part or of all parts; contract MEMBERS or RESIDUES.
        out: Folder of the parts.
        label: The part, such as `0001-0004`.
        channels: Channels in the order wanted.
        bad_grid: As in `parts.encode_part`.

    Raises:
        InputError: The voxel file cannot be used, or a grid is bad and `bad_grid` is error.
    """
    part, num_parts = parse_label(label)
    planned = _planned(residues)
    mine = planned.filter(pc.equal(planned["part"], part - 1))
    ledger = Ledger("voxel", Reason)
    with open_voxels(voxels, wanted=channels) as file:
        encode_part(file, mine, out / part_name(part - 1, num_parts), bad_grid=bad_grid, ledger=ledger)
    write_json(out / f"ledger_{label}.json", ledger.to_dict())
    return ledger


def _planned(path: Path) -> pa.Table:
    """The plan's residues, or those of one part alone as the Snakefile keeps them."""
    contract = RESIDUES if path.name == "residues.parquet" else MEMBERS
    return contract.read(path, columns=MEMBERS.names)
