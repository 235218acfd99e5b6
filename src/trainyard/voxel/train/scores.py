"""Scores of groups of samples: of the model, and of the baselines on the same samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.train.metrics import METRICS, score_metrics, skill

MODEL, TEMPERATURE_MEAN, RESIDUE_MEAN = "model", "temperature_mean", "residue_mean"
PREDICTORS = (MODEL, TEMPERATURE_MEAN, RESIDUE_MEAN)
SCORES = (*METRICS, "pearson_within_temperature", "skill_over_temperature_mean", "skill_over_residue_mean")
"""Scores of a group, for each predictor; docs in `scores_of`."""

Scores = dict[str, Any]


@dataclass(frozen=True)
class Predicted:
    """Samples with what is predicted of them.

    Attributes:
        target: RMSF, nm, (n,).
        temperature: K, (n,).
        by: Predictions, nm, (n,), by predictor.
    """

    target: NDArray[np.float64]
    temperature: NDArray[np.float32]
    by: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.target)

    def take(self, chosen: NDArray[Any]) -> Predicted:
        """Return some of the samples, by their numbers or by a flag for each."""
        by = {name: values[chosen] for name, values in self.by.items()}
        return Predicted(self.target[chosen], self.temperature[chosen], by)


def scores_of(samples: Predicted) -> Scores:
    """Score every predictor on samples.

    Returns:
        `n`, and for each predictor the metrics of `metrics.score_metrics`; `pearson_within_temperature`, the mean of
        the correlations within each temperature (over all of them together, knowing the temperature is enough to
        correlate); and the skill over both baselines, 1 less the ratio of the mean squared errors. NaN is a score that
        is not defined.
    """
    found: Scores = {"n": len(samples)}
    for name, values in samples.by.items():
        found[name] = score_metrics(samples.target, values)
    for name in samples.by:
        mse = found[name]["mse"]
        found[name] |= {
            "pearson_within_temperature": found[name]["pearson"],
            "skill_over_temperature_mean": skill(mse, found[TEMPERATURE_MEAN]["mse"]),
            "skill_over_residue_mean": skill(mse, found[RESIDUE_MEAN]["mse"]),
        }
    return found


def scores_by_temperature(samples: Predicted, temperatures: NDArray[np.float32]) -> list[tuple[float | None, Scores]]:
    """Score samples all together (None) and at each of the given temperatures, K."""
    # The shortest text of the float32, so that 320.15 stays 320.15 in JSON.
    single = [(float(str(t)), scores_of(samples.take(samples.temperature == t))) for t in temperatures]
    together = scores_of(samples)
    for name in samples.by:
        within = [scores[name]["pearson"] for _, scores in single]
        together[name]["pearson_within_temperature"] = _mean(within)
    return [(None, together), *single]


def groups(code: NDArray[np.int64], n_groups: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the samples of each group, also of empty ones.

    Args:
        code: Group of each sample, in `[0, n_groups)`, (n,).
        n_groups: Number of groups.
    """
    order = np.argsort(code, kind="stable")
    yield from np.split(order, np.searchsorted(code[order], np.arange(1, n_groups)))


def macro_average(of_domains: Sequence[Scores]) -> Scores:
    """Average the scores of domains, each counting alike, however long it is.

    Returns:
        `domains`, and for each predictor the mean of each score over the domains where it is defined, with the number
        of those where it is not as `undefined`.
    """
    found: Scores = {"domains": len(of_domains)}
    for predictor in PREDICTORS:
        rows = [scores[predictor] for scores in of_domains]
        undefined = {name: sum(math.isnan(row[name]) for row in rows) for name in SCORES}
        means = {name: _mean([row[name] for row in rows]) for name in SCORES}
        found[predictor] = {**means, "undefined": {name: n for name, n in undefined.items() if n}}
    return found


def flat_rows(key: Mapping[str, Any], scores: Scores) -> list[dict[str, Any]]:
    """Return scores as rows of a table, one per predictor."""
    return [{**key, "predictor": name, "n": scores["n"], **scores[name]} for name in PREDICTORS]


def without_nan(value: Any) -> Any:
    """Return nested values with None for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
