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


rule transit_build_shard:
    """Windows of the stars of one shard, as records and tables."""
    input:
        demo_ready,
    output:
        raw="<results>/transit/raw/raw_shard_{shard}.tfrecord",
        receipt="<results>/transit/raw/raw_shard_{shard}.tfrecord.receipt.json",
        table="<results>/transit/raw/data_tbl_{shard}.csv",
        examples="<results>/transit/raw/examples_{shard}.parquet",
        curves="<results>/transit/raw/curves_{shard}.parquet",
        ledger="<results>/transit/raw/ledger_{shard}.json",
    log:
        "<logs>/transit_build_shard/{shard}.log",
    benchmark:
        "<benchmarks>/transit_build_shard/{shard}.tsv"
    conda:
        "../envs/transit.yaml"
    threads: 1
    resources:
        mem_mb=memory("transit_build_shard"),
        runtime=minutes("transit_build_shard"),
    params:
        members=lambda wildcards: TRANSIT_PLAN.shards[shard_index(wildcards)],
        kept=TRANSIT_MEMBERS,
        plan=TRANSIT.plan.model_dump_json(include=EVENT_SETTINGS),
        settings=TRANSIT.build.model_dump_json(),
        code=CODE["transit_build_shard"],
    shell:
        "python -m workflow_scripts.transit_build_shard"
        " --members {params.kept:q} --digest {params.members} --shard {wildcards.shard}"
        " --plan-settings {params.plan:q} --settings {params.settings:q}"
        ' --out "$(dirname {output.raw:q})" > {log:q} 2>&1'


rule transit_split_shard:
    """Records of one raw shard, distributed over train, val and test by star."""
    input:
        raw="<results>/transit/raw/raw_shard_{shard}.tfrecord",
        receipt="<results>/transit/raw/raw_shard_{shard}.tfrecord.receipt.json",
        examples="<results>/transit/raw/examples_{shard}.parquet",
    output:
        train="<results>/transit/split/train/train_shard_{shard}.tfrecord",
        train_receipt="<results>/transit/split/train/train_shard_{shard}.tfrecord.receipt.json",
        val="<results>/transit/split/val/val_shard_{shard}.tfrecord",
        val_receipt="<results>/transit/split/val/val_shard_{shard}.tfrecord.receipt.json",
        test="<results>/transit/split/test/test_shard_{shard}.tfrecord",
        test_receipt="<results>/transit/split/test/test_shard_{shard}.tfrecord.receipt.json",
        table="<results>/transit/split/aux_tbls/shards_tbl_{shard}.csv",
        examples="<results>/transit/split/aux_tbls/examples_{shard}.parquet",
    log:
        "<logs>/transit_split_shard/{shard}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_split_shard"),
        runtime=minutes("transit_split_shard"),
    params:
        assignment=lambda wildcards: TRANSIT_PLAN.splits[shard_index(wildcards)],
        kept=TRANSIT_MEMBERS,
        code=CODE["transit_split_shard"],
    shell:
        "python -m workflow_scripts.transit_split_shard"
        " --raw {input.raw:q} --examples {input.examples:q}"
        ' --members {params.kept:q} --digest {params.assignment} --shard {wildcards.shard} --out "$(dirname "$(dirname {output.train:q})")" > {log:q} 2>&1'


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
        ledgers=expand(
            "<results>/transit/raw/ledger_{shard}.json", shard=TRANSIT_SHARDS
        ),
        raw=expand(
            "<results>/transit/raw/raw_shard_{shard}.tfrecord.receipt.json",
            shard=TRANSIT_SHARDS,
        ),
        examples=expand(
            "<results>/transit/split/aux_tbls/examples_{shard}.parquet",
            shard=TRANSIT_SHARDS,
        ),
        norm=expand(
            "<results>/transit/norm/{split}/norm_{split}_shard_{shard}.tfrecord.receipt.json",
            split=["train", "val", "test"],
            shard=TRANSIT_SHARDS,
        ),
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
        settings=TRANSIT.model_dump_json(exclude={"select", "train", "report"}),
        stages=json.dumps({name: CODE[name] for name in TRANSIT_STAGES}),
        code=CODE["transit_check"],
    shell:
        "python -m workflow_scripts.transit_check"
        ' --transit "$(dirname "$(dirname {output.check:q})")"'
        " --settings {params.settings:q} --code {params.stages:q} > {log:q} 2>&1"
