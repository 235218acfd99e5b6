"""Configuration, plans and code digests that the rules carry in their params."""

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGTERM

import trainyard
import workflow_scripts
from trainyard.config import parse_config
from trainyard.transit.preflight import SELECTION_NAME, problems
from trainyard.yard.code import kept_digests
from trainyard.yard.command import use_own_python
from trainyard.yard.config import read_yaml
from trainyard.yard.errors import ConfigError, EnvironmentFault, TrainyardError
from trainyard.yard.locks import RunLock
from trainyard.yard.signals import handle_in_thread

use_own_python(Path(workflow.basedir))
STATE = Path(".trainyard")


def take_run_locks():
    """Refuse a second live run in this folder, or on these results; the kernel frees a lock when its process ends."""
    if workflow.is_main_process:
        with errors_for_people():
            for lock in LOCKS:
                lock.acquire()


@contextmanager
def run_locks_if_free():
    """Hold the locks of a run for a moment; gives whether they could be had."""
    with ExitStack() as held:
        try:
            for lock in LOCKS:
                held.enter_context(lock)
        except EnvironmentFault:
            yield False
        else:
            yield True


class errors_for_people:
    """What a user can put right ends the run with one message and the exit code of its kind."""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, TrainyardError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(error.exit_code)


def checked_config():
    """The configuration, with all that can be wrong with it before any file is looked at."""
    source = ", ".join(map(str, workflow.configfiles))
    for file in map(Path, workflow.configfiles):
        if file.suffix != ".json":
            # Snakemake takes the last of two equal keys without a word.
            read_yaml(file)
    checked = parse_config(config, source=source)
    if found := problems(checked.transit):
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in found))
    return checked


def code_digests():
    """Digest of the code behind every command, by the command's name."""
    scripts = Path(workflow_scripts.__file__).parent
    roots = {"trainyard": Path(trainyard.__file__).parent, "workflow_scripts": scripts}
    names = [f"workflow_scripts.{path.stem}" for path in scripts.glob("[a-z]*.py")]
    digests = kept_digests(names, roots=roots, file=STATE / "cache" / "code.json")
    return {name.partition(".")[2]: digest for name, digest in digests.items()}


def configured(values, name, key):
    """Value of a name that the configuration knows; any other was asked for on the command line."""
    with errors_for_people():
        if name not in values:
            raise ConfigError(f"{name}: the configuration has no such thing, see {key}")
    return values[name]


def line_targets(wildcards):
    """Final files of the lines that the configuration names."""
    return [target for line in CONFIG.lines for target in LINES[line](wildcards)]


# Each line adds the function that names its final files.
LINES = {}


with errors_for_people():
    CONFIG = checked_config()
    RESULTS = f"{CONFIG.folders.results}/{CONFIG.run}"
    CODE = code_digests()
    LOCKS = [
        RunLock(Path.cwd()),
        RunLock(Path(CONFIG.folders.results), f"run-{CONFIG.run}"),
    ]
