"""Any scikit-learn classifier by import path, stored as a recipe.

Such a model could only be kept as a pickle, which runs code when it is read, so it is not kept at all: the recipe says
what to fit, and how. Whoever needs the model again fits it on the same rows, and a hash of its predictions proves that
it is the same.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.feed import Feed
from trainyard.splice.train.model import Fitted
from trainyard.splice.train.runtime import one_blas_thread
from trainyard.splice.train.scaling import Scaler, fit_scaler
from trainyard.yard.errors import ConfigError, IntegrityError

Floats = NDArray[np.float32]

FORMAT = "trainyard-splice-recipe"
PROBED_ROWS = 4096
"""Train rows, the first ones, whose predictions make the fingerprint of a model."""
_DIGITS = 5
"""Digits of a prediction that count in it."""

_log = logging.getLogger(__name__)


class Cooked:
    """A fitted scikit-learn classifier behind a scaler; see `trainyard.splice.train.learners.Model`."""

    def __init__(self, classifier: Any, scaler: Scaler, recipe: dict[str, Any]) -> None:
        self._classifier = classifier
        self._scaler = scaler
        self.recipe = recipe

    def predict(self, features: Floats) -> Floats:
        """See `Model`."""
        with one_blas_thread():
            return np.asarray(self._classifier.predict_proba(self._scaler(features)), np.float32)

    def gains(self) -> NDArray[np.float64] | None:
        """Importances or coefficients, where the classifier has any."""
        if (found := getattr(self._classifier, "feature_importances_", None)) is not None:
            return np.asarray(found, np.float64)
        if (found := getattr(self._classifier, "coef_", None)) is not None:
            size: NDArray[np.float64] = np.abs(np.atleast_2d(np.asarray(found, np.float64))).sum(axis=0)
            return size
        return None

    def to_bytes(self) -> bytes:
        """The recipe as JSON."""
        return (json.dumps(self.recipe, sort_keys=True, indent=2, default=str) + "\n").encode()


def fit(learn: Feed, settings: SpliceTrainSettings) -> Fitted:
    """Fit a classifier on scaled features, all in memory.

    Args:
        learn: Rows to learn from.
        settings: Import path, hyper-parameters and seed.

    Raises:
        ConfigError: The path leads to no classifier that gives probabilities, it refuses its parameters, or there are
            more than `external_memory_rows` rows.
    """
    if len(learn) > settings.external_memory_rows:
        raise ConfigError(
            f"splice.train: {settings.model} needs all {len(learn)} train rows in memory, more than"
            f" external_memory_rows = {settings.external_memory_rows}; raise it, or choose xgboost or sgd_logistic,"
            " which read rows in pieces"
        )
    classifier = make_classifier(settings)
    scaler = fit_scaler(learn)
    features = scaler(learn.matrix())
    weighted = "sample_weight" in inspect.signature(classifier.fit).parameters
    if not weighted:
        _log.warning(
            "%s takes no sample weights: rows count alike, however many positions they stand for", settings.model
        )
    with one_blas_thread():
        try:
            classifier.fit(features, learn.target, **({"sample_weight": learn.weight} if weighted else {}))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"splice.train: {settings.model} cannot be fitted with these parameters: {error}"
            ) from error
    recipe = {
        "format": FORMAT,
        "version": 1,
        "classifier": settings.model,
        "parameters": settings.parameters,
        "seed": settings.seed,
        "weighted": weighted,
        "rows": len(learn),
        "columns": list(learn.columns),
    }
    model = Cooked(classifier, scaler, recipe)
    recipe["predictions_sha256"] = fingerprint(model, features, scaler)
    return Fitted(model, facts={"parameters": settings.parameters, "weighted": weighted})


def read(data: bytes, learn: Feed, settings: SpliceTrainSettings) -> Cooked:
    """Cook a recipe again.

    Raises:
        KeyError, ValueError: It is none, or one of other rows or settings.
        IntegrityError: It gives another model than it did.
    """
    told = json.loads(data)
    if (told["format"], told["version"]) != (FORMAT, 1):
        raise ValueError(f"{told['format']} version {told['version']}")
    found = fit(learn, settings).model
    assert isinstance(found, Cooked)
    if json.loads(found.to_bytes()) != told:
        raise IntegrityError(
            f"fitting {settings.model} again gave another model than before: rows, settings or versions have changed,"
            " or its parameters leave something to chance; train again"
        )
    return found


def make_classifier(settings: SpliceTrainSettings) -> Any:
    """The unfitted classifier of the settings, with its seed.

    Raises:
        ConfigError: See `fit`.
    """
    from sklearn.base import is_classifier

    module, _, name = settings.model.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"splice.train.model: {settings.model} cannot be imported ({error})") from error
    try:
        accepted = inspect.signature(kind).parameters
        seed = {"random_state": settings.seed} if "random_state" in accepted else {}
        found = kind(**seed, **settings.parameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"splice.train.parameters: {settings.model} refuses them: {error}") from error
    if not is_classifier(found) or not hasattr(found, "predict_proba"):
        raise ConfigError(
            f"splice.train.model: {settings.model} is no scikit-learn classifier that gives probabilities"
            " (predict_proba); choose another, or wrap it in sklearn.calibration.CalibratedClassifierCV"
        )
    return found


def fingerprint(model: Cooked, features: Floats, scaler: Scaler) -> str:
    """Hash of what a model says of the first scaled rows, to five digits."""
    said = model._classifier.predict_proba(features[:PROBED_ROWS])
    return hashlib.sha256(np.round(said, _DIGITS).astype("<f4").tobytes()).hexdigest()
