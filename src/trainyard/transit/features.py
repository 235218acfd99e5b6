"""The features of a TFRecord example: the one list for readers and docs; tests compare it with what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainyard.transit.schema import FLOAT_SCALARS, INT_SCALARS, NORMALIZED_IMAGES, STRING_SCALARS, scalar_role
from trainyard.yard.tables import Role

Kind = Literal["bytes", "int64", "float32", "tensor"]
Where = Literal["all", "images", "norm", "norm images"]
"""Which examples carry a feature: all, those with images, normalized ones, normalized ones with images."""

POINTS = "100"
"""Length of a window: `build.windows.resampled_num_points`."""
IMAGE = "33 x 33"
"""Rows and columns of an image: `build.images.size_img` times `f_size`."""
UP_TO_ALL = "up to 121"
"""Pixels of the camera that an image shows: at most `build.images.size_img`."""
_KEY, _LABEL, _FEATURE, _META, _NEVER = Role.KEY, Role.LABEL, Role.FEATURE, Role.METADATA, Role.NEVER_A_FEATURE


@dataclass(frozen=True)
class Feature:
    """A feature of an example; `shape` is that of the default settings.

    A `tensor` is one bytes value: a float32 array as `tf.io.serialize_tensor` writes it, indexed [row, col]. Only one
    of the role `feature` may be shown to a model.
    """

    name: str
    kind: Kind
    role: Role
    shape: str = "1"
    unit: str = ""
    description: str = ""
    where: Where = "all"


_WINDOW: tuple[Feature, ...] = (
    Feature("uid", "bytes", _KEY, description="tce_uid, `_t_`, centre in full precision; the key of the example"),
    Feature("tce_uid", "bytes", _KEY, description="TCE that the window is cut for; `<star>-0-S<sector>`: none"),
    Feature("event_id", "bytes", _KEY, description="physical event (cluster of TCEs) of the star"),
    Feature("origin", "bytes", _NEVER, description="own, spare or residual; see Negatives"),
    Feature("label", "bytes", _LABEL, description='"1": transit or eclipse on the target, "0": everything else'),
    Feature(
        "transit_example", "bytes", _NEVER, description='"1": in-transit window of any disposition, "0": out-of-transit'
    ),
    Feature("sector", "bytes", _META, description="sector, quarter or campaign, as text"),
    Feature(
        "t",
        "float32",
        _META,
        unit="d",
        description="centre, BTJD or BKJD; float32 rounds to 10 to 21 s, `time` of the example table does not",
    ),
    Feature("duration_hours", "float32", _FEATURE, unit="h", description="transit duration of the window"),
    Feature("flux", "float32", _FEATURE, POINTS, description="relative flux, around 1"),
    Feature("flux_quality", "float32", _FEATURE, POINTS, description="cadence quality in [0, 1]; 1: all cadences good"),
    Feature("true_it_mask", "float32", _NEVER, POINTS, description="share of the point inside real events"),
    Feature("n_eff", "float32", _NEVER, POINTS, "cadences", "good cadences averaged; 0: flux is interpolated"),
    Feature("has_images", "int64", _META, description="1: the example carries images"),
    Feature(
        "diff_img", "tensor", _FEATURE, IMAGE, "e-/cadence",
        "out-of-transit minus in-transit mean: positive where light is lost", "images",
    ),
    Feature("oot_img", "tensor", _FEATURE, IMAGE, "e-/cadence", "out-of-transit mean", "images"),
    Feature("snr_img", "tensor", _FEATURE, IMAGE, "sigma", "difference over its uncertainty", "images"),
    Feature("target_img", "tensor", _FEATURE, IMAGE, "", "1 at the target's pixel, else 0", "images"),
    Feature("target_pos", "int64", _META, "2", "pixel", "column and row of the target, 0-based", "images"),
    Feature(
        "camera_pixels", "int64", _META, UP_TO_ALL, "",
        "one place in the flattened images for every camera pixel; the others are copies or fill a hole", "images",
    ),
)  # fmt: skip
_NORMALIZED: tuple[Feature, ...] = (
    Feature("flux_norm", "float32", _FEATURE, POINTS, description="flux in units of its own depth", where="norm"),
    Feature("flux_norm_scale", "float32", _META, description="that depth, relative flux", where="norm"),
    *(
        Feature(
            f"{name}_stdnorm", "tensor", _FEATURE, IMAGE, "sigma", f"{name} less median, over robust sigma",
            "norm images",
        )
        for name in NORMALIZED_IMAGES
    ),
)  # fmt: skip
_SCALARS: tuple[Feature, ...] = (
    *(Feature(name, "int64", scalar_role(name), description=text) for name, text in INT_SCALARS.items()),
    *(Feature(name, "bytes", scalar_role(name), description=text) for name, text in STRING_SCALARS.items()),
    *(Feature(name, "float32", scalar_role(name), "1", unit, text) for name, (unit, text) in FLOAT_SCALARS.items()),
)
FEATURES: tuple[Feature, ...] = (*_WINDOW, *_NORMALIZED, *_SCALARS)
"""All features: of the window, of its normalization, and of the TCE (missing: -1, empty text, NaN)."""
