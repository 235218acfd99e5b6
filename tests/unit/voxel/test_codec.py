"""Every codec gives back, bit for bit, what it was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.voxel.codec import checksums, choose_codec, decode, encode, fits_float16
from trainyard.voxel.grids import Grid, Grids, GridShape, check_grids, collect, dense, join
from trainyard.voxel.reasons import Reason

SHAPE = GridShape(("C", "N", "O", "CA", "CB"), (3, 3, 3))


def random_grids(seed, *, n=4, shape=SHAPE, share=0.2, values=False):
    draw = np.random.default_rng(seed)
    grids = []
    for _ in range(n):
        at = np.flatnonzero(draw.random(shape.cells) < share).astype(shape.index_dtype)
        grids.append(Grid(at, draw.normal(size=at.size).astype(np.float32) if values else None))
    return collect(grids, shape)


def same(a: Grids, b: Grids) -> bool:
    pairs = [(a.indptr, b.indptr), (a.indices, b.indices)]
    if a.values is not None or b.values is not None:
        pairs.append((a.values.astype("f4").view("u4"), b.values.astype("f4").view("u4")))
    return all(np.array_equal(x, y) for x, y in pairs)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1), st.booleans(), st.integers(0, 5))
def test_decoding_is_the_inverse_of_encoding(seed, share, values, n):
    grids = random_grids(seed, n=n, share=share, values=values)
    for codec in ("sparse", "raw") if values else ("sparse", "packed"):
        arrays = encode(grids, codec, cells=SHAPE.cells)
        assert same(decode(arrays, codec, cells=SHAPE.cells), grids)
        rows = np.random.default_rng(seed).integers(0, n, 7) if n else np.empty(0, np.int64)
        assert same(decode(arrays, codec, cells=SHAPE.cells, rows=rows), grids.take(rows))


def test_negative_zero_survives_raw():
    grids = Grids(np.array([0, 2]), np.array([1, 5], np.uint16), np.array([-0.0, 2.0], np.float32))
    back = decode(encode(grids, "raw", cells=SHAPE.cells), "raw", cells=SHAPE.cells)
    assert same(back, grids)


def test_packed_refuses_values():
    with pytest.raises(ValueError, match="zeros and ones only"):
        encode(random_grids(0, values=True), "packed", cells=SHAPE.cells)


@pytest.mark.parametrize(
    ("nnz", "dtype", "codec"),
    [
        (49.7, bool, "sparse"),
        (2894, bool, "sparse"),  # 5,788 bytes of positions, 5,789 of bits
        (2895, bool, "packed"),
        (1122, np.float16, "sparse"),
        (23153, np.float16, "raw"),
        (30869, np.float32, "sparse"),
        (30870, np.float32, "raw"),
    ],
)
def test_codec_is_the_smallest(nnz, dtype, codec):
    assert choose_codec(nnz, 46_305, dtype) == codec


def test_large_grids_need_wide_positions():
    assert GridShape(("C",), (64, 32, 32)).index_dtype == np.uint16
    assert GridShape(("C",), (65, 32, 32)).index_dtype == np.uint32
    grids = random_grids(3, shape=GridShape(("C", "CA"), (65, 32, 32)), share=0.001)
    assert same(decode(encode(grids, "packed", cells=133_120), "packed", cells=133_120), grids)


def test_checksum_depends_on_the_grid_alone():
    bits = random_grids(1)
    ones = Grids(bits.indptr, bits.indices, np.ones(len(bits.indices), np.float16))
    wide = Grids(bits.indptr, bits.indices.astype(np.uint32))
    assert checksums(bits) == checksums(ones) == checksums(wide)
    values = random_grids(1, values=True)
    assert len({*checksums(bits), *checksums(values)}) == 8


def test_float16_is_taken_only_where_it_is_exact():
    assert fits_float16(np.array([0.5, 0.845703125, -0.0], np.float32))
    assert not fits_float16(np.array([0.1], np.float32))
    assert not fits_float16(np.array([1e9], np.float32))


def test_joined_grids_are_those_of_the_pieces():
    bits, values = random_grids(1), random_grids(2, values=True)
    both = join([bits, values])
    full = [dense(piece, cells=SHAPE.cells) for piece in (both, bits, values)]
    assert np.array_equal(full[0], np.concatenate(full[1:]))
    assert same(both.take(np.arange(4, 8)), values)


def test_grids_without_ca_at_the_centre_and_empty_ones_are_found():
    centre = [channel * 27 + 13 for channel in range(5)]  # C, N, O, CA, CB
    own, other = centre[3], centre[1]
    single = [[own], [], [0, other], [own, other], [1, own]]
    bits = collect([Grid(np.array(sorted(at), np.uint16), None) for at in single], SHAPE)
    faults = check_grids(bits, SHAPE)
    assert {row: fault.reason for row, fault in faults.items()} == {
        1: Reason.EMPTY_GRID,
        2: Reason.NO_CA_AT_CENTRE,
        3: Reason.NO_CA_AT_CENTRE,
    }
    assert faults[3].detail == "channels set at the centre: N, CA"
    spread = Grids(bits.indptr, bits.indices, np.full(len(bits.indices), 0.5, np.float32))
    assert sorted(check_grids(spread, SHAPE)) == [1, 2], "a Gaussian may reach into the centre"
    zeros = Grids(np.array([0, 1]), np.array([own], np.uint16), np.array([-0.0], np.float32))
    assert check_grids(zeros, SHAPE)[0].reason is Reason.EMPTY_GRID


def test_carbons_that_share_a_channel_are_looked_for_there():
    shape = GridShape(("C", "N", "O"), (3, 3, 3))
    grids = collect([Grid(np.array([13], np.uint16), None), Grid(np.array([40], np.uint16), None)], shape)
    assert list(check_grids(grids, shape)) == [1]
    assert not check_grids(grids.take(np.array([0, 1])), GridShape(("X", "Y", "Z"), (3, 3, 3)))
