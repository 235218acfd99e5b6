from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from trainyard.voxel.store import Store
from trainyard.voxel.train.evaluate import evaluate
from trainyard.voxel.train.fit import train
from trainyard.voxel.train.metrics import score_metrics
from trainyard.yard.errors import IntegrityError

SPLITS = {"train": 360, "val": 72, "test": 72}
KELVINS = [320.0, 379.0, 450.0]


@pytest.fixture(scope="module")
def scored(tmp_path_factory, store_folder, trained, settings):
    out = tmp_path_factory.mktemp("scored")
    evaluate(store_folder, trained, out, settings)
    return out


@pytest.fixture(scope="module")
def report(scored):
    return json.loads((scored / "evaluation.json").read_text())


def rows(path):
    with path.open() as handle:
        return list(csv.DictReader(handle))


def test_every_result_is_written(scored):
    assert sorted(path.name for path in scored.iterdir()) == [
        "eval_by_domain.csv",
        "eval_by_stratum.csv",
        "eval_by_temperature.csv",
        "evaluation.json",
        "predictions_test.csv",
        "predictions_train.csv",
        "predictions_val.csv",
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_predictions_stand_beside_the_samples_of_the_store(scored, store_folder, split):
    store, found = Store(store_folder), rows(scored / f"predictions_{split}.csv")
    assert list(found[0]) == [
        "residue_uid", "domain", "chain", "resid", "icode", "resname", "temperature", "split",
        "target_rmsf", "predicted_rmsf",
    ]  # fmt: skip
    samples, residues = store.samples(split).to_pylist(), store.residues.to_pylist()
    assert len(found) == len(samples) == SPLITS[split]
    for row, sample in zip(found, samples, strict=True):
        residue = residues[sample["residue_uid"]]
        assert int(row["residue_uid"]) == sample["residue_uid"]
        assert (row["domain"], int(row["resid"]), row["resname"]) == (
            residue["domain"],
            residue["resid"],
            residue["label"],
        )
        assert (float(row["temperature"]), row["split"]) == (sample["temperature"], split)
        assert np.float32(row["target_rmsf"]) == np.float32(sample["target"])


def test_scores_are_those_of_the_predictions(scored, report):
    for split in SPLITS:
        found = rows(scored / f"predictions_{split}.csv")
        for group in report["splits"][split]["by_temperature"]:
            chosen = [row for row in found if float(row["temperature"]) == group["temperature"]]
            pair = ([float(row[name]) for row in chosen] for name in ("target_rmsf", "predicted_rmsf"))
            assert group["n"] == len(chosen)
            wanted = score_metrics(*pair)
            assert {name: group["model"][name] for name in wanted} == pytest.approx(wanted, rel=1e-5)


def test_the_baselines_are_learned_from_train(scored, report, store_folder):
    store = Store(store_folder)
    learn, test = store.samples("train"), store.samples("test")
    for group in report["splits"]["test"]["by_temperature"]:
        target, truth = (
            table["target"].to_numpy()[table["temperature"].to_numpy() == group["temperature"]]
            for table in (learn, test)
        )
        mse = np.mean((truth - target.mean(dtype=np.float64)) ** 2)
        assert group["temperature_mean"]["mse"] == pytest.approx(mse, rel=1e-5)
        assert group["model"]["skill_over_temperature_mean"] == pytest.approx(1 - group["model"]["mse"] / mse, rel=1e-4)
        assert group["temperature_mean"]["pearson"] is None  # It does not vary within a temperature.


def test_what_was_planted_is_found_at_every_temperature_of_the_test_split(report):
    test = report["splits"]["test"]
    assert [group["temperature"] for group in test["by_temperature"]] == KELVINS
    for group in [test["overall"], *test["by_temperature"]]:
        assert group["model"]["skill_over_temperature_mean"] > 0.5
        assert group["model"]["skill_over_residue_mean"] > 0.5
    assert test["overall"]["model"]["pearson_within_temperature"] > 0.8


def test_strata_hold_every_sample_once_and_also_empty_ones_are_listed(report):
    for split, n in SPLITS.items():
        strata = report["splits"][split]["strata"]
        assert set(strata) == {"residue_name", "secondary_structure", "relative_accessibility", "location"}
        for groups in strata.values():
            assert sum(group["n"] for group in groups) == n
    names = {group["value"]: group for group in report["splits"]["test"]["strata"]["residue_name"]}
    assert len(names) == 21
    assert names["TRP"]["n"] == 0
    assert set(names["TRP"]["model"].values()) == {None}
    assert {name for name, group in names.items() if group["n"]} == {"ALA", "GLY", "HIS", "LYS"}
    structures = {g["value"]: g["n"] for g in report["splits"]["test"]["strata"]["secondary_structure"]}
    # One residue of 24 has no strata; of the others, 7 are H, and 8 each E and C.
    assert structures == {"helix": 21, "sheet": 24, "other": 24, "unknown": 3}


def test_tables_have_every_split_group_temperature_and_predictor(scored):
    by_temperature = rows(scored / "eval_by_temperature.csv")
    assert len(by_temperature) == 3 * 4 * 3
    domains = rows(scored / "eval_by_domain.csv")
    assert len(domains) == 7 * 4 * 3
    assert [row["domain"] for row in domains[:: 4 * 3]] == list("abcdefg")
    assert {row["n"] for row in domains if row["temperature"]} == {"24"}
    strata = rows(scored / "eval_by_stratum.csv")
    assert len(strata) == 3 * (21 + 4 + 5 + 3) * 4 * 3
    undefined = [row for row in strata if row["value"] == "TRP"]
    assert {row["pearson"] for row in undefined} == {""}


def test_domains_are_averaged_each_alike(scored, report):
    model = [r for r in rows(scored / "eval_by_domain.csv") if r["predictor"] == "model" and r["split"] == "train"]
    for kelvin, macro in [
        ("", report["splits"]["train"]["domain_macro_average"]["overall"]),
        ("320", report["splits"]["train"]["domain_macro_average"]["by_temperature"][0]),
    ]:
        values = [float(row["pearson"]) for row in model if row["temperature"] == kelvin]
        assert macro["domains"] == len(values) == 5
        assert macro["model"]["pearson"] == pytest.approx(np.mean(values))


def test_both_inputs_are_needed(report):
    found = report["permutation_importance"]
    assert (found["split"], found["repeats"], found["n"]) == ("test", 5, 72)
    for name in ("temperature", "voxels"):
        assert found["inputs"][name]["pearson_drop"]["mean"] > 0.05
        assert found["inputs"][name]["rmse_rise"]["mean"] > 0.01
        assert found["inputs"][name]["rmse_rise"]["sd"] > 0


def test_the_same_model_gives_the_same_bytes(tmp_path, store_folder, trained, scored, settings):
    evaluate(store_folder, trained, tmp_path, settings)
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in scored.iterdir())


def test_a_store_without_test_is_scored_on_val(tmp_path, make_store, settings):
    folder = make_store(tmp_path, lists={"train": ["a", "b"], "val": ["f"], "test": []}, residues=8)
    quick = settings.model_copy(update={"num_epochs": 1, "permutation_n_repeats": 1})
    train(folder, tmp_path / "model", quick)
    evaluate(folder, tmp_path / "model", tmp_path / "model", quick)
    found = json.loads((tmp_path / "model" / "evaluation.json").read_text())
    assert found["splits"]["test"] is None
    assert found["permutation_importance"]["split"] == "val"
    assert found["permutation_importance"]["inputs"]["voxels"]["rmse_rise"]["sd"] is None
    assert rows(tmp_path / "model" / "predictions_test.csv") == []
    none = quick.model_copy(update={"permutation_n_repeats": 0})
    evaluate(folder, tmp_path / "model", tmp_path / "none", none)
    assert json.loads((tmp_path / "none" / "evaluation.json").read_text())["permutation_importance"] is None


def test_at_a_temperature_that_train_lacks_the_baseline_is_that_of_the_nearest(tmp_path, make_store, settings):
    folder = make_store(tmp_path, kelvins=lambda domain: KELVINS if domain == "g" else KELVINS[:2])
    quick = settings.model_copy(update={"num_epochs": 1, "permutation_n_repeats": 0})
    train(folder, tmp_path / "model", quick)
    evaluate(folder, tmp_path / "model", tmp_path / "model", quick)
    report = json.loads((tmp_path / "model" / "evaluation.json").read_text())
    learn, test = Store(folder).samples("train"), Store(folder).samples("test")
    nearest = learn["target"].to_numpy()[learn["temperature"].to_numpy() == 379].mean(dtype=np.float64)
    truth = test["target"].to_numpy()[test["temperature"].to_numpy() == 450]
    *_, warm = report["splits"]["test"]["by_temperature"]
    assert warm["temperature"] == 450
    assert warm["temperature_mean"]["mse"] == pytest.approx(np.mean((truth - nearest) ** 2), rel=1e-5)
    assert [group["temperature"] for group in report["splits"]["train"]["by_temperature"]] == KELVINS[:2]


def test_a_model_of_another_train_split_is_refused(tmp_path, make_store, trained, settings):
    folder = make_store(tmp_path, lists={"train": ["a", "b", "c", "d", "g"], "val": ["f"], "test": ["e"]})
    with pytest.raises(IntegrityError, match=r"train_residues_sha256 is .* trained on another store"):
        evaluate(folder, trained, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
