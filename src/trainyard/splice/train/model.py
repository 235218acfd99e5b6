"""What every learner gives: a fitted classifier that predicts, says what served it, and can be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.train.feed import Feed
from trainyard.yard.errors import IntegrityError

Floats = NDArray[np.float32]


class Model(Protocol):
    """A fitted classifier."""

    def predict(self, features: Floats) -> Floats:
        """Probability of each class, shape `(n, classes)`, for features of shape `(n, columns)`."""

    def gains(self) -> NDArray[np.float64] | None:
        """How much each column served, shape `(columns,)`; None where the model does not say."""

    def to_bytes(self) -> bytes:
        """What is stored."""


@dataclass(frozen=True)
class Fitted:
    """A model and how it came to be."""

    model: Model
    history: list[dict[str, float]] = field(default_factory=list)
    """Loss by round or epoch, where there are any."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the card of the model shall say."""


def predict(model: Model, feed: Feed) -> Floats:
    """Probability of each class for rows, read piece by piece, shape `(n, classes)`."""
    found = np.empty((len(feed), feed.classes), np.float32)
    for piece, rows in feed.pieces():
        found[rows] = model.predict(piece)
    if not np.isfinite(found).all():
        raise IntegrityError(f"{feed.data.master.folder}: predictions of {feed.split} are not finite; train again")
    return found


def history_rows(history: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, float]]:
    """One row per round from what boosting libraries record: values by split and metric."""
    columns = {f"{split}_{name}": values for split, found in history.items() for name, values in found.items()}
    rounds = len(next(iter(columns.values()), []))
    return [{name: float(values[i]) for name, values in columns.items()} for i in range(rounds)]
