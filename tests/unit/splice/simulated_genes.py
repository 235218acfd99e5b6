"""Simulated genes for tests: bases, sites, and scores of an imperfect base model, all from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from gene_tables import gene as gene_row

from trainyard.splice.calls import Gene, GeneScores, Sites
from trainyard.splice.dataset_schema import BatchFiles
from trainyard.splice.positions import GeneUnavailableError
from trainyard.splice.reasons import Reason
from trainyard.splice.schema import GENES, SITES
from trainyard.splice.site_index import SiteIndex

A, C, G, T, N = range(5)


def codes_of(text: str) -> np.ndarray:
    """Codes of a sequence; every letter but A, C, G, T is 4."""
    return np.array(["ACGT".find(letter) % 5 if letter in "ACGT" else N for letter in text], np.uint8)


def sites_at(donors: Sequence[int] = (), acceptors: Sequence[int] = (), transcripts: int = 1) -> Sites:
    """Sites at positions of a gene."""
    t = np.array([*donors, *acceptors], np.int32)
    return Sites(t, np.arange(t.size) >= len(donors), np.full(t.size, transcripts, np.int16))


def scores_of(
    donor: Sequence[float],
    acceptor: Sequence[float] | None = None,
    *,
    sites: Sites | None = None,
    elsewhere: Sites | None = None,
    codes: np.ndarray | None = None,
    gene_id: str = "G",
) -> GeneScores:
    """A gene with these scores, on the plus strand, at 1 of contig 1; of As where no bases are given."""
    track = np.array(donor, np.float32)
    return GeneScores(
        Gene(gene_id, "1", 1, track.size, "+"),
        np.zeros(track.size, np.uint8) if codes is None else codes,
        track,
        np.zeros_like(track) if acceptor is None else np.array(acceptor, np.float32),
        sites or Sites.none(),
        elsewhere or Sites.none(),
    )


@dataclass
class Annotation:
    """Simulated genes one after the other; a source of genes, and the tables that belong to them."""

    lengths: Sequence[int]
    seed: int = 1
    exons: int = 5
    strands: str = "+-"
    broken: dict[str, Reason] = field(default_factory=dict)
    shift: int = 0
    """Bases by which each gene moves towards the one before; without, 100 bases lie between them."""

    @cached_property
    def gene_ids(self) -> list[str]:
        """All genes, in order."""
        return [f"G{i:05d}" for i in range(len(self.lengths))]

    @property
    def genes(self) -> pa.Table:
        """Contract GENES."""
        return GENES.table([self._row(i) for i in range(len(self.lengths))])

    @property
    def sites(self) -> pa.Table:
        """Contract SITES."""
        return SITES.table([row for i in range(len(self.lengths)) for row in self._site_rows(i)])

    def gene(self, gene_id: str) -> GeneScores:
        """A source of genes, as batches are built from."""
        if gene_id in self.broken:
            raise GeneUnavailableError(self.broken[gene_id], "simulated")
        i = int(gene_id[1:])
        gene = self._gene(i)
        donors, acceptors = self._sites(i)
        rng = np.random.default_rng([self.seed, 7, i])
        codes = rng.integers(0, 4, gene.length).astype(np.uint8)
        codes[rng.integers(0, gene.length, gene.length // 200)] = N
        for t in donors:
            codes[t + 1 : t + 3] = G, T
        for t in acceptors:
            codes[t - 2 : t] = A, G
        tracks = [_track(rng, gene.length, found) for found in (donors, acceptors)]
        too_much = np.maximum(tracks[0] + tracks[1], 1)
        return GeneScores(
            gene,
            codes,
            (tracks[0] / too_much).astype(np.float32),
            (tracks[1] / too_much).astype(np.float32),
            self._index.own(gene_id),
            self._index.elsewhere(gene),
        )

    @cached_property
    def _index(self) -> SiteIndex:
        return SiteIndex(self.sites)

    @cached_property
    def _starts(self) -> list[int]:
        return (1001 + np.cumsum([0, *(length + 100 - self.shift for length in self.lengths)])).tolist()

    def _gene(self, i: int) -> Gene:
        start = self._starts[i]
        return Gene(self.gene_ids[i], "1", start, start + self.lengths[i] - 1, self.strands[i % len(self.strands)])

    def _row(self, i: int) -> dict[str, Any]:
        gene, (donors, acceptors) = self._gene(i), self._sites(i)
        return gene_row(
            gene.gene_id, start=gene.start, end=gene.end, length=gene.length, strand=gene.strand,
            n_donors=len(donors), n_acceptors=len(acceptors), num_transcripts=1 + i % 3, gene_name=f"N{i}",
        )  # fmt: skip

    def _sites(self, i: int) -> tuple[list[int], list[int]]:
        rng = np.random.default_rng([self.seed, i])
        places = np.sort(rng.choice(np.arange(10, self.lengths[i] - 10, 7), 2 * (self.exons - 1), replace=False))
        return places[::2].tolist(), places[1::2].tolist()

    def _site_rows(self, i: int) -> list[dict[str, Any]]:
        gene, (donors, acceptors) = self._gene(i), self._sites(i)
        found = sorted([(t, "donor") for t in donors] + [(t, "acceptor") for t in acceptors])
        return [
            {
                "gene_id": gene.gene_id,
                "site_type": site_type,
                "t": t,
                "exon_pos": int(gene.exon_pos(np.array([t]))[0]),
                "intron_pos": 0,
                "chrom": gene.chrom,
                "strand": gene.strand,
                "transcript_count": 1 + t % 2,
                "transcript_ids": [f"{gene.gene_id}-t{n}" for n in range(1 + t % 2)],
            }
            for t, site_type in found
        ]


def batch(folder: Path, number: int = 1) -> BatchFiles:
    """Files of a batch in a folder."""
    return BatchFiles(folder, number)


def _track(rng: np.random.Generator, length: int, sites: Sequence[int]) -> np.ndarray:
    """Noise, a peak at most of the sites and at a few other places."""
    track = np.exp(rng.normal(-9, 2, length)).clip(0, 0.3)
    false = rng.integers(0, length, 1 + length // 2000)
    for place in [*sites, *false.tolist()]:
        track[max(place - 1, 0) : place + 2] += 0.02
        track[place] = rng.beta(2, 0.7)
    return track
