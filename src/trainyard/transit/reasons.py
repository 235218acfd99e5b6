"""The closed list of reasons for which the transit line rejects an item."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a table row, file, TCE, window or negative did not make it; the value is what people read."""

    # rows of the TCE table
    MISSING_TARGET = "missing_target_id"
    NAN_EPHEMERIS = "nan_ephemeris"
    IMPLAUSIBLE_PERIOD = "implausible_period"
    IMPLAUSIBLE_DURATION = "implausible_duration"
    BAD_SECTOR_RUN = "bad_sector_run"
    DUPLICATE_ROW = "duplicate_row"
    DISPOSITION_NOT_KEPT = "disposition_not_kept"
    TARGET_NOT_SELECTED = "target_not_selected"
    # files of the archive
    EMPTY_FILE = "empty_file"
    UNREADABLE = "unreadable_file"
    NO_PERMISSION = "no_permission"
    OTHER_CADENCE = "other_cadence"
    DUPLICATE_FILE = "duplicate_file"
    QUARANTINED = "quarantined"
    NOT_PLANNED = "target_not_in_table"
    WRONG_KIND = "not_a_light_curve_or_pixel_file"
    NO_FINITE_FLUX = "no_finite_flux"
    NON_POSITIVE_FLUX = "non_positive_flux"
    # TCEs of a shard
    NO_LIGHT_CURVE = "no_light_curve"
    NOT_EXEMPLIFIED = "disposition_not_exemplified"
    SAME_EVENT = "same_event_as_another_tce"
    NO_EVENT_IN_DATA = "no_event_in_data"
    NO_WINDOW_KEPT = "no_window_kept"
    # in-transit windows
    PAST_DATA_EDGE = "window_past_data_edge"
    NO_CADENCE_IN_WINDOW = "no_cadence_in_window"
    NO_CADENCE_IN_CENTER = "no_cadence_in_center"
    LOW_GOOD_FRACTION_WINDOW = "good_fraction_of_window"
    LOW_GOOD_FRACTION_CENTER = "good_fraction_of_center"
    OVERLAPS_POSITIVE = "negative_window_overlaps_positive_event"
    EPHEMERIS_DRIFT = "ephemeris_too_uncertain"
    OVER_CAP = "over_cap"
    # out-of-transit windows
    OOT_EXHAUSTED = "oot_candidates_exhausted"
    NO_EPHEMERIS = "row_without_usable_ephemeris"
    # images, where they are required
    NO_PIXEL_FILE = "no_pixel_file"
    NO_IN_TRANSIT_PIXELS = "no_in_transit_pixels"
    NO_OUT_OF_TRANSIT_PIXELS = "no_out_of_transit_pixels"
    IMAGE_EMPTY = "image_empty"
    # anything else, with the message in the detail
    UNEXPECTED = "unexpected_error"


FAULTS = frozenset({Reason.UNEXPECTED, Reason.UNREADABLE, Reason.EMPTY_FILE, Reason.NO_PERMISSION})
"""Reasons that speak of broken inputs or of a defect, not of a rule of the science."""
