"""The splice line: genome, annotation and a base splice model to a feature table, and a meta-model."""


rule splice:
    """The whole splice line: dataset, trained model and report."""
    input:
        splice_targets,


rule splice_data:
    """The dataset of the splice line alone, without training and plots."""
    input:
        splice_dataset,


rule splice_reference:
    """Genes, transcripts, exons, splice sites and locus clusters; stops where introns do not read GT-AG."""
    input:
        fasta=splice_input("fasta"),
        annotation=splice_input("annotation"),
    output:
        reference="<results>/splice/reference/reference.json",
        tables=expand(
            "<results>/splice/reference/{table}.parquet",
            table=["genes", "transcripts", "exons", "sites", "overlaps"],
        ),
        motif="<results>/splice/reference/motif.json",
        ledger="<results>/splice/reference/ledger.json",
    log:
        "<logs>/splice_reference.log",
    benchmark:
        "<benchmarks>/splice_reference.tsv"
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=SPLICE.inputs.model_dump_json(exclude={"source", "min_offset_share"}),
        contents=splice_contents,
        code=CODE["splice_reference"],
    shell:
        "python -m workflow_scripts.splice_reference"
        ' --settings {params.settings:q} --out "$(dirname {output.reference:q})" > {log:q} 2>&1'


rule splice_pool:
    """Genes that may be chosen, in an order that more genes only lengthen."""
    input:
        "<results>/splice/reference/reference.json",
    output:
        pool="<results>/splice/plan/pool.parquet",
        requested="<results>/splice/plan/requested.parquet",
        ledger="<results>/splice/plan/pool_ledger.json",
    log:
        "<logs>/splice_pool.log",
    localrule: True
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        settings=SPLICE.selection.model_dump_json(include=SPLICE_POOL),
        genes=splice_gene_file,
        code=CODE["splice_pool"],
    shell:
        "python -m workflow_scripts.splice_pool"
        ' --settings {params.settings:q} --reference "$(dirname {input:q})"'
        ' --out "$(dirname {output.pool:q})" > {log:q} 2>&1'


rule splice_score_batch:
    """Donor and acceptor probabilities of every base of some genes; what was scored before is not scored again."""
    input:
        reference="<results>/splice/reference/reference.json",
        pool="<results>/splice/plan/pool.parquet",
    output:
        "<results>/splice/scores/index_{batch}.parquet",
    log:
        "<logs>/splice_score_batch/{batch}.log",
    benchmark:
        "<benchmarks>/splice_score_batch/{batch}.tsv"
    conda:
        "../envs/splice.yaml"
    threads: SPLICE.model.threads
    resources:
        mem_mb=6000,
        runtime=splice_score_runtime,
    params:
        genes=splice_score_selection,
        settings=SPLICE.model.model_dump_json(include=SPLICE_SCORES),
        contents=splice_model_contents,
        code=CODE["splice_score_batch"],
    shell:
        "python -m workflow_scripts.splice_score_batch"
        ' --reference "$(dirname {input.reference:q})" --pool {input.pool:q} --selection {params.genes:q} --batch {wildcards.batch}'
        ' --settings {params.settings:q} --threads {threads} --out "$(dirname {output:q})" > {log:q} 2>&1'


rule splice_offset_gate:
    """Scores peak on the annotated sites; stops where they peak beside them."""
    input:
        reference="<results>/splice/reference/reference.json",
        indexes=expand(
            "<results>/splice/scores/index_{batch}.parquet",
            batch=SPLICE_POOL_BATCHES[:1],
        ),
    output:
        "<results>/splice/check/offset.json",
    log:
        "<logs>/splice_offset_gate.log",
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        share=SPLICE.inputs.min_offset_share,
        code=CODE["splice_offset_gate"],
    shell:
        "python -m workflow_scripts.splice_offset_gate"
        ' --reference "$(dirname {input.reference:q})" --index {input.indexes:q} --min-share {params.share}'
        " --out {output:q} > {log:q} 2>&1"


rule splice_export_scores:
    """Scores of all genes for other programs, and the manifest that vouches for the files."""
    input:
        reference="<results>/splice/reference/reference.json",
        indexes=splice_pool_indexes,
    output:
        "<results>/splice/export/{format}.json",
    log:
        "<logs>/splice_export_scores/{format}.log",
    benchmark:
        "<benchmarks>/splice_export_scores/{format}.tsv"
    wildcard_constraints:
        format="|".join(SPLICE_FORMATS),
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        floor=splice_export_floor,
        code=CODE["splice_export_scores"],
    shell:
        "python -m workflow_scripts.splice_export_scores"
        ' --reference "$(dirname {input.reference:q})" --index {input.indexes:q} --format {wildcards.format}'
        ' {params.floor} --out "$(dirname {output:q})" > {log:q} 2>&1'


rule splice_pool_errors:
    """Errors of the base model in every gene of the pool, which is scored as a whole before any gene is chosen."""
    input:
        reference="<results>/splice/reference/reference.json",
        pool="<results>/splice/plan/pool.parquet",
        indexes=splice_pool_indexes,
    output:
        "<results>/splice/plan/errors.parquet",
    log:
        "<logs>/splice_pool_errors.log",
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        settings=SPLICE.selection.model_dump_json(include={*SPLICE_ORDER, "pool"}),
        labels=SPLICE.labels.model_dump_json(),
        code=CODE["splice_pool_errors"],
    shell:
        "python -m workflow_scripts.splice_pool_errors"
        ' --plan "$(dirname {input.pool:q})" --reference "$(dirname {input.reference:q})"'
        ' --scores "$(dirname {input.indexes[0]:q})" --indexes {input.indexes:q}'
        " --settings {params.settings:q} --labels {params.labels:q} --out {output:q} > {log:q} 2>&1"


rule splice_rank:
    """Order in which genes enter the dataset: that of the pool, or by errors of the base model over all of it."""
    input:
        pool="<results>/splice/plan/pool.parquet",
        ledger="<results>/splice/plan/pool_ledger.json",
        errors=splice_errors,
    output:
        ranking="<results>/splice/plan/ranking.parquet",
        ledger="<results>/splice/plan/ledger.json",
    log:
        "<logs>/splice_rank.log",
    localrule: True
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=SPLICE.selection.model_dump_json(include=SPLICE_ORDER),
        errors=splice_errors_option,
        code=CODE["splice_rank"],
    shell:
        "python -m workflow_scripts.splice_rank"
        ' --plan "$(dirname {input.pool:q})" --settings {params.settings:q} {params.errors} > {log:q} 2>&1'


rule splice_positions_batch:
    """Truth and call of every base of the genes of a batch, and the record of the base model."""
    input:
        # The gate lets pass or stops; what it has measured shapes no row.
        gate=ancient("<results>/splice/check/offset.json"),
        reference="<results>/splice/reference/reference.json",
        ranking="<results>/splice/plan/ranking.parquet",
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
        mem_mb=4000,
        runtime=120,
    params:
        genes=splice_batch_slice,
        labels=SPLICE.labels.model_dump_json(),
        code=CODE["splice_positions_batch"],
    shell:
        "python -m workflow_scripts.splice_positions_batch"
        " --ranking {input.ranking:q} {params.genes} --batch {wildcards.batch}"
        ' --reference "$(dirname {input.reference:q})" --scores "$(dirname {input.indexes[0]:q})"'
        " --indexes {input.indexes:q} --labels {params.labels:q}"
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
        mem_mb=4000,
        runtime=120,
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
        mem_mb=2000,
        runtime=15,
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
        mem_mb=4000,
        runtime=60,
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
        mem_mb=4000,
        runtime=120,
    params:
        settings=SPLICE.model_dump_json(include=SPLICE_SHAPING),
        code=CODE["splice_check"],
    shell:
        "python -m workflow_scripts.splice_check"
        ' --base "$(dirname "$(dirname {output.check:q})")" --settings {params.settings:q}'
        " --splits {input.split:q} > {log:q} 2>&1"
