"""Datasets as they come: ours, with manifest and receipts, or another program's folder of Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainyard.splice.artifacts import find_artifacts
from trainyard.splice.master import Master, inspect_master, master_folder
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

SITE_LABELS = {"donor": 1, "acceptor": 2}
"""Labels of the published text column `splice_type`; anything else there is no site."""


@dataclass(frozen=True)
class Source:
    """Parquet files that make up a dataset."""

    folder: Path
    files: tuple[Path, ...]
    master: Master | None
    """What vouches for them; None for a foreign dataset."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(pq.read_metadata(path).num_rows for path in self.files)

    def columns(self) -> dict[str, pa.DataType]:
        """Columns that all files have, in the order of the first, with the types there."""
        schemas = [pq.read_schema(path) for path in self.files]
        return {f.name: f.type for f in schemas[0] if all(f.name in schema.names for schema in schemas[1:])}


def open_source(path: Path, *, allow_partial: bool = False) -> Source:
    """Look at a dataset: ours is vouched for part by part, any other must be readable Parquet.

    Args:
        path: Folder of a dataset (or of a line, with `master` in it), or one Parquet file.
        allow_partial: Take what is finished of an incomplete dataset of ours.

    Raises:
        InputError: Nothing there, or files that are no Parquet.
        IntegrityError: A dataset of ours is damaged.
    """
    folder = master_folder(path) if path.is_dir() else path
    if folder.is_dir() and _is_ours(folder):
        master = inspect_master(folder, allow_partial=allow_partial)
        return Source(master.folder, tuple(part.path for part in master.parts), master)
    files = [file for file in find_artifacts([folder]) if file.suffix == ".parquet"]
    if not files:
        raise InputError(f"{folder}: holds no Parquet files")
    for file in files:
        try:
            with faults_named(file):
                pq.read_schema(file)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{file}: not a Parquet file ({error}); take it away or make it again") from error
    return Source(folder if folder.is_dir() else folder.parent, tuple(files), None)


def need_columns(source: Source, wanted: Sequence[str], *, purpose: str) -> None:
    """Refuse a dataset that lacks columns.

    Raises:
        InputError: It does; the message names them.
    """
    missing = [name for name in wanted if name not in source.columns()]
    if missing:
        raise InputError(
            f"{source.folder}: has no column {', '.join(missing)}, which {purpose} needs; a dataset of another program"
            " gets them from `trainyard splice patch`"
        )


def labels_of(splice_type: pa.ChunkedArray) -> pa.ChunkedArray:
    """Labels of the published column `splice_type`: 1 donor, 2 acceptor, 0 for anything else or null."""
    place = pc.index_in(splice_type.cast(pa.string()), pa.array(list(SITE_LABELS)))
    return pc.fill_null(pc.add(place, 1), 0).cast(pa.int8())


def _is_ours(folder: Path) -> bool:
    return (folder / "manifest.json").is_file() or any(folder.glob("part-*.parquet.receipt.json"))
