"""`master/`: the finished parts of a dataset, read as one Arrow dataset.

A part counts when its receipt vouches for its bytes and its schema is that of all others. A manifest, written when
every planned part is there, lists them; what it does not list is refused. While a build is going on, whoever says so
reads the parts that are finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainyard.splice import naming
from trainyard.splice.dataset_schema import FeatureColumn
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import faults_named, read_json
from trainyard.yard.receipts import Receipt, read_receipt, receipt_path, verify
from trainyard.yard.tables import Column, Role, TableContract

if TYPE_CHECKING:
    import pyarrow.dataset as ds

FORMAT = "trainyard-splice-master"
COMPLETE = "complete"
BATCH_ROWS = 65_536
BATCH_CELLS = 32_000_000
"""Values read in one piece, so that thousands of columns take no more memory than hundreds."""


@dataclass(frozen=True)
class Part:
    """One finished file of a dataset."""

    path: Path
    receipt: Receipt

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.receipt.records or 0


@dataclass(frozen=True)
class Master:
    """A dataset as it can be read now; made by `inspect_master`."""

    folder: Path
    parts: tuple[Part, ...]
    """In the order of their batches."""
    contract: TableContract
    """Columns of every part, with roles and units."""
    status: str
    """`complete`, or `partial k of N` (N is `?` before the first manifest)."""
    manifest: Mapping[str, Any] | None
    """Contents of `manifest.json`; None while there is none."""

    @property
    def rows(self) -> int:
        """Number of rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def dataset(self) -> ds.Dataset:
        """All parts as one Arrow dataset."""
        # Brings pandas along, a third of a second that every job of the line would spend.
        import pyarrow.dataset as ds

        scan = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        paths = [str(part.path) for part in self.parts]
        return ds.dataset(
            paths, schema=self.contract.schema, format=ds.ParquetFileFormat(default_fragment_scan_options=scan)
        )

    @property
    def features(self) -> list[FeatureColumn]:
        """The columns that a model may see, each with its family, in order."""
        columns = self.contract.columns
        return [column for column in columns if isinstance(column, FeatureColumn) and column.role == Role.FEATURE]

    def stream(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Read piece by piece, with a bounded number of rows in memory.

        Args:
            columns: Columns wanted; None for all.

        Yields:
            Index of the part in `parts`, and the next rows of it.

        Raises:
            IntegrityError: A part cannot be read.
        """
        for index, part in enumerate(self.parts):
            for table in stream_part(part.path, columns):
                yield index, table


def open_master(folder: Path, *, allow_partial: bool = False) -> ds.Dataset:
    """Open a dataset for reading; see `inspect_master` for arguments and what is refused."""
    return inspect_master(folder, allow_partial=allow_partial).dataset


def inspect_master(folder: Path, *, allow_partial: bool = False, checksums: bool = True) -> Master:
    """Look at a dataset and vouch for every part of it.

    Args:
        folder: `master/`, or the folder of the line that holds it.
        allow_partial: Take the parts that are finished, whatever is missing. Reading goes on while a build does.
        checksums: Read every byte of the parts; otherwise their sizes, rows and schemas are compared.

    Raises:
        InputError: No such folder, nothing finished in it, or an incomplete dataset without `allow_partial`.
        IntegrityError: A file that does not belong there, a part that is missing, damaged, without receipt, of another
            schema, or other than the manifest says.
    """
    folder = master_folder(folder)
    manifest = read_manifest(folder)
    found = _found_parts(folder)
    if manifest is not None and not allow_partial:
        _check_listed(folder, found, manifest)
    if not found:
        raise InputError(f"{folder}: no finished part in it yet; wait for the build, or run it")
    parts = tuple(Part(path, _vouch(path, checksums=checksums)) for path in found.values())
    # Of an incomplete dataset the manifest may be that of an earlier build.
    contract = _one_contract(parts, None if allow_partial else manifest)
    status = _status(parts, manifest)
    if status != COMPLETE and not allow_partial:
        raise InputError(
            f"{folder}: the dataset is incomplete ({status} parts); wait until the build has finished, or say that a"
            " partial dataset will do (allow_partial, --allow-partial)"
        )
    if not allow_partial and manifest is not None:
        _check_receipts(parts, manifest)
    return Master(folder, parts, contract, status, manifest)


def master_folder(folder: Path) -> Path:
    """The folder `master` of a line, or the folder itself where it is one.

    Raises:
        InputError: There is no such folder.
    """
    if (folder / "master").is_dir():
        return folder / "master"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give that of a dataset, such as results/demo/splice")
    return folder


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of a folder `master`; None where there is none.

    Raises:
        IntegrityError: It is no manifest of ours.
    """
    path = folder / naming.MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = read_json(path)
        if manifest["format"] != FORMAT or manifest["version"] != 1:
            raise KeyError("format")
    except (InputError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: not a manifest that this version can read ({error}); assemble again") from error
    return dict(manifest)


def contract_of(path: Path) -> TableContract:
    """The contract that a Parquet file says it was written under, with the roles and units in its schema.

    Raises:
        IntegrityError: Not Parquet, or written without a contract.
    """
    try:
        with faults_named(path):
            schema = pq.read_schema(path)
        metadata = schema.metadata or {}
        columns = tuple(_column(field) for field in schema)
        return TableContract(
            metadata[b"trainyard.contract"].decode(), columns, version=int(metadata[b"trainyard.version"])
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(f"{path}: not a Parquet file ({error}); {_REMEDY}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: its schema states no contract ({error}); it is not of this workflow") from error


def stream_part(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Read a Parquet file piece by piece, checking the checksum of every page.

    Raises:
        IntegrityError: It cannot be read.
    """
    try:
        with faults_named(path), pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            names = list(file.schema_arrow.names if columns is None else columns)
            rows = min(BATCH_ROWS, max(BATCH_CELLS // max(len(names), 1), 1))
            for batch in file.iter_batches(batch_size=rows, columns=names):
                yield pa.table(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(f"{path}: cannot be read as Parquet ({error}); {_REMEDY}") from error


def _column(field: pa.Field) -> Column:
    told = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    # Parquet calls the items of a list by another name than Arrow does.
    kind = pa.list_(field.type.value_type) if pa.types.is_list(field.type) else field.type
    stated = (field.name, kind, Role(told["role"]), told["unit"], told["description"], field.nullable)
    return FeatureColumn(*stated, family=told["family"]) if "family" in told else Column(*stated)


def _found_parts(folder: Path) -> dict[str, Path]:
    """Finished parts by name, in order; temporary files and parts without receipt are not finished.

    Raises:
        IntegrityError: Files that do not belong there.
    """
    parts = {}
    strays = []
    for path in sorted(folder.iterdir(), key=lambda path: (naming.parse_part(path.name) or 0, path.name)):
        name = path.name.removesuffix(".receipt.json")
        if path.name.startswith(".") or path.name in (naming.MANIFEST, naming.GENE_MANIFEST):
            continue
        if naming.parse_part(name) is None or path.is_dir():
            strays.append(path.name)
        elif name == path.name and receipt_path(path).is_file():
            parts[name] = path
    if strays:
        raise IntegrityError(
            f"{folder}: {', '.join(strays[:5])}{' and others' if strays[5:] else ''} do not belong in a dataset, and a"
            " reader would take them for part of it; move them elsewhere"
        )
    return parts


def _check_listed(folder: Path, found: Mapping[str, Path], manifest: Mapping[str, Any]) -> None:
    listed = {part["file"] for part in manifest["parts"]}
    if missing := sorted(listed - set(found)):
        raise IntegrityError(
            f"{folder}: {len(missing)} of {len(listed)} parts are missing or have no receipt, first {missing[0]}; run"
            " the build again"
        )
    if extra := sorted(set(found) - listed):
        raise IntegrityError(
            f"{folder}: {len(extra)} parts are not in the manifest, first {extra[0]}: a build is going on (then read it"
            " as partial), or they are left from another one (then assemble again)"
        )


def _vouch(path: Path, *, checksums: bool) -> Receipt:
    """Receipt of a part, after comparing the part with it.

    Raises:
        IntegrityError: They disagree.
    """
    receipt = verify(path) if checksums else read_receipt(path)
    size = path.stat().st_size
    if size != receipt.bytes:
        raise IntegrityError(f"{path}: has {size} bytes, its receipt says {receipt.bytes}; {_REMEDY}")
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(f"{path}: not a Parquet file ({error}); {_REMEDY}") from error
    if rows != receipt.records:
        raise IntegrityError(f"{path}: holds {rows} rows, its receipt says {receipt.records}; {_REMEDY}")
    return receipt


def _one_contract(parts: Sequence[Part], manifest: Mapping[str, Any] | None) -> TableContract:
    """The contract that all parts share, and that their receipts and the manifest name.

    Raises:
        IntegrityError: A part has another one.
    """
    first = contract_of(parts[0].path)
    wanted = first.digest if manifest is None else manifest["schema"]["digest"]
    for part in parts:
        contract = contract_of(part.path)
        if contract.digest != wanted:
            like = (
                f"of {parts[0].path.name} ({_difference(first, contract)})"
                if part is not parts[0]
                else "of the manifest"
            )
            raise IntegrityError(
                f"{part.path}: its columns are not those {like}; it was built with other settings: build it again, or"
                " assemble again; it is not converted"
            )
        if part.receipt.schema not in (None, contract.digest):
            raise IntegrityError(f"{part.path}: its receipt names another schema than it has; {_REMEDY}")
    return first


def _difference(one: TableContract, other: TableContract) -> str:
    fewer, more = (sorted(set(a.names) - set(b.names)) for a, b in ((one, other), (other, one)))
    words = [f"lacks {', '.join(fewer[:3])}"] * bool(fewer) + [f"adds {', '.join(more[:3])}"] * bool(more)
    return " and ".join(words) or "same names, but other types, roles or order"


def _status(parts: Sequence[Part], manifest: Mapping[str, Any] | None) -> str:
    if manifest is not None and _is_listed(parts, manifest):
        return str(manifest["status"])
    planned = 0 if manifest is None else int(manifest["parts_planned"])
    return f"partial {len(parts)} of {planned if planned >= len(parts) else '?'}"


def _is_listed(parts: Sequence[Part], manifest: Mapping[str, Any]) -> bool:
    return [part.path.name for part in parts] == [part["file"] for part in manifest["parts"]]


def _check_receipts(parts: Sequence[Part], manifest: Mapping[str, Any]) -> None:
    for part, listed in zip(parts, manifest["parts"], strict=True):
        if part.receipt.sha256 != listed["sha256"]:
            raise IntegrityError(
                f"{part.path}: was built again after the manifest was written; assemble again (run the same command)"
            )


_REMEDY = "delete the file and run the same command again"
