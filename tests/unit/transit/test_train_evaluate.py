from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_set import TrainingSet, flux_of, write_selection, write_training_set

from trainyard.transit.train.evaluate import evaluate, shuffled_labels
from trainyard.transit.train.inputs import Inputs
from trainyard.transit.train.members import find_members
from trainyard.transit.train.metrics import (
    METRICS,
    auc_roc,
    precision_recall_curve,
    roc_curve,
    score_metrics,
    shuffled_auc_sigma,
)
from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.receipts import write_receipt


def test_metrics_by_hand():
    # Called positive: 0.9 0.8 0.7 (two of them right); a positive at 0.4 is missed.
    found = score_metrics([1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.4, 0.3, 0.1])
    assert found["n"] == 6
    assert found["n_positive"] == 3
    assert found["binary_accuracy"] == pytest.approx(4 / 6)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["auc_roc"] == pytest.approx(8 / 9)  # One of nine pairs is the wrong way round.
    assert found["auc_pr"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert found["recall_at_precision_95"] == pytest.approx(2 / 3)
    assert found["precision_at_recall_95"] == pytest.approx(3 / 4)
    assert found["loss"] == pytest.approx(-np.mean(np.log([0.9, 0.8, 0.3, 0.4, 0.7, 0.9])))


def test_tied_scores_count_half():
    assert auc_roc([1, 0], [0.5, 0.5]) == 0.5
    assert auc_roc([1, 0, 1, 0], [0.9, 0.9, 0.9, 0.1]) == pytest.approx(0.75)


def test_a_score_at_the_threshold_is_not_called_positive():
    assert score_metrics([1, 0], [0.5, 0.4])["recall"] == 0


@pytest.mark.parametrize("label", [0, 1])
def test_ranking_one_class_is_undefined(label):
    found = score_metrics([label, label], [0.2, 0.8])
    for name in ("auc_pr", "auc_roc", "recall_at_precision_95", "precision_at_recall_95"):
        assert math.isnan(found[name])
    assert found["binary_accuracy"] == 0.5


def test_no_example_gives_no_metric():
    found = score_metrics([], [])
    assert found["n"] == 0
    assert all(math.isnan(found[name]) for name in METRICS)


@pytest.mark.parametrize(("label", "score"), [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, math.nan]), ([0, 1, 1], [0.1, 0.2])])
def test_what_is_no_prediction_is_refused(label, score):
    with pytest.raises(ValueError, match=r"neither|finite|shape"):
        score_metrics(label, score)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=40))
def test_metrics_agree_with_scikit_learn(pairs):
    reference = pytest.importorskip("sklearn.metrics")
    label, score = np.array([a for a, _ in pairs]), np.array([b / 8 for _, b in pairs])
    if len(set(label.tolist())) < 2:
        return
    found = score_metrics(label, score)
    assert found["auc_roc"] == pytest.approx(reference.roc_auc_score(label, score))
    assert found["auc_pr"] == pytest.approx(reference.average_precision_score(label, score))
    assert found["loss"] == pytest.approx(reference.log_loss(label, np.clip(score, 1e-7, 1 - 1e-7)))
    assert found["f1"] == pytest.approx(reference.f1_score(label, score > 0.5))


def test_curves_start_and_end_where_they_must():
    label, score = [0, 1, 1, 0], [0.1, 0.6, 0.6, 0.3]
    false_rate, true_rate = roc_curve(label, score)
    assert (false_rate[[0, -1]].tolist(), true_rate[[0, -1]].tolist()) == ([0, 1], [0, 1])
    recall, precision = precision_recall_curve(label, score)
    assert recall.tolist() == [1, 1, 1]
    assert precision.tolist() == [1, 2 / 3, 0.5]


def test_areas_of_random_scores_scatter_as_the_sigma_says():
    draw = np.random.default_rng(0)
    label = np.arange(100) % 4 == 0
    areas = [auc_roc(label, draw.random(100)) for _ in range(400)]
    assert np.std(areas) == pytest.approx(shuffled_auc_sigma(25, 75), rel=0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> TrainingSet:
    folder = tmp_path_factory.mktemp("set")
    return write_training_set(folder, {"train": (12, 8), "val": (0,), "test": (9,)}, images=lambda i: i % 2 == 0)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, made):
    """A network that has learned nothing, and its evaluation."""
    pytest.importorskip("tensorflow")
    from trainyard.transit.train.model import build_model
    from trainyard.transit.train.storage import save_model

    out = tmp_path_factory.mktemp("evaluated")
    network = build_model(
        Inputs(("flux_norm",), 100, ("target_img",), (9, 9)), TrainSettings(conv_blocks=1, convs_per_block=1)
    )
    save_model(network, out / "model.keras")
    evaluate(out / "model.keras", made.shards, made.examples, None, out, missing_images="zero")
    return out, network


def read(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_predictions_stand_in_the_order_of_the_records(evaluated, made):
    out, network = evaluated
    wanted = [row for row in made.rows if row["split"] == "train"]
    rows = read(out / "preds_train.csv")
    assert list(rows[0]) == [
        *("uid", "target_id", "tce_uid", "disposition", "time", "label", "pred_label", "pred_prob", "tw_flag"),
        "selected",
    ]
    assert [row["uid"] for row in rows] == [row["uid"] for row in wanted]
    assert [int(row["tw_flag"]) for row in rows] == [row["transit_example"] for row in wanted]
    assert [float(row["time"]) for row in rows] == [row["time"] for row in wanted]
    flux = np.stack([flux_of(row["uid"], row["label"]) for row in wanted])
    images = np.stack([np.eye(9) * row["has_images"] for row in wanted])
    scores = np.asarray(network({"flux_norm": flux, "target_img": images}))[:, 0]
    assert [float(row["pred_prob"]) for row in rows] == pytest.approx(scores.tolist(), rel=1e-5)
    assert all(int(row["pred_label"]) == (float(row["pred_prob"]) > 0.5) for row in rows)


def test_metrics_are_those_of_the_predictions(evaluated):
    out, _ = evaluated
    rows = {row["split"]: row for row in read(out / "res_eval.csv")}
    assert list(rows) == ["train", "val", "test"]
    predictions = read(out / "preds_test.csv")
    label, score = ([float(row[name]) for row in predictions] for name in ("label", "pred_prob"))
    for name, value in score_metrics(label, score).items():
        assert float(rows["test"][name] or "nan") == pytest.approx(value, rel=1e-5, nan_ok=True)


def test_without_a_selection_all_examples_are_the_only_scope(evaluated):
    out, _ = evaluated
    for name in ("res_eval.csv", "eval_by_star.csv", "eval_by_disposition.csv"):
        assert {row["scope"] for row in read(out / name)} == {"all"}
    assert {row["selected"] for row in read(out / "preds_train.csv")} == {"1"}


@pytest.fixture(scope="module")
def scored(evaluated, made, tmp_path_factory):
    out = tmp_path_factory.mktemp("scopes")
    selection = write_selection(out / "selection.parquet", made, lambda row: row["label"] == 1 or row["time"] < 1003)
    model = evaluated[0] / "model.keras"
    evaluate(model, made.shards, made.examples, selection, out, missing_images="zero")
    return out


class TestScopes:
    """A model trained on a balanced selection is scored on all that there is, and on the selection beside it."""

    def test_every_example_has_a_prediction_and_says_whether_it_was_selected(self, scored, evaluated, made):
        for split in ("train", "val", "test"):
            rows, alone = read(scored / f"preds_{split}.csv"), read(evaluated[0] / f"preds_{split}.csv")
            assert [row | {"selected": "1"} for row in rows] == alone
            wanted = [row for row in made.rows if row["split"] == split]
            assert [row["selected"] for row in rows] == [
                str(int(row["label"] == 1 or row["time"] < 1003)) for row in wanted
            ]

    def test_both_scopes_have_their_own_metrics(self, scored):
        rows = {(row["split"], row["scope"]): row for row in read(scored / "res_eval.csv")}
        assert list(rows) == [(split, scope) for split in ("train", "val", "test") for scope in ("all", "selection")]
        predictions = read(scored / "preds_test.csv")
        for scope, members in (("all", predictions), ("selection", [p for p in predictions if p["selected"] == "1"])):
            label, score = ([float(row[name]) for row in members] for name in ("label", "pred_prob"))
            for name, value in score_metrics(label, score).items():
                assert float(rows["test", scope][name] or "nan") == pytest.approx(value, rel=1e-5, nan_ok=True)
        assert int(rows["test", "selection"]["n"]) < int(rows["test", "all"]["n"])

    def test_groups_add_up_to_the_scope(self, scored):
        total = {(row["split"], row["scope"]): int(row["n"]) for row in read(scored / "res_eval.csv")}
        for name in ("eval_by_star.csv", "eval_by_disposition.csv"):
            for (split, scope), n in total.items():
                rows = [row for row in read(scored / name) if (row["split"], row["scope"]) == (split, scope)]
                assert sum(int(row["n"]) for row in rows) == n

    def test_examples_without_the_images_that_the_network_needs_are_left_out_and_counted(
        self, evaluated, made, tmp_path
    ):
        selection = write_selection(tmp_path / "selection.parquet", made, lambda row: row["label"] == 1)
        evaluate(evaluated[0] / "model.keras", made.shards, made.examples, selection, tmp_path)
        rows = {(row["split"], row["scope"]): row for row in read(tmp_path / "res_eval.csv")}
        imaged = [row for row in made.rows if row["split"] == "train" and row["has_images"]]
        assert [row["uid"] for row in read(tmp_path / "preds_train.csv")] == [row["uid"] for row in imaged]
        assert (rows["train", "all"]["n"], rows["train", "all"]["left_out_without_images"]) == ("10", "10")
        # Odd records have label 1, even ones have images.
        selected = rows["train", "selection"]
        assert (selected["n"], selected["left_out_without_images"]) == ("0", "10")


def test_an_empty_split_has_a_row_without_values(evaluated):
    out, _ = evaluated
    assert read(out / "preds_val.csv") == []
    row = read(out / "res_eval.csv")[1]
    assert {row["split"], row["n"], row["auc_roc"], row["stars"]} == {"val", "0", ""}


def test_stars_and_dispositions_add_up_to_the_split(evaluated):
    out, _ = evaluated
    total = {row["split"]: int(row["n"]) for row in read(out / "res_eval.csv")}
    for name in ("eval_by_star.csv", "eval_by_disposition.csv"):
        for split in ("train", "test"):
            assert sum(int(row["n"]) for row in read(out / name) if row["split"] == split) == total[split]


def test_every_star_counts_the_same_in_the_macro_average(evaluated):
    out, _ = evaluated
    stars = [row for row in read(out / "eval_by_star.csv") if row["split"] == "train"]
    overall = read(out / "res_eval.csv")[0]
    assert int(overall["stars"]) == len(stars) == 10
    mean = np.mean([float(row["binary_accuracy"]) for row in stars])
    assert float(overall["star_macro_binary_accuracy"]) == pytest.approx(mean)


def test_evaluating_again_gives_the_same_bytes(evaluated, made, tmp_path):
    out, _ = evaluated
    evaluate(out / "model.keras", made.shards, made.examples, None, tmp_path, missing_images="zero")
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()


def test_shuffled_labels_are_a_permutation_fixed_by_the_uids(made):
    members = find_members(made.shards["train"], made.examples, split="train")
    uids, labels = members.rows["uid"].to_pylist(), members.labels
    shuffled = shuffled_labels(uids, labels)
    assert sorted(shuffled) == sorted(labels)
    assert np.array_equal(shuffled, shuffled_labels(uids, labels))
    assert not np.array_equal(shuffled, labels)


def test_a_file_that_is_no_model_is_named(made, tmp_path):
    pytest.importorskip("tensorflow")
    (tmp_path / "model.keras").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"model\.keras: cannot be loaded"):
        evaluate(tmp_path / "model.keras", made.shards, made.examples, None, tmp_path)


def test_records_that_are_not_those_of_the_table_are_refused(evaluated, tmp_path):
    out, _ = evaluated
    made = write_training_set(
        tmp_path, {"test": (4,)}, change=lambda _s, i, features: features.update(uid=f"another {i}")
    )
    write_receipt(made.shards["test"][0], records=4)
    with pytest.raises(IntegrityError, match="list different examples"):
        evaluate(out / "model.keras", made.shards, made.examples, None, tmp_path)
