from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from small_scores import small_reference

from trainyard.splice.calls import Gene
from trainyard.splice.imports import open_import
from trainyard.splice.reasons import Reason
from trainyard.splice.scorebatch import read_card, score_batch
from trainyard.splice.scoreexport import export_scores
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.settings import SpliceModelSettings
from trainyard.yard.errors import ConfigError, InputError

PLUS, MINUS = Gene("P", "1", 11, 16, "+"), Gene("M", "1", 11, 16, "-")
DONOR, ACCEPTOR = (np.array(values, np.float32) for values in ([0, 0.5, 0, 0.25, 0, 1], [0.5, 0, 0, 0.125, 0, 0]))


def imported(source, genes=(PLUS, MINUS)):
    """What is read of a source, by gene."""
    settings = SpliceModelSettings(backend="scores-import", scores=source)
    return dict(open_import(settings).read(genes))


def table(**columns):
    """Scores of both genes, the one of the minus strand reversed along the genome."""
    t = np.arange(6)
    rows = {
        "gene_id": ["P"] * 6 + ["M"] * 6,
        "t": np.concatenate([t, t]),
        "exon_pos": np.concatenate([11 + t, 16 - t]),
        "donor_score": np.concatenate([DONOR, DONOR]),
        "acceptor_score": np.concatenate([ACCEPTOR, ACCEPTOR]),
    }
    return pa.table({name: rows[rename] for name, rename in columns.items()})


OURS = {name: name for name in ("gene_id", "t", "exon_pos", "donor_score", "acceptor_score")}


def check(found):
    """Both genes have the scores that they should have in transcript direction."""
    assert list(found) == ["P", "M"]
    for scores in found.values():
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(scores, [DONOR, ACCEPTOR])


@pytest.mark.parametrize(
    "columns",
    [
        OURS,
        {"gene_id": "gene_id", "position": "t", "donor": "donor_score", "acceptor": "acceptor_score"},
        {
            "gene_id": "gene_id",
            "genomic_position": "exon_pos",
            "donor_prob": "donor_score",
            "acceptor": "acceptor_score",
        },
    ],
)
@pytest.mark.parametrize("order", ["as written", "shuffled"])
def test_a_parquet_table_is_read_by_gene_and_place(tmp_path, columns, order):
    rows = table(**columns)
    if order == "shuffled":
        rows = rows.take(np.random.default_rng(0).permutation(12))
    pq.write_table(rows, tmp_path / "scores.parquet", row_group_size=5)
    check(imported(tmp_path / "scores.parquet"))


def test_the_published_table_of_nucleotides_is_read_by_its_place_on_the_genome(tmp_path):
    """There `position` is 1-based and relative; `genomic_position` is what counts."""
    rows = table(gene_id="gene_id", position="t", genomic_position="exon_pos", **{k: k for k in list(OURS)[3:]})
    rows = rows.set_column(1, "position", pa.array(np.asarray(rows["position"]) + 1))
    pa_csv.write_csv(rows, tmp_path / "nucleotide_scores.tsv", pa_csv.WriteOptions(delimiter="\t"))
    check(imported(tmp_path / "nucleotide_scores.tsv"))


def test_a_folder_of_tables_is_one_table(tmp_path):
    rows = table(**OURS)
    pq.write_table(rows.slice(0, 7), tmp_path / "a.parquet")
    pq.write_table(rows.slice(7), tmp_path / "b.parquet")
    check(imported(tmp_path))


def test_a_gene_without_all_of_its_bases_is_not_given(tmp_path):
    pq.write_table(table(**OURS).slice(1), tmp_path / "a.parquet")
    assert list(imported(tmp_path)) == ["M"]
    pq.write_table(pa.concat_tables([table(**OURS), table(**OURS).slice(3, 1)]), tmp_path / "a.parquet")
    assert list(imported(tmp_path)) == ["M"]


def test_a_table_without_the_columns_says_which_are_needed(tmp_path):
    pq.write_table(pa.table({"gene_id": ["P"], "donor": [0.1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="need a column exon_pos or genomic_position or t or position, and acceptor_"):
        imported(tmp_path)


BED_GRAPHS = {
    "donor_plus": "1\t11\t12\t0.5\n1\t13\t14\t0.25\n1\t15\t17\t1\n2\t0\t50\t0.9\n",
    "acceptor_plus": "1\t5\t11\t0.5\n1\t13\t14\t0.125\n",
    "donor_minus": "1\t9\t11\t1\n1\t12\t13\t0.25\n1\t14\t15\t0.5\n",
    "acceptor_minus": "1\t12\t13\t0.125\n1\t15\t16\t0.5\n",
}


@pytest.mark.parametrize("packed", [False, True])
def test_bedgraph_tracks_are_cut_to_genes_and_turned_to_their_direction(tmp_path, packed):
    for name, text in BED_GRAPHS.items():
        track = "track type=bedGraph name=x\n# comment\n" + text
        if packed:
            (tmp_path / f"SCORES.{name}.bg.gz").write_bytes(gzip.compress(track.encode()))
        else:
            (tmp_path / f"{name}.bedGraph").write_text(track)
    (tmp_path / "notes.txt").write_text("not a track")
    check(imported(tmp_path))


def test_a_set_of_tracks_must_be_whole(tmp_path):
    for name in list(BED_GRAPHS)[1:]:
        (tmp_path / f"{name}.bedgraph").write_text(BED_GRAPHS[name])
    with pytest.raises(
        InputError, match=r"one track each of acceptor_plus, .* found acceptor_minus.bedgraph, acceptor_p"
    ):
        imported(tmp_path)


@pytest.mark.parametrize("text", ["1 11 12 0.5\n", "1\t11\t12\n", "1\tx\t12\t0.5\n"])
def test_a_broken_track_is_one_clear_error(tmp_path, text):
    for name in BED_GRAPHS:
        (tmp_path / f"{name}.bedgraph").write_text(text)
    with pytest.raises(InputError, match=r"\.bedgraph: "):
        imported(tmp_path)


def test_nothing_to_import_is_an_error_that_names_the_key(tmp_path):
    with pytest.raises(ConfigError, match=r"set model\.scores"):
        open_import(SpliceModelSettings(backend="scores-import"))
    with pytest.raises(InputError, match="no such file or folder"):
        imported(tmp_path / "absent")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A reference and the toy model's scores of its genes."""
    reference = small_reference(tmp_path_factory.mktemp("reference"))
    out = tmp_path_factory.mktemp("scores")
    score_batch(reference, ("P", "M", "Q"), out, index="index_00001.parquet", settings=SpliceModelSettings())
    return reference, ScoreStore(out)


@pytest.mark.parametrize(("format", "tolerance"), [("parquet", 0), ("bedgraph", 6e-5)])
def test_what_was_exported_can_be_imported(scored, tmp_path, format, tolerance):
    reference, store = scored
    export_scores(reference, store, tmp_path / "export", format=format, floor=0.0)
    settings = SpliceModelSettings(
        backend="scores-import", scores=tmp_path / "export", licence="of the first run", flank_mode="genomic"
    )
    tally = score_batch(reference, ("P", "Q", "M"), tmp_path / "in", index="index_00001.parquet", settings=settings)
    assert tally.summary() == "3 genes imported"
    mine = ScoreStore(tmp_path / "in")
    for gene in ("P", "M", "Q"):
        np.testing.assert_allclose(mine.get(gene), store.get(gene), atol=tolerance)
    card = read_card(tmp_path / "in")
    assert (card.backend, card.licence, card.context) == ("scores-import", "of the first run", 0)
    again = score_batch(reference, ("P",), tmp_path / "in", index="index_00002.parquet", settings=settings)
    assert again.summary() == "1 genes found"


def test_imported_scores_that_are_missing_or_no_probabilities_stand_in_the_index(scored, tmp_path):
    reference, store = scored
    export_scores(reference, store, tmp_path, format="parquet")
    rows = pq.read_table(tmp_path / "scores.parquet")
    rows = rows.filter(pa.compute.not_equal(rows["gene_id"], "Q"))
    wrong = pa.compute.if_else(
        pa.compute.equal(rows["gene_id"], "M"), pa.scalar(1.5, pa.float32()), rows["donor_score"]
    )
    rows = rows.set_column(rows.schema.get_field_index("donor_score"), "donor_score", wrong)
    pq.write_table(rows, tmp_path / "scores.parquet")
    settings = SpliceModelSettings(backend="scores-import", scores=tmp_path / "scores.parquet")
    tally = score_batch(reference, ("P", "Q", "M"), tmp_path / "in", index="index_00001.parquet", settings=settings)
    assert (tally.imported, tally.failed) == (1, 2)
    reasons = {gene: entry.reason for gene, entry in ScoreStore(tmp_path / "in").entries.items()}
    assert reasons == {"P": None, "Q": Reason.NO_SCORES, "M": Reason.BAD_SCORES}
