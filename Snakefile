"""Trainyard: raw scientific archives in, training sets that can be trusted out."""

from snakemake.utils import min_version

min_version("9.19")


configfile: "config/config.yaml"


include: "rules/common.smk"


pathvars:
    results=f"results/{CONFIG.run}",
    logs=f"logs/{CONFIG.run}",
    benchmarks=f"benchmarks/results/{CONFIG.run}",


wildcard_constraints:
    shard=r"\d\d\d\d+-\d\d\d\d+",
    split="train|val|test",
    selection=r"[A-Za-z0-9_]+",


include: "rules/demo.smk"
include: "rules/transit.smk"


onstart:
    take_run_lock()


rule all:
    """Everything that the configuration asks for."""
    default_target: True
    input:
        line_targets,
