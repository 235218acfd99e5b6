"""Errors that a person can act on, each with the exit code of its kind."""

from __future__ import annotations


class TrainyardError(Exception):
    """Something the user can put right; printed as one message, without traceback."""

    exit_code = 1


class ConfigError(TrainyardError):
    """The configuration is wrong: unknown key, bad value, contradiction."""

    exit_code = 2


class InputError(TrainyardError):
    """An input file or table cannot be used: missing, unreadable, wrong columns."""

    exit_code = 2


class IntegrityError(TrainyardError):
    """Data does not agree with what vouches for it: checksum, count, truncated record."""

    exit_code = 3


class LeakageError(TrainyardError):
    """The same thing stands in two splits."""

    exit_code = 4


class EnvironmentFault(TrainyardError):
    """The machine refuses: disk full, no permission, no memory, another live run."""

    exit_code = 5
