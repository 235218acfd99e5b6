"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data"


# The first example imports what is heavy, and machines differ: time is no property of the code under test.
settings.register_profile("trainyard", deadline=None)
settings.load_profile("trainyard")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names tests by the argument where its value is bytes: compressed ones hold the time, and workers must agree."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the public data files that tests of real inputs need."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real inputs is not there")
    return REAL_DATA
