"""Genes as a batch is built from: bases and sites of the reference, scores of the store."""

from __future__ import annotations

from trainyard.splice.calls import GeneScores
from trainyard.splice.positions import GeneUnavailableError
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.site_index import SiteIndex
from trainyard.splice.structure import gene_of


class StoredGenes:
    """A source of genes; see `trainyard.splice.positions.GeneSource`."""

    def __init__(self, reference: Reference, scores: ScoreStore) -> None:
        """Join a reference with the scores of its genes."""
        self._reference = reference
        self._scores = scores
        self._sites = SiteIndex(reference.sites)

    def gene(self, gene_id: str) -> GeneScores:
        """Read one gene.

        Raises:
            GeneUnavailableError: The gene was not scored, with the reason.
            InputError: The gene is not in the reference, or in no index of the store.
            IntegrityError: Its scores are broken, or of another length than the gene.
        """
        entry = self._scores.entries.get(gene_id)
        if entry is not None and entry.key is None:
            raise GeneUnavailableError(entry.reason or Reason.NO_SCORES, "the base model has no scores for the gene")
        donor, acceptor = self._scores.get(gene_id)
        gene = gene_of(self._reference.gene(gene_id))
        codes = self._reference.genome.gene(gene.chrom, gene.start, gene.end, gene.strand)
        return GeneScores(gene, codes, donor, acceptor, self._sites.own(gene_id), self._sites.elsewhere(gene))
