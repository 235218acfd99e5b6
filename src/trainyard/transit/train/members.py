"""Which records of which shards take part, looked up once from the example tables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.select import SELECTION
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.receipts import verify

_COLUMNS = [
    "uid", "target_id", "tce_uid", "disposition", "time", "label", "transit_example", "has_images",
    "split", "shard", "example_i_tfrec",
]  # fmt: skip


@dataclass(frozen=True)
class Members:
    """The examples of one split that take part.

    Attributes:
        split: train, val or test.
        shards: Shards with at least one member, in the order of their names.
        keep: For each shard one flag per record, True for a member.
        rows: Their rows of the example table, shard by shard in the order of the records.
    """

    split: str
    shards: tuple[Path, ...]
    keep: tuple[NDArray[np.bool_], ...]
    rows: pa.Table

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def labels(self) -> NDArray[np.int8]:
        """Labels in the order of `rows`."""
        return self.column("label").astype(np.int8)

    @property
    def has_images(self) -> bool:
        """Whether any member carries images."""
        return bool(len(self) and self.column("has_images").any())

    def with_images(self) -> Members:
        """The members that carry images."""
        imaged = np.asarray(self.column("has_images"), dtype=bool)
        parts = np.split(imaged, np.cumsum([keep.sum() for keep in self.keep])[:-1]) if self.keep else []
        kept = [(shard, _thinned(keep, part)) for shard, keep, part in zip(self.shards, self.keep, parts, strict=True)]
        used = [(shard, keep) for shard, keep in kept if keep.any()]
        return Members(
            self.split,
            tuple(shard for shard, _ in used),
            tuple(keep for _, keep in used),
            self.rows.filter(pa.array(imaged)),
        )

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of `rows` as an array."""
        return np.asarray(self.rows[name].to_numpy(zero_copy_only=False))


def find_members(
    shards: Sequence[Path], examples: Sequence[Path], *, split: str, selection: Path | None = None
) -> Members:
    """Look up the members of a split.

    Args:
        shards: Normalized shards of the split, whole (not materialized from a selection), each with its receipt. A name
            less the prefix ``norm_`` is the `shard` of the example table.
        examples: Tables of the contract SPLIT_EXAMPLES; they may hold other splits too.
        split: train, val or test.
        selection: A selection's `selection.parquet`; None: all examples.

    Raises:
        InputError: A table cannot be read or lacks a column.
        IntegrityError: A shard is damaged, or its records and the example table disagree.
    """
    rows = _rows_of_split(examples, split)
    chosen = selected(rows["uid"], selection)
    names, starts = _runs(rows["shard"].to_pylist())
    given = {shard.name.removeprefix("norm_"): shard for shard in shards}
    unknown = sorted(set(names) - set(given))
    if unknown:
        raise IntegrityError(
            f"the example tables name shards of {split} that were not given: {', '.join(unknown[:5])}; pass all shards"
            " of the split, or build them"
        )
    positions = np.asarray(rows["example_i_tfrec"])
    of_shard = dict(zip(names, itertools.pairwise(starts), strict=True))
    used: list[Path] = []
    keep: list[NDArray[np.bool_]] = []
    for name, shard in sorted(given.items()):
        start, end = of_shard.get(name, (0, 0))
        _check_records(shard, positions[start:end])
        if chosen[start:end].any():
            used.append(shard)
            keep.append(chosen[start:end])
    return Members(split, tuple(used), tuple(keep), rows.filter(pa.array(chosen)))


def _rows_of_split(examples: Sequence[Path], split: str) -> pa.Table:
    """Rows of one split, in the order of shards and records."""
    if not examples:
        raise InputError("no example table was given; pass split/aux_tbls/examples_*.parquet")
    rows = pa.concat_tables([SPLIT_EXAMPLES.read(path, columns=_COLUMNS) for path in examples])
    of_split = rows.filter(pc.equal(rows["split"], split))
    return of_split.sort_by([("shard", "ascending"), ("example_i_tfrec", "ascending")])


def selected(uids: pa.ChunkedArray, selection: Path | None) -> NDArray[np.bool_]:
    """Which examples a selection holds; without one, all of them."""
    if selection is None:
        return np.ones(len(uids), dtype=bool)
    table = SELECTION.read(selection, columns=["uid", "kept"])
    return np.asarray(pc.is_in(uids, value_set=table["uid"].filter(table["kept"])), dtype=bool)


def _thinned(keep: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flags of the records of a shard, with those members left out that are not wanted."""
    thinned = keep.copy()
    thinned[keep] = wanted
    return thinned


def _runs(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Distinct neighbours of a sorted list, and where each begins, with the end of the list at last."""
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names)]
    return [name for name, _ in runs], [0, *itertools.accumulate(length for _, length in runs)]


def _check_records(shard: Path, positions: NDArray[np.int32]) -> None:
    """A shard and its rows must be two views of the same records, or flags would pick the wrong ones."""
    records = verify(shard).records
    if records != len(positions) or not np.array_equal(positions, np.arange(len(positions))):
        raise IntegrityError(
            f"{shard}: {records} records by its receipt, but the example tables list {len(positions)} for it;"
            " rebuild the split and what follows"
        )
