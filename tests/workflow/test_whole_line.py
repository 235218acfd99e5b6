"""The demo from nothing to a trained model and its report, with one command, in a folder whose name has a space."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Workspace

pytestmark = pytest.mark.skipif(find_spec("tensorflow") is None, reason="training needs TensorFlow")

RESULTS = "my results/t"
DEMO = {
    "inputs": None,
    "demo": {"stars": 12, "sectors": 1, "days": 6.0, "stamp": 5},
    "plan": {"num_shards": 2},
    "select": {"deep": None},
    "train": {"enabled": True, "epochs": 2, "conv_blocks": 1, "convs_per_block": 1},
}
TRAIN = ("model.keras", "history.csv", "res_eval.csv", "eval_by_disposition.csv", "eval_by_star.csv", "preds_test.csv")
REPORT = ("class_balance", "rejections", "windows", "masks", "history", "scores", "curves", "recovery")


@pytest.fixture(scope="module")
def demo(make_workspace: Callable[[Path], Workspace], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = make_workspace(tmp_path_factory.mktemp("demo") / "work")
    workspace.configure({"transit": DEMO, "folders": {"results": "my results"}})
    outcome = workspace.snakemake("--cores", "4")
    assert outcome.code == 0, outcome.text
    return workspace


def test_one_command_ends_with_dataset_model_and_figures(demo: Workspace) -> None:
    for name in TRAIN:
        assert (demo.folder / RESULTS / "transit" / "train" / name).stat().st_size > 0
    for name in REPORT:
        figure = demo.folder / RESULTS / "transit" / "report" / f"{name}.png"
        assert figure.read_bytes().startswith(b"\x89PNG")
    assert (demo.folder / RESULTS / "transit" / "check" / "check.json").is_file()
    assert "Traceback" not in demo.logs()


def test_after_touching_the_files_of_the_demo_there_is_nothing_to_do(demo: Workspace) -> None:
    for path in demo.files(f"{RESULTS}/demo/**/*"):
        path.touch()
    assert demo.snakemake("--cores", "4").nothing_to_do


def test_training_with_one_core_gives_the_bytes_of_training_with_four(demo: Workspace) -> None:
    before = demo.sha256(f"{RESULTS}/**/*")
    for part in ("train", "report"):
        shutil.rmtree(demo.folder / RESULTS / "transit" / part)
    outcome = demo.snakemake("--cores", "1")
    assert {"transit_train", "transit_evaluate", "transit_plot_scores"} <= {job.rule for job in outcome.finished}
    assert demo.sha256(f"{RESULTS}/**/*") == before


def test_a_report_can_be_made(demo: Workspace) -> None:
    outcome = demo.snakemake("--report", "report.html")
    assert outcome.code == 0, outcome.text
    assert (demo.folder / "report.html").stat().st_size > 100_000
