"""Figures of the dataset: drawn from its tables alone, and with what the tables say."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import built, small_settings

from trainyard.splice import plots
from trainyard.splice.naming import figure_inputs
from trainyard.splice.schema import GENES
from trainyard.splice.settings import SpliceSplitSettings
from trainyard.splice.split import SPLIT, write_split
from trainyard.yard.errors import InputError, TrainyardError
from trainyard.yard.files import write_json
from trainyard.yard.plotting import figure
from workflow_scripts import splice_plot_data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A build of 24 genes, what each figure is drawn from, and its rows."""
    folder = tmp_path_factory.mktemp("build")
    build = built(folder, n_genes=24, settings=small_settings(selection={"batch_size": 10}))
    split = folder / "split" / "split.parquet"
    table = GENES.read(folder / "reference" / "genes.parquet")
    settings = SpliceSplitSettings(rule="group", train=0.5, val=0.2)
    write_split(table, split, settings, held_out=[], planned=build.genes)
    build.assembled()
    parts = sorted(build.master.glob("part-*.parquet"))
    rows = pa.concat_tables([pq.read_table(path) for path in parts]).to_pandas()
    splits = SPLIT.read(split).select(["gene_id", "split"]).to_pandas()
    inputs = {name: figure_inputs(name, folder, len(parts)) for name in plots.FIGURES}
    return SimpleNamespace(build=build, inputs=inputs, rows=rows.merge(splits, on="gene_id"))


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


def bars(axes):
    """Heights by label of the legend and place."""
    return {box.get_label(): [bar.get_height() for bar in box] for box in axes.containers}


@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_is_a_png_with_the_same_bytes_each_time(name, dataset, tmp_path):
    for i in range(2):
        options = ["--base", str(dataset.build.base), "--batches", "3", "--out", str(tmp_path / f"{i}.png")]
        splice_plot_data.main(["--figure", name, *options])
    first, second = ((tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG\r\n\x1a\n")


def test_bars_of_classes_and_outcomes_are_the_rows_of_the_dataset(dataset, drawn, tmp_path):
    plots.draw("class_balance", dataset.inputs["class_balance"], tmp_path / "x.png")
    left, right = (bars(axes) for axes in drawn[0].get_axes())
    order = ["train", "val", "test", "none"]
    for code, name in enumerate(("neither", "donor", "acceptor")):
        counts = dataset.rows[dataset.rows["label"] == code]["split"].value_counts()
        assert left[name] == [counts.get(split, 0) for split in order]
    for name in ("TP", "FN", "FP", "TN"):
        counts = dataset.rows[dataset.rows["pred_type"] == name]["split"].value_counts()
        assert right[name] == [counts.get(split, 0) for split in order]


def test_strata_are_told_in_rows_and_in_the_positions_that_they_stand_for(dataset, drawn, tmp_path):
    plots.draw("strata", dataset.inputs["strata"], tmp_path / "x.png")
    rows, positions = (bars(axes) for axes in drawn[0].get_axes())
    for stratum, name in plots.STRATUM_NAMES.items():
        mine = dataset.rows[dataset.rows["stratum"] == stratum]
        assert sum(rows[name]) == len(mine)
        assert sum(positions[name]) == pytest.approx(mine["sample_weight"].sum(), abs=3)
    assert sum(map(sum, positions.values())) > sum(map(sum, rows.values()))


def test_scores_by_outcome_count_positions(dataset, drawn, tmp_path):
    plots.draw("outcome_scores", dataset.inputs["outcome_scores"], tmp_path / "x.png")
    for axes in drawn[0].get_axes():
        for steps in axes.patches:
            name = steps.get_label().split(",")[0]
            mine = dataset.rows[dataset.rows["pred_type"] == name]["sample_weight"].sum()
            assert steps.get_data().values.sum() == pytest.approx(mine)


def test_features_are_ranked_by_the_train_rows_alone(dataset, drawn, tmp_path):
    from sklearn.metrics import roc_auc_score

    plots.draw("features", dataset.inputs["features"], tmp_path / "x.png")
    (axes,) = drawn[0].get_axes()
    names = [text.get_text().split(" ")[0] for text in axes.get_yticklabels()]
    areas = [0.5 + bar.get_width() for bar in axes.patches]
    train = dataset.rows[dataset.rows["split"] == "train"]
    for name, area in zip(names, areas, strict=True):
        there = train[name].notna()
        assert area == pytest.approx(roc_auc_score(train["label"][there] > 0, train[name][there]), abs=1e-6)
    assert [abs(area - 0.5) for area in areas] == sorted((abs(area - 0.5) for area in areas), reverse=True)


def test_rejections_are_told_stage_by_stage_and_batches_are_added_up(dataset, drawn, tmp_path):
    plots.draw("rejections", dataset.inputs["rejections"], tmp_path / "x.png")
    panels = {axes.get_title(loc="left"): axes for axes in drawn[0].get_axes()}
    kept = {name: axes.patches[-1].get_width() for name, axes in panels.items()}
    assert kept["batches: gene"] == dataset.rows["gene_id"].nunique()
    assert kept["batches: position"] == len(dataset.rows)
    assert "choice of genes: gene" in panels


def test_a_dataset_without_rows_has_figures_that_say_so(tmp_path, drawn, dataset):
    empty = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(dataset.inputs["base_scores"][0]).slice(0, 0), empty)
    plots.draw("strata", [dataset.inputs["strata"][0], empty], tmp_path / "x.png")
    plots.draw("base_scores", [empty], tmp_path / "y.png")
    assert "no rows" in drawn[0].get_axes()[0].texts[0].get_text()


def test_values_that_are_missing_do_not_count_in_the_area_of_a_feature():
    values = np.array([np.nan, 1, 2, 3, np.nan, 0], np.float32)
    positive = np.array([True, False, True, True, False, False])
    assert plots._area(values, positive) == 1.0
    assert plots._area(np.full(6, np.nan, np.float32), positive) == 0.5


def test_what_cannot_be_drawn_is_one_clear_error(tmp_path, dataset):
    out = tmp_path / "x.png"
    with pytest.raises(InputError, match="no figure 'pie'"):
        plots.draw("pie", [], out)
    with pytest.raises(InputError, match="no such file"):
        plots.draw("base_scores", [tmp_path / "absent.parquet"], out)
    with pytest.raises(InputError, match="two tables"):
        plots.draw("class_balance", dataset.inputs["class_balance"][:1], out)
    with pytest.raises(InputError, match="ledgers of the reference"):
        plots.draw("rejections", dataset.inputs["rejections"][:1], out)
    write_json(tmp_path / "other.json", {})
    with pytest.raises(InputError, match="not a ledger"):
        plots.draw("rejections", [tmp_path / "other.json"] * 3, out)
    (tmp_path / "broken.parquet").write_bytes(b"broken")
    with pytest.raises(TrainyardError, match=r"broken\.parquet"):
        plots.draw("base_scores", [tmp_path / "broken.parquet"], out)
    assert not out.exists()
