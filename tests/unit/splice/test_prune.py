"""Pruning: constant and repeated columns go, and only train rows are asked."""

from __future__ import annotations
