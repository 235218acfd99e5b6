"""The transit line: TCE table and light curves to shards of single-transit windows, statistics, and a trained model."""


include: "transit_plan.smk"
include: "transit_normalize.smk"
include: "transit_train.smk"
include: "transit_demo.smk"


rule transit:
    """The whole transit line: dataset, trained model and report."""
    input:
        transit_targets,


rule transit_data:
    """The dataset of the transit line alone, without training and plots."""
    input:
        transit_dataset,


rule transit_plan:
    """Which star, TCE and file belongs to which shard and split."""
    input:
        ancient(TRANSIT.inputs.tce_table or []),
    output:
        targets="<results>/transit/plan/targets.parquet",
        tces="<results>/transit/plan/tces.parquet",
        files="<results>/transit/plan/files.parquet",
        table="<results>/transit/plan/targets.csv",
        ledger="<results>/transit/plan/ledger.json",
    log:
        "<logs>/transit_plan.log",
    localrule: True
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_plan"),
        runtime=minutes("transit_plan"),
    params:
        settings=TRANSIT.model_dump_json(include={"inputs", "demo", "plan", "split"}),
        digest=TRANSIT_PLAN.plan,
        demo=str(demo_folder()),
        cache=str(STATE / "cache"),
        code=CODE["transit_plan"],
    shell:
        "python -m workflow_scripts.transit_plan"
        " --settings {params.settings:q} --demo {params.demo:q} --cache {params.cache:q} --digest {params.digest}"
        ' --out "$(dirname {output.targets:q})" > {log:q} 2>&1'


rule transit_build_shards:
    """Windows of the stars of some shards, as records and tables."""
    input:
        demo_ready,
    output:
        "<results>/transit/raw/blocks/{block}.json",
    log:
        "<logs>/transit_build_shards/{block}.log",
    benchmark:
        "<benchmarks>/transit_build_shards/{block}.tsv"
    conda:
        "../envs/transit.yaml"
    threads: 1
    resources:
        mem_mb=memory("transit_build_shards"),
        runtime=minutes("transit_build_shards"),
    params:
        shards=block_shards,
        members=lambda wildcards: of_block(wildcards, TRANSIT_PLAN.shards),
        planned=TRANSIT_MEMBERS,
        plan=TRANSIT.plan.model_dump_json(include=EVENT_SETTINGS),
        settings=TRANSIT.build.model_dump_json(),
        code=transit_code(),
    shell:
        "python -m workflow_scripts.transit_build_shards"
        " --members {params.planned:q} --shards {params.shards} --digests {params.members}"
        " --plan-settings {params.plan:q} --settings {params.settings:q} --code {params.code}"
        " --manifest {output:q} > {log:q} 2>&1"


rule transit_split_shards:
    """Records of some raw shards, distributed over train, val and test by star."""
    input:
        "<results>/transit/raw/blocks/{block}.json",
    output:
        "<results>/transit/split/blocks/{block}.json",
    log:
        "<logs>/transit_split_shards/{block}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_split_shards"),
        runtime=minutes("transit_split_shards"),
    params:
        shards=block_shards,
        assignment=lambda wildcards: of_block(wildcards, TRANSIT_PLAN.splits),
        planned=TRANSIT_MEMBERS,
        code=CODE["transit_split_shards"],
    shell:
        "python -m workflow_scripts.transit_split_shards"
        " --raw {input:q} --members {params.planned:q} --shards {params.shards} --digests {params.assignment}"
        " --code {params.code} --manifest {output:q} > {log:q} 2>&1"


rule transit_check:
    """Proof that nothing was lost and nothing leaks; the build fails where it does not hold."""
    input:
        # With rules.transit_plan.output here, Snakemake would hash each list below once per file in it.
        plan=expand(
            "<results>/transit/plan/{table}",
            table=[
                "targets.parquet",
                "tces.parquet",
                "files.parquet",
                "targets.csv",
                "ledger.json",
            ],
        ),
        raw=TRANSIT_RAW,
        split=TRANSIT_SPLIT,
        norm=TRANSIT_NORM,
    output:
        check=report(
            "<results>/transit/check/check.json",
            category="Transit",
            subcategory="Dataset",
            caption="../docs/captions/check.rst",
        ),
        rejects=report(
            "<results>/transit/check/rejects.csv",
            category="Transit",
            subcategory="Dataset",
            caption="../docs/captions/check.rst",
        ),
        ledger="<results>/transit/check/ledger.json",
        dataset="<results>/transit/check/dataset.json",
    log:
        "<logs>/transit_check.log",
    localrule: True
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_check"),
        runtime=minutes("transit_check"),
    params:
        settings=TRANSIT.model_dump_json(exclude=set(NOT_OF_THE_DATASET)),
        stages=json.dumps({name: CODE[name] for name in TRANSIT_STAGES}),
        code=CODE["transit_check"],
    shell:
        "python -m workflow_scripts.transit_check"
        ' --transit "$(dirname "$(dirname {output.check:q})")"'
        " --settings {params.settings:q} --code {params.stages:q} > {log:q} 2>&1"
