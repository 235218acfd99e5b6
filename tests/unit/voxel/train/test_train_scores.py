from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from trainyard.voxel.schema import RESIDUES
from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.train.baselines import fit_baselines
from trainyard.voxel.train.scores import (
    PREDICTORS,
    SCORES,
    Predicted,
    flat_rows,
    groups,
    macro_average,
    scores_by_temperature,
    scores_of,
    without_nan,
)
from trainyard.voxel.train.strata import RESIDUE_NAMES, STRATA, residue_strata

K320, K450 = np.float32(320), np.float32(450)


@pytest.fixture
def baselines():
    target = np.array([1, 3, 10, 20, 30], np.float32)
    temperature = np.array([320, 320, 450, 450, 450], np.float32)
    return fit_baselines(target, temperature, ["ALA", "GLY", "VAL"], np.array([0, 1, 0, 1, 1]))


def test_the_mean_of_a_temperature_is_that_of_train(baselines):
    assert baselines.temperature_mean(np.array([450, 320], np.float32)).tolist() == [20, 2]


def test_between_and_beyond_the_temperatures_of_train_the_mean_is_interpolated(baselines):
    assert baselines.temperature_mean(np.array([385, 300, 500], np.float32)).tolist() == [11, 2, 20]


def test_the_mean_of_a_residue_falls_back_on_that_of_the_temperature(baselines):
    names = ["VAL", "GLY", "TRP"]  # Train has no VAL, and no TRP is known at all.
    name = np.array([1, 1, 0, 2, 1])
    temperature = np.array([450, 320, 450, 320, 385], np.float32)
    assert baselines.residue_mean(names, name, temperature).tolist() == [25, 3, 20, 2, 11]


def residues(**columns):
    n = len(next(iter(columns.values())))
    return pa.table(
        [pa.array(columns.get(f.name, [None] * n), f.type) for f in RESIDUES.schema], schema=RESIDUES.schema
    )


def kinds(table, settings=None):
    found = residue_strata(table, settings or VoxelTrainSettings())
    assert tuple(strata.name for strata in found) == STRATA
    return {strata.name: [strata.values[code] for code in strata.code] for strata in found}


def test_accessibility_falls_into_half_open_bins():
    found = kinds(residues(relative_accessibility=[0.0, 0.0999, 0.1, 0.4, 1.0, 1.01, -0.1, None]))
    assert found["relative_accessibility"] == [
        "[0, 0.1)", "[0, 0.1)", "[0.1, 0.4)", "[0.4, 1.01)", "[0.4, 1.01)",
        "outside the bins", "outside the bins", "unknown",
    ]  # fmt: skip


def test_core_is_up_to_the_limit():
    assert kinds(residues(relative_accessibility=[0.0, 0.2, 0.21, None]))["location"] == [
        "core",
        "core",
        "exterior",
        "unknown",
    ]


def test_structure_is_taken_from_the_state_or_else_from_dssp():
    table = residues(secondary_structure=[0, 1, 2, *[None] * 6], dssp=["C", None, "H", *"HGIEBT"])
    found = kinds(table)["secondary_structure"]
    assert found == ["helix", "sheet", "other", "helix", "helix", "helix", "sheet", "sheet", "other"]
    assert kinds(residues(dssp=[None, ""]))["secondary_structure"] == ["unknown", "unknown"]


def test_every_residue_name_has_its_stratum_also_unusual_ones():
    (names, *_) = residue_strata(residues(label=["GLY", "SEC", None]), VoxelTrainSettings())
    assert names.values == (*RESIDUE_NAMES, "SEC", "unknown")
    assert [names.values[code] for code in names.code] == ["GLY", "SEC", "unknown"]


def test_groups_are_all_there_also_empty_ones():
    found = [rows.tolist() for rows in groups(np.array([2, 0, 2, 0]), 4)]
    assert found == [[1, 3], [], [0, 2], []]
    assert [rows.tolist() for rows in groups(np.array([], np.int64), 2)] == [[], []]


def predicted(target, temperature, model, temperature_mean, residue_mean):
    by = dict(zip(PREDICTORS, (model, temperature_mean, residue_mean), strict=True))
    arrays = {name: np.array(values, np.float64) for name, values in by.items()}
    return Predicted(np.array(target, np.float64), np.array(temperature, np.float32), arrays)


@pytest.fixture
def four():
    """Two samples at each of two temperatures; the model orders those of 320 K wrongly."""
    return predicted([1, 2, 5, 7], [320, 320, 450, 450], [2, 1, 5, 6], [1.5, 1.5, 6, 6], [1, 1.5, 6, 6])


def test_skill_is_measured_on_the_same_samples(four):
    found = scores_of(four)
    mse = {"model": 3 / 4, "temperature_mean": 2.5 / 4, "residue_mean": 2.25 / 4}
    assert {name: found[name]["mse"] for name in PREDICTORS} == pytest.approx(mse)
    assert found["model"]["skill_over_temperature_mean"] == pytest.approx(1 - 3 / 2.5)
    assert found["model"]["skill_over_residue_mean"] == pytest.approx(1 - 3 / 2.25)
    assert found["temperature_mean"]["skill_over_temperature_mean"] == 0


def test_all_temperatures_together_correlate_where_each_alone_does_not(four):
    (none, together), (low, cold), (high, warm) = scores_by_temperature(four, np.array([K320, K450]))
    assert (none, low, high) == (None, 320.0, 450.0)
    assert together["n"] == 4
    assert together["model"]["pearson"] > 0.9
    assert cold["model"]["pearson"] == pytest.approx(-1)
    assert warm["model"]["pearson"] == pytest.approx(1)
    assert together["model"]["pearson_within_temperature"] == pytest.approx(0)
    assert math.isnan(together["temperature_mean"]["pearson_within_temperature"])


def test_temperatures_keep_their_text():
    values = predicted([1, 2], [320.15, 320.15], [1, 2], [1, 2], [1, 2])
    assert scores_by_temperature(values, np.unique(values.temperature))[1][0] == 320.15


def test_one_sample_or_none_has_no_score_at_all(four):
    for n in (0, 1):
        found = scores_of(four.take(np.arange(n)))
        assert found["n"] == n
        assert all(math.isnan(found[name][score]) for name in PREDICTORS for score in SCORES)


def test_domains_count_alike_and_undefined_scores_are_counted(four):
    found = macro_average([scores_of(four), scores_of(four.take(np.array([0, 1]))), scores_of(four.take([3]))])
    assert found["domains"] == 3
    assert found["model"]["mse"] == pytest.approx((0.75 + 1) / 2)
    assert found["model"]["undefined"]["mse"] == 1
    assert found["temperature_mean"]["undefined"]["pearson"] == 2


def test_rows_of_a_table_name_the_predictor(four):
    rows = flat_rows({"split": "val"}, scores_of(four))
    assert [row["predictor"] for row in rows] == list(PREDICTORS)
    assert all({"split", "n", *SCORES} <= set(row) for row in rows)


def test_nothing_of_json_is_nan():
    found = without_nan({"a": [math.nan, 1.5], "b": {"c": math.inf, "d": "x"}, "e": (2, None)})
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "a": [None, 1.5],
        "b": {"c": None, "d": "x"},
        "e": [2, None],
    }
