"""Weight files of OpenSpliceAI (`.pt`) and SpliceAI (`.h5`), read as data: nothing in them is run.

The files are the user's; none comes with Trainyard. A `.pt` is a dict of tensors, an `.h5` (see `kerasweights`) a layer
graph and its arrays. Context and widths are read from the weights, so a name that promises another context cannot
mislead.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from trainyard.splice.kerasweights import read_spliceai
from trainyard.splice.layers import DILATIONS, GROUP, Conv, Floats, Member, Norm, Unit
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import faults_named, sha256_file

if TYPE_CHECKING:
    import torch

Backend = Literal["openspliceai-pt", "spliceai-h5"]

_EPSILON = 1e-5
"""Of torch's batch norm, which OpenSpliceAI leaves as it is; not in the file."""
_SLOPE = 0.1
"""Of OpenSpliceAI's LeakyReLU; not in the file."""
_UNIT = re.compile(r"residual_units\.(\d+)\.")
_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class WeightFile:
    """A member of an ensemble and the file that it was read from."""

    path: Path
    sha256: str
    member: Member


def read_ensemble(
    paths: Sequence[Path], backend: Backend, *, sha256: Sequence[str] = (), context: int | None = None
) -> list[WeightFile]:
    """Read all members of an ensemble.

    Args:
        paths: Weight files, in any order.
        backend: Format of the files.
        sha256: Expected checksums in the same order; empty: not checked.
        context: Context that all must have; None for whatever they have.

    Returns:
        The members by checksum, so that the order in a config changes nothing.

    Raises:
        InputError: No files; a file is missing or cannot be read; two files are the same; contexts differ from one
            another or from what was asked for.
        IntegrityError: A file does not have its checksum.
    """
    if not paths:
        raise InputError(f"model.backend is '{backend}' but model.weights names no file; list the weight files")
    digests = _digests(paths, sha256)
    read = read_openspliceai if backend == "openspliceai-pt" else read_spliceai
    found = [WeightFile(path, digest, read(path)) for path, digest in zip(paths, digests, strict=True)]
    contexts = {file.path.name: file.member.context for file in found}
    if len(set(contexts.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in contexts.items())
        raise InputError(f"model.weights: members of one ensemble must have one context, found {listed}")
    if context is not None and found[0].member.context != context:
        raise InputError(
            f"{paths[0]}: these weights have a context of {found[0].member.context} nt, model.context says {context};"
            " name other weights, or set model.context to null to take what they have"
        )
    return sorted(found, key=lambda file: file.sha256)


def read_openspliceai(path: Path) -> Member:
    """Read one `.pt` file of OpenSpliceAI.

    Raises:
        InputError: Missing, truncated, or no weights of such a network.
    """
    arrays = _state(path)
    places = sorted({int(match[1]) for name in arrays if (match := _UNIT.match(name))})
    # Every fifth place of the list is the skip convolution that ends a group.
    units = [i for i in places if i % (GROUP + 1) != GROUP]
    ends = [i for i in places if i % (GROUP + 1) == GROUP]
    if len(units) > GROUP * len(DILATIONS):
        raise InputError(f"{path}: has {len(units)} residual units; networks of this kind have at most 16")
    try:
        member = Member(
            entry=_conv(arrays, "initial_conv"),
            units=tuple(_unit(arrays, f"residual_units.{i}", DILATIONS[n // GROUP]) for n, i in enumerate(units)),
            skips=tuple(_conv(arrays, f"{name}.conv") for name in _skip_names(ends)),
            exit=_conv(arrays, "final_conv"),
            epsilon=_EPSILON,
            slope=_SLOPE,
        )
    except KeyError as error:
        raise InputError(
            f"{path}: has no array {error}, so it is not a weight file of OpenSpliceAI; check model.backend and"
            " model.weights"
        ) from error
    if problems := member.problems():
        raise InputError(f"{path}: not a network of the published plan: {'; '.join(problems[:3])}")
    return member


def _digests(paths: Sequence[Path], expected: Sequence[str]) -> list[str]:
    digests = []
    for path in paths:
        try:
            digests.append(sha256_file(path))
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"{path}: no such weight file; check model.weights") from None
    for path, found, wanted in zip(paths, digests, expected or digests, strict=True):
        if found != wanted.lower():
            raise IntegrityError(
                f"{path}: sha256 is {found}, model.sha256 says {wanted}; it is another file or a broken download:"
                " fetch it again, or correct model.sha256"
            )
    first: dict[str, Path] = {}
    for path, digest in zip(paths, digests, strict=True):
        if digest in first:
            raise InputError(
                f"{path}: the same bytes as {first[digest]}, so the mean would count one member twice; list each member"
                " of the ensemble once (one published set has such a pair)"
            )
        first[digest] = path
    return digests


def _state(path: Path) -> dict[str, Floats]:
    """The tensors of a `.pt` file by name, without the counters of training."""
    import torch

    try:
        with faults_named(path):
            data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such weight file; check model.weights") from None
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        # What is no weight file can make the reader raise nearly anything.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: cannot be read as weights of OpenSpliceAI ({reason}); it is truncated or of another kind: fetch"
            " it again, or check model.backend"
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no plain dict of tensors; it is not a weight file of OpenSpliceAI")
    return {str(name): _array(value) for name, value in state.items() if value.is_floating_point()}


def _array(tensor: torch.Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _skip_names(ends: Sequence[int]) -> list[str]:
    return ["initial_skip", *(f"residual_units.{i}" for i in ends)]


def _conv(arrays: Mapping[str, Floats], name: str) -> Conv:
    return Conv(arrays[f"{name}.weight"], arrays[f"{name}.bias"])


def _unit(arrays: Mapping[str, Floats], name: str, dilation: int) -> Unit:
    norm1, norm2 = (Norm(*(arrays[f"{name}.batchnorm{i}.{part}"] for part in _NORM)) for i in (1, 2))
    return Unit(norm1, _conv(arrays, f"{name}.conv1"), norm2, _conv(arrays, f"{name}.conv2"), dilation)
