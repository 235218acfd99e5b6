from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from trainyard.voxel.settings import EVALUATION_KEYS, VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.train import fit
from trainyard.voxel.train.fit import train
from trainyard.voxel.train.metrics import score_metrics
from trainyard.voxel.train.models import build_model
from trainyard.voxel.train.runtime import reproducible
from trainyard.voxel.train.samples import EncodedSamples, read_samples, residues_sha256
from trainyard.voxel.train.storage import Progress, load_model, load_progress, save_progress
from trainyard.yard.errors import ConfigError, EnvironmentFault, InputError, IntegrityError, LeakageError

FILES = ("history.csv", "model.json", "model.safetensors")
KILLED_AFTER_TWO = """
import os, signal, sys
from pathlib import Path
from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.train import fit

save = fit.save_progress

def save_and_die(path, network, optimizer, progress):
    save(path, network, optimizer, progress)
    if progress.epochs == 2:
        os.kill(os.getpid(), signal.SIGKILL)

fit.save_progress = save_and_die
fit.train(Path(sys.argv[1]), Path(sys.argv[2]), VoxelTrainSettings.model_validate_json(sys.argv[3]))
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def history(folder):
    with (folder / "history.csv").open() as handle:
        return list(csv.DictReader(handle))


def test_a_run_leaves_its_results_and_nothing_else(trained, settings):
    assert sorted(path.name for path in trained.iterdir()) == sorted(FILES)
    rows, facts = history(trained), json.loads((trained / "model.json").read_text())
    assert [int(row["epoch"]) for row in rows] == list(range(1, facts["epochs"] + 1))
    assert [int(row["epoch"]) for row in rows if row["best"] == "1"] == [facts["best_epoch"]]
    assert facts["samples"] == {"train": 360, "val": 72}
    assert facts["epochs"] <= settings.num_epochs


def test_the_model_says_what_it_is_and_what_it_saw(trained, store_folder):
    facts, store = json.loads((trained / "model.json").read_text()), Store(store_folder)
    assert facts["input_shape"] == [5, 9, 9, 9]
    assert facts["channels"] == ["C", "N", "O", "CA", "CB"]
    assert facts["output"] == {"name": "rmsf", "unit": "nm"}
    assert facts["temp_scaling"] == json.loads((store_folder / "temp_scaling_params.json").read_text())
    assert facts["train_residues_sha256"] == residues_sha256(store, read_samples(store, "train"))
    assert facts["train_residues_sha256"] != residues_sha256(store, read_samples(store, "val"))
    assert facts["torch"] == torch.__version__
    assert not EVALUATION_KEYS & set(facts["settings"])


def test_what_was_planted_is_learned_better_than_the_temperature_alone(trained, store_folder, settings):
    store, (network, _) = Store(store_folder), load_model(trained)
    learn, val = (read_samples(store, split) for split in ("train", "val"))
    predicted = EncodedSamples(network, store, val, device=torch.device("cpu"), settings=settings).predict()
    means = {k: learn.target[learn.temperature == k].mean() for k in np.unique(learn.temperature)}
    baseline = np.array([means[k] for k in val.temperature])
    assert score_metrics(val.target, predicted)["mse"] < 0.3 * score_metrics(val.target, baseline)["mse"]
    for kelvin in means:
        chosen = val.temperature == kelvin
        assert score_metrics(val.target[chosen], predicted[chosen])["pearson"] > 0.8


def test_shuffled_targets_teach_nothing(tmp_path, make_store, settings):
    """The same set with RMSF that knows nothing of the grid: no skill may be found where there is none."""
    draw = np.random.default_rng(1)
    folder = make_store(tmp_path, rmsf=lambda _, kelvin: (0.1 + (kelvin - 320) / 400) * draw.uniform(0.1, 2))
    train(folder, tmp_path / "model", settings.model_copy(update={"num_epochs": 4}))
    store, (network, _) = Store(folder), load_model(tmp_path / "model")
    val = read_samples(store, "val")
    predicted = EncodedSamples(network, store, val, device=torch.device("cpu"), settings=settings).predict()
    warm = val.temperature == 450
    assert abs(score_metrics(val.target[warm], predicted[warm])["pearson"]) < 0.6


def test_the_saved_weights_are_those_of_the_best_epoch(trained, store_folder, settings):
    best = next(row for row in history(trained) if row["best"] == "1")
    assert int(best["epoch"]) < len(history(trained))
    store, (network, _) = Store(store_folder), load_model(trained)
    val = read_samples(store, "val")
    with reproducible(settings) as device:
        predicted = EncodedSamples(network, store, val, device=device, settings=settings).predict()
    assert np.mean((predicted.astype(np.float64) - val.target) ** 2) == float(best["val_loss"])


def test_encoded_samples_predict_what_the_network_does(trained, store_folder, settings):
    store, (network, _) = Store(store_folder), load_model(trained)
    val = read_samples(store, "val")
    few = settings.model_copy(update={"prediction_batch_size": 7})
    encoded = EncodedSamples(network, store, val, device=torch.device("cpu"), settings=few)
    with torch.no_grad():
        grids, temps = torch.tensor(store.expand(val.residue_uid)), torch.tensor(val.scaled_temp.reshape(-1, 1))
        assert np.allclose(encoded.predict(), network(grids, temps).numpy(), atol=1e-5)
        dealt = np.arange(len(val))[::-1].copy()
        assert np.allclose(encoded.predict(grid_of=dealt), network(grids.flip(0), temps).numpy(), atol=1e-5)
        other = val.scaled_temp[::-1].copy()
        assert np.allclose(encoded.predict(scaled_temp=other), network(grids, temps.flip(0)).numpy(), atol=1e-5)


def test_the_same_inputs_give_the_same_bytes(tmp_path, store_folder, trained, settings):
    torch.manual_seed(99)  # What was drawn before must not matter.
    train(store_folder, tmp_path, settings)
    assert contents(tmp_path) == contents(trained)


def test_a_run_killed_by_the_kernel_goes_on_and_ends_with_the_same_bytes(
    tmp_path, store_folder, trained, settings, monkeypatch
):
    command = [sys.executable, "-c", KILLED_AFTER_TWO, str(store_folder), str(tmp_path), settings.model_dump_json()]
    killed = subprocess.run(command, check=False, env={"PYTHONPATH": ":".join(sys.path)})
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".progress.pt"]
    whole, run = fit._learn, []
    monkeypatch.setattr(fit, "_learn", lambda *a, epoch, **k: run.append(epoch) or whole(*a, epoch=epoch, **k))
    train(store_folder, tmp_path, settings)
    assert run[0] == 3
    assert contents(tmp_path) == contents(trained)


def test_other_seeds_give_other_weights(tmp_path, store_folder, trained, settings):
    train(store_folder, tmp_path, settings.model_copy(update={"seed": 2, "num_epochs": 1}))
    assert contents(tmp_path)["model.safetensors"] != contents(trained)["model.safetensors"]


def test_the_rate_of_the_scheduler_is_the_rate_of_the_steps(tmp_path, store_folder, settings):
    two = settings.model_copy(update={"num_epochs": 2, "scheduler_step_size": 1, "scheduler_gamma": 0.1})
    found = {}
    for scheduler in ("none", "step"):
        train(store_folder, tmp_path / scheduler, two.model_copy(update={"scheduler": scheduler}))
        found[scheduler] = history(tmp_path / scheduler)
    assert [row["lr"] for row in found["none"] + found["step"]] == ["0.01", "0.01", "0.01", "0.001"]
    assert found["none"][0]["val_loss"] == found["step"][0]["val_loss"]
    assert found["none"][1]["val_loss"] != found["step"][1]["val_loss"]


@pytest.fixture
def network(settings):
    return build_model(settings, (5, 9, 9, 9))


def adam(network):
    return torch.optim.AdamW(network.parameters())


def test_progress_brings_back_weights_optimizer_and_history(tmp_path, network, settings):
    optimizer = adam(network)
    network(torch.ones(2, 5, 9, 9, 9), torch.zeros(2, 1)).sum().backward()
    optimizer.step()
    best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_progress(tmp_path / "p.pt", network, optimizer, Progress("a", [{"val_loss": 0.1}], best))
    other = build_model(settings, (5, 9, 9, 9))
    fresh = adam(other)
    found = load_progress(tmp_path / "p.pt", other, fresh, "a")
    assert found.history == [{"val_loss": 0.1}]
    assert all(torch.equal(value, best[name]) for name, value in [*found.best.items(), *other.state_dict().items()])
    states = zip(fresh.state_dict()["state"].values(), optimizer.state_dict()["state"].values(), strict=True)
    assert all(torch.equal(a[name], b[name]) for a, b in states for name in b)


def test_progress_of_another_run_or_damaged_is_void(tmp_path, network, caplog):
    path = tmp_path / "p.pt"
    save_progress(path, network, adam(network), Progress("a", [{"val_loss": 0.1}]))
    assert load_progress(path, network, adam(network), "b").epochs == 0
    whole = path.read_bytes()
    for damaged in (b"", b"no zip at all", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert load_progress(path, network, adam(network), "a").epochs == 0
    assert caplog.text.count("cannot be used") == 3


def test_settings_that_shape_the_model_are_in_the_fingerprint(store_folder, settings):
    store, cpu = Store(store_folder), torch.device("cpu")

    def fingerprint(**changes):
        return fit._fingerprint(store, cpu, settings.model_copy(update=changes))

    same = [fingerprint(), fingerprint(sasa_bins=[0.0, 1.0]), fingerprint(enabled=False)]
    assert len(set(same)) == 1
    others = [fingerprint(num_epochs=3), fingerprint(learning_rate=0.5), fingerprint(seed=5), fingerprint(threads=2)]
    assert len({*same, *others}) == 5


@pytest.mark.parametrize("architecture", ["densenet3d_regression", "dilated_resnet3d", "multipath_rmsf_net"])
def test_published_networks_train_on_a_store_to_the_same_bytes(tmp_path, store_folder, settings, architecture):
    small = {"block_config": [1], "num_residual_blocks": 1, "base_filters": 4, "num_init_features": 4}
    quick = settings.model_copy(update={"architecture": architecture, "num_epochs": 1, **small})
    for name in "ab":
        torch.manual_seed(ord(name))  # What was drawn before must not matter.
        train(store_folder, tmp_path / name, quick)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    network, facts = load_model(tmp_path / "a")
    assert facts["parameters"] == network.parameter_count
    assert not network.training


def test_rotations_are_drawn_in_training_only(tmp_path, store_folder, settings):
    one = settings.model_copy(update={"num_epochs": 1, "dropout_rate": 0.0})
    for name, rotations in (("a", False), ("b", True)):
        train(store_folder, tmp_path / name, one.model_copy(update={"rotations": rotations}))
    assert history(tmp_path / "a")[0]["train_loss"] != history(tmp_path / "b")[0]["train_loss"]


def test_a_last_batch_of_one_sample_is_left_out(tmp_path, store_folder, settings, monkeypatch):
    seen = []
    whole = fit._learn
    monkeypatch.setattr(fit, "_learn", lambda *a, **k: seen.append(whole(*a, **k)) or seen[-1])
    train(store_folder, tmp_path, settings.model_copy(update={"num_epochs": 1, "batch_size": 359}))
    assert [len(values) for values in seen[0]] == [359, 359]


def test_a_domain_in_train_and_val_is_refused(tmp_path, store_folder, settings, monkeypatch):
    def leaking(store, split):
        return read_samples(store, "train" if split == "val" else split)

    monkeypatch.setattr(fit, "read_samples", leaking)
    with pytest.raises(LeakageError, match=r"5 domains are in train and in val, e.g. a"):
        train(store_folder, tmp_path, settings)


def test_equal_targets_are_refused(tmp_path, make_store, settings):
    folder = make_store(tmp_path, rmsf=lambda *_: 0.25, residues=3)
    with pytest.raises(InputError, match="nothing can be learned"):
        train(folder, tmp_path / "out", settings)


def test_training_that_runs_away_says_so(tmp_path, store_folder, settings):
    wild = settings.model_copy(update={"learning_rate": 1e30, "max_norm": None})
    with pytest.raises(IntegrityError, match=r"lower voxel.train.learning_rate"):
        train(store_folder, tmp_path, wild)
    assert not (tmp_path / "model.safetensors").exists()


def test_gradients_are_clipped(tmp_path, store_folder, settings, monkeypatch):
    norms = []
    monkeypatch.setattr(fit, "clip_grad_norm_", lambda parameters, norm: norms.append(norm))
    for name, norm in (("a", 0.5), ("b", None)):
        train(store_folder, tmp_path / name, settings.model_copy(update={"num_epochs": 1, "max_norm": norm}))
    assert norms == [0.5] * 12  # 360 samples in batches of 32


def test_a_gpu_that_is_not_there_is_an_error_of_the_machine(tmp_path, store_folder, settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EnvironmentFault, match="torch finds no GPU"):
        train(store_folder, tmp_path, settings.model_copy(update={"device": "cuda"}))
    with reproducible(settings.model_copy(update={"device": "auto"})) as device:
        assert device.type == "cpu"


def test_torch_is_left_as_it_was(settings):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with reproducible(settings):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
        torch.manual_seed(5)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_damaged_model_is_named(tmp_path, trained):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(IntegrityError, match="not a model that this version can read"):
        load_model(tmp_path)
    weights.write_bytes(safetensors.torch.save({"other": torch.zeros(1)}))
    with pytest.raises(IntegrityError, match="not a model that this version can read"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors: no such file"):
        load_model(tmp_path)


def test_every_setting_is_described():
    assert [name for name, field in VoxelTrainSettings.model_fields.items() if not field.description] == []


def test_a_network_that_does_not_fit_is_a_matter_of_the_configuration(tmp_path, store_folder, settings):
    with pytest.raises(ConfigError, match="too deep"):
        train(store_folder, tmp_path, settings.model_copy(update={"architecture": "densenet3d_regression"}))
