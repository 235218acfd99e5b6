"""The closed list of reasons for which the splice line rejects an item."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a line, gene, transcript, intron or position did not make it; the value is what people read."""

    # lines of the annotation
    MALFORMED_LINE = "malformed_line"
    NO_GENE = "no_gene_id"
    # transcripts and introns
    SINGLE_EXON = "single_exon_transcript"
    EXONS_OVERLAP = "exons_overlap"
    TWO_STRANDS = "exons_on_two_strands_or_contigs"
    TWO_GENES = "exons_of_two_genes"
    NO_EXONS = "no_exons"
    SHORT_INTRON = "intron_too_short"
    # genes
    CONTIG_NOT_IN_GENOME = "contig_not_in_genome"
    CONTIG_NOT_USED = "contig_not_used"
    PAST_CONTIG_END = "past_end_of_contig"
    NO_STRAND = "no_strand"
    ALL_UNKNOWN_BASES = "all_unknown_bases"
    TYPE_NOT_KEPT = "gene_type_not_kept"
    TOO_FEW_SITES = "too_few_sites"
    REPEATED_GENE = "repeated_gene"
    NO_GENE_LINE = "no_gene_line"
    NO_GENE_TYPE = "no_gene_type"
    NOT_IN_ANNOTATION = "not_in_annotation"
    NOT_CHOSEN = "not_chosen"
    NO_ERRORS = "no_errors_of_the_base_model"
    NOT_HARD = "f1_above_one_half"
    NO_ROWS = "no_rows_after_trimming"
    NO_SCORES = "no_scores"
    BAD_SCORES = "scores_not_probabilities"
    # positions
    BOTH_TYPES = "donor_and_acceptor"
    ANNOTATED_ELSEWHERE = "site_of_another_gene"
    UNKNOWN_BASE = "unknown_base"
    TRIMMED = "easy_negative_not_drawn"
    # genes in no split
    SEEN_BY_BASE_MODEL = "contig_not_held_out_from_base_model"
    CONTIG_IN_NO_SPLIT = "contig_in_no_split"
    # rows and files of a dataset
    REPEATED_ROW = "repeated_row"
    CORRUPTED = "corrupted"
    WRONG_SCHEMA = "wrong_schema"
