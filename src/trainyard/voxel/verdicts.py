"""What becomes of every item of a large table: kept, or rejected for the first reason that held."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainyard.voxel.reasons import Reason
from trainyard.yard.ledger import Ledger

_REASONS = tuple(Reason)
_CODES = {reason: np.int8(code) for code, reason in enumerate(_REASONS, start=1)}

Mask = NDArray[np.bool_]


class Verdicts:
    """One verdict per item, for tables of millions of rows; a ledger takes them over in the end."""

    def __init__(self, n: int) -> None:
        """Start with all `n` items kept."""
        self._codes = np.zeros(n, np.int8)

    @property
    def kept(self) -> Mask:
        """Which items no reason has rejected so far, shape `(n,)`."""
        return np.asarray(self._codes == 0)

    def reject(self, where: Mask, reason: Reason) -> None:
        """Reject the items of a mask, shape `(n,)`, that are still kept."""
        self._codes[where & self.kept] = _CODES[reason]

    def rejected(self, reason: Reason) -> NDArray[np.int64]:
        """Positions of the items that were rejected for a reason, ascending."""
        return np.flatnonzero(self._codes == _CODES[reason])

    def settle(self, ledger: Ledger, kind: str, describe: Callable[[int, Reason], tuple[str, str]]) -> None:
        """Enter all items in a ledger.

        Args:
            ledger: Takes the exact counts, and the names of as many items as it stores.
            kind: Kind of the items.
            describe: Item and detail, for position and reason of a rejected item.
        """
        ledger.expect(kind, self._codes.size)
        ledger.keep(kind, "", int(self.kept.sum()))
        for reason in _REASONS:
            rejected = self.rejected(reason)
            for position in rejected[: ledger.limit].tolist():
                item, detail = describe(position, reason)
                ledger.reject(kind, item, reason, detail)
            # Their names would not be stored anyway.
            ledger.reject(kind, "", reason, n=max(0, rejected.size - ledger.limit))
