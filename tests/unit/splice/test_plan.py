"""Batches are cut from orders that the number of genes does not touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from gene_tables import gene_table
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.genelist import Entry
from trainyard.splice.plan import (
    POOL,
    RANKING,
    batch_count,
    batch_range,
    place_count,
    planned_genes,
    pool_batch,
    ranking_batch,
    read_pool,
    scored_genes,
)
from trainyard.splice.selection import make_pool, rank_pool
from trainyard.splice.settings import SpliceSelectionSettings


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 12))
@settings(deadline=None)
def test_more_genes_add_batches_complete_the_last_and_move_none(few: int, more: int, batch_size: int) -> None:
    ranges = [batch_range(b, batch_size=batch_size, places=few) for b in range(1, batch_count(few, batch_size) + 1)]
    assert [place for places in ranges for place in places] == list(range(few))
    for batch, places in enumerate(ranges, start=1):
        grown = batch_range(batch, batch_size=batch_size, places=few + more)
        assert grown == places if batch < len(ranges) else list(grown)[: len(places)] == list(places)


def test_batches_past_the_last_gene_are_empty_and_batch_zero_does_not_exist() -> None:
    assert list(batch_range(3, batch_size=2, places=4)) == []
    assert list(batch_range(9, batch_size=2, places=0)) == []
    with pytest.raises(ValueError, match="from 1"):
        batch_range(0, batch_size=2, places=4)


def test_batches_are_read_from_the_files_in_their_order(tmp_path: Path) -> None:
    chosen = SpliceSelectionSettings()
    pool = make_pool(gene_table("a", "b", "c", "d"), chosen).table
    ranking = rank_pool(pool, chosen).table
    POOL.write(tmp_path / "pool.parquet", pool.take([2, 0, 3, 1]))
    read = read_pool(tmp_path / "pool.parquet")
    RANKING.write(tmp_path / "ranking.parquet", ranking.take([3, 2, 1, 0]))
    order = pool["gene_id"].to_pylist()
    for ends, genes in (((0, 2), order[:2]), ((2, 3), order[2:3]), ((4, 4), [])):
        assert pool_batch(read, range(*ends)) == genes
        assert ranking_batch(tmp_path / "ranking.parquet", range(*ends)) == genes


def test_batches_are_cut_by_place_and_an_entry_that_cannot_be_taken_leaves_its_place_empty(tmp_path: Path) -> None:
    chosen = SpliceSelectionSettings(gene_file=Path("genes.txt"), max_failed_genes=0.5)
    entries = [Entry(i, text) for i, text in enumerate(["c", "", "zz", "c.1", "c", "a"], start=1)]
    pool = make_pool(gene_table("a", "b", "c", "d"), chosen, entries=entries).table
    # c; zz is unknown; c.1 is c again; a; then the policy. The empty entry and the second c have no place.
    assert pool["order"].to_pylist() == [0, 3, 4, 5]
    assert pool["gene_id"].to_pylist()[:2] == ["c", "a"]
    ranking = rank_pool(pool, chosen).table
    assert ranking["rank"].to_pylist() == [0, 3, 4, 5]
    RANKING.write(tmp_path / "ranking.parquet", ranking)
    assert [ranking_batch(tmp_path / "ranking.parquet", range(*ends)) for ends in ((0, 3), (3, 4))] == [["c"], ["a"]]
    assert planned_genes(ranking, 4)["gene_id"].to_pylist() == ["c", "a"]
    assert (place_count(ranking, "rank"), place_count(planned_genes(ranking, 3), "rank")) == (6, 1)
    assert place_count(ranking.slice(0, 0), "rank") == 0


def test_a_policy_that_ranks_by_errors_has_its_whole_pool_scored() -> None:
    genes = gene_table(*"abcdef")
    for policy, pool, scored in (("random", None, 2), ("error_fp", None, 6), ("hard", 4, 4), ("all", 4, 2)):
        chosen = SpliceSelectionSettings(policy=policy, pool=pool, n_genes=2)  # type: ignore[arg-type]
        assert scored_genes(make_pool(genes, chosen).table, chosen).num_rows == scored


def test_all_that_a_gene_file_names_is_scored_however_small_the_pool() -> None:
    chosen = SpliceSelectionSettings(policy="hard", pool=2, gene_file=Path("genes.txt"), max_failed_genes=0.5)
    entries = [Entry(i, text) for i, text in enumerate(["c", "zz", "a"], start=1)]
    pool = make_pool(gene_table(*"abcdef"), chosen, entries=entries).table
    assert scored_genes(pool, chosen)["gene_id"].to_pylist() == ["c", "a"]
