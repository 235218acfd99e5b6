"""The splice line: genome, annotation and a base splice model to a feature table, and a meta-model."""


include: "splice_plan.smk"
include: "splice_scores.smk"
include: "splice_train_plan.smk"
include: "splice_train.smk"
include: "splice_plots.smk"
include: "splice_demo.smk"


rule splice:
    """The whole splice line: dataset, trained model and report."""
    input:
        splice_targets,


rule splice_data:
    """The dataset of the splice line alone, without training and plots."""
    input:
        splice_dataset,


rule splice_positions_batch:
    """Truth and call of every base of the genes of a batch, and the record of the base model."""
    input:
        reference="<results>/splice/reference/reference.json",
        ranking=splice_ranking,
        indexes=splice_indexes,
    output:
        raw=splice_raw("<results>/splice/batches/batch_{batch}_raw.parquet"),
        receipt=splice_raw(
            "<results>/splice/batches/batch_{batch}_raw.parquet.receipt.json"
        ),
        performance="<results>/splice/batches/performance_{batch}.parquet",
        record="<results>/splice/batches/performance_{batch}.parquet.receipt.json",
        ledger="<results>/splice/batches/positions_ledger_{batch}.json",
    log:
        "<logs>/splice_positions_batch/{batch}.log",
    benchmark:
        "<benchmarks>/splice_positions_batch/{batch}.tsv"
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_positions_batch"),
        runtime=minutes("splice_positions_batch"),
    params:
        ranking=splice_ranking_option,
        labels=SPLICE.labels.model_dump_json(),
        code=CODE["splice_positions_batch"],
    shell:
        "python -m workflow_scripts.splice_positions_batch"
        " --batch {wildcards.batch} {params.ranking}"
        ' --reference "$(dirname {input.reference:q})" --scores "$(dirname {input.indexes[0]:q})"'
        " --labels {params.labels:q}"
        ' --out "$(dirname "$(dirname {output.raw:q})")" > {log:q} 2>&1'


rule splice_features_batch:
    """Sampled rows of a batch with all features, and their part of the dataset."""
    input:
        reference="<results>/splice/reference/reference.json",
        raw="<results>/splice/batches/batch_{batch}_raw.parquet",
        receipt="<results>/splice/batches/batch_{batch}_raw.parquet.receipt.json",
        ledger="<results>/splice/batches/positions_ledger_{batch}.json",
    output:
        trim="<results>/splice/batches/batch_{batch}_trim.parquet",
        receipt="<results>/splice/batches/batch_{batch}_trim.parquet.receipt.json",
        part="<results>/splice/master/part-{batch}.parquet",
        part_receipt="<results>/splice/master/part-{batch}.parquet.receipt.json",
        ledger="<results>/splice/batches/ledger_{batch}.json",
        analysis=splice_analysis,
    log:
        "<logs>/splice_features_batch/{batch}.log",
    benchmark:
        "<benchmarks>/splice_features_batch/{batch}.tsv"
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_features_batch"),
        runtime=minutes("splice_features_batch"),
    params:
        seed=SPLICE.selection.seed,
        sampling=SPLICE.sampling.model_dump_json(),
        features=SPLICE.features.model_dump_json(),
        export=SPLICE.export.model_dump_json(include={"analysis_tables"}),
        code=CODE["splice_features_batch"],
    shell:
        "python -m workflow_scripts.splice_features_batch"
        ' --batch {wildcards.batch} --reference "$(dirname {input.reference:q})" --seed {params.seed}'
        " --sampling {params.sampling:q} --features {params.features:q} --export {params.export:q}"
        ' --out "$(dirname "$(dirname {output.trim:q})")" > {log:q} 2>&1'


rule splice_split:
    """Train, val and test by locus cluster, inside the contigs that the base model never saw."""
    input:
        reference="<results>/splice/reference/reference.json",
        ranking="<results>/splice/plan/ranking.parquet",
    output:
        "<results>/splice/split/split.parquet",
    log:
        "<logs>/splice_split.log",
    localrule: True
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_split"),
        runtime=minutes("splice_split"),
    params:
        settings=SPLICE.split.model_dump_json(),
        groups=splice_group_table,
        genes=SPLICE_GENES,
        held_out=SPLICE.model.held_out_contigs,
        trained_on=SPLICE.model.trained_on_contigs,
        empty="" if SPLICE.train.enabled else "--may-be-empty",
        code=CODE["splice_split"],
    shell:
        "python -m workflow_scripts.splice_split"
        ' --genes "$(dirname {input.reference:q})"/genes.parquet --ranking {input.ranking:q} --n-genes {params.genes}'
        " --settings {params.settings:q} --held-out {params.held_out:q} --trained-on {params.trained_on:q}"
        " {params.empty} --out {output:q} > {log:q} 2>&1"


rule splice_assemble:
    """The dataset as one: manifest, genes, and the record of the base model."""
    input:
        # Batches do not wait for the gate, which shapes no row: where it runs anew, Snakemake would build them anew or,
        # with `ancient`, look for no other change in them (snakemake/snakemake#4166).
        gate="<results>/splice/check/offset.json",
        ranking="<results>/splice/plan/ranking.parquet",
        split="<results>/splice/split/split.parquet",
        parts=expand(
            "<results>/splice/master/part-{batch}.parquet.receipt.json",
            batch=SPLICE_BATCHES,
        ),
        performance=expand(
            "<results>/splice/batches/performance_{batch}.parquet",
            batch=SPLICE_BATCHES,
        ),
        ledgers=expand(
            "<results>/splice/batches/ledger_{batch}.json", batch=SPLICE_BATCHES
        ),
    output:
        manifest="<results>/splice/master/manifest.json",
        genes=report(
            "<results>/splice/master/gene_manifest.csv",
            category="Splice",
            subcategory="Dataset",
            caption="../docs/captions/splice_genes.rst",
        ),
        performance="<results>/splice/full_splice_performance.tsv",
    log:
        "<logs>/splice_assemble.log",
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_assemble"),
        runtime=minutes("splice_assemble"),
    params:
        settings=SPLICE.model_dump_json(include=SPLICE_SHAPING),
        batches=len(SPLICE_BATCHES),
        code=CODE["splice_assemble"],
    shell:
        "python -m workflow_scripts.splice_assemble"
        ' --base "$(dirname "$(dirname {output.manifest:q})")" --settings {params.settings:q}'
        " --splits {input.split:q} --batches {params.batches} > {log:q} 2>&1"


rule splice_check:
    """Proof that nothing was lost and nothing leaks; the build fails where it does not hold."""
    input:
        manifest="<results>/splice/master/manifest.json",
        split="<results>/splice/split/split.parquet",
    output:
        check=report(
            "<results>/splice/check/check.json",
            category="Splice",
            subcategory="Dataset",
            caption="../docs/captions/check.rst",
        ),
    log:
        "<logs>/splice_check.log",
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_check"),
        runtime=minutes("splice_check"),
    params:
        settings=SPLICE.model_dump_json(include=SPLICE_SHAPING),
        code=CODE["splice_check"],
    shell:
        "python -m workflow_scripts.splice_check"
        ' --base "$(dirname "$(dirname {output.check:q})")" --settings {params.settings:q}'
        " --splits {input.split:q} > {log:q} 2>&1"
