from __future__ import annotations

import csv
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import pytest
from training_set import TrainingSet, write_training_set

from trainyard.transit import plots
from trainyard.transit.curves import CURVES
from trainyard.transit.plotting import runs
from trainyard.transit.train import plots as train_plots
from trainyard.transit.train.metrics import METRICS
from trainyard.yard import waterfall
from trainyard.yard.errors import InputError
from trainyard.yard.examples import decode_example, decode_tensor
from trainyard.yard.files import write_json
from trainyard.yard.plotting import figure
from trainyard.yard.tfrecord import read_records

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> TrainingSet:
    counts = {"train": (12, 6), "val": (4,), "test": (6,)}
    return write_training_set(tmp_path_factory.mktemp("set"), counts, images=lambda i: i != 1)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    path = tmp_path_factory.mktemp("curves") / "curves_0001-0001.parquet"
    time = np.arange(300) * 0.02
    event = abs(time - 3) < 0.3
    row = {
        "time": time,
        "flux": (1 - 0.01 * event).astype(np.float32),
        "good": abs(time - 5) > 0.2,
        "positive": event,
        "all_dispositions": event,
        "true_in_transit": event,
        "oot_centres": [1.0],
        "quality_bitmask": 17087,
    }
    rows = [{**row, "target_id": i, "sector": 1, "it_centres": [3.0] if i % 2 else []} for i in range(4)]
    rows.append({**row, "target_id": 9, "sector": 2, "good": np.zeros(300, bool), "it_centres": [3.0]})
    rows.insert(1, {"target_id": 10, "sector": 1, "quality_bitmask": 17087})  # its curve was not kept
    CURVES.write(path, CURVES.table(rows))
    return path


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ledgers")
    rejected = {f"reason_{i:02d}": 1 for i in range(14)} | {"edge": 6}
    for i in range(2):
        kinds = {
            "window": {"expected": 50, "kept": 30, "rejected": rejected},
            "file": {"expected": 0, "kept": 0, "rejected": {}},
        }
        write_json(folder / f"{i}.json", {"line": "transit", "limit": 9, "kinds": kinds, "rejections": []})
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    path = tmp_path_factory.mktemp("history") / "history.csv"
    rows = [["epoch", *METRICS, *(f"val_{name}" for name in METRICS), "best"]]
    rows += [[e, *np.linspace(0.1, 0.9, 18) * e / 4, int(e == 3)] for e in range(1, 5)]
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return path


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    draw = np.random.default_rng(1)
    for split, count in (("train", 60), ("val", 1), ("test", 30)):
        with (folder / f"preds_{split}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["uid", "disposition", "label", "pred_prob"])
            for i in range(count):
                writer.writerow([i, ("EB", "NTP")[i % 2], i % 2, draw.random() ** (1 + i % 2)])
    return [folder / f"preds_{split}.csv" for split in ("train", "val", "test")]


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
    monkeypatch.setattr(train_plots, "figure", keeping)
    monkeypatch.setattr(waterfall, "figure", keeping)
    return kept


@pytest.mark.parametrize("name", ["windows", "masks", "balance", "rejections", "history", "scores", "roc"])
def test_every_figure_is_a_png_with_the_same_bytes_each_time(name, tmp_path, request):
    get = request.getfixturevalue
    draw = {
        "windows": lambda out: plots.example_windows(get("made").shards["train"], out, count=3),
        "masks": lambda out: plots.light_curve_masks([get("curves")], out, count=2),
        "balance": lambda out: plots.class_balance(get("made").examples, out),
        "rejections": lambda out: waterfall.rejections(get("ledgers"), out),
        "history": lambda out: train_plots.training_history(get("history"), out),
        "scores": lambda out: train_plots.score_histograms(get("predictions")[0], out),
        "roc": lambda out: train_plots.roc_and_precision_recall(get("predictions"), out),
    }[name]
    for i in range(2):
        draw(tmp_path / f"{i}.png")
    first, second = ((tmp_path / f"{i}.png").read_bytes() for i in range(2))
    assert first == second
    assert first.startswith(PNG)
    assert b"matplotlib" not in first.lower()


def test_each_row_shows_the_images_and_the_name_of_its_own_example(made, tmp_path, drawn):
    plots.example_windows(made.shards["train"], tmp_path / "w.png", count=6)
    records = [decode_example(record) for shard in made.shards["train"] for record in read_records(shard)]
    by_uid = {record["uid"][0].decode(): record for record in records}
    panels = drawn[0].get_axes()
    rows = [panels[i : i + 6] for i in range(0, len(panels), 6)]
    assert len(rows) == 6
    for row in rows:
        kind, uid = row[0].get_title(loc="left").split(": ")
        example = by_uid[uid]
        assert kind.startswith(f"label {example['label'][0].decode()}, {example['disposition'][0].decode()}, ")
        for panel, name in zip(row[2:], ("diff_img", "oot_img", "snr_img", "target_img"), strict=True):
            shown = [image.get_array() for image in panel.get_images()]
            wanted = [decode_tensor(example[name][0])] if name in example else []
            assert len(shown) == len(wanted)
            assert all(np.array_equal(a, b) for a, b in zip(shown, wanted, strict=True))


def test_windows_of_every_kind_are_shown(made, tmp_path, drawn):
    plots.example_windows(made.shards["train"], tmp_path / "w.png", count=3)
    titles = [axes.get_title(loc="left") for axes in drawn[0].get_axes()[::6]]
    kinds = {title.split(", ")[0] + title.split(", ")[2].split(":")[0] for title in titles}
    assert kinds == {"label 1in transit", "label 0in transit", "label 0out of transit"}


def test_a_set_without_images_has_two_columns(tmp_path, drawn):
    made = write_training_set(tmp_path, {"train": (3,)}, images=lambda _: False)
    plots.example_windows(made.shards["train"], tmp_path / "w.png")
    assert len(drawn[0].get_axes()) == 3 * 2


def test_light_curves_with_windows_come_first(curves, tmp_path, drawn):
    plots.light_curve_masks([curves], tmp_path / "m.png", count=3)
    titles = {axes.get_title(loc="left") for axes in drawn[0].get_axes()}
    assert titles == {"target 1, sector 1", "target 3, sector 1", "target 9, sector 2"}


def test_nothing_to_show_is_said_in_the_figure(made, tmp_path, drawn):
    empty = write_training_set(tmp_path, {"train": (0,)})
    plots.example_windows(empty.shards["train"], tmp_path / "a.png")
    plots.light_curve_masks([], tmp_path / "b.png")
    waterfall.rejections([], tmp_path / "c.png")
    plots.class_balance(empty.examples, tmp_path / "d.png")
    for drawing in drawn[:3]:
        (axes,) = drawing.get_axes()
        assert axes.texts


@pytest.mark.parametrize("content", ["", "epoch,loss\n1,2\n", "epoch,best\n1,0\n", "epoch,best\n1,x\n"])
def test_a_file_that_is_no_history_is_named(content, tmp_path):
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(InputError, match=r"history\.csv"):
        train_plots.training_history(tmp_path / "history.csv", tmp_path / "out.png")


def test_predictions_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "preds_test.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"preds_test\.csv"):
        train_plots.score_histograms(tmp_path / "preds_test.csv", tmp_path / "out.png")


def test_the_best_epoch_is_marked(history, tmp_path, drawn):
    train_plots.training_history(history, tmp_path / "h.png")
    panels = drawn[0].get_axes()
    assert len(panels) == len(METRICS)
    assert all([3, 3] in [list(line.get_xdata()) for line in axes.get_lines()] for axes in panels)


def test_a_split_with_one_label_has_no_curve(predictions, tmp_path, drawn):
    train_plots.roc_and_precision_recall(predictions, tmp_path / "r.png")
    names = [text.get_text().split(",")[0] for text in drawn[0].get_axes()[0].get_legend().get_texts()]
    assert names == ["train", "test"]


def test_the_style_of_the_caller_is_neither_used_nor_changed(history, tmp_path):
    train_plots.training_history(history, tmp_path / "a.png")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        before = dict(mpl.rcParams)
        train_plots.training_history(history, tmp_path / "b.png")
        assert dict(mpl.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_runs_are_half_open():
    assert runs(np.array([1, 1, 0, 0, 1], dtype=bool)).tolist() == [[0, 2], [4, 5]]
    assert runs(np.zeros(3, dtype=bool)).shape == (0, 2)
