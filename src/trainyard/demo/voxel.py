"""The inputs of the voxel line's demo: simulated proteins as PDB and voxel files, their RMSF, and split lists.

Flexibility is planted: it grows with exposure, which the voxels show, towards the ends of the chain, in loops, and with
the temperature. `truth.json` has the formula and what the line must count.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainyard.demo import voxel_proteins as planted
from trainyard.demo.voxel_files import MANIFEST, RMSF, STRUCTURES, TRUTH, VOXELS, list_name
from trainyard.demo.voxel_labels import COLUMNS, KELVINS, expected, rmsf_rows
from trainyard.demo.voxel_proteins import Protein, make_protein, split_lists
from trainyard.voxel.aposteriori import ledger_path, voxelize_files
from trainyard.voxel.settings import VoxelDemoSettings, VoxelizeSettings
from trainyard.yard.files import atomic_open, faults_named, sha256_file, write_json, write_text
from trainyard.yard.logs import progress
from trainyard.yard.receipts import receipt_path


def write_inputs(settings: VoxelDemoSettings, folder: Path) -> dict[str, Any]:
    """Write the demo's inputs and, last, `demo_manifest.json`; the same settings give the same bytes.

    Structure files of a demo with other settings are removed.

    Args:
        settings: What to simulate.
        folder: Where to; made if it is missing.

    Returns:
        The manifest: the settings, and path (relative), bytes and sha256 of every other file.

    Raises:
        EnvironmentFault: Disk full, no permission, read-only file system.
    """
    numbers = range(settings.domains)
    proteins = [make_protein(settings, i) for i in progress(numbers, total=len(numbers), what="demo proteins")]
    structures = [folder / STRUCTURES / f"{protein.voxel_domain}.pdb" for protein in proteins]
    _remove_others(folder / STRUCTURES, {*structures})
    for path, protein in zip(structures, proteins, strict=True):
        write_text(path, protein.pdb())
    voxels = folder / VOXELS
    voxelize_files(structures, voxels, settings=VoxelizeSettings())
    _write_rmsf(folder / RMSF, proteins, seed=settings.seed)
    lists = split_lists(proteins)
    for split, domains in lists.items():
        write_text(folder / list_name(split), _list(split, domains))
    write_json(folder / TRUTH, _truth(settings, proteins))
    files = [*structures, voxels, receipt_path(voxels), ledger_path(voxels), folder / RMSF, folder / TRUTH]
    files += [folder / list_name(split) for split in lists]
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "files": [
            {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in sorted(files)
        ],
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def _write_rmsf(path: Path, proteins: Sequence[Protein], *, seed: int) -> None:
    with atomic_open(path) as handle:
        text = io.TextIOWrapper(handle, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for protein in proteins:
            writer.writerows(rmsf_rows(protein, seed=seed))
        text.detach()


def _list(split: str, domains: Sequence[str]) -> str:
    """A split list as people keep them: with a heading, a blank line and a remark."""
    lines = [f"# {split} domains of the simulated proteins", ""]
    lines += [f"{domain}  # the first" if i == 0 else domain for i, domain in enumerate(domains)]
    return "\n".join([*lines, ""])


def _truth(settings: VoxelDemoSettings, proteins: Sequence[Protein]) -> dict[str, Any]:
    return {
        "settings": settings.model_dump(mode="json"),
        "planted": {
            "rmsf_nm": "flexibility * exp(growth * (T - 320)) * exp(noise * standard normal)",
            "flexibility_nm": "floor + exposed * exposure + end * exp(-residues to the end / end_residues)"
            " + coiled * (dssp is C)",
            "exposure": "(crowded - set voxels) / (crowded - lonely), from 0 to 1",
            "floor": planted.FLOOR,
            "exposed": planted.EXPOSED,
            "end": planted.END,
            "end_residues": planted.END_RESIDUES,
            "coiled": planted.COILED,
            "crowded": planted.CROWDED,
            "lonely": planted.LONELY,
            "growth_per_k": planted.GROWTH,
            "noise": planted.NOISE,
            "temperatures_k": list(KELVINS),
        },
        "domains": [
            {
                "domain": protein.domain,
                "voxel_domain": protein.voxel_domain,
                "split": protein.split,
                "residues": len(protein.residues),
                "secondary_structure": protein.fold.structure,
            }
            for protein in proteins
        ],
        "expected": expected(proteins),
    }


def _remove_others(folder: Path, expected: set[Path]) -> None:
    """Remove structures of an earlier demo; files of other origin stay."""
    for path in sorted(folder.glob("*.pdb")):
        with faults_named(path):
            if path not in expected and path.read_bytes().startswith(planted.MARK.encode()):
                path.unlink()
