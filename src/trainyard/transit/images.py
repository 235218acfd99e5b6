"""Difference images of one event: where in the stamp the light went missing.

Per pixel, the mean of the cadences in transit is taken from the mean of those around it (Bryson et al. 2013, PASP
125, 889). The stamp, of whatever shape, then becomes an image of fixed size: cropped to its valid pixels, filled,
extended by its edges, upsampled by whole factors, and cut about its middle. All arrays are indexed ``[row, col]``;
positions are ``(col, row)``, 0-based, with pixel centres at whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from trainyard.transit.reasons import Reason

if TYPE_CHECKING:
    from trainyard.transit.pixels import PixelFile
    from trainyard.transit.settings import ImageSettings

MINUTES_PER_DAY = 1440.0
DIFF, OOT, SNR = 0, 1, 2
_NEIGHBOURHOOD = np.ones((1, 3, 3))

Stack = NDArray[np.float64]
"""Images of one window, shape ``(3, ny, nx)``: difference and out of transit in electrons per cadence, and signal to
noise. NaN marks a missing pixel."""


class ImageRejection(Exception):
    """A window has no images; `reason` is the code to count it under."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NoPixelCadences(ImageRejection):
    """No good cadence of the pixel file lies in transit, or none around it."""


class EmptyImage(ImageRejection):
    """No pixel has a difference and a mean flux that is not negative."""


@dataclass(frozen=True)
class WindowImages:
    """The four images of a window, all float32 of one shape (33 x 33 by default), finite throughout.

    Attributes:
        diff_img: Out-of-transit minus in-transit mean, electrons per cadence: positive where light went missing.
        oot_img: Out-of-transit mean, electrons per cadence.
        snr_img: Difference over its uncertainty.
        target_img: 1 at the target's pixel, else 0; all 0 where the target lies outside of the image.
        target_pos: Column and row of that pixel.
        camera_pixels: int64, increasing: one place in the flattened image for every pixel of the camera that it shows.
            All other places hold copies of these, of the edge beyond the stamp, or guesses for missing pixels.
    """

    diff_img: NDArray[np.float32]
    oot_img: NDArray[np.float32]
    snr_img: NDArray[np.float32]
    target_img: NDArray[np.float32]
    target_pos: tuple[int, int]
    camera_pixels: NDArray[np.int64]


def window_images(
    pixels: PixelFile,
    *,
    centre: float,
    duration: float,
    settings: ImageSettings,
    bitmask: int,
    ra: float,
    dec: float,
) -> WindowImages:
    """Images of the event, or quiet stretch, at `centre`.

    Args:
        pixels: Pixel file of the star's sector.
        centre: Middle of the window, days, in the time system of the file.
        duration: Transit duration, days.
        settings: Buffer, size, upsampling factor and centring.
        bitmask: Quality bits that make a cadence bad; negative or 65535: any.
        ra: Right ascension of the target, deg; NaN: the header's.
        dec: Declination of the target, deg; NaN: the header's.

    Raises:
        NoPixelCadences: No good cadence in, or out of, transit.
        EmptyImage: Nothing is left of the image.
    """
    buffer_days = settings.buffer_time / MINUTES_PER_DAY
    stack = difference_images(pixels, centre=centre, duration=duration, buffer_days=buffer_days, bitmask=bitmask)
    return frame_images(
        stack,
        pixels.target_position(ra, dec),
        size=settings.size_img,
        factor=settings.f_size,
        center_target=settings.center_target,
    )


def difference_images(pixels: PixelFile, *, centre: float, duration: float, buffer_days: float, bitmask: int) -> Stack:
    """Difference, out-of-transit and signal-to-noise image of the stamp.

    In transit is ``[centre - D/2, centre + D/2)``; out of transit are the two stretches of length D on either side,
    `buffer_days` away from it. Other events of the star are not left out of them.

    Raises:
        NoPixelCadences: No good cadence in, or out of, transit.
    """
    near, far = duration / 2 + buffer_days, 1.5 * duration + buffer_days
    edges = centre + np.array([-far, -near, -duration / 2, duration / 2, near, far])
    good = pixels.good_cadences(bitmask)
    a, b, c, d, e, f = np.searchsorted(good.time, edges)
    inside, around = good.rows[c:d], np.concatenate([good.rows[a:b], good.rows[e:f]])
    if not len(inside):
        raise NoPixelCadences(Reason.NO_IN_TRANSIT_PIXELS, f"no good pixel cadence in transit at {centre:.6f} d")
    if not len(around):
        raise NoPixelCadences(Reason.NO_OUT_OF_TRANSIT_PIXELS, f"no good pixel cadence around {centre:.6f} d")
    in_transit, in_transit_variance = pixels.mean(inside)
    out_of_transit, out_of_transit_variance = pixels.mean(around)
    difference = out_of_transit - in_transit
    sigma = np.sqrt(in_transit_variance + out_of_transit_variance)
    # Errors of 0 carry no information; such a pixel is missing in the signal-to-noise image alone.
    snr = np.divide(difference, sigma, out=np.full_like(sigma, np.nan), where=sigma > 0)
    return np.stack([difference, out_of_transit, snr])


def frame_images(
    stack: Stack,
    position: tuple[float, float],
    *,
    size: tuple[int, int],
    factor: tuple[int, int],
    center_target: bool,
) -> WindowImages:
    """Bring the images of a stamp, and the target's position in it, to ``size * factor`` pixels.

    Raises:
        EmptyImage: No pixel has a difference and a mean flux that is not negative.
    """
    stack, (column, row) = crop_to_valid(drop_negative(stack), position)
    measured = np.asarray(np.isfinite(stack).all(axis=0))
    stack = fill_missing(stack)
    ny, nx = measured.shape
    shown_rows, row_pos = frame_axis(ny, row, size=size[0], factor=factor[0], center_target=center_target)
    shown_columns, column_pos = frame_axis(nx, column, size=size[1], factor=factor[1], center_target=center_target)
    rows, columns = shown_rows.clip(0, ny - 1), shown_columns.clip(0, nx - 1)
    framed = stack.astype(np.float32)[:, rows[:, None], columns]
    return WindowImages(
        diff_img=framed[DIFF],
        oot_img=framed[OOT],
        snr_img=framed[SNR],
        target_img=mark_target((len(rows), len(columns)), (column_pos, row_pos)),
        target_pos=(column_pos, row_pos),
        camera_pixels=camera_pixels(measured, shown_rows, shown_columns),
    )


def camera_pixels(measured: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.int64]:
    """One place in a flattened image for every measured pixel of the stamp that it shows.

    Args:
        measured: Pixels of the stamp that are known, shape ``(ny, nx)``.
        rows: Stamp row of every row of the image; outside of ``[0, ny)`` it shows a copy of the edge.
        columns: The same for columns.
    """
    row, row_place = _first_shown(rows, measured.shape[0])
    column, column_place = _first_shown(columns, measured.shape[1])
    places = row_place[:, None] * len(columns) + column_place
    return np.asarray(places[measured[row[:, None], column]], dtype=np.int64)


def _first_shown(shown: NDArray[np.intp], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Those of `n` stamp pixels that an axis of the image shows, and the first place of each."""
    pixel, place = np.unique(shown, return_index=True)
    inside = (pixel >= 0) & (pixel < n)
    return pixel[inside], place[inside]


def drop_negative(stack: Stack) -> Stack:
    """Blank the pixels whose out-of-transit flux is negative: there the background was over-subtracted."""
    return np.where(stack[OOT] < 0, np.nan, stack)


def crop_to_valid(stack: Stack, position: tuple[float, float]) -> tuple[Stack, tuple[float, float]]:
    """Cut to the bounding box of the finite difference pixels; the position moves along.

    Raises:
        EmptyImage: There is none.
    """
    valid = np.isfinite(stack[DIFF])
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if not len(rows):
        raise EmptyImage(Reason.IMAGE_EMPTY, "no pixel with a finite difference and a flux that is not negative")
    top, left = int(rows[0]), int(columns[0])
    column, row = position
    return stack[:, top : rows[-1] + 1, left : columns[-1] + 1], (column - left, row - top)


def fill_missing(stack: Stack) -> Stack:
    """Give missing pixels the mean of their finite 3 x 3 neighbours.

    Where there is none, the difference and the signal to noise become 0, the flux its least value in the image.
    """
    finite = np.isfinite(stack)
    if finite.all():
        return stack
    known = np.where(finite, stack, 0.0)
    sums = ndimage.convolve(known, _NEIGHBOURHOOD, mode="constant")
    counts = ndimage.convolve(finite.astype(np.float64), _NEIGHBOURHOOD, mode="constant")
    last_resort = np.zeros((3, 1, 1))
    last_resort[OOT] = known[OOT].min(where=finite[OOT], initial=np.inf)
    neighbours = np.where(counts > 0, sums / np.maximum(counts, 1), last_resort)
    return np.where(finite, stack, neighbours)


def frame_axis(n: int, target: float, *, size: int, factor: int, center_target: bool) -> tuple[NDArray[np.intp], int]:
    """Which stamp pixel each pixel of the framed image shows, along one axis; outside of ``[0, n)``: the nearest edge.

    Stands for: extend both sides by ``n//2 + size//2 + 1`` copies of the edge, repeat every pixel `factor` times,
    and cut ``size * factor`` pixels about the middle of the array, or about the target.

    Returns:
        Stamp index of each of the ``size * factor`` pixels, and the target's pixel among them, rounded to the
        nearest; it may lie outside.
    """
    margin = n // 2 + size // 2 + 1
    # A block of f copies has its centre (f - 1)/2 behind its first pixel. Halves round up, wherever the origin is.
    upsampled = math.floor(factor * (target + margin) + (factor - 1) / 2 + 0.5)
    middle = upsampled if center_target else factor * (n + 2 * margin) // 2
    start = middle - size * factor // 2
    source = (start + np.arange(size * factor)) // factor - margin
    return source, upsampled - start


def mark_target(shape: tuple[int, int], position: tuple[int, int]) -> NDArray[np.float32]:
    """Zeros with a 1 at ``[row, col]`` of the target, if that lies inside."""
    marked = np.zeros(shape, np.float32)
    column, row = position
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        marked[row, column] = 1.0
    return marked
