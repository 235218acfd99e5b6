"""The last step of a store: what the parts really hold, checked against the plan, and the tables that refer to it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainyard import __version__
from trainyard.voxel.parts import GRID, Part, ledger_path, open_part, part_name, table_path
from trainyard.voxel.plan import VoxelPlan, drop_residues
from trainyard.voxel.planfiles import SCALER, read_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import PARTS, REJECTS, RESIDUES, SAMPLES
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.voxel.store import FORMAT, MANIFEST, RESIDUES_FILE, SAMPLES_FILE, VERSION
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json, sha256_file, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import verify

_KEY = ["domain", "chain", "residue"]
_REMEDY = "delete the part and run the same command again"


def finish_store(plan: Path, out: Path, *, settings: VoxelPlanSettings) -> VoxelPlan:
    """Join finished parts to a store; see `merge_store`.

    Args:
        plan: Folder of the plan.
        out: Folder of the store, with its parts in `grids`.
        settings: Settings of the plan.
    """
    parts = [out / "grids" / part_name(number, settings.num_parts) for number in range(settings.num_parts)]
    ledgers = [Ledger.from_dict(read_json(ledger_path(part)), Reason) for part in parts]
    # Where the group table lies is no matter of the store.
    digest = sha256(settings.model_dump_json(exclude={"group_table"}).encode()).hexdigest()
    return merge_store(read_plan(plan), parts, out, settings=settings, ledgers=ledgers, config_digest=digest)


def merge_store(
    plan: VoxelPlan,
    parts: Sequence[Path],
    out: Path,
    *,
    settings: VoxelPlanSettings,
    ledgers: Sequence[Ledger],
    config_digest: str,
) -> VoxelPlan:
    """Write the tables and the manifest of a store whose parts are finished.

    Residues whose grids were rejected leave the plan, with their samples; the rest is numbered anew.

    Args:
        plan: The plan that the parts were encoded by.
        parts: The parts, in their order, below `out`.
        out: Folder of the store.
        settings: Settings of the plan.
        ledgers: What became of the grids of each part.
        config_digest: Digest of the configuration, for the manifest.

    Returns:
        The plan as it was built.

    Raises:
        IntegrityError: A part is damaged, or is not what the plan asks for.
        InputError: Too many grids were rejected, or a split lost its last sample.
    """
    opened = [_checked(path) for path in parts]
    for part in opened:
        if (part.shape, len(parts)) != (opened[0].shape, settings.num_parts):
            raise IntegrityError(f"{part.path}: not a part of this store (grids of {part.shape}); {_REMEDY}")
    tables = [PARTS.read(table_path(path)) for path in parts]
    built = drop_residues(plan, _rejected(plan.residues, opened, tables, ledgers), settings)
    ledger = Ledger.merge([built.ledger, *ledgers])
    ledger.check()
    RESIDUES.write(out / RESIDUES_FILE, built.residues)
    SAMPLES.write(out / SAMPLES_FILE, built.samples)
    REJECTS.write(out / "rejects.parquet", REJECTS.table(ledger.rejections))
    write_json(out / SCALER, built.scaler)
    write_json(out / "ledger.json", ledger.to_dict())
    write_json(out / MANIFEST, _manifest(built, opened, out, settings, config_digest))
    return built


def _checked(path: Path) -> Part:
    receipt = verify(path)
    part = open_part(path)
    if (receipt.records, receipt.schema) != (part.grids, PARTS.digest):
        raise IntegrityError(f"{path}: its receipt is of another kind of part; {_REMEDY}")
    return part


def _rejected(
    residues: pa.Table, parts: Sequence[Part], tables: Sequence[pa.Table], ledgers: Sequence[Ledger]
) -> dict[int, tuple[Reason, str]]:
    """Residues that have no grid, by `residue_uid`; all others stand in their parts in the order of the plan."""
    rows = (row for ledger in ledgers for row in ledger.rejections if row["kind"] == GRID)
    why = {row["item"]: (Reason(row["reason"]), row["detail"]) for row in rows}
    found: dict[int, tuple[Reason, str]] = {}
    for number, (part, table) in enumerate(zip(parts, tables, strict=True)):
        planned = residues.filter(pc.equal(residues["part"], number))
        names, held = _names(planned), _names(table)
        is_held = pc.is_in(names, held)
        lost = planned.num_rows - table.num_rows
        if not names.filter(is_held).equals(held) or table.num_rows != part.grids or lost != part.rejected:
            raise IntegrityError(f"{part.path}: does not hold what the plan asks for; {_REMEDY}")
        missing = planned.filter(pc.invert(is_held))
        for uid, name in zip(missing["residue_uid"].to_pylist(), _names(missing).to_pylist(), strict=True):
            # A ledger names so many items per reason; beyond that, only the count is known.
            found[uid] = why.get(name, (Reason.GRID_REJECTED, ""))
    return found


def _names(table: pa.Table) -> pa.Array:
    names = pc.binary_join_element_wise(*(table[name] for name in _KEY), "/")
    return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names


def _manifest(
    plan: VoxelPlan, parts: Sequence[Part], out: Path, settings: VoxelPlanSettings, config_digest: str
) -> dict[str, Any]:
    shape = parts[0].shape
    tables = [RESIDUES_FILE, SAMPLES_FILE, SCALER, *(str(table_path(p.path).relative_to(out)) for p in parts)]
    return {
        "format": FORMAT,
        "version": VERSION,
        "trainyard": __version__,
        "shape": list(shape.dims),
        "channels": list(shape.channels),
        "edge_angstrom": shape.edge,
        "index": "((c * D + x) * H + y) * W + z",
        "rmsf_unit": "nm",
        "seed": settings.seed,
        "batch_size": settings.batch_size,
        "order": settings.order,
        "config_digest": config_digest,
        "counts": {
            "residues": plan.residues.num_rows,
            "samples": plan.samples.num_rows,
            "grids_rejected": sum(part.rejected for part in parts),
            "splits": plan.counts,
        },
        "parts": [
            {
                "file": part.path.relative_to(out).as_posix(),
                "codec": part.codec,
                "grids": part.grids,
                "bytes": part.path.stat().st_size,
                "sha256": sha256_file(part.path),
            }
            for part in parts
        ],
        "tables": [{"file": name, "sha256": sha256_file(out / name)} for name in tables],
    }
