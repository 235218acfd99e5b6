"""A real SLURM on this machine for as long as a command or a test session runs: munged, slurmctld and two slurmd.

    python tests/slurm/cluster.py sinfo             # any command; `bash` to look around
    python tests/slurm/cluster.py snakemake --workflow-profile profiles/slurm --slurm-status-command squeue

Needs Debian's packages slurm-wlm and munge; no systemd, no cgroups, no database, and root only where it is root that
runs it. The daemons are children of this process that the kernel ends with it, and all their files lie in one temporary
folder: nothing is left behind, not even by a kill -9, but for jobs that were running then.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scancel", "setpriv")
NODES = 2
CPUS = 4
MEMORY_MB = 6000
PARTITIONS = ("cpu", "gpu")
PATIENCE_S = 60

CONFIGURATION = """\
ClusterName=trainyard
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Without systemd and cgroups: processes are found by their parents, cores are not bound ...
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
# ... and the memory of a job is looked up every second; one that has more than it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Without a database sacct knows nothing; squeue shows ended jobs for as long as the slowest test may ask for them.
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs={cpus} RealMemory={memory}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs={cpus} RealMemory={memory} Gres=gpu:1
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n2 MaxTime=60 State=UP
"""


class NoClusterError(Exception):
    """SLURM is not installed here, or does not start; the message says why."""


class JobFacts(NamedTuple):
    """State, memory and time limit of a job as SLURM prints them, and the rule and wildcards in its comment."""

    state: str
    memory: str
    limit: str
    comment: str


@dataclass
class Cluster:
    """A cluster that is up.

    Attributes:
        folder: Where all of its files lie.
        environment: What a process needs in its environment to find it.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str) -> str:
        """Run a command that must succeed on the cluster; returns what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoClusterError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def jobs(self, *states: str) -> list[str]:
        """Ids of the jobs in these states, such as RUNNING; of all that the cluster remembers by default."""
        chosen = ",".join(states) or "all"
        return self.run("squeue", "--noheader", f"--states={chosen}", "--format=%i").split()

    def facts(self) -> dict[str, JobFacts]:
        """What the cluster remembers of every job, by id."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%i|%T|%m|%l|%k").splitlines()
        split = [line.split("|", 4) for line in lines]
        return {number: JobFacts(state, memory, limit, comment) for number, state, memory, limit, comment in split}

    def logs(self) -> str:
        """Ends of the daemons' logs."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.folder.glob("*.log")))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster, and stop it with all of its jobs at the end.

    Raises:
        NoClusterError: It is not installed, or does not start.
    """
    if missing := [program for program in PROGRAMS if not _found(program)]:
        raise NoClusterError(f"SLURM is not installed (no {', '.join(missing)}): apt-get install slurm-wlm munge")
    with ExitStack() as stack:
        # Not below the tests' own folders: the path of a socket has at most 107 characters.
        # A step that is being ended may still write into it.
        temporary = tempfile.TemporaryDirectory(prefix="trainyard-slurm-", dir="/tmp", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        folder.chmod(0o755)
        daemons: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, daemons)
        _configure(folder)
        up = Cluster(folder, _environment(folder))
        _start_all(up, daemons)
        stack.callback(_cancel_all, up)
        yield up


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _configure(folder: Path) -> None:
    """Write what the daemons read."""
    (folder / "state").mkdir()
    (folder / "bin").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    port, first, second = _free_ports(1 + NODES)
    text = CONFIGURATION.format(
        folder=folder,
        host=host,
        user=getpass.getuser(),
        cpus=CPUS,
        memory=MEMORY_MB,
        port=port,
        first=first,
        second=second,
    )
    (folder / "slurm.conf").write_text(text)
    # A GPU needs a file that looks like a device; nothing is behind this one.
    (folder / "gres.conf").write_text("NodeName=n2 Name=gpu File=/dev/zero\n")
    # Snakemake takes SLURM_CONF from the environment of the srun that it starts within a job, so srun brings its own.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_found("srun")} "$@"\n')
    srun.chmod(0o755)


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
    path = os.pathsep.join([str(folder / "bin"), kept.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"])
    return kept | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}


def _start_all(up: Cluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    folder = up.folder
    # munged refuses to run as root, and below folders that others may write to, unless it is forced.
    munged = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key"]
    munged += [
        f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munged.seed",
    ]
    _start(up, daemons, "munged", munged)
    _wait((folder / "munge.socket").exists, up, daemons)
    _start(up, daemons, "slurmctld", ["slurmctld", "-D", "-c"])
    for node in range(1, NODES + 1):
        _start(up, daemons, f"slurmd-n{node}", ["slurmd", "-D", "-N", f"n{node}"])
    _wait(lambda: _idle_nodes(up) == NODES, up, daemons)


def _start(up: Cluster, daemons: list[subprocess.Popen[bytes]], name: str, command: list[str]) -> None:
    """Start a daemon that the kernel ends when this process ends, however that happens."""
    with (up.folder / f"{name}.out.log").open("wb") as output:
        daemons.append(
            subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                env=up.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the command that runs on the cluster, which may still want to cancel its jobs.
                start_new_session=True,
            )
        )


def _idle_nodes(up: Cluster) -> int:
    try:
        return up.run("sinfo", "--noheader", "--Node", "--partition=cpu", "--format=%t").split().count("idle")
    except NoClusterError:
        return 0


def _wait(condition: Callable[[], object], up: Cluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    """Return when a condition holds.

    Raises:
        NoClusterError: A daemon has ended, or it takes too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in daemons):
            raise NoClusterError(f"SLURM does not start; the ends of its logs:\n{up.logs()}")
        time.sleep(0.1)


def _cancel_all(up: Cluster) -> None:
    """Cancel all jobs, and wait until nothing of them runs any more."""
    with suppress(NoClusterError):
        alive = ("PENDING", "RUNNING", "COMPLETING")
        if up.jobs(*alive):
            up.run("scancel", f"--user={getpass.getuser()}")
        deadline = time.monotonic() + PATIENCE_S
        while up.jobs(*alive) and time.monotonic() < deadline:
            time.sleep(0.1)


def _end(daemons: list[subprocess.Popen[bytes]]) -> None:
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in reversed(daemons):
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def main() -> int:
    """Run a command on a cluster of its own."""
    command = sys.argv[1:] or ["sinfo"]
    try:
        with cluster() as up:
            return subprocess.run(command, env=up.environment, check=False).returncode
    except NoClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 5


if __name__ == "__main__":
    sys.exit(main())
