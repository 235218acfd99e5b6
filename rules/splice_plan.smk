"""What the rules of the splice line are made from: batches, and functions of inputs, parameters and resources."""

import shlex

from trainyard.splice.catalogue import batches, gene_limits, member_digests, model_files
from trainyard.splice.catalogue import placed as splice_placed
from trainyard.splice.catalogue import refuse_missing as splice_refuse_missing
from trainyard.splice.plan import batch_range
from trainyard.splice.settings import ERROR_RANKED
from trainyard.splice.train.learners import model_file
from trainyard.yard.contents import contents_digest
from trainyard.yard.resources import NUCLEOTIDES_PER_GENE

# Stages whose code shapes the dataset.
SPLICE_STAGES = [
    "splice_reference",
    "splice_pool",
    "splice_score_batch",
    "splice_rank",
    "splice_positions_batch",
    "splice_features_batch",
    "splice_assemble",
]
# Mean length of a gene of the demo.
NUCLEOTIDES_PER_DEMO_GENE = 3_000
# Formats in which scores can be exported; each has a switch in the settings.
SPLICE_FORMATS = ["parquet", "bedgraph", "bigwig"]
# Settings of the selection that shape the pool and its order; the number of genes only cuts it.
SPLICE_ORDER = {
    "policy",
    "pool",
    "gene_types",
    "gene_file",
    "gene_col",
    "min_sites",
    "strata",
    "seed",
}
# Settings of the model that shape scores; the others only shape how fast they come.
SPLICE_SCORES = {
    "backend",
    "weights",
    "sha256",
    "licence",
    "accept_licence",
    "context",
    "scores",
    "flank_mode",
    "block",
    "batch_positions",
    "device",
}


def splice_input(name):
    """A file of the genome: the demo's, which a rule makes, or the user's, which counts by content."""
    path = str(getattr(SPLICE.inputs, name))
    return path if SPLICE.inputs.source == "demo" else ancient(path)


def splice_slice(wildcards, limit):
    """Places of the genes of a batch, as `--begin` and `--end` take them."""
    size = SPLICE.selection.batch_size
    places = batch_range(int(wildcards.batch), batch_size=size, places=limit)
    return f"--begin {places.start} --end {places.stop}"


def splice_score_slice(wildcards):
    """Places in the pool of a batch of scores."""
    return splice_slice(wildcards, SPLICE_SCORED)


def splice_listed(wildcards):
    """Stands for what the genes of a batch of scores depend on in the gene file."""
    return configured(SPLICE_LISTED, wildcards.batch, "splice.selection")


def splice_ranking(wildcards):
    """The order by errors; any other order is that of the pool, as batches of scores have it."""
    return [f"{RESULTS}/splice/plan/ranking.parquet"] if SPLICE_RANKED else []


def splice_ranking_option(wildcards):
    """The same, as options: the ranks of a batch of the dataset, and the scores that it may need."""
    if not SPLICE_RANKED:
        return ""
    files = map(shlex.quote, splice_ranking(wildcards))
    places = splice_slice(wildcards, SPLICE_GENES)
    return " ".join(
        ["--ranking", *files, places, f"--score-batches {len(SPLICE_POOL_BATCHES)}"]
    )


def splice_pool_indexes(wildcards):
    """Scores of the whole pool."""
    return [
        f"{RESULTS}/splice/scores/index_{batch}.parquet"
        for batch in SPLICE_POOL_BATCHES
    ]


def splice_indexes(wildcards):
    """Scores that a batch is made from: its own, or, where errors rank the genes, those of the whole pool."""
    if SPLICE_RANKED:
        return splice_pool_indexes(wildcards)
    return [f"{RESULTS}/splice/scores/index_{wildcards.batch}.parquet"]


def splice_errors(wildcards):
    """Errors in the pool, where they rank the genes."""
    return [f"{RESULTS}/splice/plan/errors.parquet"] if SPLICE_RANKED else []


def splice_errors_option(wildcards):
    """The same, as an option."""
    return (
        " ".join(["--errors", *map(shlex.quote, splice_errors(wildcards))])
        if SPLICE_RANKED
        else ""
    )


def splice_size(wildcards, unit):
    """Nucleotides of the genes of a batch, or of all that is scored: as many as is usual, as no gene is known yet."""
    genes = SPLICE.selection.batch_size
    if "batch" not in wildcards.keys():
        genes = min(SPLICE_SCORED, genes * len(SPLICE_POOL_BATCHES))
    return genes * (
        NUCLEOTIDES_PER_DEMO_GENE
        if SPLICE.inputs.source == "demo"
        else NUCLEOTIDES_PER_GENE
    )


def splice_contents(wildcards):
    """Stands for the contents of genome and annotation, where nobody makes them."""
    if SPLICE.inputs.source == "demo":
        return ""
    return contents_digest(
        [SPLICE.inputs.fasta, SPLICE.inputs.annotation], STATE / "cache"
    )


def splice_model_contents(wildcards):
    """Stands for the contents of weights, and of scores that come from elsewhere."""
    return contents_digest(model_files(SPLICE.model), STATE / "cache")


def splice_gene_file(wildcards):
    """Stands for the contents of the gene file."""
    file = SPLICE.selection.gene_file
    return contents_digest([file], STATE / "cache") if file else ""


def splice_group_table(wildcards):
    """Stands for the contents of the table of groups of the split."""
    file = SPLICE.split.group_table
    return contents_digest([file], STATE / "cache") if file else ""


def splice_export_floor(wildcards):
    """Least score in tracks, as an option; the table has all."""
    if wildcards.format == "parquet":
        return ""
    return f"--floor {SPLICE.export.track_floor}"


def splice_raw(path):
    """All positions of a batch are kept only if the configuration says so."""
    return path if SPLICE.export.keep_raw else temp(path)


def splice_dataset(wildcards):
    """The finished dataset of the splice line, and the check that vouches for it."""
    folder = f"{RESULTS}/splice"
    parts = [f"{folder}/master/part-{batch}.parquet" for batch in SPLICE_BATCHES]
    return [
        f"{folder}/master/manifest.json",
        f"{folder}/master/gene_manifest.csv",
        *(name for part in parts for name in (part, f"{part}.receipt.json")),
        f"{folder}/full_splice_performance.tsv",
        f"{folder}/check/check.json",
        *(
            f"{folder}/export/{name}.json"
            for name in SPLICE_FORMATS
            if getattr(SPLICE.export, name)
        ),
    ]


def splice_targets(wildcards):
    """Everything of the splice line: dataset, trained model, report."""
    folder = f"{RESULTS}/splice"
    targets = splice_dataset(wildcards)
    targets += [f"{folder}/report/{name}.png" for name in SPLICE_FIGURES]
    if SPLICE.train.enabled:
        targets += [f"{folder}/train/metrics.json"]
        if SPLICE.train.probes or SPLICE.train.ablations:
            targets += [f"{folder}/train/probes.json"]
        targets += [
            f"{folder}/report/{name}.png"
            for name in SPLICE_MODEL_TABLES
            if name != "ablations" or SPLICE.train.ablations
        ]
    return targets


LINES["splice"] = splice_targets
SIZES["splice"] = splice_size

# Settings that shape the dataset as a whole, for its manifest and its check.
SPLICE_SHAPING = {
    "inputs": {"min_motif_share"},
    **dict.fromkeys(["selection", "labels", "sampling", "features"], True),
}

with errors_for_people():
    if workflow.is_main_process:
        splice_refuse_missing(CONFIG.splice)
    SPLICE = splice_placed(CONFIG.splice, demo=Path(RESULTS, "demo", "splice"))
    SPLICE_RANKED = SPLICE.selection.policy in ERROR_RANKED
    # How many genes may fail matters to the pool only where a person has named them.
    SPLICE_POOL = SPLICE_ORDER | (
        {"max_failed_genes"} if SPLICE.selection.gene_file else set()
    )
    # What batches of scores take from the pool. How many genes may fail is the pool's business.
    SPLICE_TAKEN = SPLICE.selection.model_copy(
        update={"max_failed_genes": 1.0}
    ).model_dump_json(include=SPLICE_ORDER - {"pool"} | {"max_failed_genes"})
    SPLICE_GENES, SPLICE_SCORED = gene_limits(
        SPLICE, cache=STATE / "cache", trust_cache=not workflow.is_main_process
    )
    SPLICE_BATCHES = batches(SPLICE_GENES, SPLICE.selection.batch_size)
    SPLICE_POOL_BATCHES = batches(SPLICE_SCORED, SPLICE.selection.batch_size)
    SPLICE_LISTED = dict(
        zip(
            SPLICE_POOL_BATCHES,
            member_digests(SPLICE.selection, SPLICE_SCORED),
            strict=True,
        )
    )

    SHARDS["splice"] = len(SPLICE_POOL_BATCHES)
    SPLICE_MODEL = model_file(SPLICE.train.model)

splice_analysis = [
    f"<results>/splice/analysis/splice_{name}_{{batch}}.parquet"
    for name in ("positions_enhanced", "errors")
    if SPLICE.export.analysis_tables
]
