"""Genes of the splice line, in order, and what the base model says of their bases."""


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
        mem_mb=memory("splice_reference"),
        runtime=minutes("splice_reference"),
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
    # What is wrong with the gene file is told before anything is scored.
    priority: 1
    localrule: True
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_pool"),
        runtime=minutes("splice_pool"),
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
        "<results>/splice/reference/reference.json",
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
        mem_mb=memory("splice_score_batch"),
        runtime=minutes("splice_score_batch"),
        gpu=gpus(SPLICE.model.device),
    params:
        selection=SPLICE_TAKEN,
        genes=splice_score_slice,
        listed=splice_listed,
        settings=SPLICE.model.model_dump_json(include=SPLICE_SCORES),
        contents=splice_model_contents,
        code=CODE["splice_score_batch"],
    shell:
        "python -m workflow_scripts.splice_score_batch"
        ' --reference "$(dirname {input:q})" --selection {params.selection:q}'
        " {params.genes} --batch {wildcards.batch}"
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
    # Nothing waits for the gate but the dataset as one; what is in vain is to end soon.
    priority: 1
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_offset_gate"),
        runtime=minutes("splice_offset_gate"),
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
        mem_mb=memory("splice_export_scores"),
        runtime=minutes("splice_export_scores"),
    params:
        score_batches=len(SPLICE_POOL_BATCHES),
        floor=splice_export_floor,
        code=CODE["splice_export_scores"],
    shell:
        "python -m workflow_scripts.splice_export_scores"
        ' --reference "$(dirname {input.reference:q})" --scores "$(dirname {input.indexes[0]:q})"'
        " --score-batches {params.score_batches} --format {wildcards.format} {params.floor}"
        ' --out "$(dirname {output:q})" > {log:q} 2>&1'


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
        mem_mb=memory("splice_pool_errors"),
        runtime=minutes("splice_pool_errors"),
    params:
        settings=SPLICE.selection.model_dump_json(include={*SPLICE_ORDER, "pool"}),
        labels=SPLICE.labels.model_dump_json(),
        score_batches=len(SPLICE_POOL_BATCHES),
        code=CODE["splice_pool_errors"],
    shell:
        "python -m workflow_scripts.splice_pool_errors"
        ' --plan "$(dirname {input.pool:q})" --reference "$(dirname {input.reference:q})"'
        ' --scores "$(dirname {input.indexes[0]:q})" --score-batches {params.score_batches}'
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
        mem_mb=memory("splice_rank"),
        runtime=minutes("splice_rank"),
    params:
        settings=SPLICE.selection.model_dump_json(include=SPLICE_ORDER),
        errors=splice_errors_option,
        code=CODE["splice_rank"],
    shell:
        "python -m workflow_scripts.splice_rank"
        ' --plan "$(dirname {input.pool:q})" --settings {params.settings:q} {params.errors} > {log:q} 2>&1'
