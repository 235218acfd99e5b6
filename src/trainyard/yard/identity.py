"""Keyed hashes of identities: the one source of every split, shard and random choice.

A choice depends on who the item is, never on the order or the number of the items, so a build
gives the same bytes for one worker or many, and growing an archive moves nothing that was there.
"""

from __future__ import annotations

import hashlib
import operator

import numpy as np

_KEY = b"trainyard"


def keyed_hash(*parts: str | int, size: int = 8) -> int:
    """Return an integer in `[0, 256**size)` that depends on the parts alone.

    Every part carries its length, so `("a", "bc")` and `("ab", "c")` differ. An integer counts as
    its decimal text: an identifier is the same whether a table gave it as a number or as text.

    Args:
        *parts: For example dataset seed, purpose, identity of the item.
        size: Bytes of the hash, 1 to 64.

    Raises:
        TypeError: A part is neither text nor an integer (a float has no one text).
    """
    digest = hashlib.blake2b(digest_size=size, key=_KEY)
    for part in parts:
        text = (part if isinstance(part, str) else str(operator.index(part))).encode()
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return int.from_bytes(digest.digest(), "big")


def unit_interval(*parts: str | int) -> float:
    """Return a number in `[0, 1)` that depends on the parts alone, with all 53 bits of a double."""
    return (keyed_hash(*parts) >> 11) / (1 << 53)


def bucket(item: str | int, n: int, *, salt: str) -> int:
    """Return the bucket in `[0, n)` that an item belongs to, whatever other items there are.

    Args:
        item: Identity, such as a star.
        n: Number of buckets, at least 1.
        salt: Purpose; different purposes give independent buckets.

    Raises:
        ValueError: `n < 1`.
    """
    if n < 1:
        raise ValueError(f"need at least one bucket, got n = {n}")
    return keyed_hash(salt, item) % n


def generator(*parts: str | int) -> np.random.Generator:
    """Return a random generator (PCG64) whose stream depends on the parts alone."""
    return np.random.Generator(np.random.PCG64(keyed_hash(*parts, size=16)))
