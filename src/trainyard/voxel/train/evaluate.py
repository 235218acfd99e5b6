"""Scores of a trained model: predictions of every sample, and exact metrics computed from them beside baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.voxel.columns import ranks
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.train.baselines import Baselines, fit_baselines
from trainyard.voxel.train.importance import permutation_importance
from trainyard.voxel.train.models import VoxelNetwork
from trainyard.voxel.train.runtime import reproducible
from trainyard.voxel.train.samples import EncodedSamples, Floats, Samples, read_samples, residues_sha256
from trainyard.voxel.train.scores import (
    MODEL,
    RESIDUE_MEAN,
    SCORES,
    TEMPERATURE_MEAN,
    Predicted,
    Scores,
    flat_rows,
    groups,
    macro_average,
    scores_by_temperature,
    without_nan,
)
from trainyard.voxel.train.storage import FACTS, load_model, read_scaler
from trainyard.voxel.train.strata import Strata, residue_strata
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import atomic_open, write_json

_KEYS = {
    "temperature": ["split", "temperature"],
    "domain": ["split", "domain", "temperature"],
    "stratum": ["split", "stratum", "value", "temperature"],
}
"""Key columns of the tables `eval_by_*.csv`."""


class Group(NamedTuple):
    """Scores, and of what."""

    key: dict[str, Any]
    scores: Scores


def evaluate(folder: Path, model: Path, out: Path, settings: VoxelTrainSettings) -> None:
    """Score every split and write predictions and metrics.

    Writes into `out`:

    * ``predictions_{split}.csv``, one row per sample in the order of the store: residue_uid, domain, chain, resid,
      icode, resname, temperature (K), split, target_rmsf and predicted_rmsf (nm);
    * ``evaluation.json``, the scores of `scores.scores_of` for every split: `overall`, `by_temperature`,
      `domain_macro_average` and `strata`, with those that hold no sample; and the permutation importance of the inputs
      on test, or on val if there is no test. A score that is undefined, as all are for fewer than two samples, is null;
    * ``eval_by_temperature.csv``, ``eval_by_domain.csv`` and ``eval_by_stratum.csv``, one row per split, group,
      temperature (empty: all together) and predictor: the model, the mean of train at the temperature, and the mean of
      train by residue name and temperature. An empty cell is a score that is undefined.

    Args:
        folder: Folder of the store.
        model: Folder of the model, as `fit.train` writes it.
        out: Folder of the results; made if missing.
        settings: The training block of the configuration.

    Raises:
        EnvironmentFault: There is no GPU though the settings ask for one; disk full, no permission.
        InputError: There is no store or no model.
        IntegrityError: Store or model are damaged, or the model was trained on another store.
    """
    store = Store(folder)
    network, facts = load_model(model)
    splits = {split: read_samples(store, split) for split in SPLITS}
    _check(store, splits["train"], facts, model / FACTS)
    predicted, importance = _predict(network, store, splits, settings)
    residues = store.residues
    strata = residue_strata(residues, settings)
    baselines = _fit_baselines(splits["train"], strata[0])
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KEYS}
    report: dict[str, Any] = {}
    for split, samples in splits.items():
        _write_csv(out / f"predictions_{split}.csv", _predictions(residues, samples, predicted[split]))
        values = _beside_baselines(samples, predicted[split], baselines, strata[0])
        found = _score(split, samples, values, residues, strata) if len(samples) else {}
        for kind, scored in found.items():
            rows[kind] += [row for group in scored for row in flat_rows(group.key, group.scores)]
        report[split] = _report(found) if found else None
    for kind, key in _KEYS.items():
        _write_csv(out / f"eval_by_{kind}.csv", _table(rows[kind], [*key, "predictor", "n", *SCORES]))
    about = {"rmsf_unit": "nm", "temperature_unit": "K", "permutation_importance": importance}
    write_json(out / "evaluation.json", without_nan({**about, "splits": report}))


def _check(store: Store, train: Samples, facts: Mapping[str, Any], path: Path) -> None:
    """The model must have seen this store's train split, or its test split may be no test."""
    expected = {
        "input_shape": list(store.shape),
        "channels": list(store.channels),
        "temp_scaling": read_scaler(store),
        "train_residues_sha256": residues_sha256(store, train),
    }
    for name, value in expected.items():
        if facts.get(name) != value:
            raise IntegrityError(
                f"{path}: {name} is {facts.get(name)}, but {value} in {store.folder}: the model was trained on another"
                " store; train again"
            )


def _predict(
    network: VoxelNetwork, store: Store, splits: Mapping[str, Samples], settings: VoxelTrainSettings
) -> tuple[dict[str, Floats], dict[str, Any] | None]:
    """Predict all splits, with the importance of the inputs on test, or val where there is no test."""
    predicted, importance = {}, None
    asked = "test" if len(splits["test"]) else "val"
    with reproducible(settings) as device:
        network.to(device)
        for split, samples in splits.items():
            encoded = EncodedSamples(network, store, samples, device=device, settings=settings)
            predicted[split] = encoded.predict()
            if not np.isfinite(predicted[split]).all():
                raise IntegrityError(f"{store.folder}: predictions for {split} are not finite; train again")
            if split == asked:
                repeats = settings.permutation_n_repeats
                importance = permutation_importance(encoded, samples, repeats=repeats, seed=settings.seed)
    return predicted, importance


def _fit_baselines(train: Samples, names: Strata) -> Baselines:
    return fit_baselines(train.target, train.temperature, names.values, names.code[train.residue_uid])


def _beside_baselines(samples: Samples, predicted: Floats, baselines: Baselines, names: Strata) -> Predicted:
    """What the model predicts of samples, and what the means of train do."""
    by = {
        MODEL: predicted.astype(np.float64),
        TEMPERATURE_MEAN: baselines.temperature_mean(samples.temperature),
        RESIDUE_MEAN: baselines.residue_mean(names.values, names.code[samples.residue_uid], samples.temperature),
    }
    return Predicted(samples.target.astype(np.float64), samples.temperature, by)


def _score(
    split: str, samples: Samples, values: Predicted, residues: pa.Table, strata: Sequence[Strata]
) -> dict[str, list[Group]]:
    """Score a split as a whole, by domain and by stratum, each at all temperatures together and at every single one."""
    temperatures = np.unique(values.temperature)
    domain, domains = ranks(residues["domain"].take(samples.residue_uid))

    def scored(chosen: Predicted, **key: str) -> list[Group]:
        pairs = scores_by_temperature(chosen, temperatures)
        return [Group({"split": split, **key, "temperature": kelvin}, scores) for kelvin, scores in pairs]

    def of_each(kinds: Sequence[str], code: NDArray[np.int64]) -> Iterator[tuple[str, Predicted]]:
        for kind, rows in zip(kinds, groups(code, len(kinds)), strict=True):
            yield kind, values.take(rows)

    by_stratum: list[Group] = []
    for kind in strata:
        for value, chosen in of_each(kind.values, kind.code[samples.residue_uid]):
            by_stratum += scored(chosen, stratum=kind.name, value=value)
    return {
        "temperature": scored(values),
        "domain": [group for name, chosen in of_each(domains, domain) for group in scored(chosen, domain=name)],
        "stratum": by_stratum,
    }


def _report(found: Mapping[str, Sequence[Group]]) -> dict[str, Any]:
    """The scores of a split as they stand in `evaluation.json`."""
    together, *single = found["temperature"]
    of_domains: dict[float | None, list[Scores]] = {}
    for group in found["domain"]:
        of_domains.setdefault(group.key["temperature"], []).append(group.scores)
    strata: dict[str, list[dict[str, Any]]] = {}
    for group in found["stratum"]:
        if group.key["temperature"] is None:
            strata.setdefault(group.key["stratum"], []).append({"value": group.key["value"], **group.scores})
    macro = {kelvin: macro_average(scores) for kelvin, scores in of_domains.items()}
    return {
        "overall": together.scores,
        "by_temperature": [{"temperature": group.key["temperature"], **group.scores} for group in single],
        "domain_macro_average": {
            "overall": macro.pop(None),
            "by_temperature": [{"temperature": kelvin, **scores} for kelvin, scores in macro.items()],
        },
        "strata": strata,
    }


def _predictions(residues: pa.Table, samples: Samples, predicted: Floats) -> pa.Table:
    """Rows of `predictions_{split}.csv`, whose columns `evaluate` lists."""
    chosen = residues.take(samples.residue_uid)
    return pa.table(
        {
            **{name: chosen[name] for name in ("residue_uid", "domain", "chain", "resid", "icode")},
            "resname": chosen["label"],
            "temperature": samples.temperature,
            "split": pa.repeat(samples.split, len(samples)),
            "target_rmsf": samples.target,
            "predicted_rmsf": predicted,
        }
    )


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    types = {"n": pa.int64(), **dict.fromkeys(SCORES, pa.float64()), "temperature": pa.float32()}
    return pa.table(
        {name: pa.array([without_nan(row[name]) for row in rows], types.get(name, pa.string())) for name in columns}
    )


def _write_csv(path: Path, table: pa.Table) -> None:
    with atomic_open(path) as handle:
        pa_csv.write_csv(table, handle, pa_csv.WriteOptions(quoting_style="needed"))
