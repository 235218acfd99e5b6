"""The frame around every command: first log line, errors for people, exit codes.

Kept light, since it is imported before the arguments are parsed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from trainyard import __version__
from trainyard.yard import logs
from trainyard.yard.errors import ConfigError, EnvironmentFault, TrainyardError
from trainyard.yard.files import as_fault
from trainyard.yard.retries import VAIN, vain_line

if TYPE_CHECKING:
    from trainyard.yard.settings import Settings

S = TypeVar("S", bound="Settings")


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command and end the process with the exit code of what happened.

    The first log line names version and interpreter, since a wrong one is the commonest fault on a
    cluster. What the user or the machine causes ends in one line `error: ...` on standard error;
    any other exception is ours and keeps its traceback (exit code 1).

    Raises:
        SystemExit: Always, except where another exception is passed on.
    """
    logs.setup()
    logging.info("trainyard %s, python %s %s", __version__, sys.executable, platform.python_version())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        main()
    except TrainyardError as error:
        _fail(error)
    except OSError as error:
        fault = as_fault(error)
        if fault is None:
            raise
        _fail(fault)
    except MemoryError as error:
        _fail(EnvironmentFault(f"not enough memory ({error}); give the job more, or make more and smaller shards"))
    sys.exit(0)


def parse_settings(text: str, model: type[S]) -> S:
    """Return the settings of a stage from its one command-line argument.

    Args:
        text: A JSON object, or the path of a JSON file.
        model: The settings model.

    Raises:
        ConfigError: Not JSON, no such file, or values that the model refuses; lists all of them.
    """
    from pydantic import ValidationError

    from trainyard.yard.config import validation_errors

    source = "settings"
    if not text.lstrip().startswith("{"):
        source = text
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{source}: neither a JSON object nor a readable JSON file ({error})") from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError("\n".join(validation_errors(error, model, source))) from error


def _fail(error: TrainyardError) -> NoReturn:
    # What was printed before must not come after the last line.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    if error.exit_code in VAIN:
        logging.info(vain_line(error.exit_code))
    print(f"error: {error}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)


def _stop(number: int, frame: object) -> NoReturn:
    # SLURM ends jobs with SIGTERM, a person with Ctrl-C; leaving through `finally` removes temporary files.
    sys.exit(128 + number)


def use_own_python(repository: Path) -> None:
    """Put the folder of this interpreter first on PATH, and the repository on PYTHONPATH, for the commands of rules.

    Jobs then run the Python that runs Snakemake, also when its environment was never activated; with `--sdm conda`
    the environment of the rule still comes first, and finds the package in the repository.
    """
    own = str(Path(sys.executable).parent)
    paths = os.environ.get("PATH", "").split(os.pathsep)
    if paths[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, *paths])
    source = [str(repository / "src"), str(repository)]
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in source]
    os.environ["PYTHONPATH"] = os.pathsep.join([*source, *known])
