"""Weight files of SpliceAI: Keras 2 HDF5, read with h5py alone.

The file holds the layer graph as JSON (attribute `model_config`) and the arrays by layer name (group `model_weights`).
Layers are numbered in the order of their creation, not by depth, so the graph is followed from the output back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trainyard.splice.layers import GROUP, Conv, Floats, Member, Norm, Unit
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

_MAX_VALUES = 10_000_000
"""An array with more values than this is not from such a network, whatever its header says."""
_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def read_spliceai(path: Path) -> Member:
    """Read one `.h5` file of SpliceAI.

    Raises:
        InputError: Missing, truncated, or no weights of such a network.
    """
    try:
        with faults_named(path), h5py.File(path, "r") as file:
            arrays = file["model_weights"]
            member = _Graph(_layers(file), lambda layer, part: _array(arrays, layer, part)).member()
    except FileNotFoundError:
        raise InputError(f"{path}: no such weight file; check model.weights") from None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise InputError(
            f"{path}: cannot be read as weights of SpliceAI ({error}); it is truncated or of another kind: fetch it"
            " again, or check model.backend"
        ) from error
    if problems := member.problems():
        raise InputError(f"{path}: not a network of the published plan: {'; '.join(problems[:3])}")
    return member


@dataclass(frozen=True)
class _Layer:
    kind: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class _Graph:
    """Follows the layer graph from the output to the input; a graph of another plan gives a ValueError."""

    layers: Mapping[str, _Layer]
    array: Callable[[str, str], Floats]

    def member(self) -> Member:
        """The weights in the order of the plan."""
        inner = {name for layer in self.layers.values() for name in layer.inputs}
        last = self._checked(self._one([layer for name, layer in self.layers.items() if name not in inner]), "Conv1D")
        crop = self._source(last, "Cropping1D")
        by_trunk = {self._source(skip).name: skip for skip in self._summed(self._source(crop))}
        trunk, units = max((self._trunk(name) for name in by_trunk), key=lambda found: len(found[1]))
        joints = trunk[::GROUP]
        if last.config.get("activation") != "softmax" or {layer.name for layer in joints} != set(by_trunk):
            raise ValueError("its layers are connected in another way than the published ones")
        member = Member(
            entry=self._conv(trunk[0]),
            units=tuple(units),
            skips=tuple(self._conv(by_trunk[layer.name]) for layer in joints),
            exit=self._conv(last),
            epsilon=float(self._one({layer.config["epsilon"] for layer in self._all("BatchNormalization")})),
            slope=self._one({_slope(layer) for layer in self._all("Activation", "LeakyReLU")}),
        )
        if list(crop.config["cropping"]) != [member.context // 2] * 2:
            raise ValueError(f"it crops {crop.config['cropping']}, but its kernels reach {member.context // 2} bases")
        return member

    def _summed(self, layer: _Layer) -> Iterator[_Layer]:
        """The convolutions whose outputs a chain of additions sums up."""
        if layer.kind == "Add":
            for name in layer.inputs:
                yield from self._summed(self.layers[name])
        else:
            yield self._checked(layer, "Conv1D")

    def _trunk(self, name: str) -> tuple[list[_Layer], list[Unit]]:
        """The trunk from the entry convolution to a layer, and the residual units between them."""
        layer, trunk, units = self.layers[name], [], []
        while layer.kind == "Add":
            conv2 = self._one(
                [found for found in self._sources(layer) if found.kind == "Conv1D" and self._is_activated(found)]
            )
            before = self._one([found for found in self._sources(layer) if found is not conv2])
            norm2 = self._source(self._source(conv2), "BatchNormalization")
            conv1 = self._source(norm2, "Conv1D")
            norm1 = self._source(self._source(conv1), "BatchNormalization")
            if self._source(norm1) is not before:
                raise ValueError(f"{layer.name} does not add a unit to what the unit was made of")
            trunk.append(layer)
            units.append(self._unit(norm1, conv1, norm2, conv2))
            layer = before
        return [self._checked(layer, "Conv1D"), *reversed(trunk)], units[::-1]

    def _unit(self, norm1: _Layer, conv1: _Layer, norm2: _Layer, conv2: _Layer) -> Unit:
        dilation = self._one({tuple(conv.config["dilation_rate"]) for conv in (conv1, conv2)})[0]
        return Unit(self._norm(norm1), self._conv(conv1), self._norm(norm2), self._conv(conv2), int(dilation))

    def _norm(self, layer: _Layer) -> Norm:
        return Norm(*(self.array(layer.name, part) for part in _NORM))

    def _conv(self, layer: _Layer) -> Conv:
        # Keras keeps kernels as (width, in, out).
        kernel = np.ascontiguousarray(self.array(layer.name, "kernel").transpose(2, 1, 0))
        return Conv(kernel, self.array(layer.name, "bias"))

    def _is_activated(self, layer: _Layer) -> bool:
        return self._source(layer).kind in ("Activation", "LeakyReLU")

    def _sources(self, layer: _Layer) -> list[_Layer]:
        return [self.layers[name] for name in layer.inputs]

    def _source(self, layer: _Layer, kind: str | None = None) -> _Layer:
        source = self._one(self._sources(layer))
        return source if kind is None else self._checked(source, kind)

    def _all(self, *kinds: str) -> list[_Layer]:
        return [layer for layer in self.layers.values() if layer.kind in kinds]

    @staticmethod
    def _checked(layer: _Layer, kind: str) -> _Layer:
        if layer.kind != kind:
            raise ValueError(f"{layer.name} is a {layer.kind}, expected a {kind}")
        return layer

    @staticmethod
    def _one(found: Any) -> Any:
        """The only element."""
        (only,) = found
        return only


def _slope(layer: _Layer) -> float:
    """Slope of an activation below zero."""
    if layer.kind == "LeakyReLU":
        return float(layer.config.get("alpha", layer.config.get("negative_slope", 0.3)))
    if layer.config["activation"] != "relu":
        raise ValueError(f"{layer.name} is '{layer.config['activation']}', expected ReLU")
    return 0.0


def _layers(file: h5py.File) -> dict[str, _Layer]:
    found = json.loads(file.attrs["model_config"])["config"]["layers"]
    layers = [
        _Layer(
            layer["class_name"],
            layer["name"],
            layer["config"],
            tuple(source[0] for node in layer["inbound_nodes"] for source in node),
        )
        for layer in found
    ]
    return {layer.name: layer for layer in layers}


def _array(arrays: h5py.Group, layer: str, part: str) -> Floats:
    """One array of a layer; only what stands in this very file, in full, is read."""
    group = arrays[layer]
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]]
    (name,) = [name for name in names if name.rsplit("/", 1)[-1].split(":")[0] == part]
    place = group
    for step in name.split("/"):
        if not isinstance(place.get(step, getlink=True), h5py.HardLink):
            raise ValueError(f"{layer}/{name} is a link to elsewhere")
        place = place[step]
    if not isinstance(place, h5py.Dataset) or place.is_virtual or place.external:
        raise ValueError(f"{layer}/{name} is not stored in this file")
    if math.prod(place.shape) > _MAX_VALUES:
        raise ValueError(f"{layer}/{name} has the shape {place.shape}")
    return np.ascontiguousarray(place[()], dtype=np.float32)
