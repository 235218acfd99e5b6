"""What the rules of the splice line's meta-model and figures are made from."""

from trainyard.yard.contents import contents_digest

# Figures of the dataset, and those of the meta-model with the table that each is drawn from.
SPLICE_FIGURES = [
    "class_balance",
    "strata",
    "base_scores",
    "outcome_scores",
    "features",
    "rejections",
]
SPLICE_MODEL_TABLES = {
    "history": "history.csv",
    "precision_recall": "predictions_test.parquet",
    "scores": "predictions_test.parquet",
    "delta": "delta_vs_baseline.csv",
    "top_k": "topk.csv",
    "full_positions": "full_positions.csv",
    "calibration": "calibration.csv",
    "importance": "feature_importance_all.csv",
    "ablations": "ablations.csv",
}

# Settings of training by what they shape: the model, its evaluation, its probes.
SPLICE_FITTED = {
    "model",
    "parameters",
    "target",
    "families",
    "external_memory_rows",
    "rounds",
    "early_stopping_rounds",
    "threads",
    "seed",
}
SPLICE_JUDGED = {"baseline", "bootstrap", "full_check_genes"}
SPLICE_PROBED = {"probes", "ablations", "ablation_rounds"}


def splice_baseline(wildcards):
    """Stands for the contents of an outside baseline."""
    file = SPLICE.train.baseline
    return contents_digest([file], STATE / "cache") if file else ""


def splice_figure_inputs(wildcards):
    """What a figure of the dataset is drawn from."""
    folder = f"{RESULTS}/splice"
    split, parts = f"{folder}/split/split.parquet", [
        f"{folder}/master/part-{batch}.parquet" for batch in SPLICE_BATCHES
    ]
    return {
        "class_balance": [f"{folder}/master/gene_manifest.csv", split],
        "strata": [split, *parts],
        "base_scores": parts,
        "outcome_scores": parts,
        "features": [f"{folder}/master/manifest.json", split],
        "rejections": [
            f"{folder}/reference/ledger.json",
            f"{folder}/plan/ledger.json",
            *(f"{folder}/batches/ledger_{batch}.json" for batch in SPLICE_BATCHES),
        ],
    }[wildcards.figure]


def splice_model_figure_input(wildcards):
    """The table that a figure of the meta-model is drawn from."""
    return f"{RESULTS}/splice/train/{SPLICE_MODEL_TABLES[wildcards.figure]}"
