"""Trainyard: raw scientific archives in, training sets that can be trusted out."""

from snakemake.utils import min_version

min_version("9.19")


configfile: "config/config.yaml"


include: "rules/common.smk"


pathvars:
    results=RESULTS,
    logs=f"{CONFIG.folders.logs}/{CONFIG.run}",
    benchmarks=f"{CONFIG.folders.benchmarks}/{CONFIG.run}",


wildcard_constraints:
    batch=r"\d\d\d\d\d+",
    part=r"\d\d\d\d+-\d\d\d\d+",
    shard=r"\d\d\d\d+-\d\d\d\d+",
    split="train|val|test",
    selection=SELECTION_NAME,


if "transit" in CONFIG.lines:

    include: "rules/transit_plan.smk"
    include: "rules/transit.smk"
    include: "rules/transit_train.smk"
    include: "rules/transit_demo.smk"


if "voxel" in CONFIG.lines:

    include: "rules/voxel_plan.smk"
    include: "rules/voxel.smk"
    include: "rules/voxel_train.smk"
    include: "rules/voxel_demo.smk"


if "splice" in CONFIG.lines:

    include: "rules/splice_plan.smk"
    include: "rules/splice.smk"
    include: "rules/splice_train_plan.smk"
    include: "rules/splice_train.smk"
    include: "rules/splice_plots.smk"
    include: "rules/splice_demo.smk"


onstart:
    take_run_locks()
    handle_in_thread(SIGTERM)


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        line_targets,
