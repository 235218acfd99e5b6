from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.splice.reasons import Reason
from trainyard.splice.scorestore import SCORE_INDEX, Entry, ScoreStore, score_key
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import sha256_file

CODES = np.array([0, 1, 2, 3, 4], np.uint8)
KEY = score_key("model", "n_pad", CODES)
SCORES = np.random.default_rng(0).uniform(0, 0.5, (2, 100)).astype(np.float32)


def filled(folder, *genes, index="index_00001.parquet"):
    """A store with the same scores for some genes."""
    store = ScoreStore(folder)
    sha256 = store.put(KEY, SCORES)
    entries = [Entry(gene, 100, KEY, sha256, None) for gene in genes]
    store.write_index(folder / index, entries, model_id="model")
    return ScoreStore(folder)


def test_what_is_put_is_what_is_got(tmp_path):
    donor, acceptor = filled(tmp_path, "a").get("a")
    np.testing.assert_array_equal(donor, SCORES[0])
    np.testing.assert_array_equal(acceptor, SCORES[1])
    assert donor.dtype == acceptor.dtype == np.float32


def test_a_score_file_is_an_array_that_numpy_reads(tmp_path):
    store = filled(tmp_path, "a")
    path = store.path(KEY)
    assert path == tmp_path / "genes" / KEY[:2] / f"{KEY}.npy"
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), SCORES)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r", allow_pickle=False), SCORES)
    assert store.entries["a"].sha256 == sha256_file(path)


def test_the_key_follows_everything_that_the_model_saw_and_nothing_else():
    others = [
        score_key("other", "n_pad", CODES),
        score_key("model", "genomic", CODES),
        score_key("model", "n_pad", CODES[::-1]),
        score_key("model", "n_pad", CODES[:4]),
        score_key("model", "n_pad", CODES, place="here"),
    ]
    assert len({KEY, *others}) == 6
    assert score_key("model", "n_pad", CODES[::-1][::-1]) == KEY
    assert len(KEY) == 32


def test_an_index_of_equal_entries_has_equal_bytes(tmp_path):
    one, two = filled(tmp_path / "one", "a", "b"), filled(tmp_path / "two", "a", "b")
    assert sha256_file(one.folder / "index_00001.parquet") == sha256_file(two.folder / "index_00001.parquet")
    table = SCORE_INDEX.read(one.folder / "index_00001.parquet")
    assert table["status"].to_pylist() == ["scored", "scored"]


def test_an_empty_index_is_legal(tmp_path):
    assert dict(filled(tmp_path).entries) == {}


def test_indexes_add_up_and_may_be_chosen(tmp_path):
    filled(tmp_path, "a")
    store = filled(tmp_path, "b", index="index_00002.parquet")
    assert list(store.entries) == ["a", "b"]
    assert list(ScoreStore(tmp_path, indexes=[tmp_path / "index_00002.parquet"]).entries) == ["b"]


def test_two_indexes_may_agree_but_not_differ(tmp_path):
    filled(tmp_path, "a")
    assert len(filled(tmp_path, "a", index="index_00002.parquet").entries) == 1
    other = ScoreStore(tmp_path)
    key = score_key("other", "n_pad", CODES)
    entry = Entry("a", 100, key, other.put(key, SCORES), None)
    other.write_index(tmp_path / "index_00003.parquet", [entry], model_id="other")
    with pytest.raises(IntegrityError, match=r"index_00003\.parquet: gives other scores for a .*delete the older"):
        ScoreStore(tmp_path).get("a")


def test_a_gene_in_no_index_or_without_scores_is_an_error_that_says_why(tmp_path):
    store = filled(tmp_path, "a")
    with pytest.raises(InputError, match="no index here has gene b"):
        store.get("b")
    failed = Entry("c", 7, None, None, Reason.ALL_UNKNOWN_BASES)
    store.write_index(tmp_path / "index_00002.parquet", [failed], model_id="model")
    with pytest.raises(InputError, match=r"gene c was not scored \(all_unknown_bases\)"):
        ScoreStore(tmp_path).get("c")
    assert ScoreStore(tmp_path).entries["c"] == failed
    assert failed.status == "failed"


REMEDY = "delete the index that names the gene .*and run the same command again: broken scores alone are made again"


def test_a_missing_file_says_what_to_do(tmp_path):
    store = filled(tmp_path, "a")
    store.path(KEY).unlink()
    with pytest.raises(IntegrityError, match=rf"{KEY}.npy: the scores of a: the file is missing; {REMEDY}"):
        store.get("a")
    assert store.find(KEY, 100) is None


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 127 + 800 + 31), st.integers(1, 255))
def test_one_changed_byte_is_noticed_with_and_without_the_index(tmp_path_factory, place, change):
    store = filled(tmp_path_factory.mktemp("store"), "a")
    path = store.path(KEY)
    data = bytearray(path.read_bytes())
    assert len(data) == 128 + 800 + 32
    data[place] ^= change
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=f"is not what the index says; {REMEDY}"):
        store.get("a")
    assert store.find(KEY, 100) is None


@pytest.mark.parametrize("size", [0, 1, 31, 32, 100, 500, 959])
def test_a_truncated_file_is_noticed(tmp_path, size):
    store = filled(tmp_path, "a")
    store.path(KEY).write_bytes(store.path(KEY).read_bytes()[:size])
    with pytest.raises(IntegrityError, match=REMEDY):
        store.get("a")
    assert store.find(KEY, 100) is None


def test_scores_of_another_length_are_not_taken(tmp_path):
    store = filled(tmp_path, "a")
    assert store.find(KEY, 100) == sha256_file(store.path(KEY))
    assert store.find(KEY, 99) is None


def test_an_index_of_something_else_is_refused(tmp_path):
    (tmp_path / "index_00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="not a Parquet file"):
        ScoreStore(tmp_path).get("a")


def test_a_key_that_would_lead_elsewhere_is_refused(tmp_path):
    store = ScoreStore(tmp_path)
    store.write_index(tmp_path / "index_00001.parquet", [Entry("a", 1, "../../x", "0", None)], model_id="model")
    with pytest.raises(IntegrityError, match="is no key of a score store"):
        store.get("a")


def test_a_file_is_taken_from_another_store_by_link_where_that_works(tmp_path, monkeypatch):
    other, mine = filled(tmp_path / "other", "a"), ScoreStore(tmp_path / "mine")
    mine.adopt(KEY, other)
    assert mine.path(KEY).samefile(other.path(KEY))
    mine.adopt(KEY, other)
    assert [path.name for path in mine.path(KEY).parent.iterdir()] == [f"{KEY}.npy"]

    def refuse(*args):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copy = ScoreStore(tmp_path / "copy")
    copy.adopt(KEY, other)
    assert not copy.path(KEY).samefile(other.path(KEY))
    assert copy.find(KEY, 100) == other.entries["a"].sha256
