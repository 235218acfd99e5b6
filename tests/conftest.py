"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the public data files that tests of real inputs need."""
    if not REAL_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real inputs is not there")
    return REAL_DATA
