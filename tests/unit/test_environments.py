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
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "xgboost": "xgboost-cpu",
    "yaml": "pyyaml",
}
"""Imported name -> name in the lock file, where they differ."""
OWN = {"trainyard", "workflow_scripts"}
OPTIONAL = {"lightgbm", "pyBigWig"}
"""Used only where a configuration asks for them; an error says how to install them."""
BEHIND = {"numba"}
"""Not imported by us, but by a package of pip's part (wotan), for which conda-forge has the better builds."""


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


def imported_packages(line: str) -> set[str]:
    """Packages that the commands of a line, and our modules behind them, import anywhere; by name in the lock file."""
    waiting = [f"workflow_scripts.{path.stem}" for path in (REPOSITORY / "workflow_scripts").glob(f"*{line}*.py")]
    seen: set[str] = set()
    packages: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] not in OWN:
            packages.add(name.partition(".")[0])
        elif name not in seen:
            seen.add(name)
            waiting += imports(name)
    return {PACKAGES.get(package, package) for package in packages - sys.stdlib_module_names}


def imports(module: str) -> list[str]:
    """Modules, and names that may be modules, that a module of ours imports."""
    base = REPOSITORY / ("src" if module.startswith("trainyard") else "") / module.replace(".", "/")
    path = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
    found = []
    for node in ast.walk(ast.parse(path.read_text())) if path else ():
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_has_what_the_rules_of_its_line_import(path: Path) -> None:
    needed = imported_packages(path.stem)
    assert {"numpy", "pyarrow", "pydantic", "tqdm"} <= needed
    assert needed - OPTIONAL - set(dependencies(path)) == set()


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_environment_has_nothing_else(path: Path) -> None:
    assert set(dependencies(path)) - UNLOCKED - BEHIND - imported_packages(path.stem) == set()
