"""The motif gate: do introns start with GT and end with AG?

Nearly all introns do (human 98.7-99 %; GC-AG and AT-AC make up most of the rest). An annotation that is shifted, on the
wrong strand or of another build does not, whatever its file looks like, so this is looked at before anything is built.
A refused annotation is searched for the shift that would put it right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.genome import UNKNOWN, Genome
from trainyard.yard.errors import InputError

Codes = NDArray[np.int32]
Places = NDArray[np.int64]
Signs = NDArray[np.int8]
Flags = NDArray[np.bool_]

REACH = 3
"""Shifts are searched from -REACH to +REACH."""
_RESTORED = 0.8
"""Share of GT-AG from which a shift counts as the right one; by chance it is 0.4 %."""
_ENOUGH = 20
"""Introns of a contig from which its share is worth a word."""
_WINDOW = 4_000_000
"""Bases of the genome held at a time."""
# Two bases as 4 * first + second, codes A 0, C 1, G 2, T 3; 16 stands for two bases of which one is unknown.
_NO_PAIR = 16
_AC, _AG, _AT, _CT, _GC, _GT = 1, 2, 3, 7, 9, 11
_REVERSED = np.array([4 * (3 - pair % 4) + 3 - pair // 4 for pair in range(16)] + [_NO_PAIR], np.uint8)


@dataclass(frozen=True)
class UniqueIntrons:
    """Introns, each counted once however many transcripts have it; all arrays have shape `(n,)`."""

    contigs: list[str]
    """Names of the FASTA."""
    contig: Codes
    """Index into `contigs`."""
    left: Places
    """First base on the contig, 1-based."""
    right: Places
    """Last base."""
    sign: Signs
    """1 on the + strand, -1 on the - strand."""

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class Shift:
    """What has to be added to coordinates of exons to restore GT-AG."""

    starts: int
    """To the starts of exons (1-based, on the contig), nt."""
    ends: int
    """To their ends."""
    share: float
    """Share of GT-AG among the introns after that."""


@dataclass(frozen=True)
class MotifReport:
    """What the ends of introns look like, in transcript direction."""

    introns: int
    """Unique introns, less those with an unknown base in their motif."""
    unknown: int
    """Unique introns with an unknown base in their motif."""
    counts: dict[str, int]
    """GT-AG, GC-AG, AT-AC and other."""
    by_strand: dict[str, float]
    """Share of GT-AG by strand, of strands that have introns."""
    by_contig: dict[str, tuple[int, float]]
    """Introns and share of GT-AG by contig."""
    shifts: dict[str, Shift]
    """Best shift by strand; 0, 0 where the coordinates are best as they are."""
    swapped: float
    """Share of GT-AG if every intron lay on the other strand."""

    @property
    def share(self) -> float:
        """Share of GT-AG; 0 without introns."""
        return self.counts["GT-AG"] / self.introns if self.introns else 0.0

    def to_dict(self) -> dict[str, Any]:
        """For `motif.json`."""
        return {
            "introns": self.introns,
            "introns_with_unknown_bases": self.unknown,
            "counts": self.counts,
            "gt_ag_share": round(self.share, 6),
            "gt_ag_share_by_strand": {strand: round(share, 6) for strand, share in self.by_strand.items()},
            "by_contig": {
                name: {"introns": n, "gt_ag_share": round(share, 6)} for name, (n, share) in self.by_contig.items()
            },
            "best_shift_by_strand": {
                strand: {"exon_starts": s.starts, "exon_ends": s.ends, "gt_ag_share": round(s.share, 6)}
                for strand, s in self.shifts.items()
            },
            "gt_ag_share_on_the_other_strand": round(self.swapped, 6),
        }


def unique_introns(contigs: Sequence[str], contig: Codes, left: Places, right: Places, sign: Signs) -> UniqueIntrons:
    """Introns without repetition, sorted by contig and place."""
    rows = np.unique(np.stack([contig, left, right, sign], axis=1).astype(np.int64), axis=0)
    return UniqueIntrons(
        list(contigs), rows[:, 0].astype(np.int32), rows[:, 1].copy(), rows[:, 2].copy(), rows[:, 3].astype(np.int8)
    )


def measure(genome: Genome, introns: UniqueIntrons) -> MotifReport:
    """Read the ends of all introns, also where they would be if coordinates were shifted by up to three bases."""
    # Column REACH + s has the two bases of an intron's end moved by s.
    left = _pairs(genome, introns.contigs, introns.contig, introns.left)
    right = _pairs(genome, introns.contigs, introns.contig, introns.right - 1)
    known = (left[:, REACH] != _NO_PAIR) & (right[:, REACH] != _NO_PAIR)
    left, right, plus, contig = left[known], right[known], introns.sign[known] > 0, introns.contig[known]
    five = np.where(plus, left[:, REACH], _REVERSED[right[:, REACH]])
    three = np.where(plus, right[:, REACH], _REVERSED[left[:, REACH]])
    good = (five == _GT) & (three == _AG)
    counts = {
        "GT-AG": int(good.sum()),
        "GC-AG": int(((five == _GC) & (three == _AG)).sum()),
        "AT-AC": int(((five == _AT) & (three == _AC)).sum()),
    }
    strands = {"+": plus, "-": ~plus}
    return MotifReport(
        introns=len(good),
        unknown=int((~known).sum()),
        counts={**counts, "other": len(good) - sum(counts.values())},
        by_strand={name: float(good[on].mean()) for name, on in strands.items() if on.any()},
        by_contig=_by_contig(introns.contigs, contig, good),
        shifts={name: _best_shift(left[on], right[on], name) for name, on in strands.items() if on.any()},
        swapped=_swapped(left[:, REACH], right[:, REACH], plus),
    )


def check(report: MotifReport, *, min_share: float, what: str, conflicts: Sequence[str] = ()) -> None:
    """Let the annotation pass, or say what is wrong with it.

    Args:
        report: What was measured.
        min_share: Least share of GT-AG.
        what: The annotation, for the message.
        conflicts: Contigs that the annotation says have another length than in the FASTA.

    Raises:
        InputError: No introns, or too few of them are GT-AG; the message names the offset that was found and what may
            have caused it.
    """
    if report.introns == 0:
        raise InputError(
            f"{what}: not one intron whose ends can be read in the genome ({report.unknown} end in unknown bases);"
            " an annotation with transcripts of several exons is needed, and the genome that belongs to it"
        )
    if report.share >= min_share:
        return
    raise InputError(
        f"{what}: {_percent(report.share)} of {report.introns} unique introns are GT-AG, at least {_percent(min_share)}"
        f" are expected (splice.inputs.min_motif_share). {_diagnosis(report, conflicts)}"
    )


def odd_contigs(report: MotifReport) -> list[str]:
    """Contigs on which less than half of the introns are GT-AG, of those with enough introns to tell."""
    return [name for name, (n, share) in report.by_contig.items() if n >= _ENOUGH and share < 0.5]


def _pairs(genome: Genome, contigs: Sequence[str], contig: Codes, first: Places) -> NDArray[np.uint8]:
    """Two bases from `first` on, moved by -REACH ... REACH.

    Returns:
        Shape `(n, 2 * REACH + 1)`, 4 * first base + second, 16 where one is unknown; genomic direction.
    """
    around = np.arange(-REACH, REACH + 2)
    bases = np.full((len(first), len(around)), UNKNOWN, np.uint8)
    # Piece by piece, and only pieces in which something lies, so that memory does not grow with the genome.
    piece = first // _WINDOW
    order = np.lexsort((piece, contig))
    starts = np.flatnonzero(np.diff(contig[order], prepend=-1) | np.diff(piece[order], prepend=-1))
    for rows in np.split(order, starts[1:]) if len(order) else []:
        low = int(first[rows].min()) - REACH
        codes = genome.fetch(contigs[contig[rows[0]]], low, int(first[rows].max()) + REACH + 1)
        bases[rows] = codes[(first[rows] - low)[:, None] + around]
    one, two = bases[:, :-1], bases[:, 1:]
    return np.where((one < UNKNOWN) & (two < UNKNOWN), 4 * one + two, _NO_PAIR).astype(np.uint8)


def _best_shift(left: NDArray[np.uint8], right: NDArray[np.uint8], strand: str) -> Shift:
    """Shift of exon ends (left of introns) and exon starts (right of introns) with most GT-AG, the smallest one."""
    at_left, at_right = (_GT, _AG) if strand == "+" else (_CT, _AC)
    both = (left == at_left).T.astype(np.float64) @ (right == at_right)
    steps = np.arange(-REACH, REACH + 1)
    size = np.abs(steps)[:, None] + np.abs(steps)
    ends, starts = np.unravel_index(np.lexsort((size.ravel(), -both.ravel()))[0], both.shape)
    return Shift(int(steps[starts]), int(steps[ends]), float(both[ends, starts] / len(left)))


def _by_contig(contigs: Sequence[str], contig: Codes, good: Flags) -> dict[str, tuple[int, float]]:
    number, hits = (np.bincount(contig, weights=w, minlength=len(contigs)) for w in (None, good))
    return {name: (int(n), float(k / n)) for name, n, k in zip(contigs, number, hits, strict=True) if n}


def _swapped(left: NDArray[np.uint8], right: NDArray[np.uint8], plus: Flags) -> float:
    good = np.where(plus, (left == _CT) & (right == _AC), (left == _GT) & (right == _AG))
    return float(good.mean()) if len(good) else 0.0


def _diagnosis(report: MotifReport, conflicts: Sequence[str]) -> str:
    """What is wrong, as far as it can be told, why, and what to do."""
    moved = {name: s for name, s in report.shifts.items() if (s.starts, s.ends) != (0, 0) and s.share >= _RESTORED}
    if moved:
        found = "; ".join(f"strand {name}: {_offset(shift)}" for name, shift in moved.items())
        return f"The coordinates are off: {found}. Likely cause: {_cause(moved, report)}"
    if report.swapped >= _RESTORED:
        return (
            f"On the other strand {_percent(report.swapped)} would be. Likely cause: the strands are swapped, or the"
            " genome is the reverse complement of the one annotated"
        )
    odd = odd_contigs(report)
    if odd and len(odd) < len(report.by_contig):
        shown = ", ".join(f"{name} {_percent(report.by_contig[name][1])}" for name in odd[:5])
        return (
            f"Only some contigs are off: {shown}. Likely cause: wrong splice.inputs.contig_aliases, or a mix of builds"
        )
    if report.share >= _RESTORED:
        return (
            "No shift of coordinates does better, so the annotation fits the genome but has unusual introns, or gaps"
            " that are none: raise splice.inputs.min_intron, or lower splice.inputs.min_motif_share if that is so"
        )
    lengths = f" The lengths of {', '.join(conflicts[:5])} differ from what the annotation states." if conflicts else ""
    return (
        f"No shift of up to {REACH} bases puts it right.{lengths} Likely cause: annotation and genome are of different"
        " builds (GRCh37 and GRCh38, say) or species; give the pair that belongs together"
    )


def _offset(shift: Shift) -> str:
    """Offset of exon coordinates in words: what the file has less what it should have."""
    starts, ends = -shift.starts, -shift.ends
    where = f"offset {starts:+d}" if starts == ends else f"offset of exon starts {starts:+d}, of exon ends {ends:+d}"
    advice = (
        f"add {-starts:+d} to the coordinates" if starts == ends else f"add {-starts:+d} to starts, {-ends:+d} to ends"
    )
    return f"{where} ({advice} and {_percent(shift.share)} are GT-AG)"


def _cause(moved: dict[str, Shift], report: MotifReport) -> str:
    pairs = {(-shift.starts, -shift.ends) for shift in moved.values()}
    everywhere = len(moved) == len(report.by_strand)
    if everywhere and pairs == {(-1, -1)}:
        return "0-based coordinates were written as 1-based ones; GTF and GFF3 count from 1"
    if everywhere and pairs == {(-1, 0)}:
        return "starts were taken over from BED or genePred, which count them from 0; GTF and GFF3 count from 1"
    if everywhere and pairs == {(1, 1)}:
        return "1 was added twice, or the first base of the genome was cut off"
    if everywhere and len(pairs) == 1 and (pair := next(iter(pairs)))[0] == pair[1]:
        return "annotation or genome were cut or moved (sub-sequence, lift-over) without the other"
    if everywhere and pairs == {(-1, 1)}:
        return "exons include the first and last base of introns"
    if not everywhere:
        return "the conversion of the other strand was right, that of this one was not; convert the original file again"
    return "coordinates were converted, by strand or by end, more or less often than needed; convert the original again"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
