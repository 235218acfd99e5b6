"""Reports of gates: a report at its final name says that the gate has let the build pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.splice.gate import refused, reported
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json


def test_what_passes_stands_at_its_name_and_what_is_refused_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "offset.json"
    with reported(path, {"share": 1}):
        assert not path.exists()
    assert read_json(path) == {"share": 1}
    with pytest.raises(InputError, match="shifted"), reported(path, {"share": 0}):
        raise InputError("shifted")
    # Whoever looks for a passed gate must not find the one from before.
    assert not path.exists()
    assert refused(path) == tmp_path / "offset_refused.json"
    assert read_json(refused(path)) == {"share": 0}
    with reported(path, {"share": 1}):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["offset.json"]


def test_a_gate_that_breaks_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), reported(tmp_path / "offset.json", {}):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
