"""Versions of the libraries that examples are computed with."""

from __future__ import annotations

from importlib.metadata import version


def versions() -> dict[str, str]:
    """Version by name of the library."""
    return {name: version(name) for name in ("numpy", "scipy", "pyarrow", "astropy", "wotan")}
