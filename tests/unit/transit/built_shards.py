"""A raw shard that was built in a test, and what is in it."""

from __future__ import annotations

import csv

from trainyard.transit.build import build_shard
from trainyard.transit.schema import EXAMPLES
from trainyard.transit.settings import BuildSettings, PlanSettings
from trainyard.yard.tfrecord import read_records


class Shard:
    """A shard that was built, and what is in it."""

    def __init__(self, folder, *stars, plan=None, shard=1, num_shards=2, **settings):
        self.folder, self.label = folder, f"{shard:04d}-{num_shards:04d}"
        plan, settings = PlanSettings(**(plan or {})), BuildSettings(**settings)
        self.ledger = build_shard(stars, folder, shard=shard, num_shards=num_shards, plan=plan, settings=settings)

    def path(self, pattern):
        return self.folder / pattern.format(self.label)

    @property
    def raw(self):
        return self.path("raw_shard_{}.tfrecord")

    @property
    def rows(self):
        return EXAMPLES.read(self.path("examples_{}.parquet")).to_pylist()

    @property
    def records(self):
        return list(read_records(self.raw))

    @property
    def tces(self):
        with self.path("data_tbl_{}.csv").open(newline="") as file:
            return {row["tce_uid"]: row for row in csv.DictReader(file)}

    @property
    def bytes(self):
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}

    def rejected(self, kind):
        return {row["item"]: row["reason"] for row in self.ledger.rejections if row["kind"] == kind}

    def by_star(self):
        """Records of every star, in order."""
        found = {}
        for row, record in zip(self.rows, self.records, strict=True):
            found.setdefault(row["target_id"], []).append(record)
        return found
