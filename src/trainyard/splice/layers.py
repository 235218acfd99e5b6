"""The layer plan of the published splice networks, and the weights of one member of an ensemble.

SpliceAI and OpenSpliceAI share one architecture (Jaganathan et al. 2019, Cell 176:535): a point-wise convolution gives
the trunk; residual units of two dilated convolutions follow in groups of four; after every group a point-wise
convolution of the trunk joins the skip sum, which a last point-wise convolution turns into three classes. They differ
in activation and batch-norm constants only, so one structure holds both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("neither", "acceptor", "donor")
"""Order of the model's outputs."""
GROUP = 4
"""Residual units between two skip convolutions."""
DILATIONS = (1, 4, 10, 25)
"""Dilation of each group of units: weight files of OpenSpliceAI do not hold it."""
BASES = 4

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Conv:
    """A convolution: `weight` of shape `(out, in, width)`, `bias` of shape `(out,)`."""

    weight: Floats
    bias: Floats

    @property
    def width(self) -> int:
        """Taps of the kernel."""
        return int(self.weight.shape[-1])


@dataclass(frozen=True)
class Norm:
    """A trained batch normalisation, `(x - mean) / sqrt(variance + epsilon) * gain + shift`; shapes `(channels,)`."""

    gain: Floats
    shift: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Unit:
    """A residual unit: twice norm, activation and dilated convolution, added to what came in."""

    norm1: Norm
    conv1: Conv
    norm2: Norm
    conv2: Conv
    dilation: int

    @property
    def reach(self) -> int:
        """Positions that the output lacks in comparison with the input, both sides together, without padding."""
        return (self.conv1.width + self.conv2.width - 2) * self.dilation


@dataclass(frozen=True)
class Member:
    """One network of an ensemble, as its weight file has it."""

    entry: Conv
    units: tuple[Unit, ...]
    skips: tuple[Conv, ...]
    exit: Conv
    epsilon: float
    """What batch normalisation adds to the variance."""
    slope: float
    """Slope of the activation below zero; 0 for ReLU."""

    @property
    def context(self) -> int:
        """Bases that the network needs around a position, both sides together."""
        return sum(unit.reach for unit in self.units)

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """All convolutions."""
        return (self.entry, *self.skips, *(conv for u in self.units for conv in (u.conv1, u.conv2)), self.exit)

    @property
    def parameters(self) -> int:
        """Trained numbers; the running mean and variance of batch normalisation are not counted, as is usual."""
        norms = [norm for unit in self.units for norm in (unit.norm1, unit.norm2)]
        trained = [array for conv in self.convolutions for array in (conv.weight, conv.bias)]
        return sum(array.size for array in trained) + sum(norm.gain.size + norm.shift.size for norm in norms)

    def problems(self) -> list[str]:
        """What keeps this from being a network of the published plan; empty if nothing does."""
        units = len(self.units)
        if units == 0 or units % GROUP:
            return [f"has {units} residual units, not a multiple of {GROUP}"]
        if len(self.skips) != units // GROUP + 1:
            return [f"has {len(self.skips)} skip convolutions, {units} residual units need {units // GROUP + 1}"]
        channels = self.entry.weight.shape[0]
        shapes = [("entry convolution", self.entry, (channels, BASES, 1))]
        shapes += [(f"skip convolution {i}", conv, (channels, channels, 1)) for i, conv in enumerate(self.skips)]
        shapes += [("last convolution", self.exit, (len(CHANNELS), channels, 1))]
        for i, unit in enumerate(self.units):
            # An even kernel has no middle, so scores would sit between two bases.
            shapes += [
                (f"convolution {n} of unit {i}", conv, (channels, channels, conv.width | 1))
                for n, conv in ((1, unit.conv1), (2, unit.conv2))
            ]
        found = [
            f"{name} has shape {conv.weight.shape} and {conv.bias.size} biases, expected {shape}"
            for name, conv, shape in shapes
            if conv.weight.shape != shape or conv.bias.shape != shape[:1]
        ]
        arrays = {
            f"{name} of norm {n} of unit {i}": array
            for i, unit in enumerate(self.units)
            for n, norm in ((1, unit.norm1), (2, unit.norm2))
            for name, array in vars(norm).items()
        }
        found += [f"{name} has shape {array.shape}" for name, array in arrays.items() if array.shape != (channels,)]
        everything = [*arrays.values(), *(a for conv in self.convolutions for a in (conv.weight, conv.bias))]
        return found if all(np.isfinite(a).all() for a in everything) else [*found, "holds numbers that are not finite"]
