"""Text columns of millions of rows, looked at one distinct value at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def look_up(column: pa.ChunkedArray, function: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Apply a function to each distinct text of a column; null stays null.

    Args:
        column: Text, plain or dictionary-encoded, shape `(n,)`.
        function: Gives a value for a text, or None.
        kind: Type of the values.
    """
    encoded = _encoded(column)
    values = pa.array([function(text) for text in encoded.dictionary.to_pylist()], kind)
    return values.take(encoded.indices)


def codes(column: pa.ChunkedArray, known: dict[Any, int], function: Callable[[str], Any] = str) -> Codes:
    """Codes of a text column: equal where a function of the texts is.

    Args:
        column: Text, shape `(n,)`.
        known: Codes by value; new values are added with the next number, so that two columns can share codes.
        function: Gives the value of a text.

    Returns:
        Shape `(n,)`, int64; -1 for null.
    """
    found = look_up(column, lambda text: known.setdefault(function(text), len(known)), pa.int64())
    return np.asarray(found.fill_null(-1))


def ranks(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Rank of every text of a column without nulls among its distinct texts, shape `(n,)`, and these, sorted."""
    texts = sorted(_encoded(column).dictionary.to_pylist())
    return codes(column, {text: rank for rank, text in enumerate(texts)}), texts


def first_valid(column: pa.ChunkedArray, groups: Codes, n_groups: int) -> pa.ChunkedArray:
    """For every group the first value of its rows that is not null; null where a group has none.

    Args:
        column: Values, shape `(n,)`.
        groups: Group of every row, in `[0, n_groups)`; -1 for rows that do not count, shape `(n,)`.
        n_groups: Number of groups.
    """
    valid = np.flatnonzero(column.is_valid().to_numpy() & (groups >= 0))
    found, where = np.unique(groups[valid], return_index=True)
    source = np.full(n_groups, -1)
    source[found] = valid[where]
    return column.take(pa.array(source, mask=source < 0))


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    # A null may stand in the dictionary itself where others made the column; encoding afresh moves it to the indices.
    plain = pa.types.is_dictionary(column.type) and not any(c.dictionary.null_count for c in column.chunks)
    encoded = column if plain else column.cast(pa.string()).dictionary_encode()
    return encoded.unify_dictionaries().combine_chunks()
