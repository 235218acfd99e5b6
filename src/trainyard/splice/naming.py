"""File names of the splice line: the one place that makes them. Batches are 1-based, padded to five digits."""

from __future__ import annotations

import re
from pathlib import Path

from trainyard.yard.errors import InputError

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


def score_indexes(scores: Path, batches: int) -> list[Path]:
    """Indexes of the first batches in a folder of scores; those of an earlier plan may stand beside them."""
    return [scores / score_index(batch) for batch in range(1, batches + 1)]


def figure_inputs(figure: str, base: Path, batches: int) -> list[Path]:
    """What a figure of the dataset is drawn from.

    Args:
        figure: Name of the figure.
        base: Folder of the line.
        batches: Number of batches of the dataset.

    Raises:
        InputError: There is no such figure.
    """
    numbers = range(1, batches + 1)
    split, parts = base / "split" / "split.parquet", [base / "master" / master_part(batch) for batch in numbers]
    found = {
        "class_balance": [base / "master" / GENE_MANIFEST, split],
        "strata": [split, *parts],
        "base_scores": parts,
        "outcome_scores": parts,
        "features": [base / "master" / MANIFEST, split],
        "rejections": [
            base / "reference" / "ledger.json",
            base / "plan" / "ledger.json",
            *(base / "batches" / batch_ledger(batch) for batch in numbers),
        ],
    }
    if figure not in found:
        raise InputError(f"no figure {figure!r}; one of {', '.join(found)}")
    return found[figure]
