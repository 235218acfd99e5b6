"""An outside `full_splice_performance.tsv` as the baseline: outcomes of some base model, gene by gene."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from trainyard.splice.artifacts import column_names, stream
from trainyard.splice.genelist import spellings
from trainyard.splice.train.feed import SITE
from trainyard.splice.train.metrics import Counts
from trainyard.yard.errors import InputError

REMARK = (
    "THE BASELINE IS AN OUTSIDE TABLE: its rows are not the rows of this dataset. It counts positions, sites and"
    " thresholds in its own way, so the differences below mix the meta-model with these. The comparison on identical"
    " rows is the one of the build's own base scores (splice.train.baseline: null)."
)
_COUNTS = ("TP", "FP", "FN")


def read_outside(path: Path, genes: Iterable[str], site_types: Iterable[str]) -> dict[tuple[str, str], Counts]:
    """Outcomes by gene and site type, for genes of ours; `site` adds up donors and acceptors.

    Args:
        path: Table with columns gene_id, splice_type, TP, FP and FN, such as the published one; text or Parquet.
        genes: Genes wanted; the table's ids may have versions.
        site_types: Types wanted.

    Raises:
        InputError: No such table, a column is missing, or it has none of the genes.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; splice.train.baseline names it")
    types = {"gene_id": pa.string(), "splice_type": pa.string(), **dict.fromkeys(_COUNTS, pa.float64())}
    if missing := [name for name in types if name not in column_names(path)]:
        raise InputError(
            f"{path}: has no column {', '.join(missing)}; a baseline has gene_id, splice_type, {', '.join(_COUNTS)}"
        )
    wanted, kinds = set(genes), set(site_types)
    found: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for table in stream(path, types):
        for row in table.to_pylist():
            gene = next((name for name in spellings(row["gene_id"] or "") if name in wanted), "")
            kind = SITE if SITE in kinds and row["splice_type"] in ("donor", "acceptor") else row["splice_type"]
            if gene and kind in kinds:
                sums = found[gene, kind]
                for i, column in enumerate(_COUNTS):
                    sums[i] += row[column] or 0.0
    if not found:
        raise InputError(f"{path}: has none of the test genes; are its gene ids of another annotation?")
    return {key: Counts(tp, fp, fn, float("nan")) for key, (tp, fp, fn) in found.items()}
