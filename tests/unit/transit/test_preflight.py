"""Mistakes of a configuration that are found before anything is built."""

from __future__ import annotations

from typing import Any

import pytest

from trainyard.transit.preflight import problems
from trainyard.transit.settings import TransitSettings


def settings(**values: Any) -> TransitSettings:
    return TransitSettings.model_validate(values)


def test_the_defaults_have_no_problems() -> None:
    assert problems(TransitSettings()) == []


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"plan": {"keep_target_disps": ["KP", "KPP"]}}, "transit.plan.keep_target_disps: unknown disposition 'KPP'"),
        ({"build": {"masks": {"true_it_disps": ["X"]}}}, "transit.build.masks.true_it_disps"),
        ({"plan": {"tce_example_disps": ["KP", "PC"]}}, "PC would become examples without a label"),
        ({"build": {"masks": {"negative_disps": ["NTP", "NEB", "NPC", "EB"]}}}, "EB stand in both"),
        ({"inputs": {"disposition_map": {"planet": "PLANET"}}}, "transit.inputs.disposition_map"),
        ({"select": {"balanced": {"max_per_disposition": {"XY": 3}}}}, "transit.select.balanced.max_per_disposition"),
        ({"select": {"balanced": {"where": "lable == 1"}}}, "transit.select.balanced.where: position 1"),
        ({"select": {"balanced": {"drop": "label = 1"}}}, "transit.select.balanced.drop"),
        ({"train": {"features": ["flux_norm", "tce_depth"]}}, "'tce_depth' cannot be an input"),
        ({"train": {"early_stopping_metric": "val_auc"}}, "transit.train.early_stopping_metric"),
    ],
)
def test_a_mistake_is_told_with_its_key(values: dict[str, Any], told: str) -> None:
    (problem,) = problems(settings(**values))
    assert told in problem


def test_all_mistakes_are_told_at_once() -> None:
    values = {"plan": {"keep_tce_disps": ["A", "B"]}, "select": {"balanced": {"where": "x", "drop": "y"}}}
    assert len(problems(settings(**values))) == 4


def test_training_that_is_switched_off_is_not_looked_at() -> None:
    assert problems(settings(train={"enabled": False, "features": ["uid"]})) == []
