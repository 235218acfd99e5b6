"""A real SLURM, and folders to build in whose Snakemake sends its jobs there."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Folders, runs and their outcomes as in the tests of the workflow on one machine.
workflow = _load("slurm_workflow_tests", Path(__file__).parents[1] / "workflow" / "conftest.py")
# Every level of the graph waits for a look at the state of the jobs, and every job for two Snakemakes.
workflow.PATIENCE_S = 1200  # type: ignore[attr-defined]
slurm_cluster = _load("slurm_cluster", Path(__file__).with_name("cluster.py"))
code, cache, changed_code, started, open_workspace = (
    workflow.code, workflow.cache, workflow.changed_code, workflow.started, workflow.open_workspace,
)  # fmt: skip

LINES = ["transit", "voxel", "splice"]
"""Lines that are built on the cluster and on one machine, and compared."""
DEMO: Mapping[str, Any] = {
    "transit": {
        "demo": {"stars": 12, "sectors": 1, "days": 6.0, "stamp": 5},
        "plan": {"num_shards": 2},
        "train": {"enabled": False},
    },
    "voxel": {
        "demo": {"domains": 12, "residues": 25},
        "plan": {"num_parts": 2, "batch_size": 64},
        "train": {"enabled": False},
    },
    "splice": {"demo": {"genes": 12}, "train": {"enabled": False}},
}
"""The demos, as small as they may be."""
QUICK = (
    *("--latency-wait", "5"),
    *("--slurm-init-seconds-before-status-checks", "5"),
    # Snakemake does not exit before a timer of this time span has run out that its last look for ready jobs has set:
    # with the profile's 60 jobs a minute every run would end with up to a minute of waiting.
    *("--max-jobs-per-timespan", "100/1s"),
)
"""What the profile sets for a cluster with a network file system, other users and jobs of minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("workflow")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Any]:
    """A cluster that this process and all that it starts see."""
    before = dict(os.environ)
    try:
        with slurm_cluster.cluster() as up:
            os.environ.update(up.environment)
            yield up
    except slurm_cluster.NoClusterError as error:
        pytest.skip(str(error))
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def on_slurm(code: Path) -> tuple[str, ...]:
    """Options that send the jobs to the cluster."""
    return ("--workflow-profile", str(code / "profiles" / "slurm"), *QUICK)


@pytest.fixture(scope="session")
def make_demo(open_workspace: Callable[..., Any]) -> Callable[[Path], Any]:
    """Makes a folder whose configuration builds the demos of all lines."""

    def make(folder: Path) -> Any:
        folder.mkdir(parents=True)
        config = {"run": "t", "lines": LINES, **{line: DEMO[line] for line in LINES}}
        return open_workspace(folder, config, "all")

    return make
