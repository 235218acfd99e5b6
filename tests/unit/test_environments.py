"""The conda environments and the lock file name the same versions."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = sorted((REPOSITORY / "envs").glob("*.yaml"))
PIP_NAMES = {"matplotlib-base": "matplotlib", "pytorch-cpu": "torch"}
"""Name on conda-forge -> name in the lock file, where they differ."""
UNLOCKED = {"python", "pip"}
PACKAGES = {
    "google": "protobuf",
    "google_crc32c": "google-crc32c",
    "tensorflow": "tensorflow-cpu",
    "yaml": "pyyaml",
}
"""Imported name -> name in the lock file, where they differ."""
OWN = {"trainyard", "workflow_scripts"}


def locked_versions() -> dict[str, str]:
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if re.match(r"[a-z0-9]", line))


def dependencies(path: Path) -> dict[str, str]:
    """Version by name in the lock file; of conda's and of pip's part."""
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    found = {}
    for entry in content["dependencies"]:
        for text in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, _, version = text.partition("==" if "==" in text else "=")
            found[PIP_NAMES.get(name, name)] = version
    return found


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_has_the_versions_of_the_lock_file(path: Path) -> None:
    locked = locked_versions()
    pinned = {name: version for name, version in dependencies(path).items() if name not in UNLOCKED}
    assert pinned == {name: locked.get(name) for name in pinned}, (
        f"{path.name} and requirements.lock differ; put the versions of the lock file into {path.name}"
    )


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_comes_from_conda_forge_alone(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["channels"] == ["conda-forge", "nodefaults"]


def imported_packages(*folders: str) -> set[str]:
    """Packages that the code below some folders imports anywhere, by their name in the lock file."""
    modules: set[str] = set()
    for path in (file for folder in folders for file in (REPOSITORY / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
    packages = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - OWN
    return {PACKAGES.get(package, package) for package in packages}


def test_transit_environment_has_what_the_transit_rules_import() -> None:
    needed = imported_packages("src/trainyard/yard", "src/trainyard/transit", "src/trainyard/demo", "workflow_scripts")
    assert needed - set(dependencies(REPOSITORY / "envs" / "transit.yaml")) == set()
