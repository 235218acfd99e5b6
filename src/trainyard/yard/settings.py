"""Base of every settings model: closed, frozen, and documented field by field.

A stage has one settings model. Its JSON travels from the rule to the command
as one value, so Snakemake reruns the stage exactly when a value changes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A closed set of named values; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
