"""Tables of splits, ours or a person's: which gene, of which locus cluster, is in which split."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from trainyard.splice.artifacts import stream

_TYPES = dict.fromkeys(("gene_id", "locus_cluster", "split"), pa.string())


def read_splits(path: Path) -> pa.Table:
    """Columns gene_id, locus_cluster and split of a table, Parquet or text.

    Raises:
        InputError: No such file, or a column is missing.
    """
    return pa.concat_tables([pa.schema(list(_TYPES.items())).empty_table(), *stream(path, _TYPES)])


def split_of_genes(path: Path) -> dict[str, str]:
    """Split by gene; see `read_splits`."""
    table = read_splits(path)
    return dict(zip(table["gene_id"].to_pylist(), table["split"].to_pylist(), strict=True))
