"""Blocks of shards: which shards belong together, and what a job of them keeps."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.yard.blocks import (
    Source,
    Unit,
    blocks,
    make_block,
    read_block,
    remove_other_blocks,
    shards_of,
    shards_per_job,
    void_incomplete,
)
from trainyard.yard.errors import ConfigError, EnvironmentFault, IntegrityError
from trainyard.yard.labels import shard_labels
from trainyard.yard.locks import RunLock
from trainyard.yard.receipts import receipt_path, write_receipt

LABELS = ["0001-0002", "0002-0002"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "blocks" / "0001-0001.json"


def unit(manifest: Path, label: str, made: list[str], *, content: str = "x", made_from: str = "a") -> Unit:
    """A shard of records and a table, which notes that it was made."""
    records, table = (manifest.parent.parent / f"{name}_{label}.{name}" for name in ("tfrecord", "csv"))

    def make() -> bool:
        made.append(label)
        records.parent.mkdir(parents=True, exist_ok=True)
        records.write_text(content + label)
        table.write_text(f"table of {label}")
        write_receipt(records, records=1)
        return True

    return Unit(label, [records, table], [made_from, 1], make)


def made_by(manifest: Path, **more: str) -> list[str]:
    """Labels of the shards that a job makes."""
    made: list[str] = []
    told = make_block(manifest, [unit(manifest, label, made, **more) for label in LABELS])
    assert told == f"{manifest}: 2 shards, {2 - len(made)} of them were there"
    return made


@given(st.integers(1, 2000), st.integers(2, 50))
def test_every_shard_is_in_one_block_and_they_are_in_order(num_shards: int, per_job: int) -> None:
    found = blocks(num_shards, per_job)
    assert [shard for shards in found.values() for shard in shards] == shard_labels(num_shards)
    assert list(found) == shard_labels(len(found))
    assert {len(shards) for shards in list(found.values())[:-1]} <= {per_job}


@given(st.integers(1, 9999), st.integers(0, 10**6))
def test_where_nobody_says_a_job_is_worth_its_start_unless_there_would_be_few(num_shards: int, items: int) -> None:
    per_job = shards_per_job(num_shards, items, 700)
    jobs = len(blocks(num_shards, per_job))
    assert jobs <= 128
    assert jobs >= min(num_shards, 8)
    if jobs > 15:
        assert items / jobs >= 700


def test_eight_jobs_are_left_to_small_archives_and_no_shard_is_divided() -> None:
    assert [shards_per_job(n, 0, 700) for n in (1, 8, 9, 16, 40)] == [1, 1, 1, 2, 5]
    assert shards_per_job(40, 10**6, 700) == 1


def test_an_archive_that_grows_divides_its_shards_otherwise_when_it_has_doubled() -> None:
    jobs = [len(blocks(1000, shards_per_job(1000, items, 700))) for items in range(0, 200_000, 100)]
    assert sorted(set(jobs)) == [8, 16, 32, 63, 125]
    assert jobs == sorted(jobs)


def test_more_jobs_than_a_command_can_name_are_refused() -> None:
    assert len(blocks(1000, 1)) == 1000
    with pytest.raises(ConfigError, match=r"shards_per_job: 1 makes 1,001 jobs per stage, too many; make it 2 or more"):
        blocks(1001, 1)


def test_all_shards_are_made_once(manifest: Path) -> None:
    assert made_by(manifest) == LABELS
    assert made_by(manifest) == []


def test_the_manifest_vouches_for_every_file_and_receipt(manifest: Path) -> None:
    made_by(manifest)
    listed = {name for files in read_block(manifest).values() for name in files}
    assert listed == {path.name for path in manifest.parent.parent.iterdir() if path.is_file()}
    assert len(listed) == 6
    assert shards_of([manifest]) == [(manifest.parent.parent, 1, 2), (manifest.parent.parent, 2, 2)]


def test_what_a_block_is_made_from_must_be_what_its_manifest_says(manifest: Path) -> None:
    made_by(manifest)
    source = Source(manifest)
    table = source.folder / "csv_0001-0002.csv"
    records = source.folder / "tfrecord_0001-0002.tfrecord"
    assert source.labels == LABELS
    digests = source.digests("0001-0002", [table, records])
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (table, records)}
    source.confirm("0001-0002", [table, records])
    table.write_text(table.read_text()[::-1])
    with pytest.raises(IntegrityError, match=r"csv_0001-0002\.csv: is not the file that .*0001-0001\.json lists"):
        source.confirm("0001-0002", [table])
    records.write_text("other")
    write_receipt(records, records=1)
    with pytest.raises(IntegrityError, match=r"tfrecord_0001-0002\.tfrecord: is not the file"):
        source.confirm("0001-0002", [records])
    table.unlink()
    with pytest.raises(EnvironmentFault, match="not there although"):
        source.confirm("0001-0002", [table])
    with pytest.raises(IntegrityError, match="does not list"):
        source.digests("0003-0003", [table])


def test_manifests_of_another_grouping_and_its_own_go_before_the_first_shard_is_made(manifest: Path) -> None:
    made_by(manifest)
    other = manifest.with_name("0001-0002.json")
    other.write_bytes(manifest.read_bytes())
    same = manifest.with_name("0002-0001.json")
    same.write_bytes(manifest.read_bytes())
    seen: list[str] = []

    def look() -> bool:
        seen.extend(path.name for path in manifest.parent.glob("*.json"))
        raise EnvironmentFault("disk full")

    one = unit(manifest, LABELS[0], [], made_from="b")
    with pytest.raises(EnvironmentFault, match="disk full"):
        make_block(manifest, [Unit(one.label, one.files, one.made_from, look)])
    assert seen == [same.name]


def test_a_shard_that_may_not_be_kept_is_made_again(manifest: Path) -> None:
    made: list[str] = []
    units = [unit(manifest, label, made) for label in LABELS]
    fleeting = [Unit(one.label, one.files, one.made_from, lambda one=one: one.make() and False) for one in units]
    make_block(manifest, fleeting[:1] + units[1:])
    assert made_by(manifest) == LABELS[:1]


def test_a_job_waits_for_another_one_at_the_same_block(manifest: Path) -> None:
    made: list[str] = []
    with RunLock(manifest.parent, manifest.stem):
        waiting = threading.Thread(target=lambda: made.extend(made_by(manifest)), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert not made
    waiting.join(10)
    assert made == LABELS


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

    def fail() -> bool:
        raise IntegrityError("broken")

    first, second = (unit(manifest, label, made) for label in LABELS)
    with pytest.raises(IntegrityError, match="broken"):
        make_block(manifest, [Unit(first.label, first.files, first.made_from, fail), second])
    assert made == LABELS[1:], "one bad shard keeps no other from being made"
    assert not manifest.exists()
    assert made_by(manifest) == LABELS[:1]


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


def test_files_of_another_number_of_blocks_are_removed_and_no_others(tmp_path: Path) -> None:
    names = ["sample_0001-0002.npz", "sample_0001-0003.npz", "sample_0002-0003.npz", "rest_0001-0003.npz", "notes.npz"]
    for name in names:
        (tmp_path / name).touch()
    remove_other_blocks(tmp_path / "sample_0002-0002.npz")
    assert {path.name for path in tmp_path.iterdir()} == {names[0], *names[3:]}
