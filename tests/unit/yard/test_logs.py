"""Logs go to standard error; progress bars only where someone watches."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from trainyard.yard import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize(("verbose", "lines"), [(False, 1), (True, 2)])
def test_lines_have_time_and_level(monkeypatch: pytest.MonkeyPatch, verbose: bool, lines: int) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    logs.setup(verbose)
    logging.info("12 stars")
    logging.debug("details")
    assert len(stderr.getvalue().splitlines()) == lines
    assert stderr.getvalue().splitlines()[0][10:].split(maxsplit=1)[1] == "INFO 12 stars"


def test_progress_is_the_plain_iterable_in_a_log_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    items = [1, 2]
    assert logs.progress(items, total=2, what="stars") is items


def test_progress_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(logs.progress(iter([1, 2]), total=2, what="stars")) == [1, 2]
    assert "stars" in terminal.getvalue()
