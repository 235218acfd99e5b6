"""Reading a configuration, and saying what is wrong with it, one line per mistake."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from trainyard.yard.errors import ConfigError
from trainyard.yard.files import faults_named


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file safely; an empty file is an empty mapping.

    Raises:
        ConfigError: No such file, bad YAML (with the line), a key that stands twice, or no mapping.
    """
    try:
        with faults_named(path):
            text = path.read_text(encoding="utf-8")
        # The loader is a SafeLoader.
        data = yaml.load(text, _UniqueKeyLoader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise ConfigError(f"{path}:{line} {getattr(error, 'problem', None) or error}") from error
    if not isinstance(data, dict | None):
        raise ConfigError(f"{path}: expected keys and values at the top, found {type(data).__name__}")
    return data or {}


def validation_errors(exc: ValidationError, model: type[BaseModel], source: str) -> list[str]:
    """Return one line per mistake: source, key, what is wrong, and the nearest known key.

    Args:
        exc: What pydantic raised.
        model: The model that was validated against.
        source: Where the values come from, such as the path of the file.
    """
    lines = []
    for error in exc.errors(include_url=False):
        location = error["loc"]
        where = f"{source}: {_dotted(location)}" if location else source
        lines.append(f"{where}: {_message(error, _known_keys(model, location[:-1]))}")
    return lines


def _message(error: Any, known: Sequence[str]) -> str:
    if error["type"] == "missing":
        return "this key is required"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        if near:
            return f"unknown key, did you mean {near[0]}?"
        return f"unknown key, known are {', '.join(sorted(known))}" if known else "unknown key"
    message = str(error["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    found = error["input"]
    if isinstance(found, bool) and error["type"] in ("literal_error", "enum", "string_type"):
        return f"{message}; found {found!r}, which is how YAML reads a bare on, off, yes or no: put it in quotes"
    if isinstance(found, str | int | float | None):
        return f"{message}; found {found!r}"
    return message


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys of the models that a location leads to."""
    models = [model]
    for part in location:
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        # Other parts are indices, keys of a dict, or pydantic's tags for the members of a union.
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
    return sorted({name for m in models for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


class _UniqueKeyLoader(yaml.SafeLoader):  # type: ignore[misc]
    """A safe loader that refuses a key that stands twice; PyYAML would silently take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in getattr(node, "value", ()):
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value} stands twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep=deep)
