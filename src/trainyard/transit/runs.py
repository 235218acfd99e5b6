"""Runs of the search pipeline: which sectors, quarters or campaigns were searched together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_SEPARATORS = re.compile(r"[\s,;_]+")
_SPAN = re.compile(r"[SQC]?0*(\d{1,3})(?:\.0*)?(?:-[SQC]?0*(\d{1,3})(?:\.0*)?)?", re.ASCII | re.IGNORECASE)
"""A sector, quarter or campaign, or a span; `7.0` is how a column with gaps comes out of pandas."""


class Run(NamedTuple):
    """Name and sectors of a run; both are empty where there is a complaint about what the table says."""

    name: str
    sectors: tuple[int, ...] | None
    complaint: str

    @property
    def in_uid(self) -> str:
        """The name as part of a TCE id: "_" would end the TCE id within an example's id, and "-" means a span."""
        return _SEPARATORS.sub("+", self.name)


def parse_runs(runs: Sequence[str], observed: Sequence[str]) -> list[Run]:
    """Run of every row of a table, which has few different ones; see `parse_sectors`."""
    pairs = list(zip(runs, observed, strict=True))
    parsed = {pair: _run(*pair) for pair in set(pairs)}
    return [parsed[pair] for pair in pairs]


def parse_sectors(run: str, observed: str = "") -> tuple[int, ...] | None:
    """Sectors of a run: "7", an inclusive span "14-19", or a list "11 38", "1_3_6"; None for an empty text.

    `observed`, where given, names the sectors of the span that were really observed and wins.

    Raises:
        ValueError: A word is neither a sector nor a span.
    """
    sectors: set[int] = set()
    for word in _SEPARATORS.split((observed or run).strip()):
        if not word:
            continue
        match = _SPAN.fullmatch(word)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise ValueError(f"{word!r} is not a sector or a span of sectors such as 7 or 14-19")
        sectors.update(range(low, high + 1))
    return tuple(sorted(sectors)) or None


def _run(run: str, observed: str) -> Run:
    try:
        return Run(run.removeprefix("S"), parse_sectors(run, observed), "")
    except ValueError as error:
        return Run("", None, str(error))
