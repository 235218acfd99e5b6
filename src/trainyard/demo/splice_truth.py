"""What is planted in the simulated genome, and what the line must count: an account by kind of item and reason."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from trainyard.demo import splice_bases as planted
from trainyard.demo.splice_annotation import MALFORMED
from trainyard.demo.splice_genes import DECOY_SHARE, FAR, NEAR, NEAR_SHARE, Gene, Transcript
from trainyard.demo.splice_genome import Placed
from trainyard.demo.splice_motifs import UNKNOWN
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import ACCEPTOR, DONOR


def signal() -> dict[str, Any]:
    """The planted signal, which the toy model does not see and a meta-model can."""
    return {
        "rule": "real exons have runs of G in the introns beside them, enhancers within, and before their acceptors a"
        " branch point and a long tract; decoys have none of it",
        "runs": list(planted.RUNS),
        "runs_from_exon_nt": list(planted.RUN_REACH),
        "nt_per_run": planted.RUN_SPACING,
        "enhancers": list(planted.ENHANCERS),
        "nt_per_enhancer": planted.ENHANCER_SPACING,
        "long_tract_from_acceptor_nt": list(planted.LONG_TRACT),
        "decoys_of_each_kind_per_intron": DECOY_SHARE,
        "decoys_from_exon_nt": FAR,
        "near_share": NEAR_SHARE,
        "near_from_exon_nt": NEAR,
        "features": ["3mer_GGG", "3mer_GAA", "3mer_AGA", "3mer_AAG"],
    }


def site_rows(genes: Iterable[Placed]) -> list[dict[str, Any]]:
    """Sites of the genes that stand, by gene and position."""
    return [
        {
            "gene_id": one.gene.gene_id,
            "site_type": site.kind,
            "t": site.t,
            "exon_pos": one.position(site.t),
            "transcript_count": one.gene.transcripts_at(site),
            "ends": site.ends,
        }
        for one in genes
        if one.gene.fate is None
        for site in one.gene.sites
    ]


def decoy_rows(genes: Iterable[Placed]) -> list[dict[str, Any]]:
    """Decoys in the genes that stand."""
    return [
        {"gene_id": one.gene.gene_id, "site_type": decoy.kind, "t": decoy.t, "exon_pos": one.position(decoy.t)}
        for one in genes
        if one.gene.fate is None
        for decoy in one.gene.decoys
    ]


def gene_rows(genes: Iterable[Placed]) -> list[dict[str, Any]]:
    """All genes, with what becomes of them."""
    return [
        {
            "gene_id": one.gene.gene_id,
            "gene_type": one.gene.gene_type,
            "contig": one.contig,
            "start": one.start,
            "end": one.end,
            "strand": one.gene.strand,
            "transcripts": len(one.gene.transcripts),
            "sites": len(one.gene.sites),
            "rejected": one.gene.fate,
        }
        for one in genes
    ]


def expected(genes: Sequence[Placed], *, lines: int) -> dict[str, Any]:
    """What the ledgers of reference, plan and batches say under the default settings, and some totals.

    Args:
        genes: All genes.
        lines: Lines of the annotation, less comments.
    """
    standing = [one for one in genes if one.gene.fate is None]
    eligible = [one for one in standing if one.gene.sites]
    elsewhere = _elsewhere(standing)
    return {
        "reference": _reference([one.gene for one in genes], lines),
        "plan": {
            "gene": _account(len(standing), {Reason.TOO_FEW_SITES: len(standing) - len(eligible)}),
            "ranked_gene": _account(len(eligible), {}),
        },
        "batches": {
            "gene": _account(len(eligible), {}),
            "site": _account(sum(len(one.gene.sites) for one in eligible), {Reason.BOTH_TYPES: 2 * _both(eligible)}),
            # How many positions are trimmed, only the base model's scores tell.
            "position": {
                "expected": sum(one.gene.length for one in eligible),
                "rejected": _plain(
                    {
                        Reason.UNKNOWN_BASE: sum(int((one.codes == UNKNOWN).sum()) for one in eligible),
                        Reason.BOTH_TYPES: _both(eligible),
                        Reason.ANNOTATED_ELSEWHERE: sum(elsewhere[one.gene.gene_id] for one in eligible),
                    }
                ),
            },
        },
        "counts": {
            "genes": len(standing),
            "transcripts": sum(transcript.stands for one in standing for transcript in one.gene.transcripts),
            "donors": sum(site.kind == DONOR for one in standing for site in one.gene.sites),
            "acceptors": sum(site.kind == ACCEPTOR for one in standing for site in one.gene.sites),
            "unique_introns": sum(len(one.gene.introns) for one in standing),
            "locus_clusters": len(standing) - sum(one.gene.head > 0 for one in standing),
        },
        "introns": Counter(ends for one in standing for ends in one.gene.introns.values()),
    }


def _reference(genes: Sequence[Gene], lines: int) -> dict[str, Any]:
    transcripts = [(transcript, _fate(gene, transcript)) for gene in genes for transcript in gene.transcripts]
    standing = [transcript for transcript, fate in transcripts if fate is None]
    exons: Counter[Reason] = Counter()
    for transcript, fate in transcripts:
        exons[fate or Reason.EXONS_OVERLAP] += (
            len(transcript.exons) if fate else _faults(transcript, Reason.EXONS_OVERLAP)
        )
    introns = {
        reason: sum(_faults(transcript, reason) for transcript in standing)
        for reason in (Reason.EXONS_OVERLAP, Reason.SHORT_INTRON)
    }
    stand = sum(gene.fate is None for gene in genes)
    return {
        "line": _account(lines, {Reason.MALFORMED_LINE: MALFORMED}),
        "exon": _account(sum(len(transcript.exons) for transcript, _ in transcripts), exons),
        "transcript": _account(len(transcripts), Counter(fate for _, fate in transcripts if fate)),
        "gene": _account(len(genes), Counter(gene.fate for gene in genes if gene.fate)),
        "gene_line": _account(stand, {}),
        "gene_type": _account(stand, {}),
        "spliced_transcript": _account(
            len(standing), {Reason.SINGLE_EXON: sum(len(transcript.exons) == 1 for transcript in standing)}
        ),
        "intron": _account(sum(len(transcript.exons) - 1 for transcript in standing), introns),
    }


def _fate(gene: Gene, transcript: Transcript) -> Reason | None:
    return gene.fate if transcript.stands else transcript.fault


def _faults(transcript: Transcript, reason: Reason) -> int:
    """How often a transcript has a fault: as its makers plant it, once."""
    return int(transcript.fault is reason)


def _both(genes: Iterable[Placed]) -> int:
    """Positions that are donor and acceptor."""
    kinds = Counter((one.gene.gene_id, site.t) for one in genes for site in one.gene.sites)
    return sum(n > 1 for n in kinds.values())


def _elsewhere(genes: Sequence[Placed]) -> dict[str, int]:
    """By gene, positions that are sites of another gene on its strand, and none of its own."""
    sites: dict[tuple[str, str], set[int]] = defaultdict(set)
    own = {one.gene.gene_id: {one.position(site.t) for site in one.gene.sites} for one in genes}
    for one in genes:
        sites[one.contig, one.gene.strand] |= own[one.gene.gene_id]
    ordered = {place: sorted(found) for place, found in sites.items()}
    found = {}
    for one in genes:
        all_ = ordered[one.contig, one.gene.strand]
        inside = all_[bisect_left(all_, one.start) : bisect_right(all_, one.end)]
        found[one.gene.gene_id] = len(set(inside) - own[one.gene.gene_id])
    return found


def _account(expected: int, rejected: dict[Reason, int] | Counter[Reason]) -> dict[str, Any]:
    plain = _plain(rejected)
    return {"expected": expected, "kept": expected - sum(plain.values()), "rejected": plain}


def _plain(rejected: dict[Reason, int] | Counter[Reason]) -> dict[str, int]:
    return {reason.value: n for reason, n in sorted(rejected.items()) if n}
