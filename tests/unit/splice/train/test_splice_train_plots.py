"""Figures of the meta-model: drawn from tables alone, the same bytes each time, and with what the tables say."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from trainyard.splice.train import plots
from trainyard.splice.train.evaluate import evaluate
from trainyard.splice.train.fit import train
from trainyard.splice.train.sanity import probe
from trainyard.yard.errors import InputError, TrainyardError
from trainyard.yard.plotting import figure
from workflow_scripts import splice_plot_scores

TABLES = {
    "history": "history.csv",
    "precision_recall": "predictions_test.parquet",
    "scores": "predictions_test.parquet",
    "delta": "delta_vs_baseline.csv",
    "top_k": "topk.csv",
    "full_positions": "full_positions.csv",
    "calibration": "calibration.csv",
    "importance": "feature_importance_all.csv",
    "ablations": "ablations.csv",
}


@pytest.fixture(scope="module", params=["multiclass", "binary"])
def results(request, simulated, quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    settings = quick.model_copy(
        update={"target": request.param, "families": ["base", "motif"], "probes": False, "rounds": 10}
    )
    train(simulated.master, simulated.splits, simulated.pruned, out, settings)
    evaluate(simulated.master, simulated.splits, out, out, settings)
    probe(simulated.master, simulated.splits, simulated.pruned, out, settings)
    return out


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, kept for inspection."""
    kept = []

    @contextmanager
    def keeping(out, **size):
        with figure(out, **size) as drawing:
            kept.append(drawing)
            yield drawing

    monkeypatch.setattr(plots, "figure", keeping)
    return kept


def test_there_is_a_table_for_every_figure():
    assert set(TABLES) == set(plots.FIGURES)


def test_every_figure_is_a_png_with_the_same_bytes_each_time(results, tmp_path):
    for name, table in TABLES.items():
        for i in range(2):
            options = ["--figure", name, "--input", str(results / table), "--out", str(tmp_path / f"{name}{i}.png")]
            splice_plot_scores.main(options)
        first, second = ((tmp_path / f"{name}{i}.png").read_bytes() for i in range(2))
        assert first == second
        assert first.startswith(b"\x89PNG\r\n\x1a\n")


def test_panels_are_site_types_and_legends_name_the_predictors(results, tmp_path, drawn):
    plots.precision_recall(results / "predictions_test.parquet", tmp_path / "x.png")
    axes = drawn[0].get_axes()
    assert len(axes) in (1, 2)
    for one in axes:
        assert one.get_xlabel() == "recall"
        labels = [text.get_text() for text in one.get_legend().get_texts()]
        assert [label.split(",")[0] for label in labels] == ["base", "meta"]


def test_bars_of_top_k_are_as_high_as_the_table_says(results, tmp_path, drawn):
    import csv

    with (results / "topk.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    plots.top_k(results / "topk.csv", tmp_path / "x.png")
    heights = sorted(bar.get_height() for axes in drawn[0].get_axes() for bar in axes.patches)
    assert heights == pytest.approx(sorted(float(row["accuracy"]) for row in rows))


def test_the_line_of_the_history_is_at_the_best_round(tmp_path, drawn):
    (tmp_path / "history.csv").write_text("round,train_mlogloss,val_mlogloss\n1,3,4\n2,2,2\n3,1,3\n")
    plots.history(tmp_path / "history.csv", tmp_path / "x.png")
    labels = [text.get_text() for text in drawn[0].get_axes()[0].get_legend().get_texts()]
    assert labels == ["train mlogloss", "val mlogloss", "round 2"]


def test_a_model_without_rounds_has_a_figure_that_says_so(tmp_path, drawn):
    (tmp_path / "history.csv").write_text("round\n")
    plots.history(tmp_path / "history.csv", tmp_path / "x.png")
    assert "not trained in rounds" in drawn[0].get_axes()[0].texts[0].get_text()


def test_figures_over_every_position_stand_beside_those_of_rows(tmp_path, drawn):
    header = "splice_type,predictor,basis,positions,auprc,tp,fp,fn,precision,recall,f1"
    areas = {("base", "estimated"): 0.5, ("base", "all_positions"): 0.4, ("meta", "estimated"): 0.6}
    areas |= {("meta", "all_positions"): 0.2}
    rows = [f"donor,{one},{basis},10,{area},1,1,1,0.5,0.5,0.5" for (one, basis), area in areas.items()]
    (tmp_path / "full.csv").write_text("\n".join([header, *rows]) + "\n")
    plots.full_positions(tmp_path / "full.csv", tmp_path / "x.png")
    heights = [[bar.get_height() for bar in box] for box in drawn[0].get_axes()[0].containers]
    assert heights == [[0.5, 0.6], [0.4, 0.2]]
    (tmp_path / "full.csv").write_text(header + "\n")
    plots.full_positions(tmp_path / "full.csv", tmp_path / "x.png")
    assert "no test gene" in drawn[1].get_axes()[0].texts[0].get_text()


def test_curves_are_drawn_by_few_points_and_end_where_all_sites_are_found(tmp_path):
    draw = np.random.default_rng(1)
    score = draw.random(10_000).astype(np.float32)
    found = plots.curve(score, draw.random(10_000) < 0.1, np.ones(10_000, np.float32))
    recall, precision = plots._steps(found)
    assert recall.size <= plots._POINTS + 1
    assert recall[-1] == 1.0
    assert precision[-1] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.endswith(".csv")])
def test_another_table_is_refused_with_its_name(name, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"x\.csv"):
        plots.FIGURES[name](tmp_path / "x.csv", tmp_path / "x.png")
    with pytest.raises(TrainyardError):
        plots.FIGURES[name](tmp_path / "absent.csv", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
