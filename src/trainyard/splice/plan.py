"""The plan: which genes, in which order, in which batch.

Two tables, both independent of how many genes are asked for, so that asking for more only adds batches:

- the pool: every eligible gene in an order that depends on the gene and the dataset seed alone. Score batches are cut
  from it;
- the ranking: the order in which genes enter the dataset. It is the pool's order, except where genes are ranked by the
  errors of the base model, which needs the scores of the pool. Dataset batches are cut from it.
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


def planned_count(available: int, n_genes: int | None) -> int:
    """Number of genes that are taken from an order.

    Args:
        available: Genes in the order.
        n_genes: Number asked for; None for all.
    """
    return available if n_genes is None else min(available, n_genes)


def scored_count(pool: pa.Table, settings: SpliceSelectionSettings) -> int:
    """Number of genes, from the front of the pool, that the base model scores.

    A policy that ranks by errors has to see the whole pool (`pool` of the settings, but never less than the gene file
    names) before it can choose; all others score what they take.

    Args:
        pool: Contract POOL, or its column `source`.
        settings: Selection.
    """
    if settings.policy not in ERROR_RANKED:
        return planned_count(pool.num_rows, settings.n_genes)
    listed = int(pc.sum(pc.equal(pool["source"], GENE_FILE)).as_py() or 0)
    return planned_count(pool.num_rows, None if settings.pool is None else max(settings.pool, listed))


def batch_count(genes: int, batch_size: int) -> int:
    """Number of batches of so many genes."""
    return -(-genes // batch_size)


def batch_range(batch: int, *, batch_size: int, genes: int) -> range:
    """Places, in pool or ranking, of the genes of a batch; empty past the last gene.

    Args:
        batch: 1-based batch.
        batch_size: Genes per batch.
        genes: Genes taken in all, as `planned_count` or `scored_count` give.

    Raises:
        ValueError: `batch < 1`.
    """
    if batch < 1:
        raise ValueError(f"batches are counted from 1, got {batch}")
    return range(min((batch - 1) * batch_size, genes), min(batch * batch_size, genes))


def pool_batch(path: Path, batch: int, settings: SpliceSelectionSettings) -> list[str]:
    """Genes that score batch `batch` (1-based) scores, in order.

    Raises:
        InputError: There is no such file.
        IntegrityError: It is no pool.
    """
    pool = read_pool(path, columns=["order", "gene_id", "source"])
    return _cut(pool, batch, settings.batch_size, scored_count(pool, settings))


def ranking_batch(path: Path, batch: int, settings: SpliceSelectionSettings) -> list[str]:
    """Genes of dataset batch `batch` (1-based), in order.

    Raises:
        InputError: There is no such file.
        IntegrityError: It is no ranking.
    """
    ranking = read_ranking(path, columns=["rank", "gene_id"])
    return _cut(ranking, batch, settings.batch_size, planned_count(ranking.num_rows, settings.n_genes))


def read_pool(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read `plan/pool.parquet`, sorted by place; see `TableContract.read` for what is raised."""
    return POOL.read(path, columns=columns).sort_by("order")


def read_ranking(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read `plan/ranking.parquet`, sorted by rank; see `TableContract.read` for what is raised."""
    return RANKING.read(path, columns=columns).sort_by("rank")


def _cut(table: pa.Table, batch: int, batch_size: int, genes: int) -> list[str]:
    places = batch_range(batch, batch_size=batch_size, genes=genes)
    found: list[str] = table["gene_id"].slice(places.start, len(places)).to_pylist()
    return found
