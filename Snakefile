"""Trainyard: raw scientific archives in, training sets that can be trusted out."""

from snakemake.utils import min_version

min_version("9.19")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/resources.smk"


pathvars:
    results=RESULTS,
    logs=f"{CONFIG.folders.logs}/{CONFIG.run}",
    benchmarks=f"{CONFIG.folders.benchmarks}/{CONFIG.run}",


wildcard_constraints:
    batch=r"\d\d\d\d\d+",
    part=r"\d\d\d\d+-\d\d\d\d+",
    block=r"\d\d\d\d+-\d\d\d\d+",
    split="train|val|test",
    selection=SELECTION_NAME,


for line in CONFIG.lines:

    include: f"rules/{line}.smk"


onstart:
    take_run_locks()
    handle_in_thread(SIGTERM)
    look_before_submitting()


onerror:
    report_failures()


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        line_targets,
