"""Batch files as published, `{split}/batch_000000.pt ...`, written part by part from a store.

A part is a stretch of the batches of one split. Its manifest, `{split}/part_0001-0004.json`, is written last and
vouches for its files; what a whole set needs besides is in metafiles.py.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainyard.voxel.parts import part_name
from trainyard.voxel.schema import SAMPLES, SPLITS
from trainyard.voxel.settings import VoxelExportSettings
from trainyard.voxel.sizes import check_disk, pt_bytes, safetensors_bytes
from trainyard.voxel.store import MANIFEST, SAMPLES_FILE, ExpandBuffer, Store
from trainyard.yard.errors import ConfigError, EnvironmentFault, IntegrityError
from trainyard.yard.files import atomic_path, faults_named, sha256_file, write_json

FORMAT, VERSION = "trainyard.voxel_export", 1
SUFFIXES = ("pt", "safetensors")
"""Formats of batch files."""

Batch: TypeAlias = dict[str, npt.NDArray[Any]]

_SIZES_OF = "2.13."
"""Torch whose files `sizes` predicts to the byte."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportPart:
    """A stretch of the batches of a split."""

    split: str
    number: int
    """Counts from 0."""
    num_parts: int

    @classmethod
    def parse(cls, split: str, label: str) -> ExportPart:
        """Return the part with a label such as 0001-0004, the first of four.

        Raises:
            ConfigError: Not such a label.
        """
        number, _, num_parts = label.partition("-")
        if not (number.isdecimal() and num_parts.isdecimal() and 1 <= int(number) <= int(num_parts)):
            raise ConfigError(f"{label!r} is no label of a part, such as 0001-0004 for the first of four")
        return cls(split, int(number) - 1, int(num_parts))

    @property
    def name(self) -> str:
        """Stem of the files that belong to the part."""
        return Path(part_name(self.number, self.num_parts)).stem

    def manifest(self, out: Path) -> Path:
        """Return the path of its manifest."""
        return out / self.split / f"{self.name}.json"

    def batches(self, of: int) -> range:
        """Return its numbers of batches, of the so many that the split has."""
        return range(of * self.number // self.num_parts, of * (self.number + 1) // self.num_parts)


@dataclass(frozen=True)
class _File:
    """A batch file to be."""

    name: str
    first: int
    """First of its samples, among those of the part."""
    records: int
    bytes: int
    """As predicted."""


def manifests(out: Path, settings: VoxelExportSettings) -> list[Path]:
    """Return the manifests of all parts of an export; none where no batch files are asked for."""
    if not set(settings.formats) & set(SUFFIXES):
        return []
    numbers = range(settings.num_parts)
    return [ExportPart(split, i, settings.num_parts).manifest(out) for split in SPLITS for i in numbers]


def batch_name(number: int, suffix: str) -> str:
    """Return the name of a batch file, as published."""
    return f"batch_{number:06d}.{suffix}"


def batch_count(store: Store, split: str) -> int:
    """Return how many batches a split has."""
    return int(store.manifest["counts"]["splits"][split]["batches"])


def export_part(store: Store, part: ExportPart, out: Path, *, settings: VoxelExportSettings) -> dict[str, Any]:
    """Write the batch files of a part, one batch in memory at a time, and then its manifest.

    Run again after a kill, it keeps the files that it had finished and that still are what they were.

    Args:
        store: The store.
        part: The part.
        out: Folder of the export.
        settings: Formats, type and number of parts.

    Returns:
        The manifest.

    Raises:
        ConfigError: The settings know of no such part, or the type does not hold the values of the grids.
        IntegrityError: A file has not the size that was predicted.
        EnvironmentFault: The disk is full, or has no room for the part.
    """
    if part.num_parts != settings.num_parts:
        raise ConfigError(f"{part.name} is no part of an export with export.num_parts = {settings.num_parts}")
    folder = out / part.split
    samples = _samples(store, part)
    files = _planned(store, part, samples, settings)
    head = _head(store, part, settings)
    is_exact = _sizes_are_exact(head["formats"])
    part.manifest(out).unlink(missing_ok=True)  # it would vouch for files that are about to change
    with _Journal(folder, part, head) as journal:
        todo = [file for file in files if not journal.vouches_for(file.name)]
        check_disk(out, sum(file.bytes for file in todo))
        buffer = store.buffer(store.manifest["batch_size"], dtype=settings.dtype)
        for file in todo:
            batch = _batch(store, samples.slice(file.first, file.records), buffer)
            journal.add(file.name, _write(folder, file, batch, part=part, is_exact=is_exact))
        rows = [_row(folder / file.name, journal.sums[file.name], file.records) for file in files]
        write_json(part.manifest(out), {**head, "files": rows})
    return {**head, "files": rows}


def _head(store: Store, part: ExportPart, settings: VoxelExportSettings) -> dict[str, Any]:
    """What decides the bytes of a part: the head of its manifest."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "split": part.split,
        "part": part.number + 1,
        "num_parts": part.num_parts,
        "dtype": settings.dtype,
        "formats": {s: version("torch" if s == "pt" else s) for s in SUFFIXES if s in settings.formats},
        "store_sha256": sha256_file(store.folder / MANIFEST),
    }


def _samples(store: Store, part: ExportPart) -> pa.Table:
    """Contract SAMPLES of a part, in order."""
    batches = part.batches(batch_count(store, part.split))
    columns = ["residue_uid", "scaled_temp", "target", "batch_index"]
    stretch = [("batch_index", ">=", batches.start), ("batch_index", "<", batches.stop)]
    return SAMPLES.read(store.folder / SAMPLES_FILE, columns=columns, filters=[("split", "==", part.split), *stretch])


def _planned(store: Store, part: ExportPart, samples: pa.Table, settings: VoxelExportSettings) -> list[_File]:
    batches = part.batches(batch_count(store, part.split))
    edges = np.searchsorted(samples["batch_index"].to_numpy(), range(batches.start, batches.stop + 1)).tolist()
    files = []
    for number, (first, end) in zip(batches, pairwise(edges), strict=True):
        for suffix in (suffix for suffix in SUFFIXES if suffix in settings.formats):
            name = batch_name(number, suffix)
            size = _predicted(name, end - first, dtype=settings.dtype, grid=store.shape)
            files.append(_File(name, first, end - first, size))
    return files


def _predicted(name: str, records: int, *, dtype: str, grid: Sequence[int]) -> int:
    stem, _, suffix = name.partition(".")
    if suffix == "pt":
        return pt_bytes(records, dtype=dtype, grid=grid, archive=stem)
    return safetensors_bytes(records, dtype=dtype, grid=grid)


def _batch(store: Store, samples: pa.Table, buffer: ExpandBuffer) -> Batch:
    """The arrays of one batch; its voxels are those of the buffer."""
    try:
        voxels = store.expand(samples["residue_uid"].to_numpy(), buffer)
    except ValueError as error:
        raise ConfigError(f"export.dtype: {error}") from error
    # Copies, since tables are read-only, and torch writes all the memory that a tensor lies in.
    scaled_temps, targets = (samples[name].to_numpy().copy() for name in ("scaled_temp", "target"))
    return {"voxels": voxels, "scaled_temps": scaled_temps.reshape(-1, 1), "targets": targets}


def _write(folder: Path, file: _File, batch: Batch, *, part: ExportPart, is_exact: bool) -> str:
    """Write a batch file; returns its SHA-256."""
    path = folder / file.name
    save = _save_safetensors if path.suffix == ".safetensors" else _save_pt
    with (
        atomic_path(path) as final,
        # The name of a torch file is in its bytes, so it is saved under its own, in a folder of this process.
        TemporaryDirectory(prefix=f".{part.name}-", dir=folder) as private,
    ):
        saved = Path(private) / path.name
        save(batch, saved)
        size = saved.stat().st_size
        if is_exact and size != file.bytes:
            raise IntegrityError(f"{path}: has {size} bytes, predicted were {file.bytes}; run the same command again")
        digest = sha256_file(saved)
        saved.rename(final)
    return digest


def _row(path: Path, digest: str, records: int) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest, "records": records}


def _save_pt(batch: Batch, path: Path) -> None:
    import torch

    try:
        torch.save({name: torch.from_numpy(array) for name, array in batch.items()}, path)
    except RuntimeError as error:
        # Torch's own file writer does not say what the system said.
        said = str(error).partition("\n")[0]
        raise EnvironmentFault(f"{path}: torch cannot write it; is the disk full? ({said})") from error


def _save_safetensors(batch: Batch, path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(batch, path)


def _sizes_are_exact(writers: Mapping[str, str]) -> bool:
    """Whether files must have the predicted sizes, by the versions of the libraries that write them."""
    exact = writers.get("pt", _SIZES_OF).startswith(_SIZES_OF)
    if not exact:
        _log.warning("sizes are predicted for torch %s*; the files of torch %s may differ", _SIZES_OF, writers["pt"])
    return exact


class _Journal:
    """What a part has finished, line by line, so that a run after a kill need not write it again."""

    def __init__(self, folder: Path, part: ExportPart, head: Mapping[str, Any]) -> None:
        self.sums: dict[str, str] = {}
        """SHA-256 of files, by name."""
        self._folder, self._part = folder, part
        self._path = folder / f".{part.name}.journal"
        self._head = json.dumps(head, sort_keys=True)

    def __enter__(self) -> _Journal:
        with faults_named(self._path):
            self._folder.mkdir(parents=True, exist_ok=True)
            for private in self._folder.glob(f".{self._part.name}-*"):
                # Left by a killed run; a process of it that still lives fails now, instead of writing beside us.
                shutil.rmtree(private, ignore_errors=True)
            lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
            if lines[:1] == [self._head]:  # else it is of another store, or of other settings
                self.sums = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
            self._handle = self._path.open("w", encoding="utf-8")
            self._handle.writelines([f"{self._head}\n", *(f"{name} {digest}\n" for name, digest in self.sums.items())])
            self._handle.flush()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._handle.close()
        if kind is None:
            self._path.unlink()

    def vouches_for(self, name: str) -> bool:
        """Whether a file is there, finished by this part, and unchanged since."""
        path = self._folder / name
        return name in self.sums and path.is_file() and sha256_file(path) == self.sums[name]

    def add(self, name: str, digest: str) -> None:
        self.sums[name] = digest
        self._handle.write(f"{name} {digest}\n")
        self._handle.flush()
