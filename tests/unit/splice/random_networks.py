"""Small networks of the published plan with random weights, and the files that such weights come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import torch.nn.functional as F

from trainyard.splice.layers import DILATIONS, GROUP, Conv, Member, Norm, Unit

CHANNELS = 6
WIDTHS = (3, 5, 3, 3)
"""Narrower than the published ones, so that the deepest plan has a context of 376."""


def random_member(seed: int = 0, *, groups: int = 1, epsilon: float = 1e-5, slope: float = 0.1) -> Member:
    """A network whose activations stay of order one, with batch norms that do something."""
    rng = np.random.default_rng(seed)

    def conv(out: int, into: int, width: int) -> Conv:
        weight = rng.normal(0, 0.5 / np.sqrt(into * width), (out, into, width))
        return Conv(weight.astype(np.float32), rng.normal(0, 0.3, out).astype(np.float32))

    def norm() -> Norm:
        gain, shift, mean = (rng.normal(loc, 0.3, CHANNELS).astype(np.float32) for loc in (1, 0, 0))
        return Norm(gain, shift, mean, rng.uniform(0.5, 2, CHANNELS).astype(np.float32))

    units = tuple(
        Unit(
            norm(),
            conv(CHANNELS, CHANNELS, WIDTHS[i // GROUP]),
            norm(),
            conv(CHANNELS, CHANNELS, WIDTHS[i // GROUP]),
            DILATIONS[i // GROUP],
        )
        for i in range(GROUP * groups)
    )
    skips = tuple(conv(CHANNELS, CHANNELS, 1) for _ in range(groups + 1))
    return Member(conv(CHANNELS, 4, 1), units, skips, conv(3, CHANNELS, 1), epsilon, slope)


def run_as_printed(member: Member, bases: torch.Tensor) -> torch.Tensor:
    """The published plan to the letter: every layer pads, norms stand alone, the skip sum is cropped at the end."""

    def conv(layer: Conv, x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        padding = (layer.width - 1) * dilation // 2
        weight, bias = torch.from_numpy(layer.weight), torch.from_numpy(layer.bias)
        return F.conv1d(x, weight, bias, padding=padding, dilation=dilation)

    def activated(layer: Norm, x: torch.Tensor) -> torch.Tensor:
        mean, variance, gain, shift = map(torch.from_numpy, (layer.mean, layer.variance, layer.gain, layer.shift))
        return F.leaky_relu(F.batch_norm(x, mean, variance, gain, shift, eps=member.epsilon), member.slope)

    trunk = conv(member.entry, bases)
    skip = conv(member.skips[0], trunk)
    for i, unit in enumerate(member.units, start=1):
        inner = conv(unit.conv1, activated(unit.norm1, trunk), unit.dilation)
        trunk = trunk + conv(unit.conv2, activated(unit.norm2, inner), unit.dilation)
        if i % GROUP == 0:
            skip = skip + conv(member.skips[i // GROUP], trunk)
    half = member.context // 2
    return F.softmax(conv(member.exit, skip[..., half : skip.shape[-1] - half]), dim=1)


def write_pt(path: Path, member: Member, **extra: torch.Tensor) -> Path:
    """A weight file as OpenSpliceAI writes it."""
    state: dict[str, torch.Tensor] = {}

    def conv(name: str, layer: Conv) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.tensor(layer.weight), torch.tensor(layer.bias)

    conv("initial_conv", member.entry)
    conv("initial_skip.conv", member.skips[0])
    place = 0
    for i, unit in enumerate(member.units, start=1):
        for part, norm in ((1, unit.norm1), (2, unit.norm2)):
            name = f"residual_units.{place}.batchnorm{part}"
            for key, array in zip(("weight", "bias", "running_mean", "running_var"), vars(norm).values(), strict=True):
                state[f"{name}.{key}"] = torch.tensor(array)
            state[f"{name}.num_batches_tracked"] = torch.tensor(7)
        conv(f"residual_units.{place}.conv1", unit.conv1)
        conv(f"residual_units.{place}.conv2", unit.conv2)
        place += 1
        if i % GROUP == 0:
            conv(f"residual_units.{place}.conv", member.skips[i // GROUP])
            place += 1
    conv("final_conv", member.exit)
    torch.save(state | extra, path)
    return path


class KerasFile:
    """A weight file as Keras 2 writes it; layers get numbers in an order of their own."""

    def __init__(self, member: Member, *, seed: int = 0) -> None:
        self.layers: list[dict[str, Any]] = []
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        self._numbers = iter(np.random.default_rng(seed).permutation(1000).tolist())
        self._member = member
        source = self._add("InputLayer", [], {})
        trunk = self._conv(source, member.entry, padding="valid")
        skip = self._conv(trunk, member.skips[0], padding="valid")
        for i, unit in enumerate(member.units, start=1):
            inner = self._conv(self._activated(trunk, unit.norm1), unit.conv1, dilation=unit.dilation)
            inner = self._conv(self._activated(inner, unit.norm2), unit.conv2, dilation=unit.dilation)
            trunk = self._add("Add", [inner, trunk] if i % 2 else [trunk, inner], {})
            if i % GROUP == 0:
                new = self._conv(trunk, member.skips[i // GROUP], padding="valid")
                skip = self._add("Add", [skip, new], {})
        cropped = self._add("Cropping1D", [skip], {"cropping": [member.context // 2] * 2})
        self._conv(cropped, member.exit, padding="valid", activation="softmax")

    def write(self, path: Path) -> Path:
        """Write the file."""
        config = {"class_name": "Model", "config": {"name": "model_1", "layers": self.layers}}
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            for name, arrays in self.arrays.items():
                group = file.create_group(f"model_weights/{name}")
                group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in arrays]
                for part, array in arrays.items():
                    group[f"{name}/{part}:0"] = array
        return path

    def _add(self, kind: str, sources: list[str], config: dict[str, Any]) -> str:
        name = f"{kind.lower()}_{next(self._numbers)}"
        inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
        self.layers.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound})
        return name

    def _conv(
        self, source: str, conv: Conv, *, dilation: int = 1, padding: str = "same", activation: str = "linear"
    ) -> str:
        config = {"dilation_rate": [dilation], "padding": padding, "activation": activation}
        name = self._add("Conv1D", [source], config)
        self.arrays[name] = {"kernel": conv.weight.transpose(2, 1, 0), "bias": conv.bias}
        return name

    def _activated(self, source: str, norm: Norm) -> str:
        name = self._add("BatchNormalization", [source], {"epsilon": self._member.epsilon})
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        self.arrays[name] = dict(zip(parts, vars(norm).values(), strict=True))
        return self._add("Activation", [name], {"activation": "relu"})
