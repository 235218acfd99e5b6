"""Which genes, in which order: every policy, and that more genes only lengthen what was there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from gene_tables import gene, gene_table
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.genelist import Entry
from trainyard.splice.plan import RANKING, REQUESTED, read_pool, read_ranking
from trainyard.splice.planfiles import write_pool, write_ranking
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import GENES
from trainyard.splice.selection import POOL_ERRORS, Pool, Ranking, length_class, make_pool, rank_pool, site_class
from trainyard.splice.settings import SpliceSelectionSettings
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.ledger import Ledger

NAMES = [f"g{i:02d}" for i in range(40)]


def chosen(policy: str = "random", **values: Any) -> SpliceSelectionSettings:
    if policy == "custom":
        values.setdefault("gene_file", "genes.txt")
    return SpliceSelectionSettings(policy=policy, **values)  # type: ignore[arg-type]


def pool_of(genes: pa.Table, selection: SpliceSelectionSettings, *listed: str) -> Pool:
    return make_pool(genes, selection, entries=[Entry(i, g) for i, g in enumerate(listed, start=1)] or None)


def ids(found: Pool | Ranking) -> list[str]:
    names: list[str] = found.table["gene_id"].to_pylist()
    return names


def errors(**counts: tuple[int, int, int]) -> pa.Table:
    """Contract POOL_ERRORS of TP, FP, FN by gene."""
    return POOL_ERRORS.table(
        [
            {"gene_id": name, "n_tp": tp, "n_fp": fp, "n_fn": fn, "n_errors": fp + fn}
            for name, (tp, fp, fn) in counts.items()
        ]
    )


def test_random_order_depends_on_seed_and_gene_alone() -> None:
    order = ids(pool_of(gene_table(*NAMES), chosen()))
    assert sorted(order) == NAMES
    assert order != NAMES
    assert ids(pool_of(gene_table(*reversed(NAMES)), chosen())) == order
    fewer = ids(pool_of(gene_table(*NAMES[:25]), chosen()))
    assert fewer == [name for name in order if name in NAMES[:25]]
    assert ids(pool_of(gene_table(*NAMES), chosen(seed=43))) != order


def test_all_is_the_random_order_to_its_end() -> None:
    genes = gene_table(*NAMES)
    assert ids(pool_of(genes, chosen("all"))) == ids(pool_of(genes, chosen("random")))


@pytest.mark.parametrize("policy", ["random", "stratified", "all", "error_total", "custom"])
def test_pool_and_ranking_do_not_know_how_many_genes_are_asked_for(policy: str) -> None:
    genes = gene_table(*NAMES)
    tables = []
    for n_genes, batch_size in ((None, 250), (3, 2), (39, 7)):
        selection = chosen(policy, n_genes=n_genes, batch_size=batch_size)
        pool = pool_of(genes, selection, "g07", "g01")
        counts = errors(**{name: (1, i % 5, 0) for i, name in enumerate(NAMES) if name in ids(pool)})
        tables.append((pool.table, rank_pool(pool.table, selection, errors=counts).table))
    assert tables[0] == tables[1] == tables[2]


def test_gene_types_and_sites_say_what_the_policy_may_choose_and_all_others_are_counted() -> None:
    genes = gene_table(
        gene("a"), gene("b", gene_type="lncRNA"), gene("c", gene_type="miRNA"), gene("d", n_donors=0, n_acceptors=0)
    )
    pool = pool_of(genes, chosen(gene_types="protein_coding, lncRNA"))
    assert sorted(ids(pool)) == ["a", "b"]
    assert pool.ledger.rejected("gene", Reason.TYPE_NOT_KEPT) == 1
    assert pool.ledger.rejected("gene", Reason.TOO_FEW_SITES) == 1
    assert pool.ledger.kept("gene") == 2
    with pytest.raises(InputError, match=r"none of 4 genes .* gene_types snRNA and min_sites 1"):
        pool_of(genes, chosen(gene_types=["snRNA"]))


def test_custom_is_the_gene_file_in_its_order_whatever_the_filters() -> None:
    genes = gene_table(gene("a"), gene("b", gene_type="miRNA", n_donors=0, n_acceptors=0, gene_name="BEE"), gene("c"))
    pool = pool_of(genes, chosen("custom", gene_types=["protein_coding"]), "c", "BEE", "c")
    assert ids(pool) == ["c", "b"]
    assert pool.requested["status"].to_pylist() == ["taken", "taken", Reason.REPEATED_GENE]
    assert pool.ledger.rejected("requested_gene", Reason.REPEATED_GENE) == 1
    assert pool.ledger.rejected("gene", Reason.NOT_CHOSEN) == 1
    assert rank_pool(pool.table, chosen("custom")).table["reason"].to_pylist() == ["gene_file", "gene_file"]


def test_custom_without_a_list_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"set selection.gene_file"):
        make_pool(gene_table("a"), chosen("custom"))


@pytest.mark.parametrize("policy", ["random", "stratified", "all", "error_total", "hard"])
def test_a_gene_file_comes_first_and_the_policy_fills_up(policy: str) -> None:
    selection = chosen(policy)
    pool = pool_of(gene_table(*NAMES), selection, "g31", "g05")
    assert ids(pool)[:2] == ["g31", "g05"]
    assert sorted(ids(pool)) == NAMES
    counts = errors(**{name: (0, i, 1) for i, name in enumerate(NAMES)})
    ranking = rank_pool(pool.table, selection, errors=counts)
    assert ids(ranking)[:2] == ["g31", "g05"]
    assert sorted(ids(ranking)) == NAMES
    assert ranking.table["reason"].to_pylist() == ["gene_file"] * 2 + [policy] * 38


def test_a_listed_gene_that_fails_stops_the_plan_unless_allowed() -> None:
    with pytest.raises(InputError, match=r"genes.txt: 1 of 2 genes .* zz \(not_in_annotation\)"):
        pool_of(gene_table("a"), chosen("custom"), "a", "zz")
    pool = pool_of(gene_table("a"), chosen("custom", max_failed_genes=0.5), "a", "zz")
    assert pool.requested["status"].to_pylist() == ["taken", Reason.NOT_IN_ANNOTATION]
    with pytest.raises(InputError, match="none of its genes can be taken"):
        pool_of(gene_table("a"), chosen("custom", max_failed_genes=1.0), "zz")


def test_every_prefix_of_the_stratified_order_holds_the_strata_in_proportion() -> None:
    rows = [gene(f"s{i:03d}", gene_type="protein_coding") for i in range(90)]
    rows += [gene(f"r{i:03d}", gene_type="lncRNA", length=60_000) for i in range(30)]
    pool = pool_of(gene_table(*rows), chosen("stratified"))
    assert set(pool.table["stratum"].to_pylist()) == {"very_short|protein_coding", "very_long|lncRNA"}
    strata = pool.table["stratum"].to_pylist()
    for n in range(1, 121):
        assert abs(Counter(strata[:n])["very_long|lncRNA"] - n / 4) <= 1


@given(st.lists(st.sampled_from(["1", "2", "X"]), min_size=1, max_size=60))
@settings(deadline=None, max_examples=30)
def test_stratified_order_holds_every_gene_once(chroms: list[str]) -> None:
    genes = gene_table(*(gene(f"g{i:02d}", chrom=chrom, n_donors=i) for i, chrom in enumerate(chroms)))
    pool = pool_of(genes, chosen("stratified", strata=["chrom", "n_sites"]))
    assert sorted(ids(pool)) == sorted(genes["gene_id"].to_pylist())
    assert pool.table["order"].to_pylist() == list(range(len(chroms)))


def test_classes_have_the_published_edges() -> None:
    edges = {4_999: "very_short", 5_000: "short", 10_000: "medium", 20_000: "long", 50_000: "very_long"}
    assert {length: length_class(length) for length in edges} == edges
    assert [site_class(n) for n in (0, 1, 3, 4, 9, 10, 49, 50)] == [
        *("0", "1-3", "1-3", "4-9", "4-9", "10-19", "20-49", "50+")
    ]


def test_error_policies_rank_by_their_errors_and_leave_out_genes_without() -> None:
    genes = gene_table(*"abcde")
    counts = errors(a=(9, 0, 0), b=(5, 4, 1), c=(5, 0, 6), d=(5, 5, 0), e=(1, 1, 1))
    for policy, order in (("error_total", "cbde"), ("error_fp", "dbe"), ("error_fn", "c")):
        selection = chosen(policy)
        ranking = rank_pool(pool_of(genes, selection).table, selection, errors=counts)
        found = ids(ranking)
        tied = ("b", "d") if policy == "error_total" else ("b", "e")
        if policy == "error_total":
            assert (found[0], set(found[1:3]), found[3]) == ("c", set(tied), "e")
        else:
            assert "".join(found[: len(order)]) == order
        assert ranking.ledger.rejected("ranked_gene", Reason.NO_ERRORS) == 5 - len(found)
        assert "a" not in found


def test_ties_keep_the_order_of_the_pool() -> None:
    selection = chosen("error_total")
    pool = pool_of(gene_table(*NAMES), selection)
    ranking = rank_pool(pool.table, selection, errors=errors(**dict.fromkeys(NAMES, (0, 1, 0))))
    assert ids(ranking) == ids(pool)


def test_hard_takes_genes_with_f1_of_at_most_one_half_by_false_positives() -> None:
    selection = chosen("hard")
    pool = pool_of(gene_table(*"abcde"), selection)
    counts = errors(a=(1, 2, 0), b=(1, 1, 1), c=(2, 1, 1), d=(0, 0, 3), e=(0, 0, 0))
    ranking = rank_pool(pool.table, selection, errors=counts)
    assert ids(ranking) == ["a", "b", "d"]
    assert ranking.table["f1"].to_pylist() == [0.5, 0.5, 0.0]
    assert ranking.ledger.rejected("ranked_gene", Reason.NOT_HARD) == 2


def test_only_the_front_of_the_pool_is_ranked_where_it_is_limited() -> None:
    selection = chosen("error_total", pool=3)
    pool = pool_of(gene_table(*NAMES), selection, "g11")
    front = ids(pool)[:3]
    counts = errors(**{name: (0, i + 1, 0) for i, name in enumerate(front)})
    ranking = rank_pool(pool.table, selection, errors=counts)
    assert ids(ranking) == [front[0], front[2], front[1]]
    assert ranking.ledger.rejected("ranked_gene", Reason.NOT_CHOSEN) == 37


def test_a_gene_without_scores_is_left_out_unless_it_was_asked_for() -> None:
    selection = chosen("error_total")
    pool = pool_of(gene_table(*"abc"), selection, "b")
    ranking = rank_pool(pool.table, selection, errors=errors(c=(0, 1, 0)))
    assert ids(ranking) == ["b", "c"]
    assert ranking.table["n_errors"].to_pylist() == [None, 1]
    assert ranking.ledger.rejected("ranked_gene", Reason.NO_SCORES) == 1


def test_error_policies_refuse_to_guess() -> None:
    selection = chosen("error_fn")
    pool = pool_of(gene_table(*"ab"), selection).table
    with pytest.raises(ConfigError, match="score the pool first"):
        rank_pool(pool, selection)
    with pytest.raises(InputError, match=r"finds no gene among 2: 1 have no error to rank by, 0 .* 1 no scores"):
        rank_pool(pool, selection, errors=errors(a=(1, 1, 0)))
    with pytest.raises(IntegrityError, match="1 were not to be scored, first z"):
        rank_pool(pool, selection, errors=errors(z=(1, 1, 0)))


def test_the_plan_is_written_as_files_that_read_back(tmp_path: Path) -> None:
    reference, plan = tmp_path / "reference", tmp_path / "plan"
    GENES.write(reference / "genes.parquet", gene_table(gene("a", gene_name="AY"), "b", "c"))
    left_out = Ledger("splice", Reason)
    left_out.expect("gene")
    left_out.reject("gene", "z", Reason.CONTIG_NOT_IN_GENOME)
    write_json(reference / "ledger.json", left_out.to_dict())
    listed = tmp_path / "genes.txt"
    listed.write_text("AY\nz\n")
    selection = chosen("error_total", gene_file=listed, max_failed_genes=0.5)
    write_pool(reference, plan, selection)
    POOL_ERRORS.write(plan / "errors.parquet", errors(a=(1, 0, 0), b=(1, 1, 0), c=(1, 2, 0)))
    write_ranking(plan, selection, errors=plan / "errors.parquet")
    assert read_pool(plan / "pool.parquet")["gene_id"][0].as_py() == "a"
    assert read_ranking(plan / "ranking.parquet")["gene_id"].to_pylist() == ["a", "c", "b"]
    assert REQUESTED.read(plan / "requested.parquet")["status"].to_pylist() == ["taken", Reason.CONTIG_NOT_IN_GENOME]
    ledger = Ledger.from_dict(read_json(plan / "ledger.json"), Reason)
    ledger.check()
    assert ledger.kinds == ["gene", "ranked_gene", "requested_gene"]
    assert RANKING.read(plan / "ranking.parquet")["n_fp"].to_pylist() == [0, 2, 1]
