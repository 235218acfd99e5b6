"""Train, val and test: every star belongs to one of them, as a pure function of the star and a salt.

Records are copied byte for byte and never parsed: a split cannot change an example.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from trainyard.transit import naming
from trainyard.transit.members import read_assignment
from trainyard.transit.schema import EXAMPLES, SPLIT_EXAMPLES, SPLITS
from trainyard.transit.settings import SplitSettings
from trainyard.transit.software import versions
from trainyard.yard.blocks import Source, Unit, data_folder, make_block
from trainyard.yard.errors import IntegrityError, LeakageError
from trainyard.yard.files import atomic_open
from trainyard.yard.identity import unit_interval
from trainyard.yard.labels import parse_label
from trainyard.yard.receipts import verify, write_receipt
from trainyard.yard.tfrecord import RecordWriter, read_records

_log = logging.getLogger(__name__)

SHARDS_TBL_COLUMNS = (
    "example_i_tfrec",
    "shard",
    "uid",
    "label",
    "target_id",
    "tce_plnt_num",
    "numberOfPlanets",
    "tce_num_transits",
    "tce_num_transits_obs",
    "mag_cat",
    "mission",
    "sector",
    "tce_maxmes",
    "tce_maxmesd",
    "tce_depth",
    "tce_period",
    "tce_time0bk",
    "tce_duration",
    "disposition",
    "disposition_source",
)
"""Columns of shards_tbl_*.csv, in the published order."""


def assign(targets: Sequence[tuple[int, str | int, str]], settings: SplitSettings) -> dict[int, str]:
    """Split of every star.

    Plain: a keyed hash of salt and group, in [0, 1), is compared with the shares, so no star ever moves because of
    another one. Stratified: the groups of each stratum are sorted by that hash and cut at the shares, counted in
    stars; a stratum then has its shares to within one group, and new stars can move old ones.

    Args:
        targets: (target id, group, stratum) of every star. Stars of one group (a blend) stay together; a group whose
            stars have several strata counts in the alphabetically first.
        settings: Shares, salt, and whether to stratify.

    Returns:
        `train`, `val` or `test` by target id.

    Raises:
        LeakageError: One star is listed with two groups, which might stand in two splits.
    """
    groups = _groups(targets)
    place = {group: unit_interval("split", settings.salt, group) for group in sorted(set(groups.values()))}
    if settings.stratify:
        place = _even_places(targets, place)
    return {target: _split_at(place[group], settings) for target, group in sorted(groups.items())}


def _groups(targets: Iterable[tuple[int, str | int, str]]) -> dict[int, str]:
    # As text, because the hash takes the number 7 and the text "7" for the same group.
    groups: dict[int, str] = {}
    for target, group, _ in targets:
        if groups.setdefault(target, str(group)) != str(group):
            raise LeakageError(
                f"target {target} is listed in group {groups[target]} and in group {group}, so it could stand in two"
                " splits; list every star once"
            )
    return groups


def _even_places(targets: Sequence[tuple[int, str | int, str]], place: Mapping[str, float]) -> dict[str, float]:
    """Places in [0, 1) spread evenly over each stratum, in the order of the given ones."""
    members: dict[str, set[int]] = defaultdict(set)
    strata: dict[str, str] = {}
    for target, group, stratum in targets:
        members[str(group)].add(target)
        strata[str(group)] = min(stratum, strata.get(str(group), stratum))
    even = {}
    for stratum in sorted(set(strata.values())):
        ordered = sorted((group for group in strata if strata[group] == stratum), key=lambda g: (place[g], g))
        total = sum(len(members[group]) for group in ordered)
        before = 0
        for group in ordered:
            # The middle of a group's stretch decides, which rounds the cuts to the nearest star.
            even[group] = (before + len(members[group]) / 2) / total
            before += len(members[group])
    return even


def _split_at(place: float, settings: SplitSettings) -> str:
    if place < settings.train:
        return "train"
    return "val" if place < settings.train + settings.val else "test"


def split_shards(manifest: Path, raw: Path, assignments: Mapping[str, str], members: Path, *, code: str) -> str:
    """Split the raw shards of a block, but for those that are split already, made from the same.

    Args:
        manifest: The block's manifest, in `blocks` in the folder of the splits; written last.
        raw: Manifest of the raw shards.
        assignments: Digest of the splits of every shard's stars, by the label of the shard.
        members: Folder of the planned members.
        code: Digest of the code that splits.

    Returns:
        How many shards there are, and how many were kept.

    Raises:
        IntegrityError: A raw shard is not in its manifest, or is not what it says.
    """
    folder, source = data_folder(manifest), Source(raw)

    def unit(label: str, digest: str) -> Unit:
        shard, num_shards = parse_label(label)
        records = source.folder / naming.raw_shard(shard, num_shards)
        examples = source.folder / naming.examples_tbl(shard, num_shards)

        def make() -> bool:
            source.confirm(label, [records, examples])
            stars = read_assignment(members, digest)
            counts = split_shard(records, examples, stars, folder, shard=shard, num_shards=num_shards)
            _log.info("shard %s: %s", label, ", ".join(f"{n} {split}" for split, n in counts.items()))
            return True

        made_from = [code, versions(), digest, source.digests(label, [records, examples])]
        return Unit(label, naming.split_files(folder, shard, num_shards), made_from, make)

    return make_block(manifest, [unit(label, digest) for label, digest in assignments.items()])


def split_shard(
    raw: Path, examples: Path, assignment: Mapping[int, str], out_dir: Path, *, shard: int, num_shards: int
) -> dict[str, int]:
    """Distribute the records of a raw shard over its train, val and test shards.

    Writes `{split}/{split}_shard_*.tfrecord` with receipts, `aux_tbls/shards_tbl_*.csv` and
    `aux_tbls/examples_*.parquet` below `out_dir`. A split that gets nothing has an empty file.

    Args:
        raw: Raw shard, with its receipt beside it.
        examples: Its example table (contract EXAMPLES).
        assignment: Split by target id.
        out_dir: Folder of the three splits.
        shard: 1-based number of the shard.
        num_shards: Number of shards.

    Returns:
        Number of records by split.

    Raises:
        IntegrityError: The raw shard does not agree with its receipt or its example table, or an example's star is
            not in the assignment. Nothing is written then.
    """
    receipt = verify(raw)
    table = _placed(EXAMPLES.read(examples), assignment, where=examples, shard=shard, num_shards=num_shards)
    if receipt.records != table.num_rows:
        raise IntegrityError(
            f"{raw}: holds {receipt.records} records, but {examples.name} lists {table.num_rows} examples; build the"
            " shard again"
        )
    splits: list[str] = table.column("split").to_pylist()
    files = dict(zip(SPLITS, naming.split_records(out_dir, shard, num_shards), strict=True))
    with ExitStack() as stack:
        writers = {split: RecordWriter(stack.enter_context(atomic_open(path))) for split, path in files.items()}
        for record, split in zip(_counted(raw, table.num_rows), splits, strict=True):
            writers[split].write(record)
    counts = {split: writer.records for split, writer in writers.items()}
    for split, path in files.items():
        write_receipt(path, records=counts[split], schema=receipt.schema)
    tables = out_dir / naming.TABLES
    with atomic_open(tables / naming.shards_tbl(shard, num_shards)) as handle:
        pa_csv.write_csv(table.select(SHARDS_TBL_COLUMNS), handle, pa_csv.WriteOptions(quoting_style="needed"))
    SPLIT_EXAMPLES.write(tables / naming.examples_tbl(shard, num_shards), table)
    return counts


def _placed(table: pa.Table, assignment: Mapping[int, str], *, where: Path, shard: int, num_shards: int) -> pa.Table:
    """The example table in record order, with split, file and record number of every example."""
    table = table.sort_by("example_i")
    if table.column("example_i").to_pylist() != list(range(table.num_rows)):
        raise IntegrityError(f"{where}: example_i does not count the records from 0; build the shard again")
    targets: list[int] = table.column("target_id").to_pylist()
    for uid, target in zip(table.column("uid").to_pylist(), targets, strict=True):
        if assignment.get(target) not in SPLITS:
            raise IntegrityError(
                f"{where}: example {uid} belongs to target {target}, which is in no split; plan and raw shard do not"
                " belong together, run the same command again"
            )
    splits = [assignment[target] for target in targets]
    written = dict.fromkeys(SPLITS, 0)
    numbers = []
    for split in splits:
        numbers.append(written[split])
        written[split] += 1
    names = [naming.split_shard(split, shard, num_shards) for split in splits]
    added = {"split": splits, "shard": names, "example_i_tfrec": numbers}
    for name, values in added.items():
        table = table.append_column(
            SPLIT_EXAMPLES.schema.field(name), pa.array(values, SPLIT_EXAMPLES.schema.field(name).type)
        )
    return table.cast(SPLIT_EXAMPLES.schema)


def check_disjoint(tables: Iterable[pa.Table]) -> dict[str, int]:
    """Number of stars in each split, after making sure that none stands in two.

    Args:
        tables: Example tables with the columns target_id and split.

    Raises:
        LeakageError: A star has examples in two splits.
    """
    pairs = pa.concat_tables([table.select(["target_id", "split"]) for table in tables])
    unique = pairs.group_by(["target_id", "split"]).aggregate([])
    counts = unique.group_by("target_id").aggregate([("split", "count")])
    twice = counts.filter(pc.greater(counts.column("split_count"), 1)).column("target_id").to_pylist()
    if twice:
        raise LeakageError(
            f"{len(twice)} stars have examples in more than one split, among them {sorted(twice)[:5]}; split the raw"
            " shards again"
        )
    splits = unique.column("split").to_pylist()
    return {split: splits.count(split) for split in SPLITS}


def _counted(raw: Path, expected: int) -> Iterator[bytes]:
    number = 0
    for number, record in enumerate(read_records(raw), start=1):
        if number > expected:
            break
        yield record
    if number != expected:
        raise IntegrityError(
            f"{raw}: does not hold the {expected} records that its receipt says; build the shard again"
        )
