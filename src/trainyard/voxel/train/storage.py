"""What training keeps on disk: the model, with reproducible bytes, and the progress of an unfinished run."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from trainyard.voxel.settings import EVALUATION_KEYS, VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.train.models import VoxelNetwork, build_model
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open, read_json, write_json

WEIGHTS, FACTS = "model.safetensors", "model.json"
FORMAT, VERSION = "trainyard.voxel_model", 1
_SCALER = "temp_scaling_params.json"

_log = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        fingerprint: Of settings, data and code; progress under another one is void.
        history: One row of metrics per finished epoch.
        best: State of the network after the best epoch.
    """

    fingerprint: str
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.history)


def save_progress(path: Path, network: VoxelNetwork, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write progress and the state of network and optimizer as one file, whole or not at all."""
    state = {**vars(progress), "network": network.state_dict(), "optimizer": optimizer.state_dict()}
    with atomic_open(path) as handle:
        torch.save(state, handle)


def load_progress(path: Path, network: VoxelNetwork, optimizer: torch.optim.Optimizer, fingerprint: str) -> Progress:
    """Set network and optimizer to where a killed run of the same fingerprint stood; without one, leave them."""
    if not path.exists():
        return Progress(fingerprint)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        progress = Progress(**{name: state[name] for name in ("fingerprint", "history", "best")})
        states = state["network"], state["optimizer"]
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        _log.warning("%s cannot be used (%s): starting from the first epoch", path, error)
        return Progress(fingerprint)
    if progress.fingerprint != fingerprint:
        _log.info("%s belongs to other settings, data or code: starting from the first epoch", path)
        return Progress(fingerprint)
    network.load_state_dict(states[0])
    optimizer.load_state_dict(states[1])
    _log.info("going on after epoch %d", progress.epochs)
    return progress


def snapshot(network: VoxelNetwork) -> dict[str, Tensor]:
    """Return a copy of the network's state, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def read_scaler(store: Store) -> dict[str, Any]:
    """Return the parameters of the temperature scaling of a store.

    Raises:
        InputError: They are missing; a default would scale temperatures wrongly, and nobody would know.
    """
    scaler: dict[str, Any] = read_json(store.folder / _SCALER)
    return scaler


def save_model(
    folder: Path,
    state: dict[str, Tensor],
    store: Store,
    settings: VoxelTrainSettings,
    facts: dict[str, Any],
) -> None:
    """Write a model as `model.safetensors` and `model.json`, the same bytes for the same model.

    Args:
        folder: Where.
        state: State of the network.
        store: The store that it was trained on.
        settings: The settings that it was made with.
        facts: What else `model.json` shall say.
    """
    with atomic_open(folder / WEIGHTS) as handle:
        handle.write(safetensors.torch.save({name: tensor.contiguous() for name, tensor in state.items()}))
    about = {
        "format": FORMAT,
        "version": VERSION,
        "settings": settings.model_dump(mode="json", exclude={"enabled", *EVALUATION_KEYS}),
        "input_shape": list(store.shape),
        "channels": list(store.channels),
        "edge_angstrom": store.manifest["edge_angstrom"],
        "output": {"name": "rmsf", "unit": "nm"},
        "temp_scaling": read_scaler(store),
    }
    write_json(folder / FACTS, about | facts)


def load_model(folder: Path) -> tuple[VoxelNetwork, dict[str, Any]]:
    """Read a model that `save_model` wrote; the network is set to evaluation.

    Returns:
        The network, on the CPU, and what `model.json` says.

    Raises:
        InputError: A file is missing.
        IntegrityError: The files are no model, or do not fit together.
    """
    facts: dict[str, Any] = read_json(folder / FACTS)
    try:
        if (facts["format"], facts["version"]) != (FORMAT, VERSION):
            raise ValueError(f"{facts['format']} version {facts['version']}")
        network = build_model(VoxelTrainSettings.model_validate(facts["settings"]), facts["input_shape"])
        network.load_state_dict(safetensors.torch.load((folder / WEIGHTS).read_bytes()))
    except FileNotFoundError:
        raise InputError(f"{folder / WEIGHTS}: no such file; train again") from None
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError, SafetensorError) as error:
        raise IntegrityError(f"{folder}: not a model that this version can read ({error}); train again") from error
    return network.eval(), facts
