"""Score the genes of one batch: take what the store has, compute or import the rest, write the index last."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainyard.splice.backends import BaseModel, Codes, ModelCard, open_model
from trainyard.splice.calls import Gene, fault_of_scores
from trainyard.splice.genome import UNKNOWN
from trainyard.splice.imports import ScoreImport, open_import
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference
from trainyard.splice.scorestore import CARD, Entry, Scores, ScoreStore, score_key
from trainyard.splice.scoring import Target, score_genes
from trainyard.splice.settings import SpliceModelSettings
from trainyard.splice.structure import gene_of
from trainyard.yard.errors import ConfigError
from trainyard.yard.files import read_json, write_json
from trainyard.yard.logs import progress

_log = logging.getLogger(__name__)


@dataclass
class Tally:
    """How the genes of a batch came to their scores."""

    computed: int = 0
    found: int = 0
    """In the store already, or taken from the one that `model.scores` names."""
    imported: int = 0
    failed: int = 0

    def summary(self) -> str:
        """One line for people."""
        return ", ".join(f"{n} genes {how}" for how, n in vars(self).items() if n) or "no genes"


def score_batch(
    reference: Reference, gene_ids: Sequence[str], out: Path, *, index: str, settings: SpliceModelSettings
) -> Tally:
    """Score genes into the store of a run; write `model.json` and, last, the index.

    A gene whose scores are there is not computed again, whichever batch or run they were made for; one that cannot be
    scored stands in the index with the reason.

    Args:
        reference: Genes and genome.
        gene_ids: Genes of the batch, in order; may be empty.
        out: Folder of the store.
        index: File name of the index.
        settings: The base model.

    Raises:
        ConfigError, InputError, IntegrityError, EnvironmentFault: The model or its scores cannot be used.
    """
    source = _open_source(settings)
    batch = _Batch(reference, ScoreStore(out), source)
    if source.imported is None:
        batch.compute(gene_ids, settings)
    else:
        batch.take_imported(gene_ids, source.imported)
    write_json(out / CARD, source.card.to_dict())
    entries = [batch.entries[gene_id] for gene_id in gene_ids]
    batch.store.write_index(out / index, entries, model_id=source.card.model_id)
    return batch.tally


def read_card(folder: Path) -> ModelCard:
    """Card of the model that a store's scores are of.

    Raises:
        InputError: No store there.
    """
    return ModelCard.from_dict(read_json(folder / CARD))


@dataclass(frozen=True)
class _Source:
    """Where scores come from: a model, another run's store, an import, or the first two together."""

    card: ModelCard
    model: BaseModel | None = None
    other: ScoreStore | None = None
    imported: ScoreImport | None = None


def _open_source(settings: SpliceModelSettings) -> _Source:
    scores = settings.scores
    other = ScoreStore(scores) if scores is not None and (scores / CARD).is_file() else None
    if settings.backend != "scores-import":
        if scores is not None and other is None:
            raise ConfigError(f"model.scores: {scores} is no score store of another run (it has no {CARD})")
        model = open_model(settings)
        return _Source(model.card, model=model, other=other)
    if other is None:
        imported = open_import(settings)
        return _Source(imported.card, imported=imported)
    card = read_card(other.folder)
    if card.flank_mode != settings.flank_mode:
        raise ConfigError(f"model.flank_mode is '{settings.flank_mode}', {other.folder} has '{card.flank_mode}'")
    return _Source(card, other=other)


@dataclass
class _Batch:
    """The genes of a batch on their way into the store."""

    reference: Reference
    store: ScoreStore
    source: _Source
    entries: dict[str, Entry] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _wanted: dict[str, _Wanted] = field(default_factory=dict)

    def compute(self, gene_ids: Sequence[str], settings: SpliceModelSettings) -> None:
        """Compute what is in no store; without a model such a gene fails."""
        model = self.source.model
        missing = self._missing(gene_ids)
        if model is None:
            for target in missing:
                self._fail(target.name, Reason.NO_SCORES, "the store that model.scores names has no such sequence")
            return
        block, positions = settings.block, settings.batch_positions
        for target, scores in score_genes(model, missing, block=block, batch_positions=positions):
            self._put(target.name, scores)
            self.tally.computed += 1

    def take_imported(self, gene_ids: Sequence[str], imported: ScoreImport) -> None:
        """Import what the store does not have."""
        wanted = [self._wanted[target.name].gene for target in self._missing(gene_ids)]
        for gene_id, scores in imported.read(wanted):
            if fault := fault_of_scores(*scores):
                self._fail(gene_id, Reason.BAD_SCORES, fault)
            else:
                self._put(gene_id, scores)
                self.tally.imported += 1
        for gene in wanted:
            if gene.gene_id not in self.entries:
                self._fail(gene.gene_id, Reason.NO_SCORES, "model.scores does not have all of its bases")

    def _missing(self, gene_ids: Sequence[str]) -> Iterator[Target]:
        """Read genes one by one and give those whose scores have to be made."""
        card = self.source.card
        for gene_id in progress(gene_ids, total=len(gene_ids), what="genes"):
            gene = gene_of(self.reference.gene(gene_id))
            codes = _shown(self.reference, gene, card)
            place = (
                "" if self.source.imported is None else f"{gene_id} {gene.chrom}:{gene.start}-{gene.end}{gene.strand}"
            )
            self._wanted[gene_id] = _Wanted(gene, score_key(card.model_id, card.flank_mode, codes, place=place))
            half = card.context // 2
            if not (codes[half : half + gene.length] != UNKNOWN).any():
                self._fail(gene_id, Reason.ALL_UNKNOWN_BASES, "all of its bases are unknown")
            elif not self._have(gene_id):
                yield Target(gene_id, codes)

    def _have(self, gene_id: str) -> bool:
        """Whether the store has a gene's scores, perhaps as of now from the other one."""
        wanted, other = self._wanted[gene_id], self.source.other
        sha256 = self.store.find(wanted.key, wanted.gene.length)
        if sha256 is None and other is not None:
            sha256 = other.find(wanted.key, wanted.gene.length)
            if sha256 is not None:
                self.store.adopt(wanted.key, other)
        if sha256 is None:
            return False
        self._enter(gene_id, sha256)
        self.tally.found += 1
        return True

    def _put(self, gene_id: str, scores: Scores) -> None:
        self._enter(gene_id, self.store.put(self._wanted[gene_id].key, scores))

    def _enter(self, gene_id: str, sha256: str) -> None:
        wanted = self._wanted[gene_id]
        self.entries[gene_id] = Entry(gene_id, wanted.gene.length, wanted.key, sha256, None)

    def _fail(self, gene_id: str, reason: Reason, detail: str) -> None:
        _log.warning("gene %s has no scores: %s", gene_id, detail)
        self.entries[gene_id] = Entry(gene_id, self._wanted[gene_id].gene.length, None, None, reason)
        self.tally.failed += 1


@dataclass(frozen=True)
class _Wanted:
    gene: Gene
    key: str


def _shown(reference: Reference, gene: Gene, card: ModelCard) -> Codes:
    """Bases that the model is shown: the gene, and half the context on either side as the flank mode has it."""
    half, genome = card.context // 2, reference.genome
    if card.flank_mode == "genomic":
        return genome.flanked(gene.chrom, gene.start, gene.end, gene.strand, left=half, right=half)
    codes = genome.gene(gene.chrom, gene.start, gene.end, gene.strand)
    return np.pad(codes, half, constant_values=UNKNOWN)
