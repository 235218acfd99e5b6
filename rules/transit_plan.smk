"""What the rules of the transit line are made from: its plan, and functions of inputs, parameters and resources."""

import json

from trainyard.demo.recovery import is_comparable
from trainyard.transit.catalogue import MEMBERS, plan_summary
from trainyard.transit.check import refuse_strays
from trainyard.yard.labels import shard_labels

# What building reads of the plan's settings; the others reach a shard by the digest of its members.
EVENT_SETTINGS = {
    "duplicates",
    "max_period_ratio",
    "period_tolerance",
    "tce_example_disps",
}
# Stages whose code shapes the dataset.
TRANSIT_STAGES = [
    "transit_plan",
    "transit_build_shard",
    "transit_split_shard",
    "transit_sample_shard",
    "transit_fit_statistics",
    "transit_normalize_shard",
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


def shard_index(wildcards):
    """0-based number of a shard."""
    return configured(TRANSIT_INDEX, wildcards.shard, "transit.plan.num_shards")


def demo_ready(wildcards):
    """What must be there before files of the archive are read: the demo's manifest, or nothing."""
    if CONFIG.transit.inputs.source == "demo":
        return [f"{RESULTS}/demo/transit/demo_manifest.json"]
    return []


def transit_size(wildcards, unit):
    """Bytes of light curves and pixel files: of the stars of a shard, or of all."""
    if "shard" in wildcards.keys():
        return TRANSIT_PLAN.bytes[shard_index(wildcards)]
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


LINES["transit"] = transit_targets
SIZES["transit"] = transit_size

with errors_for_people():
    TRANSIT = CONFIG.transit
    TRANSIT_SHARDS = shard_labels(TRANSIT.plan.num_shards)
    SHARDS["transit"] = len(TRANSIT_SHARDS)
    TRANSIT_INDEX = {shard: index for index, shard in enumerate(TRANSIT_SHARDS)}
    if workflow.is_main_process:
        refuse_strays(Path(RESULTS, "transit"), TRANSIT.plan.num_shards)
    TRANSIT_PLAN = transit_plan()
    TRANSIT_BYTES = sum(TRANSIT_PLAN.bytes)
    TRANSIT_MEMBERS = str(STATE / "cache" / MEMBERS)
