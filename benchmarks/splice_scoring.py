"""What one scored base costs: Trainyard's way of running a base model against the published one.

    python benchmarks/splice_scoring.py [--json PATH]

Scores the same simulated genes with the same weights in five ways, each in a process of its own, in rounds:

trainyard           the score stage as it is: padding-free network, blocks as in the default settings, one block per
                    thread
trainyard-5000      the same with blocks of 5,000
published           blocks of 5,000 with 5,000 bases on either side, one at a time, every layer at full length, torch
                    dividing each operation among the threads
published-1-thread  the same on one thread, where no thread waits for another
published-50000     the published way with blocks of 50,000

The weights are the 10,000-nt OpenSpliceAI ones where `../shared/data` (or --weights) has them, else random numbers: the
cost is the same. Rates are bases per second and model. Wall time, against the published way on as many threads, is what
a user waits for; a machine that others use too makes threads wait for one another, and the ratio greater. CPU time,
against the published way on one thread, is free of that: it is what the work itself costs. Ratios are medians over
rounds, each within one round. The published ways stop after a budget; scores are compared where both have them.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from own_process import in_own_process, peak_mib

WEIGHTS = Path(__file__).resolve().parents[2] / "shared/data/splice/models/openspliceai-mane-10000nt"
LENGTHS = (24_000, 66_000, 8_000, 120_000)
"""Of the genes, in nt; human protein-coding genes have a median of about 25,000 and a mean of 66,000."""
CONTEXT = 10_000
WIDTHS, DILATIONS = (11, 11, 21, 41), (1, 4, 10, 25)

Genes = list[NDArray[np.uint8]]
Scores = NDArray[np.float32]
ScoreGenes = Callable[[Genes], Iterator[Scores]]


def simulate(lengths: tuple[int, ...]) -> Genes:
    """Random genes as codes 0 to 3."""
    rng = np.random.default_rng(7)
    return [rng.integers(0, 4, length).astype(np.uint8) for length in lengths]


def find_weights(folder: Path, members: int, scratch: Path) -> list[Path]:
    """Weight files that are there, or random ones of the same shapes."""
    found = sorted(folder.glob("*.pt"))[:members]
    return found if len(found) == members else [write_random_weights(scratch / f"{i}.pt", i) for i in range(members)]


def write_random_weights(path: Path, seed: int) -> Path:
    """Write a weight file of the 10,000-nt network with numbers that keep activations of order one."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    state = {}

    def conv(name: str, out: int, into: int, width: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, width, generator=draw) / (into * width) ** 0.5
        state[f"{name}.bias"] = torch.randn(out, generator=draw) / 10

    conv("initial_conv", 32, 4, 1)
    conv("initial_skip.conv", 32, 32, 1)
    for group, width in enumerate(WIDTHS):
        for i in range(4):
            name = f"residual_units.{5 * group + i}"
            for part in (1, 2):
                conv(f"{name}.conv{part}", 32, 32, width)
                for key, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
                    state[f"{name}.batchnorm{part}.{key}"] = torch.full((32,), value)
        conv(f"residual_units.{5 * group + 4}.conv", 32, 32, 1)
    conv("final_conv", 3, 32, 1)
    torch.save(state, path)
    return path


def trainyard_way(weights: list[Path], threads: int, *, block: int | None = None) -> ScoreGenes:
    """The score stage without the store."""
    from trainyard.splice.backends import open_model
    from trainyard.splice.scoring import NO_BASE, Target, score_genes
    from trainyard.splice.settings import SpliceModelSettings

    options = {"backend": "openspliceai-pt", "weights": weights, "accept_licence": True, "threads": threads}
    settings = SpliceModelSettings.model_validate(options | {"device": "cpu"} | ({"block": block} if block else {}))
    model = open_model(settings)

    def score(genes: Genes) -> Iterator[Scores]:
        targets = (Target(str(i), np.pad(g, CONTEXT // 2, constant_values=NO_BASE)) for i, g in enumerate(genes))
        for _, scores in score_genes(model, targets, block=settings.block, batch_positions=settings.batch_positions):
            yield scores

    return score


def published_way(weights: list[Path], threads: int, *, block: int = 5000) -> ScoreGenes:
    """The published scheme in plain PyTorch: pad to a multiple of the block, one block of one gene at a time."""
    import torch

    torch.set_num_threads(threads)
    networks = [plain_network(path) for path in weights]

    def score(genes: Genes) -> Iterator[Scores]:
        for gene in genes:
            padded = np.full(-(-gene.size // block) * block + CONTEXT, 4, np.uint8)
            padded[CONTEXT // 2 : CONTEXT // 2 + gene.size] = gene
            one_hot = np.eye(5, 4, dtype=np.float32)[padded]
            for start in range(0, gene.size, block):
                x = torch.from_numpy(one_hot[None, start : start + block + CONTEXT]).transpose(1, 2)
                with torch.inference_mode():
                    mean = torch.stack([network(x) for network in networks]).mean(0)[0].numpy()
                yield mean[[2, 1], : min(block, gene.size - start)]

    return score


def plain_network(path: Path) -> Callable[[Any], Any]:
    """The layer plan as it is printed: every layer pads, and the context is cropped at the end."""
    import torch
    import torch.nn.functional as F

    s = torch.load(path, map_location="cpu", weights_only=True)

    def conv(x: Any, name: str, dilation: int = 1) -> Any:
        weight = s[f"{name}.weight"]
        padding = (weight.shape[-1] - 1) * dilation // 2
        return F.conv1d(x, weight, s[f"{name}.bias"], padding=padding, dilation=dilation)

    def activated(x: Any, name: str) -> Any:
        norm = (s[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.leaky_relu(F.batch_norm(x, *norm), 0.1)

    def run(x: Any) -> Any:
        x = conv(x, "initial_conv")
        skip = conv(x, "initial_skip.conv")
        for group, dilation in enumerate(DILATIONS):
            for i in range(4):
                unit = f"residual_units.{5 * group + i}"
                y = conv(activated(x, f"{unit}.batchnorm1"), f"{unit}.conv1", dilation)
                x = x + conv(activated(y, f"{unit}.batchnorm2"), f"{unit}.conv2", dilation)
            skip = skip + conv(x, f"residual_units.{5 * group + 4}.conv")
        half = CONTEXT // 2
        return F.softmax(conv(skip[..., half:-half], "final_conv"), dim=1)

    return run


WAYS: dict[str, Callable[[list[Path], int], ScoreGenes]] = {
    "trainyard": trainyard_way,
    "trainyard-5000": lambda weights, threads: trainyard_way(weights, threads, block=5000),
    "published": published_way,
    "published-1-thread": lambda weights, threads: published_way(weights, 1),
    "published-50000": lambda weights, threads: published_way(weights, threads, block=50_000),
}


def measure(way: str, weights: list[Path], *, threads: int, budget_seconds: float, out: Path) -> dict[str, Any]:
    """Time one way in this process and keep its scores.

    Returns:
        Bases per second and model, by wall and by CPU time, how many bases were scored before the budget was spent, and
        peak memory.
    """
    genes = simulate(LENGTHS)
    score = WAYS[way](weights, threads)
    # The first pass pays for memory that the process has not had before, and for the choice of kernels.
    next(iter(score([gene[:5000] for gene in genes[:1]])))
    begin, cpu = time.perf_counter(), time.process_time()
    found = []
    for scores in score(genes):
        found.append(scores)
        # Ours gives genes when several are done, so stopping it in between would not be fair.
        if way.startswith("published") and time.perf_counter() - begin > budget_seconds:
            break
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    together = np.concatenate(found, axis=1)
    np.save(out, together)
    work = together.shape[1] * len(weights)
    return {
        "way": way,
        "bases": together.shape[1],
        "per_second": work / wall,
        "per_cpu_second": work / cpu,
        "peak_mib": peak_mib(),
    }


def measured_alone(way: str, weights: list[Path], *, threads: int, budget_seconds: float, out: Path) -> dict[str, Any]:
    command = ["--way", way, "--threads", str(threads)]
    command += ["--budget-seconds", str(budget_seconds), "--out", str(out), "--files", *map(str, weights)]
    measured: dict[str, Any] = in_own_process(*command)
    return measured


def combine(rounds: list[list[dict[str, Any]]], folder: Path) -> list[dict[str, Any]]:
    """Medians over rounds; ratios are times the published way's, within each round."""
    baselines = {"per_second": "published", "per_cpu_second": "published-1-thread"}
    reference = np.load(folder / "published.npy")
    combined = []
    for i, way in enumerate(WAYS):
        scores = np.load(folder / f"{way}.npy")
        both = min(scores.shape[1], reference.shape[1])
        result: dict[str, Any] = {"way": way, "bases": rounds[0][i]["bases"]}
        for name, way_before in baselines.items():
            baseline = list(WAYS).index(way_before)
            result[name] = float(np.median([one[i][name] for one in rounds]))
            result[f"ratio_{name}"] = float(np.median([one[i][name] / one[baseline][name] for one in rounds]))
        result["peak_mib"] = max(one[i]["peak_mib"] for one in rounds)
        result["largest_difference"] = float(np.abs(scores[:, :both] - reference[:, :both]).max())
        combined.append(result)
    return combined


def print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'way':<18} {'bases':>8} {'per second':>18} {'per CPU second':>18} {'peak':>9}  agrees within")
    for r in results:
        print(
            f"{r['way']:<18} {r['bases']:8,} {r['per_second']:10,.0f} {r['ratio_per_second']:6.1f}x"
            f" {r['per_cpu_second']:10,.0f} {r['ratio_per_cpu_second']:6.1f}x {r['peak_mib']:5.0f} MiB"
            f"  {r['largest_difference']:.1e}"
        )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of OpenSpliceAI weights, 10,000 nt")
    parser.add_argument("--members", type=int, default=1, help="members of the ensemble; all cost the same")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget-seconds", type=float, default=10.0, help="the published way stops after so long")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    options = {"threads": args.threads, "budget_seconds": args.budget_seconds}

    if args.way:
        print(json.dumps(measure(args.way, args.files, out=args.out, **options)))
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = find_weights(args.weights, args.members, folder)
        whose = "OpenSpliceAI" if weights[0].parent == args.weights else "random"
        total = sum(LENGTHS)
        print(f"{len(LENGTHS)} genes of {total:,} bases, {args.members} member(s), {whose} weights; x: times published")
        rounds = [
            [measured_alone(way, weights, out=folder / f"{way}.npy", **options) for way in WAYS]
            for _ in range(args.rounds)
        ]
        results = combine(rounds, folder)
    print_table(results)
    if args.json:
        settings = {"members": args.members, "threads": args.threads, "rounds": args.rounds, "weights": whose}
        versions = {
            "python": platform.python_version(),
            **{package: version(package) for package in ("numpy", "torch")},
        }
        args.json.write_text(json.dumps(settings | {"versions": versions, "ways": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
