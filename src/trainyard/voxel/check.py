"""The last word on a build: every file is what the manifest says, every item accounted for, no domain in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainyard import __version__
from trainyard.voxel.export import manifests
from trainyard.voxel.planfiles import read_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelPlanSettings, VoxelSettings
from trainyard.voxel.splits import leakage_report
from trainyard.voxel.store import MANIFEST, Store
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.files import read_json, sha256_file, write_json
from trainyard.yard.ledger import Ledger


def check_build(
    base: Path, *, settings: VoxelSettings, code: Mapping[str, str], ledgers: Sequence[Path] = ()
) -> dict[str, Any]:
    """Check a finished dataset; writes `check/check.json`, `ledger.json`, `rejects.csv` and `dataset.json`.

    Args:
        base: Folder of the line, with `plan`, `store` and, if batch files were asked for, `export`.
        settings: Settings that shaped the dataset; they stand in `dataset.json`.
        code: Digests of the code of its stages; they stand there too.
        ledgers: What became of the structures that were voxelised for it, if any were.

    Returns:
        What `check.json` holds.

    Raises:
        IntegrityError: A file is not what the manifest says, files of an earlier build lie there, items were lost, or
            counts differ.
        LeakageError: A domain, or with `plan.leakage: error` a PDB entry, stands in two splits.
    """
    store, plan = Store(base / "store"), read_plan(base / "plan")
    refuse_strays(base, settings)
    store.verify()
    ledger = Ledger.merge(
        [Ledger.from_dict(read_json(path), Reason) for path in (base / "store" / "ledger.json", *ledgers)]
    )
    ledger.check()
    counts = {split: _samples_of(store, split) for split in SPLITS}
    _check_counts(store, ledger, counts)
    _check_disjoint(store.residues, settings.plan)
    exported = _check_exports(manifests(base / "export", settings.export), counts)
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


def refuse_strays(base: Path, settings: VoxelSettings) -> None:
    """Who reads all parts, or all batch files, of a folder must not meet those of an earlier build.

    Args:
        base: Folder of the line.
        settings: Settings of the build that is there now.

    Raises:
        IntegrityError: There are parts of another number of parts, or batch files that are no longer asked for and
            are not of this store.
    """
    grids, num_parts = base / "store" / "grids", settings.plan.num_parts
    of_another_number = [path for path in sorted(grids.glob("part_*.*")) if f"-{num_parts:04d}." not in path.name]
    if of_another_number:
        first = of_another_number[0]
        raise IntegrityError(
            f"parts of another voxel.plan.num_parts than {num_parts} are there, first {first}; set num_parts back, give"
            f" this run another name, or delete them: rm {grids}/*-{first.name.split('.')[0].rpartition('-')[2]}.*"
        )
    if not manifests(base / "export", settings.export):
        _refuse_old_batches(base / "export", sha256_file(base / "store" / MANIFEST))


def _refuse_old_batches(export: Path, store_sha256: str) -> None:
    """Batch files of this very store may stay, though nobody asks for them any more."""
    told = [(path.parent, read_json(path)) for path in export.glob("*/part_*.json")]
    current = [(folder, part) for folder, part in told if part.get("store_sha256") == store_sha256]
    vouched = {folder / entry["file"] for folder, part in current for entry in part["files"]}
    old = sorted({*export.glob("*/batch_*.*")} - vouched)
    if old:
        raise IntegrityError(
            f"{len(old)} batch files of another store are there, first {old[0]}, and voxel.export.formats does not ask"
            f" for new ones; delete them (rm -r {export}), or add their format to voxel.export.formats"
        )


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


def _check_disjoint(residues: pa.Table, settings: VoxelPlanSettings) -> None:
    for column in ("domain", "rmsf_domain"):
        splits = residues.group_by(column).aggregate([("split", "count_distinct")])
        torn = splits.filter(pc.field("split_count_distinct") > 1)[column].to_pylist()
        if torn:
            raise LeakageError(f"{len(torn)} domains stand in two splits, first {torn[0]}; see voxel.inputs")
    used = {split: residues.filter(pc.field("split") == split)["domain"].unique().to_pylist() for split in SPLITS}
    leakage_report(used, policy=settings.leakage)


def _check_exports(parts: Sequence[Path], counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Files, bytes and records of the batch files by split and format, as the manifests of their parts tell them."""
    found: dict[str, dict[str, int]] = {}
    for path in parts:
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
