"""What a job asks a scheduler for: memory and time, from the size of its input and the number of the attempt.

One table for all lines, so that nobody tunes a rule by hand. A job asks for a fixed part and a part per unit of its
input; the unit is what its work grows with. A further attempt asks for twice as much as the one before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

Unit = Literal["", "bytes", "residues", "nucleotides"]

SNAKEMAKE_MB = 500
"""Memory of the two Snakemakes that surround every job on SLURM, MB (1 MB = 10^6 bytes), counted as the job's own.

Measured: 170 and 160 MB for a Snakefile that imports nothing, 190 MB each for ours with a few shards.
"""
SNAKEMAKE_MB_PER_JOB = 0.06
"""What a shard, part or block with its jobs and files adds to both. Measured: 398 MiB for one with 8,600 of them."""
GROWTH = 2.0
"""Factor on memory and time from one attempt to the next."""
NUCLEOTIDES_PER_GENE = 66_000
"""Mean length of a human gene with its introns; stands in for genes that are not known when jobs are planned."""


class Limits(NamedTuple):
    """Most that a job can be given where it will run."""

    mem_mb: float = math.inf
    minutes: float = math.inf


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Need:
    """What the jobs of a rule need.

    Attributes:
        mem_mb: Memory of the command whatever its input, MB.
        minutes: Time whatever the input.
        unit: What the input is counted in.
        mem_mb_per_million: MB per million units.
        minutes_per_million: Minutes per million units.
        output_bytes: Bytes that a job writes whatever its input.
        output_per_unit: Bytes that it writes per unit, about.
        shard_by_shard: Whether a job holds one of its shards at a time, so that memory grows with the largest one.
    """

    mem_mb: float
    minutes: float
    unit: Unit = ""
    mem_mb_per_million: float = 0
    minutes_per_million: float = 0
    output_bytes: float = 50_000
    output_per_unit: float = 0
    shard_by_shard: bool = False

    def memory(self, size: float = 0, attempt: int = 1, limits: Limits = NO_LIMITS, *, shards: int = 0) -> int:
        """Memory to ask for, MB.

        Args:
            size: Size of the job's input, in its units.
            attempt: 1 for the first.
            limits: A further attempt does not ask for more than this, since such a job would wait for ever.
            shards: Number of shards, parts and blocks of all lines, whose files the Snakemakes around the job know.
        """
        own = self.mem_mb + self.mem_mb_per_million * size / 1e6
        first = own + SNAKEMAKE_MB + int(SNAKEMAKE_MB_PER_JOB * shards)
        return _growing(math.ceil(first / 100) * 100, attempt, limits.mem_mb)

    def runtime(self, size: float = 0, attempt: int = 1, limits: Limits = NO_LIMITS) -> int:
        """Time to ask for, minutes; arguments as for `memory`."""
        return _growing(self.minutes + self.minutes_per_million * size / 1e6, attempt, limits.minutes)

    def output(self, size: float = 0) -> float:
        """Bytes that the job will write, about."""
        return self.output_bytes + self.output_per_unit * size


def _growing(first: float, attempt: int, limit: float) -> int:
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: the first is 1")
    grown = first * math.pow(GROWTH, attempt - 1)
    return math.ceil(max(first, min(grown, limit)))


def line_of(rule: str) -> str:
    """The line that a rule belongs to: `transit` for `transit_build_shards` and for `demo_transit`."""
    first, _, rest = rule.partition("_")
    return rest.partition("_")[0] if first == "demo" else first


def gpus(device: str) -> int:
    """GPUs that a job asks for: one where the configuration says 'cuda', none for 'cpu' and 'auto'.

    'auto' is for machines whose GPU nobody has to ask for; on a cluster it must not make every job wait for one.
    """
    return int(device == "cuda")


# Bytes: of the light curves and pixel files that a job's stars bring. 1,000 minutes per 10^12 bytes are 17 MB/s, what a
# busy network file system gives. Memory of what streams does not grow; of what gathers tables of all shards it does.
_TRANSIT = {
    "demo_transit": Need(500, 30, output_bytes=60e6),
    "transit_plan": Need(1500, 30, "bytes", mem_mb_per_million=0.002, output_per_unit=1e-5),
    "transit_build_shards": Need(1000, 10, "bytes", minutes_per_million=0.003, output_per_unit=0.1),
    "transit_split_shards": Need(500, 10, "bytes", 0.05, 0.0005, output_per_unit=0.1, shard_by_shard=True),
    "transit_sample_shards": Need(500, 10, "bytes", 0.05, 0.0005, output_per_unit=0.001),
    "transit_fit_statistics": Need(2000, 20, "bytes", 0.002, 0.0001),
    "transit_normalize_shards": Need(500, 10, "bytes", 0.05, 0.001, output_per_unit=0.1, shard_by_shard=True),
    "transit_select": Need(1500, 10, "bytes", 0.004, 0.0001, output_per_unit=1e-4),
    "transit_materialize_shards": Need(500, 10, "bytes", 0.02, 0.0005, output_per_unit=0.03, shard_by_shard=True),
    "transit_check": Need(1500, 15, "bytes", 0.004, 0.0005, output_per_unit=1e-5),
    "transit_train": Need(3000, 120, "bytes", 0.02, 0.02, output_bytes=5e6),
    "transit_evaluate": Need(3000, 30, "bytes", 0.02, 0.002, output_per_unit=1e-4),
    "transit_plot_data": Need(1000, 15, "bytes", 0.002, 0.0002, output_bytes=200_000),
    "transit_plot_scores": Need(1000, 15, output_bytes=200_000),
    "demo_transit_recovery": Need(1000, 10),
}

# Residues: of the part, or of all. Files of voxels stream; tables of samples, five per residue, do not.
_VOXEL = {
    "demo_voxel": Need(800, 30, output_bytes=80e6),
    "voxel_voxelize": Need(1500, 30, "bytes", minutes_per_million=0.3, output_per_unit=30),
    "voxel_extract_rmsf": Need(1500, 30, "bytes", minutes_per_million=0.003, output_per_unit=0.001),
    "voxel_plan": Need(1500, 20, "residues", 8000, 20, output_per_unit=300),
    "voxel_encode_part": Need(1000, 10, "residues", 2000, 33, output_per_unit=150),
    "voxel_merge_store": Need(1500, 10, "residues", 8000, 20, output_per_unit=100),
    "voxel_export_part": Need(2500, 30, "residues", 1000, 300),
    "voxel_write_meta": Need(1500, 20, "residues", 2000, 10),
    "voxel_check": Need(1500, 20, "residues", 4000, 20),
    "voxel_train": Need(3000, 120, "residues", 1000, 7000, output_bytes=5e6),
    "voxel_evaluate": Need(3000, 60, "residues", 4000, 700, output_per_unit=300),
    "voxel_plot_data": Need(2000, 15, "residues", 2000, 10, output_bytes=300_000),
    "voxel_plot_scores": Need(1000, 15, "residues", 1000, 10, output_bytes=300_000),
}

# Nucleotides: of the genes of a batch, or of all batches, introns and all. The widest published network scores 1,300 of
# them per second on two cores.
_SPLICE = {
    "demo_splice": Need(500, 30, output_bytes=20e6),
    "splice_reference": Need(3500, 60),
    "splice_pool": Need(1500, 15),
    "splice_score_batch": Need(4000, 20, "nucleotides", 5, 13, output_per_unit=8),
    "splice_offset_gate": Need(3500, 30),
    "splice_export_scores": Need(3500, 60, "nucleotides", 1, 1, output_per_unit=6),
    "splice_pool_errors": Need(3500, 60, "nucleotides", 0.5, 0.5),
    "splice_rank": Need(3500, 30),
    "splice_positions_batch": Need(3000, 30, "nucleotides", 20, 3, output_per_unit=40),
    "splice_features_batch": Need(3000, 30, "nucleotides", 20, 3, output_per_unit=10),
    "splice_split": Need(1500, 15),
    "splice_assemble": Need(3500, 60, "nucleotides", 0.5, 0.2),
    "splice_check": Need(3500, 60, "nucleotides", 0.5, 0.5),
    "splice_prune": Need(6000, 60, "nucleotides", 2, 0.5),
    "splice_train": Need(8000, 120, "nucleotides", 5, 2, output_bytes=50e6),
    "splice_evaluate": Need(8000, 60, "nucleotides", 5, 1, output_bytes=5e6),
    "splice_probe": Need(8000, 120, "nucleotides", 5, 4, output_bytes=5e6),
    "splice_plot_data": Need(2000, 15, output_bytes=300_000),
    "splice_plot_scores": Need(2000, 15, output_bytes=300_000),
}

NEEDS = MappingProxyType({**_TRANSIT, **_VOXEL, **_SPLICE})
"""Needs by rule."""
