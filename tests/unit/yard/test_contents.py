"""Contents of inputs count, not their times nor where they lie, and are read again only where they may have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainyard.yard import contents
from trainyard.yard.contents import contents_digest


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The same file in two folders."""
    paths = [tmp_path / folder / "a.pdb" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("ATOM")
    return paths


def test_names_and_contents_count_but_no_folder_no_order_and_no_file_that_is_not_there(
    files: list[Path], tmp_path: Path
) -> None:
    one, two = files
    first = contents_digest([one], tmp_path / "cache")
    assert contents_digest([two], tmp_path / "cache") == first
    assert contents_digest([one, tmp_path / "absent.pdb"], tmp_path / "cache") == first
    other = one.with_name("b.pdb")
    other.write_text("ATOM")
    assert contents_digest([other], tmp_path / "cache") != first
    assert contents_digest([one, other], tmp_path / "cache") == contents_digest([other, one], tmp_path / "cache")


def test_a_touched_file_is_the_same_and_a_changed_one_is_not(files: list[Path], tmp_path: Path) -> None:
    first = contents_digest(files[:1], tmp_path / "cache")
    os.utime(files[0], ns=(1, 1))
    assert contents_digest(files[:1], tmp_path / "cache") == first
    files[0].write_text("HETATM")
    assert contents_digest(files[:1], tmp_path / "cache") != first


def test_a_file_is_read_once_while_size_and_time_stay(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = contents_digest(files, tmp_path / "cache")
    monkeypatch.setattr(contents, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
    assert contents_digest(files, tmp_path / "cache") == first


def test_a_damaged_cache_only_costs_time(files: list[Path], tmp_path: Path) -> None:
    first = contents_digest(files, tmp_path / "cache")
    (cached,) = (tmp_path / "cache").iterdir()
    for damage in ("[", "[1, 2]", "null"):
        cached.write_text(damage)
        assert contents_digest(files, tmp_path / "cache") == first
