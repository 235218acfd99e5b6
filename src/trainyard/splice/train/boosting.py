"""XGBoost on pieces of rows: quantised in memory, or, for large sets, in files that are read in turns."""

from __future__ import annotations

import difflib
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.feed import Feed
from trainyard.splice.train.model import Fitted, history_rows
from trainyard.yard.errors import ConfigError
from trainyard.yard.files import faults_named

Floats = NDArray[np.float32]

DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.05,
    "max_depth": 6,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
    "max_bin": 256,
    "max_delta_step": 1,
}
"""The published hyper-parameters, and one more; the number of trees is `rounds`.

Counted as positions, one in thousands is a site, so the second derivative of a leaf of sites is almost nothing and its
Newton step hundreds of logits long: without `max_delta_step` training runs away and ranks sites worse.
"""
_OURS = {
    "objective": "target",
    "num_class": "target",
    "seed": "seed",
    "random_state": "seed",
    "nthread": "threads",
    "n_jobs": "threads",
    "n_estimators": "rounds",
    "num_boost_round": "rounds",
    "early_stopping_rounds": "early_stopping_rounds",
}
"""Parameters that have a key of their own."""
_UNUSED = re.compile(r"Parameters: \{ (.*?) \} are not used")


def fit(learn: Feed, watch: Feed | None, settings: SpliceTrainSettings, *, cache: Path) -> Fitted:
    """Boost trees until val gets no better.

    Sets of more than `external_memory_rows` rows are quantised into files below `cache`, which are gone at the end. The
    model is the same either way.

    Args:
        learn: Rows to learn from.
        watch: Rows that say when to stop; None to grow all trees.
        settings: Hyper-parameters, rounds, threads and seed.
        cache: Folder for these files.

    Raises:
        ConfigError: A parameter is unknown to XGBoost, has a bad value, or has a key of its own.
    """
    parameters = _parameters(learn.classes, settings)
    history: dict[str, dict[str, list[float]]] = {}
    with _scratch(cache), _errors_named():
        external = len(learn) > settings.external_memory_rows
        train = _matrix(learn, parameters, cache / "train" if external else None)
        evals = [(train, "train")]
        if watch is not None:
            large = len(watch) > settings.external_memory_rows
            evals.append((_matrix(watch, parameters, cache / "val" if large else None, ref=train), "val"))
        booster = xgb.train(
            parameters,
            train,
            settings.rounds,
            evals=evals,
            early_stopping_rounds=None if watch is None else settings.early_stopping_rounds,
            evals_result=history,
            verbose_eval=False,
        )
        best = booster.best_iteration if watch is not None else booster.num_boosted_rounds() - 1
        del train, evals  # They hold the files open.
    rounds = history_rows(history)
    model = Boosted(booster[: best + 1], learn.columns)
    facts = {"parameters": parameters, "trees": best + 1, "rounds_tried": len(rounds), "external_memory": external}
    return Fitted(model, rounds, facts)


def read(data: bytes, columns: Sequence[str]) -> Boosted:
    """Read a model that `Boosted.to_bytes` gave.

    Raises:
        ValueError: It is none, or of other columns.
    """
    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(data))
    except xgb.core.XGBoostError as error:
        raise ValueError(str(error).strip().splitlines()[-1]) from error
    if tuple(booster.feature_names or ()) != tuple(columns):
        raise ValueError("its features are not those of the dataset")
    return Boosted(booster, tuple(columns))


class Boosted:
    """Boosted trees; see `trainyard.splice.train.learners.Model`."""

    def __init__(self, booster: xgb.Booster, columns: Sequence[str]) -> None:
        self._booster = booster
        self._columns = columns

    def predict(self, features: Floats) -> Floats:
        """See `Model`."""
        found = np.asarray(self._booster.inplace_predict(features), np.float32)
        return found if found.ndim == 2 else np.stack([np.float32(1) - found, found], axis=1)

    def gains(self) -> NDArray[np.float64]:
        """Total gain of the splits on each column."""
        found = self._booster.get_score(importance_type="total_gain")
        return np.array([found.get(name, 0.0) for name in self._columns], np.float64)

    def to_bytes(self) -> bytes:
        """UBJSON."""
        return bytes(self._booster.save_raw("ubj"))


class Repeated:
    """Small models of the same rows with one set of labels after another: rows are quantised once."""

    def __init__(
        self, features: Floats, columns: Sequence[str], classes: int, *, rounds: int, parameters: Mapping[str, Any]
    ) -> None:
        """Quantise rows.

        Args:
            features: Shape `(n, columns)`; NaN where there is no value.
            columns: Their names.
            classes: Number of classes.
            rounds: Trees per class.
            parameters: Over the published ones.
        """
        self._columns = tuple(columns)
        self._rounds = rounds
        # One thread: so few rows are not worth the meetings of two.
        self._parameters = {**DEFAULTS, **_task(classes), **parameters, "nthread": 1}
        self._rows = xgb.QuantileDMatrix(features, max_bin=64, nthread=1, feature_names=list(columns))
        self._parameters["max_bin"] = 64

    def fit(self, target: NDArray[np.int8], *, seed: int) -> Boosted:
        """Boost all trees for one set of labels, shape `(n,)`."""
        self._rows.set_label(target)
        return Boosted(xgb.train({**self._parameters, "seed": seed}, self._rows, self._rounds), self._columns)


class _Pieces(xgb.DataIter):
    """Hands the pieces of a feed to XGBoost, which goes through them more than once."""

    def __init__(self, feed: Feed, cache: Path | None) -> None:
        self._feed = feed
        self._pieces = feed.pieces()
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(cache_prefix=None if cache is None else str(cache))

    def next(self, input_data: Any) -> bool:
        """Give the next piece; False if there is none."""
        found = next(self._pieces, None)
        if found is None:
            return False
        piece, rows = found
        input_data(
            data=piece,
            label=self._feed.target[rows],
            feature_names=list(self._feed.columns),
        )
        return True

    def reset(self) -> None:
        """Begin again."""
        self._pieces = self._feed.pieces()


def _matrix(feed: Feed, parameters: dict[str, Any], cache: Path | None, *, ref: Any = None) -> xgb.DMatrix:
    options = {"max_bin": parameters["max_bin"], "nthread": parameters["nthread"], "ref": ref}
    pieces = _Pieces(feed, cache)
    found = xgb.QuantileDMatrix(pieces, **options) if cache is None else xgb.ExtMemQuantileDMatrix(pieces, **options)
    # Weights come after the bins are cut: nearly all positions are easy negatives with scores of nearly 0, and bins
    # of equal weight would leave a handful to the scores that matter.
    found.set_weight(feed.weight)
    return found


def _parameters(classes: int, settings: SpliceTrainSettings) -> dict[str, Any]:
    if taken := sorted(set(settings.parameters) & set(_OURS)):
        told = ", ".join(f"{name} by splice.train.{_OURS[name]}" for name in taken)
        raise ConfigError(f"splice.train.parameters: set {told}")
    fixed = {"seed": settings.seed, "nthread": settings.threads, "validate_parameters": True}
    return {**DEFAULTS, **_task(classes), **settings.parameters, **fixed}


def _task(classes: int) -> dict[str, Any]:
    if classes == 2:
        return {"objective": "binary:logistic", "eval_metric": "logloss"}
    return {"objective": "multi:softprob", "num_class": classes, "eval_metric": "mlogloss"}


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """A folder that is empty before and gone after; a killed run may have left one."""
    with faults_named(folder):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _errors_named() -> Iterator[None]:
    """Turn what XGBoost says of parameters into an error: a misspelt one would else be passed over with a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except xgb.core.XGBoostError as error:
            lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith("  ")]
            raise ConfigError(f"splice.train.parameters: XGBoost refuses them: {lines[0]}") from error
    for warning in caught:
        if match := _UNUSED.search(str(warning.message)):
            unknown = [name.strip(' "') for name in match[1].split(",")]
            known = sorted({*xgb.XGBClassifier().get_params(), "eta", "lambda", "alpha"})
            near = [close for name in unknown for close in difflib.get_close_matches(name, known, n=1)]
            hint = f", did you mean {', '.join(near)}?" if near else ""
            raise ConfigError(f"splice.train.parameters: XGBoost knows no {', '.join(unknown)}{hint}")
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
