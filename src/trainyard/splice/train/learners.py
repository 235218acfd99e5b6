"""The meta-models behind one face: how each is fitted, stored and read back. Nothing is ever pickled.

A model is stored as what its library states without code: XGBoost as UBJSON, LightGBM as text, the linear model as JSON
numbers. Any other scikit-learn classifier has no such form; what is stored is the recipe (import path, parameters,
seed) with a hash of what it predicted, and reading it back means fitting it again on the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.feed import Feed
from trainyard.splice.train.model import Fitted, Floats, Model
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.files import faults_named

XGBOOST, SGD, LIGHTGBM, IDENTITY, SKLEARN = "xgboost", "sgd_logistic", "lightgbm", "identity", "sklearn"
_FILES = {XGBOOST: "model.ubj", SGD: "model.json", LIGHTGBM: "model.txt", IDENTITY: "model.json", SKLEARN: "model.json"}
IDENTITY_COLUMNS = ("neither_score", "donor_score", "acceptor_score")
"""Columns that the identity takes, in the order of the classes."""


def kind_of(model: str) -> str:
    """Which of the learners a name stands for: an import path is a scikit-learn classifier.

    Raises:
        ConfigError: Neither a known name nor an import path.
    """
    if model in _FILES and model != SKLEARN:
        return model
    if "." in model:
        return SKLEARN
    known = ", ".join(sorted(set(_FILES) - {SKLEARN}))
    raise ConfigError(
        f"splice.train.model: {model!r} is unknown; one of {known}, or the import path of a scikit-learn classifier,"
        " such as sklearn.ensemble.RandomForestClassifier"
    )


def model_file(model: str) -> str:
    """Name of the file that holds a model of the settings.

    Raises:
        ConfigError: See `kind_of`.
    """
    return _FILES[kind_of(model)]


def other_model_files(model: str) -> list[str]:
    """Names of the files that hold models of the other kinds, sorted.

    Raises:
        ConfigError: See `kind_of`.
    """
    return sorted(set(_FILES.values()) - {model_file(model)})


def fit_model(learn: Feed, watch: Feed | None, settings: SpliceTrainSettings, *, cache: Path) -> Fitted:
    """Fit the model of the settings.

    Args:
        learn: Rows to learn from.
        watch: Rows that say when to stop; None to go all the way.
        settings: Model, hyper-parameters, threads and seed.
        cache: Folder for what external memory needs meanwhile; need not exist.

    Raises:
        ConfigError: The model or a hyper-parameter is unknown, or the set is too large for the model.
        EnvironmentFault: The library of the model is not installed.
    """
    kind = kind_of(settings.model)
    if kind == XGBOOST:
        from trainyard.splice.train import boosting

        return boosting.fit(learn, watch, settings, cache=cache)
    if kind == SGD:
        from trainyard.splice.train import linear

        return linear.fit(learn, watch, settings)
    if kind == LIGHTGBM:
        from trainyard.splice.train import lightgbm_model

        return lightgbm_model.fit(learn, watch, settings)
    if kind == SKLEARN:
        from trainyard.splice.train import recipe

        return recipe.fit(learn, settings)
    return Fitted(Identity(learn.columns, learn.classes))


def read_model(path: Path, learn: Feed, settings: SpliceTrainSettings) -> Model:
    """Read a stored model, or cook its recipe again.

    Args:
        path: The file.
        learn: The rows that it was fitted on.
        settings: What it was fitted with.

    Raises:
        InputError: There is no such file.
        IntegrityError: It is no model that this version can read, or the recipe gives another model than it did.
    """
    try:
        with faults_named(path):
            data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; train again") from None
    kind = kind_of(settings.model)
    try:
        if kind == XGBOOST:
            from trainyard.splice.train import boosting

            return boosting.read(data, learn.columns)
        if kind == SGD:
            from trainyard.splice.train import linear

            return linear.read(data)
        if kind == LIGHTGBM:
            from trainyard.splice.train import lightgbm_model

            return lightgbm_model.read(data, settings)
        if kind == SKLEARN:
            from trainyard.splice.train import recipe

            return recipe.read(data, learn, settings)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path}: not a model that this version can read ({error}); train again") from error
    return Identity(learn.columns, learn.classes)


@dataclass(frozen=True)
class Identity:
    """Says what the base model says: the comparison with it must then find no difference at all."""

    columns: Sequence[str]
    classes: int

    def predict(self, features: Floats) -> Floats:
        """See `Model`."""
        neither, donor, acceptor = (features[:, self.columns.index(name)] for name in IDENTITY_COLUMNS)
        if self.classes == 2:
            site = np.maximum(donor, acceptor)
            return np.stack([np.float32(1) - site, site], axis=1)
        return np.stack([neither, donor, acceptor], axis=1)

    def gains(self) -> None:
        """See `Model`."""

    def to_bytes(self) -> bytes:
        """See `Model`."""
        return b'{"format": "trainyard-splice-identity", "version": 1}\n'
