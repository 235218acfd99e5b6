"""The meta-model of the splice line, run for real: reruns, and equal bytes after kills and on any number of cores."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trainyard.demo.splice import ANNOTATION, FASTA, write_inputs
from trainyard.splice.settings import SpliceDemoSettings
from trainyard.splice.train.evaluate import PREDICTIONS

if TYPE_CHECKING:
    from conftest import Workspace

GENOME = SpliceDemoSettings()
IDS = [f"DEMOG{number:05d}" for number in range(1, GENOME.genes + 1)]
GROUPS, BASELINE = "in/groups.csv", "in/baseline.tsv"
CONFIG: Mapping[str, Any] = {
    "run": "t",
    "lines": ["splice"],
    "splice": {
        "inputs": {"source": "files", "fasta": f"in/{FASTA}", "annotation": f"in/{ANNOTATION}"},
        "selection": {"n_genes": 12, "batch_size": 7},
        "sampling": {"window": 10},
        "features": {"kmer_sizes": [2], "radius": 50, "context_radii": [10]},
        "split": {"rule": "group", "train": 0.5, "val": 0.25, "group_table": GROUPS},
        "train": {"rounds": 8, "ablation_rounds": 4, "bootstrap": 50, "full_check_genes": 1, "baseline": BASELINE},
    },
}
BASE = "results/t/splice"
TABLES = {
    "baseline_metrics.tsv",
    "meta_metrics.tsv",
    "delta_vs_baseline.csv",
    "topk.csv",
    "calibration.csv",
    "feature_importance_all.csv",
    "full_positions.csv",
}
TRAINED = {
    *TABLES,
    *("pruned_features.json", "model.ubj", "model_card.json", "feature_manifest.csv", "history.csv"),
    *("metrics.json", "predictions_val.parquet", "predictions_test.parquet", "probes.json", "ablations.csv"),
}
FIGURES = {
    *("class_balance", "strata", "base_scores", "outcome_scores", "features", "rejections"),
    *("history", "precision_recall", "scores", "delta", "top_k", "full_positions", "calibration", "importance"),
    "ablations",
}
# Figures of the history and of the ablations are drawn from what the evaluation does not write.
EVALUATED = {"splice_evaluate": 1, "splice_plot_scores": 7}
FITTED = {"splice_train": 1, "splice_evaluate": 1, "splice_probe": 1, "splice_plot_scores": 9}
ASSEMBLED = {"splice_assemble": 1, "splice_check": 1, "splice_prune": 1, **FITTED}


@pytest.fixture(scope="module")
def make_training(open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace]) -> Callable[[Path], Workspace]:
    """Makes a folder with a simulated genome, a table of groups and an outside baseline."""

    def make(folder: Path) -> Workspace:
        write_inputs(GENOME, folder / "in")
        (folder / GROUPS).write_text(f"gene_id,group\n{IDS[0]},one\n{IDS[1]},one\n")
        counts = [f"{gene}\t{kind}\t5\t1\t1\n" for gene in IDS for kind in ("donor", "acceptor")]
        (folder / BASELINE).write_text("".join(["gene_id\tsplice_type\tTP\tFP\tFN\n", *counts]))
        return open_workspace(folder, CONFIG, "splice")

    return make


@pytest.fixture(scope="module")
def finished_training(
    make_training: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """The whole line with four cores: dataset, model, report; to be copied, not changed."""
    workspace = make_training(tmp_path_factory.mktemp("training") / "work")
    workspace.build()
    return workspace


@pytest.fixture
def trained_genes(finished_training: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished build, to go on from."""
    return finished_training.copy(tmp_path / "trained")


def content(workspace: Workspace) -> dict[str, str]:
    """Digest of every file of the results; the index of the FASTA is a cache, named by the date of the FASTA."""
    return {path: digest for path, digest in workspace.sha256().items() if "/reference/genome-" not in path}


def test_every_stage_writes_its_files_and_a_second_run_does_nothing(trained_genes: Workspace) -> None:
    assert {path.name for path in trained_genes.files(f"{BASE}/train/**/*")} == TRAINED
    assert {path.stem for path in trained_genes.files(f"{BASE}/report/*.png")} == FIGURES
    metrics = json.loads((trained_genes.folder / BASE / "train/metrics.json").read_text())
    assert metrics["baseline"] == f"outside:{Path(BASELINE).name}"
    assert len(metrics["full_positions"]["genes"]) == 1
    dates = trained_genes.dates()
    assert trained_genes.build().nothing_to_do
    for path in trained_genes.files("in/**/*"):
        path.touch()
    assert trained_genes.dry_run().nothing_to_do
    assert trained_genes.dates() == dates


def _fitted(workspace: Workspace) -> bool:
    return (workspace.folder / BASE / "train/model.ubj").exists()


def _scored(workspace: Workspace) -> bool:
    return (workspace.folder / BASE / "train/predictions_val.parquet").exists()


def test_after_kills_the_same_command_ends_with_the_same_bytes(
    finished_training: Workspace, trained_genes: Workspace
) -> None:
    for part in ("train", "report"):
        shutil.rmtree(trained_genes.folder / BASE / part)
    command = ("--cores", "2", "splice")
    for rule, moment in (("splice_train", _fitted), ("splice_evaluate", _scored)):
        run = trained_genes.start(*command)
        run.wait_until(lambda moment=moment: moment(trained_genes))
        killed = run.end(signal.SIGKILL, group=True)
        assert killed.code == -signal.SIGKILL
        assert rule in killed.rules
        assert rule not in {job.rule for job in killed.finished}
        run.wait_for_orphans()
    last = trained_genes.snakemake(*command)
    assert last.code == 0, last.text
    assert last.rules["splice_evaluate"] == 1
    assert not {"splice_prune", "splice_train"} & set(last.rules)
    assert trained_genes.sha256() == finished_training.sha256()


def test_one_core_gives_the_model_and_the_predictions_of_four(
    make_training: Callable[[Path], Workspace], finished_training: Workspace, tmp_path: Path
) -> None:
    alone = make_training(tmp_path / "alone")
    outcome = alone.snakemake("--cores", "1", "splice_evaluate", "splice_probe")
    assert outcome.code == 0, outcome.text
    found, wanted = content(alone), content(finished_training)
    assert {f"{BASE}/train/{name}" for name in TRAINED} <= found.keys()
    assert found == {path: wanted.get(path) for path in found}


@pytest.mark.parametrize(
    ("change", "rerun"),
    [
        pytest.param({"train": {"rounds": 9}}, FITTED, id="model"),
        pytest.param({"train": {"bootstrap": 60}}, EVALUATED, id="evaluation"),
        pytest.param({"train": {"ablation_rounds": 5}}, {"splice_probe": 1, "splice_plot_scores": 1}, id="probes"),
        pytest.param({"prune": {"corr_thr": 0.9}}, {"splice_prune": 1, **FITTED}, id="pruning"),
        # Of the figures of the dataset, class balance and features are drawn from what is assembled.
        pytest.param(
            {"selection": {"max_failed_genes": 0.5}}, {**ASSEMBLED, "splice_plot_data": 2}, id="genes that may fail"
        ),
    ],
)
def test_a_changed_value_reruns_what_depends_on_it(
    trained_genes: Workspace, change: dict[str, Any], rerun: dict[str, int]
) -> None:
    assert trained_genes.configure({"splice": change}).dry_run().rules == rerun


@pytest.mark.parametrize(
    ("name", "row", "rerun"),
    [
        pytest.param(
            GROUPS, f"{IDS[2]},one\n", {"splice_split": 1, **ASSEMBLED, "splice_plot_data": 3}, id="groups of the split"
        ),
        pytest.param(BASELINE, f"{IDS[0]}\tdonor\t1\t1\t1\n", EVALUATED, id="outside baseline"),
    ],
)
def test_changed_contents_of_a_table_rerun_what_reads_it(
    trained_genes: Workspace, name: str, row: str, rerun: dict[str, int]
) -> None:
    with (trained_genes.folder / name).open("a") as table:
        table.write(row)
    assert trained_genes.dry_run().rules == rerun


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        pytest.param("sgd_logistic", {"epochs": 3}, id="sgd_logistic"),
        pytest.param("sklearn.ensemble.ExtraTreesClassifier", {"n_estimators": 5}, id="scikit-learn"),
    ],
)
def test_other_models_are_trained_and_evaluated(
    trained_genes: Workspace, model: str, parameters: dict[str, Any]
) -> None:
    folder = trained_genes.folder / BASE / "train"
    before = PREDICTIONS.read(folder / "predictions_test.parquet")
    trained_genes.configure({"splice": {"train": {"model": model, "parameters": parameters}}})
    outcome = trained_genes.snakemake("--cores", "2", "splice_evaluate")
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"splice_train": 1, "splice_evaluate": 1}
    card = json.loads((folder / "model_card.json").read_text())["model"]
    assert (card["name"], card["file"]) == (model, "model.json")
    assert hashlib.sha256((folder / card["file"]).read_bytes()).hexdigest() == card["sha256"]
    after = PREDICTIONS.read(folder / "predictions_test.parquet")
    meta = [name for name in PREDICTIONS.names if name.startswith("meta_")]
    assert after.drop_columns(meta).equals(before.drop_columns(meta))
    assert not after.select(meta).equals(before.select(meta))
    metrics = json.loads((folder / "metrics.json").read_text())
    learned = [row for row in metrics["metrics"]["meta"] if (row["split"], row["weighting"]) == ("test", "rows")]
    assert {row["splice_type"] for row in learned} == {"donor", "acceptor"}
    assert all(row["auprc"] > 2 * row["n_sites"] / row["n_rows"] for row in learned)
