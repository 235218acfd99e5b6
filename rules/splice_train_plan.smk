"""What the rules of the splice line's meta-model and figures are made from."""

from trainyard.splice.naming import figure_inputs
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
    found = figure_inputs(
        wildcards.figure, Path(RESULTS, "splice"), len(SPLICE_BATCHES)
    )
    return list(map(str, found))


def splice_model_figure_input(wildcards):
    """The table that a figure of the meta-model is drawn from."""
    return f"{RESULTS}/splice/train/{SPLICE_MODEL_TABLES[wildcards.figure]}"
