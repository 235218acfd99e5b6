"""What the pages say of configuration, reasons, columns, commands and files is so."""

from __future__ import annotations

import argparse
import re
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from trainyard import cli
from trainyard.config import Config, parse_config
from trainyard.splice import reasons as splice_reasons
from trainyard.splice.cli import add_commands as add_splice_commands
from trainyard.splice.settings import SpliceModelSettings
from trainyard.transit import preflight
from trainyard.transit import reasons as transit_reasons
from trainyard.transit.tces import _ALIASES, _REQUIRED, DISPOSITIONS, QUIET
from trainyard.voxel import reasons as voxel_reasons

REPOSITORY = Path(__file__).resolve().parents[2]
REASONS = {"transit": transit_reasons.Reason, "voxel": voxel_reasons.Reason, "splice": splice_reasons.Reason}
"""Closed list of reasons by line; each line has a page and a page of columns."""
LINE_PAGES = {f"docs/{line}{kind}.md": line for line in REASONS for kind in ("", "-columns")}
PAGES = ["README.md", "CONTRIBUTING.md", "config/README.md", "docs/cluster.md", *LINE_PAGES]


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text()


def blocks(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        codes = re.findall(rf"^```{language}\n(.*?)^```", text_of(page), flags=re.DOTALL | re.MULTILINE)
        found += [pytest.param(code, id=f"{page} {number}") for number, code in enumerate(codes, start=1)]
    return found


def table_after(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a text."""
    rows: list[list[str]] = []
    for line in text_of(page).split(heading, 1)[1].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), flags=re.MULTILINE)
    return {"".join(c for c in h.lower().replace(" ", "-") if c.isalnum() or c in "-_") for h in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        where = ((REPOSITORY / page).parent / file).resolve() if file else REPOSITORY / page
        assert where.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(str(where.relative_to(REPOSITORY))), f"{page} links to {target}"


@pytest.mark.parametrize("code", blocks("yaml"))
def test_configurations_can_be_copied(code: str) -> None:
    config = parse_config(yaml.safe_load(code), source="the example")
    assert preflight.problems(config.transit) == []


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles(code: str) -> None:
    compile(code, "the example", "exec")


@pytest.mark.parametrize("page", PAGES)
def test_keys_that_are_named_exist(page: str) -> None:
    line = LINE_PAGES.get(page, "transit")
    settings: Any = Config.model_fields[line].annotation
    stages = "|".join(settings.model_fields)
    for name in re.findall(rf"`(?:{line}\.)?((?:{stages})\.[a-z_.]+)[`:]", re.sub(r"`\w+\.json`", "", text_of(page))):
        model = settings
        for part in name.split("."):
            models = [model, *get_args(model)]
            fields = next((m.model_fields for m in models if isinstance(m, type) and issubclass(m, BaseModel)), {})
            assert part in fields, f"{page} names the key {name}"
            model = fields[part].annotation


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    rules = set(
        re.findall(r"^rule (\w+):", "".join(p.read_text() for p in REPOSITORY.glob("rules/*.smk")), re.MULTILINE)
    )
    for line in re.findall(r"^ {4}(.*)$", text_of(page), flags=re.MULTILINE):
        words = shlex.split(line, comments=True)
        if words[:1] == ["trainyard"]:
            cli._parser().parse_args(words[1:])
        if words[:1] == ["snakemake"]:
            assert {word for word in words if word.startswith((*(f"{line}_" for line in REASONS), "demo_"))} <= rules


@pytest.mark.parametrize(("line", "reasons"), REASONS.items())
def test_every_reason_is_explained_once(line: str, reasons: type[StrEnum]) -> None:
    rows = table_after(f"docs/{line}.md", "## Reasons")
    assert [quoted(row[0])[0] for row in rows] == [reason.value for reason in reasons]


@pytest.mark.parametrize("line", REASONS)
def test_every_reason_says_what_to_do(line: str) -> None:
    assert all(len(row) == 4 and all(row) for row in table_after(f"docs/{line}.md", "## Reasons"))


def test_names_of_table_columns_are_those_that_are_found() -> None:
    required = table_after("docs/transit.md", "Five columns are required")
    used = table_after("docs/transit.md", "These are used where they are there")
    told = {quoted(row[0])[0]: tuple(quoted(row[2])) for row in [*required, *used] if quoted(row[2])}
    assert {quoted(row[0])[0] for row in required} == set(_REQUIRED)
    assert told == {name: tuple(aliases) for name, aliases in _ALIASES.items()}


def test_every_disposition_is_explained() -> None:
    rows = table_after("docs/transit.md", "that name. A table with other names")
    assert {word for row in rows for word in row[0].split(", ")} == {*DISPOSITIONS, QUIET}


def test_every_exit_code_is_explained() -> None:
    assert [row[0] for row in table_after("docs/transit.md", "## When it fails")] == ["1", "2", "3", "4", "5"]


def test_every_command_of_the_splice_line_is_explained() -> None:
    rows = table_after("docs/splice.md", "## Maintenance")
    commands = argparse.ArgumentParser().add_subparsers()
    add_splice_commands(commands)
    assert sorted(quoted(row[0])[0] for row in rows) == sorted(commands.choices)


def test_every_base_model_and_its_licence_are_named() -> None:
    rows = table_after("docs/splice.md", "## The base model")
    backends = SpliceModelSettings.model_fields["backend"].annotation
    assert {quoted(row[0])[0] for row in rows} == set(get_args(backends))
    assert all(row[2] for row in rows)


def test_what_make_demo_prints_is_a_target_of_the_default_configuration() -> None:
    printed = re.findall(r"results/demo/(\w+)/", text_of("Makefile"))
    lines = yaml.safe_load(text_of("config/config.yaml"))["lines"]
    assert sorted(set(printed)) == sorted(lines) == sorted(REASONS)


def test_folders_of_the_layout_are_there() -> None:
    for page, heading in (("README.md", "## Layout"), ("CONTRIBUTING.md", "## Where things live")):
        for row in table_after(page, heading):
            for name in quoted(row[0]):
                assert (REPOSITORY / name).exists(), f"{page} names {name}"


def test_captions_of_the_report_have_text() -> None:
    rules = "".join(path.read_text() for path in REPOSITORY.glob("rules/*.smk"))
    named = set(re.findall(r"docs/captions/(\w+)\.rst", rules))
    texts = {path.stem: path.read_text().strip() for path in (REPOSITORY / "docs" / "captions").glob("*.rst")}
    assert set(texts) == named
    assert all(len(text.split()) > 10 for text in texts.values())
