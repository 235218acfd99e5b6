"""Rows by split: what a model sees of a split depends on that split alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from simulated_rows import write_simulated

from trainyard.splice.split import SPLIT
from trainyard.splice.train import data as data_module
from trainyard.splice.train.data import open_rows
from trainyard.splice.train.feed import base_scores, check_classes, make_feed
from trainyard.yard.errors import InputError, IntegrityError, LeakageError

SMALL = {"genes": 20, "rows": 30}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_simulated(tmp_path_factory.mktemp("small"), **SMALL)


@pytest.fixture(scope="module")
def frame(small):
    table = pa.concat_tables([pq.read_table(path) for path in sorted(small.master.glob("*.parquet"))])
    splits = SPLIT.read(small.splits).select(["gene_id", "split"]).to_pandas()
    return table.to_pandas().merge(splits, on="gene_id", how="left")


@pytest.mark.parametrize("cells", [4, 50, 1 << 20])
def test_pieces_of_any_size_hold_the_rows_of_the_split_in_order(small, frame, monkeypatch, cells):
    monkeypatch.setattr(data_module, "CELLS", cells)
    names = ("donor_score", "gene_length")
    for split in ("train", "val", "test"):
        wanted = frame[frame["split"] == split]
        rows = small.rows().rows(split)
        pieces = list(small.rows().pieces(split, names))
        assert all(piece.size <= max(cells, 2) for piece in pieces)
        np.testing.assert_array_equal(np.concatenate(pieces), wanted[list(names)].to_numpy(np.float32))
        np.testing.assert_array_equal(rows.label, wanted["label"])
        np.testing.assert_array_equal(np.array(rows.genes)[rows.gene], wanted["gene_id"].astype(str))


def test_only_wanted_rows_come(small, frame):
    wanted = frame[frame["split"] == "val"]["acceptor_score"].to_numpy()
    keep = np.arange(wanted.size) % 7 == 3
    found = np.concatenate(list(small.rows().pieces("val", ["acceptor_score"], keep=keep)))
    np.testing.assert_array_equal(found[:, 0], wanted[keep])


def test_draws_of_a_gene_do_not_depend_on_other_genes(small):
    rows = small.rows().rows("train")
    one = rows.draws("purpose", 1)
    alone = rows.take(rows.gene == 5)
    np.testing.assert_array_equal(one[rows.gene == 5], alone.draws("purpose", 1)[: (rows.gene == 5).sum()])
    assert not np.array_equal(one, rows.draws("purpose", 2))


def test_a_cluster_in_two_splits_is_refused(tmp_path):
    torn = write_simulated(tmp_path, genes=10, rows=20, splits={"G0000": "train", "G0001": "test"})
    with pytest.raises(LeakageError, match="G0000"):
        torn.rows()


def test_splits_of_another_annotation_are_refused(small, tmp_path):
    table = SPLIT.read(small.splits)
    other = tmp_path / "split.parquet"
    SPLIT.write(other, table.slice(1))
    with pytest.raises(IntegrityError, match="split again"):
        open_rows(small.master, other)
    moved = table.set_column(table.schema.get_field_index("locus_cluster"), "locus_cluster", table["gene_id"])
    SPLIT.write(other, moved)
    with pytest.raises(LeakageError, match="different"):
        open_rows(small.master, other)


def test_infinite_values_are_refused(tmp_path):
    def change(name, columns):
        columns["donor_motif_score"] = np.where(np.arange(20) == 4, np.inf, columns["donor_motif_score"])

    broken = write_simulated(tmp_path, genes=10, rows=20, change=change)
    with pytest.raises(IntegrityError, match="donor_motif_score has infinite"):
        list(broken.rows().pieces("train", ["donor_motif_score"]))


def test_a_train_split_without_a_class_says_what_to_change(tmp_path):
    def change(name, columns):
        columns["label"] = np.where(columns["label"] == 2, 0, columns["label"])

    lacking = write_simulated(tmp_path, genes=10, rows=20, change=change)
    feed = make_feed(lacking.rows(), "train", ["donor_score"], "multiclass")
    with pytest.raises(InputError, match="0 of class 2"):
        check_classes(feed)
    check_classes(make_feed(lacking.rows(), "train", ["donor_score"], "binary"))


def test_the_base_model_says_of_any_site_the_larger_of_its_two_scores():
    donor, acceptor = np.array([0.1, 0.8], np.float32), np.array([0.3, 0.2], np.float32)
    assert base_scores(donor, acceptor, "binary")["site"].tolist() == pytest.approx([0.3, 0.8])
    assert base_scores(donor, acceptor, "multiclass")["acceptor"] is acceptor
