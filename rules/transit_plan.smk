"""What the rules of the transit line are made from: its plan, and functions of inputs, parameters and resources."""

import json

from trainyard.demo.recovery import is_comparable
from trainyard.transit.blockfiles import refuse_strays, torn_blocks
from trainyard.transit.catalogue import MEMBERS, plan_summary
from trainyard.transit.settings import (
    EVENT_SETTINGS,
    LIGHT_CURVES_PER_JOB,
    NOT_OF_THE_DATASET,
)
from trainyard.yard.blocks import blocks, shards_per_job, void_incomplete
from trainyard.yard.labels import parse_label

# Stages whose code shapes the dataset.
TRANSIT_STAGES = [
    "transit_plan",
    "transit_build_shards",
    "transit_split_shards",
    "transit_sample_shards",
    "transit_fit_statistics",
    "transit_normalize_shards",
]


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


def block_shards(wildcards):
    """Labels of the shards of a block."""
    return configured(
        TRANSIT_BLOCKS,
        wildcards.block,
        f"transit.shards_per_job; the last of the {len(TRANSIT_BLOCKS)} jobs that share the shards is"
        f" {list(TRANSIT_BLOCKS)[-1]}",
    )


def of_block(wildcards, by_shard):
    """Of values that there is one of for every shard, those of the shards of a block."""
    return [by_shard[parse_label(shard)[0] - 1] for shard in block_shards(wildcards)]


def manifests(folder):
    """Manifests of all blocks of a stage."""
    return [
        f"{RESULTS}/transit/{folder}/blocks/{block}.json" for block in TRANSIT_BLOCKS
    ]


def void_incomplete_blocks():
    """Have blocks made again whose files are not all there; while another run is at work, nothing is touched."""
    stages = ["raw", "split", "norm", *(f"select/{name}" for name in TRANSIT.select)]
    with run_locks_if_free() as free:
        for stage in stages if free else ():
            lost = void_incomplete(Path(RESULTS, "transit", stage), TRANSIT_BLOCKS)
            if lost:
                print(
                    f"{stage}: {len(lost)} of {len(TRANSIT_BLOCKS)} manifests list files that are missing or cut short,"
                    f" first {lost[0]}; they are made again",
                    file=sys.stderr,
                )


def demo_ready(wildcards):
    """What must be there before files of the archive are read: the demo's manifest, or nothing."""
    if CONFIG.transit.inputs.source == "demo":
        return [f"{RESULTS}/demo/transit/demo_manifest.json"]
    return []


def transit_code():
    """Digest of the code behind the raw shards; that of the demo shapes its light curves too."""
    demo = CODE["demo_transit"] if TRANSIT.inputs.source == "demo" else ""
    return CODE["transit_build_shards"] + demo


def transit_size(wildcards, unit, of=sum):
    """Bytes of light curves and pixel files: of the stars of a block, or of all."""
    if "block" in wildcards.keys():
        return of(of_block(wildcards, TRANSIT_PLAN.bytes))
    return TRANSIT_BYTES


def selection_settings(wildcards):
    """Settings of a named selection as JSON."""
    selection = configured(TRANSIT.select, wildcards.selection, "transit.select")
    return selection.model_dump_json()


def training_selection(wildcards):
    """Selection table that training uses, or nothing."""
    name = TRANSIT.train.selection
    return f"{RESULTS}/transit/select/{name}/selection.parquet" if name else []


def materialized_shards(wildcards):
    """Manifests of the selections that ask for their own copy."""
    return [
        manifest
        for name, selection in TRANSIT.select.items()
        if selection.materialize
        for manifest in manifests(f"select/{name}")
    ]


def figure_inputs(wildcards):
    """Manifests of the shards that a figure of the dataset shows, or the ledger."""
    shown = {
        "windows": TRANSIT_NORM,
        "masks": TRANSIT_RAW,
        "class_balance": TRANSIT_SPLIT,
    }
    return shown.get(wildcards.figure, f"{RESULTS}/transit/check/ledger.json")


def transit_dataset(wildcards):
    """The finished dataset of the transit line: normalized shards, selections, and the check that vouches for them."""
    folder = f"{RESULTS}/transit"
    selections = [
        f"{folder}/select/{name}/selection.parquet" for name in TRANSIT.select
    ]
    return [
        f"{folder}/check/check.json",
        *TRANSIT_NORM,
        *map(str, torn_blocks(Path(RESULTS, "transit"), TRANSIT_BLOCKS)),
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


LINES["transit"] = transit_targets
SIZES["transit"] = transit_size

with errors_for_people():
    TRANSIT = CONFIG.transit
    if workflow.is_main_process:
        refuse_strays(Path(RESULTS, "transit"), TRANSIT.plan.num_shards)
    TRANSIT_PLAN = transit_plan()
    TRANSIT_BLOCKS = blocks(
        TRANSIT.plan.num_shards,
        TRANSIT.shards_per_job
        or shards_per_job(
            TRANSIT.plan.num_shards, TRANSIT_PLAN.light_curves, LIGHT_CURVES_PER_JOB
        ),
    )
    TRANSIT_RAW, TRANSIT_SPLIT, TRANSIT_NORM = map(manifests, ("raw", "split", "norm"))
    SHARDS["transit"] = len(TRANSIT_BLOCKS)
    if workflow.is_main_process:
        void_incomplete_blocks()
    TRANSIT_BYTES = sum(TRANSIT_PLAN.bytes)
    TRANSIT_MEMBERS = str(STATE / "cache" / MEMBERS)
