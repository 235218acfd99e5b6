"""One live run per folder, by a kernel lock that needs no clean-up after a crash."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import platform
import sys
from pathlib import Path
from types import TracebackType

from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.files import faults_named

_log = logging.getLogger(__name__)


class RunLock:
    """The lock of a results folder, held from `acquire` until `release` or the death of the process.

    The file stays where it is: its existence means nothing, only the kernel's lock on it does.
    """

    def __init__(self, folder: Path, name: str = "run") -> None:
        self.path = folder / ".trainyard" / f"{name}.lock"
        self._descriptor: int | None = None

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock; does nothing where this object holds it already.

        Args:
            wait: Wait until whoever holds it has given it back.

        Raises:
            EnvironmentFault: Another live run holds it (named by process, host and command), or the
                file system has no locks.
        """
        if self._descriptor is not None:
            return
        with faults_named(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Python opens files non-inheritable: jobs that this run starts do not keep its lock alive.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._lock(descriptor, wait=wait)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _lock(self, descriptor: int, *, wait: bool) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait:
                _log.info("waiting for %s", self._holder())
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                return
            raise EnvironmentFault(
                f"{self.path.parent.parent}: another run is working here ({self._holder()});"
                " wait until it ends or stop it, then run the same command again"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise
            raise EnvironmentFault(
                f"{self.path}: this file system has no locks ({error.strerror}); choose another folder, or ask for"
                " flock to be switched on"
            ) from error
        holder = {"pid": os.getpid(), "host": platform.node(), "command": " ".join(sys.argv)}
        with faults_named(self.path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)

    def _holder(self) -> str:
        try:
            holder = json.loads(self.path.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']}: {holder['command']}"
        except (OSError, ValueError, KeyError, TypeError):
            # It has taken the lock and not yet written its name.
            return "it has just started"
