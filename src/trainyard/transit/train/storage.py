"""What training keeps on disk: the model, with reproducible bytes, and the progress of an unfinished run."""

from __future__ import annotations

import json
import logging
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainyard.yard.files import atomic_open

_log = logging.getLogger(__name__)
_EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        fingerprint: Of settings, data and code; progress under another one is void.
        history: One row of metrics per finished epoch.
        best: Values of the model's variables after the best epoch, in the order of `model.variables`.
    """

    fingerprint: str
    history: list[dict[str, float]] = field(default_factory=list)
    best: list[NDArray[Any]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.history)


def save_progress(path: Path, model: keras.Model, progress: Progress) -> None:
    """Write progress and the state of model and optimizer as one file, whole or not at all."""
    arrays = {f"now_{i}": variable.numpy() for i, variable in enumerate(_state(model))}
    arrays |= {f"best_{i}": value for i, value in enumerate(progress.best)}
    with atomic_open(path) as handle:
        np.savez(handle, fingerprint=progress.fingerprint, history=json.dumps(progress.history), **arrays)


def load_progress(path: Path, model: keras.Model, fingerprint: str) -> Progress:
    """Set model and optimizer to where a killed run of the same fingerprint stood; without one, leave them."""
    if not path.exists():
        return Progress(fingerprint)
    state = _state(model)
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["fingerprint"]) != fingerprint:
                _log.info("%s belongs to other settings, data or code: starting from the first epoch", path)
                return Progress(fingerprint)
            now = [stored[f"now_{i}"] for i in range(len(state))]
            best = [stored[f"best_{i}"] for i in range(len(model.variables))]
            history = json.loads(str(stored["history"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        _log.warning("%s cannot be used (%s): starting from the first epoch", path, error)
        return Progress(fingerprint)
    for variable, value in zip(state, now, strict=True):
        variable.assign(value)
    _log.info("going on after epoch %d", len(history))
    return Progress(fingerprint, history, best)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model in Keras' own format, the same bytes for the same model.

    Keras puts the time of saving and memory addresses into the archive; both are replaced.
    """
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model.keras"
        model.save(saved)
        with zipfile.ZipFile(saved) as source, atomic_open(path) as handle:
            _repack(source, handle)


def _state(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _repack(source: zipfile.ZipFile, handle: IO[bytes]) -> None:
    with zipfile.ZipFile(handle, "w") as target:
        for name in sorted(source.namelist()):
            data = source.read(name)
            if name == "metadata.json":
                data = json.dumps({**json.loads(data), "date_saved": "1980-01-01@00:00:00"}).encode()
            elif name == "config.json":
                config = json.loads(data)
                _renumber(config, {})
                data = json.dumps(config).encode()
            target.writestr(zipfile.ZipInfo(name, _EPOCH_OF_ZIP), data)


def _renumber(node: Any, numbers: dict[int, int]) -> None:
    """Replace the addresses that mark an object used twice by their order of appearance."""
    if isinstance(node, dict):
        if "shared_object_id" in node:
            node["shared_object_id"] = numbers.setdefault(node["shared_object_id"], len(numbers) + 1)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            _renumber(item, numbers)
