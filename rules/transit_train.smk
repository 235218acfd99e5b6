"""The consumer of the transit line, and the figures of the report."""


rule transit_train:
    """The Keras consumer, trained on the train split and watched on val."""
    input:
        norm=TRANSIT_NORM,
        split=TRANSIT_SPLIT,
        selection=training_selection,
    output:
        model="<results>/transit/train/model.keras",
        summary="<results>/transit/train/model_summary.txt",
        history="<results>/transit/train/history.csv",
        facts="<results>/transit/train/train.json",
    log:
        "<logs>/transit_train.log",
    benchmark:
        "<benchmarks>/transit_train.tsv"
    conda:
        "../envs/transit.yaml"
    # TensorFlow runs single-threaded, so that its bytes do not depend on the machine's cores.
    threads: 1
    resources:
        mem_mb=memory("transit_train"),
        runtime=minutes("transit_train"),
    params:
        settings=TRANSIT.training.model_dump_json(exclude={"enabled", "selection"}),
        code=CODE["transit_train"],
    shell:
        "python -m workflow_scripts.transit_train"
        " --norm {input.norm:q} --split {input.split:q} --selection {input.selection:q}"
        ' --settings {params.settings:q} --out "$(dirname {output.model:q})" > {log:q} 2>&1'


rule transit_evaluate:
    """Predictions and metrics of every split, by disposition and by star."""
    input:
        model="<results>/transit/train/model.keras",
        norm=TRANSIT_NORM,
        split=TRANSIT_SPLIT,
        selection=training_selection,
    output:
        metrics=report(
            "<results>/transit/train/res_eval.csv",
            category="Transit",
            subcategory="Model",
            caption="../docs/captions/evaluation.rst",
        ),
        dispositions=report(
            "<results>/transit/train/eval_by_disposition.csv",
            category="Transit",
            subcategory="Model",
            caption="../docs/captions/evaluation.rst",
        ),
        stars="<results>/transit/train/eval_by_star.csv",
        predictions=expand(
            "<results>/transit/train/preds_{split}.csv", split=["train", "val", "test"]
        ),
    log:
        "<logs>/transit_evaluate.log",
    conda:
        "../envs/transit.yaml"
    # TensorFlow runs single-threaded, so that its bytes do not depend on the machine's cores.
    threads: 1
    resources:
        mem_mb=memory("transit_evaluate"),
        runtime=minutes("transit_evaluate"),
    params:
        missing_images=TRANSIT.training.missing_images,
        code=CODE["transit_evaluate"],
    shell:
        "python -m workflow_scripts.transit_evaluate"
        " --model {input.model:q} --norm {input.norm:q} --split {input.split:q} --selection {input.selection:q}"
        " --missing-images {params.missing_images}"
        ' --out "$(dirname {output.metrics:q})" > {log:q} 2>&1'


rule transit_plot_data:
    """A figure of the dataset, drawn from its shards and tables."""
    input:
        figure_inputs,
    output:
        report(
            "<results>/transit/report/{figure}.png",
            category="Transit",
            subcategory="Dataset",
            caption="../docs/captions/figure.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/transit_plot_data/{figure}.log",
    wildcard_constraints:
        figure="windows|masks|class_balance|rejections",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_plot_data"),
        runtime=minutes("transit_plot_data"),
    params:
        windows=TRANSIT.report.example_windows,
        light_curves=TRANSIT.report.light_curves,
        code=CODE["transit_plot_data"],
    shell:
        "python -m workflow_scripts.transit_plot_data"
        " --figure {wildcards.figure} --inputs {input:q} --windows {params.windows}"
        " --light-curves {params.light_curves} --out {output:q} > {log:q} 2>&1"


rule transit_plot_scores:
    """Training history, scores by disposition, ROC and precision-recall curves."""
    input:
        history="<results>/transit/train/history.csv",
        predictions=expand(
            "<results>/transit/train/preds_{split}.csv", split=["train", "val", "test"]
        ),
    output:
        history=report(
            "<results>/transit/report/history.png",
            category="Transit",
            subcategory="Model",
            caption="../docs/captions/history.rst",
        ),
        scores=report(
            "<results>/transit/report/scores.png",
            category="Transit",
            subcategory="Model",
            caption="../docs/captions/scores.rst",
        ),
        curves=report(
            "<results>/transit/report/curves.png",
            category="Transit",
            subcategory="Model",
            caption="../docs/captions/scores.rst",
        ),
    log:
        "<logs>/transit_plot_scores.log",
    conda:
        "../envs/transit.yaml"
    resources:
        mem_mb=memory("transit_plot_scores"),
        runtime=minutes("transit_plot_scores"),
    params:
        code=CODE["transit_plot_scores"],
    shell:
        "python -m workflow_scripts.transit_plot_scores"
        " --history {input.history:q} --predictions {input.predictions:q}"
        ' --out "$(dirname {output.history:q})" > {log:q} 2>&1'
