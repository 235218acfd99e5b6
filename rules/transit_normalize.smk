"""Statistics of the train split, normalized shards and selections of the transit line."""


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
        mem_mb=memory("transit_sample_shard"),
        runtime=minutes("transit_sample_shard"),
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
        mem_mb=memory("transit_fit_statistics"),
        runtime=minutes("transit_fit_statistics"),
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
        mem_mb=memory("transit_normalize_shard"),
        runtime=minutes("transit_normalize_shard"),
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
        mem_mb=memory("transit_select"),
        runtime=minutes("transit_select"),
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
        mem_mb=memory("transit_materialize_shard"),
        runtime=minutes("transit_materialize_shard"),
    params:
        code=CODE["transit_materialize_shard"],
    shell:
        "python -m workflow_scripts.transit_materialize_shard"
        " --shard {input.shard:q} --selection {input.selection:q} --out {output.shard:q} > {log:q} 2>&1"
