"""The second step of a batch: the rows of the dataset, with all features, from the file of positions.

Genes are read, sampled, featurised, written and forgotten one by one. The same rows stand in
`batches/batch_NNNNN_trim.parquet` and `master/part-NNNNN.parquet`, as one file with two names where the file system
can.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.analysis import ENHANCED, ERRORS, AnalysisWriter
from trainyard.splice.calls import ACCEPTOR, CLASSES, DONOR, PRED_TYPES, UNKNOWN_BASE
from trainyard.splice.dataset_schema import BatchFiles, dataset
from trainyard.splice.kmers import BASES, Windows, sizes_in, vocabulary
from trainyard.splice.motifs import motif_features
from trainyard.splice.positions import GENE, POSITION, SITE, GenePositions, read_positions, spelled
from trainyard.splice.reasons import Reason
from trainyard.splice.sampling import STRATA, Sample, sample_positions
from trainyard.splice.score_features import score_features
from trainyard.splice.settings import (
    SpliceExportSettings,
    SpliceFeatureSettings,
    SpliceSamplingSettings,
)
from trainyard.splice.site_index import SiteIndex
from trainyard.splice.structure import GeneRow, GeneTable, gene_of, structure_features
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import atomic_path, read_json, write_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.logs import progress
from trainyard.yard.receipts import receipt_path, write_receipt
from trainyard.yard.tables import ROW_GROUP, TableWriter

BLOCK_CELLS = 8 * 1024 * 1024
"""Cells of a table that are made in one piece: rows times columns, so that 6-mers take no more memory than 3-mers."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class RowSettings:
    """Everything that shapes the rows of a batch."""

    sampling: SpliceSamplingSettings
    features: SpliceFeatureSettings
    export: SpliceExportSettings
    seed: int
    """Dataset seed."""


def build_rows(files: BatchFiles, genes: pa.Table, sites: pa.Table, *, settings: RowSettings) -> Ledger:
    """Write the rows of a batch, its analysis tables and its ledger; the receipt of the part comes last.

    Args:
        files: The batch; its file of positions and the ledger of that step must be there.
        genes: The GENES table.
        sites: The SITES table.
        settings: Sampling, features and exports.

    Returns:
        The ledger of the batch: genes, sites and positions, all accounted for.

    Raises:
        IntegrityError: The positions do not belong to these tables, or a site got lost.
    """
    ledger = Ledger.from_dict(read_json(files.positions_ledger), Reason)
    contract, table_of_genes = dataset(settings.features), GeneTable(genes)
    with ExitStack() as stack:
        rows = _GroupWriter(stack.enter_context(contract.writer(files.trim)))
        analysis = AnalysisWriter(stack, files, SiteIndex(sites)) if settings.export.analysis_tables else None
        for positions in progress(read_positions(files.raw), total=ledger.kept(GENE), what=files.trim.name):
            row = table_of_genes.row(positions.gene_id)
            sample = _sampled(positions, row, settings)
            account(ledger, positions, sample, row)
            for table in row_tables(positions, sample, row, settings.features):
                rows.write(table)
                if analysis is not None:
                    analysis.write(positions, table["position"].to_numpy(), gene_of(row))
        rows.flush()
    ledger.check()
    write_json(files.ledger, ledger.to_dict())
    if analysis is not None:
        write_receipt(files.enhanced, records=analysis.positions, schema=ENHANCED.digest)
        write_receipt(files.errors, records=analysis.errors, schema=ERRORS.digest)
    write_receipt(files.trim, records=rows.rows, schema=contract.digest)
    # Until its new receipt is there, whoever reads the dataset meanwhile takes the part for unfinished, not for broken.
    receipt_path(files.part).unlink(missing_ok=True)
    link_or_copy(files.trim, files.part)
    write_receipt(files.part, records=rows.rows, schema=contract.digest)
    return ledger


def row_tables(
    positions: GenePositions, sample: Sample, row: GeneRow, settings: SpliceFeatureSettings
) -> Iterator[pa.Table]:
    """Rows of one gene under the contract of the dataset, in pieces of a bounded size.

    Args:
        positions: The whole gene.
        sample: Which of its positions become rows.
        row: Row of GENES of the gene.
        settings: Which features.
    """
    contract = dataset(settings)
    windows = Windows(positions.codes, settings.radius)
    step = max(BLOCK_CELLS // len(contract.names), 1)
    for begin in range(0, sample.t.size, step):
        piece = slice(begin, begin + step)
        part = Sample(sample.t[piece], sample.stratum[piece], sample.weight[piece], 0)
        columns = identity_columns(positions, part, row)
        columns |= feature_columns(positions, part.t, row, windows, settings)
        arrays = [_array(columns[column.name], column.type) for column in contract.columns]
        yield pa.Table.from_arrays(arrays, schema=contract.schema)


def feature_columns(
    positions: GenePositions, t: NDArray[np.int32], row: GeneRow, windows: Windows, settings: SpliceFeatureSettings
) -> dict[str, NDArray[Any]]:
    """All feature columns of some positions of a gene, each of shape `(n,)`.

    Args:
        positions: The whole gene.
        t: Positions, ascending.
        row: Row of GENES of the gene.
        windows: Sequence windows of the gene.
        settings: Which features.
    """
    columns = score_features(
        positions.donor, positions.acceptor, t, radii=settings.context_radii, published=settings.published_context
    )
    columns["gc_content"], columns["sequence_complexity"] = windows.composition(t)
    for k in sizes_in(settings.kmer_sizes):
        names = [f"{k}mer_{word}" for word in vocabulary(k)]
        columns |= dict(zip(names, windows.kmers(t, k), strict=True))
    if settings.motifs:
        columns |= motif_features(positions.codes, t)
    if settings.structure:
        columns |= structure_features(row, t)
    return columns


def identity_columns(positions: GenePositions, sample: Sample, row: GeneRow) -> dict[str, pa.Array | NDArray[Any]]:
    """All columns that are no features, of some positions of a gene."""
    t, n = sample.t, sample.t.size
    gene = gene_of(row)
    constant = {
        "gene_id": gene.gene_id,
        "chrom": gene.chrom,
        "strand": gene.strand,
        "locus_cluster": row["locus_cluster"],
        "gene_name": row["gene_name"],
        "gene_type": row["gene_type"],
    }
    return {name: pa.repeat(value, n) for name, value in constant.items()} | {
        "position": t,
        "exon_pos": gene.exon_pos(t),
        "base": spelled(np.minimum(positions.codes[t], UNKNOWN_BASE).astype(np.int8), [*BASES, "N"]),
        "label": positions.calls.label[t],
        "is_donor": positions.calls.is_donor[t],
        "is_acceptor": positions.calls.is_acceptor[t],
        "pred_type": spelled(positions.calls.pred_type[t], PRED_TYPES),
        "called_type": spelled(positions.calls.called[t], CLASSES),
        "argmax_type": spelled(positions.calls.argmax[t], CLASSES),
        "transcript_count": positions.calls.transcripts[t],
        "annotated_elsewhere": positions.calls.elsewhere[t],
        "stratum": spelled(sample.stratum, STRATA),
        "sample_weight": sample.weight,
        "gene_start": np.full(n, gene.start, np.int64),
        "gene_end": np.full(n, gene.end, np.int64),
    }


def account(ledger: Ledger, positions: GenePositions, sample: Sample, row: GeneRow) -> None:
    """Count positions and sites of a gene as kept or rejected.

    Raises:
        IntegrityError: The labelled rows are not the gene's annotated sites.
    """
    gene_id = positions.gene_id
    ledger.expect(POSITION, positions.codes.size)
    ledger.keep(POSITION, gene_id, sample.t.size)
    for reason, n in positions.rejections().items():
        ledger.reject(POSITION, gene_id, reason, f"{n} positions", n)
    ledger.reject(POSITION, gene_id, Reason.TRIMMED, f"{sample.trimmed} positions", sample.trimmed)

    both = positions.calls.is_donor & positions.calls.is_acceptor
    label = positions.calls.label[sample.t]
    ledger.expect(SITE, row["n_donors"] + row["n_acceptors"])
    for name, code, truth in (
        ("n_donors", DONOR, positions.calls.is_donor),
        ("n_acceptors", ACCEPTOR, positions.calls.is_acceptor),
    ):
        kept, unlike = int((label == code).sum()), int((both & (positions.calls.label != code)).sum())
        if kept + unlike != row[name] or int(truth.sum()) != row[name]:
            raise IntegrityError(
                f"gene {gene_id}: {row[name]} annotated {CLASSES[code]}s, but {int(truth.sum())} among its positions"
                f" and {kept} rows; positions and reference tables do not belong together: build both again"
            )
        ledger.keep(SITE, gene_id, kept)
        ledger.reject(SITE, gene_id, Reason.BOTH_TYPES, f"{unlike} {CLASSES[code]}s", unlike)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second name: a hard link, or a copy where the file system has none."""
    with atomic_path(target) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


def _sampled(positions: GenePositions, row: GeneRow, settings: RowSettings) -> Sample:
    if gene_of(row).length != positions.codes.size:
        raise IntegrityError(
            f"gene {positions.gene_id} has {positions.codes.size} positions, but {gene_of(row).length} bases in the"
            " gene table; positions and reference tables do not belong together: build both again"
        )
    return sample_positions(
        positions.calls.pred_type,
        np.maximum(positions.donor, positions.acceptor),
        positions.eligible,
        settings=settings.sampling,
        seed=settings.seed,
        gene_id=positions.gene_id,
    )


def _array(values: pa.Array | NDArray[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    return pa.array(values.astype(kind.to_pandas_dtype(), copy=False))


class _GroupWriter:
    """Collects genes to a row group, since checking a table of thousands of columns costs more than making it."""

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.Table] = []
        self._n_waiting = 0
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Append a table."""
        self._waiting.append(table)
        self._n_waiting += table.num_rows
        self.rows += table.num_rows
        if self._n_waiting >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Hand on what is waiting."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._n_waiting = [], 0
