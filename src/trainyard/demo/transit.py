"""A simulated TESS archive with planted truth: its catalogue as a pure function, and its files.

The catalogue costs milliseconds, so that a plan can be made before any file is there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.demo.transit_stars import CADENCE_DAYS, Star, make_star, sector_start
from trainyard.demo.transit_tces import TCE_COLUMNS, Row, tce_rows
from trainyard.transit.archive import FileRecord
from trainyard.transit.settings import DemoSettings
from trainyard.yard.files import atomic_open, faults_named
from trainyard.yard.identity import keyed_hash
from trainyard.yard.logs import progress

if TYPE_CHECKING:
    from trainyard.demo.fits import Identity
    from trainyard.demo.transit_truth import Good

TCES, TRUTH, MANIFEST = "tces.csv", "truth.json", "demo_manifest.json"

_BTJD_ZERO = datetime(2014, 12, 8, 12)
"""JD 2457000.0."""
_BLOCK = 2880
_HEADER_BLOCKS = {"lc": 7, "tp": 6}
_ROW_BYTES = {"lc": 100, "tp": 28}


@dataclass(frozen=True)
class DemoCatalogue:
    """What the demo's archive holds: its stars with all that is planted, the TCE table, and the files.

    Paths of `files` are relative to the demo's folder, and `content` identifies the simulation of a file.
    """

    stars: tuple[Star, ...]
    rows: list[Row]
    files: tuple[FileRecord, ...]


def catalogue(settings: DemoSettings) -> DemoCatalogue:
    """The demo that these settings describe; reads and writes nothing."""
    stars = tuple(make_star(settings.seed, index) for index in range(settings.stars))
    rows = [row for star in stars for row in tce_rows(star, seed=settings.seed, sectors=settings.sectors)]
    kinds = ("lc", "tp") if settings.pixels else ("lc",)
    files = tuple(
        _record(settings, star, sector, kind)
        for star in stars
        if star.observed
        for sector in range(1, settings.sectors + 1)
        for kind in kinds
    )
    return DemoCatalogue(stars, rows, files)


def write_inputs(settings: DemoSettings, folder: Path) -> dict[str, Any]:
    """Write the demo's archive: `tces.csv`, light curves, pixel files, `truth.json` and, last, `demo_manifest.json`.

    A file that already holds the right bytes is left untouched; files of a demo with other settings are removed.

    Args:
        settings: What to simulate.
        folder: Where to; made if it is missing.

    Returns:
        The manifest: the settings, and path (relative), bytes and sha256 of every other file.

    Raises:
        EnvironmentFault: Disk full, no permission, read-only file system.
    """
    demo = catalogue(settings)
    stars = {star.tic: star for star in demo.stars}
    good: dict[int, dict[int, Good]] = defaultdict(dict)
    _remove_others(folder, {folder / file.path for file in demo.files})
    entries = [_put(folder, TCES, _csv_bytes(demo.rows))]
    for file in progress(demo.files, total=len(demo.files), what="demo files"):
        star = stars[file.target_id]
        if file.kind == "lc":
            content, good[star.tic][file.sector] = _light_curve(settings, star, file)
        else:
            content = _target_pixels(settings, star, file)
        entries.append(_put(folder, file.path, content))
    entries.append(_put(folder, TRUTH, _truth(settings, demo.stars, good)))
    manifest = {
        "settings": settings.model_dump(mode="json"),
        "files": sorted(entries, key=lambda entry: str(entry["path"])),
    }
    _put(folder, MANIFEST, _json_bytes(manifest))
    return manifest


def file_name(tic: int, sector: int, kind: str) -> str:
    """Name that the archive gives to a file; `kind` is `lc` or `tp`."""
    stamp = (_BTJD_ZERO + timedelta(days=sector_start(sector))).strftime("%Y%j%H%M%S")
    return f"tess{stamp}-s{sector:04d}-{tic:016d}-{119 + sector:04d}-s_{kind}.fits"


def _record(settings: DemoSettings, star: Star, sector: int, kind: str) -> FileRecord:
    shape: list[str | int] = [repr(settings.days), *([settings.stamp] if kind == "tp" else [])]
    fingerprint = keyed_hash("demo-file", kind, settings.seed, star.index, sector, *shape, size=16)
    return FileRecord(
        path=f"{kind}/sector_{sector}/{file_name(star.tic, sector, kind)}",
        kind=kind,
        mission="TESS",
        target_id=star.tic,
        sector=sector,
        bytes=_size(settings, kind),
        content=f"demo:{fingerprint:032x}",
        ra=star.ra,
        dec=star.dec,
        mag=star.tmag,
        cadence_days=CADENCE_DAYS,
        time_reference="BTJD",
    )


def _size(settings: DemoSettings, kind: str) -> int:
    """Bytes of a file: headers, table and aperture image, each in whole FITS blocks."""
    row = _ROW_BYTES[kind] + (8 * settings.stamp**2 if kind == "tp" else 0)
    data = (round(settings.days / CADENCE_DAYS) * row, 4 * settings.stamp**2)
    return _BLOCK * (_HEADER_BLOCKS[kind] + sum(-(-size // _BLOCK) for size in data))


def _light_curve(settings: DemoSettings, star: Star, file: FileRecord) -> tuple[bytes, Good]:
    from trainyard.demo import fits
    from trainyard.demo import transit_signals as signals

    when = signals.cadences(star, seed=settings.seed, sector=file.sector, days=settings.days)
    columns = signals.light_curve_columns(star, when, seed=settings.seed, sector=file.sector)
    stamp = signals.make_stamp(star, seed=settings.seed, sector=file.sector, size=settings.stamp)
    content = fits.light_curve_bytes(_identity(star, file), stamp, columns)
    return content, (columns["TIME"], signals.good_cadences(columns))


def _target_pixels(settings: DemoSettings, star: Star, file: FileRecord) -> bytes:
    from trainyard.demo import fits
    from trainyard.demo import transit_signals as signals

    when = signals.cadences(star, seed=settings.seed, sector=file.sector, days=settings.days)
    stamp = signals.make_stamp(star, seed=settings.seed, sector=file.sector, size=settings.stamp)
    columns = signals.pixel_columns(star, when, stamp, seed=settings.seed, sector=file.sector)
    return fits.target_pixel_bytes(_identity(star, file), stamp, columns)


def _identity(star: Star, file: FileRecord) -> Identity:
    from trainyard.demo.fits import Identity

    return Identity(
        tic=star.tic,
        sector=file.sector,
        camera=star.camera,
        ccd=star.ccd,
        ra=star.ra,
        dec=star.dec,
        tmag=star.tmag,
        teff=star.teff,
        logg=star.logg,
        radius=star.radius,
        fingerprint=file.content,
    )


def _truth(settings: DemoSettings, stars: tuple[Star, ...], good: dict[int, dict[int, Good]]) -> bytes:
    from trainyard.demo.transit_truth import planted_events

    events = [event for star in stars for event in planted_events(star, good.get(star.tic, {}))]
    return _json_bytes({"settings": settings.model_dump(mode="json"), "events": events})


def _csv_bytes(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, TCE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _json_bytes(content: Any) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def _put(folder: Path, name: str, content: bytes) -> dict[str, str | int]:
    """Write a file unless it holds these bytes already; its entry in the manifest."""
    path = folder / name
    with faults_named(path):
        same = path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    if not same:
        with atomic_open(path) as handle:
            handle.write(content)
    return {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _remove_others(folder: Path, expected: set[Path]) -> None:
    """Remove files of an earlier demo, which a search of the archive would find; files of other origin stay."""
    for kind in ("lc", "tp"):
        for path in sorted((folder / kind).rglob("*.fits")):
            if path not in expected and _is_demo(path):
                with faults_named(path):
                    path.unlink()


def _is_demo(path: Path) -> bool:
    with faults_named(path), path.open("rb") as handle:
        return b"DEMOID  = 'demo:" in handle.read(_BLOCK)
