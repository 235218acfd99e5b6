"""The configuration: read whole, and wrong with all mistakes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.config import Config, load_config, parse_config
from trainyard.yard.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_an_empty_configuration_is_the_demo():
    config = parse_config({}, source="nothing")
    assert config == Config()
    assert (config.run, config.lines, config.transit.inputs.source) == ("demo", ["transit"], "demo")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").rglob("*.yaml")), ids=lambda path: path.name)
def test_configurations_that_ship_are_valid(path):
    assert isinstance(load_config(path), Config)


def test_values_reach_their_stage(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("run: k2.a\ntransit:\n  plan: {num_shards: 3}\n  build: {images: {images: off}}\n")
    config = load_config(path)
    assert (config.run, config.transit.plan.num_shards, config.transit.build.images.images) == ("k2.a", 3, "off")


def test_all_mistakes_are_told_at_once_with_the_nearest_known_key():
    values = {"transit": {"plan": {"num_shrads": 3}, "build": {"windows": {"n_durations_window": 0}}}, "run": "a/b"}
    with pytest.raises(ConfigError) as error:
        parse_config(values, source="config.yaml")
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert any("transit.plan.num_shrads: unknown key, did you mean num_shards?" in line for line in lines)
    assert any("transit.build.windows.n_durations_window" in line for line in lines)
    assert any(line.startswith("config.yaml: run") for line in lines)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lines": ["orbit"]}, "lines"),
        ({"transit": {"inputs": {"source": "archive"}}}, "set inputs.tce_table and inputs.light_curves"),
        ({"transit": {"train": {"selection": "mine"}}}, "'mine' is not among select"),
        ({"transit": {"split": {"train": 0.9, "val": 0.2}}}, "must not exceed 1"),
        ({"transit": {"build": {"light_curves": {"savgol_order": 6}}}}, "numerically wrong"),
    ],
)
def test_contradictions_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(values, source="config.yaml")


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("run: [")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(path)
