"""Schema and reference page of the configuration, made from its models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic.fields import FieldInfo

from trainyard.config import Config
from trainyard.publish.markdown import table
from trainyard.yard.settings import Settings

_INTRO = """\
# Configuration

<!-- Generated: `trainyard config reference --write`. Change src/trainyard/publish/reference.py or the models. -->

`config.yaml` holds what a user must decide. Every other key has a default, listed below. `snakemake` reads
`config/config.yaml` first; keys of a file given with `--configfile` replace those in it:

    snakemake --cores 8 --configfile my.yaml

So `my.yaml` need only hold what differs. Groups of keys are merged, lists are replaced whole.

    trainyard config check my.yaml      # every mistake at once, with the nearest known key

* A key that is not listed here is an error, not a silent no-op.
* Paths are relative to the folder that `snakemake` is started in.
* A changed key reruns exactly the steps that use it. A key that does not matter to a step reruns nothing.
* Cores, memory and partitions are not configuration: they belong to a profile (`profiles/`).
* YAML reads a bare `off` as false. Where a key takes `off`, both are understood.

[config.schema.json](config.schema.json) is the same as a JSON Schema, for editors that complete and check YAML. What
the steps do with the values is told in [docs/transit.md](../docs/transit.md), [docs/splice.md](../docs/splice.md) and
[docs/voxel.md](../docs/voxel.md).
"""


@dataclass(frozen=True)
class _Section:
    """A group of keys with a model of its own; `default` is set where users name the groups themselves."""

    path: str
    model: type[Settings]
    description: str
    default: str = ""


def config_schema(config: type[Settings] = Config) -> str:
    """JSON Schema of the configuration, with all defaults, as text."""
    schema = config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    for section in _sections("", config):
        place = schema if section.model is config else schema["$defs"][section.model.__name__]
        for name, field in section.model.model_fields.items():
            model, named_by_user = _group(field)
            if model is None or named_by_user:
                # pydantic leaves out the defaults that a factory makes.
                place["properties"][name]["default"] = _plain(field)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def config_reference(config: type[Settings] = Config) -> str:
    """Reference page of the configuration: every key with type, bounds, default and meaning, by stage."""
    sections = [section for section in _sections("", config) if section.default or list(_keys(section.model))]
    links = [f"* [{_title(section)}](#{_anchor(_title(section))})" for section in sections]
    return "\n".join([_INTRO, *links, "", *map(_section_text, sections)])


def _sections(path: str, model: type[Settings]) -> Iterator[_Section]:
    """The model and, depth first, all models below it."""
    yield _Section(path, model, _docstring(model))
    for name, field in model.model_fields.items():
        group, named_by_user = _group(field)
        below = f"{path}.{name}".lstrip(".")
        if group is not None and named_by_user:
            yield _Section(f"{below}.<name>", group, field.description or "", _yaml(_plain(field)))
        elif group is not None:
            yield from _sections(below, group)


def _keys(model: type[Settings]) -> Iterator[tuple[str, FieldInfo]]:
    """Fields that hold values, not groups of keys."""
    return ((name, field) for name, field in model.model_fields.items() if _group(field)[0] is None)


def _group(field: FieldInfo) -> tuple[type[Settings] | None, bool]:
    """The model of a group of keys, if the field is one; and whether it is a mapping from names to such groups."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
        return field.annotation, False
    models = [part for part in get_args(field.annotation) if isinstance(part, type) and issubclass(part, Settings)]
    return (models[0], True) if models else (None, False)


def _section_text(section: _Section) -> str:
    schema = section.model.model_json_schema()
    rows = [
        [f"`{name}`", _type(schema["properties"][name]), f"`{_yaml(_plain(field))}`", field.description or ""]
        for name, field in _keys(section.model)
    ]
    lines = [f"## {_title(section)}", "", section.description, ""]
    if section.default:
        lines += [f"Default: `{section.default}`", ""]
    return "\n".join([*lines, table(["key", "type", "default", "meaning"], rows)])


def _title(section: _Section) -> str:
    return f"`{section.path}`" if section.path else "Top level"


def _anchor(title: str) -> str:
    """Anchor that GitHub gives to a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _docstring(model: type[Settings]) -> str:
    return (model.__doc__ or "").strip()


def _plain(field: FieldInfo) -> Any:
    """Default of a field as plain values; for groups of keys only what differs from their own defaults."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, dict):
        return {name: _without_defaults(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _without_defaults(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Settings) else value


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _type(schema: Mapping[str, Any]) -> str:
    """A JSON Schema of a value in words, bounds included."""
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = schema["type"]
    if kind == "array" and "prefixItems" in schema:
        return f"[{', '.join(_type(part) for part in schema['prefixItems'])}]"
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    if kind == "object":
        values = schema["additionalProperties"]
        return "map" if values is True else f"map to {_type(values)}"
    names = {"string": "path" if schema.get("format") == "path" else "text", "boolean": "true, false"}
    return names.get(kind, str(kind)) + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    if "pattern" in schema:
        bounds.append(f"matching `{schema['pattern']}`")
    return f" {', '.join(bounds)}" if bounds else ""
