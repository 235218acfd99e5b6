"""What inputs hold, told quickly: a digest of contents that reads a file again only when it may have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json, sha256_file, write_json


def contents_digest(paths: Iterable[Path], cache: Path) -> str:
    """Digest of the names and contents of files; those that are not there leave no trace in it.

    Contents are read once; while size and time of a file stay as they are, its checksum is taken from the cache.

    Args:
        paths: The files.
        cache: Folder of the caches.
    """
    file = cache / "checksums.json"
    known = _checksums(file)
    found = {}
    for path in filter(Path.is_file, paths):
        status = path.stat()
        entry = known.get(str(path), [])
        stamp = [status.st_size, status.st_mtime_ns]
        found[str(path)] = entry if entry[:2] == stamp else [*stamp, sha256_file(path)]
    if any(known.get(path) != entry for path, entry in found.items()):
        write_json(file, {**known, **found})
    told = sorted((Path(path).name, entry[2]) for path, entry in found.items())
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _checksums(file: Path) -> dict[str, list[Any]]:
    try:
        return dict(read_json(file))
    except (InputError, TypeError, ValueError):
        return {}  # a cache that is not there, or cannot be read, only costs time
