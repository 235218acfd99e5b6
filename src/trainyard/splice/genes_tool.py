"""Gene lists made of what is there: ids out of artifacts, gene manifests or lists, all of them, a head, or a sample.

The list goes back into a build as its gene file. A sample is the beginning of an order that depends on seed and gene,
so a larger sample begins with the smaller one, and so do the batches that are built from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.splice.artifacts import find_artifacts, is_table, stream
from trainyard.splice.genelist import read_gene_file
from trainyard.yard.errors import ConfigError, InputError
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import keyed_hash


@dataclass(frozen=True)
class Genes:
    """Genes in the order in which they were first met."""

    rows: dict[str, int]
    """Rows in which each gene stands."""
    files: int
    """Files that were read."""
    without: int
    """Rows without a gene."""


def find_genes(sources: Sequence[Path], *, gene_col: str = "gene_id") -> Genes:
    """Collect the genes that files name.

    Args:
        sources: Tables (Parquet, TSV, CSV, gzip too), folders of tables, or gene lists of one id per line. Folders are
            read in the order of their paths.
        gene_col: Column of the tables that holds the genes.

    Raises:
        InputError: A source is missing or cannot be read, or none of them names a gene.
    """
    rows: Counter[str] = Counter()
    files = without = 0
    for source in sources:
        if source.is_file() and not is_table(source):
            rows.update(entry.text for entry in read_gene_file(source, gene_col=gene_col))
            files += 1
            continue
        for path in find_artifacts([source]):
            files += 1
            for table in stream(path, {gene_col: pa.string()}):
                column = table[gene_col]
                names = column.filter(pc.fill_null(pc.not_equal(column, ""), False))
                without += len(column) - len(names)
                rows.update({found["values"]: found["counts"] for found in pc.value_counts(names).to_pylist()})
    if not rows:
        raise InputError(f"{', '.join(map(str, sources))}: name no gene in column {gene_col!r}")
    return Genes(dict(rows), files, without)


def choose(genes: Sequence[str], *, head: int | None = None, sample: int | None = None, seed: int = 42) -> list[str]:
    """Choose among genes.

    Args:
        genes: In the order in which they were met.
        head: The first so many.
        sample: So many by keyed hash; in the order of the hash.
        seed: Of the sample.

    Raises:
        ConfigError: Both head and sample.
        InputError: More are asked for than there are.
    """
    if head is not None and sample is not None:
        raise ConfigError("ask for a head or for a sample, not for both")
    wanted = head if head is not None else sample
    if wanted is not None and wanted > len(genes):
        raise InputError(f"{wanted} genes are asked for, but there are only {len(genes)}")
    if sample is None:
        return list(genes[:head])
    return sorted(genes, key=lambda gene: (keyed_hash(seed, "splice gene sample", gene), gene))[:sample]


def write_genes(path: Path, chosen: Sequence[str], rows: dict[str, int]) -> None:
    """Write a gene list as a table with the columns gene_id and n_rows, separated by tabs."""
    with atomic_open(path, "w") as file:
        file.write("gene_id\tn_rows\n")
        file.writelines(f"{gene}\t{rows[gene]}\n" for gene in chosen)
