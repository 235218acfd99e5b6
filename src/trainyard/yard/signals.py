"""Signals that end a run."""

from __future__ import annotations

import signal
import threading
from typing import Any


def handle_in_thread(number: signal.Signals) -> None:
    """Let the handler of a signal run in a thread of its own.

    Python runs handlers in the main thread, between any two of its steps. Snakemake's handler of SIGTERM takes a lock
    that the main thread may hold just then, and the run would wait for itself for ever. A thread waits its turn.

    Args:
        number: The signal; where it has no handler of Python's, nothing changes.
    """
    handler = signal.getsignal(number)
    if callable(handler):

        def hand_over(*arguments: Any) -> None:
            threading.Thread(target=handler, args=arguments, daemon=True).start()

        signal.signal(number, hand_over)
