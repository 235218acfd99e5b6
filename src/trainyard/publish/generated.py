"""Files of the repository that are made from the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from trainyard.publish.places import COLUMNS, REFERENCE, SCHEMA
from trainyard.publish.reference import config_reference, config_schema
from trainyard.publish.transit_columns import transit_columns
from trainyard.publish.voxel_columns import voxel_columns
from trainyard.yard.errors import InputError
from trainyard.yard.files import write_text

GENERATED: Mapping[str, Callable[[], str]] = {
    SCHEMA: config_schema,
    REFERENCE: config_reference,
    COLUMNS["transit"]: transit_columns,
    COLUMNS["voxel"]: voxel_columns,
}
"""Path from the root of the repository to the maker of the text."""


def write_generated(name: str, root: Path) -> Path:
    """Write one of the generated files anew and return where it stands.

    Args:
        name: A key of `GENERATED`.
        root: Root of the repository.

    Raises:
        InputError: `root` is not the root of a Trainyard repository.
    """
    if not (root / "Snakefile").is_file():
        raise InputError(f"{root.resolve()}: holds no Snakefile; run this in the root of the repository")
    path = root / name
    write_text(path, GENERATED[name]())
    return path
