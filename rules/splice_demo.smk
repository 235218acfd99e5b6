"""A simulated genome with genes of real splice grammar."""


rule demo_splice:
    """Genome, annotation and planted truth of the demo."""
    output:
        manifest="<results>/demo/splice/demo_manifest.json",
        truth="<results>/demo/splice/truth.json",
        fasta="<results>/demo/splice/genome.fa",
        annotation="<results>/demo/splice/annotation.gtf",
    log:
        "<logs>/demo_splice.log",
    benchmark:
        "<benchmarks>/demo_splice.tsv"
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("demo_splice"),
        runtime=minutes("demo_splice"),
    params:
        settings=SPLICE.demo.model_dump_json(),
        code=CODE["demo_splice"],
    shell:
        "python -m workflow_scripts.demo_splice"
        ' --settings {params.settings:q} --out "$(dirname {output.manifest:q})" > {log:q} 2>&1'
