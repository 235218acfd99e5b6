"""`sgd_logistic`: logistic regression by stochastic gradient descent, piece by piece, for sets of any size."""

from __future__ import annotations

import copy
import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.feed import Feed
from trainyard.splice.train.model import Fitted, predict
from trainyard.splice.train.runtime import one_blas_thread
from trainyard.splice.train.scaling import Scaler, fit_scaler
from trainyard.yard.errors import ConfigError

Floats = NDArray[np.float32]

FORMAT = "trainyard-splice-linear"
DEFAULTS: dict[str, Any] = {"alpha": 1e-6, "epochs": 20, "decay": 0.8}
"""Beside these `eta0`, the first step, by default 6 / columns: one row then moves a logit by 6 at most. `decay` is its
factor from epoch to epoch."""
_LEAST = 1e-7
"""Probabilities are kept so far from 0 in the loss."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Linear:
    """One logistic regression per class against the rest; see `trainyard.splice.train.learners.Model`."""

    scaler: Scaler
    coefficients: NDArray[np.float64]
    """Shape `(classes, columns)`, or `(1, columns)` for two classes."""
    intercepts: NDArray[np.float64]

    def predict(self, features: Floats) -> Floats:
        """See `Model`; the probabilities of several classes are brought to a sum of 1."""
        with one_blas_thread():
            odds = expit(self.scaler(features).astype(np.float64) @ self.coefficients.T + self.intercepts)
        if odds.shape[1] == 1:
            return np.concatenate([1 - odds, odds], axis=1).astype(np.float32)
        total = odds.sum(axis=1, keepdims=True)
        even = np.full_like(odds, 1 / odds.shape[1])
        shares: Floats = np.divide(odds, total, out=even, where=total > 0).astype(np.float32)
        return shares

    def gains(self) -> NDArray[np.float64]:
        """Size of the coefficients of scaled columns, summed over classes."""
        size: NDArray[np.float64] = np.abs(self.coefficients).sum(axis=0)
        return size

    def to_bytes(self) -> bytes:
        """JSON."""
        told = {"format": FORMAT, "version": 1, "scaler": self.scaler.to_dict()}
        told |= {"coefficients": self.coefficients.tolist(), "intercepts": self.intercepts.tolist()}
        return (json.dumps(told, sort_keys=True) + "\n").encode()


def read(data: bytes) -> Linear:
    """Read a model that `Linear.to_bytes` gave.

    Raises:
        KeyError, ValueError: It is none.
    """
    told = json.loads(data)
    if (told["format"], told["version"]) != (FORMAT, 1):
        raise ValueError(f"{told['format']} version {told['version']}")
    numbers = (np.array(told[name], np.float64) for name in ("coefficients", "intercepts"))
    return Linear(Scaler.from_dict(told["scaler"]), *numbers)


def fit(learn: Feed, watch: Feed | None, settings: SpliceTrainSettings) -> Fitted:
    """Go through the rows once per epoch, with smaller and smaller steps, and keep the epoch that is best on val.

    Weights are divided by their mean, so that a step is of the same size whatever rows stand for.

    Args:
        learn: Rows to learn from.
        watch: Rows that say which epoch was best; None takes the last.
        settings: Hyper-parameters and seed.

    Raises:
        ConfigError: scikit-learn refuses the hyper-parameters.
    """
    parameters = {**DEFAULTS, "eta0": 6 / len(learn.columns), **settings.parameters}
    epochs, decay = int(parameters.pop("epochs")), float(parameters.pop("decay"))
    first_step = float(parameters.pop("eta0"))
    with one_blas_thread():
        scaler = fit_scaler(learn)
        classifier = _classifier(parameters, settings)
        mean = float(learn.weight.mean(dtype=np.float64))
        history: list[dict[str, float]] = []
        best = None
        for epoch in range(epochs):
            classifier.set_params(eta0=first_step * decay**epoch)
            for piece, rows in learn.pieces():
                classifier.partial_fit(
                    scaler(piece), learn.target[rows], np.arange(learn.classes), learn.weight[rows] / mean
                )
            model = Linear(scaler, classifier.coef_.astype(np.float64), classifier.intercept_.astype(np.float64))
            loss = float("nan") if watch is None else log_loss(predict(model, watch), watch)
            history.append({"val_logloss": loss})
            if best is None or not loss >= min(row["val_logloss"] for row in history[:-1]):
                best = copy.deepcopy(model)
            _log.info("epoch %d: loss on val %.5g", epoch + 1, loss)
    if best is None:
        raise ConfigError("splice.train.parameters: epochs must be at least 1")
    facts = {"parameters": {**parameters, "epochs": epochs, "decay": decay, "eta0": first_step}}
    return Fitted(best, [] if watch is None else history, facts)


def log_loss(probability: Floats, feed: Feed) -> float:
    """Weighted mean of -ln(probability of the true class)."""
    own = np.maximum(probability[np.arange(len(feed)), feed.target].astype(np.float64), _LEAST)
    return float((-np.log(own) * feed.weight).sum() / feed.weight.sum(dtype=np.float64))


def _classifier(parameters: dict[str, Any], settings: SpliceTrainSettings) -> Any:
    from sklearn.linear_model import SGDClassifier

    try:
        found = SGDClassifier(
            **{"loss": "log_loss", "learning_rate": "constant", "random_state": settings.seed, **parameters}
        )
        found._validate_params()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"splice.train.parameters: {error}") from error
    if found.loss != "log_loss":
        raise ConfigError(
            f"splice.train.parameters: loss is {found.loss!r}, but only 'log_loss' gives probabilities; take it out"
        )
    return found
