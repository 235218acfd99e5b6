"""A small build of the splice line, made without a base model: genome, reference tables, plan, batches and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from gene_tables import gene

from trainyard.splice.assemble import assemble
from trainyard.splice.calls import Gene, GeneScores, Sites
from trainyard.splice.dataset_schema import BatchFiles
from trainyard.splice.plan import batch_count, batch_range, place_count, planned_genes, ranking_batch, read_ranking
from trainyard.splice.planfiles import write_pool, write_ranking
from trainyard.splice.positions import GeneUnavailableError, build_positions
from trainyard.splice.reasons import Reason
from trainyard.splice.rows import RowSettings, build_rows
from trainyard.splice.schema import GENES, SITES
from trainyard.splice.settings import SpliceSettings
from trainyard.yard.files import write_json, write_text
from trainyard.yard.identity import generator
from trainyard.yard.ledger import Ledger

LENGTH = 900
EXONS = ((0, 200), (400, 550), (700, 900))
"""Exons of every gene, half-open, in transcript direction."""
CONTIGS = ("1", "2", "3", "4")
BASES = "ACGTN"


def small_settings(**sections: Any) -> SpliceSettings:
    """Settings of small builds: four genes per batch, all of them."""
    chosen: dict[str, Any] = {
        "selection": {"batch_size": 4},
        "features": {"kmer_sizes": [1], "radius": 20},
        "sampling": {"window": 5, "easy_ratio": 2.0},
        "export": {"analysis_tables": False},
    }
    for name, values in sections.items():
        chosen[name] = {**chosen.get(name, {}), **values}
    return SpliceSettings.model_validate(chosen)


@dataclass
class SmallBuild:
    """Genes of 900 bases, alternating in strand and contig; every third contig place holds a pair that overlaps."""

    base: Path
    n_genes: int = 12
    settings: SpliceSettings = field(default_factory=small_settings)
    failing: tuple[str, ...] = ()
    """Genes without scores."""

    def __post_init__(self) -> None:
        self.rows, self.places = [], {}
        for i in range(self.n_genes):
            contig, slot = CONTIGS[i % len(CONTIGS)], i // len(CONTIGS)
            # Slots 0 and 1 of a contig overlap by 250 bases on one strand, with a site of each in an exon of the other.
            start = 101 + slot * 1000 - (350 if slot == 1 else 0)
            strand = "-" if i % len(CONTIGS) % 2 else "+"
            name = f"G{i:03d}"
            first = f"G{i % len(CONTIGS):03d}"
            paired = slot < 2 and self.n_genes > len(CONTIGS) + i % len(CONTIGS)
            self.places[name] = Gene(name, contig, start, start + LENGTH - 1, strand)  # type: ignore[arg-type]
            self.rows.append(
                gene(
                    name,
                    gene_name=f"NAME{i}",
                    gene_type="protein_coding" if i % 3 else "lncRNA",
                    chrom=contig,
                    start=start,
                    length=LENGTH,
                    strand=strand,
                    locus_cluster=first if paired else name,
                    overlap_same_strand=int(paired),
                    source_order=i,
                    rep_num_exons=3 + i % 2,
                )
            )

    @property
    def genes(self) -> list[str]:
        """Ids of all genes."""
        return [row["gene_id"] for row in self.rows]

    @property
    def master(self) -> Path:
        """Folder of the dataset."""
        return self.base / "master"

    def reference(self) -> SmallBuild:
        """Write genome and reference tables."""
        folder = self.base / "reference"
        GENES.write(folder / "genes.parquet", GENES.table(self.rows))
        SITES.write(folder / "sites.parquet", self.sites())
        fasta = self.base / "genome.fa"
        lengths = {name: codes.size for name, codes in self.genome.items()}
        told = {"reference_id": "ref-1", "build": "toy", "release": "1", "fasta": {"path": str(fasta)}}
        write_json(folder / "reference.json", told | {"contigs": {"genome": lengths}})
        write_json(folder / "ledger.json", Ledger("splice", Reason).to_dict())
        write_json(self.base / "scores" / "model.json", {"model_id": "toy-1", "licence": "none", "flank_mode": "n_pad"})
        genome = "".join(f">{name}\n{_text(codes)}\n" for name, codes in self.genome.items())
        write_text(fasta, genome)
        return self

    def plan(self) -> SmallBuild:
        """Write pool and ranking."""
        selection = self.settings.selection
        write_pool(self.base / "reference", self.base / "plan", selection)
        write_ranking(self.base / "plan", selection)
        return self

    def batches(self, *only: int) -> SmallBuild:
        """Write batches and their parts; all, or only some."""
        ranking = self.base / "plan" / "ranking.parquet"
        selection = self.settings.selection
        places = place_count(planned_genes(read_ranking(ranking), selection.n_genes), "rank")
        for batch in only or range(1, batch_count(places, selection.batch_size) + 1):
            files = BatchFiles(self.base, batch)
            members = ranking_batch(ranking, batch_range(batch, batch_size=selection.batch_size, places=places))
            build_positions(members, self, files, settings=self.settings.labels)
            settings = RowSettings(
                self.settings.sampling, self.settings.features, self.settings.export, self.settings.selection.seed
            )
            build_rows(files, GENES.table(self.rows), self.sites(), settings=settings)
        return self

    def assembled(self, **options: Any) -> dict[str, Any]:
        """Assemble what is there."""
        return assemble(self.base, self.settings, **options)

    @cached_property
    def genome(self) -> dict[str, np.ndarray]:
        """Bases of each contig, plus strand; introns begin with GT and end with AG on the strand of their gene."""
        found = {}
        for contig in CONTIGS:
            codes = generator("small build", contig).integers(0, 4, 101 + 1000 * (self.n_genes // len(CONTIGS) + 2))
            found[contig] = codes.astype(np.uint8)
        for place in self.places.values():
            view = self._of(found, place)
            for (_, donor), (acceptor, _) in pairwise(EXONS):
                for offset, base in ((donor, 2), (donor + 1, 3), (acceptor - 2, 0), (acceptor - 1, 2)):
                    self._put(found, place, offset, base)
            assert view.size == LENGTH
        return found

    def sites(self) -> pa.Table:
        """Contract SITES."""
        rows = []
        for name, place in self.places.items():
            for t, kind in _sites():
                exon_pos = int(place.exon_pos(np.array([t], np.int32))[0])
                step = (1 if kind == "donor" else -1) * (1 if place.strand == "+" else -1)
                rows.append(
                    {
                        "gene_id": name,
                        "site_type": kind,
                        "t": t,
                        "intron_pos": exon_pos + step,
                        "exon_pos": exon_pos,
                        "chrom": place.chrom,
                        "strand": place.strand,
                        "transcript_count": 1,
                        "transcript_ids": [f"{name}-t1"],
                    }
                )
        return SITES.table(rows)

    def gene(self, gene_id: str) -> GeneScores:
        """Bases, sites and invented scores of a gene: some sites missed, some calls wrong."""
        if gene_id in self.failing:
            raise GeneUnavailableError(Reason.NO_SCORES, "none were made")
        place = self.places[gene_id]
        draw = generator("small scores", gene_id)
        donor, acceptor = (draw.random(LENGTH, np.float32) * np.float32(0.1) for _ in range(2))
        for t, kind in _sites():
            (donor if kind == "donor" else acceptor)[t] = 0.3 + 0.5 * draw.random()
        donor[draw.integers(0, LENGTH, 2)] = 0.6
        acceptor = np.minimum(acceptor, 1 - donor).astype(np.float32)
        t = np.array([t for t, _ in _sites()], np.int32)
        kinds = np.array([kind == "acceptor" for _, kind in _sites()])
        own = Sites(t, kinds, np.ones(t.size, np.int16))
        return GeneScores(place, self._of(self.genome, place), donor, acceptor, own, self._elsewhere(place))

    def _elsewhere(self, place: Gene) -> Sites:
        found: list[tuple[int, bool]] = []
        for other in self.places.values():
            if other.gene_id != place.gene_id and (other.chrom, other.strand) == (place.chrom, place.strand):
                at = place.t(other.exon_pos(np.array([t for t, _ in _sites()], np.int32)))
                inside = [(t, kind == "acceptor") for t, (_, kind) in zip(at.tolist(), _sites(), strict=True)]
                found += [(t, kind) for t, kind in inside if 0 <= t < LENGTH]
        if not found:
            return Sites.none()
        t, kinds = zip(*found, strict=True)
        return Sites(np.array(t, np.int32), np.array(kinds), np.ones(len(t), np.int16))

    @staticmethod
    def _of(genome: dict[str, np.ndarray], place: Gene) -> np.ndarray:
        codes = genome[place.chrom][place.start - 1 : place.end]
        return codes if place.strand == "+" else (3 - codes[::-1]).astype(np.uint8)

    @staticmethod
    def _put(genome: dict[str, np.ndarray], place: Gene, t: int, base: int) -> None:
        at = place.start - 1 + t if place.strand == "+" else place.end - 1 - t
        genome[place.chrom][at] = base if place.strand == "+" else 3 - base


def built(base: Path, **options: Any) -> SmallBuild:
    """A build up to its parts, not yet assembled."""
    return SmallBuild(base, **options).reference().plan().batches()


def _sites() -> Sequence[tuple[int, str]]:
    return [(200 - 1, "donor"), (400, "acceptor"), (550 - 1, "donor"), (700, "acceptor")]


def _text(codes: np.ndarray) -> str:
    return "".join(BASES[code] for code in codes)
