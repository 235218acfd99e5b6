"""Difference images: the science per pixel, and the geometry that brings any stamp to one size."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainyard.transit.images import (
    EmptyImage,
    ImageRejection,
    NoPixelCadences,
    crop_to_valid,
    difference_images,
    drop_negative,
    fill_missing,
    frame_images,
    window_images,
)
from trainyard.transit.pixels import PixelFile
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import ImageSettings

SECONDS = 96.0
CADENCE = 2 / 1440
PUBLISHED = {"size": (11, 11), "factor": (3, 3), "center_target": False}


def pixel_file(flux, *, time=None, flux_err=1.0, quality=None):
    """A pixel file in memory, without coordinates: its target is in the middle of the stamp."""
    n = len(flux)
    return PixelFile(
        SimpleNamespace(ra=np.nan, dec=np.nan),
        time=1500.0 + np.arange(n) * CADENCE if time is None else time,
        quality=np.zeros(n, np.int32) if quality is None else quality,
        flux=flux.astype(np.float32),
        flux_err=np.full(flux.shape, flux_err, np.float32),
        exposure_seconds=SECONDS,
    )


def fading_star(row, col, *, n=1000, shape=(11, 11), depth=0.1, duration=0.2):
    """Stamp series of a star on a faint background that fades about the middle of the series; and that time."""
    flux = np.full((n, *shape), 20.0)
    flux[:, row, col] = 1000.0
    time = 1500.0 + np.arange(n) * CADENCE
    centre = time[n // 2]
    inside = np.abs(time - centre) <= duration / 2
    flux[inside, row, col] *= 1 - depth
    return flux, float(centre)


def stack_of(image):
    """Difference, out-of-transit and signal-to-noise images that all show the same."""
    return np.stack([image, image, image]).astype(float)


def images_of(pixels, centre, *, duration=0.2, bitmask=0, **changed):
    return window_images(
        pixels,
        centre=centre,
        duration=duration,
        settings=ImageSettings(**changed),
        bitmask=bitmask,
        ra=np.nan,
        dec=np.nan,
    )


def brightest(image):
    return tuple(int(i) for i in np.unravel_index(np.argmax(image), image.shape))


def test_a_fading_star_is_the_peak_of_the_difference():
    flux, centre = fading_star(3, 7)
    images = images_of(pixel_file(flux), centre)
    peak = images.diff_img == images.diff_img.max()
    assert peak[9:12, 21:24].all() and peak.sum() == 9
    assert images.diff_img.max() == pytest.approx(1000.0 * 0.1 * SECONDS, rel=1e-6)
    assert images.oot_img.max() == pytest.approx(1000.0 * SECONDS, rel=1e-6)
    assert np.abs(images.diff_img[~peak]).max() < 1e-6


def test_signal_to_noise_is_the_difference_over_its_uncertainty():
    flux, centre = fading_star(5, 5, duration=0.2)
    images = images_of(pixel_file(flux, flux_err=4.0), centre, duration=0.2)
    n_in, n_out = 0.2 / CADENCE, 2 * 0.2 / CADENCE
    assert images.snr_img[16, 16] == pytest.approx(100.0 / (4.0 * np.sqrt(1 / n_in + 1 / n_out)), rel=1e-3)


def test_windows_are_half_open_and_keep_the_buffer():
    time = np.arange(100.0)
    flux = np.broadcast_to(time[:, None, None], (100, 1, 1))
    pixels = pixel_file(flux, time=time)
    _, outside, _ = difference_images(pixels, centre=50.0, duration=10.0, buffer_days=2.0, bitmask=0)
    before, after = np.arange(33, 43), np.arange(57, 67)
    assert outside[0, 0] == pytest.approx(np.concatenate([before, after]).mean() * SECONDS)
    difference, _, _ = difference_images(pixels, centre=50.0, duration=10.0, buffer_days=0.0, bitmask=0)
    inside, around = np.arange(45, 55), np.concatenate([np.arange(35, 45), np.arange(55, 65)])
    assert difference[0, 0] == pytest.approx((around.mean() - inside.mean()) * SECONDS, abs=1e-9)


def test_the_difference_is_that_of_plain_means_of_electrons():
    rng = np.random.default_rng(3)
    n = 20_000
    flux = rng.normal(1e4, 100.0, (n, 3, 3)).astype(np.float32)
    pixels = pixel_file(flux)
    for centre in rng.uniform(1501.0, pixels.time[-1] - 1, 20):
        distance = pixels.time - centre
        inside = (distance >= -0.06) & (distance < 0.06)
        outside = (np.abs(distance) >= 0.08) & (np.abs(distance) < 0.2)
        electrons = flux.astype(np.float64) * SECONDS
        expected = electrons[outside].mean(axis=0) - electrons[inside].mean(axis=0)
        stack = difference_images(pixels, centre=centre, duration=0.12, buffer_days=0.02, bitmask=0)
        np.testing.assert_allclose(stack[0], expected, rtol=0, atol=1e-6)


def test_one_missing_value_does_not_blank_a_pixel():
    flux, centre = fading_star(5, 5)
    flux[500, 5, 5] = np.nan
    flux[300:310, 4, 4] = np.nan
    images = images_of(pixel_file(flux), centre)
    assert brightest(images.diff_img) == (15, 15)  # first pixel of the 3 x 3 block about (16, 16)
    assert images.diff_img.max() == pytest.approx(1000.0 * 0.1 * SECONDS, rel=1e-6)


def test_quality_bits_of_the_mask_take_cadences_out():
    flux, centre = fading_star(5, 5)
    quality = np.zeros(1000, np.int32)
    flux[490:510], quality[490:510] = 1e6, 16
    quality[300:] |= 4096
    pixels = pixel_file(flux, quality=quality)
    assert images_of(pixels, centre, bitmask=16).diff_img[16, 16] == pytest.approx(100.0 * SECONDS, rel=1e-6)
    with pytest.raises(NoPixelCadences):
        images_of(pixels, centre, bitmask=65535)


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (lambda d: np.abs(d) > 0.11, Reason.NO_IN_TRANSIT_PIXELS),
        (lambda d: np.abs(d) < 0.11, Reason.NO_OUT_OF_TRANSIT_PIXELS),
        (lambda d: d > 1e9, Reason.NO_IN_TRANSIT_PIXELS),
    ],
    ids=["none inside", "none outside", "none at all"],
)
def test_an_empty_stretch_is_rejected_with_its_reason(kept, reason):
    flux, centre = fading_star(5, 5)
    time = 1500.0 + np.arange(len(flux)) * CADENCE
    pixels = pixel_file(flux, time=np.where(kept(time - centre), time, np.nan))
    with pytest.raises(NoPixelCadences) as caught:
        images_of(pixels, centre)
    assert caught.value.reason == reason


def test_cadences_on_one_side_suffice():
    flux, centre = fading_star(5, 5)
    time = 1500.0 + np.arange(len(flux)) * CADENCE
    pixels = pixel_file(flux, time=np.where(time < centre + 0.1, time, np.nan))
    assert images_of(pixels, centre).diff_img[16, 16] == pytest.approx(100.0 * SECONDS, rel=1e-6)


@pytest.mark.parametrize("value", [-5.0, np.nan], ids=["negative", "missing"])
def test_a_stamp_without_valid_pixel_is_rejected(value):
    with pytest.raises(EmptyImage) as caught:
        images_of(pixel_file(np.full((1000, 5, 5), value)), 1500.7)
    assert caught.value.reason == Reason.IMAGE_EMPTY
    assert isinstance(caught.value, ImageRejection)


def test_errors_of_zero_give_no_signal_to_noise_instead_of_infinity():
    flux, centre = fading_star(5, 5)
    images = images_of(pixel_file(flux, flux_err=0.0), centre)
    assert (images.snr_img == 0).all() and images.diff_img.max() > 0


# The published geometry, measured with the reference's own functions.
@pytest.mark.parametrize(
    ("position", "final"),
    [((5.0, 5.0), (16, 16)), ((7.0, 3.0), (22, 10)), ((0.0, 10.0), (1, 31)), ((5.16, 4.2), (16, 14))],
)
def test_marker_and_brightest_pixel_coincide(position, final):
    stamp = np.ones((11, 11))
    stamp[round(position[1]), round(position[0])] = 9.0
    images = frame_images(stack_of(stamp), position, **PUBLISHED)
    assert images.target_pos == final
    assert np.argwhere(images.target_img == 1).tolist() == [[final[1], final[0]]]
    assert images.oot_img[final[1], final[0]] == 9.0


def test_an_off_centre_star_fills_its_three_by_three_block():
    stamp = np.ones((11, 11))
    stamp[3, 7] = 9.0
    images = frame_images(stack_of(stamp), (7.0, 3.0), **PUBLISHED)
    for image in (images.diff_img, images.oot_img, images.snr_img):
        bright = np.argwhere(image == 9.0)
        assert (bright.min(axis=0).tolist(), bright.max(axis=0).tolist()) == ([9, 21], [11, 23])
    assert images.target_img[10, 22] == 1.0 and images.target_img[22, 10] == 0.0


def test_an_eleven_pixel_stamp_is_shown_once_and_whole():
    stamp = np.arange(121.0).reshape(11, 11)
    images = frame_images(stack_of(stamp), (5.0, 5.0), **PUBLISHED)
    np.testing.assert_array_equal(images.diff_img, stamp.repeat(3, axis=0).repeat(3, axis=1))


def test_a_small_stamp_is_extended_by_its_edges():
    stamp = np.arange(1.0, 26.0).reshape(5, 5)
    image = frame_images(stack_of(stamp), (2.0, 2.0), **PUBLISHED).oot_img
    np.testing.assert_array_equal(image[9:24, 9:24], stamp.repeat(3, axis=0).repeat(3, axis=1))
    assert (image[:12, :12] == 1.0).all() and (image[21:, 21:] == 25.0).all()


def test_a_long_stamp_loses_a_target_far_from_its_middle():
    images = frame_images(stack_of(np.ones((25, 11))), (5.0, 3.0), **PUBLISHED)
    assert images.target_pos == (16, -11)
    assert not images.target_img.any()


@pytest.mark.parametrize("position", [(5.0, 3.0), (0.4, 24.0), (9.6, 12.5), (-2.0, 30.0)])
def test_centring_puts_the_target_in_the_middle(position):
    stamp = np.ones((25, 11))
    column, row = np.clip(np.floor(np.add(position, 0.5)).astype(int), 0, [10, 24])
    stamp[row, column] = 9.0
    images = frame_images(stack_of(stamp), position, size=(11, 11), factor=(3, 3), center_target=True)
    assert images.target_pos == (16, 16)
    assert images.oot_img[16, 16] == 9.0
    assert np.argwhere(images.target_img).tolist() == [[16, 16]]


def test_size_and_factor_set_rows_and_columns_apart():
    stamp = np.ones((11, 11))
    stamp[5, 6] = 9.0
    images = frame_images(stack_of(stamp), (6.0, 5.0), size=(7, 9), factor=(1, 5), center_target=False)
    assert images.diff_img.shape == images.target_img.shape == (7, 45)
    assert images.target_pos == (27, 3)
    assert np.argwhere(images.diff_img == 9.0).tolist() == [[3, c] for c in range(25, 30)]


def test_negative_pixels_are_blanked_in_all_three_images():
    stack = np.stack([np.full((2, 2), 3.0), np.array([[1.0, -1.0], [0.0, 2.0]]), np.full((2, 2), 5.0)])
    assert np.isnan(drop_negative(stack)[:, 0, 1]).all()
    assert np.isfinite(drop_negative(stack)).sum() == 9


def test_cropping_moves_the_target_along():
    stamp = np.full((6, 8), np.nan)
    stamp[2:5, 3:7] = 1.0
    cropped, position = crop_to_valid(stack_of(stamp), (5.0, 4.0))
    assert cropped.shape == (3, 3, 4)
    assert position == (2.0, 2.0)


def test_missing_pixels_take_the_mean_of_their_neighbours():
    stamp = np.arange(25.0).reshape(5, 5)
    stamp[0, 0] = stamp[2, 2] = np.nan
    filled = fill_missing(stack_of(stamp))
    assert filled[:, 0, 0].tolist() == [pytest.approx((1 + 5 + 6) / 3)] * 3
    assert filled[:, 2, 2].tolist() == [pytest.approx(12.0)] * 3


def test_pixels_without_neighbours_become_zero_or_the_faintest_flux():
    stamp = np.full((5, 5), np.nan)
    stamp[0, :2] = stamp[4, 4] = 7.0
    stamp[0, 0] = 4.0
    filled = fill_missing(stack_of(stamp))
    assert filled[:, 2, 2].tolist() == [0.0, 4.0, 0.0]


@settings(max_examples=150)
@given(data=st.data(), ny=st.integers(1, 30), nx=st.integers(1, 30), center_target=st.booleans())
def test_any_stamp_gives_finite_images_of_the_published_size(data, ny, nx, center_target):
    values = st.one_of(st.floats(-1e6, 1e8, width=32), st.sampled_from([np.nan, -1.0, 0.0]))
    stack = data.draw(hnp.arrays(np.float64, (3, ny, nx), elements=values, fill=values))
    row, column = data.draw(st.integers(0, ny - 1)), data.draw(st.integers(0, nx - 1))
    stack[:, row, column] = 1.0
    position = data.draw(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
    images = frame_images(stack, position, size=(11, 11), factor=(3, 3), center_target=center_target)
    for image in (images.diff_img, images.oot_img, images.snr_img, images.target_img):
        assert image.shape == (33, 33) and image.dtype == np.float32
        assert np.isfinite(image).all()
    assert images.oot_img.min() >= 0
    assert images.camera_pixels.dtype == np.int64
    assert set(images.camera_pixels) <= set(range(33 * 33))
    assert images.target_img.sum() in (0, 1)
    inside = all(0 <= p < 33 for p in images.target_pos)
    assert images.target_img.any() == inside
    assert inside or not center_target


@pytest.mark.parametrize(("shape", "n"), [((7, 7), 49), ((11, 11), 121), ((13, 25), 121), ((8, 10), 80), ((5, 30), 60)])
def test_every_camera_pixel_that_is_shown_is_marked_once(shape, n):
    """Of an even number of pixels the middle one of twelve is cut in parts, which are one pixel all the same."""
    stamp = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    images = frame_images(stack_of(stamp), (0.0, 0.0), **PUBLISHED)
    marked = images.diff_img.ravel()[images.camera_pixels]
    assert np.array_equal(np.sort(marked), np.unique(images.diff_img))
    assert len(marked) == n
    assert (np.diff(images.camera_pixels) > 0).all()


def test_what_fills_a_hole_is_no_camera_pixel():
    stamp = np.arange(1.0, 50).reshape(7, 7)
    stamp[2, 3] = np.nan
    stamp[:, 0] = -1
    images = frame_images(stack_of(stamp), (3.0, 3.0), **PUBLISHED)
    marked = images.diff_img.ravel()[images.camera_pixels]
    assert sorted(marked) == sorted(stamp[np.isfinite(stamp) & (stamp > 0)])
    without_errors = stack_of(np.ones((3, 3)))
    without_errors[2, 1, 1] = np.nan  # no signal to noise: each image has its pixels, or none of them
    assert len(frame_images(without_errors, (1.0, 1.0), **PUBLISHED).camera_pixels) == 8


@settings(max_examples=100)
@given(half=st.tuples(st.integers(0, 10), st.integers(0, 10)), data=st.data())
def test_a_star_is_under_its_marker_wherever_it_shows(half, data):
    ny, nx = 2 * half[0] + 1, 2 * half[1] + 1
    row, column = data.draw(st.integers(0, ny - 1)), data.draw(st.integers(0, nx - 1))
    stamp = np.ones((ny, nx))
    stamp[row, column] = 9.0
    images = frame_images(stack_of(stamp), (float(column), float(row)), **PUBLISHED)
    if images.target_img.any():
        assert images.diff_img[images.target_img == 1].tolist() == [9.0]
    else:
        assert max(ny, nx) > 11
