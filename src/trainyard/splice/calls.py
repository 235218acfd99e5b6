"""Truth and the base model's call at every position of a gene, in one joint view of three classes.

A position is a base of the gene, counted from 0 in transcript direction. The score of a donor stands on the last base
of an exon, that of an acceptor on the first; annotated sites are given in the same way, so truth and score are compared
at the base itself, never within a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.schema import LABELS, SITE_TYPES
from trainyard.splice.settings import SpliceLabelSettings
from trainyard.yard.errors import IntegrityError

NEITHER, DONOR, ACCEPTOR = 0, 1, 2
CLASSES = tuple(LABELS)
"""Names of the labels 0, 1, 2."""
TP, FP, FN, TN = 0, 1, 2, 3
PRED_TYPES = ("TP", "FP", "FN", "TN")
"""Names of the outcomes 0, 1, 2, 3."""
LEFT_OUT = -1
"""Label and outcome of a base of both types where `labels.both_types` is 'drop'."""

UNKNOWN_BASE = 4
"""Code of every letter that is not A, C, G or T (0 to 3)."""

_SUM_TOLERANCE = 1e-4
"""How far donor + acceptor may exceed 1: softmax sums to 1 within 2e-7, a score rounded to four digits within 1e-4."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class Gene:
    """Where a gene lies; `start` and `end` are 1-based and closed, `chrom` is the name in the FASTA."""

    gene_id: str
    chrom: str
    start: int
    end: int
    strand: Literal["+", "-"]

    @property
    def length(self) -> int:
        """Number of bases of the locus."""
        return self.end - self.start + 1

    def exon_pos(self, t: NDArray[np.int32]) -> NDArray[np.int64]:
        """Genomic coordinate (1-based) of positions `t` (0-based, transcript direction)."""
        return self.start + t.astype(np.int64) if self.strand == "+" else self.end - t.astype(np.int64)

    def t(self, exon_pos: NDArray[np.int64]) -> NDArray[np.int32]:
        """Position (0-based, transcript direction) of genomic coordinates (1-based)."""
        return (exon_pos - self.start if self.strand == "+" else self.end - exon_pos).astype(np.int32)


@dataclass(frozen=True)
class Sites:
    """Annotated splice sites, one entry per unique (position, type)."""

    t: NDArray[np.int32]
    """Position in the gene (0-based, transcript direction), shape `(m,)`, any order."""
    acceptor: Bools
    """Shape `(m,)`: True for an acceptor, False for a donor."""
    transcripts: NDArray[np.int16]
    """Shape `(m,)`: number of transcripts that use the site."""

    @classmethod
    def none(cls) -> Sites:
        """No sites at all."""
        return cls(np.zeros(0, np.int32), np.zeros(0, np.bool_), np.zeros(0, np.int16))

    def track(self, length: int, site_type: str) -> Bools:
        """Shape `(length,)`: where a site of a type stands."""
        found = np.zeros(length, np.bool_)
        found[self.t[self.acceptor == (site_type == "acceptor")]] = True
        return found


@dataclass(frozen=True)
class GeneScores:
    """All that the dataset needs of one gene.

    Raises:
        IntegrityError: An array has another length than the gene, or a site lies outside of it.
    """

    gene: Gene
    codes: Codes
    """Bases in transcript direction, shape `(L,)`: A 0, C 1, G 2, T 3, anything else 4."""
    donor: Floats
    """Donor probability of each base, shape `(L,)`."""
    acceptor: Floats
    """Acceptor probability of each base, shape `(L,)`."""
    sites: Sites
    """Sites of this gene."""
    elsewhere: Sites
    """Sites of other genes on the same strand that lie within this gene."""

    def __post_init__(self) -> None:
        length = self.gene.length
        for what, array in (("bases", self.codes), ("donor scores", self.donor), ("acceptor scores", self.acceptor)):
            if array.shape != (length,):
                raise IntegrityError(
                    f"gene {self.gene.gene_id}: its locus has {length} bases, but there are {array.shape} {what};"
                    " the scores or the genome belong to another annotation: score the gene again"
                )
        for sites in (self.sites, self.elsewhere):
            if sites.t.size and not (sites.t.min() >= 0 and sites.t.max() < length):
                raise IntegrityError(
                    f"gene {self.gene.gene_id}: a site at position {sites.t.min()} or {sites.t.max()} lies outside of"
                    f" its {length} bases; build the reference tables again"
                )


@dataclass(frozen=True)
class Calls:
    """Truth and call of every position of a gene; all arrays have shape `(L,)`."""

    is_donor: Bools
    is_acceptor: Bools
    label: Labels
    """0 neither, 1 donor, 2 acceptor; -1 for a base of both types that is left out."""
    called: Labels
    """What the base model calls under `labels.base_call`: 0, 1 or 2."""
    argmax: Labels
    """The most probable of the three classes."""
    pred_type: Labels
    """0 TP, 1 FP, 2 FN, 3 TN; -1 where the label is -1."""
    donor_elsewhere: Bools
    """A donor of another gene on the same strand."""
    acceptor_elsewhere: Bools
    """An acceptor of another gene on the same strand."""
    transcripts: NDArray[np.int16]
    """Transcripts of this gene that use the base as a site."""

    @cached_property
    def elsewhere(self) -> Bools:
        """A site of another gene on the same strand."""
        return self.donor_elsewhere | self.acceptor_elsewhere


def classify(scores: GeneScores, settings: SpliceLabelSettings) -> Calls:
    """Compare truth and call at every position.

    A labelled position is TP where the call finds it and FN where not; an unlabelled one is FP where anything is called
    and TN where not. With `base_call: threshold` a site is found where the probability of its own type reaches the
    threshold, with `argmax` where its own type is the most probable class.
    """
    length = scores.gene.length
    is_donor, is_acceptor = (scores.sites.track(length, kind) for kind in SITE_TYPES)
    label = truth(is_donor, is_acceptor, both_types=settings.both_types)
    best = most_probable(scores.donor, scores.acceptor)
    crossing = above_threshold(scores.donor, scores.acceptor, settings.threshold)
    called = best if settings.base_call == "argmax" else crossing
    own = np.where(label == DONOR, scores.donor, scores.acceptor)
    found = called == label if settings.base_call == "argmax" else own >= np.float32(settings.threshold)
    pred_type = np.where(label == NEITHER, np.where(called == NEITHER, TN, FP), np.where(found, TP, FN))
    pred_type[label == LEFT_OUT] = LEFT_OUT
    transcripts = np.zeros(length, np.int16)
    np.add.at(transcripts, scores.sites.t, scores.sites.transcripts)
    return Calls(
        is_donor=is_donor,
        is_acceptor=is_acceptor,
        label=label,
        called=called,
        argmax=best,
        pred_type=pred_type.astype(np.int8),
        donor_elsewhere=scores.elsewhere.track(length, "donor"),
        acceptor_elsewhere=scores.elsewhere.track(length, "acceptor"),
        transcripts=transcripts,
    )


def truth(is_donor: Bools, is_acceptor: Bools, *, both_types: Literal["drop", "donor", "acceptor"]) -> Labels:
    """Label of each position; a base of both types gets -1, or the type that the settings give it."""
    label: Labels = np.where(is_donor, DONOR, np.where(is_acceptor, ACCEPTOR, NEITHER)).astype(np.int8)
    label[is_donor & is_acceptor] = {"drop": LEFT_OUT, "donor": DONOR, "acceptor": ACCEPTOR}[both_types]
    return label


def neither_score(donor: Floats, acceptor: Floats) -> Floats:
    """Probability of no site: what the two others leave of 1, never below 0."""
    left: Floats = np.clip(np.float32(1) - donor - acceptor, np.float32(0), np.float32(1))
    return left


def most_probable(donor: Floats, acceptor: Floats) -> Labels:
    """Most probable class of each position; a tie goes to neither, then to the donor."""
    return _stronger(donor, acceptor, np.maximum(donor, acceptor) > neither_score(donor, acceptor))


def above_threshold(donor: Floats, acceptor: Floats, threshold: float) -> Labels:
    """The stronger type where it reaches the threshold, else neither; a tie goes to the donor."""
    # In float32, as the scores are: 0.7 in double would be above a score that was stored as 0.7.
    return _stronger(donor, acceptor, np.maximum(donor, acceptor) >= np.float32(threshold))


def fault_of_scores(donor: Floats, acceptor: Floats) -> str:
    """What keeps two tracks from being probabilities; empty when nothing does."""
    for name, track in (("donor", donor), ("acceptor", acceptor)):
        if not np.isfinite(track).all():
            return f"{name} score at position {int(np.argmin(np.isfinite(track)))} is not finite"
        if track.size and not (track.min() >= 0 and track.max() <= 1):
            return f"{name} scores reach from {track.min():.6g} to {track.max():.6g}, not within 0 and 1"
    total = donor + acceptor
    if total.size and total.max() > 1 + _SUM_TOLERANCE:
        return f"donor + acceptor is {total.max():.6g} at position {int(total.argmax())}, more than 1"
    return ""


def _stronger(donor: Floats, acceptor: Floats, is_site: Bools) -> Labels:
    kind = np.where(donor >= acceptor, np.int8(DONOR), np.int8(ACCEPTOR))
    return np.where(is_site, kind, np.int8(NEITHER))
