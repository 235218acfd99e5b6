"""The features of a TFRecord example: the one list for readers and docs; tests compare it with what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainyard.transit.schema import FLOAT_SCALARS, IMAGE_FEATURES, INT_SCALARS, STRING_SCALARS

Kind = Literal["bytes", "int64", "float32", "tensor"]
Where = Literal["all", "images", "norm", "norm images"]
"""Which examples carry a feature: all, those with images, normalized ones, normalized ones with images."""

POINTS = "100"
"""Length of a window: `build.windows.resampled_num_points`."""
IMAGE = "33 x 33"
"""Rows and columns of an image: `build.images.size_img` times `f_size`."""


@dataclass(frozen=True)
class Feature:
    """A feature of an example; `shape` is that of the default settings.

    A `tensor` is one bytes value: a float32 array as `tf.io.serialize_tensor` writes it, indexed [row, col].
    """

    name: str
    kind: Kind
    shape: str = "1"
    unit: str = ""
    description: str = ""
    where: Where = "all"


_WINDOW: tuple[Feature, ...] = (
    Feature("uid", "bytes", description="tce_uid, `_t_`, centre in full precision; the key of the example"),
    Feature("tce_uid", "bytes", description="TCE that the window is cut for; `<star>-0-S<sector>`: none"),
    Feature("event_id", "bytes", description="physical event (cluster of TCEs) of the star"),
    Feature("origin", "bytes", description="own, spare or residual; see Negatives"),
    Feature("label", "bytes", description='"1": transit or eclipse on the target, "0": everything else'),
    Feature("transit_example", "bytes", description='"1": in-transit window of any disposition, "0": out-of-transit'),
    Feature("sector", "bytes", description="sector, quarter or campaign, as text"),
    Feature(
        "t",
        "float32",
        unit="d",
        description="centre, BTJD or BKJD; float32 rounds to 10 to 21 s, `time` of the example table does not",
    ),
    Feature("duration_hours", "float32", unit="h", description="transit duration that the window is made with"),
    Feature("flux", "float32", POINTS, description="relative flux, around 1"),
    Feature("flux_quality", "float32", POINTS, description="cadence quality in [0, 1]; 1: all cadences good"),
    Feature("true_it_mask", "float32", POINTS, description="share of the point inside real events"),
    Feature("n_eff", "float32", POINTS, "cadences", "good cadences averaged; 0: flux is interpolated"),
    Feature("has_images", "int64", description="1: the example carries images"),
    Feature(
        "diff_img", "tensor", IMAGE, "e-/cadence", "out-of-transit minus in-transit mean: positive where light is lost",
        "images",
    ),
    Feature("oot_img", "tensor", IMAGE, "e-/cadence", "out-of-transit mean", "images"),
    Feature("snr_img", "tensor", IMAGE, "sigma", "difference over its uncertainty", "images"),
    Feature("target_img", "tensor", IMAGE, "", "1 at the target's pixel, else 0", "images"),
    Feature("target_pos", "int64", "2", "pixel", "column and row of the target, 0-based", "images"),
)  # fmt: skip
_NORMALIZED: tuple[Feature, ...] = (
    Feature("flux_norm", "float32", POINTS, description="flux in units of its own depth", where="norm"),
    Feature("flux_norm_scale", "float32", description="that depth, relative flux", where="norm"),
    *(
        Feature(f"{name}_stdnorm", "tensor", IMAGE, "sigma", f"{name} less median, over robust sigma", "norm images")
        for name in IMAGE_FEATURES
    ),
)
_SCALARS: tuple[Feature, ...] = (
    *(Feature(name, "int64", description=text) for name, text in INT_SCALARS.items()),
    *(Feature(name, "bytes", description=text) for name, text in STRING_SCALARS.items()),
    *(Feature(name, "float32", "1", unit, text) for name, (unit, text) in FLOAT_SCALARS.items()),
)
FEATURES: tuple[Feature, ...] = (*_WINDOW, *_NORMALIZED, *_SCALARS)
"""All features: of the window, of its normalization, and of the TCE (missing: -1, empty text, NaN)."""
