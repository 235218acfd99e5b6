"""Batches are cut from orders that the number of genes does not touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from gene_tables import gene_table
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.plan import (
    POOL,
    RANKING,
    batch_count,
    batch_range,
    planned_count,
    pool_batch,
    ranking_batch,
    scored_count,
)
from trainyard.splice.selection import make_pool, rank_pool
from trainyard.splice.settings import SpliceSelectionSettings


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 60), st.integers(1, 12))
@settings(deadline=None)
def test_more_genes_add_batches_complete_the_last_and_move_none(
    available: int, n_genes: int, more: int, batch_size: int
) -> None:
    few, many = planned_count(available, n_genes), planned_count(available, n_genes + more)
    ranges = [batch_range(b, batch_size=batch_size, genes=few) for b in range(1, batch_count(few, batch_size) + 1)]
    assert [place for places in ranges for place in places] == list(range(few))
    for batch, places in enumerate(ranges, start=1):
        grown = batch_range(batch, batch_size=batch_size, genes=many)
        assert grown == places if batch < len(ranges) else list(grown)[: len(places)] == list(places)


def test_batches_past_the_last_gene_are_empty_and_batch_zero_does_not_exist() -> None:
    assert list(batch_range(3, batch_size=2, genes=4)) == []
    assert list(batch_range(9, batch_size=2, genes=0)) == []
    with pytest.raises(ValueError, match="from 1"):
        batch_range(0, batch_size=2, genes=4)


def test_batches_are_read_from_the_files_in_their_order(tmp_path: Path) -> None:
    chosen = SpliceSelectionSettings(batch_size=2, n_genes=3)
    pool = make_pool(gene_table("a", "b", "c", "d"), chosen).table
    ranking = rank_pool(pool, chosen).table
    POOL.write(tmp_path / "pool.parquet", pool.take([2, 0, 3, 1]))
    RANKING.write(tmp_path / "ranking.parquet", ranking.take([3, 2, 1, 0]))
    order = pool["gene_id"].to_pylist()
    for path, cut in ((tmp_path / "pool.parquet", pool_batch), (tmp_path / "ranking.parquet", ranking_batch)):
        assert [cut(path, batch, chosen) for batch in (1, 2, 3)] == [order[:2], order[2:3], []]


def test_a_policy_that_ranks_by_errors_has_its_whole_pool_scored() -> None:
    genes = gene_table(*"abcdef")
    for policy, pool, scored in (("random", None, 2), ("error_fp", None, 6), ("hard", 4, 4), ("all", 4, 2)):
        chosen = SpliceSelectionSettings(policy=policy, pool=pool, n_genes=2)  # type: ignore[arg-type]
        assert scored_count(make_pool(genes, chosen).table, chosen) == scored
