"""Configuration, plans and code digests that the rules carry in their params."""

import sys
from pathlib import Path

import trainyard
import workflow_scripts
from trainyard.config import parse_config
from trainyard.transit.catalogue import MEMBERS, plan_summary
from trainyard.transit.naming import shard_labels
from trainyard.transit.preflight import problems
from trainyard.yard.code import code_digest
from trainyard.yard.command import use_own_python
from trainyard.yard.config import read_yaml
from trainyard.yard.errors import ConfigError, TrainyardError
from trainyard.yard.locks import RunLock

use_own_python()
RUN_LOCK = RunLock(Path.cwd())
STATE = Path(".trainyard")
# What building reads of the plan's settings; the others reach a shard by the digest of its members.
EVENT_SETTINGS = {
    "duplicates",
    "max_period_ratio",
    "period_tolerance",
    "tce_example_disps",
}


def take_run_lock():
    """Refuse a second live run in this folder; the kernel frees the lock when this process ends, however it ends."""
    if workflow.is_main_process:
        with errors_for_people():
            RUN_LOCK.acquire()


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
    names = [path.stem for path in scripts.glob("[a-z]*.py")]
    return {
        name: code_digest(f"workflow_scripts.{name}", roots=roots) for name in names
    }


def demo_folder():
    """Folder of the simulated transit archive."""
    return Path(RESULTS, "demo", "transit")


def transit_plan():
    """Digests of the transit plan; the archive is looked at once per run, not once per job."""
    return plan_summary(
        CONFIG.transit,
        demo_folder(),
        cache=STATE / "cache",
        code=CODE["transit_plan"],
        trust_cache=not workflow.is_main_process,
    )


def configured(values, name, key):
    """Value of a name that the configuration knows; any other was asked for on the command line."""
    with errors_for_people():
        if name not in values:
            raise ConfigError(f"{name}: the configuration has no such thing, see {key}")
    return values[name]


def shard_index(wildcards):
    """0-based number of a shard."""
    return configured(TRANSIT_INDEX, wildcards.shard, "transit.plan.num_shards")


def demo_ready(wildcards):
    """What must be there before files of the archive are read: the demo's manifest, or nothing."""
    if CONFIG.transit.inputs.source == "demo":
        return [f"{RESULTS}/demo/transit/demo_manifest.json"]
    return []


def transit_build_mem_mb(wildcards, attempt):
    """One sector of one star is in memory at a time, whatever the shard holds."""
    return 1500 * attempt


def transit_build_runtime(wildcards, attempt):
    """Minutes: half a second per star and a second per 20 MB of input on a slow file system."""
    index = shard_index(wildcards)
    return (
        10
        + TRANSIT_PLAN.targets[index] // 60
        + TRANSIT_PLAN.bytes[index] // 1_000_000_000
    ) * attempt


def selection_settings(wildcards):
    """Settings of a named selection as JSON."""
    selection = configured(TRANSIT.select, wildcards.selection, "transit.select")
    return selection.model_dump_json()


def training_selection(wildcards):
    """Selection table that training uses, or nothing."""
    name = TRANSIT.train.selection
    return f"{RESULTS}/transit/select/{name}/selection.parquet" if name else []


def materialized_shards(wildcards):
    """Shards of the selections that ask for their own copy."""
    return [
        f"{RESULTS}/transit/select/{name}/{split}/norm_{split}_shard_{shard}.tfrecord"
        for name, selection in TRANSIT.select.items()
        if selection.materialize
        for split in ("train", "val", "test")
        for shard in TRANSIT_SHARDS
    ]


def figure_inputs(wildcards):
    """Shards or tables that a figure of the dataset shows."""
    folder = f"{RESULTS}/transit"
    if wildcards.figure == "windows":
        return [
            f"{folder}/norm/train/norm_train_shard_{shard}.tfrecord"
            for shard in TRANSIT_SHARDS
        ]
    if wildcards.figure == "masks":
        return [f"{folder}/raw/curves_{shard}.parquet" for shard in TRANSIT_SHARDS]
    if wildcards.figure == "class_balance":
        return [
            f"{folder}/split/aux_tbls/examples_{shard}.parquet"
            for shard in TRANSIT_SHARDS
        ]
    return [f"{folder}/check/ledger.json"]


def transit_dataset(wildcards):
    """The finished dataset of the transit line: normalized shards, selections, and the check that vouches for them."""
    folder = f"{RESULTS}/transit"
    shards = [
        f"{folder}/norm/{split}/norm_{split}_shard_{shard}.tfrecord"
        for split in ("train", "val", "test")
        for shard in TRANSIT_SHARDS
    ]
    selections = [
        f"{folder}/select/{name}/selection.parquet" for name in TRANSIT.select
    ]
    return [
        f"{folder}/check/check.json",
        *shards,
        *selections,
        *materialized_shards(wildcards),
    ]


def transit_targets(wildcards):
    """Everything of the transit line: dataset, trained model, report."""
    folder = f"{RESULTS}/transit"
    figures = ["class_balance", "rejections", "windows", "masks"]
    if TRANSIT.train.enabled:
        figures += ["history", "scores"]
    targets = [
        *transit_dataset(wildcards),
        *(f"{folder}/report/{name}.png" for name in figures),
    ]
    if TRANSIT.train.enabled:
        targets.append(f"{folder}/train/res_eval.csv")
    if TRANSIT.inputs.source == "demo":
        targets.append(f"{folder}/report/recovery.csv")
    return targets


def line_targets(wildcards):
    """Final files of the lines that the configuration names."""
    return [target for line in CONFIG.lines for target in LINES[line](wildcards)]


LINES = {"transit": transit_targets}

with errors_for_people():
    CONFIG = checked_config()
    TRANSIT = CONFIG.transit
    RESULTS = CONFIG.pathvars.get("results", f"results/{CONFIG.run}")
    CODE = code_digests()
    TRANSIT_SHARDS = shard_labels(TRANSIT.plan.num_shards)
    TRANSIT_INDEX = {shard: index for index, shard in enumerate(TRANSIT_SHARDS)}
    TRANSIT_PLAN = transit_plan()
    TRANSIT_MEMBERS = str(STATE / "cache" / MEMBERS)
