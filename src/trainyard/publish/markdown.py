"""Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_TAG = re.compile(r"<(?=[A-Za-z/!])")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, ending with an empty line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    # Every second part stands between backticks, where <run> is not taken for HTML.
    return "`".join(part if i % 2 else _TAG.sub("&lt;", part) for i, part in enumerate(parts))
