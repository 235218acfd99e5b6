"""The command line `trainyard`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard import __version__, cli
from trainyard.publish.generated import GENERATED
from trainyard.publish.places import SCHEMA
from trainyard.yard.errors import ConfigError, IntegrityError
from trainyard.yard.examples import encode_example
from trainyard.yard.files import atomic_open
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tfrecord import RecordWriter


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "raw_shard_0001-0001.tfrecord"
    with atomic_open(path) as handle:
        RecordWriter(handle).write(encode_example({"uid": "star-1", "flux": [1.0, 0.5]}))
    write_receipt(path, records=1)
    return path


def trainyard(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    command = [sys.executable, "-m", "trainyard.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False)


def test_verify_counts_what_is_as_it_should_be(shard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli._command(["verify", str(shard.parent), "--deep"])
    assert "problems: 0, whole files: 1, records: 1, bytes: " in capsys.readouterr().out


def test_verify_prints_each_problem_and_raises(shard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=r"run: problems: 1, whole files: 0"):
        cli._command(["verify", str(shard.parent)])
    assert capsys.readouterr().out.count(str(shard)) == 1


def test_verify_ends_with_code_3_and_one_message_where_something_is_wrong(shard: Path) -> None:
    shard.unlink()
    ended = trainyard("verify", shard.parent)
    assert ended.returncode == 3
    assert "the file is missing" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith(f"error: {shard.parent}: problems: 1")
    assert "Traceback" not in ended.stderr


def test_config_check_accepts_the_configuration_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    cli._command(["config", "check", str(Path(__file__).parents[2] / "config" / "config.yaml")])
    assert "no mistakes" in capsys.readouterr().out


def test_config_check_tells_all_mistakes_and_the_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("rum: x\ntransit:\n  plan:\n    num_shards: 0\n")
    with pytest.raises(ConfigError) as caught:
        cli._command(["config", "check", str(file)])
    assert "did you mean run?" in str(caught.value)
    assert "transit.plan.num_shards" in str(caught.value)


def test_config_check_finds_a_condition_that_no_table_can_answer(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("transit:\n  select:\n    balanced:\n      where: lable == 1\n")
    with pytest.raises(ConfigError, match=r"my.yaml: transit.select.balanced.where.*did you mean label"):
        cli._command(["config", "check", str(file)])


@pytest.mark.parametrize("arguments", [["config", "schema"], ["config", "reference"], ["transit", "columns"]])
def test_pages_are_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    cli._command(arguments)
    assert capsys.readouterr().out in {make() for make in GENERATED.values()}


def test_pages_are_written_to_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    cli._command(["config", "schema", "--write"])
    assert (tmp_path / SCHEMA).read_text() == GENERATED[SCHEMA]()
    assert capsys.readouterr().out == f"{SCHEMA}: written\n"


def test_preview_prints_one_line_per_feature(shard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli._command(["transit", "preview", str(shard)])
    flux, uid = capsys.readouterr().out.splitlines()
    assert flux.split() == ["flux", "float32", "2", "1", "0.5"]
    assert uid.split() == ["uid", "bytes", "1", "'star-1'"]


def test_a_mistake_in_the_arguments_ends_with_code_2() -> None:
    for arguments in ([], ["config"], ["verify"], ["transit", "preview", "x", "--record", "one"]):
        with pytest.raises(SystemExit) as caught:
            cli._command(arguments)
        assert caught.value.code == 2


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli._command(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"trainyard {__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m trainyard.cli config reference | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "# Configuration\n")
    assert "BrokenPipe" not in ended.stderr
