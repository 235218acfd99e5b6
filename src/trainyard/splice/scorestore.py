"""The score store: one file per gene sequence, named by what it depends on, so that no score is computed twice.

`genes/<first two digits>/<key>.npy` is a NumPy array (donor and acceptor probabilities, float32, transcript direction)
followed by the SHA-256 of all bytes before it. The key is a hash of model, flank mode and the very bases that the model
saw; labels, features and sampling are not in it, and neither is how the work was cut. `index_NNNNN.parquet` says which
file belongs to which gene of a batch, and is written last. `model.json` is the card of the model.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.naming import score_indexes
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import atomic_open, atomic_path, faults_named
from trainyard.yard.identity import keyed_hash
from trainyard.yard.tables import Column, Role, TableContract

_log = logging.getLogger(__name__)

Scores = NDArray[np.float32]
"""Shape `(2, length)`: probability of a donor, then of an acceptor."""

CARD = "model.json"
_GENES = "genes"
_INDEX = "index_*.parquet"
_SEAL = hashlib.sha256().digest_size
_KEY = re.compile(r"[0-9a-f]{32}")

SCORE_INDEX = TableContract(
    "splice_score_index",
    (
        Column("gene_id", pa.string(), Role.KEY, description="gene, without version", nullable=False),
        Column("key", pa.string(), Role.METADATA, description="name of the score file; null: not scored"),
        Column("length", pa.int32(), Role.METADATA, "nt", "length of the gene", nullable=False),
        Column("sha256", pa.string(), Role.METADATA, description="of the score file; null: not scored"),
        Column("status", pa.string(), Role.METADATA, description="scored or failed", nullable=False),
        Column("reason", pa.string(), Role.METADATA, description="why it failed; null: scored"),
        Column("model_id", pa.string(), Role.METADATA, description="base model", nullable=False),
    ),
)
"""One row per gene of a score batch, in its order."""
SCORED, FAILED = "scored", "failed"


@dataclass(frozen=True)
class Entry:
    """A row of the index."""

    gene_id: str
    length: int
    key: str | None
    sha256: str | None
    reason: Reason | None

    @property
    def status(self) -> str:
        """`scored` or `failed`."""
        return FAILED if self.key is None else SCORED


def score_key(model_id: str, flank_mode: str, codes: NDArray[np.uint8], *, place: str = "") -> str:
    """Name of the scores of a sequence.

    Args:
        model_id: Identity of the model.
        flank_mode: What the model was shown beyond the gene's ends.
        codes: All bases that the model sees, flanks included.
        place: Gene and locus, for imported scores: equal bases need not have equal scores there.
    """
    seen = hashlib.sha256(codes.astype(np.uint8, copy=False).tobytes()).hexdigest()
    return f"{keyed_hash('splice-scores', model_id, flank_mode, place, seen, size=16):032x}"


class ScoreStore:
    """Scores of genes in a folder."""

    def __init__(self, folder: Path, *, indexes: Sequence[Path] | None = None) -> None:
        """Name a store; nothing is read or written yet.

        Args:
            folder: The folder, such as `results/<run>/splice/scores`.
            indexes: Index files that count; None for all in the folder.
        """
        self.folder = folder
        self._indexes = indexes

    @classmethod
    def of_batches(cls, folder: Path, batches: int | None) -> ScoreStore:
        """Name a store of which the indexes of the first batches count; None for all in the folder."""
        return cls(folder, indexes=None if batches is None else score_indexes(folder, batches))

    def path(self, key: str) -> Path:
        """Where the scores of a key stand.

        Raises:
            IntegrityError: No key.
        """
        if not _KEY.fullmatch(key):
            raise IntegrityError(f"{self.folder}: {key!r} is no key of a score store; the index is broken, delete it")
        return self.folder / _GENES / key[:2] / f"{key}.npy"

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Index rows by gene.

        Raises:
            IntegrityError: An index is broken, or two of them disagree about a gene.
        """
        found: dict[str, Entry] = {}
        for path in sorted(self.folder.glob(_INDEX)) if self._indexes is None else self._indexes:
            for entry in read_index(path):
                if found.setdefault(entry.gene_id, entry) != entry:
                    raise IntegrityError(
                        f"{path}: gives other scores for {entry.gene_id} than another index beside it; delete the older"
                        " one, or all, and run the same command again: scores that exist are not computed again"
                    )
        return found

    def get(self, gene_id: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Donor and acceptor probabilities of a gene, each of shape `(length,)`, checked against the index.

        Raises:
            InputError: The gene is in no index, or was not scored; see `entries` to find out beforehand.
            IntegrityError: Its file is missing or not what the index says.
        """
        entry = self.entries.get(gene_id)
        if entry is None:
            raise InputError(f"{self.folder}: no index here has gene {gene_id}; is it of another selection?")
        if entry.key is None:
            raise InputError(f"{self.folder}: gene {gene_id} was not scored ({entry.reason})")
        path = self.path(entry.key)
        try:
            with faults_named(path):
                data = path.read_bytes()
        except FileNotFoundError:
            raise self._broken(path, gene_id, "is missing") from None
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise self._broken(path, gene_id, "is not what the index says")
        scores = _unpack(data)
        if scores is None or scores.shape != (2, entry.length):
            raise self._broken(path, gene_id, f"does not hold scores of {entry.length} bases")
        return scores[0], scores[1]

    def find(self, key: str, length: int) -> str | None:
        """SHA-256 of the file of a key if it is there and whole, without an index; None if it must be made.

        Args:
            key: The key.
            length: Length that its scores must have.
        """
        path = self.path(key)
        try:
            with faults_named(path):
                data = path.read_bytes()
        except FileNotFoundError:
            return None
        scores = _unpack(data)
        if scores is None or scores.shape != (2, length):
            _log.warning("%s: is broken and will be made again", path)
            return None
        return hashlib.sha256(data).hexdigest()

    def put(self, key: str, scores: Scores) -> str:
        """Write the scores of a key and return the SHA-256 of the file."""
        data = _pack(scores)
        with atomic_open(self.path(key)) as handle:
            handle.write(data)
        return hashlib.sha256(data).hexdigest()

    def adopt(self, key: str, other: ScoreStore) -> None:
        """Take the file of a key from another store: by hard link, or by copy where the file system cannot link."""
        with atomic_path(self.path(key)) as part:
            try:
                os.link(other.path(key), part)
            except OSError:
                shutil.copyfile(other.path(key), part)

    def write_index(self, path: Path, entries: Iterable[Entry], *, model_id: str) -> None:
        """Write the index of a batch: equal entries give equal bytes."""
        SCORE_INDEX.write(path, SCORE_INDEX.table([_row(entry, model_id) for entry in entries]))

    def _broken(self, path: Path, gene_id: str, what: str) -> IntegrityError:
        return IntegrityError(
            f"{path}: the scores of {gene_id}: the file {what}; delete the index that names the gene"
            f" ({self.folder / _INDEX}) and run the same command again: broken scores alone are made again"
        )


def read_index(path: Path) -> list[Entry]:
    """Rows of an index, in order.

    Raises:
        InputError: No such file.
        IntegrityError: It is no index.
    """
    return [
        Entry(
            gene_id=row["gene_id"],
            length=row["length"],
            key=row["key"],
            sha256=row["sha256"],
            reason=None if row["reason"] is None else Reason(row["reason"]),
        )
        for row in SCORE_INDEX.read(path).to_pylist()
    ]


def _row(entry: Entry, model_id: str) -> dict[str, Any]:
    return {
        "gene_id": entry.gene_id,
        "key": entry.key,
        "length": entry.length,
        "sha256": entry.sha256,
        "status": entry.status,
        "reason": None if entry.reason is None else entry.reason.value,
        "model_id": model_id,
    }


def _pack(scores: Scores) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(scores, dtype="<f4"), version=(1, 0), allow_pickle=False)
    data = buffer.getvalue()
    return data + hashlib.sha256(data).digest()


def _unpack(data: bytes) -> Scores | None:
    """The array in a file's bytes; None if its seal is broken."""
    array, seal = data[:-_SEAL], data[-_SEAL:]
    if hashlib.sha256(array).digest() != seal:
        return None
    scores: Scores = np.lib.format.read_array(io.BytesIO(array), allow_pickle=False)
    return scores
