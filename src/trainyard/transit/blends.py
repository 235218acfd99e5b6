"""Stars that share one eclipse: neighbours on the sky whose events coincide must not stand in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from trainyard.transit.events import same_event
from trainyard.transit.settings import PlanSettings
from trainyard.transit.tces import Tce


def blend_groups(
    tces: Mapping[int, Sequence[Tce]],
    positions: Mapping[int, tuple[float, float]],
    *,
    radius_arcsec: float,
    settings: PlanSettings,
) -> dict[int, int]:
    """Group of every star: the lowest target id among the stars linked to it.

    Two stars are linked when they are closer than `radius_arcsec` and have TCEs with the same ephemeris.

    Args:
        tces: TCEs by target id.
        positions: (right ascension, declination) by target id, degrees; a star without position is never linked.
        radius_arcsec: Largest separation; 0 switches the grouping off.
        settings: Tolerances of the ephemeris match.
    """
    groups = {target: target for target in tces}
    placed = sorted(target for target in tces if target in positions and all(map(isfinite, positions[target])))
    if radius_arcsec <= 0 or len(placed) < 2:
        return groups

    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    directions = unit_vectors(np.array([positions[target] for target in placed]))
    chord = 2 * np.sin(np.radians(radius_arcsec / 3600) / 2)
    pairs = cKDTree(directions).query_pairs(chord, output_type="ndarray")
    linked = [
        any(same_event(x, y, settings) for x in tces[placed[i]] for y in tces[placed[j]]) for i, j in pairs.tolist()
    ]
    i, j = pairs[np.array(linked, bool)].T
    links = coo_array((np.ones(len(i), bool), (i, j)), shape=(len(placed), len(placed)))
    _, component = connected_components(links, directed=False)
    # `placed` is sorted, so the first member of a component is its lowest target id.
    _, first = np.unique(component, return_index=True)
    return groups | {target: placed[first[label]] for target, label in zip(placed, component, strict=True)}


def unit_vectors(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions of (right ascension, declination) pairs.

    Args:
        positions: Shape ``(n, 2)``, degrees.

    Returns:
        Shape ``(n, 3)``, dimensionless.
    """
    ra, dec = np.radians(positions).T
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
