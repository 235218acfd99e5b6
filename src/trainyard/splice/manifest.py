"""`manifest.json`: which files make up a dataset, what is in them, and what they were made of."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from trainyard.splice.dataset_schema import PERFORMANCE, FeatureColumn
from trainyard.splice.genecounts import GeneRows, total
from trainyard.splice.master import FORMAT, Part
from trainyard.yard.files import atomic_open
from trainyard.yard.tables import Column, TableContract


def make_manifest(
    parts: Sequence[Part],
    contract: TableContract,
    counts: Mapping[str, GeneRows],
    genes: Sequence[Mapping[str, Any]],
    *,
    status: str,
    planned: int,
) -> dict[str, Any]:
    """What a manifest says of the files and rows themselves.

    Args:
        parts: Parts, in order.
        contract: Their columns.
        counts: Rows by gene, of these parts.
        genes: Rows of the gene manifest.
        status: `complete` or `partial k of N`.
        planned: N.
    """
    by_part: dict[int, list[GeneRows]] = defaultdict(list)
    for found in counts.values():
        by_part[found.part].append(found)
    files = [
        {
            "file": part.path.name,
            "sha256": part.receipt.sha256,
            "bytes": part.receipt.bytes,
            "genes": len(by_part[index]),
            **total(by_part[index]),
        }
        for index, part in enumerate(parts)
    ]
    schema = {
        "name": contract.name,
        "version": contract.version,
        "digest": contract.digest,
        "columns": [_column(column) for column in contract.columns],
    }
    statuses = [row["status"] for row in genes]
    return {
        "format": FORMAT,
        "version": 1,
        "status": status,
        "parts_planned": planned,
        "parts": files,
        **total(list(counts.values())),
        "genes": {name: statuses.count(name) for name in sorted(set(statuses))},
        "schema": schema,
        "dataset_id": digest([contract.digest, [file["sha256"] for file in files]]),
    }


def write_performance(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write `full_splice_performance.tsv`: the performance of the base model by gene and type.

    Args:
        path: The file.
        tables: Contract PERFORMANCE, in order.
    """
    # Readers of the published table know no quotes; ids have nothing to quote.
    options = pa_csv.WriteOptions(delimiter="\t", quoting_style="none", include_header=False)
    with atomic_open(path) as file:
        file.write(("\t".join(PERFORMANCE.names) + "\n").encode())
        with pa_csv.CSVWriter(file, PERFORMANCE.schema, write_options=options) as writer:
            for table in tables:
                PERFORMANCE.check(table)
                writer.write_table(table.select(list(PERFORMANCE.names)).cast(PERFORMANCE.schema))


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _column(column: Column) -> dict[str, str]:
    family = column.family if isinstance(column, FeatureColumn) else ""
    stated = {"name": column.name, "type": str(column.type), "role": column.role.value, "unit": column.unit}
    return stated | {"family": family}
