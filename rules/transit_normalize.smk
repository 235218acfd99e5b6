"""Statistics of the train split, normalized shards and selections of the transit line."""


rule transit_sample_shards:
    """Pixels of some train shards that enter the statistics."""
    input:
        "<results>/transit/split/blocks/{block}.json",
    output:
        "<results>/transit/stats/map/sample_{block}.npz",
    log:
        "<logs>/transit_sample_shards/{block}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_sample_shards"),
        runtime=minutes("transit_sample_shards"),
    params:
        settings=TRANSIT.statistics.model_dump_json(),
        code=CODE["transit_sample_shards"],
    shell:
        "python -m workflow_scripts.transit_sample_shards"
        " --split {input:q} --settings {params.settings:q} --sample {output:q} > {log:q} 2>&1"


rule transit_fit_statistics:
    """Statistics of the image features from the train split alone."""
    input:
        expand("<results>/transit/stats/map/sample_{block}.npz", block=TRANSIT_BLOCKS),
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


rule transit_normalize_shards:
    """Records of some shards of all splits with normalized flux and images."""
    input:
        split="<results>/transit/split/blocks/{block}.json",
        stats="<results>/transit/stats/train_stats.json",
    output:
        "<results>/transit/norm/blocks/{block}.json",
    log:
        "<logs>/transit_normalize_shards/{block}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_normalize_shards"),
        runtime=minutes("transit_normalize_shards"),
    params:
        settings=TRANSIT.normalize.model_dump_json(),
        durations=TRANSIT.build.windows.n_durations_window,
        code=CODE["transit_normalize_shards"],
    shell:
        "python -m workflow_scripts.transit_normalize_shards"
        " --split {input.split:q} --stats {input.stats:q}"
        " --settings {params.settings:q} --durations {params.durations} --code {params.code}"
        " --manifest {output:q} > {log:q} 2>&1"


rule transit_select:
    """A named choice of examples, with the reason for every example that is left out."""
    input:
        TRANSIT_SPLIT,
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
        " --split {input:q} --name {wildcards.selection} --settings {params.settings:q}"
        ' --seed {params.seed} --out "$(dirname {output.table:q})" > {log:q} 2>&1'


rule transit_materialize_shards:
    """Normalized records of some shards that a selection keeps."""
    input:
        norm="<results>/transit/norm/blocks/{block}.json",
        selection="<results>/transit/select/{selection}/selection.parquet",
    output:
        "<results>/transit/select/{selection}/blocks/{block}.json",
    log:
        "<logs>/transit_materialize_shards/{selection}/{block}.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_materialize_shards"),
        runtime=minutes("transit_materialize_shards"),
    params:
        code=CODE["transit_materialize_shards"],
    shell:
        "python -m workflow_scripts.transit_materialize_shards"
        " --norm {input.norm:q} --selection {input.selection:q} --code {params.code}"
        " --manifest {output:q} > {log:q} 2>&1"
