"""LightGBM, where it is installed; stored as its own text format."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.feed import Feed
from trainyard.splice.train.model import Fitted, history_rows
from trainyard.yard.errors import ConfigError, EnvironmentFault

Floats = NDArray[np.float32]

DEFAULTS: dict[str, Any] = {"learning_rate": 0.1, "max_depth": 6, "max_delta_step": 1.0}
"""The published hyper-parameters, and `max_delta_step` for the reason given in `boosting`; the number of trees is
`rounds`."""
_OURS = ("objective", "num_class", "seed", "num_threads", "num_iterations", "n_estimators", "early_stopping_round")


class Boosted:
    """Boosted trees; see `trainyard.splice.train.learners.Model`."""

    def __init__(self, booster: Any, threads: int) -> None:
        self._booster = booster
        self._threads = threads

    def predict(self, features: Floats) -> Floats:
        """See `Model`."""
        found = np.asarray(self._booster.predict(features, num_threads=self._threads), np.float32)
        return found if found.ndim == 2 else np.stack([np.float32(1) - found, found], axis=1)

    def gains(self) -> NDArray[np.float64]:
        """Total gain of the splits on each column."""
        return np.asarray(self._booster.feature_importance("gain"), np.float64)

    def to_bytes(self) -> bytes:
        """LightGBM's text format."""
        return str(self._booster.model_to_string()).encode()


def fit(learn: Feed, watch: Feed | None, settings: SpliceTrainSettings) -> Fitted:
    """Boost trees until val gets no better.

    Args:
        learn: Rows to learn from; they must fit in memory.
        watch: Rows that say when to stop; None to grow all trees.
        settings: Hyper-parameters, rounds, threads and seed.

    Raises:
        ConfigError: LightGBM refuses the hyper-parameters, or there are more than `external_memory_rows` rows.
        EnvironmentFault: LightGBM is not installed.
    """
    lgb = _lightgbm()
    if len(learn) > settings.external_memory_rows:
        raise ConfigError(
            f"splice.train: lightgbm needs all {len(learn)} train rows in memory, more than external_memory_rows ="
            f" {settings.external_memory_rows}; raise it, or choose xgboost, which reads rows in pieces"
        )
    if taken := sorted(set(settings.parameters) & set(_OURS)):
        raise ConfigError(f"splice.train.parameters: {', '.join(taken)} have keys of their own in splice.train")
    parameters = _parameters(learn.classes, settings)
    history: dict[str, dict[str, list[float]]] = {}
    callbacks = [lgb.record_evaluation(history)]
    sets = {"train": lgb.Dataset(learn.matrix(), learn.target, weight=learn.weight, feature_name=list(learn.columns))}
    if watch is not None:
        sets["val"] = lgb.Dataset(watch.matrix(), watch.target, weight=watch.weight, reference=sets["train"])
        callbacks.append(lgb.early_stopping(settings.early_stopping_rounds, verbose=False))
    # Only val may say when to stop, so train is not watched.
    watched = [name for name in sets if name == "val"]
    try:
        booster = lgb.train(
            parameters,
            sets["train"],
            settings.rounds,
            valid_sets=[sets[name] for name in watched],
            valid_names=watched,
            callbacks=callbacks,
        )
    except (lgb.basic.LightGBMError, ValueError) as error:
        raise ConfigError(f"splice.train.parameters: LightGBM refuses them: {error}") from error
    trees = booster.best_iteration if watch is not None and booster.best_iteration > 0 else booster.current_iteration()
    if watch is not None:
        booster = lgb.Booster(model_str=booster.model_to_string(num_iteration=trees))
    facts = {"parameters": parameters, "trees": trees}
    return Fitted(Boosted(booster, settings.threads), history_rows(history), facts)


def read(data: bytes, settings: SpliceTrainSettings) -> Boosted:
    """Read a model that `Boosted.to_bytes` gave.

    Raises:
        EnvironmentFault: LightGBM is not installed.
        ValueError: It is none.
    """
    lgb = _lightgbm()
    try:
        return Boosted(lgb.Booster(model_str=data.decode()), settings.threads)
    except lgb.basic.LightGBMError as error:
        raise ValueError(str(error)) from error


def _parameters(classes: int, settings: SpliceTrainSettings) -> dict[str, Any]:
    if classes == 2:
        task: dict[str, Any] = {"objective": "binary", "metric": "binary_logloss"}
    else:
        task = {"objective": "multiclass", "num_class": classes, "metric": "multi_logloss"}
    fixed = {
        "seed": settings.seed,
        "num_threads": settings.threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    return {**DEFAULTS, **task, **settings.parameters, **fixed}


def _lightgbm() -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise EnvironmentFault(
            "splice.train.model is 'lightgbm', which is not installed here; install it (pip install lightgbm), or"
            " choose xgboost"
        ) from error
    return lightgbm
