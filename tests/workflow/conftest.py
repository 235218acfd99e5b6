"""Snakemake run for real: a private copy of the code, a small archive, and folders to build in.

The code is copied once, so that what is run and what is digested cannot change under a test. Finished builds are made
once and copied, with Snakemake's own records, by the tests that go on from them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from trainyard.demo.transit import write_inputs
from trainyard.transit.settings import DemoSettings

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "config", "profiles", "envs", "docs", "src", "workflow_scripts", ".gitignore")
PATIENCE_S = 240
T = TypeVar("T")

STARS = DemoSettings(stars=8, sectors=1, days=6.0, stamp=5)
CONFIG: Mapping[str, Any] = {
    "run": "t",
    "lines": ["transit"],
    "transit": {
        "inputs": {
            "source": "archive",
            "tce_table": "in/tces.csv",
            "light_curves": ["in/lc"],
            "target_pixels": ["in/tp"],
        },
        "plan": {"num_shards": 3},
        "select": {
            "balanced": {"max_per_target": 200, "quota": 1.0},
            "deep": {"where": "label == 1 and disposition in ['EB', 'KP']", "materialize": True},
        },
        "train": {"enabled": False},
    },
}
TRAIN: Mapping[str, Any] = {"enabled": True, "epochs": 6, "conv_blocks": 1, "convs_per_block": 1}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("workflow")


@dataclass(frozen=True)
class Job:
    """A job as Snakemake prints it."""

    rule: str
    number: int
    outputs: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Outcome:
    """What a run of Snakemake ended with and printed."""

    code: int
    text: str

    @property
    def jobs(self) -> list[Job]:
        """Jobs that were announced, the targets (which run nothing) left out."""
        found = []
        for block in re.split(r"\n(?=(?:local)?rule \w+:\n)", self.text)[1:]:
            rule, number, outputs, command = (
                re.search(pattern, block, re.MULTILINE)
                for pattern in (r"rule (\w+):", r"^    jobid: (\d+)", r"^    output: (.+)$", r"^Shell command: (.+)$")
            )
            assert rule
            if number and outputs and command:
                found.append(Job(rule[1], int(number[1]), tuple(outputs[1].split(", ")), command[1]))
        return found

    @property
    def rules(self) -> Counter[str]:
        """Number of announced jobs by rule."""
        return Counter(job.rule for job in self.jobs)

    @property
    def longest_commands(self) -> dict[str, int]:
        """Length of the longest command of each rule."""
        return {rule: max(len(job.command) for job in self.jobs if job.rule == rule) for rule in self.rules}

    @property
    def finished(self) -> list[Job]:
        """Jobs that were announced and finished."""
        numbers = {int(number) for number in re.findall(r"^Finished jobid: (\d+)", self.text, re.MULTILINE)}
        return [job for job in self.jobs if job.number in numbers]

    @property
    def nothing_to_do(self) -> bool:
        """Whether Snakemake found everything up to date."""
        return self.code == 0 and "Nothing to be done" in self.text and not self.jobs

    @property
    def errors(self) -> list[str]:
        """Messages for people, each once."""
        return list(dict.fromkeys(re.findall(r"^\s*(error: .+)$", self.text, re.MULTILINE)))


@dataclass
class Running:
    """A run of Snakemake in the background, leader of a process group of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Return as soon as a condition holds, which must be while the run is alive."""
        poll(lambda: self.process.poll() is not None or condition())
        assert self.process.poll() is None, f"the run ended before its moment came:\n{self.log.read_text()}"

    def wait_for_orphans(self) -> None:
        """Return when no process that the run has started is left."""

        def gone() -> bool:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, 0)
                return False
            return True

        poll(gone)

    def end(self, number: int, *, group: bool) -> Outcome:
        """Send a signal to Snakemake alone or to all of its group, and wait for Snakemake's end."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.wait()

    def wait(self) -> Outcome:
        """Wait for the end."""
        code = self.process.wait(PATIENCE_S)
        return Outcome(code, self.log.read_text())

    def stop(self) -> None:
        """End whatever of the group is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)


@dataclass
class Workspace:
    """A folder to build in, the copy of the code that builds, and the usual configuration."""

    folder: Path
    code: Path
    cache: Path
    started: list[Running]
    usual: Mapping[str, Any] = field(default_factory=lambda: CONFIG)
    target: str = "transit_data"

    def configure(self, changes: Mapping[str, Any] | None = None) -> Workspace:
        """Write the configuration, some of its values changed."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(merged(self.usual, changes or {})))
        return self

    def snakemake(self, *arguments: str) -> Outcome:
        """Run Snakemake to its end."""
        run = self.start(*arguments)
        try:
            return run.wait()
        finally:
            run.stop()

    def build(self, *arguments: str, cores: int = 4) -> Outcome:
        """Build the dataset; fails if Snakemake does."""
        outcome = self.snakemake("--cores", str(cores), *arguments, self.target)
        assert outcome.code == 0, outcome.text
        return outcome

    def dry_run(self, *arguments: str, target: str | None = None) -> Outcome:
        """What Snakemake would do; fails if Snakemake does."""
        outcome = self.snakemake("-n", *arguments, target or self.target)
        assert outcome.code == 0, outcome.text
        return outcome

    def start(self, *arguments: str) -> Running:
        """Run Snakemake in the background."""
        log = self.folder.with_name(f"{self.folder.name}.{len(self.started)}.log")
        command = [sys.executable, "-m", "snakemake", *arguments]
        if self.folder != self.code:
            command += ["-s", str(self.code / "Snakefile"), "--configfile", "config.yaml"]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment(self.code, self.cache),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(Running(process, log))
        return self.started[-1]

    def copy(self, folder: Path, *, code: Path | None = None) -> Workspace:
        """The same folder at another place, with all dates and all of Snakemake's records."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, code=code or self.code)

    def files(self, pattern: str = "results/**/*") -> list[Path]:
        """Files below the folder, hidden ones too."""
        found = (path for path in self.folder.glob(pattern) if path.is_file())
        # The lock of the results names the process that held it last.
        return sorted(path for path in found if ".trainyard" not in path.parts)

    def sha256(self, pattern: str = "results/**/*") -> dict[str, str]:
        """Digest of every file, by its path in the folder."""
        return {self._name(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files(pattern)}

    def dates(self, pattern: str = "results/**/*") -> dict[str, int]:
        """Time of the last change of every file, ns."""
        return {self._name(path): path.stat().st_mtime_ns for path in self.files(pattern)}

    def logs(self) -> str:
        """All logs of the jobs."""
        return "\n".join(path.read_text() for path in self.files("logs/**/*"))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def poll(condition: Callable[[], object]) -> None:
    """Return when a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with some of them changed, at any depth; a change to None removes."""
    result = dict(values)
    for key, change in changes.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], change)
        else:
            result[key] = change
    return result


def environment(code: Path, cache: Path) -> dict[str, str]:
    """Environment in which a copy of the code is what runs, with a folder for the caches of the user."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SNAKEMAKE"))}
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(code / "src"), str(code)]),
        "XDG_CACHE_HOME": str(cache),
    }


def copy_code(source: Path, folder: Path) -> Path:
    """Copy what a clone would hold."""
    folder.mkdir(parents=True)
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source / part, folder / part)
    return folder


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> tuple[Path, T]:
    """A folder that one of the workers makes for all of them, and what its making has returned."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    result = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            folder = shared / f"{name}-{os.getpid()}"
            folder.mkdir()
            result.write_bytes(pickle.dumps((folder, make(folder))))
    folder, made = pickle.loads(result.read_bytes())
    return folder, made


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the caches of the user, so that tests neither find nor leave any."""
    return made_once(tmp_path_factory, "cache", lambda _: None)[0]


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code as it is now."""
    folder, _ = made_once(tmp_path_factory, "code", lambda folder: copy_code(REPOSITORY, folder / "trainyard"))
    return folder / "trainyard"


@pytest.fixture
def changed_code(code: Path, tmp_path: Path) -> Callable[[Callable[[Path], object]], Path]:
    """Makes a further copy of the code and changes something in it."""

    def make(change: Callable[[Path], object]) -> Path:
        folder = copy_code(code, tmp_path / "changed" / "trainyard")
        change(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of eight stars, one sector each, and its TCE table."""
    folder, _ = made_once(tmp_path_factory, "archive", lambda folder: write_inputs(STARS, folder / "in"))
    return folder / "in"


@pytest.fixture(scope="session")
def started() -> Iterator[list[Running]]:
    """All runs of a worker; those that are left are stopped in the end."""
    runs: list[Running] = []
    yield runs
    for run in runs:
        run.stop()


@pytest.fixture(scope="session")
def open_workspace(
    code: Path, cache: Path, started: list[Running]
) -> Callable[[Path, Mapping[str, Any], str], Workspace]:
    """Opens a folder to build in, with a configuration and a target."""

    def make(folder: Path, config: Mapping[str, Any], target: str) -> Workspace:
        return Workspace(folder, code, cache, started, usual=config, target=target).configure()

    return make


@pytest.fixture(scope="session")
def make_workspace(
    open_workspace: Callable[[Path, Mapping[str, Any], str], Workspace], archive: Path
) -> Callable[[Path], Workspace]:
    """Makes a folder with the archive in it and the usual configuration."""

    def make(folder: Path) -> Workspace:
        shutil.copytree(archive, folder / "in")
        return open_workspace(folder, CONFIG, "transit_data")

    return make


@pytest.fixture
def workspace(make_workspace: Callable[[Path], Workspace], tmp_path: Path) -> Workspace:
    """A folder in which nothing has run yet."""
    return make_workspace(tmp_path / "work")


@pytest.fixture(scope="session")
def finished(
    make_workspace: Callable[[Path], Workspace],
    code: Path,
    cache: Path,
    started: list[Running],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Workspace, Outcome, Outcome]:
    """A finished build with four cores: its folder, the dry run before it, and the run."""

    def make(folder: Path) -> tuple[Outcome, Outcome]:
        workspace = make_workspace(folder / "work")
        return workspace.dry_run(), workspace.build()

    folder, (planned, done) = made_once(tmp_path_factory, "finished", make)
    return Workspace(folder / "work", code, cache, started), planned, done


@pytest.fixture(scope="session")
def trained(finished: tuple[Workspace, Outcome, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished build, with a small network trained, scored and drawn; to be copied, not changed."""
    if find_spec("tensorflow") is None:
        pytest.skip("training needs TensorFlow")

    def make(folder: Path) -> None:
        workspace = replace(finished[0].copy(folder / "work"), usual=usual)
        outcome = workspace.configure().snakemake("--cores", "2", "transit")
        assert outcome.code == 0, outcome.text

    usual = merged(CONFIG, {"transit": {"train": TRAIN}})
    folder, _ = made_once(tmp_path_factory, "trained", make)
    return replace(finished[0], folder=folder / "work", usual=usual)


@pytest.fixture
def built(finished: tuple[Workspace, Outcome, Outcome], tmp_path: Path) -> Workspace:
    """A copy of the finished build, to go on from."""
    return finished[0].copy(tmp_path / "built")
