"""Names, units and roles of everything the transit line writes (spec of features: docs/transit.md)."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from trainyard.yard.tables import Column, Role, TableContract

SPLITS = ("train", "val", "test")
NORMALIZED_IMAGES = ("diff_img", "oot_img", "snr_img")
"""Image features that get a normalized copy, `*_stdnorm`; `target_img` is a marker and stays as it is."""

INT_SCALARS: dict[str, str] = {
    "target_id": "TIC, KIC or EPIC number",
    "tce_plnt_num": "candidate index within target and run",
    "numberOfPlanets": "candidates found on the target in the run",
    "tce_num_transits": "expected transits",
    "tce_num_transits_obs": "observed transits",
    "mag_cat": "0: saturated (magnitude <= 7), 1: otherwise",
    "mission": "0: TESS, 1: Kepler or K2",
}
STRING_SCALARS: dict[str, str] = {
    "disposition": "label of the TCE: KP CP PC APC EB BD FP NEB NPC NTP UNK; NONE for a star without TCE",
    "disposition_source": "catalogue that the disposition comes from",
    "matched_object": "identifier of the matched object in that catalogue",
}
FLOAT_SCALARS: dict[str, tuple[str, str]] = {
    "tce_max_sngle_ev": ("sigma", "single event statistic of the primary"),
    "tce_max_mult_ev": ("sigma", "multiple event statistic of the primary"),
    "tce_model_chisq": ("", "chi-square of the transit fit"),
    "tce_model_snr": ("", "signal to noise of the transit fit"),
    "tce_robstat": ("", "robust statistic"),
    "tce_depth": ("ppm", "transit depth"),
    "tce_period": ("d", "orbital period"),
    "tce_time0bk": ("d", "mid-time of one transit, BTJD or BKJD"),
    "tce_duration": ("h", "first to last contact"),
    "tce_ror": ("", "planet to star radius ratio"),
    "tce_dor": ("", "orbital distance in stellar radii"),
    "tce_impact": ("", "impact parameter"),
    "tce_sma": ("AU", "semi-major axis"),
    "tce_incl": ("deg", "inclination"),
    "tce_eccen": ("", "eccentricity"),
    "tce_longp": ("deg", "longitude of periastron"),
    "tce_prad": ("Earth radii", "planet radius"),
    "tce_eqt": ("K", "equilibrium temperature"),
    "tce_insol": ("Earth flux", "insolation"),
    "boot_fap": ("", "bootstrap false-alarm probability"),
    "tce_dikco_msky": ("Kepler arcsec", "centroid offset from the catalogue position, divided by 21/3.98"),
    "tce_dikco_msky_err": ("Kepler arcsec", "its uncertainty"),
    "tce_dicco_msky": ("Kepler arcsec", "centroid offset from the out-of-transit centroid, divided by 21/3.98"),
    "tce_dicco_msky_err": ("Kepler arcsec", "its uncertainty"),
    "mag": ("mag", "TESS or Kepler magnitude"),
    "mag_shift": ("mag", "magnitude minus 7"),
    "tce_sdens": ("solar", "stellar density"),
    "tce_sradius": ("solar radii", "stellar radius"),
    "tce_steff": ("K", "stellar effective temperature"),
    "tce_slogg": ("log10(cm/s2)", "stellar surface gravity"),
    "tce_smet": ("dex", "stellar metallicity"),
    "tce_maxmes": ("sigma", "multiple event statistic of the strongest weak secondary"),
    "tce_maxmesd": ("d", "offset of that secondary from the primary; may be negative"),
    "wst_depth": ("ppm", "depth of the weak secondary"),
    "tce_albedo": ("", "geometric albedo from the secondary"),
    "tce_albedo_stat": ("", "its test"),
    "tce_ptemp": ("K", "planet temperature from the secondary"),
    "tce_ptemp_stat": ("", "its test"),
    "tce_bin_oedp_stat": ("", "odd/even depth statistic"),
    "tce_shortper_stat": ("", "shorter-period statistic"),
    "tce_longper_stat": ("", "longer-period statistic"),
    "tce_cap_stat": ("", "ghost diagnostic, core aperture"),
    "tce_hap_stat": ("", "ghost diagnostic, halo aperture"),
    "planetToiId": ("", "TOI number"),
    "ra": ("deg", "right ascension"),
    "dec": ("deg", "declination"),
    "ruwe": ("", "Gaia renormalised unit weight error"),
}
_NO_NUMBERS = dict.fromkeys(FLOAT_SCALARS, math.nan) | dict.fromkeys(INT_SCALARS, -1)
NO_SCALARS: dict[str, Any] = dict(sorted((_NO_NUMBERS | dict.fromkeys(STRING_SCALARS, "")).items()))
"""What stands for each scalar where no table or header tells it; by name, as they are written."""
_DOUBLE = {"tce_period", "tce_time0bk", "tce_duration", "ra", "dec"}
_NEVER, _FEATURE = Role.NEVER_A_FEATURE, Role.FEATURE
_OF_EVERY_STAR = {"mag", "mag_shift", "mag_cat", "mission"}
"""Scalars that a file's header has, whether or not a catalogue knows the star."""


def scalar_role(name: str) -> Role:
    """What a scalar may be used for.

    What a catalogue says of a TCE, and of the star that has one, is missing for quiet stars and describes the answer,
    not the window: it never is a model input.
    """
    if name == "target_id":
        return Role.KEY
    return _FEATURE if name in _OF_EVERY_STAR else _NEVER


def _scalar_columns() -> list[Column]:
    columns = [Column(name, pa.int64(), scalar_role(name), description=text) for name, text in INT_SCALARS.items()]
    columns += [Column(name, pa.string(), _NEVER, description=text) for name, text in STRING_SCALARS.items()]
    columns += [
        Column(name, pa.float64() if name in _DOUBLE else pa.float32(), scalar_role(name), unit, text)
        for name, (unit, text) in FLOAT_SCALARS.items()
    ]
    return columns


EXAMPLES = TableContract(
    "transit_examples",
    (
        Column("uid", pa.string(), Role.KEY, description="tce_uid, '_t_', centre in full precision", nullable=False),
        Column("example_i", pa.int32(), Role.METADATA, description="0-based record number in the raw shard"),
        Column(
            "tce_uid", pa.string(), Role.KEY, description="TCE that the window is cut for; <star>-0-S<sector>: none"
        ),
        Column("tce_uids", pa.string(), _NEVER, description="all TCEs of the same physical event, by ;"),
        Column(
            "coincident_tce_uids",
            pa.string(),
            _NEVER,
            description="TCEs of other events with a dip at this time, by ;; it is not emitted again for them",
        ),
        Column("event_id", pa.string(), Role.KEY, description="physical event (cluster of TCEs) of the star"),
        Column("sector", pa.int32(), Role.METADATA, description="sector, quarter or campaign"),
        Column("time", pa.float64(), Role.METADATA, "d", "centre of the window, BTJD or BKJD"),
        Column("duration_hours", pa.float64(), _FEATURE, "h", "transit duration that the window is made with"),
        Column("label", pa.int8(), Role.LABEL, description="1: transit or eclipse on the target", nullable=False),
        Column("transit_example", pa.int8(), _NEVER, description="1: in-transit window, 0: out-of-transit"),
        Column("origin", pa.string(), _NEVER, description="own, spare or residual"),
        Column("has_images", pa.bool_(), Role.METADATA, description="whether the example carries images"),
        Column("frac_good", pa.float32(), Role.METADATA, description="good part of the window's cadences"),
        Column("frac_good_center", pa.float32(), _NEVER, description="good part of the central 1 TD"),
        Column("in_transit_fraction", pa.float32(), _NEVER, description="share of points inside a true event"),
        Column(
            "depth_measured_ppm", pa.float32(), _NEVER, "ppm", "median outside of 2 TD less that of the central half TD"
        ),
        Column("timing_error_durations", pa.float32(), _NEVER, "TD", "uncertainty of the predicted mid-time"),
        Column(
            "offset_sigma",
            pa.float32(),
            _NEVER,
            "sigma",
            "centroid offset over its error, published formula; NaN: none",
        ),
        *_scalar_columns(),
    ),
)

SPLIT_EXAMPLES = TableContract(
    "transit_split_examples",
    (
        *EXAMPLES.columns,
        Column("split", pa.string(), Role.METADATA, description="train, val or test"),
        Column("shard", pa.string(), Role.METADATA, description="file name of the split shard"),
        Column("example_i_tfrec", pa.int32(), Role.METADATA, description="0-based record number in the split shard"),
    ),
)

DATA_TBL_COLUMNS = (
    "tce_uid",
    "n_transit_examples",
    "n_not_transit_examples",
    "tfrec_fn",
    *(name for name in INT_SCALARS if name not in ("mag_cat", "mission")),
    *FLOAT_SCALARS,
    *STRING_SCALARS,
)
"""Columns of `data_tbl_*.csv`, in the published order."""
