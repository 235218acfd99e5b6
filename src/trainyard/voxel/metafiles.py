"""What makes batch files a set: their lists, the temperature scaling, and the domains that gave nothing.

{split}_batches.meta             the .pt files in order, as published; {split}_batches.safetensors.meta likewise
temp_scaling_params.json         of the store
failed_preprocess_domains.txt    domains of the lists without a sample, as published; .csv says why
"""

from __future__ import annotations

import csv
import logging
import re
import shutil
from collections.abc import Container, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from trainyard.voxel.export import FORMAT, SUFFIXES, VERSION, ExportPart, batch_count, batch_name
from trainyard.voxel.planfiles import SCALER
from trainyard.voxel.schema import DOMAINS, REJECTS, SPLITS
from trainyard.voxel.store import MANIFEST, Store
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import atomic_open, faults_named, read_json, sha256_file, write_json, write_text

FAILED = "failed_preprocess_domains.txt"

_OURS = re.compile(r"batch_\d{6,}\.(pt|safetensors)|part_\d{4}-\d{4}\.json")
_REMEDY = "delete the manifest and run the same command again"

_log = logging.getLogger(__name__)


def meta_name(split: str, suffix: str) -> str:
    """Return the name of the list of a split's batch files of a format."""
    return f"{split}_batches.meta" if suffix == "pt" else f"{split}_batches.{suffix}.meta"


def write_meta(store: Store, domains: Path, manifests: Sequence[Path], out: Path) -> dict[str, int]:
    """Finish a set whose parts are finished, and remove the batch files of earlier plans.

    Args:
        store: The store that the parts were made from.
        domains: The plan's table of domains, contract DOMAINS.
        manifests: Manifests of all parts of all splits.
        out: Folder of the export.

    Returns:
        Number of batches by split.

    Raises:
        IntegrityError: Parts are missing, were made from another store or with other settings, or lack files.
    """
    parts = [_read_manifest(path) for path in manifests]
    formats = _check_parts(store, parts)
    batches = {split: batch_count(store, split) for split in SPLITS}
    named: dict[str, set[str]] = {}
    for split in SPLITS:
        mine = [part for part in parts if part["split"] == split]
        sizes = {entry["file"]: entry["bytes"] for part in mine for entry in part["files"]}
        _check_files(out / split, sizes, [batch_name(i, suffix) for i in range(batches[split]) for suffix in formats])
        named[split] = {*sizes, *(f"{_part(part).name}.json" for part in mine)}
    for split in SPLITS:
        _remove_stale(out / split, named[split])
    for split, suffix in product(SPLITS, SUFFIXES):
        lines = [f"{split}/{batch_name(i, suffix)}\n" for i in range(batches[split])]
        if suffix in formats:
            write_text(out / meta_name(split, suffix), "".join(lines))
        else:
            (out / meta_name(split, suffix)).unlink(missing_ok=True)
    write_json(out / SCALER, read_json(store.folder / SCALER))
    _write_failed(store, domains, out)
    return batches


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = read_json(path)
    try:
        if (manifest["format"], manifest["version"]) != (FORMAT, VERSION) or _part(manifest).name != path.stem:
            raise ValueError("of another kind, version or part")
        for entry in manifest["files"]:
            entry["file"], entry["bytes"]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: no manifest of exported batches ({error!r}); {_REMEDY}") from error
    return manifest


def _part(manifest: Mapping[str, Any]) -> ExportPart:
    return ExportPart(manifest["split"], manifest["part"] - 1, manifest["num_parts"])


def _check_parts(store: Store, parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Check that the parts are all there and of one making; returns their formats."""
    common = [{name: part[name] for name in part if name not in ("split", "part", "files")} for part in parts]
    if not parts or any(head != common[0] for head in common):
        raise IntegrityError("the manifests of the parts differ in store, settings or software; export all parts again")
    if common[0]["store_sha256"] != sha256_file(store.folder / MANIFEST):
        raise IntegrityError(f"{store.folder}: is not the store that the parts were made from; export all parts again")
    wanted = {(split, number) for split in SPLITS for number in range(common[0]["num_parts"])}
    missing = sorted(wanted - {(_part(part).split, _part(part).number) for part in parts})
    if missing:
        split, number = missing[0]
        name = ExportPart(split, number, common[0]["num_parts"]).name
        raise IntegrityError(f"{len(missing)} parts are missing, first {split}/{name}; export them")
    return list(common[0]["formats"])


def _check_files(folder: Path, sizes: Mapping[str, int], wanted: Sequence[str]) -> None:
    """Compare the files of a split with what the manifests tell, by name and size; their bytes were hashed as made."""
    if sorted(sizes) != sorted(wanted):
        raise IntegrityError(
            f"{folder}: the manifests name {len(sizes)} batch files, expected {len(wanted)}; {_REMEDY}"
        )
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise IntegrityError(f"{path}: missing, or not the {size} bytes that its manifest tells; {_REMEDY}")


def _remove_stale(folder: Path, named: Container[str]) -> None:
    with faults_named(folder):
        for left in folder.glob(".part_*"):  # by killed runs
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        stale = [p for p in folder.iterdir() if _OURS.fullmatch(p.name) and p.name not in named and p.is_file()]
        for path in stale:
            path.unlink()
    if stale:
        _log.info("%s: removed %d files of an earlier export", folder, len(stale))


def _write_failed(store: Store, domains: Path, out: Path) -> None:
    """Name the domains of the lists that have no sample; the reasons stand apart, since the published list has none."""
    used = set(store.residues["domain"].unique().to_pylist())
    planned = DOMAINS.read(domains, columns=["domain", "split"]).to_pylist()
    failed = sorted((row["domain"], row["split"]) for row in planned if row["split"] and row["domain"] not in used)
    rejects = REJECTS.read(store.folder / "rejects.parquet", filters=[("kind", "==", "domain")]).to_pylist()
    why = {row["item"]: (row["reason"], row["detail"]) for row in rejects}
    with atomic_open((out / FAILED).with_suffix(".csv"), "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["domain", "split", "reason", "detail"])
        # The table of rejects names so many domains per reason; what is beyond has none here.
        writer.writerows([domain, split, *why.get(domain, ("", ""))] for domain, split in failed)
    write_text(out / FAILED, "".join(f"{domain}\n" for domain, _ in failed))
