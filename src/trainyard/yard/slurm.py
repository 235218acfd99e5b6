"""A look at the cluster before jobs are sent to it, so that what cannot work is said at once, and in one message.

Without it, SLURM refuses every attempt of every job, or keeps a job waiting for ever that fits nowhere.
"""

from __future__ import annotations

import getpass
import math
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.resources import Limits

PROFILE = "profiles/slurm/profile.yaml"
PREFIX = "trainyard"
"""How the names of our jobs begin (`slurm-jobname-prefix` of the profile)."""
_PATIENCE_S = 30
_SINFO = "%R|%l|%c|%m|%G"


class Request(NamedTuple):
    """What the first attempts of a rule's jobs ask for at most."""

    rule: str
    partition: str | None
    mem_mb: int
    minutes: int
    threads: int
    gpus: int


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind in a partition; `minutes` is the partition's limit of time."""

    minutes: float
    cpus: int
    mem_mb: int
    gpus: int


def look_at_cluster(requests: Iterable[Request]) -> dict[str, Limits]:
    """Make sure that SLURM answers, and that every job fits somewhere.

    Returns:
        The most that a further attempt can be given, by rule.

    Raises:
        EnvironmentFault: No SLURM here, it does not answer, no such partition, or a job that no node can take.
    """
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        raise EnvironmentFault(
            "no SLURM on this machine (no sbatch and sinfo on PATH): run this on the cluster's login node, or build on"
            " this machine with `snakemake --cores N`"
        )
    partitions = parse_partitions(_ask("sinfo", "--noheader", "--exact", f"--format={_SINFO}"))
    default = _default_partition()
    return {request.rule: limits_for(request, partitions, default) for request in requests}


def largest_requests(jobs: Iterable[Any]) -> list[Request]:
    """What the first attempts of each rule's jobs ask for at most; jobs that run where Snakemake runs ask for nothing.

    Args:
        jobs: Jobs, or groups of jobs, of Snakemake that are to run.
    """
    largest: dict[tuple[str, str | None], Request] = {}
    for job in jobs:
        is_group = hasattr(job, "jobs")
        if job.is_local or (not is_group and job.rule.norun):
            continue
        name = " and ".join(sorted({one.rule.name for one in job.jobs})) if is_group else job.rule.name
        asked = [job.resources.get(name) for name in ("mem_mb", "runtime", "gpu")]
        memory, time, gpu = (value if isinstance(value, int) else 0 for value in asked)
        request = Request(name, job.resources.get("slurm_partition"), memory, time, job.threads, gpu)
        before = largest.get(request[:2], request)
        largest[request[:2]] = Request(*request[:2], *map(max, request[2:], before[2:]))
    return list(largest.values())


def choose_status_command(settings: Any) -> None:
    """Have ended jobs asked of `squeue` where the cluster keeps no accounts, since `sacct` would never see them end.

    Args:
        settings: Settings of Snakemake's executor; `status_command` is changed.

    Raises:
        EnvironmentFault: SLURM forgets ended jobs before the executor looks again.
    """
    config = _ask("scontrol", "show", "config")
    if settings.status_command != "sacct" or not accounting_is_off(config):
        return
    settings.status_command = "squeue"
    remembered = re.search(r"^MinJobAge\s*=\s*(\d+)", config, re.MULTILINE)
    # The executor goes back to sacct where fewer than three looks fit in.
    needed = 3 * settings.init_seconds_before_status_checks
    if remembered is None or int(remembered[1]) < needed:
        raise EnvironmentFault(
            f"this cluster keeps no accounts (sacct knows nothing) and forgets ended jobs within {needed} s, so that"
            " the end of a job cannot be seen; set slurm-init-seconds-before-status-checks to a third of its"
            f" MinJobAge or less in {PROFILE}"
        )


def failure_summary(jobs: Iterable[Any], logs: Path = Path(".snakemake/slurm_logs")) -> str:
    """One line for each job that failed for good: its rule, its SLURM jobs, its logs.

    Args:
        jobs: Jobs, or groups of jobs, of Snakemake.
        logs: Where the executor keeps the logs of SLURM's jobs, named by their ids.
    """
    lines = []
    for job in jobs:
        for one in getattr(job, "jobs", [job]):
            wildcards = "".join(f" {name}={value}" for name, value in one.wildcards_dict.items())
            own = job.name if hasattr(job, "jobs") else one.rule.name
            kept = sorted(logs.glob(f"*_{own}/**/*.log"), key=lambda path: int(path.stem.partition("_")[0]))
            values = "_".join(map(str, one.wildcards_dict.values()))
            kept = [path for path in kept if hasattr(job, "jobs") or not values or path.parent.name == values]
            ids = f", SLURM job {kept[-1].stem} ({kept[-1]})" if kept else ""
            lines.append(f"failed: rule {one.rule.name}{wildcards}{ids}, log {', '.join(one.log) or 'none'}")
    if not lines:
        return ""
    return "\n".join(["", *lines, "after mending it, give the same command again: it goes on where it stopped"])


def accounting_is_off(config: str) -> bool:
    """Whether the cluster keeps no account of ended jobs, from what `scontrol show config` prints."""
    found = re.search(r"^AccountingStorageType\s*=\s*(\S+)", config, re.MULTILINE)
    return found is not None and found[1].endswith(("none", "(null)"))


def cancel_orphans(folder: Path) -> list[str]:
    """Cancel jobs that an earlier run of this folder has left, since nobody waits for them; returns their ids.

    To be called while the run lock of the folder is held: then whatever is still in SLURM under our name belongs to
    a Snakemake that was killed.
    """
    listed = _ask("squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%j|%Z")
    orphans = parse_orphans(listed, folder)
    if orphans:
        _ask("scancel", *orphans)
    return orphans


def limits_for(request: Request, partitions: Mapping[str, list[Nodes]], default: str | None) -> Limits:
    """The most that a further attempt of a rule's jobs can be given.

    Args:
        request: What the first attempt asks for.
        partitions: Kinds of nodes by partition.
        default: The cluster's default partition.

    Raises:
        EnvironmentFault: The partition is not there, or none of its nodes can take the job.
    """
    name = request.partition or default
    if name is None:
        raise EnvironmentFault(
            f"no partition is set, and this cluster has no default one; it has {', '.join(sorted(partitions))}: set"
            f" slurm_partition under default-resources in {PROFILE}"
        )
    # SLURM takes a list too, and starts the job where it can run first.
    names = name.split(",")
    if unknown := [each for each in names if each not in partitions]:
        raise EnvironmentFault(
            f"rule {request.rule}: the cluster has no partition {unknown[0]!r}, it has"
            f" {', '.join(sorted(partitions))}: change slurm_partition in {PROFILE}, or on the command line"
            f" (--default-resources slurm_partition={sorted(partitions)[0]})"
        )
    kinds = [nodes for each in names for nodes in partitions[each]]
    fitting = [nodes for nodes in kinds if _fits(request, nodes)]
    if not fitting:
        raise EnvironmentFault(
            f"rule {request.rule}: no node of partition {name} can take a job of {_told(request)}; the largest offers"
            f" {_offer(kinds)}. Choose another partition, or ask for less, in {PROFILE} under set-resources"
            f" ({request.rule}: ...)"
        )
    return Limits(max(nodes.mem_mb for nodes in fitting), max(nodes.minutes for nodes in fitting))


def parse_partitions(text: str) -> dict[str, list[Nodes]]:
    """Kinds of nodes by partition, from what `sinfo --exact --format='%R|%l|%c|%m|%G'` prints."""
    partitions: dict[str, list[Nodes]] = {}
    for line in text.splitlines():
        name, time, cpus, memory, generic = line.strip().split("|")
        nodes = Nodes(parse_minutes(time), _number(cpus), _number(memory), _gpus(generic))
        partitions.setdefault(name, []).append(nodes)
    return partitions


def parse_minutes(text: str) -> float:
    """Minutes of a time as SLURM prints it: `1-12:00:00`, `1:00:00`, `30:00`, `infinite`."""
    if text in ("infinite", "UNLIMITED", "n/a"):
        return math.inf
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    # With days the first part is hours, without them the last part is seconds.
    hours, minutes, seconds = [*parts, 0, 0][:3] if days else [0, 0, *parts][-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def parse_orphans(text: str, folder: Path) -> list[str]:
    """Ids of our jobs that work in a folder, from what `squeue --format='%i|%j|%Z'` prints."""
    found = []
    for line in text.splitlines():
        number, name, place = line.strip().split("|", 2)
        if name.startswith(f"{PREFIX}_") and Path(place).resolve() == folder.resolve():
            found.append(number)
    return found


def _fits(request: Request, nodes: Nodes) -> bool:
    return (
        request.mem_mb <= nodes.mem_mb
        and request.minutes <= nodes.minutes
        and request.threads <= nodes.cpus
        and request.gpus <= nodes.gpus
    )


def _told(request: Request) -> str:
    gpus = f" and {request.gpus} GPU" if request.gpus else ""
    return f"{request.mem_mb:,} MB, {request.minutes:,} min, {request.threads} CPU{gpus}"


def _offer(kinds: Iterable[Nodes]) -> str:
    largest = max(kinds, key=lambda nodes: (nodes.mem_mb, nodes.minutes, nodes.cpus))
    time = "any time" if math.isinf(largest.minutes) else f"{largest.minutes:,.0f} min"
    return f"{largest.mem_mb:,} MB, {time}, {largest.cpus} CPU and {largest.gpus} GPU"


def _number(text: str) -> int:
    """Of nodes that differ SLURM prints the least, and a plus."""
    return int(text.rstrip("+"))


def _gpus(generic: str) -> int:
    """GPUs of a node, from its generic resources: `gpu:2`, `gpu:a100:4(S:0-1),nvme:1`, `(null)`."""
    counts = re.findall(r"(?:^|,)gpu(?::[^:,(]*)?:(\d+)", generic)
    return sum(map(int, counts))


def _default_partition() -> str | None:
    for line in _ask("sinfo", "--noheader", "--format=%P").splitlines():
        if line.strip().endswith("*"):
            return line.strip().rstrip("*")
    return None


def _ask(*command: str) -> str:
    """What a command of SLURM prints.

    Raises:
        EnvironmentFault: It fails, or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except OSError as error:
        said = str(error)
    except subprocess.TimeoutExpired:
        said = f"nothing within {_PATIENCE_S} s"
    else:
        if done.returncode == 0:
            return done.stdout
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
    raise EnvironmentFault(
        f"SLURM does not answer (`{command[0]}`: {said}): see whether `sinfo` works in this shell, and ask the people"
        " who run the cluster if it does not"
    )
