"""The whole configuration: one model per line, read from YAML, checked with all mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from trainyard.transit.settings import TransitSettings
from trainyard.voxel.settings import VoxelSettings
from trainyard.yard.config import read_yaml, validation_errors
from trainyard.yard.errors import ConfigError
from trainyard.yard.settings import Settings

Line = Literal["transit", "voxel"]


class Folders(Settings):
    """Where outputs go; each run has a folder of its own in each of them."""

    results: str = Field("results", description="Datasets, models and reports.")
    logs: str = Field("logs", description="Logs of the jobs.")
    benchmarks: str = Field("benchmarks/results", description="Run time and memory of the jobs.")


class Config(Settings):
    """Configuration of a run."""

    run: str = Field(
        "demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the run; outputs go to <results>/<run>/."
    )
    lines: list[Line] = Field(["transit"], description="Lines that `snakemake all` builds.")
    transit: TransitSettings = Field(default_factory=TransitSettings, description="The transit line.")
    voxel: VoxelSettings = Field(default_factory=VoxelSettings, description="The voxel line.")
    folders: Folders = Field(default_factory=Folders, description="Where outputs go.")


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: Everything that is wrong with it, one line each.
    """
    return parse_config(read_yaml(path), source=str(path))


def parse_config(values: Mapping[str, Any], *, source: str) -> Config:
    """Check configuration values as Snakemake merged them.

    Raises:
        ConfigError: Everything that is wrong with them, one line each.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("\n".join(validation_errors(error, Config, source))) from error
