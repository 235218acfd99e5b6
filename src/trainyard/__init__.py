"""Trainyard turns raw scientific archives into training sets that can be trusted."""

__version__ = "0.1.0"
