"""The meta-models: each learns what motifs know, is stored without a pickle, and comes back as it was."""

from __future__ import annotations

import builtins
import csv
import json

import numpy as np
import pytest

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train import boosting, data
from trainyard.splice.train.ablation import _DEFAULT_RATES
from trainyard.splice.train.feed import base_scores, make_feed, site_types
from trainyard.splice.train.fit import read_trained, train
from trainyard.splice.train.learners import SKLEARN, kind_of, model_file, other_model_files, read_model
from trainyard.splice.train.metrics import average_precision, curve
from trainyard.splice.train.model import predict
from trainyard.yard.errors import ConfigError, EnvironmentFault, InputError, IntegrityError
from workflow_scripts import splice_train

FOREST = "sklearn.ensemble.RandomForestClassifier"
MODELS = {
    "xgboost": {},
    "sgd_logistic": {"parameters": {"epochs": 4}},
    FOREST: {"parameters": {"n_estimators": 20, "max_depth": 8, "n_jobs": 1}},
    "sklearn.naive_bayes.GaussianNB": {"parameters": {}},
}


def fitted(simulated, out, settings):
    train(simulated.master, simulated.splits, simulated.pruned, out, settings)
    rows = simulated.rows()
    model, learn = read_trained(out, rows, simulated.splits, settings)
    return model, make_feed(rows, "test", learn.columns, settings.target)


def areas(said, feed, target):
    rows = feed.data.rows("test")
    return [
        average_precision(curve(np.ascontiguousarray(said[:, i]), feed.target == i, rows.weight))
        for i, _ in enumerate(site_types(target), start=1)
    ]


def base_areas(feed, target):
    rows = feed.data.rows("test")
    scores = base_scores(rows.donor, rows.acceptor, target)
    return [
        average_precision(curve(score, feed.target == i, rows.weight)) for i, score in enumerate(scores.values(), 1)
    ]


@pytest.mark.parametrize("target", ["multiclass", "binary"])
@pytest.mark.parametrize("name", ["xgboost", "sgd_logistic", FOREST])
def test_a_model_adds_to_the_base_model_what_motifs_know(simulated, quick, tmp_path, name, target):
    settings = quick.model_copy(update={"model": name, "target": target, **(MODELS[name] or {})})
    model, feed = fitted(simulated, tmp_path, settings)
    said = predict(model, feed)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert said.shape[1] == {"multiclass": 3, "binary": 2}[target]
    for meta, base in zip(areas(said, feed, target), base_areas(feed, target), strict=True):
        assert meta > base + 0.05


@pytest.mark.parametrize("name", MODELS)
def test_training_twice_gives_the_same_bytes_and_what_is_read_predicts_the_same(simulated, quick, tmp_path, name):
    settings = quick.model_copy(update={"model": name, **(MODELS[name] or {})})
    said, files = [], []
    for out in (tmp_path / "a", tmp_path / "b"):
        model, feed = fitted(simulated, out, settings)
        said.append(predict(model, feed))
        files.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert files[0] == files[1]
    assert set(files[0]) == {model_file(name), "model_card.json", "feature_manifest.csv", "history.csv"}
    assert not any(b"sklearn." in data and b"\x80\x04" in data[:2] for data in files[0].values())
    np.testing.assert_array_equal(said[0], said[1])


def test_a_model_of_another_kind_takes_the_place_of_the_one_before(simulated, quick, tmp_path):
    (tmp_path / "mine.txt").write_text("not ours")
    files = []
    for name in ("sgd_logistic", "identity", "xgboost", "sgd_logistic"):
        settings = quick.model_copy(update={"model": name, **MODELS.get(name, {})})
        train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)
        files.append(sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("m")))
    assert files == [
        ["mine.txt", name, "model_card.json"] for name in ("model.json", "model.json", "model.ubj", "model.json")
    ]
    assert kind_of(FOREST) == SKLEARN
    assert other_model_files(FOREST) == ["model.txt", "model.ubj"]


@pytest.mark.parametrize("target", ["multiclass", "binary"])
def test_external_memory_gives_the_same_kind_of_model_with_the_same_scores(
    simulated, quick, tmp_path, monkeypatch, target
):
    monkeypatch.setattr(data, "CELLS", 20_000)  # Several pieces.
    inside = quick.model_copy(update={"target": target})
    outside = inside.model_copy(update={"external_memory_rows": 100})
    (one, feed), (two, _) = (fitted(simulated, tmp_path / str(i), s) for i, s in enumerate((inside, outside)))
    assert type(one) is type(two) is boosting.Boosted
    told = [json.loads((tmp_path / str(i) / "model_card.json").read_text())["model"] for i in range(2)]
    assert [card["external_memory"] for card in told] == [False, True]
    np.testing.assert_allclose(
        areas(predict(one, feed), feed, target), areas(predict(two, feed), feed, target), atol=0.02
    )
    assert not list(tmp_path.glob("*/.external_memory"))


def test_early_stopping_keeps_the_best_round_of_val(simulated, quick, tmp_path):
    settings = quick.model_copy(update={"rounds": 200, "early_stopping_rounds": 5})
    found = train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)
    losses = [row["val_mlogloss"] for row in found.history]
    assert found.facts["trees"] == int(np.argmin(losses)) + 1 < len(losses) < 200
    with (tmp_path / "history.csv").open() as file:
        assert [float(row["val_mlogloss"]) for row in csv.DictReader(file)] == losses


def test_the_card_says_what_the_model_is_made_of(trained, quick):
    card = json.loads((trained.model / "model_card.json").read_text())
    rows = trained.rows()
    assert card["splits"]["train"]["rows"] == len(rows.rows("train"))
    assert card["settings"]["seed"] == quick.seed
    assert card["base_model_licence"] == "none"
    with (trained.model / "feature_manifest.csv").open() as file:
        features = {row["name"]: row for row in csv.DictReader(file)}
    assert card["columns"] == [name for name, row in features.items() if row["used"] == "true"]
    assert features["gc_content"]["reason"] == "zero_variance"
    assert {row["partner"] for row in features.values() if row["reason"] == "correlated"} & set(card["columns"])


def test_families_that_are_not_chosen_are_not_seen(simulated, quick, tmp_path):
    settings = quick.model_copy(update={"families": ["base", "motif"]})
    train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)
    columns = set(json.loads((tmp_path / "model_card.json").read_text())["columns"])
    family = {column.name: column.family for column in simulated.rows().master.features}
    assert {family[name] for name in columns} == {"base", "motif"}


def test_weights_count_as_copies_of_a_row_do(simulated):
    """A row of weight w is w rows, for the loss that training stops by."""
    from trainyard.splice.train.linear import log_loss

    feed = make_feed(simulated.rows(), "val", ["donor_score"], "binary")
    said = np.full((len(feed), 2), 0.5, np.float32)
    assert log_loss(said, feed) == pytest.approx(np.log(2))
    said[feed.weight > 1] = [0.9, 0.1]
    heavy = feed.weight[feed.weight > 1].sum()
    light = feed.weight[feed.weight == 1].sum()
    assert (feed.target[feed.weight > 1] == 0).all()
    assert log_loss(said, feed) == pytest.approx(
        -(heavy * np.log(0.9) + light * np.log(0.5)) / (heavy + light), rel=1e-5
    )


def test_without_lightgbm_the_error_says_what_to_install(simulated, quick, tmp_path, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "lightgbm":
            raise ImportError("no such thing")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    settings = quick.model_copy(update={"model": "lightgbm", "parameters": {}})
    with pytest.raises(EnvironmentFault, match="pip install lightgbm"):
        train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)


def test_lightgbm_learns_what_motifs_know(simulated, quick, tmp_path):
    pytest.importorskip("lightgbm")
    model, feed = fitted(simulated, tmp_path, quick.model_copy(update={"model": "lightgbm"}))
    for meta, base in zip(areas(predict(model, feed), feed, "multiclass"), base_areas(feed, "multiclass"), strict=True):
        assert meta > base + 0.05


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        ("forest", {}, "'forest' is unknown"),
        ("xgboost", {"max_dept": 3}, "did you mean max_depth"),
        ("xgboost", {"n_estimators": 3}, "n_estimators by splice.train.rounds"),
        ("xgboost", {"max_depth": -3}, "XGBoost refuses"),
        ("sgd_logistic", {"loss": "hinge"}, "only 'log_loss'"),
        ("sgd_logistic", {"alpha": -1.0}, "alpha"),
        ("sgd_logistic", {"epochs": 0}, "epochs must be at least 1"),
        ("sklearn.ensemble.Forest", {}, "cannot be imported"),
        ("sklearn.nowhere.Forest", {}, "cannot be imported"),
        (FOREST, {"trees": 3}, "refuses them"),
        ("sklearn.linear_model.LinearRegression", {}, "no scikit-learn classifier"),
        ("sklearn.svm.LinearSVC", {}, "predict_proba"),
    ],
)
def test_what_cannot_be_trained_is_one_clear_error(simulated, quick, tmp_path, model, parameters, words):
    settings = quick.model_copy(update={"model": model, "parameters": parameters})
    with pytest.raises(ConfigError, match=words):
        train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)
    assert not (tmp_path / "model_card.json").exists()


def test_a_classifier_that_needs_all_rows_in_memory_refuses_too_many(simulated, quick, tmp_path):
    settings = quick.model_copy(update={"model": FOREST, "parameters": {}, "external_memory_rows": 100})
    with pytest.raises(ConfigError, match="xgboost or sgd_logistic"):
        train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)


def test_a_recipe_that_gives_another_model_is_refused(simulated, quick, tmp_path):
    settings = quick.model_copy(update={"model": FOREST, **MODELS[FOREST]})
    train(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings)
    file = tmp_path / "model.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "predictions_sha256": "0" * 64}))
    card = json.loads((tmp_path / "model_card.json").read_text())
    learn = make_feed(simulated.rows(), "train", card["columns"], "multiclass")
    with pytest.raises(IntegrityError, match="train again"):
        read_model(file, learn, settings)


def test_a_model_of_other_settings_rows_or_bytes_is_refused(trained, quick, tmp_path):
    rows = trained.rows()
    with pytest.raises(IntegrityError, match="settings"):
        read_trained(trained.model, rows, trained.splits, quick.model_copy(update={"seed": 99}))
    for path in trained.model.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.ubj").write_bytes(b"broken")
    with pytest.raises(IntegrityError, match="train again"):
        read_trained(tmp_path, rows, trained.splits, quick)
    (tmp_path / "model_card.json").unlink()
    with pytest.raises(InputError):
        read_trained(tmp_path, rows, trained.splits, quick)


def test_pruning_of_other_rows_is_refused(simulated, quick, tmp_path):
    told = json.loads(simulated.pruned.read_text())
    told["fitted_on"]["genes_sha256"] = "0"
    (tmp_path / "pruned.json").write_text(json.dumps(told))
    with pytest.raises(IntegrityError, match="prune again"):
        train(simulated.master, simulated.splits, tmp_path / "pruned.json", tmp_path, quick)


def test_ablations_know_the_learning_rates_of_the_models():
    from trainyard.splice.train.lightgbm_model import DEFAULTS as LIGHT

    rates = {"xgboost": boosting.DEFAULTS["learning_rate"], "lightgbm": LIGHT["learning_rate"]}
    assert rates == _DEFAULT_RATES


def test_the_command_trains(simulated, quick, tmp_path, capsys):
    options = ["--master", str(simulated.master), "--splits", str(simulated.splits), "--pruned", str(simulated.pruned)]
    splice_train.main([*options, "--settings", quick.model_dump_json(), "--out", str(tmp_path)])
    assert "xgboost trained" in capsys.readouterr().out
    assert SpliceTrainSettings().model == "xgboost"
    assert (tmp_path / "model.ubj").is_file()
