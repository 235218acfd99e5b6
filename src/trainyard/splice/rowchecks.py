"""Checks of rows one by one, while they stream by: keys, probabilities, outcomes, coordinates, bases and motifs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice.calls import (
    ACCEPTOR,
    CLASSES,
    DONOR,
    NEITHER,
    PRED_TYPES,
    UNKNOWN_BASE,
    above_threshold,
    most_probable,
    truth,
)
from trainyard.splice.rowsample import sampled
from trainyard.splice.sampling import STRATA
from trainyard.splice.settings import SpliceLabelSettings

COLUMNS = (
    *("gene_id", "chrom", "strand", "position", "exon_pos", "base", "gene_start", "gene_end"),
    *("label", "is_donor", "is_acceptor", "pred_type", "called_type", "argmax_type", "stratum", "sample_weight"),
    *("donor_score", "acceptor_score", "neither_score"),
)
"""What these checks read of each row."""
SUM_TOLERANCE = 1.01e-4
"""How far three probabilities may be from adding up to 1: what scores are accepted with, and a hair for rounding."""
_BASES = "ACGTN"
_EXAMPLES = 5

Bools = NDArray[np.bool_]


class GeneBases(Protocol):
    """Where the bases of a gene come from."""

    def gene(self, chrom: str, start: int, end: int, strand: str) -> NDArray[np.uint8]:
        """Codes in transcript direction, shape `(end - start + 1,)`."""


@dataclass
class Problems:
    """What is wrong with some rows: how many, and the first few in words."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, table: pa.Table, wrong: Bools, where: str, what: str) -> None:
        """Count rows that are wrong in one way.

        Args:
            table: The rows.
            wrong: Which of them, shape `(n,)`.
            where: Their part.
            what: What is wrong with them.
        """
        rows = np.flatnonzero(wrong)
        self.rows += rows.size
        for row in rows[: _EXAMPLES - len(self.examples)].tolist():
            gene_id, position = table["gene_id"][row].as_py(), table["position"][row].as_py()
            self.examples.append(f"{where}: gene {gene_id}, position {position}: {what}")


class RowChecks:
    """Looks at every row once; memory is that of one piece and of the keys of one part."""

    def __init__(
        self,
        labels: SpliceLabelSettings | None,
        *,
        genes: Mapping[str, Mapping[str, Any]] | None,
        genome: GeneBases | None,
        share: float,
    ) -> None:
        """Begin.

        Args:
            labels: What truth and call were made with; None if it is not known, then only what holds for all of them
                is checked.
            genes: Rows of GENES by gene; None to do without.
            genome: The genome; None to do without.
            share: Share of rows whose labels are kept for the probes.
        """
        self.keys, self.probabilities, self.outcomes, self.coordinates = (Problems() for _ in range(4))
        self.rows = 0
        self.motifs: Counter[str] = Counter()
        """Sites by type and dinucleotide, such as `donor GT`."""
        self.sites: dict[str, NDArray[np.int64]] = {}
        """Rows by label of each gene, shape `(3,)`."""
        self.parts_of: dict[str, set[str]] = {}
        """Parts in which each gene has rows."""
        self._labels, self._genes, self._genome, self._share = labels, genes, genome, share
        self._numbers: dict[str, int] = {}
        self._codes: list[NDArray[np.int64]] = []
        self._sample: list[NDArray[np.int8]] = []
        self._bases: tuple[str, NDArray[np.uint8]] = ("", np.zeros(0, np.uint8))

    @property
    def sample(self) -> NDArray[np.int8]:
        """Labels of the sampled rows, in the order of parts and rows."""
        return np.concatenate([np.zeros(0, np.int8), *self._sample])

    def see(self, part: int, name: str, first: int, table: pa.Table) -> None:
        """Check some consecutive rows of a part.

        Args:
            part: Index of the part.
            name: Its file name.
            first: Number of the first row in the part, 0-based.
            table: The columns COLUMNS.
        """
        self.rows += table.num_rows
        self._sample.append(table["label"].to_numpy()[sampled(part, first, table.num_rows, share=self._share)])
        self._see_probabilities(table, name)
        self._see_outcomes(table, name)
        genes = table["gene_id"].combine_chunks().dictionary_encode()
        ids = genes.dictionary.to_pylist()
        local = genes.indices.to_numpy()
        numbers = np.array([self._numbers.setdefault(gene_id, len(self._numbers)) for gene_id in ids], np.int64)
        self._codes.append((numbers[local] << 32) | table["position"].to_numpy())
        order = np.argsort(local, kind="stable")
        cuts = np.searchsorted(local[order], np.arange(len(ids) + 1))
        for i, gene_id in enumerate(ids):
            self.parts_of.setdefault(gene_id, set()).add(name)
            self._see_gene(gene_id, table.take(pa.array(order[cuts[i] : cuts[i + 1]])), name)

    def end_part(self, name: str) -> None:
        """Look for positions of a gene that stand twice in the part that was just seen."""
        codes = np.sort(np.concatenate([np.zeros(0, np.int64), *self._codes]))
        self._codes = []
        again = codes[1:][codes[1:] == codes[:-1]]
        self.keys.rows += again.size
        ids = list(self._numbers)
        for code in again[: _EXAMPLES - len(self.keys.examples)].tolist():
            self.keys.examples.append(f"{name}: gene {ids[code >> 32]}, position {code & 0xFFFFFFFF}: stands twice")

    def _see_probabilities(self, table: pa.Table, name: str) -> None:
        d, a, n = (table[f"{kind}_score"].to_numpy().astype(np.float64) for kind in ("donor", "acceptor", "neither"))
        outside = ~((d >= 0) & (d <= 1) & (a >= 0) & (a <= 1) & (n >= 0) & (n <= 1))
        self.probabilities.add(table, outside, name, "a score is not a probability")
        off = ~outside & (np.abs(d + a + n - 1) >= SUM_TOLERANCE)
        self.probabilities.add(table, off, name, "the three scores do not add up to 1")

    def _see_outcomes(self, table: pa.Table, name: str) -> None:
        add = self.outcomes.add
        label = table["label"].to_numpy()
        known = (label >= NEITHER) & (label <= ACCEPTOR)
        add(table, ~known, name, "label is not 0, 1 or 2")
        is_donor, is_acceptor = (table[n].to_numpy() for n in ("is_donor", "is_acceptor"))
        outcome, called, best = (
            pc.fill_null(pc.index_in(table[column], pa.array(names)), -1).to_numpy()
            for column, names in (("pred_type", PRED_TYPES), ("called_type", CLASSES), ("argmax_type", CLASSES))
        )
        told = np.where(label == NEITHER, ~(is_donor | is_acceptor), np.where(label == DONOR, is_donor, is_acceptor))
        add(table, known & ~told, name, "label and is_donor, is_acceptor disagree")
        kind = np.where(np.isin(outcome, [0, 2]), label != NEITHER, label == NEITHER)
        add(table, known & (~kind | (outcome < 0)), name, "label and pred_type disagree")
        stratum = pc.fill_null(pc.index_in(table["stratum"], pa.array(STRATA)), -1).to_numpy()
        weight = table["sample_weight"].to_numpy()
        light = ~(np.isfinite(weight) & (weight >= 1)) | (stratum < 0) | ((stratum != len(STRATA) - 1) & (weight != 1))
        add(table, light, name, "sample_weight does not fit the stratum")
        if self._labels is not None:
            self._see_calls(table, name, label, outcome, called, best)

    def _see_calls(self, table: pa.Table, name: str, label: Any, outcome: Any, called: Any, best: Any) -> None:
        assert self._labels is not None
        add, settings = self.outcomes.add, self._labels
        d, a = table["donor_score"].to_numpy(), table["acceptor_score"].to_numpy()
        likeliest, crossing = most_probable(d, a), above_threshold(d, a, settings.threshold)
        add(table, best != likeliest, name, "argmax_type is not the most probable class of the scores")
        by_argmax = settings.base_call == "argmax"
        call = likeliest if by_argmax else crossing
        add(table, called != call, name, "called_type is not what the scores give")
        own = np.where(label == DONOR, d, a) >= np.float32(settings.threshold)
        found = likeliest == label if by_argmax else own
        wanted = np.where(label == NEITHER, np.where(call == NEITHER, 3, 1), np.where(found, 0, 2))
        add(table, outcome != wanted, name, "pred_type is not what label, scores and threshold give")
        is_donor, is_acceptor = (table[n].to_numpy() for n in ("is_donor", "is_acceptor"))
        true = truth(is_donor, is_acceptor, both_types=settings.both_types)
        add(table, label != true, name, "label is not what is_donor, is_acceptor and labels.both_types give")

    def _see_gene(self, gene_id: str, table: pa.Table, name: str) -> None:
        label = table["label"].to_numpy()
        counts = np.bincount(label[(label >= NEITHER) & (label <= ACCEPTOR)], minlength=len(CLASSES))
        self.sites[gene_id] = self.sites.get(gene_id, np.zeros(len(CLASSES), np.int64)) + counts
        t = table["position"].to_numpy().astype(np.int64)
        start, end = table["gene_start"].to_numpy(), table["gene_end"].to_numpy()
        plus = pc.equal(table["strand"], "+").to_numpy()
        place = np.where(plus, start + t, end - t)
        inside = (t >= 0) & (t <= end - start)
        add = self.coordinates.add
        add(table, ~inside, name, "position lies outside of the gene")
        add(
            table, inside & (place != table["exon_pos"].to_numpy()), name, "position and exon_pos are not the same base"
        )
        of_gene = self._genes.get(gene_id) if self._genes is not None else None
        if of_gene is not None:
            moved = (start != of_gene["start"]) | (end != of_gene["end"]) | (plus != (of_gene["strand"] == "+"))
            moved |= pc.not_equal(table["chrom"], of_gene["chrom"]).to_numpy()
            add(table, moved, name, "the gene lies elsewhere in the reference tables")
        if self._genome is not None and inside.all():
            self._see_bases(gene_id, table, t, label, name)

    def _see_bases(self, gene_id: str, table: pa.Table, t: Any, label: Any, name: str) -> None:
        codes = self._bases_of(gene_id, table)
        stored = pc.fill_null(pc.index_in(table["base"], pa.array(list(_BASES))), -1).to_numpy()
        self.coordinates.add(table, stored != codes[t], name, "base is not that of the genome")
        # An intron begins after the donor's exon base and ends before the acceptor's.
        padded = np.pad(codes, 2, constant_values=UNKNOWN_BASE)
        for kind, code, offset in (("donor", DONOR, 1), ("acceptor", ACCEPTOR, -2)):
            at = t[label == code] + 2 + offset
            for first, second in zip(padded[at].tolist(), padded[at + 1].tolist(), strict=True):
                self.motifs[f"{kind} {_BASES[first]}{_BASES[second]}"] += 1

    def _bases_of(self, gene_id: str, table: pa.Table) -> NDArray[np.uint8]:
        """Bases of a gene; those of the last one are kept, since a gene may go on in the next piece."""
        assert self._genome is not None
        if self._bases[0] != gene_id:
            chrom, start, end, strand = (table[n][0].as_py() for n in ("chrom", "gene_start", "gene_end", "strand"))
            self._bases = gene_id, self._genome.gene(chrom, start, end, strand)
        return self._bases[1]
