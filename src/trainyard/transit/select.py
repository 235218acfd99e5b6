"""Selections: named choices of examples, as tables of ids with reasons, not as copies of data.

The steps, in order; an example that one of them leaves out is gone for the next, so it has exactly one reason:

1. `where`: what does not satisfy the expression;
2. `drop`: what satisfies it;
3. spare negatives, unless there is a `quota`;
4. caps, from fine to coarse: per event (of which spare negatives have none), per star, per disposition. Spare negatives
   give way to the star's own windows;
5. `quota`, last, so that it balances what is really kept: in each split and octave of duration, label 0 is filled up to
   `quota` times label 1, with own windows first and spare ones after them.

Within each step, a keyed hash of seed, selection and example decides; the order of the rows and whatever other examples
there are do not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.transit import naming
from trainyard.transit.expressions import compile_expression
from trainyard.transit.schema import SPLITS
from trainyard.transit.settings import SelectionSettings
from trainyard.transit.tces import DISPOSITIONS, QUIET
from trainyard.yard.blocks import Source, Unit, data_folder, make_block
from trainyard.yard.errors import ConfigError, IntegrityError
from trainyard.yard.files import atomic_open, sha256_file
from trainyard.yard.identity import keyed_hash
from trainyard.yard.labels import parse_label
from trainyard.yard.receipts import verify, write_receipt
from trainyard.yard.tables import Column, Role, TableContract
from trainyard.yard.tfrecord import RecordWriter, read_records

_log = logging.getLogger(__name__)


class Left(StrEnum):
    """Why an example is left out of a selection."""

    WHERE = "where"
    DROP = "drop"
    SPARE = "spare_not_needed"
    MAX_PER_EVENT = "max_per_event"
    MAX_PER_TARGET = "max_per_target"
    MAX_PER_DISPOSITION = "max_per_disposition"
    QUOTA = "quota"


SELECTION = TableContract(
    "transit_selection",
    (
        Column("uid", pa.string(), Role.KEY, description="example", nullable=False),
        Column("split", pa.string(), Role.METADATA, description="train, val or test", nullable=False),
        Column("shard", pa.string(), Role.METADATA, description="file name of the split shard", nullable=False),
        Column("example_i_tfrec", pa.int32(), Role.METADATA, description="0-based record number in it", nullable=False),
        Column("target_id", pa.int64(), Role.KEY, description="star", nullable=False),
        Column("label", pa.int8(), Role.LABEL, description="1: transit or eclipse on the target", nullable=False),
        Column(
            "kept", pa.bool_(), Role.METADATA, description="whether the selection holds the example", nullable=False
        ),
        Column(
            "reason", pa.string(), Role.METADATA, description="why it is left out; empty for kept ones", nullable=False
        ),
    ),
)
COUNTS = TableContract(
    "transit_selection_counts",
    (
        Column("split", pa.string(), Role.KEY),
        Column("label", pa.int8(), Role.KEY),
        Column("disposition", pa.string(), Role.KEY),
        Column("reason", pa.string(), Role.KEY, description="kept, or why left out"),
        Column("examples", pa.int64(), Role.METADATA, description="number of examples"),
    ),
)
BALANCE = TableContract(
    "transit_selection_balance",
    (
        Column("split", pa.string(), Role.KEY),
        Column("duration_from_hours", pa.float64(), Role.KEY, "h", "durations in [from, 2 * from)"),
        Column("positives", pa.int64(), Role.METADATA, description="label 1, kept"),
        Column("wanted", pa.int64(), Role.METADATA, description="negatives that the quota asks for"),
        Column("own", pa.int64(), Role.METADATA, description="label 0, kept, cut for an event of the star"),
        Column("spare", pa.int64(), Role.METADATA, description="label 0, kept, from stars with quiet time to spare"),
        Column("short", pa.int64(), Role.METADATA, description="negatives that are missing"),
    ),
)


@dataclass(frozen=True)
class Selection:
    """What is in a named choice, and why the rest is not."""

    table: pa.Table
    """Contract SELECTION, every example once, sorted by uid."""
    counts: pa.Table
    """Contract COUNTS."""
    balance: pa.Table
    """Contract BALANCE; no rows without a quota."""

    @property
    def kept(self) -> int:
        """Number of examples that the selection holds."""
        return int(pc.sum(self.table["kept"]).as_py() or 0)

    def write(self, folder: Path) -> None:
        """Write `selection.parquet`, and for people `counts.csv` and `balance.csv`."""
        COUNTS.write_csv(folder / "counts.csv", self.counts)
        BALANCE.write_csv(folder / "balance.csv", self.balance)
        SELECTION.write(folder / "selection.parquet", self.table)


def select(examples: pa.Table, name: str, settings: SelectionSettings, *, seed: int) -> Selection:
    """Choose examples.

    Args:
        examples: Example tables of all split shards (contract SPLIT_EXAMPLES), in any order.
        name: Name of the selection; another name draws other examples.
        settings: The choice.
        seed: Dataset seed.

    Raises:
        ConfigError: `where` or `drop` is no condition over the table, or a disposition is not known.
        IntegrityError: Two examples have one uid.
    """
    table = _sorted(examples)
    draw = _Draw(table, name, settings, seed)
    source = f"transit.select.{name}"
    if settings.where:
        where = compile_expression(settings.where, table.schema, source=f"{source}.where")
        draw.leave_out(~where.mask(table), Left.WHERE)
    if settings.drop:
        draw.leave_out(compile_expression(settings.drop, table.schema, source=f"{source}.drop").mask(table), Left.DROP)
    if settings.quota is None:
        draw.leave_out(draw.spare, Left.SPARE)
    draw.cap_all()
    balance = draw.fill_quota(settings.quota) if settings.quota is not None else []
    kept = draw.reason == ""
    columns = {
        **{column: table.column(column) for column in SELECTION.names[:-2]},
        "kept": pa.array(kept),
        "reason": pa.array(draw.reason, pa.string()),
    }
    return Selection(
        table=pa.table(columns).cast(SELECTION.schema),
        counts=_counts(table, draw.reason),
        balance=BALANCE.table(balance),
    )


def materialize_shards(manifest: Path, norm: Path, selection: Path, *, code: str) -> str:
    """Write the selected records of all splits of the shards of a block, but for what is there, made from the same.

    Args:
        manifest: The block's manifest, in `blocks` in the folder of the selection; written last.
        norm: Manifest of the normalized shards.
        selection: The selection's `selection.parquet`.
        code: Digest of the code that selects.

    Returns:
        How many shards there are, and how many were kept.

    Raises:
        IntegrityError: A normalized shard is not in its manifest, or is not what it says.
    """
    source = Source(norm)
    shaped_by = [code, sha256_file(selection)]

    def unit(label: str) -> Unit:
        inputs, outputs = (
            naming.norm_records(base, *parse_label(label)) for base in (source.folder, data_folder(manifest))
        )

        def make() -> bool:
            source.confirm(label, inputs)
            for records, out in zip(inputs, outputs, strict=True):
                _log.info("%s: %d examples", out, materialize_shard(records, selection, out))
            return True

        return Unit(label, outputs, [*shaped_by, source.digests(label, inputs)], make)

    return make_block(manifest, [unit(label) for label in source.labels])


def materialize_shard(norm_shard: Path, selection: Path, out: Path) -> int:
    """Write a shard that holds only the selected records of a normalized shard, unchanged and in their order.

    Args:
        norm_shard: Normalized shard, with its receipt beside it.
        selection: The selection's `selection.parquet`.
        out: The smaller shard; its receipt is written beside it.

    Returns:
        Number of records.

    Raises:
        IntegrityError: Shard, receipt and selection disagree.
    """
    receipt = verify(norm_shard)
    shard = str(replace(naming.parse_shard(norm_shard.name), normalized=False))
    rows = SELECTION.read(selection, columns=["example_i_tfrec", "kept"], filters=[("shard", "=", shard)])
    if receipt.records != rows.num_rows:
        raise IntegrityError(
            f"{norm_shard}: holds {receipt.records} records, but {selection} knows {rows.num_rows} of {shard}; make the"
            " selection again"
        )
    chosen = set(rows.filter(rows.column("kept")).column("example_i_tfrec").to_pylist())
    with atomic_open(out) as handle:
        writer = RecordWriter(handle)
        for number, record in enumerate(read_records(norm_shard)):
            if number in chosen:
                writer.write(record)
    if writer.records != len(chosen):
        raise IntegrityError(f"{norm_shard}: has fewer records than its receipt says; normalize the shard again")
    write_receipt(out, records=writer.records, schema=receipt.schema)
    return writer.records


class _Draw:
    """The examples of a selection in the making: who is still in, and in which order they stand.

    All arrays have one entry per example, in the order of the table.
    """

    def __init__(self, table: pa.Table, name: str, settings: SelectionSettings, seed: int) -> None:
        self._table = table
        self._settings = settings
        self._name = name
        self._seed = seed
        self.reason: NDArray[np.object_] = np.full(table.num_rows, "", dtype=object)
        self.label: NDArray[np.int8] = table.column("label").to_numpy()
        self.spare: NDArray[np.bool_] = _equals(table, "origin", "spare")

    def leave_out(self, which: NDArray[np.bool_], reason: Left) -> None:
        """Take examples out that are still in."""
        self.reason[which & (self.reason == "")] = reason.value

    def cap_all(self) -> None:
        """Apply the caps that are set."""
        settings = self._settings
        star, event = self._codes("target_id"), self._codes("event_id")
        if settings.max_per_event is not None:
            # A spare window belongs to no event: its event_id is the same for all spare ones of a star's sector.
            self._cap([star, event, self.label], settings.max_per_event, ~self.spare, Left.MAX_PER_EVENT)
        if settings.max_per_target is not None:
            self._cap([star, self.label], settings.max_per_target, True, Left.MAX_PER_TARGET)
        keys: list[NDArray[Any]] = [self._codes("split"), self.label]
        for disposition, limit in sorted(settings.max_per_disposition.items()):
            if disposition not in (*DISPOSITIONS, QUIET):
                raise ConfigError(
                    f"transit.select.{self._name}.max_per_disposition: unknown disposition {disposition!r}; known:"
                    f" {', '.join((*DISPOSITIONS, QUIET))}"
                )
            self._cap(keys, limit, _equals(self._table, "disposition", disposition), Left.MAX_PER_DISPOSITION)

    def fill_quota(self, quota: float) -> list[dict[str, Any]]:
        """Cut negatives down to `quota` times the positives of their split and octave; gives the rows of BALANCE."""
        split, octave = self._codes("split"), _octave(self._table.column("duration_hours").to_numpy())
        cells, cell = np.unique(np.stack([split, octave]), axis=1, return_inverse=True)
        inside = self.reason == ""
        positives = np.bincount(cell[inside & (self.label == 1)], minlength=cells.shape[1])
        wanted = np.floor(quota * positives + 0.5).astype(np.int64)
        negatives = np.flatnonzero(inside & (self.label == 0))
        over = negatives[self._rank([cell], negatives) >= wanted[cell[negatives]]]
        self.reason[over] = np.where(self.spare[over], Left.SPARE.value, Left.QUOTA.value)
        left = negatives[self.reason[negatives] == ""]
        own, spare = (
            np.bincount(cell[left[self.spare[left] == kind]], minlength=cells.shape[1]) for kind in (False, True)
        )
        names = self._table.column("split").unique().to_pylist()
        return [
            {
                "split": names[cells[0, i]],
                "duration_from_hours": float(2.0 ** cells[1, i]),
                "positives": int(positives[i]),
                "wanted": int(wanted[i]),
                "own": int(own[i]),
                "spare": int(spare[i]),
                "short": int(wanted[i] - own[i] - spare[i]),
            }
            for i in sorted(range(cells.shape[1]), key=lambda i: (SPLITS.index(names[cells[0, i]]), cells[1, i]))
        ]

    def _cap(self, keys: Sequence[NDArray[Any]], limit: int, which: NDArray[np.bool_] | bool, reason: Left) -> None:
        inside = np.flatnonzero((self.reason == "") & which)
        self.reason[inside[self._rank(keys, inside) >= limit]] = reason.value

    def _rank(self, keys: Sequence[NDArray[Any]], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Place (from 0) of some rows among those of the same keys: own windows first, then by hash."""
        keys = [key[rows] for key in keys]
        order = np.lexsort((self._hash[rows], self.spare[rows], *keys))
        first = np.zeros(rows.size, dtype=bool)
        first[:1] = True
        for key in keys:
            first[1:] |= key[order][1:] != key[order][:-1]
        places = np.arange(rows.size)
        rank = np.empty(rows.size, dtype=np.intp)
        rank[order] = places - np.maximum.accumulate(np.where(first, places, 0))
        return rank

    @cached_property
    def _hash(self) -> NDArray[np.uint64]:
        uids = self._table.column("uid").to_pylist()
        salt = keyed_hash(self._seed, "select", self._name)
        return np.array([keyed_hash(salt, uid) for uid in uids], dtype=np.uint64)

    def _codes(self, column: str) -> NDArray[np.int64]:
        """Small integers that stand for the values of a column."""
        codes = pc.index_in(self._table.column(column), value_set=self._table.column(column).unique())
        return np.asarray(codes, dtype=np.int64)


def _sorted(examples: pa.Table) -> pa.Table:
    table = examples.sort_by("uid").combine_chunks()
    uids = table.column("uid")
    same = pc.equal(uids.slice(1), uids.slice(0, max(table.num_rows - 1, 0)))
    if pc.any(same).as_py():
        twice = uids[pc.index(same, True).as_py()].as_py()
        raise IntegrityError(f"example {twice} stands twice in the example tables; build and split the shards again")
    return table


def _counts(table: pa.Table, reason: NDArray[np.object_]) -> pa.Table:
    keys = ["split", "label", "disposition", "reason"]
    named = pa.array(np.where(reason == "", "kept", reason), pa.string())
    groups = table.select(keys[:-1]).append_column("reason", named).group_by(keys).aggregate([([], "count_all")])
    ordered = groups.sort_by([(key, "ascending") for key in keys])
    return ordered.select([*keys, "count_all"]).rename_columns(list(COUNTS.names)).cast(COUNTS.schema)


def _octave(hours: NDArray[np.float64]) -> NDArray[np.int64]:
    """Power of two at or below each duration, as an exponent."""
    # frexp is exact where log2 may round across the edge of an octave.
    return np.frexp(hours)[1].astype(np.int64) - 1


def _equals(table: pa.Table, column: str, value: str) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.equal(table.column(column), value), False), dtype=np.bool_)
