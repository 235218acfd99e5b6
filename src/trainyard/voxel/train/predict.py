"""Predictions of a trained model at a temperature of one's own, for domains of any store."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from trainyard.voxel.scaling import scale, scale_warning
from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.store import Store
from trainyard.voxel.train.runtime import reproducible
from trainyard.voxel.train.samples import EncodedSamples, Samples
from trainyard.voxel.train.storage import FACTS, load_model
from trainyard.yard.errors import InputError
from trainyard.yard.files import atomic_open

_log = logging.getLogger(__name__)


def predict(
    folder: Path,
    model: Path,
    out: Path,
    *,
    temperature: float,
    split: str = "test",
    domains: Sequence[str] = (),
    device: str = "auto",
) -> int:
    """Predict the RMSF of residues at one temperature, which need not be one that was simulated.

    Writes a CSV file, one row per residue in the order of the store: domain_id, resid, resname, prediction_temperature
    (K), predicted_rmsf (nm, 6 decimals), chain, icode.

    Args:
        folder: Folder of a store; its grids must be of the kind that the model was trained on.
        model: Folder of the model, as `fit.train` writes it.
        out: File to write.
        temperature: K. Outside the range of the train split the model extrapolates, and a warning says so.
        split: The residues to predict, unless domains are named.
        domains: Names of domains as in the store, of any split.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        Number of residues.

    Raises:
        EnvironmentFault: There is no GPU though one is asked for; disk full, no permission.
        InputError: No store, no model, an unknown domain, an empty split, a temperature that is none, or grids of
            another kind than the model's.
        IntegrityError: Store or model are damaged.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"{temperature:g} K is not a temperature; give kelvins above 0, such as 320")
    store = Store(folder)
    network, facts = load_model(model)
    _check_grids(store, facts, model / FACTS)
    residues = _chosen(store, split, domains)
    kelvin = np.full(len(residues), temperature, np.float32)
    if warning := scale_warning(kelvin, facts["temp_scaling"]):
        _log.warning("%s", warning)
    uids = residues["residue_uid"].to_numpy().astype(np.int64)
    samples = Samples(split, uids, kelvin, scale(kelvin, facts["temp_scaling"]), np.full(len(uids), np.nan, np.float32))
    settings = VoxelTrainSettings.model_validate({**facts["settings"], "device": device})
    with reproducible(settings) as where:
        rmsf = EncodedSamples(network.to(where), store, samples, device=where, settings=settings).predict()
    table = pa.table(
        {
            "domain_id": residues["domain"],
            "resid": residues["resid"],
            "resname": residues["label"],
            "prediction_temperature": kelvin,
            "predicted_rmsf": [f"{value:.6f}" for value in rmsf],
            "chain": residues["chain"],
            "icode": residues["icode"],
        }
    )
    with atomic_open(out) as handle:
        pa_csv.write_csv(table, handle, pa_csv.WriteOptions(quoting_style="none"))
    return len(residues)


def _check_grids(store: Store, facts: Mapping[str, Any], path: Path) -> None:
    for name, found in {"input_shape": list(store.shape), "channels": list(store.channels)}.items():
        if facts[name] != found:
            raise InputError(
                f"{store.folder}: {name} is {found}, but {path} was trained on {facts[name]}; predict from a store"
                " that is made with the settings of the train set"
            )


def _chosen(store: Store, split: str, domains: Sequence[str]) -> pa.Table:
    residues = store.residues
    if not domains:
        chosen = residues.filter(pc.equal(residues["split"], split))
        if not len(chosen):
            raise InputError(f"{store.folder}: no residue is in the split '{split}'; name another one, or domains")
        return chosen
    if unknown := sorted(set(domains) - set(residues["domain"].unique().to_pylist())):
        raise InputError(f"{store.folder}: no such domain: {', '.join(unknown)}; residues.parquet lists them all")
    return residues.filter(pc.is_in(residues["domain"], pa.array(domains, residues["domain"].type)))
