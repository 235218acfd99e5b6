from __future__ import annotations

import json
from contextlib import contextmanager

import numpy as np
import pytest

from trainyard.voxel import plots
from trainyard.voxel.store import Store
from trainyard.voxel.train import plots as train_plots
from trainyard.voxel.train.evaluate import evaluate
from trainyard.yard import waterfall
from trainyard.yard.errors import InputError
from trainyard.yard.files import write_json
from trainyard.yard.plotting import figure
from workflow_scripts import voxel_evaluate, voxel_plot_data, voxel_plot_scores, voxel_train

PNG = b"\x89PNG\r\n\x1a\n"
OF_STORE = {
    "density": plots.grid_density,
    "rmsf": plots.rmsf_by_temperature,
    "projections": plots.voxel_projections,
    "rejections": plots.rejections_of_store,
}
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def scored(tmp_path_factory, store_folder, trained, settings):
    out = tmp_path_factory.mktemp("scored")
    evaluate(store_folder, trained, out, settings)
    (out / "history.csv").write_bytes((trained / "history.csv").read_bytes())
    return out


def predictions(folder):
    return [folder / f"predictions_{split}.csv" for split in SPLITS]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, kept for inspection."""
    kept = []

    @contextmanager
    def keeping(out, **size):
        with figure(out, **size) as drawing:
            kept.append(drawing)
            yield drawing

    for module in (plots, train_plots, waterfall):
        monkeypatch.setattr(module, "figure", keeping)
    return kept


def labels(drawing):
    axes = drawing.get_axes()
    return {one.get_xlabel() for one in axes}, {one.get_ylabel() for one in axes}


@pytest.mark.parametrize("name", [*OF_STORE, "history", "predictions", "temperatures", "strata"])
def test_every_figure_is_a_png_with_the_same_bytes_each_time(name, tmp_path, store_folder, scored):
    of_scores = {
        "history": lambda out: train_plots.training_history(scored / "history.csv", out),
        "predictions": lambda out: train_plots.predicted_against_true(predictions(scored), out, max_points=10),
        "temperatures": lambda out: train_plots.scores_by_temperature(scored / "evaluation.json", out),
        "strata": lambda out: train_plots.errors_by_stratum(scored / "evaluation.json", out),
    }
    for i in range(2):
        out = tmp_path / f"{i}.png"
        OF_STORE[name](store_folder, out) if name in OF_STORE else of_scores[name](out)
    first, second = ((tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert first == second
    assert first.startswith(PNG)
    assert b"matplotlib" not in first.lower()


def test_axes_carry_units(tmp_path, store_folder, scored, drawn):
    out = tmp_path / "x.png"
    plots.rmsf_by_temperature(store_folder, out)
    plots.voxel_projections(store_folder, out)
    train_plots.training_history(scored / "history.csv", out)
    train_plots.predicted_against_true(predictions(scored), out, max_points=10)
    train_plots.scores_by_temperature(scored / "evaluation.json", out)
    train_plots.errors_by_stratum(scored / "evaluation.json", out)
    rmsf, voxels, history, predicted, temperatures, strata = map(labels, drawn)
    assert rmsf[0] == {"temperature, K"}
    assert any(label.startswith("RMSF, nm") for label in rmsf[1])
    assert voxels == ({"x, Å", "y, Å"}, {"y, Å", "z, Å"})
    assert history == ({"epoch"}, {"MSE, nm²", "Pearson correlation", "learning rate"})
    assert predicted == ({"true RMSF, nm"}, {"predicted RMSF, nm"})
    assert temperatures[0] == {"temperature, K"}
    assert "RMSE, nm" in temperatures[1]
    assert strata[0] == {"mean absolute error, nm"}


def test_density_counts_every_grid_in_its_split(tmp_path, store_folder, drawn):
    plots.grid_density(store_folder, tmp_path / "d.png")
    left, right = drawn[0].get_axes()
    store = Store(store_folder)
    nnz = np.diff(store.gather(np.arange(len(store))).indptr)
    split = np.array(store.residues["split"].to_pylist())
    wanted = [f"{name}: {np.sum(split == name)}, mean {nnz[split == name].mean():.1f}" for name in SPLITS]
    assert left.get_legend_handles_labels()[1] == wanted
    assert all(np.isclose(patch.get_data().values.sum(), 1) for patch in left.patches)
    assert sum(bar.get_height() for bar in right.patches) == pytest.approx(nnz.mean())


def test_projections_are_sums_of_the_named_residue_along_each_axis(tmp_path, store_folder, drawn):
    plots.voxel_projections(store_folder, tmp_path / "p.png")
    store = Store(store_folder)
    (title,) = [text.get_text() for text in drawn[0].texts]
    names = [
        f"{r['domain']}, chain {r['chain']}, {r['label']} {r['residue']} ({r['split']})"
        for r in store.residues.to_pylist()
    ]
    grid = store.expand(np.array([names.index(title)]))[0]
    shown = [axes.get_images()[0].get_array().filled(0) for axes in drawn[0].get_axes()]
    for row, axis in enumerate((2, 1, 0)):
        for channel in range(5):
            assert np.array_equal(shown[5 * row + channel], grid[channel].sum(axis=axis).T)


def test_boxes_are_the_percentiles_of_the_targets(tmp_path, store_folder, drawn):
    plots.rmsf_by_temperature(store_folder, tmp_path / "r.png")
    samples = Store(store_folder).samples("val")
    kelvin, target = samples["temperature"].to_numpy(), samples["target"].to_numpy()
    axes = drawn[0].get_axes()[1]
    assert axes.get_title(loc="left") == "val: 72 samples"
    medians = [line.get_ydata()[0] for line in axes.get_lines() if line.get_color() == plots.BLUE]
    assert medians == pytest.approx([np.median(target[kelvin == one]) for one in np.unique(kelvin)])


def test_panels_show_the_scores_of_their_own_temperature(tmp_path, scored, drawn):
    train_plots.predicted_against_true(predictions(scored), tmp_path / "p.png", max_points=10)
    report = json.loads((scored / "evaluation.json").read_text())["splits"]["test"]["by_temperature"]
    assert len(report) == len(drawn[0].get_axes()) == 3
    for axes, group in zip(drawn[0].get_axes(), report, strict=True):
        assert axes.get_title(loc="left") == f"{group['temperature']:g} K, 24 samples"
        assert f"Pearson {group['model']['pearson']:.3f}" in axes.texts[0].get_text()
        assert len(axes.get_lines()[0].get_xdata()) == 8  # Every third of 24, since at most 10 are wanted.


def test_bars_are_the_scores_of_the_evaluation(tmp_path, scored, drawn):
    train_plots.scores_by_temperature(scored / "evaluation.json", tmp_path / "t.png")
    report = json.loads((scored / "evaluation.json").read_text())["splits"]["test"]["by_temperature"]
    _, errors, skill = drawn[0].get_axes()
    found = [[bar.get_height() for bar in container] for container in errors.containers]
    assert found == [[g[name]["rmse"] for g in report] for name in ("model", "temperature_mean", "residue_mean")]
    assert [line.get_label() for line in skill.get_lines()[:3]] == list(SPLITS)


def test_the_last_split_with_samples_is_shown(tmp_path, scored, drawn):
    files = predictions(scored)
    empty = tmp_path / "predictions_test.csv"
    empty.write_text(files[2].read_text().splitlines(keepends=True)[0])
    train_plots.predicted_against_true([files[1], empty], tmp_path / "p.png", max_points=10)
    train_plots.predicted_against_true([empty], tmp_path / "q.png", max_points=10)
    assert drawn[0].texts[0].get_text() == "val split"
    assert drawn[1].get_axes()[0].texts[0].get_text() == "no split has samples"


def test_an_evaluation_without_test_is_drawn_from_val(tmp_path, scored, drawn):
    report = json.loads((scored / "evaluation.json").read_text())
    report["splits"]["test"] = None
    write_json(tmp_path / "evaluation.json", report)
    train_plots.scores_by_temperature(tmp_path / "evaluation.json", tmp_path / "t.png")
    train_plots.errors_by_stratum(tmp_path / "evaluation.json", tmp_path / "s.png")
    assert drawn[0].get_axes()[1].get_title(loc="left") == "val: error"
    assert drawn[1].get_axes()[0].get_title(loc="left").startswith("val: residue name")


def test_a_waterfall_ends_at_what_was_kept(tmp_path):
    rejected = {f"reason_{i:02d}": 1 for i in range(14)} | {"edge": 6}
    kinds = {"grid": {"expected": 50, "kept": 30, "rejected": rejected}}
    for i in range(2):
        write_json(tmp_path / f"{i}.json", {"kinds": kinds})
    totals = waterfall.sum_ledgers([tmp_path / "0.json", tmp_path / "1.json"])["grid"]
    steps = waterfall.waterfall(totals)
    assert steps[:2] == [("expected", 0, 100), ("edge", 88, 100)]
    assert steps[-2:] == [("3 other reasons", 60, 66), ("kept", 0, 60)]


def test_an_empty_ledger_is_said_in_the_figure(tmp_path, drawn):
    waterfall.rejections([], tmp_path / "w.png")
    assert drawn[0].get_axes()[0].texts[0].get_text() == "the ledgers are empty"


@pytest.mark.parametrize("content", ["", "epoch,lr\n1,2\n", "epoch,best\n1,0\n", "epoch,best\n1,x\n", "best\n1\n"])
def test_a_file_that_is_no_history_is_named(content, tmp_path):
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(InputError, match=r"history\.csv"):
        train_plots.training_history(tmp_path / "history.csv", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", "{}", '{"splits": {"test": null, "val": null, "train": null}}', '{"splits": {"test": {}}}'],
)
def test_a_file_that_is_no_evaluation_is_named(content, tmp_path):
    (tmp_path / "evaluation.json").write_text(content)
    for draw in (train_plots.scores_by_temperature, train_plots.errors_by_stratum):
        with pytest.raises(InputError, match=r"evaluation\.json"):
            draw(tmp_path / "evaluation.json", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_a_file_that_is_no_table_of_predictions_is_named(tmp_path):
    (tmp_path / "predictions_test.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"predictions_test\.csv"):
        train_plots.predicted_against_true([tmp_path / "predictions_test.csv"], tmp_path / "p.png", max_points=1)


@pytest.mark.parametrize("content", ['{"kinds": {"a": 1}}', "{}", "[]", "no json"])
def test_a_file_that_is_no_ledger_is_named(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json"):
        waterfall.rejections([tmp_path / "x.json"], tmp_path / "out.png")


def test_the_commands_lead_from_the_store_to_the_figures(tmp_path, store_folder, settings, capsys):
    quick = settings.model_copy(update={"num_epochs": 1}).model_dump_json()
    store, out = ["--store", str(store_folder)], str(tmp_path)
    voxel_train.main([*store, "--settings", quick, "--out", out])
    voxel_evaluate.main([*store, "--model", out, "--settings", quick, "--out", out])
    for name in OF_STORE:
        voxel_plot_data.main(["--figure", name, *store, "--out", str(tmp_path / f"{name}.png")])
    files = ["--history", f"{out}/history.csv", "--evaluation", f"{out}/evaluation.json"]
    files += ["--predictions", *map(str, predictions(tmp_path))]
    voxel_plot_scores.main([*files, "--max-points", "100", "--out", out])
    wanted = {*OF_STORE, "history", "predictions", "temperatures", "strata"}
    assert {path.stem for path in tmp_path.glob("*.png")} == wanted
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(OF_STORE) + 1
