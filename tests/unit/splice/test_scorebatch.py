from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_member, write_pt
from small_scores import GENES, model_settings, small_reference, transcript

from trainyard.splice import toy
from trainyard.splice.backends import ModelCard
from trainyard.splice.reasons import Reason
from trainyard.splice.scorebatch import read_card, score_batch
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.settings import SpliceSelectionSettings
from trainyard.yard.errors import ConfigError, InputError
from trainyard.yard.files import read_json, sha256_file, write_text
from workflow_scripts.splice_score_batch import main as score_batch_command

INDEX = "index_00001.parquet"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return small_reference(tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return [write_pt(folder / f"{i}.pt", random_member(i, groups=2)) for i in range(2)]


def score(reference, out, genes=("P", "M", "Q"), *, index=INDEX, weights=None, **changes):
    """Score genes; gives the tally and the store."""
    tally = score_batch(reference, genes, out, index=index, settings=model_settings(weights, **changes))
    return tally, ScoreStore(out)


def digests(folder):
    """Every file of a folder and its checksum."""
    return {str(path.relative_to(folder)): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("gene", ["P", "M", "Q"])
@pytest.mark.parametrize("flank_mode", ["n_pad", "genomic"])
def test_a_gene_is_scored_in_transcript_direction_with_the_flanks_it_should_have(reference, tmp_path, gene, flank_mode):
    _, store = score(reference, tmp_path, flank_mode=flank_mode)
    row, half = reference.gene(gene), toy.CONTEXT // 2
    around = reference.genome.fetch(row["chrom"], row["start"] - half, row["end"] + half)
    if flank_mode == "n_pad":
        around[:half] = around[-half:] = 4
    codes = around if row["strand"] == "+" else np.array([3, 2, 1, 0, 4], np.uint8)[around[::-1]]
    donor, acceptor = store.get(gene)
    expected = toy.score(codes)
    np.testing.assert_array_equal(donor, expected[2])
    np.testing.assert_array_equal(acceptor, expected[1])


def test_the_index_has_the_genes_in_order_and_the_card_says_whose_scores_they_are(reference, tmp_path):
    tally, store = score(reference, tmp_path, ("Q", "P"))
    assert list(store.entries) == ["Q", "P"]
    assert tally.summary() == "2 genes computed"
    card = read_card(tmp_path)
    assert card == ModelCard.from_dict(read_json(tmp_path / "model.json"))
    assert (card.backend, card.context, card.flank_mode) == ("toy", 80, "n_pad")


def test_a_gene_of_unknown_bases_stands_in_the_index_with_the_reason(reference, tmp_path):
    tally, store = score(reference, tmp_path, ("N", "P"))
    assert store.entries["N"].reason is Reason.ALL_UNKNOWN_BASES
    assert store.entries["P"].status == "scored"
    assert tally.summary() == "1 genes computed, 1 genes failed"


def test_an_empty_batch_is_legal(reference, tmp_path):
    tally, store = score(reference, tmp_path, ())
    assert tally.summary() == "no genes"
    assert dict(store.entries) == {}


@pytest.mark.parametrize("changes", [{"threads": 1}, {"threads": 4, "batch_positions": 100}])
def test_threads_and_windows_change_no_byte(reference, tmp_path, weights, changes):
    score(reference, tmp_path / "one", weights=weights, threads=2)
    score(reference, tmp_path / "two", weights=weights[::-1], **changes)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_second_run_computes_nothing_and_changes_nothing(reference, tmp_path, monkeypatch):
    score(reference, tmp_path)
    before = digests(tmp_path)
    monkeypatch.setattr(toy, "score", None)
    tally, _ = score(reference, tmp_path)
    assert tally.summary() == "3 genes found"
    assert digests(tmp_path) == before


def test_another_model_beside_the_first_leaves_its_scores_alone(reference, tmp_path, weights):
    score(reference, tmp_path)
    before = digests(tmp_path / "genes")
    tally, _ = score(reference, tmp_path, weights=weights)
    assert tally.computed == 3
    assert before.items() < digests(tmp_path / "genes").items()
    tally, _ = score(reference, tmp_path)
    assert tally.found == 3


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-5])])
def test_a_broken_file_alone_is_made_again_once_its_index_is_gone(reference, tmp_path, damage):
    _, store = score(reference, tmp_path)
    before = digests(tmp_path)
    damage(store.path(store.entries["M"].key))
    (tmp_path / INDEX).unlink()
    tally, _ = score(reference, tmp_path)
    assert (tally.found, tally.computed) == (2, 1)
    assert digests(tmp_path) == before


def test_a_kill_costs_no_more_than_the_genes_in_flight(reference, tmp_path):
    genes = [tx.gene for tx in GENES if tx.gene != "N"]
    code = f"""
import os, signal
from pathlib import Path
from trainyard.splice import toy
from trainyard.splice.reference import Reference
from trainyard.splice.scorebatch import score_batch
from trainyard.splice.settings import SpliceModelSettings
real, calls = toy.score, []
def score(codes):
    calls.append(codes)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(codes)
toy.score = score
reference, out = (Path(name) for name in {[str(reference.folder), str(tmp_path)]})
score_batch(Reference(reference), {genes}, out, index={INDEX!r}, settings=SpliceModelSettings(batch_positions=100))
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / INDEX).exists()
    tally, _ = score(reference, tmp_path, genes)
    assert (tally.found, tally.computed) == (2, 1)
    score(reference, tmp_path.with_name("undisturbed"), genes)
    assert digests(tmp_path) == digests(tmp_path.with_name("undisturbed"))


def test_scores_of_another_run_are_taken_where_model_and_bases_are_the_same(tmp_path, weights):
    first = small_reference(tmp_path / "a", [transcript("P", 101)])
    same = letters(first, "P")
    second = small_reference(tmp_path / "b", [transcript("P", 701), transcript("M", 101, "-")], letters={"P": same})
    _, other = score(first, tmp_path / "other", ("P",), weights=weights)
    tally, store = score(second, tmp_path / "mine", ("P", "M"), weights=weights, scores=tmp_path / "other")
    assert (tally.found, tally.computed) == (1, 1)
    assert store.path(store.entries["P"].key).samefile(other.path(other.entries["P"].key))
    tally, _ = score(second, tmp_path / "with another model", ("P", "M"), scores=tmp_path / "other")
    assert tally.computed == 2


def letters(reference, gene):
    """Bases of a gene along the + strand."""
    row = reference.gene(gene)
    return "".join("ACGTN"[code] for code in reference.genome.fetch(row["chrom"], row["start"], row["end"]))


def test_a_store_may_stand_in_for_the_model(reference, tmp_path, weights):
    score(reference, tmp_path / "other", ("P", "M"), weights=weights)
    imported = {"backend": "scores-import", "scores": tmp_path / "other"}
    tally, store = score(reference, tmp_path / "mine", **imported)
    assert (tally.found, tally.failed) == (2, 1)
    assert store.entries["Q"].reason is Reason.NO_SCORES
    assert read_card(tmp_path / "mine") == read_card(tmp_path / "other")
    with pytest.raises(ConfigError, match=r"flank_mode is 'genomic', .*other has 'n_pad'"):
        score(reference, tmp_path / "mine", **imported, flank_mode="genomic")


def test_a_folder_that_is_no_store_is_not_a_store_to_take_from(reference, tmp_path):
    with pytest.raises(ConfigError, match=r"is no score store of another run .it has no model\.json"):
        score(reference, tmp_path / "mine", scores=tmp_path)


def test_a_gene_that_the_reference_lacks_is_an_error(reference, tmp_path):
    with pytest.raises(InputError, match="has no gene X"):
        score(reference, tmp_path, ("X",))


def test_the_command_scores_a_batch_of_the_pool(reference, tmp_path, capsys):
    write_text(tmp_path / "genes.txt", "Q\nM\nP\n")
    selection = SpliceSelectionSettings(policy="custom", gene_file=tmp_path / "genes.txt").model_dump_json()
    for batch, begin, genes in ((1, 0, ["Q", "M"]), (2, 2, ["P"])):
        score_batch_command([
            "--reference", str(reference.folder), "--selection", selection, "--batch", str(batch),
            "--begin", str(begin), "--end", str(begin + 2),
            "--settings", "{}", "--threads", "1", "--out", str(tmp_path / "scores"),
        ])  # fmt: skip
        index = tmp_path / "scores" / f"index_0000{batch}.parquet"
        assert list(ScoreStore(tmp_path / "scores", indexes=[index]).entries) == genes
    assert "index_00002.parquet: 1 genes computed" in capsys.readouterr().out


def test_genes_with_the_same_bases_share_one_file(reference, tmp_path):
    """As the pseudo-autosomal genes of X and Y do."""
    pair = [transcript("P", 101), transcript("P_PAR_Y", 101, contig="2")]
    same = letters(reference, "P")
    twins = small_reference(tmp_path, pair, letters=dict.fromkeys(("P", "P_PAR_Y"), same))
    _, store = score(twins, tmp_path / "scores", ("P", "P_PAR_Y"))
    assert store.entries["P"].key == store.entries["P_PAR_Y"].key
