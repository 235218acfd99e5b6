"""Page of all tables that the splice line writes, made from the contracts and the registry of features."""

from __future__ import annotations

from trainyard.publish.contracts import ROLES, contract_text
from trainyard.publish.markdown import table
from trainyard.splice.analysis import ENHANCED, ERRORS
from trainyard.splice.dataset_schema import PERFORMANCE, POSITIONS, ROW_COLUMNS, dataset
from trainyard.splice.dedup import DEDUP_AUDIT
from trainyard.splice.features import MARKDOWN_HEADER, markdown_rows
from trainyard.splice.genemanifest import GENE_MANIFEST
from trainyard.splice.plan import POOL, RANKING, REQUESTED
from trainyard.splice.schema import EXONS, GENES, OVERLAPS, SITES, TRANSCRIPTS
from trainyard.splice.scoreexport import SCORES
from trainyard.splice.scorestore import SCORE_INDEX
from trainyard.splice.selection import POOL_ERRORS
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.splice.split import SPLIT
from trainyard.splice.train.ablation import ABLATIONS
from trainyard.splice.train.delta import DELTA
from trainyard.splice.train.evaluate import PREDICTIONS
from trainyard.splice.train.full_positions import FULL_TABLE
from trainyard.splice.train.importance import IMPORTANCE
from trainyard.splice.train.pooled import CALIBRATION, METRICS, TOP_K_TABLE
from trainyard.yard.tables import TableContract

_INTRO = """\
# Features and columns of the splice line

<!-- Generated: `trainyard splice columns --write`. Change src/trainyard/splice: schema.py, features.py, contracts. -->

How they are made: [splice.md](splice.md). `position` and `t` are the 0-based index of a base in its gene, in transcript
direction. `start`, `end`, `exon_pos` and `intron_pos` are on the contig, 1-based; both ends belong to the gene.
"""
_ROWS = """\
One row per kept position; `batches/batch_*_trim.parquet` is the same file by another name. No value is ever missing.
These columns are followed by the features below.
"""
_FEATURES = """\
## Features of `master/part-*.parquet`

With the default settings, in the order of the table. d, a and n are the probabilities of donor, acceptor and neither, s
is d in columns named after donors and a in those named after acceptors. The family is what `train.families` chooses
from. Features whose source is `published` have the published names and formulas.
"""
_DATASET = dataset(SpliceFeatureSettings())
_ROW = TableContract(_DATASET.name, tuple(column for column in _DATASET.columns if column.name in ROW_COLUMNS))
_BEFORE: tuple[tuple[str, str, TableContract], ...] = (
    ("`reference/genes.parquet`", "One row per gene, sorted by `gene_id`.", GENES),
    (
        "`reference/transcripts.parquet`",
        "One row per transcript with exons, sorted by `gene_id` and `transcript_id`.",
        TRANSCRIPTS,
    ),
    ("`reference/exons.parquet`", "One row per exon of a transcript.", EXONS),
    ("`reference/sites.parquet`", "One row per site of a gene, however many transcripts use it.", SITES),
    ("`reference/overlaps.parquet`", "Each pair of overlapping genes twice, once from either side.", OVERLAPS),
    ("`plan/pool.parquet`", "Genes that may be chosen, in an order that does not depend on `n_genes`.", POOL),
    ("`plan/requested.parquet`", "One row per entry of the gene file; no rows without one.", REQUESTED),
    ("`plan/errors.parquet`", "Errors of the base model in the scored pool, where they rank the genes.", POOL_ERRORS),
    ("`plan/ranking.parquet`", "Genes in the order in which they enter the dataset.", RANKING),
    ("`scores/index_*.parquet`", "One row per gene of a score batch.", SCORE_INDEX),
    ("`scores.parquet` of an export", "One row per base of every scored gene.", SCORES),
    ("`batches/batch_*_raw.parquet`", "Every position of the genes of a batch.", POSITIONS),
)
_AFTER: tuple[tuple[str, str, TableContract], ...] = (
    (
        "`full_splice_performance.tsv`, `batches/performance_*.parquet`",
        "One row per gene and site type: the record of the base model over all positions of the gene. Ratios are empty"
        " for a gene without sites of the type, and 0 where their denominator is 0.",
        PERFORMANCE,
    ),
    (
        "`master/gene_manifest.csv`",
        "One row per gene that was to be built, and per entry of the gene file that was not taken.",
        GENE_MANIFEST,
    ),
    (
        "`analysis/splice_positions_enhanced_*.parquet`",
        "One row per row of the dataset, with the published columns.",
        ENHANCED,
    ),
    ("`analysis/splice_errors_*.parquet`", "One row per FP and FN.", ERRORS),
    ("`split/split.parquet`", "One row per gene of the annotation, sorted by `gene_id`.", SPLIT),
    (
        "`train/predictions_{val,test}.parquet`",
        "One row per row of the split, in the order of the dataset.",
        PREDICTIONS,
    ),
    (
        "`train/baseline_metrics.tsv`, `train/meta_metrics.tsv`",
        "One row per split, site type, weighting and rule of the threshold; the first of the base scores, the second of"
        " the meta-model. An empty cell is a number that is not defined.",
        METRICS,
    ),
    (
        "`train/delta_vs_baseline.csv`",
        "One row per test gene and site type. Outcomes are weighted: positions of the whole gene.",
        DELTA,
    ),
    ("`train/topk.csv`", "One row per split, site type, predictor and multiple.", TOP_K_TABLE),
    ("`train/calibration.csv`", "One row per split, site type, predictor and bin that is not empty.", CALIBRATION),
    (
        "`train/full_positions.csv`",
        "Figures of `train.full_check_genes` test genes, from their rows and from all of their positions.",
        FULL_TABLE,
    ),
    ("`train/feature_importance_all.csv`", "Families first, then features by gain.", IMPORTANCE),
    ("`train/ablations.csv`", "One row per model; the first is the base model by itself.", ABLATIONS),
    ("`dedup_audit.parquet` of `trainyard splice dedup`", "One row per row that went.", DEDUP_AUDIT),
)


def splice_columns() -> str:
    """The page as Markdown."""
    meanings = {"gene_id": "gene, without version"}
    before, after = ([contract_text(*entry, meanings=meanings) for entry in tables] for tables in (_BEFORE, _AFTER))
    rows = contract_text("`master/part-*.parquet`", _ROWS.rstrip(), _ROW)
    features = [_FEATURES, table(MARKDOWN_HEADER, markdown_rows(SpliceFeatureSettings()))]
    return "\n".join([_INTRO, ROLES, *before, rows, *features, *after])
