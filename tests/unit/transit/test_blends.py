"""Blends: neighbours on the sky whose events coincide are one group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_stars import make_tce

from trainyard.transit.blends import blend_groups, unit_vectors
from trainyard.transit.settings import PlanSettings

PLAN = PlanSettings()
ARCSEC = 1 / 3600


def grouped(positions, *, periods=None, radius=42.0):
    """Groups of stars 1, 2, ... at these places, all with the same event unless periods are given."""
    stars = range(1, len(positions) + 1)
    periods = periods or [2.0] * len(positions)
    tces = {star: [make_tce(f"{star}-1-S1", period=p)] for star, p in zip(stars, periods, strict=True)}
    places = dict(zip(stars, positions, strict=True))
    return list(blend_groups(tces, places, radius_arcsec=radius, settings=PLAN).values())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((60.0, 0.0), (60.0 + 20 * ARCSEC, 0.0)),
        ((60.0, 60.0), (60.0 + 60 * ARCSEC, 60.0)),  # 30 arcsec on the sky
        ((10 * ARCSEC, -30.0), (360 - 10 * ARCSEC, -30.0)),
        ((0.0, 90 - 5 * ARCSEC), (180.0, 90 - 5 * ARCSEC)),
    ],
)
def test_neighbours_with_the_same_event_are_one_group(first, second):
    assert grouped([first, second]) == [1, 1]


@pytest.mark.parametrize(
    ("places", "options"),
    [
        ([(60.0, 0.0), (60.0, 43 * ARCSEC)], {}),
        ([(60.0, 0.0), (60.0, 20 * ARCSEC)], {"periods": [2.0, 3.1]}),
        ([(60.0, 0.0), (60.0, 20 * ARCSEC)], {"radius": 0.0}),
        ([(60.0, 0.0), (float("nan"), float("nan"))], {}),
    ],
)
def test_other_stars_stay_alone(places, options):
    assert grouped(places, **options) == [1, 2]


def test_groups_are_chained_under_their_lowest_star():
    places = [(60.0, 60 * ARCSEC), (10.0, 0.0), (60.0, 0.0), (60.0, 30 * ARCSEC)]
    assert grouped(places) == [1, 2, 1, 1]


def test_quiet_stars_and_stars_without_place_are_groups_of_their_own():
    groups = blend_groups({5: [], 4: [make_tce("4-1-S1")]}, {5: (60.0, 0.0)}, radius_arcsec=42, settings=PLAN)
    assert groups == {5: 5, 4: 4}


@given(st.floats(0, 360), st.floats(-89, 89), st.floats(0, 2 * np.pi), st.floats(1, 100))
def test_distances_of_directions_are_those_on_the_sky(ra, dec, angle, arcsec):
    step = arcsec * ARCSEC
    other = (ra + step * np.sin(angle) / np.cos(np.radians(dec)), dec + step * np.cos(angle))
    a, b = unit_vectors(np.array([(ra, dec), other]))
    distance = np.degrees(2 * np.arcsin(np.linalg.norm(a - b) / 2)) / ARCSEC
    assert distance == pytest.approx(arcsec, rel=0.03)
