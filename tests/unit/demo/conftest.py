"""One small demo archive for the tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.demo.transit import write_inputs
from trainyard.transit.settings import DemoSettings

SMALL = DemoSettings(stars=3, sectors=1, days=8.0)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a demo of three stars: a planet, an eclipsing binary, an eclipse on a neighbour."""
    folder = tmp_path_factory.mktemp("demo")
    write_inputs(SMALL, folder)
    return folder
