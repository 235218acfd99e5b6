"""The plan: which genes, in which order, in which batch.

Two tables, both independent of how many genes are asked for, so that asking for more only adds batches:

- the pool: every eligible gene in an order that depends on the gene and the dataset seed alone. Score batches are cut
  from it;
- the ranking: the order in which genes enter the dataset. It is the pool's order, except where genes are ranked by the
  errors of the base model, which needs the scores of the pool. Dataset batches are cut from it.

Batches are cut by place. Each entry of a gene file has its place, whatever becomes of it: one that cannot be taken
leaves its place empty. So the entries up to the end of a batch decide which genes it has, and more change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trainyard.splice.settings import ERROR_RANKED, SpliceSelectionSettings
from trainyard.yard.tables import Column, Role, TableContract

_KEY, _META, _NEVER = Role.KEY, Role.METADATA, Role.NEVER_A_FEATURE

GENE_FILE = "gene_file"
"""Value of POOL's `source` for genes that the gene file names; the others have `policy`."""

REQUESTED = TableContract(
    "splice_requested_genes",
    (
        Column("line", pa.int32(), _KEY, description="1-based line of the gene file", nullable=False),
        Column("entry", pa.string(), _KEY, description="the gene as the file names it", nullable=False),
        Column("gene_id", pa.string(), _META, description="gene that it stands for; null: none"),
        Column("matched_by", pa.string(), _META, description="gene_id, gene_id_version or gene_name; empty: no match"),
        Column("status", pa.string(), _META, description="taken, or the reason why not", nullable=False),
    ),
)
POOL = TableContract(
    "splice_pool",
    (
        Column("order", pa.int32(), _KEY, description="0-based place in the pool", nullable=False),
        Column("gene_id", pa.string(), _KEY, description="gene, without version", nullable=False),
        Column("gene_name", pa.string(), _META, description="symbol"),
        Column("gene_type", pa.string(), _META, description="biotype"),
        Column("chrom", pa.string(), _META, description="contig of the genome", nullable=False),
        Column("strand", pa.string(), _META, description="+ or -", nullable=False),
        Column("length", pa.int32(), _META, "nt", "length of the locus: what scoring costs", nullable=False),
        Column("n_sites", pa.int32(), _META, description="annotated donors and acceptors", nullable=False),
        Column("stratum", pa.string(), _META, description="stratum of the policy 'stratified'; empty: none"),
        Column("source", pa.string(), _META, description="gene_file or policy", nullable=False),
    ),
)
RANKING = TableContract(
    "splice_ranking",
    (
        Column("rank", pa.int32(), _KEY, description="0-based place in the dataset's order", nullable=False),
        Column("gene_id", pa.string(), _KEY, description="gene, without version", nullable=False),
        Column("reason", pa.string(), _META, description="gene_file, or the policy that chose it", nullable=False),
        Column("length", pa.int32(), _META, "nt", "length of the locus", nullable=False),
        Column("n_errors", pa.int32(), _NEVER, description="errors that the policy ranks by; null: does not rank"),
        Column("n_tp", pa.int32(), _NEVER, description="sites that the base model finds; null: not counted"),
        Column("n_fp", pa.int32(), _NEVER, description="positions called without being a site; null: not counted"),
        Column("n_fn", pa.int32(), _NEVER, description="sites that it misses; null: not counted"),
        Column("f1", pa.float64(), _NEVER, description="F1 of the base model; null: not counted, or no site, no call"),
    ),
)


def planned_genes(ranking: pa.Table, n_genes: int | None) -> pa.Table:
    """Genes that enter the dataset: those of the first places of the ranking.

    Args:
        ranking: Contract RANKING, or its column `rank` with others.
        n_genes: Number of places; None for all.
    """
    return _before(ranking, "rank", n_genes)


def scored_genes(pool: pa.Table, settings: SpliceSelectionSettings) -> pa.Table:
    """Genes, from the front of the pool, that the base model scores.

    A policy that ranks by errors has to see the whole pool (`pool` of the settings, but never less than the gene file
    names) before it can choose; all others score what they take.

    Args:
        pool: Contract POOL, or its columns `order` and `source` with others.
        settings: Selection.
    """
    if settings.policy not in ERROR_RANKED:
        return _before(pool, "order", settings.n_genes)
    listed = place_count(pool.filter(pc.equal(pool["source"], GENE_FILE)), "order")
    return _before(pool, "order", None if settings.pool is None else max(settings.pool, listed))


def place_count(table: pa.Table, column: str) -> int:
    """Number of places up to the last gene, empty ones too.

    Args:
        table: Genes of pool or ranking.
        column: Its column of places.
    """
    last = pc.max(table[column]).as_py()
    return 0 if last is None else int(last) + 1


def batch_count(places: int, batch_size: int) -> int:
    """Number of batches of so many places."""
    return -(-places // batch_size)


def batch_range(batch: int, *, batch_size: int, places: int) -> range:
    """Places, in pool or ranking, of a batch; empty past the last one.

    Args:
        batch: 1-based batch.
        batch_size: Places per batch.
        places: Places in all.

    Raises:
        ValueError: `batch < 1`.
    """
    if batch < 1:
        raise ValueError(f"batches are counted from 1, got {batch}")
    return range(min((batch - 1) * batch_size, places), min(batch * batch_size, places))


def pool_batch(pool: pa.Table, places: range) -> list[str]:
    """Genes that a score batch scores, in order.

    Args:
        pool: Contract POOL, in order.
        places: Places of the batch, see `batch_range`.
    """
    return _cut(pool, "order", places)


def ranking_batch(path: Path, places: range) -> list[str]:
    """Genes of a dataset batch, in order.

    Args:
        path: `plan/ranking.parquet`.
        places: Ranks of the batch, see `batch_range`.

    Raises:
        InputError: There is no such file.
        IntegrityError: It is no ranking.
    """
    return _cut(read_ranking(path, columns=["rank", "gene_id"]), "rank", places)


def read_pool(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read `plan/pool.parquet`, sorted by place; see `TableContract.read` for what is raised."""
    return POOL.read(path, columns=columns).sort_by("order")


def read_ranking(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read `plan/ranking.parquet`, sorted by rank; see `TableContract.read` for what is raised."""
    return RANKING.read(path, columns=columns).sort_by("rank")


def _before(table: pa.Table, column: str, places: int | None) -> pa.Table:
    return table if places is None else table.filter(pc.less(table[column], places))


def _cut(table: pa.Table, column: str, places: range) -> list[str]:
    inside = pc.and_(pc.greater_equal(table[column], places.start), pc.less(table[column], places.stop))
    found: list[str] = table.filter(inside)["gene_id"].to_pylist()
    return found
