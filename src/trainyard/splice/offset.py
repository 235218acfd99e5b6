"""The offset gate: does the base model peak exactly on the annotated sites?

A base model scores the last exon base of a donor and the first exon base of an acceptor. Where annotation and genome
fit, the highest score near a recognised site is on the site itself; where one of them is shifted, it is a few bases
off, by the same number everywhere. Nothing is ever moved to make it fit: the build stops and names the offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice.gate import reported
from trainyard.splice.reference import Reference
from trainyard.splice.schema import ACCEPTOR, DONOR, SITE_TYPES
from trainyard.splice.scorestore import ScoreStore
from trainyard.yard.errors import InputError

Floats = NDArray[np.float32]
Places = NDArray[np.int32]
Group = tuple[str, str]
"""Site type and strand."""

RADIUS = 5
"""Bases on either side of a site in which its peak is looked for."""
WELL_SCORED = 0.5
"""A site counts where the highest score within the radius is at least this."""
STRANDS = ("+", "-")
_ENOUGH = 5
"""Well-scored sites of a type and strand from which their share is judged; one of them may always be off."""
_RECOGNISED = 0.02
"""Least share of well-scored sites among all; around random places about 0.2 % are."""
_ENOUGH_TO_MISS = 200
"""Sites from which it is judged whether the model recognises any."""


@dataclass
class OffsetReport:
    """Where peaks lie, counted from the annotated sites, in transcript direction."""

    sites: dict[Group, int] = field(default_factory=lambda: dict.fromkeys(_GROUPS, 0))
    """All annotated sites."""
    peaks: dict[Group, NDArray[np.int64]] = field(
        default_factory=lambda: {group: np.zeros(2 * RADIUS + 1, np.int64) for group in _GROUPS}
    )
    """Well-scored sites by the offset of their peak, from -RADIUS to RADIUS."""
    genes: int = 0

    def add(self, strand: str, tracks: Mapping[str, Floats], sites: Mapping[str, Places]) -> None:
        """Count the sites of one gene.

        Args:
            strand: Of the gene.
            tracks: Probabilities by site type, each of shape `(length,)`.
            sites: Places of its sites by site type.
        """
        self.genes += 1
        for site_type in SITE_TYPES:
            self.sites[site_type, strand] += len(sites[site_type])
            self.peaks[site_type, strand] += peak_offsets(tracks[site_type], sites[site_type])

    def well_scored(self, group: Group) -> int:
        """Sites with a good score nearby."""
        return int(self.peaks[group].sum())

    def mode(self, group: Group) -> int:
        """Commonest offset; of equally common ones the nearest to 0."""
        return min(range(-RADIUS, RADIUS + 1), key=lambda offset: (-self.peaks[group][offset + RADIUS], abs(offset)))

    def share(self, group: Group, offset: int = 0) -> float:
        """Share of well-scored sites with an offset; 0 without any."""
        return float(self.peaks[group][offset + RADIUS]) / max(self.well_scored(group), 1)

    @property
    def judged(self) -> list[Group]:
        """Groups with enough well-scored sites."""
        return [group for group in _GROUPS if self.well_scored(group) >= _ENOUGH]

    @property
    def exact(self) -> float:
        """Share of all well-scored sites that are their own peak; 0 without any."""
        total = sum(self.well_scored(group) for group in _GROUPS)
        return sum(int(peaks[RADIUS]) for peaks in self.peaks.values()) / max(total, 1)

    def to_dict(self) -> dict[str, Any]:
        """For `offset.json`."""
        return {
            "genes": self.genes,
            "radius": RADIUS,
            "well_scored_from": WELL_SCORED,
            "exact_share": round(self.exact, 6),
            "groups": [
                {
                    "site_type": site_type,
                    "strand": strand,
                    "sites": self.sites[site_type, strand],
                    "well_scored": self.well_scored((site_type, strand)),
                    "peaks_by_offset": dict(
                        zip(map(str, range(-RADIUS, RADIUS + 1)), self.peaks[site_type, strand].tolist(), strict=True)
                    ),
                    "mode": self.mode((site_type, strand)),
                    "exact_share": round(self.share((site_type, strand)), 6),
                    "judged": (site_type, strand) in self.judged,
                }
                for site_type, strand in _GROUPS
            ],
        }


def offset_gate(reference: Reference, store: ScoreStore, out: Path, *, min_share: float) -> OffsetReport:
    """Measure the genes of a store, let them pass or not, and write what was found.

    Args:
        reference: Genes and their sites.
        store: Their scores, of a whole build or of a part; genes that were not scored are passed over.
        out: `offset.json` of genes that pass; of others it is `offset_refused.json` beside it.
        min_share: See `check`.

    Raises:
        InputError: See `check`.
        IntegrityError: Scores are missing or broken.
    """
    report = OffsetReport()
    for gene_id in (entry.gene_id for entry in store.entries.values() if entry.key is not None):
        table = reference.sites_of(gene_id)
        t, site_types = table["t"].to_numpy(), table["site_type"]
        sites = {site_type: t[pc.equal(site_types, site_type).to_numpy()] for site_type in SITE_TYPES}
        tracks = dict(zip(SITE_TYPES, store.get(gene_id), strict=True))
        report.add(reference.gene(gene_id)["strand"], tracks, sites)
    inputs = (reference.description[name]["path"] for name in ("annotation", "fasta"))
    with reported(out, {**report.to_dict(), "min_offset_share": min_share}):
        check(report, min_share=min_share, what=" with ".join(inputs))
    return report


def peak_offsets(scores: Floats, t: Places) -> NDArray[np.int64]:
    """Count, for each offset from -RADIUS to RADIUS, the well-scored sites whose peak lies there.

    A peak shared by several places counts for the site itself if it is one of them, else for the first.

    Args:
        scores: Probability of the sites' type, shape `(length,)`.
        t: Places of the sites, shape `(n,)`.
    """
    around = np.pad(scores, RADIUS, constant_values=-1.0)[t[:, None] + np.arange(2 * RADIUS + 1)]
    peak = around.max(axis=1, initial=-1.0)
    offset = np.where(around[:, RADIUS] == peak, RADIUS, around.argmax(axis=1)) if len(t) else np.zeros(0, np.int64)
    return np.bincount(offset[peak >= WELL_SCORED], minlength=2 * RADIUS + 1)


def check(report: OffsetReport, *, min_share: float, what: str) -> None:
    """Let the scores pass, or say by how much they are off.

    Args:
        report: What was measured.
        min_share: Least share of exact peaks among the well-scored sites of each type and strand.
        what: Annotation and genome, for the message.

    Raises:
        InputError: Peaks are elsewhere, or there are hardly any; the message names the offset that was found and what
            may have caused it.
    """
    off = [group for group in report.judged if not _is_exact(report, group, min_share)]
    if off:
        raise InputError(
            f"{what}: the base model does not peak on the annotated sites: {'; '.join(_found(report, g) for g in off)}"
            f" (at least {_percent(min_share)} must lie on the site: splice.inputs.min_offset_share). Likely cause:"
            f" {_cause({group: report.mode(group) for group in report.judged})}"
        )
    sites = sum(report.sites.values())
    recognised = sum(report.well_scored(group) for group in _GROUPS)
    if sites >= _ENOUGH_TO_MISS and recognised < _RECOGNISED * sites:
        raise InputError(
            f"{what}: the base model recognises {recognised} of {sites} annotated sites. Likely cause: annotation and"
            " genome are of different builds, strands are swapped, or the weights are of another kind of organism"
        )


def _is_exact(report: OffsetReport, group: Group, min_share: float) -> bool:
    missed = report.well_scored(group) - int(report.peaks[group][RADIUS])
    return report.mode(group) == 0 and (missed <= 1 or report.share(group) >= min_share)


def _found(report: OffsetReport, group: Group) -> str:
    mode = report.mode(group)
    where = "the site" if mode == 0 else f"offset {mode:+d}"
    return (
        f"{group[0]}s on strand {group[1]}: {_percent(report.share(group, mode))} of {report.well_scored(group)} peaks"
        f" at {where}"
    )


def _cause(modes: Mapping[Group, int]) -> str:
    """Why the peaks may lie where they do; offsets count in transcript direction."""
    # On the - strand a step along the genome is a step back in the transcript.
    genomic = {mode if strand == "+" else -mode for (_, strand), mode in modes.items()}
    by_type = {site_type: {mode for (kind, _), mode in modes.items() if kind == site_type} for site_type in SITE_TYPES}
    if genomic == {0}:
        return (
            "many sites lie beside a stronger one, so annotation and model disagree, or the model is a weak one; look"
            " at the counts in offset_refused.json, and lower min_offset_share if they are plausible"
        )
    if by_type[DONOR] <= {-1} and by_type[ACCEPTOR] <= {1}:
        return "the annotation gives the bases next to the exons, not their ends"
    if len(genomic) == 1:
        (shift,) = genomic
        count = {1: "0-based coordinates were written as 1-based ones", -1: "1 was added to coordinates twice"}
        return f"all coordinates are {-shift:+d} off: {count.get(shift, 'annotation or genome were cut or moved')}"
    return "the annotation was converted wrongly, or is of another build of the genome; convert the original file again"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


_GROUPS: tuple[Group, ...] = tuple((site_type, strand) for site_type in SITE_TYPES for strand in STRANDS)
