"""What has changed is built again with all that depends on it; what was only touched is not."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from astropy.io import fits

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

PLAN, CHECK = {"transit_plan": 1}, {"transit_check": 1}
SELECT = {"transit_select": 2, "transit_materialize_shards": 3}
NORMALIZE = {"transit_normalize_shards": 3, "transit_materialize_shards": 3, **CHECK}
FIT = {"transit_fit_statistics": 1, **NORMALIZE}
SAMPLE = {"transit_sample_shards": 3, **FIT}
SPLIT = {"transit_split_shards": 3, **SAMPLE, **SELECT}
BUILD = {"transit_build_shards": 3, **SPLIT}
TRAINING = {"transit_train": 1, "transit_evaluate": 1, "transit_plot_scores": 1}
ONE_SHARD = {"transit_build_shards": 1, "transit_split_shards": 1, "transit_sample_shards": 1}

ChangeCode = Callable[[Callable[[Path], object]], Path]


def test_a_second_run_does_nothing_and_changes_no_file(built: Workspace) -> None:
    dates = built.dates()
    assert built.build().nothing_to_do
    assert built.dates() == dates


def test_after_touching_every_input_there_is_nothing_to_do(built: Workspace) -> None:
    for path in built.files("in/**/*"):
        path.touch()
    assert built.build().nothing_to_do


def test_in_a_clone_of_the_code_there_is_nothing_to_do(built: Workspace, tmp_path: Path, code: Path) -> None:
    repository, clone = tmp_path / "repository", tmp_path / "clone"
    for command in (
        ["git", "init", "--quiet", str(repository)],
        ["git", f"--git-dir={repository}/.git", f"--work-tree={code}", "add", "--all"],
        ["git", f"--git-dir={repository}/.git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all"],
        ["git", "clone", "--quiet", str(repository), str(clone)],
    ):
        subprocess.run(command, check=True, cwd=code)
    built.code = clone
    assert built.build().nothing_to_do


def test_after_remarks_in_every_module_there_is_nothing_to_do(built: Workspace, changed_code: ChangeCode) -> None:
    def remark(folder: Path) -> None:
        paths = [*folder.glob("src/**/*.py"), *folder.glob("workflow_scripts/*.py")]
        assert len(paths) > 50
        for path in paths:
            text = re.sub(r'^""".*?"""', '"""Another docstring."""', path.read_text(), count=1, flags=re.DOTALL)
            path.write_text(f"# A comment.\n{text}\n\n# Another.\n")

    built.code = changed_code(remark)
    assert built.build().nothing_to_do


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("windows", BUILD),
        ("split", PLAN | SPLIT | CHECK),
        ("statistics", SAMPLE),
        ("normalize", NORMALIZE),
        ("expressions", SELECT),
        ("check", CHECK),
        ("train/fit", {}),
    ],
)
def test_a_changed_constant_reruns_what_runs_its_module_and_what_depends_on_that(
    built: Workspace, changed_code: ChangeCode, module: str, expected: dict[str, int]
) -> None:
    built.code = changed_code(lambda folder: _change_a_number(folder / f"src/trainyard/transit/{module}.py"))
    assert built.dry_run().rules == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"build": {"windows": {"n_durations_window": 4.5}}}, BUILD, id="windows"),
        pytest.param({"plan": {"tce_example_disps": ["EB"]}}, PLAN | BUILD, id="which rows become examples"),
        pytest.param({"plan": {"max_reject_fraction": 0.4}}, PLAN | CHECK, id="limit of rejects"),
        pytest.param({"split": {"train": 0.01, "val": 0.98}}, PLAN | SPLIT, id="split"),
        pytest.param({"statistics": {"max_examples_per_tce": 2}}, SAMPLE, id="statistics"),
        pytest.param({"normalize": {"flux": "robust"}}, NORMALIZE, id="normalize"),
        pytest.param({"select": {"balanced": {"quota": 2.0}}}, {"transit_select": 1}, id="one selection"),
        pytest.param({"select": {"more": {}}}, {"transit_select": 1}, id="one more selection"),
        pytest.param({"select": {"deep": None}}, {}, id="one selection less"),
        pytest.param({"report": {"light_curves": 1}}, {}, id="what no data depend on"),
    ],
)
def test_a_changed_value_reruns_what_reads_it_and_what_depends_on_that(
    built: Workspace, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    built.configure({"transit": changes})
    assert built.dry_run().rules == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"train": {"learning_rate": 0.1}}, TRAINING, id="step size"),
        pytest.param({"train": {"seed": 25}}, TRAINING, id="seed"),
        pytest.param({"train": {"missing_images": "zero"}}, TRAINING, id="examples without images"),
        pytest.param({"train": {"selection": "deep"}}, TRAINING, id="selection"),
        pytest.param(
            {"select": {"balanced": {"quota": 2.0}}}, {"transit_select": 1, **TRAINING}, id="what is selected"
        ),
        pytest.param({"select": {"more": {}}}, {"transit_select": 1}, id="another selection"),
    ],
)
def test_what_shapes_the_model_trains_it_again_and_builds_nothing(
    trained: Workspace, tmp_path: Path, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    workspace = trained.copy(tmp_path / "again")
    workspace.configure({"transit": changes})
    assert workspace.dry_run(target="transit").rules == expected


def test_code_of_training_trains_again_and_that_of_evaluation_evaluates_again(
    trained: Workspace, tmp_path: Path, changed_code: ChangeCode
) -> None:
    workspace = trained.copy(tmp_path / "again")
    workspace.code = changed_code(lambda folder: _change_a_number(folder / "src/trainyard/transit/train/fit.py"))
    assert workspace.dry_run(target="transit").rules == TRAINING
    evaluation = workspace.code / "src/trainyard/transit/train"
    (evaluation / "fit.py").write_bytes((trained.code / "src/trainyard/transit/train/fit.py").read_bytes())
    _change_a_number(evaluation / "evaluate.py")
    assert workspace.dry_run(target="transit").rules == {"transit_evaluate": 1, "transit_plot_scores": 1}


def test_only_the_files_of_a_changed_selection_are_made_again(built: Workspace) -> None:
    before = built.dates()
    built.configure({"transit": {"select": {"deep": {"where": "label == 1"}}}})
    assert built.build().rules == {"transit_select": 1, "transit_materialize_shards": 3}
    changed = {path for path, date in built.dates().items() if date != before[path]}
    assert changed
    assert all(path.startswith("results/t/transit/select/deep/") for path in changed)


def test_a_changed_light_curve_reruns_the_shard_of_its_star(built: Workspace) -> None:
    with fits.open(built.files("in/lc/**/*.fits")[0], mode="update", checksum=True) as file:
        file[1].data["PDCSAP_FLUX"] *= 1.01
    rules = built.dry_run().rules
    assert {rule: rules[rule] for rule in ONE_SHARD} == ONE_SHARD


def test_a_moved_archive_is_planned_again_and_not_built_again(built: Workspace) -> None:
    (built.folder / "in").rename(built.folder / "moved")
    inputs = {"tce_table": "moved/tces.csv", "light_curves": ["moved/lc"], "target_pixels": ["moved/tp"]}
    built.configure({"transit": {"inputs": inputs}})
    assert built.dry_run().rules == PLAN | CHECK


def test_a_lost_file_is_made_again_with_the_same_bytes(
    built: Workspace, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    (built.folder / "results/t/transit/norm/train/norm_train_shard_0002-0003.tfrecord").unlink()
    built.build()
    assert built.sha256() == finished[0].sha256()


def _change_a_number(path: Path) -> None:
    """Add one to the first number in a module."""
    text = path.read_text()
    numbers = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    number = next(node for node in numbers if type(node.value) in (int, float))
    lines = text.splitlines(keepends=True)
    line = lines[number.lineno - 1]
    lines[number.lineno - 1] = f"{line[: number.col_offset]}{number.value + 1}{line[number.end_col_offset :]}"
    path.write_text("".join(lines))
