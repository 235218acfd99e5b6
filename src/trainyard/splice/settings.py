"""Settings of the splice line, one model per stage, with the published defaults.

This module holds values and their checks only; nothing in it computes, so it is left out of the code digests: a
changed value reaches the rules through `params`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from trainyard.yard.settings import Settings

Family = Literal["base", "context", "published", "kmer", "motif", "structure"]
Stratum = Literal["length", "gene_type", "chrom", "n_sites"]
FAMILIES: tuple[Family, ...] = ("base", "context", "published", "kmer", "motif", "structure")
_STRATA: tuple[Stratum, ...] = ("length", "gene_type")
Policy = Literal["random", "stratified", "error_total", "error_fp", "error_fn", "hard", "custom", "all"]
ERROR_RANKED = frozenset({"error_total", "error_fp", "error_fn", "hard"})
"""Policies that rank genes by the base model's errors, so the whole pool is scored first."""


def _split_words(value: object) -> object:
    """The published flags take "protein_coding lncRNA" or "3,6" in one string."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


_Words = BeforeValidator(_split_words)


class SpliceDemoSettings(Settings):
    """The simulated genome that the default configuration builds from."""

    genes: int = Field(24, ge=6, description="Number of simulated genes; one more gene changes none of the others.")
    chromosomes: int = Field(4, ge=2, le=9, description="Simulated chromosomes, named 1, 2, ...")
    seed: int = Field(5, description="Seed of the simulation.")


class SpliceInputSettings(Settings):
    """Genome, annotation, and how their contigs are called."""

    source: Literal["demo", "files"] = Field(
        "demo", description="'demo' simulates a genome, its annotation and a base model; 'files' reads yours."
    )
    fasta: Path | None = Field(None, description="Genome FASTA: plain, gzip or bgzip; soft-masked letters count.")
    annotation: Path | None = Field(None, description="GTF or GFF3, plain or gzip; the dialect is recognised.")
    build: str = Field("", description="Name of the genome build (GRCh38, ...), carried into every table.")
    release: str = Field("", description="Release of the annotation (MANE 1.3, Ensembl 112, ...), carried along.")
    contig_aliases: dict[str, str] = Field(
        default_factory=dict, description="Contig name in the annotation -> name in the FASTA, e.g. {chr1: '1'}."
    )
    contigs: list[str] = Field(default_factory=list, description="Contigs used (FASTA names); empty: all.")
    min_motif_share: float = Field(
        0.95, ge=0, le=1, description="Least share of GT-AG among unique introns; the build stops below it."
    )
    min_offset_share: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Least share of well-scored annotated sites whose local maximum is the site itself; the build stops"
        " below it and names the offset.",
    )
    min_intron: int = Field(1, ge=1, description="Shorter gaps between exons are no introns: no site, counted.")


class SpliceModelSettings(Settings):
    """The base model, a plug-in with a declared licence."""

    backend: Literal["toy", "openspliceai-pt", "spliceai-h5", "scores-import"] = Field(
        "toy",
        description="'toy' generates a tiny network at run time; 'openspliceai-pt' and 'spliceai-h5' read weights that"
        " you supply; 'scores-import' takes scores that exist.",
    )
    weights: list[Path] = Field(default_factory=list, description="Weight files, one per member of the ensemble.")
    sha256: list[str] = Field(
        default_factory=list, description="Expected sha256 of each weight file, in the same order; empty: not checked."
    )
    licence: str = Field("", description="Licence of the weights, in words; carried into the dataset card.")
    accept_licence: bool = Field(False, description="You have read the licence of the weights and may use them.")
    context: int | None = Field(
        None, description="Context that the weights must have (80, 400, 2000, 10000); null: read from the weights."
    )
    scores: Path | None = Field(
        None,
        description="For 'scores-import': score store of another run, a table by gene and base (Parquet, CSV, TSV), or"
        " a folder of bedGraph or BigWig tracks. With another backend: score store of another run, from which scores of"
        " the same model and bases are taken instead of being computed.",
    )
    flank_mode: Literal["n_pad", "genomic"] = Field(
        "n_pad", description="What the model sees beyond the gene's ends: nothing (as trained), or the genome."
    )
    block: int = Field(
        50_000,
        ge=100,
        description="Positions scored in one piece; a matter of speed and memory: it changes scores by rounding only"
        " (1e-6 at most), and scores that are in the store are not computed again for it.",
    )
    batch_positions: int = Field(
        400_000,
        ge=100,
        description="Positions worked on at once, of one gene or of several: what a kill may cost, and on a GPU what a"
        " batch of equal pieces may hold.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the network runs.")
    threads: int = Field(2, ge=1, description="CPU threads of a scoring job.")
    trained_on_contigs: list[str] = Field(
        default_factory=list,
        description="Contigs that the base model saw in training; empty: those of the published human models"
        " (all but 1, 3, 5, 7, 9).",
    )
    held_out_contigs: list[str] = Field(
        default_factory=lambda: ["1", "3", "5", "7", "9"], description="Contigs that the base model never saw."
    )


class SpliceSelectionSettings(Settings):
    """Which genes, in which order, in which batch."""

    policy: Policy = Field(
        "random",
        description="Order of the genes: by keyed hash, stratified, by errors of the base model (the whole pool is then"
        " scored first), exactly the gene file, or all.",
    )
    n_genes: int | None = Field(None, ge=1, description="Number of genes; null: all of the pool.")
    batch_size: int = Field(250, ge=1, description="Genes per batch; one job each.")
    pool: int | None = Field(
        None,
        ge=1,
        description="Genes scored before an error-ranked choice, by hash; null: all that are eligible.",
    )
    gene_types: Annotated[list[str], _Words] = Field(
        default_factory=list, description="Biotypes kept, e.g. [protein_coding, lncRNA]; empty: all."
    )
    gene_file: Path | None = Field(
        None,
        description="Genes to take: one id or symbol per line, or a .csv/.tsv with a header. With `policy: custom`"
        " exactly these; with another policy these first, and the policy fills up to n_genes.",
    )
    gene_col: str = Field("gene_id", description="Column of the gene file that holds the genes.")
    min_sites: int = Field(1, ge=0, description="Least number of annotated splice sites of a gene.")
    strata: list[Stratum] = Field(default_factory=lambda: list(_STRATA), description="What 'stratified' spreads over.")
    seed: int = Field(42, description="Dataset seed; every draw is keyed by it and by the gene.")
    max_failed_genes: float | None = Field(
        None, ge=0, le=1, description="Largest share of genes that may fail; null: 0 for a gene file, 0.01 otherwise."
    )

    @model_validator(mode="after")
    def _policy_has_what_it_needs(self) -> SpliceSelectionSettings:
        if self.policy == "custom" and self.gene_file is None:
            raise ValueError("policy is 'custom': set gene_file")
        return self


class SpliceLabelSettings(Settings):
    """Truth, base call, and what a gene's neighbours mean."""

    threshold: float = Field(0.5, gt=0, lt=1, description="Probability from which the base model calls a site.")
    base_call: Literal["threshold", "argmax"] = Field("threshold", description="How the base model's call is read.")
    match_tolerance: int = Field(
        0, ge=0, le=2, description="For reported performance only: one-to-one matches within so many bases count."
    )
    both_types: Literal["drop", "donor", "acceptor"] = Field(
        "drop", description="A base that is donor in one transcript and acceptor in another: left out, or its label."
    )
    annotated_elsewhere: Literal["exclude", "keep"] = Field(
        "exclude", description="Unlabelled positions that are a site of another gene on the same strand."
    )


class SpliceSamplingSettings(Settings):
    """Down-sampling of true negatives: once, in four named strata, with weights."""

    hard_prob: float = Field(0.15, gt=0, lt=1, description="TN with a site probability from here on are all kept.")
    window: int = Field(75, ge=0, description="TN within so many bases of a TP, FP or FN are all kept.")
    easy_ratio: float = Field(
        0.5, ge=0, description="Easy TN kept, as a multiple of the gene's rows that are no TN; weights make up for it."
    )
    keep_all: bool = Field(False, description="Keep every position (`no_tn_sampling`).")


class SpliceFeatureSettings(Settings):
    """Columns of the feature table."""

    kmer_sizes: Annotated[list[Annotated[int, Field(ge=0, le=8)]], _Words] = Field(
        default_factory=lambda: [3],
        description="k-mers counted in the window, 4^k columns each; [] or 0 for none; the published set used 6.",
    )
    radius: int = Field(
        250, ge=10, le=30_000, description="The sequence window is 2 * radius + 1 bases, N beyond the gene."
    )
    context_radii: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default_factory=lambda: [10, 50], description="Radii in which the nearest stronger peak is looked for."
    )
    motifs: bool = Field(True, description="Donor and acceptor motif features.")
    structure: bool = Field(True, description="Gene structure, joined by gene only.")
    annotation_derived: bool = Field(
        False, description="Also mark counts of annotated sites as features; a new gene would not have them."
    )
    published_context: bool = Field(
        True,
        description="Also write the published 44 score columns, with one context per row (that of the stronger type).",
    )


class SpliceExportSettings(Settings):
    """What is written besides the dataset."""

    parquet: bool = Field(False, description="Scores as one Parquet table, a row per base.")
    bedgraph: bool = Field(False, description="Scores as bedGraph, one file per strand and site type.")
    bigwig: bool = Field(False, description="Scores as BigWig (needs pyBigWig).")
    track_floor: float = Field(0.001, ge=0, lt=1, description="Scores below this are left out of bedGraph and BigWig.")
    analysis_tables: bool = Field(True, description="`splice_positions_enhanced`, `splice_errors` per batch.")
    keep_raw: bool = Field(False, description="Keep `batch_NNNNN_raw.parquet` after trimming.")


class SpliceSplitSettings(Settings):
    """Train, validation and test, by what leaks."""

    rule: Literal["base_heldout", "chromosome", "group"] = Field(
        "base_heldout",
        description="'base_heldout': folds by locus cluster inside the contigs that the base model never saw;"
        " 'chromosome': the lists below; 'group': by locus cluster over all genes.",
    )
    train_contigs: list[str] = Field(default_factory=list, description="For 'chromosome'.")
    val_contigs: list[str] = Field(default_factory=list, description="For 'chromosome'.")
    test_contigs: list[str] = Field(default_factory=list, description="For 'chromosome'.")
    train: float = Field(0.7, gt=0, lt=1, description="Share of clusters in train.")
    val: float = Field(0.15, ge=0, lt=1, description="Share of clusters in val; test takes the rest.")
    group_table: Path | None = Field(
        None, description="CSV gene_id,group (e.g. gene families): clusters that share a group go together."
    )
    salt: str = Field("split-1", description="Name of this assignment; another salt draws another one.")

    @model_validator(mode="after")
    def _shares_fit(self) -> SpliceSplitSettings:
        if self.train + self.val > 1:
            raise ValueError("train + val must not exceed 1")
        if self.rule == "chromosome" and not (self.train_contigs and self.test_contigs):
            raise ValueError("rule is 'chromosome': set train_contigs and test_contigs")
        return self


class SplicePruneSettings(Settings):
    """Columns left out of training, judged on train rows only."""

    enabled: bool = Field(True, description="Prune constant and repeated columns.")
    corr_thr: float = Field(0.99, gt=0, le=1, description="Of two columns more correlated than this, one goes.")
    sample_rows: int = Field(100_000, ge=100, description="Train rows that are looked at, drawn by hash.")
    max_columns: int = Field(1500, ge=2, description="No correlations are computed for more columns than this.")


class SpliceTrainSettings(Settings):
    """The meta-model."""

    enabled: bool = Field(True, description="Train, evaluate and compare with the base model as part of the line.")
    model: str = Field(
        "xgboost",
        description="'xgboost', 'sgd_logistic', 'lightgbm' (extra), or the import path of a scikit-learn classifier,"
        " e.g. sklearn.ensemble.RandomForestClassifier.",
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Hyper-parameters of the model, over its published defaults."
    )
    target: Literal["multiclass", "binary"] = Field("multiclass", description="Three classes, or site against none.")
    families: list[Family] = Field(
        default_factory=lambda: list(FAMILIES), description="Feature families that the model sees."
    )
    external_memory_rows: int = Field(3_000_000, ge=1, description="Larger train sets are read in pieces from disk.")
    rounds: int = Field(300, ge=1, description="Most trees of xgboost and lightgbm.")
    early_stopping_rounds: int = Field(30, ge=1, description="Rounds without a better value on val.")
    threads: int = Field(2, ge=1, description="Threads of training; the model's bytes may depend on it.")
    baseline: Path | None = Field(
        None, description="Outside `full_splice_performance.tsv` to compare with; null: the build's own base scores."
    )
    bootstrap: int = Field(1000, ge=10, description="Resamples of locus clusters for the intervals.")
    ablations: bool = Field(True, description="Also train without each family of features.")
    ablation_rounds: int = Field(
        100,
        ge=1,
        description="Most trees of the models that are compared there; with fewer than `rounds`, the learning rate is"
        " raised in proportion.",
    )
    probes: bool = Field(True, description="Sanity probes: shuffled labels, missingness only.")
    full_check_genes: int = Field(
        20,
        ge=0,
        description="Test genes, drawn by hash, of which every position is scored: a check of figures that rows only"
        " estimate. Some 30,000 positions a second; 0: none.",
    )
    seed: int = Field(42, description="Seed of training and bootstrap.")


class SpliceSettings(Settings):
    """The splice line."""

    inputs: SpliceInputSettings = Field(default_factory=SpliceInputSettings)
    demo: SpliceDemoSettings = Field(default_factory=SpliceDemoSettings)
    model: SpliceModelSettings = Field(default_factory=SpliceModelSettings)
    selection: SpliceSelectionSettings = Field(default_factory=SpliceSelectionSettings)
    labels: SpliceLabelSettings = Field(default_factory=SpliceLabelSettings)
    sampling: SpliceSamplingSettings = Field(default_factory=SpliceSamplingSettings)
    features: SpliceFeatureSettings = Field(default_factory=SpliceFeatureSettings)
    export: SpliceExportSettings = Field(default_factory=SpliceExportSettings)
    split: SpliceSplitSettings = Field(default_factory=SpliceSplitSettings)
    prune: SplicePruneSettings = Field(default_factory=SplicePruneSettings)
    train: SpliceTrainSettings = Field(default_factory=SpliceTrainSettings)

    @model_validator(mode="after")
    def _inputs_are_named(self) -> SpliceSettings:
        if self.inputs.source == "files" and (self.inputs.fasta is None or self.inputs.annotation is None):
            raise ValueError("inputs.source is 'files': set inputs.fasta and inputs.annotation")
        model = self.model
        if model.backend in ("openspliceai-pt", "spliceai-h5"):
            if not model.weights:
                raise ValueError(f"model.backend is '{model.backend}': set model.weights")
            if not model.accept_licence:
                raise ValueError("model.accept_licence: say true once you have read the licence of the weights")
        if model.sha256 and len(model.sha256) != len(model.weights):
            raise ValueError("model.sha256 must name one checksum per file of model.weights")
        if model.backend == "scores-import" and model.scores is None:
            raise ValueError("model.backend is 'scores-import': set model.scores")
        return self
