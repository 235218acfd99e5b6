"""Splits: clusters stay together, contigs that the base model saw stay out, and a larger build moves no gene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.reasons import Reason
from trainyard.splice.schema import GENES
from trainyard.splice.settings import SpliceSplitSettings
from trainyard.splice.split import (
    SPLIT,
    SPLITS,
    assign,
    bare_contig,
    check_filled,
    check_untorn,
    read_families,
    write_split,
)
from trainyard.yard.errors import ConfigError, InputError, LeakageError
from trainyard.yard.files import write_text
from workflow_scripts import splice_split

HELD_OUT = ("1", "3", "5", "7", "9")


def genes(*rows: tuple[str, str, str]) -> pa.Table:
    """Gene, contig and locus cluster."""
    types = {"gene_id": pa.string(), "chrom": pa.string(), "locus_cluster": pa.string()}
    return pa.table(
        {
            name: pa.array(list(column), kind)
            for (name, kind), column in zip(types.items(), zip(*rows, strict=True), strict=True)
        }
    )


def many(n: int, *, contigs: tuple[str, ...] = ("chr1", "chr2", "chr3"), per_cluster: int = 2) -> pa.Table:
    return genes(
        *((f"G{i:04d}", contigs[i // per_cluster % len(contigs)], f"G{i // per_cluster * per_cluster:04d}")
          for i in range(n))
    )  # fmt: skip


def split_of(table: pa.Table) -> dict[str, str]:
    return dict(zip(table["gene_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_genes_on_contigs_that_the_base_model_saw_are_in_no_split_and_the_reason_is_told():
    rows = assign(many(300), SpliceSplitSettings(), held_out=HELD_OUT).to_pylist()
    for row in rows:
        seen = row["chrom"] == "chr2"
        assert (row["split"] == "none") is seen
        assert row["reason"] == (Reason.SEEN_BY_BASE_MODEL if seen else None)
    assert {row["split"] for row in rows} == {*SPLITS, "none"}


def test_genes_of_a_cluster_share_a_split():
    rows = assign(many(300, per_cluster=3), SpliceSplitSettings(rule="group"), held_out=()).to_pylist()
    by_cluster: dict[str, set[str]] = {}
    for row in rows:
        by_cluster.setdefault(row["locus_cluster"], set()).add(row["split"])
    assert all(len(found) == 1 for found in by_cluster.values())


def test_shares_are_those_of_the_settings():
    table = assign(many(4000, per_cluster=1), SpliceSplitSettings(rule="group", train=0.6, val=0.3), held_out=())
    splits = table["split"].to_pylist()
    for split, share in (("train", 0.6), ("val", 0.3), ("test", 0.1)):
        assert splits.count(split) / 4000 == pytest.approx(share, abs=0.03)


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from(["base_heldout", "group"]))
@settings(deadline=None, max_examples=30)
def test_more_genes_move_none(few, more, rule):
    chosen = SpliceSplitSettings(rule=rule)
    one, other = (split_of(assign(many(2 * n), chosen, held_out=HELD_OUT)) for n in (few, few + more))
    assert one.items() <= other.items()


def test_another_salt_draws_another_split():
    one, other = (
        split_of(assign(many(200), SpliceSplitSettings(rule="group", salt=salt), held_out=())) for salt in ("a", "b")
    )
    assert one != other


def test_the_order_of_the_gene_table_does_not_matter():
    table = many(50)
    turned = table.take(pa.array(range(49, -1, -1)))
    assert assign(table, SpliceSplitSettings(), held_out=HELD_OUT).equals(
        assign(turned, SpliceSplitSettings(), held_out=HELD_OUT)
    )


def test_contigs_are_compared_without_chr():
    for name in ("1", "chr1", "Chr1", "CHR1"):
        assert bare_contig(name) == "1"
    plain = assign(many(100, contigs=("1", "2")), SpliceSplitSettings(), held_out=["chr1"])
    prefixed = assign(many(100, contigs=("chr1", "chr2")), SpliceSplitSettings(), held_out=["1"])
    assert split_of(plain) == split_of(prefixed)


def test_chromosome_lists_decide_and_other_contigs_stay_out():
    chosen = SpliceSplitSettings(rule="chromosome", train_contigs=["1"], val_contigs=["chr2"], test_contigs=["3"])
    rows = assign(many(40, contigs=("chr1", "chr2", "chr3", "chrX")), chosen, held_out=()).to_pylist()
    wanted = {"chr1": "train", "chr2": "val", "chr3": "test", "chrX": "none"}
    assert all(row["split"] == wanted[row["chrom"]] for row in rows)
    assert {row["reason"] for row in rows if row["chrom"] == "chrX"} == {Reason.CONTIG_IN_NO_SPLIT}


def test_clusters_with_genes_of_one_family_go_together_over_any_number_of_steps():
    table = genes(("A", "1", "A"), ("B", "3", "B"), ("C", "5", "C"), ("D", "7", "D"), ("E", "9", "E"))
    families = [("D", "f"), ("B", "f"), ("B", "g"), ("A", "g"), ("not there", "g")]
    rows = assign(table, SpliceSplitSettings(), held_out=HELD_OUT, families=families).to_pylist()
    group = {row["gene_id"]: row["split_group"] for row in rows}
    assert group == {"A": "A", "B": "A", "C": "C", "D": "A", "E": "E"}
    assert len({row["split"] for row in rows if row["split_group"] == "A"}) == 1


@pytest.mark.parametrize("families", [[], [("X07_PAR_Y", "X03"), ("A", "X03")]], ids=["alone", "with a group table"])
def test_copies_on_y_go_with_their_genes_on_x(families):
    ids = [f"X{i:02d}" for i in range(40)]
    table = genes(*((i, "chrX", i) for i in ids), *((f"{i}_PAR_Y", "chrY", f"{i}_PAR_Y") for i in ids), ("A", "1", "A"))
    table = assign(table, SpliceSplitSettings(rule="group"), held_out=(), families=families)
    split = split_of(table)
    assert {split[i] for i in ids} == set(SPLITS)
    assert all(split[i] == split[f"{i}_PAR_Y"] for i in ids)
    group = dict(zip(table["gene_id"].to_pylist(), table["split_group"].to_pylist(), strict=True))
    joined = {"X07": "A", "X07_PAR_Y": "A"} if families else {}
    assert group == {"A": "A"} | {name: name[:3] for name in group if name != "A"} | joined


def test_copies_on_y_without_their_genes_on_x_are_drawn_for_themselves():
    table = assign(genes(("B_PAR_Y", "chrY", "B_PAR_Y")), SpliceSplitSettings(rule="group"), held_out=())
    assert table["split_group"].to_pylist() == ["B_PAR_Y"]


def test_contig_lists_that_part_copies_from_their_genes_are_refused_and_others_are_not():
    table = genes(("B", "chrX", "B"), ("B_PAR_Y", "chrY", "B_PAR_Y"), ("C", "1", "C"))
    parted = SpliceSplitSettings(rule="chromosome", train_contigs=["X", "1"], test_contigs=["Y"])
    with pytest.raises(LeakageError, match=r"first that of B, .*chrX, chrY.*copies on Y"):
        assign(table, parted, held_out=())
    for train, test in ((["1"], ["X", "Y"]), (["1"], ["X"])):
        listed = SpliceSplitSettings(rule="chromosome", train_contigs=train, test_contigs=test)
        assert split_of(assign(table, listed, held_out=()))["B"] == "test"


def test_a_family_on_contigs_of_two_splits_is_refused():
    table = genes(("A", "chr1", "A"), ("B", "chr2", "B"))
    chosen = SpliceSplitSettings(rule="chromosome", train_contigs=["1"], test_contigs=["2"])
    with pytest.raises(LeakageError, match=r"train.*chr1, chr2.*group_table"):
        assign(table, chosen, held_out=(), families=[("A", "f"), ("B", "f")])


def test_a_torn_cluster_is_refused():
    rows = [
        {"gene_id": gene, "chrom": "1", "locus_cluster": "A", "split_group": "A", "split": split}
        for gene, split in (("A", "train"), ("B", "test"))
    ]
    with pytest.raises(LeakageError, match="first that of A"):
        check_untorn(SPLIT.table(rows))


def test_a_contig_in_two_lists_is_refused():
    chosen = SpliceSplitSettings(rule="chromosome", train_contigs=["1"], test_contigs=["chr1"])
    with pytest.raises(ConfigError, match="chr1 is listed for train and for test"):
        assign(many(10), chosen, held_out=())


def test_a_contig_both_seen_and_held_out_is_refused():
    with pytest.raises(ConfigError, match="3"):
        assign(many(10), SpliceSplitSettings(), held_out=["1", "chr3"], trained_on=["2", "3"])


def test_an_annotation_without_any_held_out_contig_says_what_to_name():
    with pytest.raises(ConfigError, match=r"lie on 22, .*held_out_contigs.*1, 3, 5, 7, 9"):
        assign(many(10, contigs=("chr22",)), SpliceSplitSettings(), held_out=HELD_OUT)


def test_an_empty_split_says_what_to_change():
    table = assign(many(300), SpliceSplitSettings(), held_out=HELD_OUT)
    train = [gene for gene, split in split_of(table).items() if split == "train"]
    with pytest.raises(ConfigError, match=r"val and test would be empty.*n_genes.*held_out_contigs"):
        check_filled(table, train[:3], SpliceSplitSettings())
    counts = check_filled(table, split_of(table), SpliceSplitSettings())
    assert sum(counts.values()) == 300


def test_val_may_be_empty_where_it_has_no_share():
    chosen = SpliceSplitSettings(rule="group", train=0.5, val=0)
    table = assign(many(40), chosen, held_out=())
    assert check_filled(table, split_of(table), chosen)["val"] == 0


def test_a_group_table_takes_ids_with_versions(tmp_path):
    table = genes(("ENSG00000000001", "1", "a"), ("ENSG00000000002", "1", "b"))
    path = tmp_path / "groups.csv"
    write_text(path, "gene_id,group\nENSG00000000001.4,f\nENSG00000000002,f\nENSG00000000009,f\n")
    assert read_families(path, table) == [("ENSG00000000001", "f"), ("ENSG00000000002", "f")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("gene,group\nA,f\n", "no column gene_id"), ("gene_id,group\nZ,f\n", "none of its genes"), (None, "no such file")],
)
def test_a_bad_group_table_says_what_is_wrong(text, words, tmp_path):
    path = tmp_path / "groups.csv"
    if text is not None:
        write_text(path, text)
    with pytest.raises(InputError, match=words):
        read_families(path, many(4))


def full_genes(table: pa.Table) -> pa.Table:
    """The table under the contract GENES."""
    blank: dict[str, Any] = {
        c.name: "" if pa.types.is_string(c.type) else 0 for c in GENES.columns if c.name not in table.column_names
    }
    return GENES.table([{**blank, **row} for row in table.to_pylist()])


def test_the_command_writes_the_same_bytes_whatever_the_build_takes(tmp_path):
    from trainyard.splice.plan import RANKING

    table = many(120)
    GENES.write(tmp_path / "genes.parquet", full_genes(table))
    rows = [
        {"rank": i, "gene_id": gene, "reason": "random", "length": 10}
        for i, gene in enumerate(table["gene_id"].to_pylist())
    ]
    RANKING.write(tmp_path / "ranking.parquet", RANKING.table(rows))
    written = []
    for n in (90, 120):
        out = tmp_path / f"{n}.parquet"
        common = ["--genes", str(tmp_path / "genes.parquet"), "--ranking", str(tmp_path / "ranking.parquet")]
        chosen = ["--n-genes", str(n), "--settings", "{}", "--held-out", *HELD_OUT, "--out", str(out)]
        splice_split.main([*common, *chosen])
        written.append(out.read_bytes())
    assert written[0] == written[1]
    assert SPLIT.read(tmp_path / "90.parquet").num_rows == 120


def test_a_group_table_of_the_settings_is_read(tmp_path):
    path: Path = tmp_path / "groups.csv"
    write_text(path, "gene_id,group\n" + "".join(f"G{i:04d},one\n" for i in range(60)))
    settings = SpliceSplitSettings(rule="group", group_table=path)
    with pytest.raises(ConfigError, match="would be empty"):
        write_split(many(60), tmp_path / "split.parquet", settings, held_out=(), planned=["G0000"])
    assert not (tmp_path / "split.parquet").exists()


@pytest.mark.parametrize("contigs", [("chr22",), ("chr1", "chr2")])
def test_a_build_without_training_is_only_warned_of_empty_splits(contigs, tmp_path, caplog):
    table, out = many(6, contigs=contigs), tmp_path / "split.parquet"
    counts = write_split(table, out, SpliceSplitSettings(), held_out=HELD_OUT, planned=["G0000"], may_be_empty=True)
    assert sum(counts.values()) == 1
    assert set(SPLIT.read(out)["gene_id"].to_pylist()) == set(table["gene_id"].to_pylist())
    assert "no model can be trained on this: splice.split: " in caplog.text
    with pytest.raises(ConfigError, match=r"splice\.train\.enabled"):
        write_split(table, tmp_path / "other.parquet", SpliceSplitSettings(), held_out=HELD_OUT, planned=["G0000"])
