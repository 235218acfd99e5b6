"""The transit line: TCE table and light curves to shards of single-transit windows, statistics, and a trained model."""


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
        mem_mb=2000,
        runtime=30,
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
        mem_mb=transit_build_mem_mb,
        runtime=transit_build_runtime,
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
        mem_mb=1000,
        runtime=15,
    params:
        assignment=lambda wildcards: TRANSIT_PLAN.splits[shard_index(wildcards)],
        kept=TRANSIT_MEMBERS,
        code=CODE["transit_split_shard"],
    shell:
        "python -m workflow_scripts.transit_split_shard"
        " --raw {input.raw:q} --examples {input.examples:q}"
        ' --members {params.kept:q} --digest {params.assignment} --shard {wildcards.shard} --out "$(dirname "$(dirname {output.train:q})")" > {log:q} 2>&1'


rule transit_sample_shard:
    """Pixels of one train shard that enter the statistics."""
    input:
        shard="<results>/transit/split/train/train_shard_{shard}.tfrecord",
        receipt="<results>/transit/split/train/train_shard_{shard}.tfrecord.receipt.json",
        examples="<results>/transit/split/aux_tbls/examples_{shard}.parquet",
    output:
        "<results>/transit/stats/map/sample_{shard}.npz",
    log:
        "<logs>/transit_sample_shard/{shard}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        settings=TRANSIT.statistics.model_dump_json(),
        code=CODE["transit_sample_shard"],
    shell:
        "python -m workflow_scripts.transit_sample_shard"
        " --shard {input.shard:q} --examples {input.examples:q}"
        " --settings {params.settings:q} --sample {output:q} > {log:q} 2>&1"


rule transit_fit_statistics:
    """Statistics of the image features from the train split alone."""
    input:
        expand("<results>/transit/stats/map/sample_{shard}.npz", shard=TRANSIT_SHARDS),
    output:
        json=report(
            "<results>/transit/stats/train_stats.json",
            category="Transit",
            subcategory="Dataset",
            caption="../docs/captions/statistics.rst",
        ),
        npy="<results>/transit/stats/train_stats.npy",
        features=expand(
            "<results>/transit/stats/train_set_{feature}_stats.npy",
            feature=["diff_img", "oot_img", "snr_img"],
        ),
    log:
        "<logs>/transit_fit_statistics.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=TRANSIT.statistics.model_dump_json(),
        code=CODE["transit_fit_statistics"],
    shell:
        "python -m workflow_scripts.transit_fit_statistics"
        " --samples {input:q} --settings {params.settings:q}"
        ' --out "$(dirname {output.json:q})" > {log:q} 2>&1'


rule transit_normalize_shard:
    """Records of one shard of all splits with normalized flux and images."""
    input:
        train="<results>/transit/split/train/train_shard_{shard}.tfrecord",
        val="<results>/transit/split/val/val_shard_{shard}.tfrecord",
        test="<results>/transit/split/test/test_shard_{shard}.tfrecord",
        stats="<results>/transit/stats/train_stats.json",
    output:
        train="<results>/transit/norm/train/norm_train_shard_{shard}.tfrecord",
        val="<results>/transit/norm/val/norm_val_shard_{shard}.tfrecord",
        test="<results>/transit/norm/test/norm_test_shard_{shard}.tfrecord",
        train_receipt="<results>/transit/norm/train/norm_train_shard_{shard}.tfrecord.receipt.json",
        val_receipt="<results>/transit/norm/val/norm_val_shard_{shard}.tfrecord.receipt.json",
        test_receipt="<results>/transit/norm/test/norm_test_shard_{shard}.tfrecord.receipt.json",
    log:
        "<logs>/transit_normalize_shard/{shard}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=TRANSIT.normalize.model_dump_json(),
        durations=TRANSIT.build.windows.n_durations_window,
        code=CODE["transit_normalize_shard"],
    shell:
        "python -m workflow_scripts.transit_normalize_shard"
        " --shards {input.train:q} {input.val:q} {input.test:q} --stats {input.stats:q}"
        " --settings {params.settings:q} --durations {params.durations}"
        " --out {output.train:q} {output.val:q} {output.test:q} > {log:q} 2>&1"


rule transit_select:
    """A named choice of examples, with the reason for every example that is left out."""
    input:
        expand(
            "<results>/transit/split/aux_tbls/examples_{shard}.parquet",
            shard=TRANSIT_SHARDS,
        ),
    output:
        table="<results>/transit/select/{selection}/selection.parquet",
        counts=report(
            "<results>/transit/select/{selection}/counts.csv",
            category="Transit",
            subcategory="Selections",
            caption="../docs/captions/selection.rst",
            labels={"selection": "{selection}"},
        ),
        balance="<results>/transit/select/{selection}/balance.csv",
    log:
        "<logs>/transit_select/{selection}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        settings=selection_settings,
        seed=TRANSIT.build.seed,
        code=CODE["transit_select"],
    shell:
        "python -m workflow_scripts.transit_select"
        " --examples {input:q} --name {wildcards.selection} --settings {params.settings:q}"
        ' --seed {params.seed} --out "$(dirname {output.table:q})" > {log:q} 2>&1'


rule transit_materialize_shard:
    """Normalized records of one shard that a selection keeps."""
    input:
        shard="<results>/transit/norm/{split}/norm_{split}_shard_{shard}.tfrecord",
        selection="<results>/transit/select/{selection}/selection.parquet",
    output:
        shard="<results>/transit/select/{selection}/{split}/norm_{split}_shard_{shard}.tfrecord",
        receipt="<results>/transit/select/{selection}/{split}/norm_{split}_shard_{shard}.tfrecord.receipt.json",
    log:
        "<logs>/transit_materialize_shard/{selection}/{split}_{shard}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        code=CODE["transit_materialize_shard"],
    shell:
        "python -m workflow_scripts.transit_materialize_shard"
        " --shard {input.shard:q} --selection {input.selection:q} --out {output.shard:q} > {log:q} 2>&1"


rule transit_check:
    """Proof that nothing was lost and nothing leaks; the build fails where it does not hold."""
    input:
        plan=rules.transit_plan.output,
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
        mem_mb=2000,
        runtime=15,
    params:
        settings=TRANSIT.model_dump_json(exclude={"select", "train", "report"}),
        stages=json.dumps({name: CODE[name] for name in TRANSIT_STAGES}),
        code=CODE["transit_check"],
    shell:
        "python -m workflow_scripts.transit_check"
        ' --transit "$(dirname "$(dirname {output.check:q})")"'
        " --settings {params.settings:q} --code {params.stages:q} > {log:q} 2>&1"
