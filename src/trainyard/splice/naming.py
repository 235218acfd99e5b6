"""File names of the splice line: the one place that makes them. Batches are 1-based, padded to five digits."""

from __future__ import annotations

import re

MANIFEST = "manifest.json"
GENE_MANIFEST = "gene_manifest.csv"
PERFORMANCE = "full_splice_performance.tsv"
_PART = re.compile(r"part-(\d{5,})\.parquet")


def batch_label(batch: int) -> str:
    """Label of a batch: 1 gives `00001`.

    Raises:
        ValueError: `batch < 1`.
    """
    if batch < 1:
        raise ValueError(f"batches are counted from 1, got {batch}")
    return f"{batch:05d}"


def master_part(batch: int) -> str:
    """Rows of a batch as consumers read them, in `master/`."""
    return f"part-{batch_label(batch)}.parquet"


def parse_part(name: str) -> int | None:
    """Batch (1-based) of a file name in `master/`; None for any other name."""
    match = _PART.fullmatch(name)
    batch = int(match[1]) if match else 0
    return batch if batch and master_part(batch) == name else None


def trim_batch(batch: int) -> str:
    """Rows of a batch as made, in `batches/`."""
    return f"batch_{batch_label(batch)}_trim.parquet"


def performance_batch(batch: int) -> str:
    """Performance of the base model per gene of a batch, in `batches/`."""
    return f"performance_{batch_label(batch)}.parquet"


def batch_ledger(batch: int) -> str:
    """What became of the genes and positions of a batch, in `batches/`."""
    return f"ledger_{batch_label(batch)}.json"


def score_index(batch: int) -> str:
    """Which score file belongs to which gene of a batch, in `scores/`."""
    return f"index_{batch_label(batch)}.parquet"
