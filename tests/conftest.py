"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data"
FIRST = ("test_cluster_failures.py", "test_real_splice_line.py", "test_cluster_lines.py", "workflow", "real", "unit")
"""Files and folders in the order in which their tests run: a file of minutes that came last would run alone."""


# Workers share cores: a thread of torch or XGBoost that waits for another one must not spin meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The first example imports what is heavy, and machines differ: time is no property of the code under test.
settings.register_profile("trainyard", deadline=None)
settings.load_profile("trainyard")


def pytest_configure(config: pytest.Config) -> None:
    # Without this pytest-xdist hands out the files with most tests first, and so those with few long ones last.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what lasts first; one long file on SLURM, which mostly waits, goes beside a long one that computes."""

    def place(item: pytest.Item) -> int:
        parts = item.nodeid.partition("::")[0].split("/")
        return next((place for place, name in enumerate(FIRST) if name in parts), len(FIRST))

    items.sort(key=place)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names tests by the argument where its value is bytes: compressed ones hold the time, and workers must agree."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the public data files that tests of real inputs need."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real inputs is not there")
    return REAL_DATA
