"""The consumer of the voxel line, and the figures of the report."""


rule voxel_train:
    """The torch consumer, trained on the train split and watched on val."""
    input:
        "<results>/voxel/store/manifest.json",
    output:
        model="<results>/voxel/train/model.safetensors",
        facts="<results>/voxel/train/model.json",
        history="<results>/voxel/train/history.csv",
    log:
        "<logs>/voxel_train.log",
    benchmark:
        "<benchmarks>/voxel_train.tsv"
    conda:
        "../envs/voxel.yaml"
    threads: VOXEL.train.threads
    resources:
        mem_mb=memory("voxel_train"),
        runtime=minutes("voxel_train"),
        gpu=gpus(VOXEL.train.device),
    params:
        settings=VOXEL_TRAINING.model_dump_json(exclude=VOXEL_NOT_TRAINED),
        code=CODE["voxel_train"],
    shell:
        "python -m workflow_scripts.voxel_train"
        ' --store "$(dirname {input:q})" --settings {params.settings:q}'
        ' --out "$(dirname {output.model:q})" > {log:q} 2>&1'


rule voxel_evaluate:
    """Predictions of every split, and scores by temperature, domain and kind of residue, beside two baselines."""
    input:
        store="<results>/voxel/store/manifest.json",
        model="<results>/voxel/train/model.json",
        weights="<results>/voxel/train/model.safetensors",
    output:
        evaluation="<results>/voxel/train/evaluation.json",
        tables=report(
            expand(
                "<results>/voxel/train/eval_by_{kind}.csv",
                kind=["temperature", "domain", "stratum"],
            ),
            category="Voxel",
            subcategory="Model",
            caption="../docs/captions/voxel_evaluation.rst",
        ),
        predictions=expand(
            "<results>/voxel/train/predictions_{split}.csv",
            split=["train", "val", "test"],
        ),
    log:
        "<logs>/voxel_evaluate.log",
    conda:
        "../envs/voxel.yaml"
    threads: VOXEL.train.threads
    resources:
        mem_mb=memory("voxel_evaluate"),
        runtime=minutes("voxel_evaluate"),
        gpu=gpus(VOXEL.train.device),
    params:
        settings=VOXEL_TRAINING.model_dump_json(exclude={"enabled"}),
        code=CODE["voxel_evaluate"],
    shell:
        "python -m workflow_scripts.voxel_evaluate"
        ' --store "$(dirname {input.store:q})" --model "$(dirname {input.model:q})"'
        ' --settings {params.settings:q} --out "$(dirname {output.evaluation:q})" > {log:q} 2>&1'


rule voxel_plot_data:
    """A figure of the dataset, drawn from its store."""
    input:
        "<results>/voxel/store/manifest.json",
    output:
        report(
            "<results>/voxel/report/{figure}.png",
            category="Voxel",
            subcategory="Dataset",
            caption="../docs/captions/voxel_figure.rst",
            labels={"figure": "{figure}"},
        ),
    log:
        "<logs>/voxel_plot_data/{figure}.log",
    wildcard_constraints:
        figure="density|rmsf|projections|rejections",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_plot_data"),
        runtime=minutes("voxel_plot_data"),
    params:
        code=CODE["voxel_plot_data"],
    shell:
        "python -m workflow_scripts.voxel_plot_data"
        ' --figure {wildcards.figure} --store "$(dirname {input:q})" --out {output:q} > {log:q} 2>&1'


rule voxel_plot_scores:
    """Learning curves, and predictions against the truth at every temperature."""
    input:
        history="<results>/voxel/train/history.csv",
        evaluation="<results>/voxel/train/evaluation.json",
        predictions=expand(
            "<results>/voxel/train/predictions_{split}.csv",
            split=["train", "val", "test"],
        ),
    output:
        history=report(
            "<results>/voxel/report/history.png",
            category="Voxel",
            subcategory="Model",
            caption="../docs/captions/voxel_history.rst",
        ),
        scores=report(
            expand("<results>/voxel/report/{name}.png", name=VOXEL_SCORES),
            category="Voxel",
            subcategory="Model",
            caption="../docs/captions/voxel_scores.rst",
        ),
    log:
        "<logs>/voxel_plot_scores.log",
    conda:
        "../envs/voxel.yaml"
    resources:
        mem_mb=memory("voxel_plot_scores"),
        runtime=minutes("voxel_plot_scores"),
    params:
        points=VOXEL.train.max_scatter_points,
        code=CODE["voxel_plot_scores"],
    shell:
        "python -m workflow_scripts.voxel_plot_scores"
        " --history {input.history:q} --evaluation {input.evaluation:q} --predictions {input.predictions:q}"
        ' --max-points {params.points} --out "$(dirname {output.history:q})" > {log:q} 2>&1'
