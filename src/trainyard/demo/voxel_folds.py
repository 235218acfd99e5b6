"""Simulated protein backbones: helices, strands and loops from internal coordinates, folded so that they are compact.

A chain grows by a loop and the next helix or strand at a time. Of many loops, drawn from the usual regions of the
Ramachandran plot, the one is taken that runs into nothing and brings the new piece closest to what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from trainyard.voxel.voxelize import frame_axes, ideal_cb

HELIX, STRAND, LOOP = "H", "E", "C"

_N_CA, _CA_C, _C_N, _C_O = 1.458, 1.525, 1.329, 1.231
"""Bond lengths, angstrom (Engh & Huber 1991, doi:10.1107/S0108767391001071)."""
_AT_N, _AT_CA, _AT_C, _CA_C_O = np.radians([121.7, 111.0, 116.6, 120.5])
"""Bond angles C-N-CA, N-CA-C, CA-C-N, CA-C-O, of the same source."""

_TORSIONS = {HELIX: (-62.0, -42.0, 3.0), STRAND: (-120.0, 130.0, 8.0)}
"""phi, psi and their spread, degrees."""
_LOOPS = np.array([(-70.0, 145.0), (-65.0, -35.0), (-110.0, 120.0), (60.0, 40.0)])
"""phi, psi: polyproline, right-handed helix, extended, left-handed helix."""
_LOOP_SHARES = (0.35, 0.3, 0.25, 0.1)
_LOOP_SPREAD = 15.0
_LENGTHS = {HELIX: (8, 15), STRAND: (5, 8), LOOP: (3, 5)}
_TAIL = 3
"""Residues of the loops at the two ends."""

_CANDIDATES = 256
_MOST_SETBACKS = 500
_CLOSEST = 2.8
"""Distance, angstrom, below which atoms of residues that are not neighbours run into each other."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """A backbone."""

    structure: str
    """One letter per residue: H helix, E strand, C loop."""
    backbone: Floats
    """Places of N, CA, C, O, shape (n, 4, 3), angstrom, to 0.001 as in a PDB file."""


def make_fold(draw: np.random.Generator, residues: int) -> Fold:
    """Draw a backbone.

    Args:
        draw: Source of all that is random.
        residues: Length of the chain.

    Raises:
        RuntimeError: The chain found no room for itself, which needs a very unlucky draw.
    """
    pieces = _pieces(draw, residues)
    placed: list[Floats] = []
    setbacks = 0
    while len(placed) < len(pieces):
        chain = np.concatenate([np.empty((0, 4, 3)), *placed])
        piece = _place(draw, chain, pieces[len(placed)], looseness=setbacks)
        if piece is None:
            # No room: take the last piece back, and be less keen on compactness from here on.
            placed = placed[:-1]
            setbacks += 1
            if setbacks > _MOST_SETBACKS:
                raise RuntimeError(f"no fold of {residues} residues was found in {setbacks} attempts; try another seed")
        else:
            placed.append(piece)
    places = np.concatenate(placed)
    return Fold("".join(pieces), np.round(places - places[:, 1].mean(axis=0), 3))


def _pieces(draw: np.random.Generator, residues: int) -> list[str]:
    """Secondary structure, cut into pieces that each end in a helix or a strand, the last one in a loop."""
    pieces, left = [], residues - _TAIL
    loop = _TAIL
    while left > 0:
        kind = HELIX if draw.random() < 0.55 else STRAND
        body = int(draw.integers(_LENGTHS[kind][0], _LENGTHS[kind][1], endpoint=True))
        piece = (LOOP * loop + kind * body)[:left]
        pieces.append(piece)
        left -= len(piece)
        loop = int(draw.integers(*_LENGTHS[LOOP], endpoint=True))
    pieces[-1] += LOOP * _TAIL
    return pieces


def _torsions(draw: np.random.Generator, piece: str, candidates: int) -> Floats:
    """phi and psi, radians, of candidates for a piece; shape (candidates, residues, 2)."""
    found = np.empty((candidates, len(piece), 2))
    for i, kind in enumerate(piece):
        if kind == LOOP:
            centre = _LOOPS[draw.choice(len(_LOOPS), candidates, p=_LOOP_SHARES)]
            spread = _LOOP_SPREAD
        else:
            phi, psi, spread = _TORSIONS[kind]
            centre = np.array([[phi, psi]])
        found[:, i] = centre + spread * draw.standard_normal((candidates, 2))
    return np.radians(found)


def _place(draw: np.random.Generator, chain: Floats, piece: str, *, looseness: float) -> Floats | None:
    """The candidate for the next piece that lies closest to the chain and runs into nothing; None: there is none."""
    candidates = _grow(chain, _torsions(draw, piece, _CANDIDATES if len(chain) else 1))
    atoms = _with_cb(chain)
    centre, tree = chain[:, 1].mean(axis=0) if len(chain) else 0.0, cKDTree(atoms[:-1].reshape(-1, 3))
    spread = ((candidates[:, :, 1] - centre) ** 2).sum(axis=2).mean(axis=1)
    for k in np.argsort(spread * draw.uniform(1, 1 + looseness, len(spread))):
        if not _runs_into(tree, atoms[-1:], _with_cb(candidates[k])):
            return np.asarray(candidates[k])
    return None


def _grow(chain: Floats, torsions: Floats) -> Floats:
    """Places of k candidates for the next n residues, shape (k, n, 4, 3), from torsions of shape (k, n, 2)."""
    k, n, _ = torsions.shape
    added = np.empty((k, n, 4, 3))
    for i in range(n):
        if not i and not len(chain):
            n_, ca, c = (np.broadcast_to(atom, (k, 3)) for atom in _FIRST)
        else:
            before = added[:, i - 1] if i else np.broadcast_to(chain[-1], (k, 4, 3))
            last_n, last_ca, last_c, last_o = before.transpose(1, 0, 2)
            # The next N lies opposite to O.
            psi = dihedral(last_n, last_ca, last_c, last_o) + np.pi
            n_ = _next(last_n, last_ca, last_c, _C_N, _AT_C, psi)
            ca = _next(last_ca, last_c, n_, _N_CA, _AT_N, np.full(k, np.pi))
            c = _next(last_c, n_, ca, _CA_C, _AT_CA, torsions[:, i, 0])
        added[:, i] = np.stack([n_, ca, c, _next(n_, ca, c, _C_O, _CA_C_O, torsions[:, i, 1] + np.pi)], axis=1)
    return added


_FIRST = np.array(
    [[0, 0, 0], [_N_CA, 0, 0], [_N_CA - _CA_C * np.cos(_AT_CA), _CA_C * np.sin(_AT_CA), 0]], dtype=np.float64
)


def _next(a: Floats, b: Floats, c: Floats, length: float, angle: float, torsion: Floats) -> Floats:
    """Place of the atom behind three others (Parsons et al. 2005, doi:10.1002/jcc.20237); all of shape (k, 3)."""
    along = _unit(c - b)
    across = _unit(np.cross(b - a, along))
    side = length * np.sin(angle)
    y, z = (side * turn(torsion)[:, None] for turn in (np.cos, np.sin))
    return np.asarray(c - length * np.cos(angle) * along + y * np.cross(across, along) + z * across)


def dihedral(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Return the angle, radians, by which d is turned against a about the axis from b to c; places of shape (n, 3)."""
    along = _unit(c - b)
    first, second = np.cross(b - a, along), np.cross(along, d - c)
    return np.asarray(np.arctan2((np.cross(first, second) * along).sum(axis=1), (first * second).sum(axis=1)))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.sqrt((vectors**2).sum(axis=-1, keepdims=True)))


def _with_cb(chain: Floats) -> Floats:
    return np.concatenate([chain, ideal_cb(chain, frame_axes(chain))[:, None]], axis=1)


def _runs_into(tree: cKDTree, last: Floats, piece: Floats) -> bool:
    """Whether a piece comes too close to the chain, to its last residue, or to itself; direct neighbours may touch."""
    near, _ = tree.query(piece.reshape(-1, 3), distance_upper_bound=_CLOSEST)
    if np.isfinite(near).any():
        return True
    new = np.concatenate([last, piece])
    pairs = cKDTree(new.reshape(-1, 3)).query_pairs(_CLOSEST, output_type="ndarray") // new.shape[1]
    return bool((np.abs(pairs[:, 0] - pairs[:, 1]) > 1).any())
