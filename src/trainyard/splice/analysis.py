"""Analysis tables of a batch, with the published columns: classified positions, and errors with a window.

They hold the rows of the dataset (all TP, FP and FN, and the true negatives that were kept) for people and programs
that know the published artifacts. Unlike those, they have one row per position, not one per transcript, and every score
is that of the position itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.calls import CLASSES, FN, FP, NEITHER, PRED_TYPES, TP, Gene
from trainyard.splice.dataset_schema import BatchFiles
from trainyard.splice.features import features, published_names
from trainyard.splice.positions import GenePositions, spelled
from trainyard.splice.score_features import score_features
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.splice.site_index import SiteIndex
from trainyard.yard.tables import Column, Role, TableContract

ERROR_WINDOW = 500
"""Bases on each side of an error (published)."""
SEQUENCE_WINDOW = 250
"""Bases on each side of a position (published)."""

_KEY, _LABEL, _META, _NEVER = Role.KEY, Role.LABEL, Role.METADATA, Role.NEVER_A_FEATURE
_PUBLISHED = {f.name: f for f in features(SpliceFeatureSettings(kmer_sizes=[], context_radii=[]))}


def _column(
    name: str, kind: pa.DataType, role: Role, description: str, unit: str = "", *, null: bool = False
) -> Column:
    return Column(name, kind, role, unit, description, nullable=null)


_GENE = _column("gene_id", pa.string(), _KEY, "gene, without version")
_TRANSCRIPT = _column("transcript_id", pa.string(), _NEVER, "transcripts that use the site, by ;; empty for FP and TN")
_POSITION = _column("position", pa.int64(), _KEY, "base of the gene, 0-based, in transcript direction", "nt")
_STRAND = _column("strand", pa.string(), _META, "+ or -")
_WINDOW = (
    _column("window_start", pa.int64(), _META, "begin of a window around the position, 0-based in the gene", "nt"),
    _column("window_end", pa.int64(), _META, "end of that window, exclusive, in the gene", "nt"),
)

ENHANCED = TableContract(
    "splice_positions_enhanced",
    (
        _GENE,
        _TRANSCRIPT,
        _POSITION,
        _column("predicted_position", pa.int64(), _NEVER, "position for TP and FP", "nt", null=True),
        _column("true_position", pa.int64(), _NEVER, "position for TP and FN", "nt", null=True),
        _column("pred_type", pa.string(), _NEVER, "TP, FP, FN or TN"),
        _column("splice_type", pa.string(), _LABEL, "donor or acceptor; null: neither", null=True),
        _column("called_type", pa.string(), _NEVER, "what the base model calls: neither, donor or acceptor"),
        _column("transcript_count", pa.int64(), _NEVER, "transcripts that use the site"),
        _STRAND,
        _column("chrom", pa.string(), _META, "contig, as the FASTA names it"),
        *_WINDOW,
        *(
            _column(name, _PUBLISHED[name].type, _PUBLISHED[name].role, _PUBLISHED[name].description)
            for name in published_names()
        ),
    ),
)
"""`analysis/splice_positions_enhanced_NNNNN.parquet`."""

ERRORS = TableContract(
    "splice_errors",
    (
        _GENE,
        _TRANSCRIPT,
        _column("error_type", pa.string(), _NEVER, "FP or FN"),
        _POSITION,
        *_WINDOW,
        _STRAND,
        _column("splice_type", pa.string(), _NEVER, "FN: type of the site; FP: type that the base model calls"),
    ),
)
"""`analysis/splice_errors_NNNNN.parquet`."""


class AnalysisWriter:
    """Writes both tables of a batch, gene by gene."""

    def __init__(self, stack: ExitStack, files: BatchFiles, index: SiteIndex) -> None:
        """Open the tables; the stack closes them."""
        self._enhanced = stack.enter_context(ENHANCED.writer(files.enhanced))
        self._errors = stack.enter_context(ERRORS.writer(files.errors))
        self._index = index
        self.positions = 0
        """Rows of the table of positions so far."""
        self.errors = 0
        """Rows of the table of errors so far."""

    def write(self, positions: GenePositions, t: NDArray[np.int32], gene: Gene) -> None:
        """Append the rows of one gene.

        Args:
            positions: The whole gene.
            t: Positions that became rows, ascending.
            gene: The gene.
        """
        transcripts = transcripts_at(self._index, gene.gene_id, t, positions.calls.label[t])
        enhanced = enhanced_table(positions, t, gene, transcripts)
        wrong = np.isin(positions.calls.pred_type[t], (FP, FN))
        errors = errors_table(positions, t[wrong], gene, transcripts.filter(pa.array(wrong)))
        self._enhanced.write_table(enhanced)
        self._errors.write_table(errors)
        self.positions += enhanced.num_rows
        self.errors += errors.num_rows


def enhanced_table(positions: GenePositions, t: NDArray[np.int32], gene: Gene, transcripts: pa.Array) -> pa.Table:
    """Rows of the contract ENHANCED of one gene; `transcripts` is the column transcript_id."""
    outcome, label = positions.calls.pred_type[t], positions.calls.label[t]
    scores = score_features(positions.donor, positions.acceptor, t, radii=(), published=True)
    place = t.astype(np.int64)
    columns = {
        "gene_id": pa.repeat(gene.gene_id, t.size),
        "transcript_id": transcripts,
        "position": place,
        "predicted_position": pa.array(place, mask=~np.isin(outcome, (TP, FP))),
        "true_position": pa.array(place, mask=~np.isin(outcome, (TP, FN))),
        "pred_type": spelled(outcome, PRED_TYPES),
        "splice_type": spelled(np.where(label == NEITHER, -1, label), CLASSES),
        "called_type": spelled(positions.calls.called[t], CLASSES),
        "transcript_count": positions.calls.transcripts[t].astype(np.int64),
        "strand": pa.repeat(gene.strand, t.size),
        "chrom": pa.repeat(gene.chrom, t.size),
        "window_start": np.maximum(place - SEQUENCE_WINDOW, 0),
        "window_end": np.minimum(place + SEQUENCE_WINDOW, gene.length),
    }
    for name in published_names():
        columns[name] = scores[name].astype(_PUBLISHED[name].type.to_pandas_dtype())
    return pa.table(columns, schema=ENHANCED.schema)


def errors_table(positions: GenePositions, t: NDArray[np.int32], gene: Gene, transcripts: pa.Array) -> pa.Table:
    """Rows of the contract ERRORS of one gene, of positions `t` that are all FP or FN."""
    outcome, place = positions.calls.pred_type[t], t.astype(np.int64)
    columns = {
        "gene_id": pa.repeat(gene.gene_id, t.size),
        "transcript_id": transcripts,
        "error_type": spelled(outcome, PRED_TYPES),
        "position": place,
        "window_start": np.maximum(place - ERROR_WINDOW, 0),
        "window_end": np.minimum(place + ERROR_WINDOW, gene.length),
        "strand": pa.repeat(gene.strand, t.size),
        "splice_type": spelled(np.where(outcome == FN, positions.calls.label[t], positions.calls.called[t]), CLASSES),
    }
    return pa.table(columns, schema=ERRORS.schema)


def transcripts_at(index: SiteIndex, gene_id: str, t: NDArray[np.int32], label: NDArray[np.int8]) -> pa.Array:
    """Transcripts that use the site at each position, joined by `;`; empty where the label is neither."""
    names: Sequence[str] = [""] * t.size
    if (label != NEITHER).any():
        known = index.transcripts(gene_id)
        names = [";".join(known[at]) if kind != NEITHER else "" for at, kind in zip(t.tolist(), label, strict=True)]
    return pa.array(names, pa.string())
