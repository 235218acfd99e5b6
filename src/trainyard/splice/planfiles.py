"""The files of the plan: pool, ranking, what the gene file asked for, and the ledger of it all."""

from __future__ import annotations

import logging
from pathlib import Path

from trainyard.splice.dialects import PAR_Y
from trainyard.splice.genelist import read_gene_file
from trainyard.splice.plan import POOL, RANKING, REQUESTED, read_pool
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import GENES
from trainyard.splice.selection import POOL_ERRORS, Pool, Ranking, make_pool, rank_pool
from trainyard.splice.settings import SpliceSelectionSettings
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger

POOL_FILE, RANKING_FILE = "pool.parquet", "ranking.parquet"
REQUESTED_FILE, ERRORS_FILE = "requested.parquet", "errors.parquet"
POOL_LEDGER, LEDGER = "pool_ledger.json", "ledger.json"


def write_pool(reference: Path, out: Path, settings: SpliceSelectionSettings) -> Pool:
    """Make the pool and write `requested.parquet`, `pool_ledger.json` and, last, `pool.parquet`.

    Args:
        reference: Folder of the reference tables.
        out: Folder of the plan.
        settings: Selection; `n_genes` and `batch_size` play no part.

    Raises:
        ConfigError, InputError, IntegrityError: See `plan_pool`.
    """
    pool = plan_pool(reference, settings)
    copies = sum(gene.endswith(PAR_Y) for gene in pool.table["gene_id"].to_pylist())
    if copies:
        logging.warning("%d genes of the pool are copies (%s) of genes on X, with the same bases", copies, PAR_Y)
    REQUESTED.write(out / REQUESTED_FILE, pool.requested)
    write_json(out / POOL_LEDGER, pool.ledger.to_dict())
    POOL.write(out / POOL_FILE, pool.table)
    return pool


def plan_pool(reference: Path, settings: SpliceSelectionSettings) -> Pool:
    """Make the pool; it takes seconds, and is the same wherever it is made.

    Args:
        reference: Folder of the reference tables.
        settings: Selection; `n_genes` and `batch_size` play no part.

    Raises:
        ConfigError, InputError: See `make_pool` and `read_gene_file`.
        IntegrityError: The reference tables are broken.
    """
    named = settings.gene_file
    entries = None if named is None else read_gene_file(named, gene_col=settings.gene_col)
    genes = GENES.read(reference / "genes.parquet")
    return make_pool(genes, settings, entries=entries, rejected=rejected_genes(reference / "ledger.json"))


def write_ranking(plan: Path, settings: SpliceSelectionSettings, *, errors: Path | None = None) -> Ranking:
    """Rank the pool and write `ledger.json` and, last, `ranking.parquet`.

    Args:
        plan: Folder of the plan, with the pool.
        settings: Selection; `n_genes` and `batch_size` play no part.
        errors: File of the contract POOL_ERRORS, for policies that rank by errors.

    Raises:
        ConfigError, InputError, IntegrityError: See `rank_pool`.
    """
    counts = None if errors is None else POOL_ERRORS.read(errors)
    ranking = rank_pool(read_pool(plan / POOL_FILE), settings, errors=counts)
    ledger = Ledger.merge([Ledger.from_dict(read_json(plan / POOL_LEDGER), Reason), ranking.ledger])
    write_json(plan / LEDGER, ledger.to_dict())
    RANKING.write(plan / RANKING_FILE, ranking.table)
    return ranking


def rejected_genes(ledger: Path) -> dict[str, Reason]:
    """Genes that the reference tables left out, as far as their ledger names them, with the reason."""
    if not ledger.is_file():
        return {}
    rows = Ledger.from_dict(read_json(ledger), Reason).rejections
    return {row["item"]: Reason(row["reason"]) for row in rows if row["kind"] == "gene"}
