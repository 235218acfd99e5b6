"""Effective errors of the base model per gene: what error-ranked selection goes by.

A position counts once, however many transcripts share it and however many rows a table spends on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard.splice.artifacts import find_artifacts, stream
from trainyard.splice.calls import fault_of_scores
from trainyard.splice.plan import read_pool, scored_genes
from trainyard.splice.planfiles import POOL_FILE
from trainyard.splice.positions import GeneSource, GeneUnavailableError, count_errors, gene_positions
from trainyard.splice.selection import POOL_ERRORS
from trainyard.splice.settings import SpliceLabelSettings, SpliceSelectionSettings
from trainyard.yard.errors import InputError

PRIORITY = ("TP", "FN", "FP")
"""Published order in which one of several outcomes of a position is taken; true negatives are not counted."""

_COLUMNS = {"gene_id": pa.string(), "position": pa.int64(), "pred_type": pa.string()}


def write_pool_errors(
    plan: Path,
    out: Path,
    settings: SpliceSelectionSettings,
    *,
    source: GeneSource | None = None,
    labels: SpliceLabelSettings | None = None,
    positions: Sequence[Path] = (),
) -> pa.Table:
    """Count the errors in the scored pool and write them.

    Args:
        plan: Folder of the plan, with the pool.
        out: File to write, contract POOL_ERRORS.
        settings: Selection; says how much of the pool was scored.
        source: Scores to count in.
        labels: Truth and call, for scores.
        positions: Tables of positions that were classified before, instead of scores.

    Raises:
        InputError, IntegrityError: See `errors_from_scores` and `errors_from_positions`.
        ValueError: Neither scores nor tables.
    """
    pool = read_pool(plan / POOL_FILE)
    genes = scored_genes(pool, settings)["gene_id"].to_pylist()
    if positions:
        table = errors_from_positions(positions, genes)
    elif source is not None and labels is not None:
        table = errors_from_scores(source, genes, settings=labels)
    else:
        raise ValueError("errors are counted in scores or in tables of positions, but there are neither")
    POOL_ERRORS.write(out, table)
    return table


def errors_from_positions(sources: Sequence[Path], genes: Iterable[str]) -> pa.Table:
    """Count the errors that tables of classified positions hold.

    Args:
        sources: Tables, or folders of tables, with columns gene_id, position (index in the gene) and pred_type, such as
            `splice_positions_enhanced_*`; one gene may stand in several.
        genes: Genes of the pool; others in the tables are passed over.

    Returns:
        Contract POOL_ERRORS, sorted by gene; genes of the pool without a row in the tables are absent.

    Raises:
        InputError: A table cannot be read, or an outcome is none of TP, FP, FN, TN.
    """
    places = {gene: place for place, gene in enumerate(sorted(genes))}
    wanted = pa.array(list(places), pa.string())
    seen = np.zeros(len(places), bool)
    outcomes: dict[str, list[np.ndarray]] = defaultdict(list)
    for path in find_artifacts(sources):
        for table in stream(path, _COLUMNS):
            _check_outcomes(table, path)
            gene = pc.index_in(table["gene_id"], wanted).combine_chunks()
            rows = table.filter(pc.is_valid(gene)).append_column("gene", pc.drop_null(gene))
            seen[pc.unique(rows["gene"]).to_numpy()] = True
            for outcome in PRIORITY:
                hits = rows.filter(pc.equal(rows["pred_type"], outcome))
                outcomes[outcome].append((hits["gene"].to_numpy().astype(np.int64) << 32) | hits["position"].to_numpy())
    return _count(list(places), seen, {name: np.concatenate(codes) for name, codes in outcomes.items()})


def errors_from_scores(source: GeneSource, genes: Iterable[str], *, settings: SpliceLabelSettings) -> pa.Table:
    """Count the errors of genes from their scores, gene by gene: memory is that of the longest.

    Positions that the dataset leaves out (bases of both types, unknown bases, sites of other genes) are no errors here
    either.

    Args:
        source: Where bases, scores and sites come from.
        genes: Genes of the pool that were scored.
        settings: Truth and call.

    Returns:
        Contract POOL_ERRORS, in the order of the genes; genes without usable scores are absent.

    Raises:
        IntegrityError: Scores and reference do not belong together.
    """
    rows = []
    for gene_id in genes:
        try:
            scores = source.gene(gene_id)
        except GeneUnavailableError:
            continue
        if fault_of_scores(scores.donor, scores.acceptor):
            continue
        rows.append(count_errors(gene_positions(scores, settings)))
    return POOL_ERRORS.table(rows)


def _check_outcomes(table: pa.Table, path: Path) -> None:
    known = pc.is_in(table["pred_type"], pa.array([*PRIORITY, "TN"]))
    if not pc.all(known, min_count=0).as_py():
        stranger = table["pred_type"].filter(pc.invert(known))[0]
        raise InputError(f"{path}: pred_type holds {stranger}, expected TP, FP, FN or TN")
    if table["position"].null_count or table["gene_id"].null_count:
        raise InputError(f"{path}: gene_id or position has no value in some rows; fill them or leave these rows out")


def _count(genes: Sequence[str], seen: np.ndarray, codes: dict[str, np.ndarray]) -> pa.Table:
    """Unique positions per gene and outcome; a code is gene place << 32 | position."""
    taken = np.zeros(0, np.int64)
    counts = {}
    for outcome in PRIORITY:
        fresh = np.setdiff1d(codes.get(outcome, taken), taken)
        counts[outcome] = np.bincount(fresh >> 32, minlength=len(genes))
        taken = np.union1d(taken, fresh)
    return POOL_ERRORS.table(
        [
            {
                "gene_id": genes[place],
                "n_tp": counts["TP"][place],
                "n_fp": counts["FP"][place],
                "n_fn": counts["FN"][place],
                "n_errors": counts["FP"][place] + counts["FN"][place],
            }
            for place in np.flatnonzero(seen).tolist()
        ]
    )
