"""What the figures of this line share beyond `yard.plotting`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainyard.yard.plotting import RED, SKY

LABEL_COLOURS = {0: SKY, 1: RED}


def runs(flags: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Half-open runs ``[start, end)`` of True, shape ``(n, 2)``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)
