"""Scores of whole genes: cut into pieces with a halo, scored, put together.

A network with a context of 10,000 needs 5,000 bases on either side of what it scores, so a block of 5,000 costs up to
three times the work that its scores need. Blocks here are of any length; how a gene is cut changes no score by more
than rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.backends import BaseModel, Codes, Probabilities
from trainyard.splice.layers import CHANNELS
from trainyard.yard.errors import EnvironmentFault

NO_BASE = 4
"""Code of an unknown base, and of what lies beyond a gene's ends where the model is shown nothing there."""
_STEP = 256
"""Pieces have a multiple of this length, so that genes of about one length share batches on a GPU."""
_TOLERANCE = 1e-4
_DONOR, _ACCEPTOR = CHANNELS.index("donor"), CHANNELS.index("acceptor")

Scores = NDArray[np.float32]
"""Shape `(2, length)`: probability of a donor, then of an acceptor, in transcript direction. That of neither is what
they leave of 1."""


@dataclass(frozen=True)
class Target:
    """A gene to score: its bases in transcript direction, with half the model's context on either side."""

    name: str
    codes: Codes


def score_genes(
    model: BaseModel, targets: Iterable[Target], *, block: int, batch_positions: int
) -> Iterator[tuple[Target, Scores]]:
    """Score genes, in their order.

    Genes are taken until they have `batch_positions` bases together, then scored at once: memory is bounded by that
    and by the longest gene, and a kill loses no more.

    Args:
        model: The base model.
        targets: Genes; read as they are needed.
        block: Longest piece, positions.
        batch_positions: Positions that are worked on at once.

    Raises:
        ValueError: A gene has no bases between its flanks.
        EnvironmentFault: The device gives scores that are no probabilities.
    """
    waiting: list[Target] = []
    for target in targets:
        waiting.append(target)
        if sum(_length(model, found) for found in waiting) >= batch_positions:
            yield from _score(model, waiting, block)
            waiting = []
    if waiting:
        yield from _score(model, waiting, block)


def piece_length(length: int, block: int) -> int:
    """Length of the equal pieces that a gene is cut into; the last one may reach past the gene's end.

    Args:
        length: Length of the gene, at least 1.
        block: Longest piece.
    """
    pieces = -(-length // block)
    even = -(-length // pieces)
    return min(-(-even // _STEP) * _STEP, block) if length > _STEP else even


def _score(model: BaseModel, targets: list[Target], block: int) -> Iterator[tuple[Target, Scores]]:
    lengths = [_length(model, target) for target in targets]
    cuts = [
        _cut(target.codes, length, piece_length(length, block)) for target, length in zip(targets, lengths, strict=True)
    ]
    scored = iter(model.score([piece for pieces in cuts for piece in pieces]))
    for target, length, pieces in zip(targets, lengths, cuts, strict=True):
        probabilities = np.concatenate([next(scored) for _ in pieces], axis=1)[:, :length]
        _check(probabilities, target)
        yield target, np.ascontiguousarray(probabilities[[_DONOR, _ACCEPTOR]])


def _cut(codes: Codes, length: int, piece: int) -> list[Codes]:
    """Pieces of a gene, each with its halo; views, but that the last one is filled up with no bases."""
    halo = codes.size - length
    missing = -length % piece
    filled = np.concatenate([codes, np.full(missing, NO_BASE, np.uint8)]) if missing else codes
    return [filled[start : start + piece + halo] for start in range(0, length, piece)]


def _length(model: BaseModel, target: Target) -> int:
    length = target.codes.size - model.card.context
    if length < 1:
        raise ValueError(f"{target.name} has {target.codes.size} bases, flanks of {model.card.context} among them")
    return length


def _check(probabilities: Probabilities, target: Target) -> None:
    # Also false where a value is NaN.
    if not (
        (probabilities >= 0).all()
        and (probabilities <= 1).all()
        and (np.abs(probabilities.sum(axis=0) - 1) <= _TOLERANCE).all()
    ):
        raise EnvironmentFault(
            f"{target.name}: the model's scores are no probabilities on this device; set model.device to cpu, or use"
            " another version of torch"
        )
