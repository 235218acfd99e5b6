"""Training: epoch after epoch with early stopping, resumable, and the same bytes for the same inputs."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

import trainyard
from trainyard.voxel.loader import VoxelLoader, make_loader
from trainyard.voxel.settings import EVALUATION_KEYS, VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.train.metrics import EPOCH_METRICS, pearson
from trainyard.voxel.train.models import VoxelNetwork, build_model
from trainyard.voxel.train.runtime import precision, reproducible, seed_for
from trainyard.voxel.train.samples import EncodedSamples, Floats, Samples, read_samples, residues_sha256
from trainyard.voxel.train.schedule import Monitor, best_epoch, choose_monitor, learning_rate, should_stop
from trainyard.voxel.train.storage import Progress, load_progress, save_model, save_progress, snapshot
from trainyard.yard.code import code_digest
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.history import write_history

_log = logging.getLogger(__name__)


def train(folder: Path, out: Path, settings: VoxelTrainSettings) -> None:
    """Train a network on the train split of a store, watched on val, and write the best epoch's model.

    Writes into `out`: `model.safetensors` (weights), `model.json` (architecture, channels, temperature scaling, hash of
    the residues that it saw, versions, and how training ended) and `history.csv` (one row per epoch, counted from 1;
    losses in nm^2; `best` marks the epoch whose weights the model has). A run that is killed goes on after its last
    whole epoch, from `.progress.pt` in `out`, and ends with the bytes of an undisturbed run; when settings, data or
    code have changed meanwhile, it starts again.

    Args:
        folder: Folder of the store.
        out: Folder of the model; made if missing.
        settings: The training block of the configuration.

    Raises:
        ConfigError: The network does not fit the grids.
        EnvironmentFault: There is no GPU though the settings ask for one; disk full, no permission.
        InputError: There is no store, or nothing to learn from it.
        IntegrityError: The store is damaged, or the loss is not finite.
        LeakageError: A domain is in both splits.
    """
    store = Store(folder)
    learn, watch = (read_samples(store, split) for split in ("train", "val"))
    _check(store, learn, watch)
    monitor = choose_monitor(settings, watch.target)
    with reproducible(settings) as device:
        network = _new_network(store, learn, settings).to(device)
        progress = _fit(network, store, watch, out / ".progress.pt", monitor, device=device, settings=settings)
    best = best_epoch(progress.history, monitor)
    stopped = should_stop(progress.history, monitor, patience=settings.early_stopping_patience)
    facts: dict[str, Any] = {
        "parameters": network.parameter_count,
        "monitor": monitor.name,
        "epochs": progress.epochs,
        "best_epoch": best,
        "stopped_early": stopped and progress.epochs < settings.num_epochs,
        "samples": {samples.split: len(samples) for samples in (learn, watch)},
        "train_residues_sha256": residues_sha256(store, learn),
        "device": device.type,
        "torch": torch.__version__,
    }
    write_history(out / "history.csv", progress.history, best=best)
    save_model(out, progress.best, store, settings, facts)
    (out / ".progress.pt").unlink(missing_ok=True)


def _fit(
    network: VoxelNetwork,
    store: Store,
    watch: Samples,
    path: Path,
    monitor: Monitor,
    *,
    device: torch.device,
    settings: VoxelTrainSettings,
) -> Progress:
    """Train until it is time to stop, keeping the progress of every epoch in a file."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    loader = make_loader(
        store,
        "train",
        settings.batch_size,
        order="shuffled",
        seed=settings.seed,
        rotations=settings.rotations,
        device=device,
        reuse_buffer=True,
    )
    network.settle(next(iter(loader))["voxels"])
    progress = load_progress(path, network, optimizer, _fingerprint(store, device, settings))
    patience = settings.early_stopping_patience
    while progress.epochs < settings.num_epochs and not should_stop(progress.history, monitor, patience=patience):
        epoch = progress.epochs + 1
        rate = learning_rate(progress.history, monitor, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate
        learned = _learn(network, optimizer, loader, epoch=epoch, device=device, settings=settings)
        seen = EncodedSamples(network, store, watch, device=device, settings=settings).predict()
        progress.history.append(_row(learned, (watch.target, seen), epoch=epoch, rate=rate))
        if best_epoch(progress.history, monitor) == epoch:
            progress.best = snapshot(network)
        save_progress(path, network, optimizer, progress)
        _log.info("epoch %d: %s", epoch, ", ".join(f"{k} {v:.4g}" for k, v in progress.history[-1].items()))
    return progress


def _learn(
    network: VoxelNetwork,
    optimizer: torch.optim.Optimizer,
    loader: VoxelLoader,
    *,
    epoch: int,
    device: torch.device,
    settings: VoxelTrainSettings,
) -> tuple[Floats, Floats]:
    """Train for one epoch; returns targets and predictions, nm, in the order of the batches.

    An epoch needs no random state of the epochs before it, so a resumed run does what an undisturbed one would.
    """
    torch.manual_seed(seed_for("dropout", settings.seed, epoch))
    loader.set_epoch(epoch)
    network.train()
    targets, predictions = [], []
    for batch in loader:
        if len(batch["targets"]) < 2:
            continue  # Batch normalisation of a single sample makes no sense; it is another one in every epoch.
        with precision(device, settings):
            features = network.encode(batch["voxels"])
        predicted = network.judge(features, batch["scaled_temps"])
        loss = torch.nn.functional.mse_loss(predicted, batch["targets"])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if settings.max_norm is not None:
            clip_grad_norm_(network.parameters(), settings.max_norm)
        optimizer.step()
        targets.append(batch["targets"])
        predictions.append(predicted.detach())
    return torch.cat(targets).cpu().numpy(), torch.cat(predictions).cpu().numpy()


def _row(learned: tuple[Floats, Floats], seen: tuple[Floats, Floats], *, epoch: int, rate: float) -> dict[str, float]:
    """One row of the history, from targets and predictions of train and val."""
    losses = [float(np.mean((p.astype(np.float64) - y) ** 2)) for y, p in (learned, seen)]
    if not all(map(math.isfinite, losses)):
        raise IntegrityError(
            f"epoch {epoch}: the losses are {losses[0]} and {losses[1]}, training has run away; lower"
            " voxel.train.learning_rate"
        )
    scores = [pearson(*pair) for pair in (learned, seen)]
    return dict(zip(EPOCH_METRICS, [*losses, *scores, rate], strict=True))


def _new_network(store: Store, learn: Samples, settings: VoxelTrainSettings) -> VoxelNetwork:
    network = build_model(settings, store.shape)
    draw = torch.Generator().manual_seed(seed_for("weights", settings.seed))
    network.initialise(mean=float(learn.target.mean(dtype=np.float64)), generator=draw)
    return network


def _check(store: Store, learn: Samples, watch: Samples) -> None:
    if np.unique(learn.target).size < 2 or not len(watch):
        raise InputError(
            f"{store.folder}: train has {len(learn)} samples, val {len(watch)}: nothing can be learned, or nothing can"
            " watch over it; build more domains, or set voxel.train.enabled to false"
        )
    domains = store.residues["domain"]
    shared = sorted(set(_domains(domains, learn)) & set(_domains(domains, watch)))
    if shared:
        raise LeakageError(
            f"{store.folder}: {len(shared)} domains are in train and in val, e.g. {shared[0]}; the splits of this store"
            " are broken, build it again"
        )


def _domains(domains: Any, samples: Samples) -> Sequence[str]:
    found: list[str] = domains.take(np.unique(samples.residue_uid)).unique().to_pylist()
    return found


def _fingerprint(store: Store, device: torch.device, settings: VoxelTrainSettings) -> str:
    """What must not have changed for a killed run to go on."""
    code = code_digest("trainyard.voxel.train.fit", roots={"trainyard": Path(trainyard.__file__).parent})
    values = settings.model_dump_json(exclude={"enabled", *EVALUATION_KEYS})
    data = [entry["sha256"] for kind in ("parts", "tables") for entry in store.manifest[kind]]
    return hashlib.sha256("\n".join([values, torch.__version__, device.type, code, *data]).encode()).hexdigest()
