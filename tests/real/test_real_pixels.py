"""The first cadences of a real TESS target pixel file (WASP-126, sector 1)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainyard.transit.pixels import PixelFile

pytestmark = pytest.mark.real


def test_real_file_shows_its_star_where_its_coordinates_say(real_data: Path):
    with PixelFile.open(real_data / "transit" / "tp" / "tess25155310-s01-first-cadences.fits.gz") as pixels:
        assert (pixels.info.target_id, pixels.info.sector) == (25155310, 1)
        assert pixels.shape == (11, 11)
        assert pixels.exposure_seconds == pytest.approx(96.0)
        assert pixels.wcs is not None
        column, row = pixels.target_position(63.37389, -69.226789)
        rows = pixels.good_cadences(17087).rows
        assert rows.tolist() == [1, 2, 3, 4]  # the first of its five cadences is flagged Earth point
        brightest = np.unravel_index(np.argmax(pixels.mean(rows)[0]), pixels.shape)
        assert (round(row), round(column)) == tuple(brightest) == (4, 5)
