"""The four documented ways to work with the splice line, each with the commands and keys that the documentation shows.

A ranks all genes by errors of the base model and builds from the worst, B builds from a gene list on scores that exist,
C goes on where a run has stopped, D looks after finished datasets.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from trainyard.cli import _command as trainyard
from trainyard.demo.splice import ANNOTATION, FASTA, write_inputs
from trainyard.splice.master import open_master
from trainyard.splice.settings import SpliceDemoSettings
from trainyard.yard.errors import IntegrityError

if TYPE_CHECKING:
    from conftest import Workspace

GENOME = SpliceDemoSettings()
ELIGIBLE, ANNOTATED = 21, 23
"""Genes with splice sites; two more of the annotation turn out to lie beyond the genome."""
INPUTS: Mapping[str, Any] = {"source": "files", "fasta": f"in/{FASTA}", "annotation": f"in/{ANNOTATION}"}
A: Mapping[str, Any] = {
    "run": "hard_genes",
    "lines": ["splice"],
    "splice": {
        "inputs": INPUTS,
        "selection": {"policy": "error_total", "n_genes": 14, "batch_size": 7},
        "sampling": {"window": 10, "easy_ratio": 0.3},
        "export": {"parquet": True},
    },
}
B: Mapping[str, Any] = {
    "run": "listed_genes",
    "lines": ["splice"],
    "splice": {
        "inputs": INPUTS,
        "model": {"backend": "scores-import", "scores": "results/hard_genes/splice/scores"},
        "selection": {"policy": "custom", "gene_file": "genes.tsv", "gene_col": "gene_id", "batch_size": 250},
        "sampling": {"window": 0},
        "features": {"kmer_sizes": [6]},
        "train": {"enabled": False},
    },
}


@pytest.fixture(scope="module")
def hard(
    open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """The finished dataset of workflow A; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("hard") / "work"
    write_inputs(GENOME, folder / "in")
    workspace = open_workspace(folder, A, "splice_data")
    workspace.build()
    return workspace


@pytest.fixture
def work(hard: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of it, in which commands run too."""
    copy = hard.copy(tmp_path / "work")
    monkeypatch.chdir(copy.folder)
    return copy


def configured(workspace: Workspace, config: Mapping[str, Any]) -> Workspace:
    """The same folder under another configuration."""
    workspace.usual = config
    return workspace.configure()


def rows_of(base: Path, *columns: str) -> pa.Table:
    return open_master(base).to_table(columns=list(columns))


# A


def test_a_scores_the_whole_pool_before_it_chooses_and_says_so(hard: Workspace) -> None:
    rules = hard.dry_run("--forceall").rules
    assert rules["splice_score_batch"] == -(-ANNOTATED // 7)
    assert (rules["splice_pool_errors"], rules["splice_rank"]) == (1, 1)
    assert (rules["splice_positions_batch"], rules["splice_features_batch"]) == (2, 2)
    assert hard.dry_run().nothing_to_do


def test_a_takes_the_genes_with_most_errors(hard: Workspace) -> None:
    plan = hard.folder / "results/hard_genes/splice/plan"
    errors = pq.read_table(plan / "errors.parquet").to_pylist()
    assert len(errors) == ELIGIBLE
    worst = sorted((row["n_fp"] + row["n_fn"] for row in errors), reverse=True)[:14]
    ranking = pq.read_table(plan / "ranking.parquet").sort_by("rank").to_pylist()
    assert [row["n_errors"] for row in ranking[:14]] == worst
    chosen = {row["gene_id"] for row in ranking[:14]}
    genes = rows_of(hard.folder / "results/hard_genes/splice", "gene_id")["gene_id"]
    assert set(genes.unique().to_pylist()) == chosen


def test_a_keeps_the_stated_share_of_easy_negatives_and_weights_make_up_for_the_rest(hard: Workspace) -> None:
    base = hard.folder / "results/hard_genes/splice"
    table = rows_of(base, "gene_id", "pred_type", "stratum", "sample_weight")
    for gene_id in table["gene_id"].unique().to_pylist():
        rows = table.filter(pc.equal(table["gene_id"], gene_id))
        others = pc.sum(pc.not_equal(rows["pred_type"].cast(pa.string()), "TN")).as_py()
        easy = pc.sum(pc.equal(rows["stratum"].cast(pa.string()), "easy")).as_py()
        assert easy == max(int(0.3 * others), 1), gene_id
    manifest = json.loads((base / "master/manifest.json").read_text())
    assert pc.sum(table["sample_weight"]).as_py() == pytest.approx(manifest["rows_before_trimming"], rel=1e-6)


# B


def test_b_builds_from_genes_of_artifacts_without_scoring_anew(
    work: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    trainyard(["splice", "genes", "results/hard_genes/splice/analysis", "--out", "genes.tsv", "--sample", "5"])
    assert "genes.tsv: 5 of 14 genes" in capsys.readouterr().out
    before = work.dates("results/hard_genes/**/*")
    configured(work, B).build()
    listed = [line.split("\t")[0] for line in Path("genes.tsv").read_text().splitlines()[1:]]
    table = rows_of(Path("results/listed_genes/splice"), "gene_id")
    assert set(table["gene_id"].unique().to_pylist()) == set(listed)
    assert len(listed) == 5
    names = open_master(Path("results/listed_genes/splice")).schema.names
    assert sum(name.startswith("6mer_") for name in names) == 4096
    assert "5 genes found" in work.logs()
    assert work.dates("results/hard_genes/**/*") == before


def test_b_takes_the_head_of_the_list_and_scores_as_a_table(work: Workspace) -> None:
    trainyard(["splice", "genes", "results/hard_genes/splice/analysis", "--out", "genes.tsv", "--head", "6"])
    table = {"model": {"scores": "results/hard_genes/splice/export/scores.parquet"}, "features": {"kmer_sizes": "0"}}
    configured(work, {**B, "splice": {**B["splice"], **table, "model": {**B["splice"]["model"], **table["model"]}}})
    work.build()
    assert "6 genes imported" in work.logs()
    columns = ("gene_id", "position", "donor_score", "acceptor_score")
    keys = [("gene_id", "ascending"), ("position", "ascending")]
    ours = rows_of(Path("results/listed_genes/splice"), *columns)
    theirs = rows_of(Path("results/hard_genes/splice"), *columns)
    both = ours.join(theirs, ["gene_id", "position"], join_type="inner", right_suffix="_a").sort_by(keys)
    assert both.num_rows > 100
    assert both["donor_score"].equals(both["donor_score_a"])
    assert both["acceptor_score"].equals(both["acceptor_score_a"])


def test_b_fills_up_a_gene_list_by_policy(work: Workspace) -> None:
    Path("genes.txt").write_text("SIM7\nDEMOG00016.1\n")
    selection = {"policy": "random", "gene_file": "genes.txt", "n_genes": 4, "batch_size": 250}
    configured(work, {**B, "splice": {"inputs": INPUTS, "selection": selection}})
    target = "results/listed_genes/splice/plan/ranking.parquet"
    assert work.snakemake("--cores", "1", target).code == 0
    ranking = pq.read_table(target).sort_by("rank").to_pylist()
    assert [row["gene_id"] for row in ranking[:2]] == ["DEMOG00007", "DEMOG00016"]
    assert [row["reason"] for row in ranking[:4]] == ["gene_file", "gene_file", "random", "random"]
    assert len(ranking) == ELIGIBLE


# C


def test_c_goes_on_with_what_is_missing_and_leaves_finished_batches_alone(
    hard: Workspace,
    open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "work"
    write_inputs(GENOME, folder / "in")
    workspace = open_workspace(folder, A, "splice_data")
    part = "results/hard_genes/splice/master/part-00001.parquet"
    run = workspace.start("--cores", "1", "splice_data")
    run.wait_until(lambda: "(Rule: splice_features_batch)" in run.log.read_text())
    run.end(signal.SIGKILL, group=True)
    run.wait_for_orphans()
    finished = workspace.dates("results/hard_genes/splice/master/part-*.parquet")
    assert len(finished) == 1
    outcome = workspace.build(cores=2)
    assert outcome.rules["splice_features_batch"] == 1
    assert not outcome.rules["splice_score_batch"]
    assert {path: date for path, date in workspace.dates(part.replace("00001", "*")).items() if path in finished} == (
        finished
    )
    master = "results/hard_genes/splice/master/*"
    assert workspace.sha256(master) == hard.sha256(master)


def test_c_only_assembles_where_all_batches_are_there(work: Workspace) -> None:
    before = work.sha256("results/hard_genes/splice/master/*")
    for name in ("manifest.json", "gene_manifest.csv"):
        (work.folder / "results/hard_genes/splice/master" / name).unlink()
    assert work.build().rules == {"splice_assemble": 1, "splice_check": 1}
    assert work.sha256("results/hard_genes/splice/master/*") == before


# D


def test_d_checks_counts_and_summarises(work: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    trainyard(["splice", "check", "results/hard_genes/splice", "--json", "check.json"])
    assert "no check failed" in capsys.readouterr().out
    found = json.loads(Path("check.json").read_text())
    assert (len(found["checks"]), found["status"]) == (12, "complete")
    trainyard(["splice", "dedup", "results/hard_genes/splice", "--audit"])
    assert "repeated rows: 0 (0.00%) in the key view" in capsys.readouterr().out
    trainyard(["splice", "summary", "results/hard_genes/splice"])
    assert "rows of 14 genes" in capsys.readouterr().out
    assert json.loads(Path("results/hard_genes/splice/summary/summary.json").read_text())["genes"] == 14
    assert "<h1>" in Path("results/hard_genes/splice/summary/summary.html").read_text()


def test_d_finds_a_damaged_part_cleans_it_away_and_the_build_mends_it(
    work: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = work.sha256("results/hard_genes/splice/master/*")
    part = Path("results/hard_genes/splice/master/part-00002.parquet")
    damaged = part.read_bytes()[:-100]
    part.unlink()
    part.write_bytes(damaged)
    with pytest.raises(IntegrityError, match="nothing was touched"):
        trainyard(["splice", "doctor", "results/hard_genes/splice"])
    assert "part-00002.parquet" in capsys.readouterr().out
    trainyard(["splice", "doctor", "results/hard_genes/splice", "--clean"])
    assert not part.exists()
    work.build()
    assert work.sha256("results/hard_genes/splice/master/*") == before
    trainyard(["splice", "doctor", "results/hard_genes/splice"])


def test_d_patches_a_dataset_of_the_published_program(work: Workspace) -> None:
    sites = pq.read_table("results/hard_genes/splice/reference/sites.parquet").slice(0, 40).to_pylist()
    taken = {"gene_id": "gene_id", "position": "t", "strand": "strand", "splice_type": "site_type"}
    rows = [{**{name: site[ours] for name, ours in taken.items()}, "tx_start": 1.0} for site in sites]
    rows += [{**row, "position": row["position"] + 20, "splice_type": None, "tx_start": None} for row in rows]
    Path("foreign/master").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), "foreign/master/batch_00001.parquet")
    reference = "results/hard_genes/splice/reference"
    trainyard(["splice", "patch", "foreign", "--reference", reference, "--out", "patched"])
    patched = pq.read_table("patched/master/batch_00001.parquet")
    assert patched.num_rows == len(rows)
    assert patched["tx_start"].null_count == patched["gene_length"].null_count == 0
    assert set(patched["label"].to_pylist()) == {0, 1, 2}


def test_d_merges_what_several_builds_made_of_disjoint_gene_lists(
    work: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    trainyard(["splice", "genes", "results/hard_genes/splice/analysis", "--out", "all.tsv"])
    genes = [line.split("\t")[0] for line in Path("all.tsv").read_text().splitlines()[1:]]
    runs = {"one": genes[:4], "two": genes[4:8]}
    for run, chosen in runs.items():
        Path(f"{run}.txt").write_text("\n".join(chosen))
        selection = {"policy": "custom", "gene_file": f"{run}.txt"}
        features = {"kmer_sizes": [1], "radius": 20}
        configured(
            work, {**B, "run": run, "splice": {**B["splice"], "selection": selection, "features": features}}
        ).build()
    capsys.readouterr()
    trainyard(["splice", "merge", "results/one/splice", "results/two/splice", "--out", "merged"])
    assert "of 8 genes in 2 parts, complete" in capsys.readouterr().out
    merged = rows_of(Path("merged"), "gene_id")
    assert set(merged["gene_id"].unique().to_pylist()) == set(genes[:8])
    assert merged.num_rows == sum(rows_of(Path(f"results/{run}/splice"), "gene_id").num_rows for run in runs)
    trainyard(["splice", "check", "merged", "--reference", "results/one/splice/reference"])
    assert "no check failed" in capsys.readouterr().out
