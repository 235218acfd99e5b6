"""The published dilated residual network, run without padding.

Written from the layer plan (`layers`) alone. Three things differ from running the plan as it is printed; none changes
what is computed:

- no layer pads. The published networks keep the length and crop at the end; here every layer gives only the positions
  that the next ones need, which saves up to half of the work and lets a block see nothing but its own bases;
- the second norm of a unit is folded into the convolution before it;
- on CPU, channels lie innermost in memory, which oneDNN's convolutions read without reordering.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trainyard.splice.layers import BASES, GROUP, Conv, Member, Norm, Unit

_SOFTMAX_STEP = 64
"""Softmax works in vectors of a few numbers and treats the rest of a row by other instructions, which round
differently; with rows of a multiple of this, a base scores the same wherever in a piece it lies."""


@dataclass(frozen=True)
class _Layer:
    """A convolution on `(n, channels, length, 1)`."""

    weight: torch.Tensor
    bias: torch.Tensor
    dilation: int = 1

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight, self.bias, dilation=(self.dilation, 1))


@dataclass(frozen=True)
class _Block:
    """A residual unit with its second norm folded into its first convolution."""

    gain: torch.Tensor
    shift: torch.Tensor
    conv1: _Layer
    conv2: _Layer
    reach: int


class Network:
    """One member, ready to run on one device."""

    def __init__(self, member: Member, device: torch.device | None = None) -> None:
        """Fold and copy the weights.

        Args:
            member: The weights.
            device: Where to run; None for the CPU.
        """
        self.context = member.context
        self._slope = member.slope
        self._device = device or torch.device("cpu")
        # cuDNN's float32 kernels are written for the plain layout.
        self._layout = torch.channels_last if self._device.type == "cpu" else torch.contiguous_format
        self._entry = self._layer(member.entry)
        self._skips = [self._layer(conv) for conv in member.skips]
        self._exit = self._layer(member.exit)
        self._blocks = [self._block(unit, member.epsilon) for unit in member.units]
        channels = member.entry.bias.size
        self._zeros = torch.zeros(channels, device=self._device)
        self._ones = torch.ones(channels, device=self._device)

    @torch.inference_mode()
    def probabilities(self, bases: torch.Tensor) -> torch.Tensor:
        """Score every base that has half the context on either side.

        Args:
            bases: Shape `(n, 4, length + context)`, float32, on the network's device: one-hot A, C, G, T; all zeros for
                an unknown base or none.

        Returns:
            Shape `(n, 3, length)`, float32: probabilities of neither, acceptor and donor.

        Raises:
            ValueError: Another shape, or nothing left between the flanks.
        """
        length = bases.shape[-1] - self.context
        if bases.ndim != 3 or bases.shape[1] != BASES or length < 1:
            raise ValueError(f"bases have shape {tuple(bases.shape)}, need (n, 4, at least {self.context + 1})")
        trunk = self._entry(bases.unsqueeze(-1).contiguous(memory_format=self._layout))
        skip = self._skips[0](_middle(trunk, length))
        for i, block in enumerate(self._blocks, start=1):
            trunk = self._residual(block, trunk)
            if i % GROUP == 0:
                skip += self._skips[i // GROUP](_middle(trunk, length))
        return _softmax(self._exit(skip).squeeze(-1))

    def _residual(self, block: _Block, trunk: torch.Tensor) -> torch.Tensor:
        x = F.batch_norm(trunk, self._zeros, self._ones, block.gain, block.shift, eps=0.0)
        x = block.conv1(self._activate(x))
        x = block.conv2(self._activate(x))
        return x.add_(_middle(trunk, x.shape[2]))

    def _activate(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu_(x, self._slope) if self._slope else F.relu_(x)

    def _block(self, unit: Unit, epsilon: float) -> _Block:
        gain, shift = _scale(unit.norm1, epsilon)
        gain2, shift2 = _scale(unit.norm2, epsilon)
        conv1 = self._layer(unit.conv1, dilation=unit.dilation, gain=gain2, shift=shift2)
        conv2 = self._layer(unit.conv2, dilation=unit.dilation)
        return _Block(self._tensor(gain), self._tensor(shift), conv1, conv2, unit.reach)

    def _layer(
        self,
        conv: Conv,
        *,
        dilation: int = 1,
        gain: NDArray[np.float64] | float = 1.0,
        shift: NDArray[np.float64] | float = 0.0,
    ) -> _Layer:
        """A convolution followed by `* gain + shift`, as one convolution."""
        weight = conv.weight.astype(np.float64) * np.reshape(gain, (-1, 1, 1))
        bias = conv.bias.astype(np.float64) * gain + shift
        kernel = self._tensor(weight).unsqueeze(-1).contiguous(memory_format=self._layout)
        return _Layer(kernel, self._tensor(bias), dilation)

    def _tensor(self, array: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self._device)


def _scale(norm: Norm, epsilon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A norm as `x * gain + shift`."""
    gain = norm.gain / np.sqrt(norm.variance.astype(np.float64) + epsilon)
    return gain, norm.shift - norm.mean * gain


def _middle(x: torch.Tensor, length: int) -> torch.Tensor:
    """The middle of a `(n, channels, length, 1)` tensor."""
    return x.narrow(2, (x.shape[2] - length) // 2, length)


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    length = logits.shape[-1]
    return F.softmax(F.pad(logits, (0, -length % _SOFTMAX_STEP)).contiguous(), dim=1)[..., :length]
