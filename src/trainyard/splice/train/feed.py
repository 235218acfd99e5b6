"""What a learner is given: some rows of a split, some columns, and what to learn of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.train.data import Bools, Floats, SplitRows
from trainyard.yard.errors import InputError, IntegrityError

Target = Literal["multiclass", "binary"]
SITE = "site"
CLASSES: dict[Target, tuple[str, ...]] = {"multiclass": ("neither", *SITE_TYPES), "binary": ("neither", SITE)}
"""Names of the classes 0, 1, 2 of each target."""


def site_types(target: Target) -> tuple[str, ...]:
    """What a target tells from all other positions: donors and acceptors, or sites of any type."""
    return CLASSES[target][1:]


def classes_of(label: NDArray[np.int8], target: Target) -> NDArray[np.int8]:
    """Class of each row: the label, or whether there is a site."""
    return label if target == "multiclass" else (label > 0).astype(np.int8)


def base_scores(donor: Floats, acceptor: Floats, target: Target) -> dict[str, Floats]:
    """What the base model says of each type: its own probability, or, for any site, the larger of both."""
    if target == "binary":
        return {SITE: np.maximum(donor, acceptor)}
    return dict(zip(SITE_TYPES, (donor, acceptor), strict=True))


@dataclass(frozen=True)
class Feed:
    """Rows for a learner."""

    data: SplitRows
    split: str
    columns: tuple[str, ...]
    target: NDArray[np.int8]
    """Class of each row, shape `(n,)`."""
    weight: Floats
    """Weight of each row, shape `(n,)`."""
    classes: int
    keep: Bools | None = None
    """Which rows of the split, `n` of them; None for all."""

    def __len__(self) -> int:
        return len(self.target)

    def pieces(self) -> Iterator[tuple[Floats, slice]]:
        """Features, and which rows they are of."""
        start = 0
        for piece in self.data.pieces(self.split, self.columns, keep=self.keep):
            yield piece, slice(start, start + len(piece))
            start += len(piece)
        if start != len(self):
            raise IntegrityError(f"{self.data.master.folder}: changed while it was read; run the same command again")

    def matrix(self) -> Floats:
        """All features at once, shape `(n, columns)`."""
        found = np.empty((len(self), len(self.columns)), np.float32)
        for piece, rows in self.pieces():
            found[rows] = piece
        return found

    def with_columns(self, columns: Sequence[str]) -> Feed:
        """The same rows with other columns."""
        return replace(self, columns=tuple(columns))


def make_feed(
    data: SplitRows, split: str, columns: Sequence[str], target: Target, *, keep: Bools | None = None
) -> Feed:
    """Rows of a split with their labels and sample weights.

    Args:
        data: The dataset.
        split: train, val or test.
        columns: What the learner sees.
        target: Three classes, or two.
        keep: Which rows of the split, shape `(n,)`; None for all.
    """
    rows = data.rows(split) if keep is None else data.rows(split).take(keep)
    return Feed(
        data=data,
        split=split,
        columns=tuple(columns),
        target=classes_of(rows.label, target),
        weight=rows.weight,
        classes=len(CLASSES[target]),
        keep=keep,
    )


def check_classes(feed: Feed) -> None:
    """Refuse rows that nothing can be learned from.

    Raises:
        InputError: A class is missing, or there is no column.
    """
    counts = np.bincount(feed.target, minlength=feed.classes)
    if not counts.all():
        told = ", ".join(f"{n} of class {i}" for i, n in enumerate(counts.tolist()))
        raise InputError(
            f"{feed.data.master.folder}: {feed.split} has {told}, so nothing can be learned; build more genes, change"
            " splice.split, or set splice.train.enabled to false"
        )
    if not feed.columns:
        raise InputError(
            f"{feed.data.master.folder}: no feature is left to train on; check splice.train.families against the"
            " features of the dataset"
        )
