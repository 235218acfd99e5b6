"""Figures of the splice line for the report."""


rule splice_plot_data:
    """A figure of the dataset, drawn from its parts and tables."""
    input:
        splice_figure_inputs,
    output:
        report(
            "<results>/splice/report/{figure}.png",
            category="Splice",
            subcategory="Dataset",
            caption="../docs/captions/splice_figure.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/splice_plot_data/{figure}.log",
    wildcard_constraints:
        figure="|".join(SPLICE_FIGURES),
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_plot_data"),
        runtime=minutes("splice_plot_data"),
    params:
        batches=len(SPLICE_BATCHES),
        code=CODE["splice_plot_data"],
    shell:
        "python -m workflow_scripts.splice_plot_data"
        ' --figure {wildcards.figure} --base "$(dirname "$(dirname {output:q})")" --batches {params.batches}'
        " --out {output:q} > {log:q} 2>&1"


rule splice_plot_scores:
    """A figure of the meta-model beside the base model, drawn from the tables of its evaluation."""
    input:
        splice_model_figure_input,
    output:
        report(
            "<results>/splice/report/{figure}.png",
            category="Splice",
            subcategory="Model",
            caption="../docs/captions/splice_scores.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/splice_plot_scores/{figure}.log",
    wildcard_constraints:
        figure="|".join(SPLICE_MODEL_TABLES),
    conda:
        "../envs/splice.yaml"
    resources:
        mem_mb=memory("splice_plot_scores"),
        runtime=minutes("splice_plot_scores"),
    params:
        code=CODE["splice_plot_scores"],
    shell:
        "python -m workflow_scripts.splice_plot_scores"
        " --figure {wildcards.figure} --input {input:q} --out {output:q} > {log:q} 2>&1"
