"""Base models behind one face: pieces of sequence in, three probabilities per base out, and a card that says whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceModelSettings
from trainyard.yard.errors import ConfigError, EnvironmentFault, IntegrityError
from trainyard.yard.identity import keyed_hash

if TYPE_CHECKING:
    import torch

    from trainyard.splice.network import Network
    from trainyard.splice.weights import WeightFile

Codes = NDArray[np.uint8]
"""Bases in transcript direction: A, C, G, T as 0 to 3; 4 for an unknown base or none."""
Probabilities = NDArray[np.float32]
"""Shape `(3, length)`: neither, acceptor, donor."""

ARITHMETIC = 1
"""Raised when the same weights and bases come to give other scores, beyond rounding: old scores are then not used."""


@dataclass(frozen=True)
class ModelCard:
    """What a dataset says of the base model behind it."""

    backend: str
    model_id: str
    """32 hex digits that change with weights, backend and arithmetic, and with nothing else."""
    context: int
    """Bases that a score depends on, both sides together; 0: not known."""
    members: tuple[dict[str, str], ...]
    """Name and sha256 of each file of the model."""
    licence: str
    flank_mode: str
    held_out_contigs: tuple[str, ...]
    trained_on_contigs: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelCard:
        """Card of what `to_dict` gave, perhaps by way of JSON.

        Raises:
            IntegrityError: It is no card.
        """
        try:
            return cls(
                backend=data["backend"],
                model_id=data["model_id"],
                context=data["context"],
                members=tuple(data["members"]),
                licence=data["licence"],
                flank_mode=data["flank_mode"],
                held_out_contigs=tuple(data["held_out_contigs"]),
                trained_on_contigs=tuple(data["trained_on_contigs"]),
            )
        except (KeyError, TypeError) as error:
            raise IntegrityError(f"not the card of a base model ({error!r}); score the genes again") from error


class BaseModel(Protocol):
    """What scoring needs of a model."""

    @property
    def card(self) -> ModelCard:
        """What a dataset says of it."""
        ...

    def score(self, pieces: Sequence[Codes]) -> list[Probabilities]:
        """Score pieces of shape `(length + context,)`; also takes an array of equal ones, `(n, length + context)`."""
        ...


def open_model(settings: SpliceModelSettings) -> BaseModel:
    """Open the base model of the settings.

    Raises:
        ConfigError: The backend computes nothing, or the licence was not accepted.
        InputError, IntegrityError: The weights cannot be used; see `read_ensemble`.
        EnvironmentFault: A GPU was asked for and there is none.
    """
    if settings.backend == "scores-import":
        raise ConfigError("model.backend is 'scores-import': it takes scores that exist and computes none")
    if settings.backend == "toy":
        return ToyModel(settings)
    if not settings.accept_licence:
        raise ConfigError("model.accept_licence: say true once you have read the licence of the weights")
    from trainyard.splice.weights import read_ensemble

    files = read_ensemble(settings.weights, settings.backend, sha256=settings.sha256, context=settings.context)
    return Ensemble(files, settings)


def make_card(
    settings: SpliceModelSettings, *, context: int, members: Iterable[tuple[str, str]], licence: str = ""
) -> ModelCard:
    """Card of a model.

    Args:
        settings: Model settings.
        context: Bases that a score depends on, both sides together.
        members: File name and sha256 of each file.
        licence: Used where the settings state none.
    """
    files = sorted(members, key=lambda file: file[1])
    number = keyed_hash("splice-model", ARITHMETIC, settings.backend, *(sha for _, sha in files), size=16)
    return ModelCard(
        backend=settings.backend,
        model_id=f"{number:032x}",
        context=context,
        members=tuple({"name": name, "sha256": sha} for name, sha in files),
        licence=settings.licence or licence or "not stated",
        flank_mode=settings.flank_mode,
        held_out_contigs=tuple(settings.held_out_contigs),
        trained_on_contigs=tuple(settings.trained_on_contigs),
    )


class ToyModel:
    """The generated model of `toy`."""

    def __init__(self, settings: SpliceModelSettings) -> None:
        from trainyard.splice import toy

        if settings.context not in (None, toy.CONTEXT):
            raise ConfigError(f"model.context is {settings.context}, the toy model has {toy.CONTEXT}; set it to null")
        self.card = make_card(settings, context=toy.CONTEXT, members=(), licence="part of Trainyard (Apache-2.0)")

    def score(self, pieces: Sequence[Codes]) -> list[Probabilities]:
        """Score pieces; see `BaseModel`."""
        from trainyard.splice import toy

        return [toy.score(piece) for piece in pieces]


class Ensemble:
    """The mean of several networks.

    On CPU each piece is computed by one thread with all members: scores then depend neither on the number of threads
    nor on the company of a piece, and no thread waits for another. On GPU pieces of one length share a pass.
    """

    def __init__(self, files: Sequence[WeightFile], settings: SpliceModelSettings) -> None:
        """Prepare the networks.

        Args:
            files: The members.
            settings: Where to run, with how many threads, how much at once.

        Raises:
            EnvironmentFault: A GPU was asked for and there is none.
        """
        import torch

        from trainyard.splice.network import Network

        if settings.device == "cuda" and not torch.cuda.is_available():
            raise EnvironmentFault("model.device is 'cuda' but torch sees no GPU; set it to auto or cpu")
        on_gpu = settings.device != "cpu" and torch.cuda.is_available()
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._networks: list[Network] = [Network(file.member, self._device) for file in files]
        self._threads = settings.threads
        self._batch_positions = settings.batch_positions
        context = files[0].member.context
        self.card = make_card(settings, context=context, members=((file.path.name, file.sha256) for file in files))

    def score(self, pieces: Sequence[Codes]) -> list[Probabilities]:
        """Score pieces; see `BaseModel`."""
        return self._score_by_threads(pieces) if self._device.type == "cpu" else self._score_by_batches(pieces)

    def _score_by_threads(self, pieces: Sequence[Codes]) -> list[Probabilities]:
        # Longest first, so that no thread is left with a long piece at the end.
        order = sorted(range(len(pieces)), key=lambda i: -len(pieces[i]))
        with _undivided(), ThreadPoolExecutor(self._threads, initializer=_do_not_divide) as pool:
            scores = dict(zip(order, pool.map(lambda i: self._mean(pieces[i][None])[0], order), strict=True))
        return [scores[i] for i in range(len(pieces))]

    def _score_by_batches(self, pieces: Sequence[Codes]) -> list[Probabilities]:
        import torch

        scores: dict[int, Probabilities] = {}
        # TF32 would move scores; autotuned kernels would do so from run to run.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            for rows in equal_batches([len(piece) for piece in pieces], self._batch_positions):
                scores.update(zip(rows, self._mean(np.stack([pieces[i] for i in rows])), strict=True))
        return [scores[i] for i in range(len(pieces))]

    def _mean(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mean probabilities `(n, 3, length)` of pieces `(n, length + context)`."""
        import torch

        bases = one_hot(torch.tensor(codes, device=self._device))
        total = self._networks[0].probabilities(bases)
        for network in self._networks[1:]:
            total = total + network.probabilities(bases)
        mean: NDArray[np.float32] = (total / len(self._networks)).cpu().numpy()
        return mean


@contextmanager
def _undivided() -> Iterator[None]:
    """Keep torch from dividing single operations among threads."""
    import torch

    before = torch.get_num_threads()
    _do_not_divide()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _do_not_divide() -> None:
    import torch

    torch.set_num_threads(1)


def one_hot(codes: torch.Tensor) -> torch.Tensor:
    """Codes `(n, length)` as float32 `(n, 4, length)`; a code past T gives zeros."""
    import torch

    return (codes.unsqueeze(1) == torch.arange(4, device=codes.device).reshape(1, 4, 1)).float()


def equal_batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Divide pieces into batches of one length each.

    Args:
        lengths: Length of each piece.
        most: Positions per batch at most, but for a piece that is longer by itself.

    Returns:
        Indices of the pieces of each batch; longest first.
    """
    batches = []
    for length in sorted(set(lengths), reverse=True):
        rows = [i for i, n in enumerate(lengths) if n == length]
        size = max(1, most // length)
        batches += [rows[i : i + size] for i in range(0, len(rows), size)]
    return batches
