"""The plan for the record: tables and parameters, from which it can be read back."""

from __future__ import annotations

from pathlib import Path

from trainyard.voxel.plan import VoxelPlan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import DOMAINS, RESIDUES, SAMPLES
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger

SCALER = "temp_scaling_params.json"
"""Name of the parameters of the temperature scaling, as published."""


def write_plan(plan: VoxelPlan, folder: Path) -> None:
    """Write `domains`, `residues` and `samples` as Parquet, the scaler, and, last, `plan.json` with the rest."""
    DOMAINS.write(folder / "domains.parquet", plan.domains)
    RESIDUES.write(folder / "residues.parquet", plan.residues)
    SAMPLES.write(folder / "samples.parquet", plan.samples)
    write_json(folder / SCALER, plan.scaler)
    rest = {"leakage": plan.leakage, "ledger": plan.ledger.to_dict(), "warnings": list(plan.warnings)}
    write_json(folder / "plan.json", {**rest, "counts": plan.counts})


def read_plan(folder: Path) -> VoxelPlan:
    """Read what `write_plan` wrote.

    Raises:
        InputError: A file is missing.
        IntegrityError: A file is not what it should be.
    """
    rest = read_json(folder / "plan.json")
    try:
        leakage, ledger, warnings = rest["leakage"], rest["ledger"], rest["warnings"]
    except (KeyError, TypeError) as error:
        raise IntegrityError(f"{folder / 'plan.json'}: not a plan ({error!r}); plan again") from error
    return VoxelPlan(
        domains=DOMAINS.read(folder / "domains.parquet"),
        residues=RESIDUES.read(folder / "residues.parquet"),
        samples=SAMPLES.read(folder / "samples.parquet"),
        scaler=read_json(folder / SCALER),
        leakage=leakage,
        ledger=Ledger.from_dict(ledger, Reason),
        warnings=tuple(warnings),
    )
