"""Pages that are made from the code: up to date, complete, and readable as Markdown."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
import yaml
from pydantic import Field

from trainyard import splice
from trainyard.config import Config
from trainyard.publish import splice_columns
from trainyard.publish.generated import GENERATED, write_generated
from trainyard.publish.markdown import table
from trainyard.publish.places import COLUMNS, REFERENCE, SCHEMA
from trainyard.publish.reference import config_reference, config_schema
from trainyard.splice.dataset_schema import ROW_COLUMNS, dataset
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.yard.errors import InputError
from trainyard.yard.settings import Settings
from trainyard.yard.tables import TableContract

REPOSITORY = Path(__file__).resolve().parents[3]
COMMAND = {
    SCHEMA: "config schema",
    REFERENCE: "config reference",
    **{file: f"{line} columns" for line, file in COLUMNS.items()},
}


def all_keys(model: type[Settings] = Config, path: str = "") -> list[tuple[str, str]]:
    """(group, key) of every key; groups that users name are left out."""
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            found += all_keys(field.annotation, f"{path}.{name}".lstrip("."))
        elif name != "select":
            found.append((path, name))
    return found


def example(**transit: Any) -> dict[str, Any]:
    return {"run": "test", "transit": transit}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_file_is_up_to_date(name: str) -> None:
    path = REPOSITORY / name
    assert path.is_file() and path.read_text() == GENERATED[name](), (
        f"{name} is not what the code says; run `trainyard {COMMAND[name]} --write` in the root of the repository"
    )


@pytest.mark.parametrize("name", GENERATED)
def test_writing_makes_what_is_printed(name: str, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").touch()
    assert write_generated(name, tmp_path).read_text() == GENERATED[name]()


def test_nothing_is_written_outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Snakefile"):
        write_generated(SCHEMA, tmp_path)
    assert list(tmp_path.iterdir()) == []


class Inner(Settings):
    """Keys of a group."""

    share: float | None = Field(0.25, gt=0, lt=1, description="A share; `<run>` or <run>.")
    size: tuple[int, int] = Field((11, 3), description="Rows, columns.")


class Named(Settings):
    """Keys of a group that users name."""

    quota: float = Field(1.0, description="A quota.")
    keep: list[str] = Field(default_factory=lambda: ["EB", "KP"], description="Some.")


class Small(Settings):
    """A configuration."""

    shards: int = Field(8, ge=1, le=9999, description="Number of shards.")
    method: Literal["off", "on"] = Field("off", description="How.")
    bits: int | Literal["default"] = Field("default", description="Bits.")
    name: str = Field("demo", pattern="^[a-z|]+$", description="A name.")
    table: Path | None = Field(None, description="A file.")
    columns: dict[str, str] = Field(default_factory=dict, description="Names.")
    inner: Inner = Field(default_factory=Inner)
    choice: dict[str, Named] = Field(default_factory=lambda: {"one": Named(quota=2.0)}, description="Choices.")


def test_reference_tells_types_bounds_defaults_and_meanings() -> None:
    lines = config_reference(Small).splitlines()
    assert "| `shards` | integer >= 1, <= 9999 | `8` | Number of shards. |" in lines
    assert "| `method` | `off`, `on` | `'off'` | How. |" in lines
    assert "| `bits` | integer or `default` | `default` | Bits. |" in lines
    assert "| `name` | text matching `^[a-z\\|]+$` | `demo` | A name. |" in lines
    assert "| `table` | path or null | `null` | A file. |" in lines
    assert "| `columns` | map to text | `{}` | Names. |" in lines
    assert "| `share` | number > 0, < 1 or null | `0.25` | A share; `<run>` or &lt;run>. |" in lines
    assert "| `size` | [integer, integer] | `[11, 3]` | Rows, columns. |" in lines


def test_reference_has_a_section_for_every_group() -> None:
    text = config_reference(Small)
    assert "* [`inner`](#inner)" in text
    assert "## `inner`\n\nKeys of a group.\n" in text
    assert "* [`choice.<name>`](#choicename)" in text
    assert "## `choice.<name>`\n\nChoices.\n\nDefault: `{one: {quota: 2.0}}`\n" in text


def test_schema_has_the_defaults_that_factories_make() -> None:
    schema = json.loads(config_schema(Small))
    assert schema["properties"]["choice"]["default"] == {"one": {"quota": 2.0}}
    assert schema["properties"]["columns"]["default"] == {}
    assert schema["$defs"]["Inner"]["properties"]["size"]["default"] == [11, 3]
    assert schema["$defs"]["Named"]["properties"]["keep"]["default"] == ["EB", "KP"]


def test_reference_has_a_row_for_every_key() -> None:
    reference = config_reference()
    for group, name in all_keys():
        section = reference.split(f"## `{group}`" if group else "## Top level")[1].split("\n## ")[0]
        assert f"\n| `{name}` | " in section


@pytest.mark.parametrize(
    "values",
    [
        {},
        example(plan={"num_shards": 12}, build={"windows": {"resampling": "nearest"}}),
        example(select={"mine": {"where": "label == 1"}}, train={"selection": None}),
        yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text()),
    ],
)
def test_schema_accepts_what_the_models_accept(values: dict[str, Any]) -> None:
    Config.model_validate({**values, "transit": {**values.get("transit", {}), "train": {"enabled": False}}})
    jsonschema.validate(values, json.loads(config_schema()))


@pytest.mark.parametrize(
    "values", [{"rum": "x"}, example(plan={"num_shards": 0}), example(build={"windows": {"resampling": "linear"}})]
)
def test_schema_refuses_what_the_models_refuse(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, json.loads(config_schema()))


def test_columns_page_names_every_column_of_the_example_table() -> None:
    section = GENERATED[COLUMNS["transit"]]().split("## `split/aux_tbls/examples_*.parquet`")[1]
    for column in SPLIT_EXAMPLES.columns:
        assert f"| `{column.name}` |" in section


def test_columns_page_of_the_splice_line_names_every_column_of_the_dataset_once() -> None:
    page = GENERATED[COLUMNS["splice"]]()
    _, rows, rest = page.split("`master/part-*.parquet`\n")
    features = rest.split("\n## ")[0]
    for name in dataset(SpliceFeatureSettings()).names:
        section, other = (rows, features) if name in ROW_COLUMNS else (features, rows)
        if "mer_" not in name:
            assert section.count(f"\n| `{name}` |") == 1, name
            assert f"\n| `{name}` |" not in other, name
    assert "3mer_" in features


def test_columns_page_of_the_splice_line_has_every_table_contract_of_the_line() -> None:
    told = {contract.name for _, _, contract in (*splice_columns._BEFORE, *splice_columns._AFTER)}
    modules = (
        importlib.import_module(module.name) for module in pkgutil.walk_packages(splice.__path__, "trainyard.splice.")
    )
    contracts = {
        thing.name for module in modules for thing in vars(module).values() if isinstance(thing, TableContract)
    }
    assert contracts - told == set()


@pytest.mark.parametrize("file", COLUMNS.values())
def test_every_column_has_a_meaning(file: str) -> None:
    rows = [line for line in GENERATED[file]().splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []


def test_cells_of_a_table_keep_markdown_whole() -> None:
    assert table(["a"], [["x | y"], ["<run>"], ["`<run>`"], ["two\nlines"]]).splitlines()[2:] == [
        "| x \\| y |",
        "| &lt;run> |",
        "| `<run>` |",
        "| two lines |",
    ]
