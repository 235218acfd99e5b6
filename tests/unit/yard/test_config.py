"""Mistakes in a configuration are named one per line, with the nearest known key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from trainyard.yard.config import read_yaml, validation_errors
from trainyard.yard.errors import ConfigError
from trainyard.yard.settings import Settings


class Windows(Settings):
    resampled_num_points: int = Field(100, ge=10)
    detrend: Literal["off", "biweight"] = "off"
    edges: list[float] = Field(default_factory=list)


class Build(Settings):
    windows: Windows = Windows()
    extra: Windows | None = None
    named: dict[str, Windows] = Field(default_factory=dict)
    seed: int

    @model_validator(mode="after")
    def seed_is_even(self) -> Build:
        if self.seed % 2:
            raise ValueError("Seeds must be even")
        return self


def errors(data: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Build.model_validate(data)
    return validation_errors(caught.value, Build, "config.yaml")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            {"windows": {"resampled_num_pionts": 5}},
            "windows.resampled_num_pionts: unknown key, did you mean resampled_num_points?",
        ),
        (
            {"extra": {"resampled_num_pionts": 5}},
            "extra.resampled_num_pionts: unknown key, did you mean resampled_num_points?",
        ),
        (
            {"named": {"a": {"detrnd": 5}}},
            "named.a.detrnd: unknown key, did you mean detrend?",
        ),
        ({"zzz": 1}, "zzz: unknown key, known are extra, named, seed, windows"),
        (
            {"windows": {"resampled_num_points": 5}},
            "windows.resampled_num_points: input should be greater than or equal to 10; found 5",
        ),
        (
            {"windows": {"edges": [1, "x"]}},
            "windows.edges[1]: input should be a valid number, unable to parse string as a number; found 'x'",
        ),
        (
            {"windows": {"detrend": False}},
            "windows.detrend: input should be 'off' or 'biweight'; found False,"
            " which is how YAML reads a bare on, off, yes or no: put it in quotes",
        ),
    ],
)
def test_mistake_is_named(data: dict[str, Any], line: str) -> None:
    assert errors({"seed": 2} | data) == [f"config.yaml: {line}"]


def test_missing_key_is_named() -> None:
    assert errors({}) == ["config.yaml: seed: this key is required"]


def test_rule_between_keys_is_told_in_its_own_words() -> None:
    assert errors({"seed": 1}) == ["config.yaml: seeds must be even"]


def test_all_mistakes_are_listed() -> None:
    assert len(errors({"a": 1, "b": 2, "seed": "x"})) == 3


def yaml_file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_yaml_is_read(tmp_path: Path) -> None:
    assert read_yaml(yaml_file(tmp_path, "a:\n  b: [1, 2.5]\n")) == {"a": {"b": [1, 2.5]}}
    assert read_yaml(yaml_file(tmp_path, "# nothing yet\n")) == {}


def test_anchors_may_be_merged_and_overridden(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: 2}\nx:\n  <<: *base\n  b: 3\n"
    assert read_yaml(yaml_file(tmp_path, text))["x"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key a stands twice"),
        ("x:\n  a: 1\n  a: 1\n", "line 3: key a stands twice"),
        ("a: [1\nb: 2\n", "line 2: "),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1: could not determine a constructor"),
        ("a: b: c\n", "line 1: mapping values are not allowed here"),
        ("- 1\n", "expected keys and values at the top, found list"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: \x00\n", "special characters"),
    ],
)
def test_bad_yaml_names_file_and_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = yaml_file(tmp_path, text)
    with pytest.raises(ConfigError, match=rf"{path}.*{message}"):
        read_yaml(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "config.yaml")
