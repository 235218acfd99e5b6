"""The TCE table of the transit demo: what a search would say of the planted signals, under the archive's names."""

from __future__ import annotations

import numpy as np

from trainyard.demo.transit_stars import BASELINE_DAYS, SECTOR_PITCH, Signal, Star
from trainyard.yard.identity import generator

Row = dict[str, str | int | float | None]

LABEL_SOURCE = "Trainyard demo"
TCE_COLUMNS = (
    *("uid", "target_id", "tce_plnt_num", "sector_run", "numberOfPlanets"),
    *("tce_period", "tce_period_err", "tce_time0bk", "tce_time0bk_err", "tce_duration", "tce_depth"),
    *("tce_maxmes", "tce_maxmesd", "wst_depth", "tce_max_mult_ev", "tce_max_sngle_ev", "tce_model_snr"),
    *("tce_num_transits", "tce_num_transits_obs", "tce_ror", "tce_prad"),
    *("tce_dikco_msky", "tce_dikco_msky_err", "tce_dicco_msky", "tce_dicco_msky_err"),
    *("ra", "dec", "mag", "tce_steff", "tce_slogg", "tce_sradius", "tce_smet", "ruwe"),
    *("label", "label_source", "matched_object"),
)
"""Columns of the table; a missing value is None in a row and empty in the CSV."""

_TESS_TO_KEPLER_PIXEL = 21 / 3.98
_EARTH_RADII = 109.1
"""Radius of the Sun in Earth radii."""


def tce_rows(star: Star, *, seed: int, sectors: int) -> list[Row]:
    """The rows of one star: one per signal and run, or one without ephemeris (disposition NONE) for a quiet star."""
    all_sectors = f"1-{sectors}" if sectors > 1 else "1"
    if not star.signals:
        return [_row(star, number=0, run=all_sectors, label="NONE")]
    rows = []
    for signal in star.signals:
        runs = dict.fromkeys(["1", all_sectors] if signal.found_twice else [all_sectors])
        rows += [
            _signal_row(star, signal, run=run, seed=seed, sectors=sectors if run == all_sectors else 1) for run in runs
        ]
    return rows


def _row(star: Star, *, number: int, run: str, label: str) -> Row:
    """What the table says of the star, whatever was found on it."""
    row: Row = dict.fromkeys(TCE_COLUMNS)
    row |= {
        "uid": f"{star.tic}-{number}-S{run}",
        "target_id": star.tic,
        "tce_plnt_num": number,
        "sector_run": run,
        "numberOfPlanets": len(star.signals),
        "ra": star.ra,
        "dec": star.dec,
        "mag": star.tmag,
        "tce_steff": star.teff,
        "tce_slogg": star.logg,
        "tce_sradius": star.radius,
        "tce_smet": 0.0,
        "ruwe": star.ruwe,
        "label": label,
        "label_source": LABEL_SOURCE,
        "matched_object": "" if label in ("NONE", "UNK", "NTP") else f"DEMO-{star.index:04d}.{number:02d}",
    }
    return row


def _signal_row(star: Star, signal: Signal, *, run: str, seed: int, sectors: int) -> Row:
    row = _row(star, number=signal.number, run=run, label=signal.disposition)
    if not signal.ephemeris_known:
        return row
    rng = generator("demo-tce", seed, star.index, signal.number, run)
    days = BASELINE_DAYS + SECTOR_PITCH * (sectors - 1)
    epoch_err = 0.01 * signal.duration
    period_err = 1.5 * epoch_err / max(days / signal.period, 1)
    # A search sees the minima of a variable star as dips as deep as the variation.
    depth = signal.depth or (star.rotation.amplitude if signal.disposition == "NTP" else 2 * star.noise)
    cadences = signal.duration * 720
    transits = max(round(BASELINE_DAYS * sectors / signal.period), 1)
    single = depth / star.noise * np.sqrt(cadences)
    row |= {
        "tce_period": signal.period + rng.uniform(-1, 1) * period_err,
        "tce_period_err": period_err,
        "tce_time0bk": signal.epoch + rng.uniform(-1, 1) * epoch_err,
        "tce_time0bk_err": epoch_err,
        "tce_duration": 24 * signal.duration * rng.uniform(0.98, 1.02),
        "tce_depth": 1e6 * depth * rng.uniform(0.97, 1.03),
        "tce_maxmes": signal.secondary_mes,
        "tce_maxmesd": signal.secondary_offset,
        "wst_depth": 1e6 * signal.secondary_depth,
        "tce_max_sngle_ev": single,
        "tce_max_mult_ev": single * np.sqrt(transits),
        "tce_model_snr": single * np.sqrt(transits) * rng.uniform(0.9, 1.1),
        "tce_num_transits": transits,
        "tce_num_transits_obs": transits,
        "tce_ror": np.sqrt(depth),
        "tce_prad": np.sqrt(depth) * star.radius * _EARTH_RADII,
        **_centroid(signal, rng),
    }
    if signal.depth > 0.05:
        # The transit model does not fit deep eclipses; the archive then says -1.
        row |= {"tce_period_err": -1.0, "tce_time0bk_err": -1.0, "tce_model_snr": -1.0}
    return {name: float(value) if isinstance(value, np.floating) else value for name, value in row.items()}


def _centroid(signal: Signal, rng: np.random.Generator) -> Row:
    """Offset of the difference image from the target, in the archive's scaled arcseconds."""
    error = rng.uniform(2.0, 3.5) / _TESS_TO_KEPLER_PIXEL
    offset = np.hypot(signal.east, signal.north) / _TESS_TO_KEPLER_PIXEL
    return {
        "tce_dikco_msky": float(abs(offset + 0.7 * error * rng.uniform(-1, 1))),
        "tce_dikco_msky_err": float(error),
        "tce_dicco_msky": float(abs(offset + 0.7 * error * rng.uniform(-1, 1))),
        "tce_dicco_msky_err": float(error),
    }
