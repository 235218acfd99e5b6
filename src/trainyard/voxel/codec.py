"""Codecs of store parts: sparse positions, packed bits, or the grids as they are, all exact to float32 of the source.

A grid has about 50 of 46,305 cells set, so its sorted positions are 58 times smaller than its bits. Denser grids are
kept as bits (`packed`) or numbers (`raw`), whichever is smallest.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainyard.voxel.grids import Grids, Rows, dense, index_dtype, pointers

Codec = Literal["sparse", "packed", "raw"]


def choose_codec(nnz_mean: float, cells: int, dtype: npt.DTypeLike) -> Codec:
    """Return the codec with the fewest bytes.

    Args:
        nnz_mean: Mean number of set cells of a grid.
        cells: Cells of a grid.
        dtype: bool for grids of zeros and ones, else the type that holds the values.
    """
    wanted = np.dtype(dtype)
    if wanted == np.bool_:
        return "sparse" if nnz_mean * index_dtype(cells).itemsize < -(-cells // 8) else "packed"
    return "sparse" if nnz_mean * (index_dtype(cells).itemsize + wanted.itemsize) < cells * wanted.itemsize else "raw"


def fits_float16(values: npt.NDArray[np.float32]) -> bool:
    """Whether float16 holds every value exactly, the sign of zero included."""
    with np.errstate(over="ignore"):
        back = values.astype(np.float16).astype(np.float32)
    return np.array_equal(back.view(np.uint32), values.view(np.uint32))


def encode(grids: Grids, codec: Codec, *, cells: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that a part holds of some grids.

    Returns:
        sparse: `indptr`, `indices` and, where not all values are 1, `values`; packed: `packed`, uint8 of shape
        (n, ceil(cells / 8)), first cell in the highest bit; raw: `grids` of shape (n, cells).

    Raises:
        ValueError: Packed, but not all values are 1.
    """
    if codec == "sparse":
        arrays = {"indptr": grids.indptr, "indices": grids.indices}
        return arrays if grids.values is None else arrays | {"values": grids.values}
    if codec == "packed":
        if grids.values is not None:
            raise ValueError("packed holds grids of zeros and ones only")
        return {"packed": np.packbits(dense(grids, cells=cells, dtype=np.bool_), axis=1)}
    return {"grids": dense(grids, cells=cells, dtype=np.bool_ if grids.values is None else grids.values.dtype)}


def decode(arrays: Mapping[str, npt.NDArray[Any]], codec: Codec, *, cells: int, rows: Rows | None = None) -> Grids:
    """Return grids of a part, the inverse of `encode`.

    Args:
        arrays: The arrays of the part.
        codec: Its codec.
        cells: Cells of a grid.
        rows: The grids wanted, in this order; None for all.
    """
    if codec == "sparse":
        grids = Grids(arrays["indptr"], arrays["indices"], arrays.get("values"))
        return grids if rows is None else grids.take(rows)
    if codec == "packed":
        packed = arrays["packed"] if rows is None else arrays["packed"][rows]
        return _from_dense(np.unpackbits(packed, axis=1, count=cells).view(np.bool_))
    full = arrays["grids"] if rows is None else arrays["grids"][rows]
    return _from_dense(full.reshape(len(full), cells))


def checksums(grids: Grids) -> list[int]:
    """Return a checksum of each grid, which does not depend on its codec.

    CRC-32 of the positions as little-endian uint32, followed by the values as little-endian float32 unless all are 1.
    """
    data = grids.indices.astype("<u4").tobytes()
    sums = [zlib.crc32(data[4 * start : 4 * stop]) for start, stop in pairwise(grids.indptr.tolist())]
    if grids.values is not None:
        for row, crc in enumerate(sums):
            values = grids[row].values
            sums[row] = crc if values is None else zlib.crc32(values.astype("<f4").tobytes(), crc)
    return sums


def _from_dense(full: npt.NDArray[Any]) -> Grids:
    # The bit pattern, not the value, says what is set: -0.0 must come back as -0.0.
    bits = full if full.dtype == np.bool_ else full.view(f"u{full.dtype.itemsize}")
    row, position = np.nonzero(bits)
    indptr = pointers(np.bincount(row, minlength=len(full)))
    indices = position.astype(index_dtype(full.shape[1]))
    return Grids(indptr, indices, None if full.dtype == np.bool_ else full[row, position])
