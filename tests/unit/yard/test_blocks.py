"""Blocks of shards: which shards belong together, and what a job of them keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.yard.blocks import (
    MAX_JOBS,
    MIN_JOBS,
    Unit,
    blocks,
    contents,
    make_block,
    read_block,
    shards_of,
    shards_per_job,
    void_incomplete,
)
from trainyard.yard.errors import IntegrityError
from trainyard.yard.labels import shard_labels
from trainyard.yard.receipts import receipt_path, write_receipt

LABELS = ["0001-0002", "0002-0002"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "blocks" / "0001-0001.json"


def unit(manifest: Path, label: str, made: list[str], *, content: str = "x", made_from: str = "a") -> Unit:
    """A shard of records and a table, which notes that it was made."""
    records, table = (manifest.parent.parent / f"{name}_{label}.{name}" for name in ("tfrecord", "csv"))

    def make() -> None:
        made.append(label)
        records.parent.mkdir(parents=True, exist_ok=True)
        records.write_text(content + label)
        table.write_text(f"table of {label}")
        write_receipt(records, records=1)

    return Unit(label, [records, table], [made_from, 1], make)


def made_by(manifest: Path, **more: str) -> list[str]:
    """Labels of the shards that a job makes."""
    made: list[str] = []
    assert make_block(manifest, [unit(manifest, label, made, **more) for label in LABELS]) == 2 - len(made)
    return made


@given(st.integers(1, 2000), st.integers(1, 50))
def test_every_shard_is_in_one_block_and_they_are_in_order(num_shards: int, per_job: int) -> None:
    found = blocks(num_shards, per_job)
    assert [shard for shards in found.values() for shard in shards] == shard_labels(num_shards)
    assert list(found) == shard_labels(len(found))
    assert {len(shards) for shards in list(found.values())[:-1]} <= {per_job}


@pytest.mark.parametrize(
    ("num_shards", "items", "expected"),
    [
        pytest.param(4, 6, 1, id="demo"),
        pytest.param(31, 6, 1, id="too few shards for sixteen jobs of two"),
        pytest.param(100, 50, 4, id="small shards"),
        pytest.param(100, 51, 4, id="small shards with one more star each"),
        pytest.param(100, 700, 1, id="large shards"),
        pytest.param(8600, 20, 34, id="thousands of shards"),
        pytest.param(1000, 0, 32, id="nothing in them"),
        pytest.param(9999, 700, 40, id="most shards there can be"),
    ],
)
def test_shards_per_job(num_shards: int, items: int, expected: int) -> None:
    assert shards_per_job([items] * num_shards, enough=700) == expected


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=2000))
def test_jobs_are_many_enough_for_many_cores_and_few_enough_to_plan(sizes: list[int]) -> None:
    jobs = len(blocks(len(sizes), shards_per_job(sizes, enough=700)))
    assert min(len(sizes), MIN_JOBS) <= jobs <= MAX_JOBS


def test_all_shards_are_made_once(manifest: Path) -> None:
    assert made_by(manifest) == LABELS
    assert made_by(manifest) == []


def test_the_manifest_vouches_for_every_file_and_receipt(manifest: Path) -> None:
    made_by(manifest)
    listed = {name for files in read_block(manifest).values() for name in files}
    assert listed == {path.name for path in manifest.parent.parent.iterdir() if path.is_file()}
    assert len(listed) == 6
    assert list(contents([manifest])) == LABELS
    assert set(contents([manifest])["0001-0002"]) == {"tfrecord_0001-0002.tfrecord", "csv_0001-0002.csv"}
    assert shards_of([manifest]) == [(manifest.parent.parent, 1, 2), (manifest.parent.parent, 2, 2)]


def test_a_block_made_again_has_the_same_bytes(manifest: Path) -> None:
    made_by(manifest)
    before = manifest.read_bytes()
    manifest.unlink()
    made_by(manifest)
    assert manifest.read_bytes() == before


def test_shards_made_from_something_else_are_made_again(manifest: Path) -> None:
    made_by(manifest)
    assert made_by(manifest, made_from="b") == LABELS


def test_a_job_that_fails_leaves_no_manifest_and_its_finished_shards(manifest: Path) -> None:
    made: list[str] = []

    def fail() -> None:
        raise IntegrityError("broken")

    first, second = (unit(manifest, label, made) for label in LABELS)
    with pytest.raises(IntegrityError, match="broken"):
        make_block(manifest, [first, Unit(second.label, second.files, second.made_from, fail)])
    assert not manifest.exists()
    assert made_by(manifest) == LABELS[1:]


@pytest.mark.parametrize("name", ["tfrecord_0002-0002.tfrecord", "csv_0002-0002.csv"])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.unlink(), id="deleted"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[::-1]), id="other bytes"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="shorter"),
    ],
)
def test_a_shard_that_is_not_what_it_was_is_made_again(
    manifest: Path, name: str, spoil: Callable[[Path], object]
) -> None:
    made_by(manifest)
    spoil(manifest.parent.parent / name)
    assert made_by(manifest) == LABELS[1:]


def test_a_shard_without_its_receipt_is_made_again(manifest: Path) -> None:
    made_by(manifest)
    receipt_path(manifest.parent.parent / "tfrecord_0001-0002.tfrecord").unlink()
    assert made_by(manifest) == LABELS[:1]


def test_a_manifest_is_void_when_a_file_is_gone_or_has_another_size(manifest: Path) -> None:
    folder = manifest.parent.parent
    made_by(manifest)
    assert void_incomplete(folder, ["0001-0001", "0002-0002"]) == []
    table = folder / "csv_0002-0002.csv"
    table.write_text("more than there was in it")
    assert void_incomplete(folder, ["0001-0001"]) == [table]
    assert not manifest.exists()
    assert made_by(manifest) == LABELS[1:]
    table.unlink()
    assert void_incomplete(folder, ["0001-0001"]) == [table]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"shards": {"1": {}}}', '{"shards": {"0001-0002": {"a": {}}}}'])
def test_a_broken_manifest_is_refused_and_void(manifest: Path, content: str) -> None:
    manifest.parent.mkdir(parents=True)
    manifest.write_text(content)
    with pytest.raises(IntegrityError, match=r"0001-0001\.json: no manifest of a block"):
        read_block(manifest)
    assert void_incomplete(manifest.parent.parent, ["0001-0001"]) == [manifest]
