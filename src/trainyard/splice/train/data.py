"""Rows of a dataset by split: keys in memory, features in pieces of a fixed size.

What a model sees of a split depends on that split's rows alone: pieces are cut from its rows in the order of the
dataset, however many rows of other splits lie between them and however the dataset is cut into parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trainyard.splice.master import Master, inspect_master
from trainyard.splice.split import NONE, SPLIT, SPLITS, check_untorn
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import faults_named
from trainyard.yard.identity import generator

CELLS = 1 << 23
"""Cells of a piece, rows times columns: 32 MiB of float32."""
_KEYS = ("gene_id", "position", "label", "sample_weight", "donor_score", "acceptor_score", "locus_cluster")
_ORDER = (*SPLITS, NONE)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """What is known of the rows of one split, in the order of the dataset; arrays have shape `(n,)`."""

    genes: tuple[str, ...]
    """Genes, in the order of their first rows."""
    groups: tuple[str, ...]
    """Split group of each gene: what resampling draws, since genes of a group are alike."""
    gene: NDArray[np.int32]
    """Number of each row's gene in `genes`."""
    position: NDArray[np.int32]
    """0-based, in transcript direction."""
    label: NDArray[np.int8]
    """0 neither, 1 donor, 2 acceptor."""
    weight: Floats
    """Positions that a row stands for."""
    donor: Floats
    """Donor score of the base model."""
    acceptor: Floats
    """Acceptor score of the base model."""

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def by_gene(self) -> list[NDArray[np.intp]]:
        """Numbers of the rows of each gene, in the order of `genes`."""
        order = np.argsort(self.gene, kind="stable")
        return np.split(order, np.searchsorted(self.gene[order], np.arange(1, len(self.genes))))

    def take(self, chosen: Bools) -> Rows:
        """Some of the rows; genes keep their numbers."""
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        return Rows(self.genes, self.groups, **arrays)

    def draws(self, *purpose: str | int) -> NDArray[np.float64]:
        """A number in [0, 1) for each row, from the purpose, its gene and its place in it, and nothing else."""
        found = np.empty(len(self), np.float64)
        for gene, rows in zip(self.genes, self.by_gene, strict=True):
            found[rows] = generator(*purpose, gene).random(len(rows))
        return found

    def sample(self, wanted: int, *purpose: str | int) -> Bools:
        """About so many rows, drawn by hash; all if there are no more."""
        if len(self) <= wanted:
            return np.ones(len(self), np.bool_)
        return self.draws(*purpose) < wanted / len(self)

    @property
    def genes_sha256(self) -> str:
        """Hash of the genes, in sorted order."""
        return hashlib.sha256("\n".join(sorted(self.genes)).encode()).hexdigest()


_ARRAYS = ("gene", "position", "label", "weight", "donor", "acceptor")


class SplitRows:
    """A dataset with its rows told apart by split.

    Keys of all rows that take part are held in memory, about 21 bytes a row; features are read when asked for.
    """

    def __init__(self, master: Master, splits: Path) -> None:
        """Read the keys of all rows.

        Args:
            master: The dataset.
            splits: Table of the contract SPLIT.

        Raises:
            InputError: There is no table of splits.
            IntegrityError: A gene of the dataset is in no split, or a part cannot be read.
            LeakageError: A cluster stands in two splits.
        """
        self.master = master
        table = SPLIT.read(splits)
        check_untorn(table)
        self._splits = {row["gene_id"]: row for row in table.to_pylist()}
        self._where = splits
        self._codes: list[list[NDArray[np.int8]]] = []
        """Split of each row, by part and row group, as a place in `_ORDER`."""
        self._rows = self._read_keys()

    def rows(self, split: str) -> Rows:
        """Rows of train, val or test."""
        return self._rows[split]

    def contigs(self, split: str) -> list[str]:
        """Contig of each gene of train, val or test, in the order of `rows(split).genes`."""
        return [str(self._splits[gene]["chrom"]) for gene in self._rows[split].genes]

    def pieces(self, split: str, columns: Sequence[str], *, keep: Bools | None = None) -> Iterator[Floats]:
        """Features of the rows of a split, in pieces of at most `CELLS` cells.

        Args:
            split: train, val or test.
            columns: Columns wanted, at least one.
            keep: Which rows of the split, shape `(n,)`; None for all.

        Yields:
            Shape `(rows, columns)`; NaN where there is no value. The array is the caller's.

        Raises:
            IntegrityError: A value is infinite, or a part cannot be read.
        """
        size = max(1, CELLS // len(columns))
        piece, filled = np.empty((size, len(columns)), np.float32), 0
        for table in self._tables(split, columns, keep):
            taken = 0
            while taken < table.num_rows:
                n = min(size - filled, table.num_rows - taken)
                for i, name in enumerate(columns):
                    piece[filled : filled + n, i] = _values(table[name].slice(taken, n), name)
                taken, filled = taken + n, filled + n
                if filled == size:
                    yield piece
                    piece, filled = np.empty((size, len(columns)), np.float32), 0
        if filled:
            yield piece[:filled]

    def _tables(self, split: str, columns: Sequence[str], keep: Bools | None) -> Iterator[pa.Table]:
        """Rows of a split as tables; row groups without any are not read."""
        code, seen = _ORDER.index(split), 0
        wanted = list(dict.fromkeys(columns))
        for part, groups in zip(self.master.parts, self._codes, strict=True):
            with _reading(part.path) as file:
                for number, codes in enumerate(groups):
                    chosen = codes == code
                    if keep is not None:
                        mine = int(chosen.sum())
                        chosen[chosen] = keep[seen : seen + mine]
                        seen += mine
                    if chosen.any():
                        yield from _filtered(file, number, wanted, chosen)

    def _read_keys(self) -> dict[str, Rows]:
        found: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        genes: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
        for part in self.master.parts:
            self._codes.append([])
            with _reading(part.path) as file:
                for number in range(file.num_row_groups):
                    table = file.read_row_group(number, columns=list(_KEYS))
                    self._codes[-1].append(self._add_keys(table, found, genes, part.path))
        return {split: self._joined(found[split], tuple(genes[split])) for split in SPLITS}

    def _add_keys(
        self,
        table: pa.Table,
        found: Mapping[str, list[dict[str, Any]]],
        genes: Mapping[str, dict[str, int]],
        path: Path,
    ) -> NDArray[np.int8]:
        """Sort the keys of a row group by split; returns the split of each row."""
        names = table["gene_id"].combine_chunks().dictionary_encode()
        self._check_clusters(table, path)
        splits = [self._split_of(gene, path) for gene in names.dictionary.to_pylist()]
        place = names.indices.to_numpy()
        codes: NDArray[np.int8] = np.array([_ORDER.index(split) for split in splits], np.int8)[place]
        numbers = np.array(
            [
                genes[split].setdefault(gene, len(genes[split])) if split != NONE else -1
                for gene, split in zip(names.dictionary.to_pylist(), splits, strict=True)
            ],
            np.int32,
        )[place]
        for code, split in enumerate(SPLITS):
            mine = codes == code
            if mine.any():
                arrays = {own: table[name].to_numpy()[mine] for own, name in _COLUMN_OF.items()}
                found[split].append({"gene": numbers[mine], **arrays})
        return codes

    def _split_of(self, gene: str, path: Path) -> str:
        try:
            return str(self._splits[gene]["split"])
        except KeyError:
            raise IntegrityError(
                f"{path}: gene {gene} is not in {self._where}, which belongs to another annotation; split again"
            ) from None

    def _check_clusters(self, table: pa.Table, path: Path) -> None:
        pairs = ["gene_id", "locus_cluster"]
        for row in table.select(pairs).group_by(pairs).aggregate([]).to_pylist():
            told = self._splits.get(row["gene_id"], row)["locus_cluster"]
            if told != row["locus_cluster"]:
                raise LeakageError(
                    f"{path}: gene {row['gene_id']} is of locus cluster {row['locus_cluster']}, but {self._where} has"
                    f" it in {told}, so its neighbours may be in another split; dataset and split are of different"
                    " annotations: split again"
                )

    def _joined(self, pieces: Sequence[Mapping[str, Any]], genes: tuple[str, ...]) -> Rows:
        groups = tuple(str(self._splits[gene]["split_group"]) for gene in genes)
        arrays = {
            name: np.concatenate([np.empty(0, kind), *(piece[name] for piece in pieces)]).astype(kind, copy=False)
            for name, kind in _TYPES.items()
        }
        return Rows(genes, groups, **arrays)


def open_rows(folder: Path, splits: Path, *, allow_partial: bool = False) -> SplitRows:
    """Open a dataset for training or scoring.

    Parts are compared with their receipts by size and rows; every page that is read is checked by its checksum.

    Args:
        folder: `master/`, or the folder of the line.
        splits: Table of the contract SPLIT.
        allow_partial: Take what is finished of an incomplete dataset.

    Raises:
        InputError, IntegrityError, LeakageError: See `inspect_master` and `SplitRows`.
    """
    master = inspect_master(folder, allow_partial=allow_partial, checksums=False)
    if not master.features:
        raise InputError(f"{master.folder}: its columns state no feature families; build it with this workflow")
    return SplitRows(master, splits)


_COLUMN_OF = {
    "position": "position",
    "label": "label",
    "weight": "sample_weight",
    "donor": "donor_score",
    "acceptor": "acceptor_score",
}
_TYPES: dict[str, Any] = {
    "gene": np.int32,
    "position": np.int32,
    "label": np.int8,
    "weight": np.float32,
    "donor": np.float32,
    "acceptor": np.float32,
}


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a part, and turn what Arrow says of a broken one into an error for people."""
    try:
        with faults_named(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise IntegrityError(f"{path}: cannot be read as Parquet ({error}); {_REMEDY}") from error


def _filtered(file: pq.ParquetFile, group: int, columns: Sequence[str], chosen: Bools) -> Iterator[pa.Table]:
    """Chosen rows of a row group, decoded in pieces, so that thousands of columns never stand in memory at once."""
    start, size = 0, max(1, CELLS // len(columns))
    for batch in file.iter_batches(batch_size=size, row_groups=[group], columns=list(columns)):
        mask = chosen[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.any():
            yield pa.table(batch).filter(pa.array(mask))


def _values(column: pa.ChunkedArray, name: str) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy()
    if pa.types.is_floating(column.type) and np.isinf(values).any():
        raise IntegrityError(f"feature {name} has infinite values; check the dataset (trainyard splice check)")
    return values


_REMEDY = "delete the file and run the same command again"
