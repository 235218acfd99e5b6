"""From files to rows: FASTA, annotation, stored scores, and both commands of a batch."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_annotations import TOY_EXONS, Transcript, gtf

from trainyard.splice.calls import classify
from trainyard.splice.dataset_schema import BatchFiles, dataset
from trainyard.splice.gene_source import StoredGenes
from trainyard.splice.plan import RANKING
from trainyard.splice.positions import GeneUnavailableError, count_errors, gene_positions
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.scorestore import Entry, ScoreStore, score_key
from trainyard.splice.settings import SpliceFeatureSettings, SpliceInputSettings, SpliceLabelSettings
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json
from workflow_scripts.splice_features_batch import main as features_batch
from workflow_scripts.splice_positions_batch import main as positions_batch

LABELS = SpliceLabelSettings()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Appendix A.1 on both strands of two contigs, and a gene that was not scored."""
    folder = tmp_path_factory.mktemp("reference")
    sequence = np.array(list("C" * 500))
    for donor in (150, 300):
        sequence[donor : donor + 2] = ["G", "T"]
    for acceptor in (251, 351):
        sequence[acceptor - 3 : acceptor - 1] = ["A", "G"]
    plus = "".join(sequence)
    minus = plus[::-1].translate(str.maketrans("ACGT", "TGCA"))
    (folder / "genome.fa").write_text(f">1\n{plus}\n>2\n{minus}\n>3\n{plus}\n")
    mirrored = tuple((501 - end, 501 - start) for start, end in TOY_EXONS)
    (folder / "genes.gtf").write_text(
        gtf(
            Transcript("P1", "P", contig="1"),
            Transcript("P2", "P", exons=TOY_EXONS[:2], contig="1"),
            Transcript("M1", "M", exons=mirrored, strand="-", contig="2"),
            Transcript("X1", "X", contig="3"),
        )
    )
    settings = SpliceInputSettings(source="files", fasta=folder / "genome.fa", annotation=folder / "genes.gtf")
    build_reference(settings, folder / "reference")
    return Reference(folder / "reference")


@pytest.fixture(scope="module")
def store(reference, tmp_path_factory):
    """The same scores for both genes, since both have the same bases in transcript direction."""
    scores = np.zeros((2, 300), np.float32)
    scores[0, [49, 199, 120]] = [0.9, 0.2, 0.8]
    scores[1, [150, 250]] = [0.95, 0.9]
    found = ScoreStore(tmp_path_factory.mktemp("scores"))
    entries = []
    for name in ("P", "M"):
        key = score_key("toy", "n_pad", np.frombuffer(name.encode(), np.uint8))
        entries.append(Entry(name, 300, key, found.put(key, scores), None))
    entries.append(Entry("X", 300, None, None, Reason.ALL_UNKNOWN_BASES))
    found.write_index(found.folder / "index_00001.parquet", entries, model_id="toy")
    return found


@pytest.mark.parametrize("name", ["P", "M"])
def test_golden_a1_sites_and_bases_meet_in_transcript_direction_on_both_strands(reference, store, name):
    scores = StoredGenes(reference, store).gene(name)
    calls = classify(scores, LABELS)
    assert np.flatnonzero(calls.is_donor).tolist() == [49, 199]
    assert np.flatnonzero(calls.is_acceptor).tolist() == [150, 250]
    for donor in (49, 199):
        assert scores.codes[donor + 1 : donor + 3].tolist() == [2, 3]
    for acceptor in (150, 250):
        assert scores.codes[acceptor - 2 : acceptor].tolist() == [0, 2]
    assert count_errors(gene_positions(scores, LABELS)) == {
        "gene_id": name, "n_tp": 3, "n_fp": 1, "n_fn": 1, "n_errors": 2,
    }  # fmt: skip


def test_two_transcripts_that_share_a_site_count_at_its_row(reference, store):
    calls = classify(StoredGenes(reference, store).gene("P"), LABELS)
    assert calls.transcripts[[49, 150, 199, 250]].tolist() == [2, 2, 1, 1]


def test_a_gene_that_was_not_scored_says_why(reference, store):
    with pytest.raises(GeneUnavailableError) as error:
        StoredGenes(reference, store).gene("X")
    assert error.value.reason is Reason.ALL_UNKNOWN_BASES


def test_a_gene_in_no_index_is_an_error_of_the_plan(reference, store):
    with pytest.raises(InputError, match="no index here has gene Y"):
        StoredGenes(reference, store).gene("Y")


def test_scores_of_another_annotation_are_refused(reference, tmp_path):
    store = ScoreStore(tmp_path)
    key = score_key("toy", "n_pad", np.zeros(3, np.uint8))
    entry = Entry("P", 299, key, store.put(key, np.zeros((2, 299), np.float32)), None)
    store.write_index(tmp_path / "index_00001.parquet", [entry], model_id="toy")
    with pytest.raises(IntegrityError, match="gene P: its locus has 300 bases"):
        StoredGenes(reference, store).gene("P")


def run_batches(reference, store, folder):
    """Genes M, X, P in two batches, by the commands of the workflow."""
    rows = [{"rank": i, "gene_id": name, "reason": "random", "length": 300} for i, name in enumerate("MXP")]
    RANKING.write(folder / "ranking.parquet", RANKING.table(rows))
    common = ["--reference", str(reference.folder), "--out", str(folder)]
    for batch, (begin, end) in enumerate([(0, 2), (2, 4)], start=1):
        place = ["--ranking", str(folder / "ranking.parquet"), "--begin", str(begin), "--end", str(end)]
        scored = ["--scores", str(store.folder), "--labels", LABELS.model_dump_json()]
        positions_batch([*common, "--batch", str(batch), *place, *scored])
        chosen = ["--seed", "42", "--sampling", "{}", "--features", "{}", "--export", "{}"]
        features_batch([*common, "--batch", str(batch), *chosen])


def test_a_batch_without_a_ranking_has_the_genes_of_its_index(reference, store, tmp_path):
    store.write_index(store.folder / "index_00002.parquet", [store.entries["M"]], model_id="toy")
    positions_batch([
        "--reference", str(reference.folder), "--batch", "1", "--scores", str(store.folder),
        "--labels", LABELS.model_dump_json(), "--out", str(tmp_path),
    ])  # fmt: skip
    raw = pq.read_table(BatchFiles(tmp_path, 1).raw, columns=["gene_id"])["gene_id"]
    assert raw.unique().to_pylist() == ["P", "M"]
    kinds = read_json(BatchFiles(tmp_path, 1).positions_ledger)["kinds"]
    assert kinds["gene"] == {"expected": 3, "kept": 2, "rejected": {"all_unknown_bases": 1}}


def test_both_commands_build_a_batch_from_the_ranking(reference, store, tmp_path):
    run_batches(reference, store, tmp_path)
    contract = dataset(SpliceFeatureSettings())
    found = [contract.read(BatchFiles(tmp_path, batch).part) for batch in (1, 2)]
    assert [set(table["gene_id"].to_pylist()) for table in found] == [{"M"}, {"P"}]
    ledger = read_json(BatchFiles(tmp_path, 1).ledger)["kinds"]
    assert ledger["gene"] == {"expected": 2, "kept": 1, "rejected": {"all_unknown_bases": 1}}
    assert ledger["site"] == {"expected": 4, "kept": 4, "rejected": {}}
    assert ledger["position"]["expected"] == 300


def test_both_strands_of_one_sequence_give_the_same_features(reference, store, tmp_path):
    run_batches(reference, store, tmp_path)
    contract = dataset(SpliceFeatureSettings())
    minus, plus = (contract.read(BatchFiles(tmp_path, batch).part).to_pylist() for batch in (1, 2))
    at = {row["position"]: row for row in plus}
    shared = [(row, at[row["position"]]) for row in minus if row["position"] in at]
    assert len(shared) > 100
    of_gene = {"num_transcripts", "rep_transcript_id"}
    for one, other in shared:
        for column in contract.columns:
            if column.role == "feature" and column.name not in of_gene:
                assert one[column.name] == other[column.name], column.name
        assert one["exon_pos"] + other["exon_pos"] == 501
