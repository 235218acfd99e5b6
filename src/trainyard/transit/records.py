"""One example: its TFRecord features and its row of the example table, made from the same values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainyard.transit.archive import FileRecord
from trainyard.transit.images import WindowImages
from trainyard.transit.schema import NO_SCALARS
from trainyard.transit.tces import QUIET, Tce
from trainyard.transit.windows import Resampled, Window
from trainyard.yard.examples import encode_example, encode_tensor

_PIXEL_SCALE = 21 / 3.98
"""TESS over Kepler pixel size: the centroid columns of the table are divided by it."""
_ERROR_FLOOR_ARCSEC = 0.0667
_ERROR_ADDED_ARCSEC = 2.5
_SATURATED_MAG = 7.0


@dataclass(frozen=True)
class Example:
    """A window with everything that is written of it."""

    uid: str
    tce_uid: str
    tce_uids: tuple[str, ...]
    coincident_tce_uids: tuple[str, ...]
    event_id: str
    sector: int
    label: int
    transit_example: int
    origin: str
    window: Window
    points: Resampled
    images: WindowImages | None
    depth_measured_ppm: float
    timing_error_durations: float
    scalars: Mapping[str, Any]


def star_scalars(tce: Tce | None, file: FileRecord) -> dict[str, Any]:
    """Scalar features of a window: the TCE's row, completed from the file's header where the table has no value."""
    scalars = NO_SCALARS | {"disposition": QUIET}
    if tce is not None:
        scalars |= dict(tce.given) | {"disposition": tce.disposition}
    scalars["target_id"] = file.target_id
    scalars["mission"] = 0 if file.mission == "TESS" else 1
    for name, value in (("ra", file.ra), ("dec", file.dec), ("mag", file.mag)):
        if not np.isfinite(scalars[name]):
            scalars[name] = value
    if np.isfinite(scalars["mag"]):
        scalars["mag_shift"] = scalars["mag"] - _SATURATED_MAG
        scalars["mag_cat"] = int(scalars["mag"] > _SATURATED_MAG)
    return scalars


def offset_sigma(scalars: Mapping[str, Any]) -> float:
    """Centroid offset from the target over its error, as the published filter defines it; NaN where not measured.

    Both columns are divided by the ratio of pixel scales in the table; the error gets 2.5 arcsec in place of the
    pipeline's floor of 0.0667.
    """
    offset = scalars["tce_dikco_msky"] * _PIXEL_SCALE
    error = (scalars["tce_dikco_msky_err"] - _ERROR_FLOOR_ARCSEC) * _PIXEL_SCALE + _ERROR_ADDED_ARCSEC
    measured = scalars["tce_dikco_msky_err"] >= 0 and error > 0
    return float(offset / error) if measured else float("nan")


def example_bytes(example: Example) -> bytes:
    """Serialized `tf.train.Example` (features: docs/transit.md)."""
    features: dict[str, Any] = {
        **example.scalars,
        "uid": example.uid,
        "tce_uid": example.tce_uid,
        "event_id": example.event_id,
        "origin": example.origin,
        "label": str(example.label),
        "transit_example": str(example.transit_example),
        "sector": str(example.sector),
        "t": example.window.centre,
        "duration_hours": example.window.duration * 24,
        "flux": example.points.flux,
        "flux_quality": example.points.quality,
        "true_it_mask": example.points.in_transit,
        "n_eff": example.points.n_eff,
        "has_images": int(example.images is not None),
    }
    if example.images is not None:
        for name in ("diff_img", "oot_img", "snr_img", "target_img"):
            features[name] = encode_tensor(getattr(example.images, name))
        features["target_pos"] = np.asarray(example.images.target_pos, dtype=np.int64)
        features["camera_pixels"] = example.images.camera_pixels
    return encode_example(features)


def example_row(example: Example, example_i: int) -> dict[str, Any]:
    """Row of the example table (schema.EXAMPLES)."""
    return {
        **example.scalars,
        "uid": example.uid,
        "example_i": example_i,
        "tce_uid": example.tce_uid,
        "tce_uids": ";".join(example.tce_uids),
        "coincident_tce_uids": ";".join(example.coincident_tce_uids),
        "event_id": example.event_id,
        "sector": example.sector,
        "time": example.window.centre,
        "duration_hours": example.window.duration * 24,
        "label": example.label,
        "transit_example": example.transit_example,
        "origin": example.origin,
        "has_images": example.images is not None,
        "frac_good": example.window.frac_good,
        "frac_good_center": example.window.frac_good_center,
        "in_transit_fraction": float(example.points.in_transit.mean()),
        "depth_measured_ppm": example.depth_measured_ppm,
        "timing_error_durations": example.timing_error_durations,
        "offset_sigma": offset_sigma(example.scalars),
    }
