from __future__ import annotations

import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_scores import small_reference, transcript

from trainyard.splice.scoreexport import SCORES, export_scores, intervals
from trainyard.splice.scorestore import Entry, ScoreStore, score_key
from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.files import read_json, sha256_file
from workflow_scripts.splice_export_scores import main as export_command

OVERLAPPING = (transcript("A", 101), transcript("B", 301), transcript("C", 201, "-"), transcript("D", 1001))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A and B overlap on the + strand by 180 bases, C lies across both on the other."""
    return small_reference(tmp_path_factory.mktemp("reference"), OVERLAPPING)


@pytest.fixture(scope="module")
def store(reference, tmp_path_factory):
    """Random scores; D was not scored."""
    found = ScoreStore(tmp_path_factory.mktemp("scores"))
    entries = []
    for i, gene in enumerate("BAC"):
        scores = np.random.default_rng(i).dirichlet((0.3, 0.3, 5), 380)[:, :2].T.astype(np.float32)
        key = score_key("model", "n_pad", np.array([i], np.uint8))
        entries.append(Entry(gene, 380, key, found.put(key, scores), None))
    entries.append(Entry("D", 380, None, None, None))
    found.write_index(found.folder / "index_00001.parquet", entries, model_id="model")
    return found


def expected(reference, store, site_type, strand):
    """Best score of each base of contig 1."""
    track = np.zeros(2001)
    for gene in "ABC":
        row = reference.gene(gene)
        scores = store.get(gene)[site_type]
        if row["strand"] == strand:
            along = scores if strand == "+" else scores[::-1]
            track[row["start"] : row["end"] + 1] = np.maximum(track[row["start"] : row["end"] + 1], along)
    return track


def test_the_table_holds_every_base_as_it_is_stored(reference, store, tmp_path):
    (path,) = export_scores(reference, store, tmp_path, format="parquet")
    table = SCORES.read(path)
    assert table.num_rows == 3 * 380
    rows = table.filter(np.asarray(table["gene_id"]) == "C")
    np.testing.assert_array_equal(rows["donor_score"], store.get("C")[0])
    np.testing.assert_array_equal(rows["acceptor_score"], store.get("C")[1])
    np.testing.assert_array_equal(rows["t"], np.arange(380))
    np.testing.assert_array_equal(rows["exon_pos"], np.arange(580, 200, -1))
    assert pq.read_schema(path).field("t").metadata[b"unit"] == b"nt"


def test_bedgraph_tracks_hold_the_best_score_of_each_base_without_overlap(reference, store, tmp_path):
    files = export_scores(reference, store, tmp_path, format="bedgraph", floor=0.01)
    assert [f.name for f in files] == [f"{t}_{s}.bedgraph" for s in ("plus", "minus") for t in ("donor", "acceptor")]
    for i, strand in enumerate("+-"):
        for j in range(2):
            track, end = np.zeros(2001), 0
            for line in files[2 * i + j].read_text().splitlines():
                chrom, first, last, value = line.split("\t")
                assert chrom == "1"
                assert end <= int(first) < int(last)
                end = int(last)
                track[int(first) + 1 : end + 1] = float(value)
            wanted = expected(reference, store, j, strand)
            np.testing.assert_allclose(track, np.where(wanted.round(4) >= 0.01, wanted, 0), atol=5.1e-5)


@pytest.mark.parametrize("format", ["parquet", "bedgraph"])
def test_equal_scores_give_equal_bytes(reference, store, tmp_path, format):
    one, two = (export_scores(reference, store, tmp_path / name, format=format) for name in "ab")
    assert [sha256_file(path) for path in one] == [sha256_file(path) for path in two]
    assert (tmp_path / "a" / f"{format}.json").read_bytes() == (tmp_path / "b" / f"{format}.json").read_bytes()


@pytest.mark.parametrize("format", ["parquet", "bedgraph"])
def test_the_manifest_vouches_for_the_files_and_comes_last(reference, store, tmp_path, format):
    files = export_scores(reference, store, tmp_path, format=format)
    manifest = read_json(tmp_path / f"{format}.json")
    assert {entry["file"]: (entry["bytes"], entry["sha256"]) for entry in manifest["files"]} == {
        path.name: (path.stat().st_size, sha256_file(path)) for path in files
    }
    assert (manifest["genes"], manifest["bases"]) == (3, 3 * 380)
    assert max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns).name == f"{format}.json"


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(0, 40), elements=st.sampled_from([0.0, 0.00004, 0.001, 0.25, 0.25001, 1.0])),
    st.integers(0, 100),
    st.sampled_from([0.0, 0.001, 0.2]),
)
def test_intervals_give_back_the_rounded_scores_above_the_floor(values, start, floor):
    first, last, value = intervals(values, start=start, floor=floor)
    found = np.zeros(values.size)
    for a, b, v in zip(first, last, value, strict=True):
        found[a - start : b - start] = v
    rounded = values.astype(float).round(4)
    np.testing.assert_array_equal(found, np.where(rounded >= floor, rounded, 0))
    assert (first[1:] >= last[:-1]).all()
    joined = (first[1:] == last[:-1]) & (value[1:] == value[:-1])
    assert not joined.any()


def test_bigwig_without_its_package_is_a_fault_that_names_it(reference, store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyBigWig", None)
    with pytest.raises(EnvironmentFault, match="pip install pyBigWig, or use bedGraph"):
        export_scores(reference, store, tmp_path, format="bigwig")
    assert list(tmp_path.iterdir()) == []


def test_bigwig_tracks_hold_what_bedgraph_holds(reference, store, tmp_path):
    bigwig = pytest.importorskip("pyBigWig")
    files = export_scores(reference, store, tmp_path, format="bigwig", floor=0.0)
    with bigwig.open(str(files[0])) as file:
        assert file.chroms() == {"1": 2000}
        values = np.nan_to_num(file.values("1", 0, 2000))
    np.testing.assert_allclose(values, expected(reference, store, 0, "+")[1:], atol=5.1e-5)


def test_the_command_writes_the_genes_of_the_batches_that_count(reference, store, tmp_path, capsys):
    export_command([
        "--reference", str(reference.folder), "--scores", str(store.folder), "--score-batches", "1",
        "--format", "bedgraph", "--out", str(tmp_path),
    ])  # fmt: skip
    assert "donor_plus.bedgraph, acceptor_plus.bedgraph, donor_minus" in capsys.readouterr().out
