from __future__ import annotations

import csv
import json
import math
from typing import ClassVar

import numpy as np
import pytest
from training_set import TrainingSet, write_selection, write_training_set

from trainyard.transit.train.inputs import Inputs
from trainyard.transit.train.members import find_members
from trainyard.transit.train.settings import TrainSettings
from trainyard.transit.train.stopping import Monitor, best_epoch, choose_monitor, should_stop
from trainyard.yard.errors import ConfigError, InputError, IntegrityError, LeakageError

pytest.importorskip("tensorflow")

import keras

from trainyard.transit.train import fit
from trainyard.transit.train.fit import train
from trainyard.transit.train.model import build_model
from trainyard.transit.train.storage import Progress, load_progress, save_progress

SETTINGS = TrainSettings(
    features=["flux_norm", "target_img"],
    conv_blocks=1,
    convs_per_block=1,
    head_units=[8],
    dropout=0.1,  # Its random state must survive a restart too.
    learning_rate=0.01,
    epochs=3,
    batch_size=8,
    selection=None,
)
FLUX_ONLY = SETTINGS.model_copy(update={"features": ["flux_norm"], "epochs": 1})
FILES = ("model.keras", "model_summary.txt", "history.csv", "train.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> TrainingSet:
    return write_training_set(tmp_path_factory.mktemp("set"), {"train": (20, 20), "val": (12,), "test": (8,)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory, made):
    out = tmp_path_factory.mktemp("trained")
    train(made.shards, made.examples, None, out, SETTINGS)
    return out


def contents(out):
    return {name: (out / name).read_bytes() for name in FILES}


def test_a_run_leaves_its_results_and_nothing_else(trained):
    assert sorted(path.name for path in trained.iterdir()) == sorted(FILES)
    report = json.loads((trained / "train.json").read_text())
    assert report["examples"] == {"train": 40, "val": 12}
    assert report["monitor"] == "val_auc_pr"
    rows = list(csv.DictReader((trained / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [int(row["epoch"]) for row in rows if row["best"] == "1"] == [report["best_epoch"]]


class TestMissingImages:
    """Six of ten examples carry images; what lacks them must not be known by that."""

    COUNTS: ClassVar = {"train": (20,), "val": (10,)}

    def train(self, folder, *, images=lambda i: i % 10 < 6, **changes):
        made = write_training_set(folder / "set", self.COUNTS, images=images)
        train(made.shards, made.examples, None, folder / "out", SETTINGS.model_copy(update={"epochs": 1} | changes))
        return json.loads((folder / "out" / "train.json").read_text())

    def test_examples_without_images_are_left_out_and_counted(self, tmp_path):
        report = self.train(tmp_path)
        assert report["examples"] == {"train": 12, "val": 6}
        assert report["left_out"] == {"without_images": {"train": 8, "val": 4}}

    def test_they_stay_where_the_settings_say_so(self, tmp_path):
        report = self.train(tmp_path, missing_images="zero")
        assert report["examples"] == {"train": 20, "val": 10}
        assert report["left_out"] == {"without_images": {"train": 0, "val": 0}}

    def test_they_stay_where_the_network_needs_no_images(self, tmp_path):
        report = self.train(tmp_path, features=["flux_norm"])
        assert (report["examples"], report["inputs"]) == ({"train": 20, "val": 10}, ["flux_norm"])

    def test_they_stay_where_the_set_has_no_images_at_all(self, tmp_path):
        report = self.train(tmp_path, images=lambda i: False)
        assert (report["examples"], report["inputs"]) == ({"train": 20, "val": 10}, ["flux_norm"])

    def test_where_nothing_is_left_the_key_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"only label 1 after selection.*missing_images"):
            self.train(tmp_path, images=lambda i: i == 1)


def test_a_plain_dip_is_learned(trained):
    rows = list(csv.DictReader((trained / "history.csv").open()))
    assert float(rows[-1]["val_auc_roc"]) > 0.95
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_labels_and_identifiers_are_no_inputs_of_the_graph(trained):
    model = keras.models.load_model(trained / "model.keras")
    assert {tensor.name for tensor in model.inputs} == {"flux_norm", "target_img"}


def test_the_same_inputs_give_the_same_bytes(tmp_path, made, trained):
    train(made.shards, made.examples, None, tmp_path, SETTINGS)
    assert contents(tmp_path) == contents(trained)


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, made, trained, monkeypatch):
    whole = fit._one_epoch

    def killed_in_the_second(*args, epoch, **kwargs):
        if epoch == 2:
            raise KeyboardInterrupt
        return whole(*args, epoch=epoch, **kwargs)

    monkeypatch.setattr(fit, "_one_epoch", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        train(made.shards, made.examples, None, tmp_path, SETTINGS)
    run = []
    monkeypatch.setattr(fit, "_one_epoch", lambda *a, epoch, **k: run.append(epoch) or whole(*a, epoch=epoch, **k))
    train(made.shards, made.examples, None, tmp_path, SETTINGS)
    assert run == [2, 3]
    assert contents(tmp_path) == contents(trained)


@pytest.fixture
def network():
    model = build_model(Inputs(("flux_norm",), 10), FLUX_ONLY)
    return fit.compile_model(model, FLUX_ONLY)


def test_progress_brings_back_weights_and_history(tmp_path, network):
    progress = Progress("a", [{"loss": 0.1}], [variable.numpy() for variable in network.variables])
    save_progress(tmp_path / "p.npz", network, progress)
    before = network.get_weights()
    network.set_weights([weight + 1 for weight in before])
    found = load_progress(tmp_path / "p.npz", network, "a")
    assert found.history == progress.history
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), before, strict=True))


def test_progress_of_other_settings_or_damaged_is_void(tmp_path, network, caplog):
    save_progress(tmp_path / "p.npz", network, Progress("a", [{"loss": 0.1}], network.get_weights()))
    assert load_progress(tmp_path / "p.npz", network, "b").epochs == 0
    (tmp_path / "p.npz").write_bytes((tmp_path / "p.npz").read_bytes()[:100])
    assert load_progress(tmp_path / "p.npz", network, "a").epochs == 0
    assert "cannot be used" in caplog.text


def test_settings_and_examples_are_in_the_fingerprint(made):
    learn, watch = (find_members(made.shards[split], made.examples, split=split) for split in ("train", "val"))
    found = {
        fit._fingerprint(learn, watch, SETTINGS),
        fit._fingerprint(learn, watch, FLUX_ONLY),
        fit._fingerprint(watch, learn, SETTINGS),
    }
    assert len(found) == 3
    assert fit._fingerprint(learn, watch, SETTINGS) in found


def test_without_val_the_training_loss_is_watched(tmp_path, made, caplog):
    selection = write_selection(tmp_path / "selection.parquet", made, lambda row: row["split"] == "train")
    weighted = FLUX_ONLY.model_copy(update={"category_weights": {0: 0.2, 1: 0.8}, "optimizer": "sgd"})
    train(made.shards, made.examples, selection, tmp_path, weighted)
    assert "watching the training loss" in caplog.text
    assert json.loads((tmp_path / "train.json").read_text())["monitor"] == "loss"
    assert "val_loss" not in (tmp_path / "history.csv").read_text()


@pytest.mark.parametrize(("keep", "found"), [(lambda row: row["label"] == 1, "only label 1"), (lambda _: 0, "no exam")])
def test_a_train_split_that_teaches_nothing_is_refused(tmp_path, made, keep, found):
    selection = write_selection(tmp_path / "selection.parquet", made, lambda row: bool(keep(row)))
    with pytest.raises(InputError, match=found):
        train(made.shards, made.examples, selection, tmp_path, SETTINGS)


def test_a_star_in_train_and_val_is_refused(tmp_path):
    made = write_training_set(tmp_path, {"train": (4,), "val": (4,)}, same_stars=True)
    with pytest.raises(LeakageError, match="4 stars are in train and in val"):
        train(made.shards, made.examples, None, tmp_path / "out", SETTINGS)


def test_nan_in_a_feature_is_named(tmp_path):
    made = write_training_set(
        tmp_path, {"train": (8,)}, change=lambda _s, _i, features: features["flux_norm"].__setitem__(0, math.nan)
    )
    with pytest.raises(IntegrityError, match="flux_norm is not finite"):
        train(made.shards, made.examples, None, tmp_path / "out", FLUX_ONLY)


def test_training_that_runs_away_says_so(tmp_path, made):
    wild = FLUX_ONLY.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd"})
    with pytest.raises(IntegrityError, match=r"lower transit.train.learning_rate"):
        train(made.shards, made.examples, None, tmp_path, wild)


def test_weights_for_other_labels_are_refused(tmp_path, made):
    with pytest.raises(ConfigError, match="category_weights"):
        train(made.shards, made.examples, None, tmp_path, SETTINGS.model_copy(update={"category_weights": {1: 2.0}}))


def history(values, losses=None):
    losses = losses or [1.0] * len(values)
    return [{"val_auc_pr": v, "val_loss": loss, "loss": 0.0} for v, loss in zip(values, losses, strict=True)]


AUC = Monitor("val_auc_pr", 2)


def test_the_best_epoch_has_the_best_value_then_the_least_loss_then_comes_first():
    assert best_epoch(history([0.5, 0.9, 0.7]), AUC) == 2
    assert best_epoch(history([0.9, 0.9, 0.9], [0.3, 0.2, 0.2]), AUC) == 2
    assert best_epoch(history([math.nan, 0.1]), AUC) == 2
    assert best_epoch(history([0.9, 0.1], [2.0, 1.0]), Monitor("val_loss", 2)) == 2


def test_training_stops_after_patience_epochs_without_a_better_value():
    assert not should_stop([], AUC)
    assert not should_stop(history([0.5, 0.9, 0.8]), AUC)
    assert should_stop(history([0.5, 0.9, 0.8, 0.9], [4.0, 3.0, 2.0, 1.0]), AUC)


def test_val_with_one_label_is_watched_by_its_loss(caplog):
    labels = np.array([1, 1], dtype=np.int8)
    assert choose_monitor("val_auc_pr", labels, patience=3) == Monitor("val_loss", 3)
    assert "val has label 1 only" in caplog.text


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'val_auc' is unknown.*val_auc_pr"):
        choose_monitor("val_auc", np.array([0, 1], dtype=np.int8), patience=3)
