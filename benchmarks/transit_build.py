"""How much of a transit build is Snakemake's own work, and how memory depends on the number of stars in a shard.

Simulates an archive of 27-day sectors with 11x11 pixel files, builds the dataset with `snakemake --cores 1`, then runs
the very commands that Snakemake printed, one after the other without it, in another folder. Both in turns, in new
folders, once they have read the archive; the shorter time of each counts. Peak memory of building a shard is measured
for a few stars and for a full shard.

    python benchmarks/transit_build.py [--stars 500] [--shards 10] [--rounds 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FEW_STARS = 5


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stars", type=int, default=500)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), stars=args.stars, shards=args.shards, rounds=args.rounds)
    print(f"{result['jobs']} jobs, {result['windows']} windows, {result['stars_per_shard']:.0f} stars per shard")
    print(f"with Snakemake     {result['snakemake_s']:8.1f} s")
    print(f"commands alone     {result['commands_s']:8.1f} s")
    print(f"Snakemake's share  {result['overhead_share']:8.1%}")
    for stars, mib in result["peak_mib"].items():
        print(f"peak memory of a shard of {stars} stars  {mib:6.0f} MiB")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(folder: Path, *, stars: int, shards: int, rounds: int) -> dict[str, Any]:
    """Simulate, build in turns with and without Snakemake, and measure memory."""
    from trainyard.transit.archive import HEADERS

    simulate(folder / "archive", stars=stars)
    # What was just written must not be on its way to the disk while others are timed.
    os.sync()
    config = write_config(folder, shards=shards)
    printed, _ = run_snakemake(folder / "first", config)
    commands = re.findall(r"^Shell command: (python -m .*)$", printed, flags=re.MULTILINE)
    alone = folder / "alone"
    with_snakemake, without = [], []
    for number in range(rounds):
        with_snakemake.append(run_snakemake(folder / f"with-{number}", config)[1])
        shutil.rmtree(alone, ignore_errors=True)
        # Reading the archive's headers is work of the line, wherever it is done.
        without_headers = shutil.ignore_patterns(HEADERS)
        shutil.copytree(folder / "first" / ".trainyard", alone / ".trainyard", ignore=without_headers)
        os.sync()
        started = time.perf_counter()
        for command in commands:
            run_command(command, alone)
        without.append(time.perf_counter() - started)
    seconds, commands_seconds = min(with_snakemake), min(without)
    check = json.loads((alone / "results/bench/transit/check/check.json").read_text())
    # A shard that is whole would be kept.
    shutil.rmtree(alone / "results/bench/transit/raw")
    few = write_config(folder, shards=1, stars=FEW_STARS)
    run_snakemake(folder / "few", few, "--until", "transit_plan")
    return {
        "jobs": len(commands),
        "windows": check["examples"],
        "stars_per_shard": stars / shards,
        "snakemake_s": seconds,
        "commands_s": commands_seconds,
        "overhead_share": 1 - commands_seconds / seconds,
        "peak_mib": {
            FEW_STARS: peak_mib(build_command(few, folder / "few"), folder / "few"),
            round(stars / shards): max(peak_mib(c, alone) for c in commands if "transit_build_shards" in c),
        },
    }


def simulate(archive: Path, *, stars: int) -> None:
    """Write an archive of the demo's kind, with full-length sectors and full-size stamps.

    In a process of its own: the memory of this one would count as that of the commands that it starts.
    """
    settings = {"stars": stars, "sectors": 1, "days": 27, "stamp": 11}
    command = ["workflow_scripts.demo_transit", "--settings", json.dumps(settings), "--out", str(archive)]
    subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, check=True, capture_output=True)


def write_config(folder: Path, *, shards: int, stars: int | None = None) -> Path:
    """Configuration of a build of the archive, of its first `stars` stars if given."""
    import csv

    with (folder / "archive/tces.csv").open() as file:
        targets = sorted({int(row["target_id"]) for row in csv.DictReader(file)})
    inputs = {
        "source": "archive",
        "tce_table": str(folder / "archive/tces.csv"),
        "light_curves": [str(folder / "archive/lc")],
        "target_pixels": [str(folder / "archive/tp")],
    }
    plan = {"num_shards": shards, "targets": targets[:stars] if stars else []}
    config = {"run": "bench", "transit": {"inputs": inputs, "plan": plan, "train": {"enabled": False}}}
    path = folder / f"config-{shards}-{stars}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def run_snakemake(folder: Path, config: Path, *more: str) -> tuple[str, float]:
    """Build the dataset in `folder` on one core; returns what was printed and the seconds it took."""
    folder.mkdir()
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--directory",
        str(folder),
    ]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/default"), "--configfile", str(config), "--cores", "1"]
    started = time.perf_counter()
    done = subprocess.run([*command, "transit_data", *more], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"the build failed:\n{done.stderr[-3000:]}")
    return done.stdout + done.stderr, seconds


def build_command(config: Path, folder: Path) -> str:
    """The command that builds the only shard of a configuration."""
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "snakemake",
                "--snakefile",
                str(REPOSITORY / "Snakefile"),
                "--directory",
                str(folder),
            ),
            *("--workflow-profile", str(REPOSITORY / "profiles/default"), "--configfile", str(config)),
            *("--dry-run", "--until", "transit_build_shards", "--", "transit_data"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(
        r"^Shell command: (python -m workflow_scripts.transit_build_shards.*)$", done.stdout + done.stderr, re.M
    )[0]


def run_command(command: str, folder: Path) -> subprocess.Popen[bytes]:
    """Run a printed command as Snakemake's shell would."""
    for log in re.findall(r"> (\S+) 2>&1$", command):
        (folder / log).parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {command}")
    process.peak_kib = usage.ru_maxrss  # type: ignore[attr-defined]
    return process


def peak_mib(command: str, folder: Path) -> float:
    """Peak memory of a command, MiB."""
    return run_command(command, folder).peak_kib / 1024  # type: ignore[attr-defined,no-any-return]


if __name__ == "__main__":
    main()
