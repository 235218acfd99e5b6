"""Signals that end a run."""

from __future__ import annotations

import signal
import threading

import pytest

from trainyard.yard.signals import handle_in_thread


@pytest.fixture
def restored():
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("restored")
def test_a_handler_that_needs_a_lock_of_the_main_thread_gets_it_when_it_is_free():
    lock, handled = threading.Lock(), threading.Event()

    def handler(*arguments):
        with lock:
            handled.set()

    signal.signal(signal.SIGUSR1, handler)
    handle_in_thread(signal.SIGUSR1)
    with lock:
        signal.raise_signal(signal.SIGUSR1)
        assert not handled.is_set()
    assert handled.wait(timeout=60)


@pytest.mark.usefixtures("restored")
def test_a_signal_without_a_handler_is_left_alone():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    handle_in_thread(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
