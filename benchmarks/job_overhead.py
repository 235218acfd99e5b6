"""What a job costs beyond its work, on one machine and on SLURM, and how large it must be for that to be 5 %.

Every line is built from simulated inputs three times, each shard by jobs of its own: as it is, with more shards, and
with more units (light curves, residues, nucleotides). More shards of the same units cost overhead alone: Snakemake, and
the start of the commands. More units in as many shards cost work alone. Numbers are CPU seconds of all processes, which
another user of the machine disturbs less than seconds on the clock. What SLURM adds to a job, two Snakemakes that read
the Snakefile, is the time that the job holds its node without its command, from jobs on the test cluster where SLURM is
installed.

    python benchmarks/job_overhead.py [--lines transit voxel splice] [--json FILE]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainyard.demo.splice import eligible_genes
from trainyard.demo.splice_genes import is_eligible, make_gene
from trainyard.splice.settings import SpliceDemoSettings
from trainyard.transit.settings import LIGHT_CURVES_PER_JOB
from trainyard.yard.resources import NUCLEOTIDES_PER_GENE

REPOSITORY = Path(__file__).resolve().parents[1]
CLUSTER = REPOSITORY / "tests" / "slurm" / "cluster.py"
SHARE = 0.05


def eligible(genes: int) -> int:
    """Genes of the demo that enter the dataset, of so many that are simulated."""
    return eligible_genes(SpliceDemoSettings(genes=genes))


def nucleotides(genes: int) -> int:
    """Their nucleotides."""
    seed = SpliceDemoSettings().seed
    return sum(make_gene(seed, number).length for number in range(genes) if is_eligible(number))


@dataclass(frozen=True)
class Line:
    """How a line is simulated.

    Attributes:
        unit: What its work grows with.
        default: Units that a job has by default, or that the settings advise.
        jobs: Jobs of SLURM per shard, as the profile groups them.
        units: Units that `config` simulates for a number of stars, domains or genes.
        few, many: Numbers of shards.
        small, large: Numbers of stars, domains or genes.
    """

    unit: str
    default: int
    jobs: int
    units: Any
    few: int
    many: int
    small: int
    large: int


LINES = {
    # A light curve is a sector of 26 days, as TESS observes it, with a pixel file of the usual size; a star has one.
    # The jobs: build, split and sample, normalize.
    "transit": Line("light curves", LIGHT_CURVES_PER_JOB, 3, lambda stars: stars, few=2, many=8, small=12, large=60),
    "voxel": Line("residues", 500 * 140, 1, lambda domains: domains * 140, few=2, many=8, small=60, large=240),
    # A model that costs next to nothing; five members of the widest network take 50 s on two cores for a human gene.
    # The jobs: score, positions, features.
    "splice": Line("nucleotides", 250 * NUCLEOTIDES_PER_GENE, 3, nucleotides, few=2, many=8, small=60, large=240),
}
CONFIGS: dict[str, Any] = {
    "transit": lambda stars, shards: {
        "demo": {"stars": stars, "sectors": 1, "days": 26.0, "stamp": 11},
        "plan": {"num_shards": shards},
        "shards_per_job": 1,
        "train": {"enabled": False},
    },
    "voxel": lambda domains, parts: {
        "demo": {"domains": domains, "residues": 140},
        "plan": {"num_parts": parts},
        "train": {"enabled": False},
    },
    "splice": lambda genes, batches: {
        "demo": {"genes": genes},
        "selection": {"batch_size": -(-eligible(genes) // batches)},
        "train": {"enabled": False},
    },
}


@dataclass(frozen=True)
class Result:
    """Costs of a line in CPU seconds; but `slurm_s` is how long a job on SLURM holds its node without its command."""

    unit: str
    work_per_unit: float
    overhead_per_shard: float
    default: int
    share_at_default: float
    least_units: int
    slurm_s: float | None
    slurm_share_at_default: float | None
    slurm_least_units: int | None


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args(argv)
    extra = slurm_seconds()
    results = {name: measure(name, LINES[name], extra) for name in args.lines}
    for name, one in results.items():
        print(
            f"{name}: {one.work_per_unit:.3g} s of work per unit ({one.unit}), {one.overhead_per_shard:.2f} s of"
            f" overhead: {one.share_at_default:.1%} at {one.default:,} {one.unit} per job, {SHARE:.0%} at"
            f" {one.least_units:,}"
        )
        if one.slurm_s is not None:
            print(
                f"{name} on SLURM: {one.slurm_s:.1f} s more per job: {one.slurm_share_at_default:.1%} at"
                f" {one.default:,} {one.unit} per job, {SHARE:.0%} at {one.slurm_least_units:,}"
            )
    if args.json:
        args.json.write_text(json.dumps({name: asdict(one) for name, one in results.items()}, indent=2) + "\n")


def measure(name: str, line: Line, slurm_s: float | None) -> Result:
    """Build a line three times."""
    as_is = build(name, line.small, line.few)
    overhead = (build(name, line.small, line.many) - as_is) / (line.many - line.few)
    work = (build(name, line.large, line.few) - as_is) / (line.units(line.large) - line.units(line.small))

    def share(seconds: float) -> float:
        return seconds / (seconds + work * line.default)

    def least(seconds: float) -> int:
        return round(seconds * (1 - SHARE) / SHARE / work)

    on_slurm = None if slurm_s is None else overhead + slurm_s * line.jobs
    return Result(
        line.unit, work, overhead, line.default, share(overhead), least(overhead), slurm_s,
        None if on_slurm is None else share(on_slurm), None if on_slurm is None else least(on_slurm),
    )  # fmt: skip


def build(name: str, size: int, shards: int) -> float:
    """CPU seconds of building a dataset, without the simulation of its inputs."""
    with tempfile.TemporaryDirectory() as folder:
        config = configure(Path(folder), name, size, shards)
        run(config, "--cores", "1", f"demo_{name}")
        return run(config, "--cores", "1", f"{name}_data")


def slurm_seconds() -> float | None:
    """Seconds that a job on SLURM holds its node without its command; None where SLURM does not start."""
    with tempfile.TemporaryDirectory() as folder:
        config = configure(Path(folder), "voxel", 12, 6)
        run(config, "--cores", "1", "voxel_plan")
        command = [sys.executable, str(CLUSTER), "bash", "-c"]
        send = [*snakemake(config, REPOSITORY / "profiles" / "slurm"), "--jobs", "1", "--latency-wait", "5"]
        send += ["--slurm-init-seconds-before-status-checks", "5", "--until", "voxel_encode_part"]
        script = f"{' '.join(send)} > sent.txt 2>&1; scontrol show job --oneliner"
        done = subprocess.run([*command, script], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"no SLURM: {done.stderr.strip()}", file=sys.stderr)
            return None
        held = re.findall(r"RunTime=(\d+):(\d+):(\d+).*?Comment=rule_voxel_encode_part", done.stdout)
        tables = Path(folder).glob("benchmarks/results/bench/voxel_encode_part/*.tsv")
        worked = [float(row["s"]) for table in tables for row in csv.DictReader(table.open(), delimiter="\t")]
        seconds = [int(hours) * 3600 + int(minutes) * 60 + int(rest) for hours, minutes, rest in held]
        if not seconds or len(seconds) != len(worked):
            sys.exit(
                f"the jobs on SLURM failed:\n{Path(folder, 'sent.txt').read_text()[-3000:]}\n{done.stdout[-2000:]}"
            )
        # SLURM counts whole seconds, and cuts off the rest.
        return sum(seconds) / len(seconds) + 0.5 - sum(worked) / len(worked)


def configure(folder: Path, name: str, size: int, shards: int) -> Path:
    config = folder / "config.yaml"
    config.write_text(json.dumps({"run": "bench", "lines": [name], name: CONFIGS[name](size, shards)}))
    return config


def snakemake(config: Path, profile: Path) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    return [*command, "--workflow-profile", str(profile), "--configfile", str(config)]


def run(config: Path, *arguments: str) -> float:
    """Run Snakemake; returns the CPU seconds of all its processes."""
    printed = config.parent / "printed.txt"
    command = [*snakemake(config, REPOSITORY / "profiles" / "default"), *arguments]
    with printed.open("wb") as file:
        process = subprocess.Popen(command, cwd=config.parent, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the build failed:\n{printed.read_text()[-3000:]}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
