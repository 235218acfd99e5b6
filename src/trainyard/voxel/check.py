"""The last word on a build: every file is what the manifest says, every item accounted for, no domain in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainyard import __version__
from trainyard.voxel.planfiles import read_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelSettings
from trainyard.voxel.store import Store
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger


def check_build(
    base: Path, manifests: Sequence[Path], *, settings: VoxelSettings, code: Mapping[str, str]
) -> dict[str, Any]:
    """Check a finished dataset; writes `check/check.json`, `ledger.json`, `rejects.csv` and `dataset.json`.

    Args:
        base: Folder of the line, with `plan` and `store`.
        manifests: Manifests of the batch files, if there are any.
        settings: Settings that shaped the dataset; they stand in `dataset.json`.
        code: Digests of the code of its stages; they stand there too.

    Returns:
        What `check.json` holds.

    Raises:
        IntegrityError: A file is not what the manifest says, items were lost, or counts differ.
        LeakageError: A domain, or with `plan.leakage: error` a PDB entry, stands in two splits.
    """
    store, plan = Store(base / "store"), read_plan(base / "plan")
    store.verify()
    ledger = Ledger.from_dict(read_json(base / "store" / "ledger.json"), Reason)
    ledger.check()
    counts = {split: _samples_of(store, split) for split in SPLITS}
    _check_counts(store, ledger, counts)
    _check_disjoint(store.residues)
    exported = _check_exports(manifests, counts)
    summary = {
        "residues": store.residues.num_rows,
        "samples": counts,
        "grids_rejected": ledger.rejected("grid"),
        "exported": exported,
        "leakage": plan.leakage,
        "warnings": list(plan.warnings),
        "ledger": ledger.to_dict()["kinds"],
    }
    _write(base / "check", ledger, summary)
    write_json(base / "check" / "dataset.json", _provenance(settings, code, summary))
    return summary


def _samples_of(store: Store, split: str) -> int:
    """Number of samples of a split; each one's residue must stand in that split, once per temperature."""
    samples = store.samples(split, columns=["residue_uid", "temperature"])
    uids = samples["residue_uid"]
    strays = pc.sum(pc.not_equal(store.residues["split"].take(uids), split)).as_py() or 0
    if strays:
        raise LeakageError(f"{strays} samples of {split} are of residues of another split; delete store/ and run again")
    if samples.group_by(["residue_uid", "temperature"]).aggregate([]).num_rows != samples.num_rows:
        raise IntegrityError(f"a residue stands twice at one temperature in {split}; delete store/ and run again")
    return int(samples.num_rows)


def _check_counts(store: Store, ledger: Ledger, counts: Mapping[str, int]) -> None:
    told = {
        "residues": (store.residues.num_rows, ledger.kept("residue")),
        "grids": (len(store), ledger.kept("grid")),
        "samples": (sum(counts.values()), ledger.kept("sample")),
    }
    for what, (held, accounted) in told.items():
        if held != accounted:
            raise IntegrityError(f"the store holds {held} {what}, its ledger accounts for {accounted}; run again")


def _check_disjoint(residues: pa.Table) -> None:
    for column in ("domain", "rmsf_domain"):
        splits = residues.group_by(column).aggregate([("split", "count_distinct")])
        torn = splits.filter(pc.field("split_count_distinct") > 1)[column].to_pylist()
        if torn:
            raise LeakageError(f"{len(torn)} domains stand in two splits, first {torn[0]}; see voxel.inputs")


def _check_exports(manifests: Sequence[Path], counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Files, bytes and records of the batch files by split and format."""
    found: dict[str, dict[str, int]] = {}
    for path in manifests:
        content = read_json(path)
        for entry in content["files"]:
            file = path.parent / entry["file"]
            if not file.is_file() or file.stat().st_size != entry["bytes"]:
                raise IntegrityError(f"{file}: missing or cut; delete {path} and run again")
            sums = found.setdefault(f"{content['split']} {file.suffix[1:]}", {"files": 0, "bytes": 0, "records": 0})
            for key, n in (("files", 1), ("bytes", entry["bytes"]), ("records", entry["records"])):
                sums[key] += n
    for name, sums in found.items():
        split = name.split()[0]
        if sums["records"] != counts[split]:
            raise IntegrityError(f"the {name} files hold {sums['records']} samples, the store {counts[split]}")
    return found


def _write(folder: Path, ledger: Ledger, summary: Mapping[str, Any]) -> None:
    ledger.write_csv(folder / "rejects.csv")
    write_json(folder / "ledger.json", ledger.to_dict())
    write_json(folder / "check.json", dict(summary))


def _provenance(settings: VoxelSettings, code: Mapping[str, str], summary: Mapping[str, Any]) -> dict[str, Any]:
    """How a dataset came to be: with it and the inputs it can be built again."""
    return {
        "trainyard": __version__,
        "versions": {name: version(name) for name in ("numpy", "pyarrow", "h5py")},
        "settings": settings.model_dump(mode="json", exclude={"train"}),
        "code": dict(code),
        "counts": {key: summary[key] for key in ("residues", "samples", "exported")},
    }
