"""What a person sees while a command runs: log lines, and a progress bar where someone watches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def setup(verbose: bool = False) -> None:
    """Send log lines with time and level to standard error.

    Args:
        verbose: Show debug lines too.
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
        force=True,
    )


def progress(iterable: Iterable[T], *, total: int | None, what: str) -> Iterable[T]:
    """Return the iterable, with a progress bar when standard error is a terminal.

    In a log file a bar would be thousands of lines, so there the iterable comes back as it is.

    Args:
        iterable: What is worked through.
        total: Its length; None where unknown.
        what: Name of one item, such as "stars".
    """
    if not sys.stderr.isatty():
        return iterable
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(iterable, total=total, desc=what, unit="")
    return bar
