"""Stars made in a test: TCEs, light curves with planted box transits, and their files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from trainyard.transit.archive import FileRecord
from trainyard.transit.lightcurves import PreparedCurve
from trainyard.transit.members import Star
from trainyard.transit.tces import Tce

CADENCE = 2 / 1440
START = 1500.0
DEPTH = 0.01


def make_tce(
    uid="7-1-S1", *, run="1", sectors=(1,), disposition="KP", period=2.0, epoch=START + 1, hours=2.4, errors=None, **row
):
    """A TCE; `errors` are those of period and epoch (days), `row` further columns of its table."""
    target = int(uid.split("-")[0])
    given = {"target_id": target, "disposition": disposition, "tce_period": period, "tce_time0bk": epoch}
    period_err, epoch_err = errors or (float("nan"), float("nan"))
    return Tce(
        uid=uid,
        target_id=target,
        sector_run=run,
        sectors=sectors,
        disposition=disposition,
        period=period,
        epoch=epoch,
        duration_hours=hours,
        period_err=period_err,
        epoch_err=epoch_err,
        given=dict(sorted((given | row).items())),
    )


def make_file(target=7, sector=1, kind="lc", **changes):
    """The record of a file that need not be there."""
    record = FileRecord(
        path=f"/archive/{kind}/{target}-{sector}.fits",
        kind=kind,
        mission="TESS",
        target_id=target,
        sector=sector,
        bytes=1000,
        content=f"{kind}:{target}:{sector}",
        ra=60.0,
        dec=-66.0,
        mag=10.0,
        cadence_days=CADENCE,
        time_reference="BTJD",
    )
    return dataclasses.replace(record, **changes)


def make_star(tces, files, target=7):
    return Star(target, tuple(sorted(tces, key=lambda tce: tce.uid)), tuple(files))


def mid_times(tce, start, end):
    """Mid-times of an ephemeris in an interval, one by one."""
    first = int(np.floor((start - tce.epoch) / tce.period)) - 1
    times = [tce.epoch + k * tce.period for k in range(first, first + int((end - start) / tce.period) + 4)]
    return [time for time in times if start <= time <= end]


def dips(time, tces, *, depth=DEPTH):
    """Relative flux with a box for every event of every TCE."""
    flux = np.ones(len(time))
    for tce in tces:
        for mid in mid_times(tce, time[0] - 1, time[-1] + 1):
            flux[np.abs(time - mid) <= tce.duration_hours / 48] = 1 - depth
    return flux


def make_curve(tces=(), *, days=12.0, start=START, holes=(), noise=0.0, seed=0, level=1000.0):
    """A prepared light curve; `holes` are (first, stop) indices of cadences that are not good."""
    time = start + CADENCE * np.arange(round(days / CADENCE))
    good = np.ones(len(time), dtype=bool)
    for first, stop in holes:
        good[first:stop] = False
    flux = dips(time, tces) + np.random.default_rng(seed).normal(0, noise, len(time))
    flux[~good] = np.interp(time[~good], time[good], flux[good])
    return PreparedCurve(
        time=time,
        flux=level * flux,
        good=good,
        flux_quality=np.where(good, 1.0, 0.1).astype(np.float32),
    )


def write_star_files(
    folder: Path, tces, *, target=7, sector=1, pixels=False, days=6.0, start=START, flags=(), missing=(), noise=1e-4
):
    """Write the light curve and, if asked, the pixels of one sector; gives their records.

    `flags` are (first, stop) of cadences with a momentum dump, `missing` of cadences without time.
    """
    from trainyard.demo.fits import Identity, Stamp, light_curve_bytes, target_pixel_bytes

    n = round(days / CADENCE)
    time = start + CADENCE * np.arange(n)
    rng = np.random.default_rng([target, sector])
    flux = 1000 * (dips(time, tces) + rng.normal(0, noise, n))
    quality = np.zeros(n, dtype=np.int32)
    for first, stop in flags:
        quality[first:stop] = 32
    for first, stop in missing:
        time[first:stop], flux[first:stop] = np.nan, np.nan
    identity = Identity(target, sector, 1, 1, 60.0, -66.0, 10.0, 5700.0, 4.4, 1.0, "test")
    aperture = np.full((5, 5), 1, dtype=np.int32)
    aperture[1:4, 1:4] = 3
    stamp = Stamp(aperture, 2.0, 2.0, 0.0, (100, 200))
    columns = {"TIME": time, "CADENCENO": np.arange(n, dtype=np.int32), "QUALITY": quality}
    light = {"PDCSAP_FLUX": flux.astype(np.float32), "PDCSAP_FLUX_ERR": np.full(n, 0.1, dtype=np.float32)}
    contents = {"lc": light_curve_bytes(identity, stamp, columns | light)}
    if pixels:
        profile = np.full((5, 5), 5.0)
        profile[2, 2] = 1000.0
        images = {
            "FLUX": (profile * np.where(np.isfinite(flux), flux / 1000, 1)[:, None, None]).astype(np.float32),
            "FLUX_ERR": np.full((n, 5, 5), 1.0, dtype=np.float32),
        }
        contents["tp"] = target_pixel_bytes(identity, stamp, columns | images)
    records = []
    for kind, content in contents.items():
        path = folder / f"{target}-{sector}-{kind}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        records.append(make_file(target, sector, kind, path=str(path), bytes=len(content)))
    return records
