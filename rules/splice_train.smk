"""The consumer of the splice line: a meta-model beside an honest baseline."""


rule splice_prune:
    """Feature columns that are constant or repeat others, judged on train rows alone."""
    input:
        manifest="<results>/splice/master/manifest.json",
        split="<results>/splice/split/split.parquet",
    output:
        "<results>/splice/train/pruned_features.json",
    log:
        "<logs>/splice_prune.log",
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_prune"),
        runtime=minutes("splice_prune"),
    params:
        settings=SPLICE.prune.model_dump_json(),
        code=CODE["splice_prune"],
    shell:
        "python -m workflow_scripts.splice_prune"
        ' --master "$(dirname {input.manifest:q})" --splits {input.split:q}'
        " --settings {params.settings:q} --out {output:q} > {log:q} 2>&1"


rule splice_train:
    """The meta-model, trained on the train split and watched on val."""
    input:
        manifest="<results>/splice/master/manifest.json",
        split="<results>/splice/split/split.parquet",
        pruned="<results>/splice/train/pruned_features.json",
    output:
        model=f"<results>/splice/train/{SPLICE_MODEL}",
        card="<results>/splice/train/model_card.json",
        features="<results>/splice/train/feature_manifest.csv",
        history="<results>/splice/train/history.csv",
    log:
        "<logs>/splice_train.log",
    benchmark:
        "<benchmarks>/splice_train.tsv"
    conda:
        "../envs/splice.yaml"
    threads: SPLICE.train.threads
    resources:
        mem_mb=memory("splice_train"),
        runtime=minutes("splice_train"),
    params:
        settings=SPLICE.train.model_dump_json(include=SPLICE_FITTED),
        code=CODE["splice_train"],
    # Threads that wait for one another spin by default; on a busy machine that takes ten times as long.
    shell:
        "OMP_WAIT_POLICY=PASSIVE python -m workflow_scripts.splice_train"
        ' --master "$(dirname {input.manifest:q})" --splits {input.split:q} --pruned {input.pruned:q}'
        ' --settings {params.settings:q} --out "$(dirname {output.model:q})" > {log:q} 2>&1'


rule splice_evaluate:
    """Meta-model and base model on the same rows: metrics, deltas by gene, top-k, calibration, importance."""
    input:
        manifest="<results>/splice/master/manifest.json",
        split="<results>/splice/split/split.parquet",
        model=f"<results>/splice/train/{SPLICE_MODEL}",
        card="<results>/splice/train/model_card.json",
        reference="<results>/splice/reference/reference.json",
        indexes=splice_pool_indexes,
    output:
        metrics="<results>/splice/train/metrics.json",
        delta=report(
            "<results>/splice/train/delta_vs_baseline.csv",
            category="Splice",
            subcategory="Model",
            caption="../docs/captions/splice_delta.rst",
        ),
        tables=report(
            expand(
                "<results>/splice/train/{name}",
                name=[
                    "baseline_metrics.tsv",
                    "meta_metrics.tsv",
                    "topk.csv",
                    "calibration.csv",
                    "feature_importance_all.csv",
                    "full_positions.csv",
                ],
            ),
            category="Splice",
            subcategory="Model",
            caption="../docs/captions/splice_evaluation.rst",
        ),
        predictions=expand(
            "<results>/splice/train/predictions_{split}.parquet", split=["val", "test"]
        ),
    log:
        "<logs>/splice_evaluate.log",
    conda:
        "../envs/splice.yaml"
    threads: SPLICE.train.threads
    resources:
        mem_mb=memory("splice_evaluate"),
        runtime=minutes("splice_evaluate"),
    params:
        settings=SPLICE.train.model_dump_json(include={*SPLICE_FITTED, *SPLICE_JUDGED}),
        baseline=splice_baseline,
        score_batches=len(SPLICE_POOL_BATCHES),
        held_out=SPLICE.model.held_out_contigs,
        trained_on=SPLICE.model.trained_on_contigs,
        code=CODE["splice_evaluate"],
    shell:
        "OMP_WAIT_POLICY=PASSIVE python -m workflow_scripts.splice_evaluate"
        ' --master "$(dirname {input.manifest:q})" --splits {input.split:q} --model "$(dirname {input.model:q})"'
        ' --reference "$(dirname {input.reference:q})" --scores "$(dirname {input.indexes[0]:q})"'
        " --score-batches {params.score_batches} --held-out {params.held_out:q} --trained-on {params.trained_on:q}"
        ' --settings {params.settings:q} --out "$(dirname {output.metrics:q})" > {log:q} 2>&1'


rule splice_probe:
    """Sanity probes, which must score chance, and what the model loses without each family of features."""
    input:
        manifest="<results>/splice/master/manifest.json",
        split="<results>/splice/split/split.parquet",
        pruned="<results>/splice/train/pruned_features.json",
    output:
        probes="<results>/splice/train/probes.json",
        ablations=report(
            "<results>/splice/train/ablations.csv",
            category="Splice",
            subcategory="Model",
            caption="../docs/captions/splice_ablations.rst",
        ),
    log:
        "<logs>/splice_probe.log",
    conda:
        "../envs/splice.yaml"
    threads: SPLICE.train.threads
    resources:
        mem_mb=memory("splice_probe"),
        runtime=minutes("splice_probe"),
    params:
        settings=SPLICE.train.model_dump_json(include={*SPLICE_FITTED, *SPLICE_PROBED}),
        code=CODE["splice_probe"],
    shell:
        "OMP_WAIT_POLICY=PASSIVE python -m workflow_scripts.splice_probe"
        ' --master "$(dirname {input.manifest:q})" --splits {input.split:q} --pruned {input.pruned:q}'
        ' --settings {params.settings:q} --out "$(dirname {output.probes:q})" > {log:q} 2>&1'
