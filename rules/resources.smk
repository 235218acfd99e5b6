"""Memory and time of every job, the look at the cluster before a run, and the summary that ends a dry run."""

import atexit

from snakemake.dag import DAG
from snakemake.iocontainers import InputFiles
from snakemake.jobs import GroupJob, Job

from trainyard.yard import slurm
from trainyard.yard.graphs import make_planning_linear
from trainyard.yard.pending import pending_summary
from trainyard.yard.resources import NEEDS, NO_LIMITS, gpus, line_of
from trainyard.yard.retries import spare_vain_attempts

# Each line adds its number of shards, the function that tells the size of a job's input in a unit, and bytes of outputs
# that it knows.
SHARDS = {}
SIZES = {}
WRITTEN = {}
# The most that a further attempt of a job can be given, by the job's name.
LIMITS = {}


def job_size(name, wildcards, **of):
    """Size of the input of a job, in the unit of its kind; the plan knows it before any file is there."""
    unit = NEEDS[name].unit
    return SIZES[line_of(name)](wildcards, unit, **of) if unit else 0


def memory(name):
    """MB that the jobs of this name ask for."""
    # Of jobs that make one shard after the other, the largest one counts.
    of = {"of": max} if NEEDS[name].shard_by_shard else {}
    return lambda wildcards, attempt: NEEDS[name].memory(
        job_size(name, wildcards, **of),
        attempt,
        LIMITS.get(name, NO_LIMITS),
        shards=sum(SHARDS.values()),
    )


def minutes(name):
    """Minutes that the jobs of this name ask for."""
    return lambda wildcards, attempt: NEEDS[name].runtime(
        job_size(name, wildcards), attempt, LIMITS.get(name, NO_LIMITS)
    )


def written(name, wildcards):
    """Bytes that a job of this name will write, about."""
    if name in WRITTEN:
        return WRITTEN[name](wildcards)
    return NEEDS[name].output(job_size(name, wildcards)) if name in NEEDS else 0


def look_before_submitting():
    """Once the run has its lock: no vain attempts, no jobs of a killed run, no job that SLURM could never start."""
    if not workflow.is_main_process:
        return
    spare_vain_attempts(Job, GroupJob, since=LOCKS[0].path.stat().st_mtime)
    if workflow.executor_plugin.name == "slurm":
        with errors_for_people():
            group_of = workflow.dag.get_job_group
            jobs = {group_of(job) or job for job in workflow.dag.needrun_jobs()}
            LIMITS.update(slurm.look_at_cluster(slurm.largest_requests(jobs)))
            slurm.choose_status_command(workflow.executor_settings)
            if orphans := slurm.cancel_orphans(Path.cwd()):
                told = ", ".join(orphans)
                print(f"cancelled what a killed run left: {told}", file=sys.stderr)


def report_failures():
    """The last lines of a run that failed: each job that failed for good, and where to read why."""
    if workflow.is_main_process and workflow.scheduler is not None:
        print(slurm.failure_summary(workflow.scheduler.failed), file=sys.stderr)


def report_pending():
    """The last lines of a dry run."""
    if workflow.dryrun and workflow.scheduler is not None:
        print(
            pending_summary(workflow.dag, CODE, written, Path(RESULTS)), file=sys.stderr
        )


if workflow.is_main_process:
    make_planning_linear(DAG, InputFiles)
    atexit.register(report_pending)
