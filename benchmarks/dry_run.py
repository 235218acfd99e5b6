"""How long `snakemake -n` takes on a large archive, how much memory, and what of it is whose.

Simulates an archive as the transit line sees it when it plans: a TCE table, files that have a size but no content, and
the headers as an earlier run has kept them. Then runs `snakemake -n` as a user would, with nothing built: once with an
empty cache of the plan, and once more as every later run does. Says what of it is our plan, our Snakefile, Snakemake's
graph (four jobs for some 135 shards) and its printing.

    python benchmarks/dry_run.py [--shards 8600] [--stars-per-shard 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FILE_BYTES = 2_000_000
RUNS = {
    "first": ["-n"],
    "again": ["-n"],
    "again, only counts": ["-n", "--quiet"],
    "reading the Snakefile": ["--list-rules"],
}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8600)
    parser.add_argument("--stars-per-shard", type=int, default=20)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        config = simulate(Path(folder), stars=args.shards * args.stars_per_shard, shards=args.shards)
        result = {name: dry_run(config, flags) for name, flags in RUNS.items()}
    for name, facts in result.items():
        print(
            f"{name:24} {facts['seconds']:6.1f} s, {facts['cpu_seconds']:6.1f} CPU-s, {facts['peak_mib']:6.0f} MiB,"
            f" {facts['jobs']:6,} jobs, {facts['printed_mb']:5.1f} MB printed"
        )
    cpu = {name: facts["cpu_seconds"] for name, facts in result.items()}
    reading, quiet = cpu["reading the Snakefile"], cpu["again, only counts"]
    parts = {
        "planning the catalogue, once": cpu["first"] - cpu["again"],
        "reading the Snakefile": reading,
        "Snakemake's graph of jobs": quiet - reading,
        "printing every job": cpu["again"] - quiet,
    }
    for name, seconds in parts.items():
        print(f"{name:30} {seconds:6.1f} CPU-s, {seconds / cpu['first']:4.0%} of the first run")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def simulate(folder: Path, *, stars: int, shards: int) -> Path:
    """Write table, files and headers; returns the configuration."""
    from trainyard.transit.archive import HEADERS, FileRecord, Header, save_headers

    draw = random.Random(1)
    rows = ["tce_uid,target_id,tce_period,tce_time0bk,tce_duration,disposition,sector_run,ra,dec"]
    headers: dict[str, Header] = {}
    for number in range(stars):
        star, sector = 10_000_000 + number, 1 + number % 26
        period, epoch, hours = draw.uniform(1, 13), draw.uniform(1300, 1310), draw.uniform(1, 6)
        ra, dec = draw.uniform(0, 360), draw.uniform(-90, 90)
        disposition = draw.choice(["KP", "CP", "PC", "EB", "NTP", "FP"])
        rows.append(f"{star}-1,{star},{period},{epoch},{hours},{disposition},{sector},{ra},{dec}")
        path = folder / "lc" / f"sector_{sector}" / f"tess-s{sector:04d}-{star:016d}-s_lc.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(FILE_BYTES)
        record = FileRecord(
            path=str(path), kind="lc", mission="TESS", target_id=star, sector=sector, bytes=FILE_BYTES,
            content=f"simulated:{number:032x}", ra=ra, dec=dec, mag=10.0, cadence_days=120 / 86400,
            time_reference="BTJD",
        )  # fmt: skip
        headers[str(path)] = Header(path.stat().st_ctime_ns, record)
    (folder / "tces.csv").write_text("\n".join(rows) + "\n")
    cache = folder / ".trainyard" / "cache"
    cache.mkdir(parents=True)
    save_headers(cache / HEADERS, headers)
    inputs = {"source": "archive", "tce_table": str(folder / "tces.csv"), "light_curves": [str(folder / "lc")]}
    config = folder / "config.yaml"
    config.write_text(json.dumps({"run": "bench", "transit": {"inputs": inputs, "plan": {"num_shards": shards}}}))
    return config


def dry_run(config: Path, flags: list[str]) -> dict[str, Any]:
    """Run Snakemake; returns seconds, memory, and how many jobs it has listed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--configfile", str(config), *flags]
    printed = config.parent / "printed.txt"
    started = time.perf_counter()
    with printed.open("wb") as file:
        process = subprocess.Popen(command, cwd=config.parent, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    text = printed.read_text()
    if status:
        sys.exit(f"the dry run failed:\n{text[-3000:]}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        "jobs": sum(map(int, re.findall(r"^total +(\d+)$", text, flags=re.MULTILINE)[:1])),
        "printed_mb": len(text) / 1e6,
    }


if __name__ == "__main__":
    main()
