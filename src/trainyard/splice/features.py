"""The registry of features: name, type, family, unit and formula of each, stated once.

The schema of the dataset, the feature list of a model and the page of columns are made from it; tests compare it with
what is computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from trainyard.splice.kmers import sizes_in, vocabulary
from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.settings import Family, SpliceFeatureSettings
from trainyard.yard.tables import Role

F32, I8, I32, U16 = pa.float32(), pa.int8(), pa.int32(), pa.uint16()
PUBLISHED = "published"
_OURS = "trainyard"
_KMER = re.compile(r"[1-9]mer_[ACGT]+")


@dataclass(frozen=True)
class Feature:
    """One feature column of the dataset; none is ever null."""

    name: str
    family: Family
    type: pa.DataType
    unit: str
    description: str
    """Formula or meaning; d, a, n are donor, acceptor and neither probability, s the one of the column's type."""
    source: str
    """`published`: name and formula of the published pipeline; `trainyard`: ours."""
    role: Role = Role.FEATURE


def features(settings: SpliceFeatureSettings) -> tuple[Feature, ...]:
    """All feature columns of a dataset with these settings, in the order of the table."""
    found = [*_base(), *_context(settings.context_radii)]
    if settings.published_context:
        found += _published()
    found += _composition()
    for k in sizes_in(settings.kmer_sizes):
        found += [_kmer(word) for word in vocabulary(k)]
    if settings.motifs:
        found += _motifs()
    if settings.structure:
        found += _structure(settings.annotation_derived)
    return tuple(found)


def published_names() -> tuple[str, ...]:
    """The 44 published score features."""
    return tuple(f.name for f in (*_base(), *_published()) if f.source == PUBLISHED)


def family_of(name: str) -> Family | None:
    """Family of a column by its name, whatever the settings; None for a column that is no feature column."""
    if _KMER.fullmatch(name):
        return "kmer"
    name = re.sub(r"(_peak_(?:distance|height))_\d+$", r"\1_1", name)
    every = (*_base(), *_context([1]), *_published(), *_composition(), *_motifs(), *_structure(False))
    return next((f.family for f in every if f.name == name), None)


def families(settings: SpliceFeatureSettings) -> dict[Family, list[str]]:
    """Columns with the role feature, by family: what a model may see."""
    found: dict[Family, list[str]] = {}
    for feature in features(settings):
        if feature.role is Role.FEATURE:
            found.setdefault(feature.family, []).append(feature.name)
    return found


def markdown_rows(settings: SpliceFeatureSettings) -> list[list[str]]:
    """Rows of the documentation page: name, family, type, unit, role, formula, source; one row per size of k-mer."""
    rows = []
    for f in features(settings):
        name, meaning = f"`{f.name}`", f.description
        if f.family == "kmer" and _KMER.fullmatch(f.name):
            prefix, word = f.name.split("_")
            if set(word) != {"A"}:
                continue
            name = f"`{f.name}` to `{prefix}_{'T' * len(word)}`"
            meaning = f"{4 ** len(word)} columns: how often each word stands in the window"
        rows.append([name, f.family, _TYPE_NAMES.get(f.type, str(f.type)), f.unit, f.role.value, meaning, f.source])
    return rows


MARKDOWN_HEADER = ["feature", "family", "type", "unit", "role", "formula or meaning", "source"]
_TYPE_NAMES = {F32: "float32"}
"""Where Arrow has another name than everybody else."""


def _base() -> Iterator[Feature]:
    for name, unit, text in (
        ("donor_score", "probability", "d"),
        ("acceptor_score", "probability", "a"),
        ("neither_score", "probability", "n = 1 - d - a"),
        ("relative_donor_probability", "", "d / (d + a + 1e-10)"),
        ("splice_probability", "", "(d + a) / (d + a + n + 1e-10)"),
        ("donor_acceptor_diff", "", "(d - a) / (max(d, a) + 1e-10)"),
        ("splice_neither_diff", "", "(max(d, a) - n) / (max(d, a, n) + 1e-10)"),
        ("donor_acceptor_logodds", "nat", "ln(d + 1e-10) - ln(a + 1e-10)"),
        ("splice_neither_logodds", "nat", "ln(d + a + 1e-10) - ln(n + 1e-10)"),
        ("probability_entropy", "nat", "- sum of p ln(p + 1e-10) over d, a, n"),
        ("score_difference_ratio", "", "(d - a) / (d + a + 1e-10)"),
    ):
        yield Feature(name, "base", F32, unit, text, PUBLISHED)
    yield Feature("donor_acceptor_log_ratio", "base", F32, "nat", "ln((d + 1e-6) / (a + 1e-6))", _OURS)
    yield Feature("splice_neither_log_ratio", "base", F32, "nat", "ln((d + a + 1e-6) / (n + 1e-6))", _OURS)


def _context(radii: Sequence[int]) -> Iterator[Feature]:
    for site_type in SITE_TYPES:
        for name, kind, unit, text in (
            ("m2", F32, "probability", "m2: {type} score two bases upstream; 0 beyond the gene"),
            ("m1", F32, "probability", "m1: {type} score one base upstream"),
            ("p1", F32, "probability", "p1: {type} score one base downstream"),
            ("p2", F32, "probability", "p2: {type} score two bases downstream"),
            ("mean", F32, "probability", "mean of m2, m1, p1, p2"),
            ("max", F32, "probability", "largest of m2, m1, p1, p2"),
            ("asymmetry", F32, "", "(m1 + m2) - (p1 + p2)"),
            ("is_peak", I8, "", "1 if s > m1, s > p1 and s > 0.001, else 0"),
            ("weighted", F32, "", "0.1 m2 + 0.2 m1 + 0.4 s + 0.2 p1 + 0.1 p2"),
            ("second_derivative", F32, "", "2 s - m1 - p1"),
            ("signal_strength", F32, "", "s - mean"),
            ("surge_log_ratio", F32, "nat", "ln((s + 1e-6) / (m1 + p1 + 1e-6))"),
            ("peak_height_log_ratio", F32, "nat", "ln((s + 1e-6) / (mean + 1e-6))"),
            ("max_log_ratio", F32, "nat", "ln((s + 1e-6) / (max + 1e-6))"),
        ):
            full = f"{site_type}_ctx_{name}"
            yield Feature(full, "context", kind, unit, text.format(type=site_type), _OURS)
    name = "donor_acceptor_peak_log_ratio"
    text = "donor_ctx_peak_height_log_ratio - acceptor_ctx_peak_height_log_ratio"
    yield Feature(name, "context", F32, "nat", text, _OURS)
    for site_type, other in (SITE_TYPES, SITE_TYPES[::-1]):
        for relation, target in (("same", site_type), ("other", other)):
            peak = f"nearest {target} peak above the row's {site_type} score within"
            for radius in sorted(set(radii)):
                stem, end = f"{site_type}_{relation}_peak", f"{radius} bases"
                text = f"signed distance to the {peak} {end}, negative upstream; {radius + 1}: none"
                yield Feature(f"{stem}_distance_{radius}", "context", I32, "nt", text, _OURS)
                text = f"height of the {peak} {end}; 0: none"
                yield Feature(f"{stem}_height_{radius}", "context", F32, "probability", text, _OURS)


def _published() -> Iterator[Feature]:
    row_type = "of the row's stronger type"
    yield Feature("score", "published", F32, "probability", "max(d, a)", PUBLISHED, Role.METADATA)
    for place, where in (("m2", "two bases upstream"), ("m1", "one base upstream"), ("p1", "one base downstream"),
                         ("p2", "two bases downstream")):  # fmt: skip
        text = f"{place}: score {row_type} {where}; 0 beyond the gene"
        yield Feature(f"context_score_{place}", "published", F32, "probability", text, PUBLISHED)
    for name, text in (
        ("context_neighbor_mean", "mean4: mean of m2, m1, p1, p2"),
        ("context_asymmetry", "(m1 + m2) - (p1 + p2)"),
        ("context_max", "max4: largest of m2, m1, p1, p2"),
    ):
        yield Feature(name, "published", F32, "", f"{text} ({row_type})", PUBLISHED)
    for site_type in SITE_TYPES:
        for name, text in (
            ("diff_m1", "s - m1"),
            ("diff_m2", "s - m2"),
            ("diff_p1", "s - p1"),
            ("diff_p2", "s - p2"),
            ("surge_ratio", "s / (m1 + p1 + 1e-10)"),
            ("is_local_peak", "1 if s > m1, s > p1 and s > 0.001, else 0"),
            ("weighted_context", "0.1 m2 + 0.2 m1 + 0.4 s + 0.2 p1 + 0.1 p2"),
            ("peak_height_ratio", "s / (mean4 + 1e-10)"),
            ("second_derivative", "(s - m1) - (p1 - s)"),
            ("signal_strength", "s - mean4"),
            ("context_diff_ratio", "s / (max4 + 1e-10)"),
        ):
            kind = I8 if name == "is_local_peak" else F32
            yield Feature(f"{site_type}_{name}", "published", kind, "", text, PUBLISHED)
    for name, text in (
        ("donor_acceptor_peak_ratio", "donor_peak_height_ratio / (acceptor_peak_height_ratio + 1e-10)"),
        ("type_signal_difference", "donor_signal_strength - acceptor_signal_strength"),
        ("signal_strength_ratio", "donor_signal_strength / (acceptor_signal_strength + 1e-10)"),
    ):
        yield Feature(name, "published", F32, "", text, PUBLISHED)


def _composition() -> Iterator[Feature]:
    text = "share of G and C among the known bases of the window; 0 without any"
    yield Feature("gc_content", "kmer", F32, "", text, _OURS)
    text = "Shannon entropy of A, C, G, T among the known bases of the window"
    yield Feature("sequence_complexity", "kmer", F32, "bit", text, _OURS)


def _kmer(word: str) -> Feature:
    return Feature(f"{len(word)}mer_{word}", "kmer", U16, "", f"how often {word} stands in the window", _OURS)


def _motifs() -> Iterator[Feature]:
    for name, kind, unit, text in (
        ("donor_motif_score", F32, "bit", "log-odds of the 9-mer -3 to +6 around the base as the last of an exon"),
        (
            "acceptor_motif_score",
            F32,
            "bit",
            "log-odds of the 23-mer -20 to +3 around the base as the first of an exon",
        ),
        ("donor_is_gt", I8, "", "1 if GT follows the base"),
        ("donor_is_gc", I8, "", "1 if GC follows the base"),
        ("donor_is_at", I8, "", "1 if AT follows the base"),
        ("acceptor_is_ag", I8, "", "1 if AG precedes the base"),
        ("acceptor_is_ac", I8, "", "1 if AC precedes the base"),
        ("polypyrimidine_fraction", F32, "", "share of C and T among the known bases of -20 to -3 before the base"),
    ):
        yield Feature(name, "motif", kind, unit, text, _OURS)


def _structure(annotation_derived: bool) -> Iterator[Feature]:
    representative = "of the representative transcript (MANE Select, else canonical, longest CDS, longest spliced)"
    for name, kind, unit, text in (
        ("dist_to_5p", I32, "nt", "bases upstream in the gene: position"),
        ("dist_to_3p", I32, "nt", "bases downstream in the gene: gene_length - 1 - position"),
        ("relative_position", F32, "", "position / (gene_length - 1)"),
        ("gene_length", I32, "nt", "length of the locus"),
        ("num_transcripts", I32, "", "transcripts of the gene"),
        ("overlap_same_strand", I32, "", "genes that overlap this one on its strand"),
        ("overlap_opposite_strand", I32, "", "genes that overlap this one on the other strand"),
        ("rep_spliced_length", I32, "nt", f"sum of exon lengths {representative}"),
        ("rep_num_exons", I32, "", f"exons {representative}"),
        ("rep_avg_exon_length", F32, "nt", f"mean exon length {representative}"),
        ("rep_median_exon_length", F32, "nt", f"median exon length {representative}"),
        ("rep_total_intron_length", I32, "nt", f"sum of intron lengths {representative}"),
    ):
        yield Feature(name, "structure", kind, unit, text, _OURS)
    role = Role.FEATURE if annotation_derived else Role.METADATA
    for name, kind, text in (
        ("n_donors", I32, "annotated donors of the gene; annotation-derived, a new gene has none"),
        ("n_acceptors", I32, "annotated acceptors of the gene; annotation-derived"),
        ("n_splice_sites", I32, "n_donors + n_acceptors; annotation-derived"),
        ("splice_density_per_kb", F32, "n_splice_sites per 1,000 bases of the gene; annotation-derived"),
    ):
        yield Feature(name, "structure", kind, "1/kb" if "density" in name else "", text, _OURS, role)
