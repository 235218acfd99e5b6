"""Commands end with the exit code of what happened, and with a message for people."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import trainyard
from trainyard.yard.command import parse_settings, run
from trainyard.yard.errors import (
    ConfigError,
    EnvironmentFault,
    InputError,
    IntegrityError,
    LeakageError,
    TrainyardError,
)
from trainyard.yard.retries import vain_line
from trainyard.yard.settings import Settings


class Windows(Settings):
    points: int = 100
    folder: Path = Path("x")


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    root.handlers[:], root.level = handlers, level
    for number, handler in signals.items():
        signal.signal(number, handler)


def exit_code(error: BaseException | None) -> object:
    def main() -> None:
        print("some output")
        if error is not None:
            raise error

    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code


def test_success_is_zero_and_the_first_line_names_version_and_interpreter(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(None) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first.endswith(f"trainyard {trainyard.__version__}, python {sys.executable} {sys.version.split()[0]}")


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ConfigError, 2), (InputError, 2), (IntegrityError, 3), (LeakageError, 4), (EnvironmentFault, 5)],
)
def test_error_of_a_kind_has_its_code_and_the_last_line(
    capsys: pytest.CaptureFixture[str], kind: type[TrainyardError], code: int
) -> None:
    assert exit_code(kind("x.fits: no such file")) == code
    lines = capsys.readouterr().err.splitlines()[1:]
    assert lines[-1] == "error: x.fits: no such file"
    assert [line.partition("INFO ")[2] for line in lines[:-1]] == ([vain_line(code)] if code < 5 else [])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "/x: the file system is read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/y"), "/y: permission denied"),
        (MemoryError("Unable to allocate 8 EiB"), "not enough memory"),
    ],
)
def test_fault_of_the_machine_is_five(capsys: pytest.CaptureFixture[str], error: Exception, message: str) -> None:
    assert exit_code(error) == 5
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("error", [KeyError("a"), FileNotFoundError(errno.ENOENT, "No such file"), OSError("odd")])
def test_error_of_ours_keeps_its_traceback(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(type(error)):
        run(main)


def test_process_ends_as_its_caller_will_see_it() -> None:
    program = "from trainyard.yard.command import run\n{}\nrun(main)"
    for body, code, last in [
        ("def main(): print('done')", 0, None),
        ("def main(): raise MemoryError('x')", 5, "error: not enough memory (x)"),
        ("def main(): 1 / 0", 1, "ZeroDivisionError"),
    ]:
        done = subprocess.run([sys.executable, "-c", program.format(body)], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert last is None or done.stderr.splitlines()[-1].startswith(last)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_command_removes_its_temporary_files(tmp_path: Path, number: signal.Signals) -> None:
    def main() -> None:
        from trainyard.yard.files import atomic_open

        with atomic_open(tmp_path / "x") as handle:
            handle.write(b"half")
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_frame_imports_nothing_heavy() -> None:
    program = "import sys, trainyard.yard.command; print({'numpy', 'pydantic', 'pyarrow', 'yaml'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"set()\n"


def test_settings_come_as_json_or_as_the_path_of_json(tmp_path: Path) -> None:
    settings = Windows(points=50, folder=Path("y"))
    path = tmp_path / "windows.json"
    path.write_text(settings.model_dump_json())
    assert parse_settings(settings.model_dump_json(), Windows) == parse_settings(str(path), Windows) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"pionts": 1, "folder": 3}', "settings: pionts: unknown key, did you mean points"),
        ('{"pionts": 1, "folder": 3}', "settings: folder: input is not a valid path"),
        ('{"points": ', "settings: invalid JSON"),
        ("absent.json", "absent.json: neither a JSON object nor a readable JSON file"),
    ],
)
def test_wrong_settings_are_listed(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_settings(text, Windows)


def test_wrong_settings_in_a_file_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "windows.json"
    path.write_text('{"points": "many"}')
    with pytest.raises(ConfigError, match=rf"{path}: points: input should be a valid integer.*; found 'many'"):
        parse_settings(str(path), Windows)
