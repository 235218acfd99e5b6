"""Tables that another run or another program left: Parquet, or text with a header, plain or gzip, read in a stream.

Types are stated by the caller, never guessed from the text, so that a contig `1` stays text and a part of a table means
the same as the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

BATCH_ROWS = 65_536
_SUFFIXES = (".parquet", ".tsv", ".csv", ".tsv.gz", ".csv.gz")


def find_artifacts(sources: Sequence[Path]) -> list[Path]:
    """Tables among files and folders: files as given, folders with all tables below them, sorted by path.

    Files and folders whose name begins with a dot are passed over.

    Raises:
        InputError: A source does not exist, is no table, or a folder holds none.
    """
    found = []
    for source in sources:
        if source.is_dir():
            tables = [path for path in sorted(source.rglob("*")) if is_table(path) and not _hidden(path, source)]
            if not tables:
                raise InputError(f"{source}: no table below this folder ({', '.join(_SUFFIXES)})")
            found += tables
        elif not source.is_file():
            raise InputError(f"{source}: no such file or folder")
        elif not is_table(source):
            raise InputError(f"{source}: not a table this command reads ({', '.join(_SUFFIXES)})")
        else:
            found.append(source)
    return found


def is_table(path: Path) -> bool:
    """Whether the name of a file says that it is a table."""
    return path.name.lower().endswith(_SUFFIXES) and path.is_file()


def column_names(path: Path) -> list[str]:
    """Names of the columns of a table.

    Raises:
        InputError: The file cannot be read as what its name says.
    """
    try:
        with faults_named(path):
            if path.suffix.lower() == ".parquet":
                return list(pq.read_schema(path).names)
            with _open_text(path, {}) as reader:
                return list(reader.schema.names)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make the file again") from error


def stream(path: Path, columns: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    """Read some columns of a table in pieces of a bounded number of rows.

    Args:
        path: The table.
        columns: Columns wanted and their types; in text, an empty cell is null.

    Raises:
        InputError: A column is missing or does not have its type, or the file cannot be read.
    """
    missing = [name for name in columns if name not in column_names(path)]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}")
    schema = pa.schema(list(columns.items()))
    try:
        with faults_named(path):
            if path.suffix.lower() == ".parquet":
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
                        yield pa.table(batch).select(list(columns)).cast(schema)
            else:
                with _open_text(path, columns) as reader:
                    for batch in reader:
                        yield pa.table(batch).select(list(columns)).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make the file again") from error


def _open_text(path: Path, columns: Mapping[str, pa.DataType]) -> pa_csv.CSVStreamingReader:
    name = path.name.lower().removesuffix(".gz")
    return pa_csv.open_csv(
        pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None),
        parse_options=pa_csv.ParseOptions(delimiter="\t" if name.endswith(".tsv") else ","),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict(columns), include_columns=list(columns), strings_can_be_null=True
        ),
    )


def _hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(top).parts)
