"""Predictions at a temperature of one's own."""

from __future__ import annotations

import csv
import logging

import numpy as np
import pyarrow.compute as pc
import pytest

from trainyard.voxel.store import Store
from trainyard.voxel.train.evaluate import evaluate
from trainyard.voxel.train.predict import predict
from trainyard.yard.errors import InputError


def rows(path):
    with path.open() as handle:
        return list(csv.DictReader(handle))


def test_at_a_simulated_temperature_predictions_are_those_of_the_evaluation(tmp_path, store_folder, trained, settings):
    evaluate(store_folder, trained, tmp_path, settings)
    wanted = {
        row["residue_uid"]: float(row["predicted_rmsf"])
        for row in rows(tmp_path / "predictions_test.csv")
        if float(row["temperature"]) == 379.0
    }
    n = predict(store_folder, trained, tmp_path / "at.csv", temperature=379.0)
    found = rows(tmp_path / "at.csv")
    assert n == len(found) == len(wanted)
    residues = Store(store_folder).residues
    test = residues.filter(pc.equal(residues["split"], "test"))
    uids = [str(uid) for uid in test["residue_uid"].to_pylist()]
    np.testing.assert_allclose(
        [float(row["predicted_rmsf"]) for row in found], [wanted[uid] for uid in uids], atol=1e-6
    )
    assert list(found[0])[:5] == ["domain_id", "resid", "resname", "prediction_temperature", "predicted_rmsf"]
    assert {row["prediction_temperature"] for row in found} == {"379"}


def test_domains_of_any_split_can_be_named(tmp_path, store_folder, trained):
    names = sorted(set(Store(store_folder).residues["domain"].to_pylist()))[:2]
    predict(store_folder, trained, tmp_path / "some.csv", temperature=333.3, domains=names)
    assert {row["domain_id"] for row in rows(tmp_path / "some.csv")} == set(names)


def test_a_temperature_outside_of_train_is_warned_of(tmp_path, store_folder, trained, caplog):
    with caplog.at_level(logging.WARNING):
        predict(store_folder, trained, tmp_path / "hot.csv", temperature=600)
    assert "train covers 320 to 450 K only" in caplog.text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"temperature": -5}, "-5 K is not a temperature"),
        ({"temperature": float("nan")}, "nan K is not a temperature"),
        ({"temperature": 320, "domains": ["1abcA00"]}, "no such domain: 1abcA00"),
    ],
)
def test_what_cannot_be_predicted_is_an_error_and_leaves_no_file(tmp_path, store_folder, trained, asked, message):
    with pytest.raises(InputError, match=message):
        predict(store_folder, trained, tmp_path / "out.csv", **asked)
    assert not list(tmp_path.iterdir())


def test_grids_of_another_kind_are_refused(tmp_path, make_store, trained):
    store = make_store(tmp_path / "store")
    manifest = store / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"C"', '"CX"', 1))
    with pytest.raises(InputError, match="channels is"):
        predict(store, trained, tmp_path / "out.csv", temperature=320)
