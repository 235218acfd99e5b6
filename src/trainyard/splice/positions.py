"""The first step of a batch: every position of its genes with scores, truth and call, and the base model's record.

Genes are read, written and forgotten one by one, so memory is that of the longest gene and one row group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainyard.splice.calls import (
    CLASSES,
    FN,
    FP,
    LEFT_OUT,
    NEITHER,
    PRED_TYPES,
    TP,
    UNKNOWN_BASE,
    Bools,
    Calls,
    Codes,
    Floats,
    GeneScores,
    Labels,
    classify,
    fault_of_scores,
)
from trainyard.splice.dataset_schema import PERFORMANCE, POSITIONS, BatchFiles
from trainyard.splice.performance import gene_performance
from trainyard.splice.reasons import Reason
from trainyard.splice.settings import SpliceLabelSettings
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.logs import progress
from trainyard.yard.receipts import verify, write_receipt

GENE, SITE, POSITION = "gene", "site", "position"
"""Kinds of items in the ledger of a batch."""
_EXCLUDED = (Reason.BOTH_TYPES, Reason.ANNOTATED_ELSEWHERE, Reason.UNKNOWN_BASE)
_LEFT_OUT_NAMES = ("", *(reason.value for reason in _EXCLUDED))


class GeneUnavailableError(Exception):
    """A gene of the batch cannot be built; the batch goes on without it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class GeneSource(Protocol):
    """Where genes come from, with their bases, scores and sites."""

    def gene(self, gene_id: str) -> GeneScores:
        """Read one gene.

        Raises:
            GeneUnavailableError: There is none, with the reason.
        """


@dataclass(frozen=True)
class GenePositions:
    """All positions of one gene, as they stand in the file of positions; all arrays have shape `(L,)`."""

    gene_id: str
    codes: Codes
    """Bases in transcript direction: A 0, C 1, G 2, T 3, anything else 4."""
    donor: Floats
    """Donor probability."""
    acceptor: Floats
    """Acceptor probability."""
    calls: Calls
    """Truth and call."""
    left_out: Labels
    """0: may become a row; else 1 + number of the reason, see `rejections`."""

    @property
    def eligible(self) -> Bools:
        """Positions that may become rows."""
        return np.equal(self.left_out, 0)

    def rejections(self) -> dict[Reason, int]:
        """How many positions may not become rows, by reason."""
        return {reason: int((self.left_out == i + 1).sum()) for i, reason in enumerate(_EXCLUDED)}


def build_positions(
    gene_ids: Sequence[str], source: GeneSource, files: BatchFiles, *, settings: SpliceLabelSettings
) -> Ledger:
    """Write `batch_NNNNN_raw.parquet`, `performance_NNNNN.parquet` and the first part of the ledger of a batch.

    Args:
        gene_ids: Genes of the batch, in order; may be empty.
        source: Where they come from.
        files: Where the files go.
        settings: Truth and call.

    Returns:
        The ledger: genes kept and rejected.

    Raises:
        IntegrityError: A gene does not fit its scores or sites, so that nothing of the batch can be trusted.
    """
    # Every gene that fails is named, however many there are.
    ledger = Ledger("splice", Reason, limit=max(1000, len(gene_ids)))
    n_rows = n_records = 0
    with POSITIONS.writer(files.raw) as raw, PERFORMANCE.writer(files.performance) as record:
        for gene_id in progress(gene_ids, total=len(gene_ids), what=files.raw.name):
            ledger.expect(GENE)
            try:
                scores = _checked(source.gene(gene_id))
            except GeneUnavailableError as error:
                ledger.reject(GENE, gene_id, error.reason, error.detail)
                continue
            positions = gene_positions(scores, settings)
            rows = gene_performance(scores, positions.calls, settings)
            record.write_rows(rows)
            n_records += len(rows)
            raw.write_table(positions_table(positions))
            n_rows += scores.gene.length
            ledger.keep(GENE, gene_id)
    ledger.check()
    write_json(files.positions_ledger, ledger.to_dict())
    write_receipt(files.performance, records=n_records, schema=PERFORMANCE.digest)
    write_receipt(files.raw, records=n_rows, schema=POSITIONS.digest)
    return ledger


def gene_positions(scores: GeneScores, settings: SpliceLabelSettings) -> GenePositions:
    """Judge all positions of a gene."""
    calls = classify(scores, settings)
    reasons = left_out(scores.codes, calls, settings)
    return GenePositions(scores.gene.gene_id, scores.codes, scores.donor, scores.acceptor, calls, reasons)


def count_errors(positions: GenePositions) -> dict[str, Any]:
    """Effective hits and errors of the base model in a gene, each position once: what error-ranked selection goes by.

    Positions that cannot become rows are not counted.
    """
    outcome = positions.calls.pred_type[positions.eligible]
    tp, fp, fn = (int((outcome == code).sum()) for code in (TP, FP, FN))
    return {"gene_id": positions.gene_id, "n_tp": tp, "n_fp": fp, "n_fn": fn, "n_errors": fp + fn}


def positions_table(positions: GenePositions) -> pa.Table:
    """Rows of the contract POSITIONS of one gene."""
    calls, length = positions.calls, positions.codes.size
    columns = {
        "gene_id": pa.repeat(positions.gene_id, length),
        "position": np.arange(length, dtype=np.int32),
        "base": positions.codes,
        "donor_score": positions.donor,
        "acceptor_score": positions.acceptor,
        "label": pa.array(calls.label, mask=calls.label == LEFT_OUT),
        "is_donor": calls.is_donor,
        "is_acceptor": calls.is_acceptor,
        "pred_type": spelled(calls.pred_type, PRED_TYPES),
        "called_type": spelled(calls.called, CLASSES),
        "argmax_type": spelled(calls.argmax, CLASSES),
        "transcript_count": calls.transcripts,
        "donor_elsewhere": calls.donor_elsewhere,
        "acceptor_elsewhere": calls.acceptor_elsewhere,
        "left_out": spelled(positions.left_out, _LEFT_OUT_NAMES),
    }
    return pa.table(columns, schema=POSITIONS.schema)


def left_out(codes: Codes, calls: Calls, settings: SpliceLabelSettings) -> Labels:
    """Why a position becomes no row, shape `(L,)`: 0 it may, else 1 + number of the reason.

    An annotated site of the gene is left out only where it is of both types and `labels.both_types` is 'drop'. An
    unlabelled position is left out where its base is unknown, and where it is a site of another gene on the same strand
    and `labels.annotated_elsewhere` is 'exclude'.
    """
    reason = np.zeros(codes.size, np.int8)
    unlabelled = calls.label == NEITHER
    reason[unlabelled & (codes == UNKNOWN_BASE)] = 1 + _EXCLUDED.index(Reason.UNKNOWN_BASE)
    if settings.annotated_elsewhere == "exclude":
        reason[unlabelled & calls.elsewhere] = 1 + _EXCLUDED.index(Reason.ANNOTATED_ELSEWHERE)
    reason[calls.label == LEFT_OUT] = 1 + _EXCLUDED.index(Reason.BOTH_TYPES)
    return reason


def read_positions(path: Path) -> Iterator[GenePositions]:
    """Read a file of positions gene by gene.

    Raises:
        InputError: No such file.
        IntegrityError: The file is not what its receipt says, or was written under another contract.
    """
    verify(path)
    POSITIONS.read(path, columns=[])
    waiting: list[pa.Table] = []
    # With pre_buffer, all that was read of the file would stay in memory.
    with pq.ParquetFile(path, read_dictionary=_TEXTS, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=_READ_ROWS):
            for piece in _runs(pa.table(batch)):
                if waiting and _first_gene(waiting[0]) != _first_gene(piece):
                    yield _gene_positions(waiting)
                    waiting = []
                waiting.append(piece)
    if waiting:
        yield _gene_positions(waiting)


def spelled(codes: NDArray[np.integer], names: Sequence[str]) -> pa.Array:
    """Names of codes, shape `(n,)`; null for a negative code."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names)).cast(pa.string())


_READ_ROWS = 65_536
_TEXTS = ["gene_id", "pred_type", "called_type", "argmax_type", "left_out"]


def _checked(scores: GeneScores) -> GeneScores:
    fault = fault_of_scores(scores.donor, scores.acceptor)
    if fault:
        raise GeneUnavailableError(Reason.BAD_SCORES, fault)
    return scores


def _runs(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table where the gene changes."""
    genes = table.column("gene_id").combine_chunks()
    codes = genes.indices.to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), table.num_rows]
    for begin, end in pairwise(cuts):
        if end > begin:
            yield table.slice(begin, end - begin)


def _gene_positions(pieces: Sequence[pa.Table]) -> GenePositions:
    gene_id = _first_gene(pieces[0])
    position = _numbers(pieces, "position")
    if not np.array_equal(position, np.arange(position.size)):
        raise IntegrityError(f"gene {gene_id}: its positions are not 0 to {position.size - 1} in order; {_REMEDY}")
    calls = Calls(
        is_donor=_numbers(pieces, "is_donor"),
        is_acceptor=_numbers(pieces, "is_acceptor"),
        label=_numbers(pieces, "label", fill=LEFT_OUT),
        called=_codes(pieces, "called_type", CLASSES),
        argmax=_codes(pieces, "argmax_type", CLASSES),
        pred_type=_codes(pieces, "pred_type", PRED_TYPES),
        donor_elsewhere=_numbers(pieces, "donor_elsewhere"),
        acceptor_elsewhere=_numbers(pieces, "acceptor_elsewhere"),
        transcripts=_numbers(pieces, "transcript_count"),
    )
    return GenePositions(
        gene_id,
        codes=_numbers(pieces, "base"),
        donor=_numbers(pieces, "donor_score"),
        acceptor=_numbers(pieces, "acceptor_score"),
        calls=calls,
        left_out=_codes(pieces, "left_out", _LEFT_OUT_NAMES),
    )


def _first_gene(table: pa.Table) -> str:
    # Scalars of two dictionaries would compare by their place in them.
    name: str = table.column("gene_id")[0].as_py()
    return name


def _numbers(pieces: Sequence[pa.Table], name: str, *, fill: int | None = None) -> NDArray[Any]:
    arrays = [chunk for piece in pieces for chunk in piece.column(name).chunks]
    if fill is not None:
        arrays = [array.fill_null(fill) for array in arrays]
    return np.concatenate([array.to_numpy(zero_copy_only=False) for array in arrays])


def _codes(pieces: Sequence[pa.Table], name: str, names: Sequence[str]) -> Labels:
    """Codes of a text column: the place of each value in `names`, -1 for null."""
    found = []
    for chunk in (chunk for piece in pieces for chunk in piece.column(name).chunks):
        places = [names.index(value) for value in chunk.dictionary.to_pylist()]
        indices = chunk.indices.fill_null(len(places)).to_numpy()
        found.append(np.array([*places, -1], np.int8)[indices])
    return np.concatenate(found)


_REMEDY = "delete the file and run the same command again"
