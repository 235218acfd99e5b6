"""What a store saves: bytes, time and memory, against batch files as published and plain HDF5, in one run on one core.

    python benchmarks/voxel.py [--json PATH]

Simulates a voxel file in the layout of aposteriori with an RMSF at five temperatures, builds the store, exports some
float32 `.pt` files, and compares

bytes       of the grids and of the whole store, per sample
samples/s   to a float32 batch of 256: from the store into a recycled buffer, into fresh memory, as uint8, or as
            positions alone; by `torch.load` from `.pt` files in the page cache; and from the HDF5 file, grid by grid
residues/s  of encoding the grids, against reading them in plain h5py, and by the low-level calls that encoding contains
memory      of each stage in a process of its own, for so many domains and twice as many

Every batch is touched at each page of its memory, since fresh pages cost nothing until then. Times are the best of
several rounds, in each of which all ways take their turn.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from own_process import in_own_process, peak_mib

CHANNELS = ("C", "N", "O", "CA", "CB")
SIDE, KELVINS, BATCH = 21, (320.0, 348.0, 379.0, 413.0, 450.0), 256
SET_VOXELS = 50
"""Mean number in a real grid, of 46,305."""
CENTRE, CB = (10, 10, 10), (9, 9, 8)


VOXELS = "voxels.hdf5"
RECYCLED, PUBLISHED, POSITIONS = "store, recycled buffer", "float32 .pt, torch.load", "store, positions only"
ENCODE, LOW_LEVEL = "encode a part", "low-level read"


def simulate(path: Path, *, domains: int, residues: int) -> None:
    """Write voxels in the layout, chunks and compression of aposteriori."""
    import h5py

    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        file.attrs["frame_dims"] = [SIDE, SIDE, SIDE, len(CHANNELS)]
        file.attrs["atom_encoder"] = list(CHANNELS)
        file.attrs["frame_edge_length"] = 12.0
        for domain in range(domains):
            chain = file.create_group(f"{domain:04d}A00/A")
            for residue in range(residues):
                grid = np.zeros((SIDE, SIDE, SIDE, len(CHANNELS)), bool)
                others = rng.integers(SIDE, size=(3, rng.poisson(SET_VOXELS - 2)))
                grid[(*others, rng.integers(len(CHANNELS), size=others.shape[1]))] = True
                grid[CENTRE] = [False, False, False, True, False]
                grid[CB] = [False, False, False, False, True]
                data = chain.create_dataset(
                    str(residue), data=grid, chunks=(11, 11, 11, 5), compression="gzip", compression_opts=4
                )
                data.attrs["label"] = "ALA"
                data.attrs["encoded_residue"] = np.arange(20) == 0
                data.attrs["rotamers"] = "NAN"


def index(folder: Path) -> None:
    """List the grids and plan the samples, with RMSF drawn at random; eight domains of ten are train."""
    from trainyard.voxel.inventory import inventory
    from trainyard.voxel.plan import make_plan
    from trainyard.voxel.planfiles import write_plan
    from trainyard.voxel.settings import VoxelPlanSettings

    found = inventory(folder / VOXELS, wanted_channels=CHANNELS)
    names = sorted(found["domain"].unique().to_pylist())
    n = max(len(names) // 5, 2)
    lists = {"train": names[:-n], "val": names[-n:][::2], "test": names[-n:][1::2]}
    settings = VoxelPlanSettings(num_parts=1, batch_size=BATCH)
    write_plan(make_plan(found, draw_rmsf(found), lists, settings), folder / "plan")


def encode(folder: Path) -> None:
    """Encode the grids as the store's only part, and merge."""
    from trainyard.voxel.merge import merge_store
    from trainyard.voxel.parts import part_name
    from trainyard.voxel.planfiles import read_plan
    from trainyard.voxel.settings import VoxelPlanSettings

    plan, part = read_plan(folder / "plan"), folder / "store" / "grids" / part_name(0, 1)
    ledger = encode_grids(folder / VOXELS, plan.residues, part)
    settings = VoxelPlanSettings(num_parts=1, batch_size=BATCH)
    merge_store(plan, [part], folder / "store", settings=settings, ledgers=[ledger], config_digest="0" * 16)


def encode_grids(voxels: Path, residues: pa.Table, part: Path) -> Any:
    from trainyard.voxel.hdf5 import open_voxels
    from trainyard.voxel.parts import encode_part
    from trainyard.voxel.reasons import Reason
    from trainyard.yard.ledger import Ledger

    ledger = Ledger("voxel", Reason)
    with open_voxels(voxels, wanted=CHANNELS) as file:
        encode_part(file, residues, part, bad_grid="error", ledger=ledger)
    return ledger


def export(folder: Path, batches: int = 10) -> list[Path]:
    """Write the first batches of train, about so many, as .pt files; returns those of full length."""
    from trainyard.voxel.export import ExportPart, batch_count, export_part
    from trainyard.voxel.settings import VoxelExportSettings
    from trainyard.voxel.store import Store

    store = Store(folder / "store")
    part = ExportPart("train", 0, num_parts=-(-batch_count(store, "train") // batches))
    settings = VoxelExportSettings(formats=["pt"], num_parts=part.num_parts)
    files = export_part(store, part, folder / "export", settings=settings)["files"]
    return [folder / "export" / "train" / file["file"] for file in files if file["records"] == BATCH]


def load(folder: Path) -> None:
    """Load an epoch, shuffled and rotated."""
    from trainyard.voxel.loader import make_loader

    for batch in make_loader(folder / "store", "train", BATCH, order="shuffled", rotations=True, reuse_buffer=True):
        batch["voxels"].sum()


STAGES: dict[str, Callable[[Path], Any]] = {"index": index, "encode": encode, "export": export, "load": load}


def draw_rmsf(residues: pa.Table) -> pa.Table:
    """An RMSF, nm, for each residue and temperature; rises with temperature."""
    from trainyard.voxel.schema import RMSF

    n, kelvins = residues.num_rows, np.array(KELVINS, np.float32)
    rmsf = np.random.default_rng(8).gamma(2.0, 0.1, (n, 1)) * (kelvins / 320) ** 3
    of_residue = pa.array(np.repeat(np.arange(n), len(kelvins)))
    columns = {name: residues[source].take(of_residue) for name, source in _RMSF_COLUMNS.items()}
    columns["temperature"] = pa.array(np.tile(kelvins, n))
    columns["target_rmsf"] = pa.array(rmsf.astype(np.float32).reshape(-1))
    return pa.table(
        [columns.get(f.name, pa.nulls(n * len(kelvins), f.type)).cast(f.type) for f in RMSF.schema], schema=RMSF.schema
    )


_RMSF_COLUMNS = {"domain_id": "domain", "resid": "resid", "icode": "icode", "resname": "label"}


def measure_bytes(store: Any) -> dict[str, float]:
    """Bytes per sample."""
    sizes = {path: path.stat().st_size for path in store.folder.rglob("*") if path.is_file()}
    samples = store.manifest["counts"]["samples"]
    grids = sum(size for path, size in sizes.items() if path.suffix == ".safetensors")
    return {"grids": grids / samples, "store": sum(sizes.values()) / samples}


@dataclass(frozen=True)
class Way:
    """A way to the voxels of the first batches of train."""

    name: str
    batches: int
    """With how many of them it is timed."""
    voxels: Callable[[], Iterable[Any]]
    """Gives their tensors, one after the other."""


def loading_ways(store: Any, files: Sequence[Path], voxels: Path) -> list[Way]:
    """All ways to the batches of these files."""
    import torch

    from trainyard.voxel.loader import make_loader

    uids = store.samples("train")["residue_uid"].to_numpy()[: len(files) * BATCH].reshape(-1, BATCH)
    table = store.residues
    names = list(zip(*(table[name].to_pylist() for name in ("domain", "chain", "residue")), strict=True))

    def loaded(**options: Any) -> Callable[[], Iterable[Any]]:
        loader = make_loader(store, "train", BATCH, **options)
        return lambda: (batch["voxels"] for batch in loader)

    return [
        Way(RECYCLED, len(files), loaded(reuse_buffer=True)),
        Way("store, fresh memory", len(files), loaded()),
        Way("store, uint8, recycled", len(files), loaded(expand="uint8", reuse_buffer=True)),
        Way(POSITIONS, len(files), lambda: (torch.from_numpy(store.gather(u).indices.view(np.int16)) for u in uids)),
        Way(PUBLISHED, len(files), lambda: (torch.load(path, weights_only=True)["voxels"] for path in files)),
        Way("HDF5, grid by grid", 2, lambda: (read_directly(voxels, [names[i] for i in u]) for u in uids)),
    ]


def read_directly(path: Path, names: Iterable[tuple[str, str, str]]) -> Any:
    """A batch as the published pipeline makes it: grids read, converted, checked and stacked."""
    import h5py
    import torch

    grids = []
    with h5py.File(path) as file:
        for domain, chain, residue in names:
            grid = file[domain][chain][residue][()].astype(np.float32).transpose(3, 0, 1, 2)
            if not np.isfinite(grid).all():
                raise SystemExit(f"{domain}/{chain}/{residue} is not finite")
            grids.append(torch.from_numpy(grid))
    return torch.stack(grids)


def touch(way: Way) -> None:
    """Have the batches of a way, and read a number from each page of their memory."""
    for tensor in islice(way.voxels(), way.batches):
        tensor.view(-1)[:: 4096 // tensor.element_size()].sum()


def measure_loading(store: Any, files: Sequence[Path], voxels: Path, *, rounds: int) -> list[dict[str, Any]]:
    """Samples per second by every way, on one thread."""
    import torch

    torch.set_num_threads(1)
    ways = loading_ways(store, files, voxels)
    sums = {way.name: [tensor.sum().item() for tensor in islice(way.voxels(), 2)] for way in ways}
    del sums[POSITIONS]
    if len(set(map(tuple, sums.values()))) > 1:
        raise SystemExit(f"the ways do not give the same batches: {sums}")
    seconds = best_of({way.name: partial(touch, way) for way in ways}, rounds)
    rates = {way.name: way.batches * BATCH / seconds[way.name] for way in ways}
    return [{"way": name, "samples_per_second": r, "ratio": r / rates[PUBLISHED]} for name, r in rates.items()]


def measure_encoding(store: Any, voxels: Path, *, rounds: int) -> list[dict[str, Any]]:
    """Residues per second of encoding a part, of plain h5py, and of the low-level read."""
    rows = store.residues
    names = list(zip(*(rows[name].to_pylist() for name in ("domain", "chain", "residue")), strict=True))
    ways = {
        ENCODE: partial(encode_grids, voxels, rows, voxels.parent / "again.safetensors"),
        LOW_LEVEL: partial(read_low_level, voxels, names),
        "plain h5py": partial(read_plainly, voxels, names),
    }
    seconds = best_of(ways, rounds)
    return [
        {"way": name, "residues_per_second": len(names) / s, "time_ratio": s / seconds[LOW_LEVEL]}
        for name, s in seconds.items()
    ]


def read_plainly(path: Path, names: Iterable[tuple[str, str, str]]) -> None:
    """Read grids as h5py's users do."""
    import h5py

    with h5py.File(path) as file:
        for domain, chain, residue in names:
            file[domain][chain][residue][()]


def read_low_level(path: Path, names: Iterable[tuple[str, str, str]]) -> None:
    """Read grids into one buffer, by the calls without which none can be read."""
    import h5py
    from h5py import h5d, h5g, h5s

    buffer = np.empty((SIDE, SIDE, SIDE, len(CHANNELS)), bool)
    with h5py.File(path, rdcc_nbytes=0, rdcc_nslots=1) as file:
        where, chain = "", file.id
        for domain, chain_name, residue in names:
            if where != f"{domain}/{chain_name}":
                where = f"{domain}/{chain_name}"
                chain = h5g.open(file.id, where.encode())
            h5d.open(chain, residue.encode()).read(h5s.ALL, h5s.ALL, buffer)


def best_of(ways: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of each way, the least of so many rounds."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
    return seconds


def measure_memory(folder: Path, *, domains: int, residues: int) -> list[dict[str, Any]]:
    """Peak memory, MiB, of each stage for so many domains and twice as many, each in a process of its own."""
    peaks: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for number in (domains, 2 * domains):
        place = folder / f"{number}_domains"
        place.mkdir()
        simulate(place / VOXELS, domains=number, residues=residues)
        for stage in STAGES:
            peaks[stage].append(in_own_process("--stage", stage, "--folder", str(place)))
        shutil.rmtree(place)
    return [{"stage": stage, "domains": [domains, 2 * domains], "peak_mib": found} for stage, found in peaks.items()]


def print_results(result: dict[str, Any]) -> None:
    print(f"{'way to a float32 batch':<28} {'samples/s':>12} {'':>9}")
    for r in result["loading"]:
        print(f"{r['way']:<28} {r['samples_per_second']:12,.0f} {r['ratio']:8.2f}x of .pt")
    print(f"\n{'grids from HDF5':<28} {'residues/s':>12} {'time':>9}")
    for r in result["encoding"]:
        print(f"{r['way']:<28} {r['residues_per_second']:12,.0f} {r['time_ratio']:8.2f}x of low-level")
    few, many = result["memory"][0]["domains"]
    print(f"\n{'peak memory':<28} {few:>4} domains {many:>4} domains")
    for r in result["memory"]:
        print(f"{r['stage']:<28} {r['peak_mib'][0]:8.0f} MiB {r['peak_mib'][1]:8.0f} MiB")
    print()
    for target in result["targets"]:
        verdict = "met" if target["met"] else "MISSED"
        print(f"{target['name']:<58} {target['value']:8.2f}   {target['limit']:>9}   {verdict}")


def judge(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The targets, each with what was reached."""
    loading = {r["way"]: r["ratio"] for r in result["loading"]}
    encoding = {r["way"]: r["time_ratio"] for r in result["encoding"]}
    found = [
        ("grids, bytes per sample", result["bytes"]["grids"], "<=", 25),
        ("whole store, bytes per sample", result["bytes"]["store"], "<=", 45),
        ("samples/s into a recycled buffer, times those of .pt files", loading[RECYCLED], ">=", 8),
        ("time to encode, times that of the low-level read", encoding[ENCODE], "<=", 1.5),
        ("peak memory, MiB", max(max(r["peak_mib"]) for r in result["memory"]), "<=", 1024),
    ]
    return [
        {
            "name": name,
            "value": value,
            "limit": f"{sign} {limit}",
            "met": value <= limit if sign == "<=" else value >= limit,
        }
        for name, value, sign, limit in found
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--domains", type=int, default=24, help="domains of the simulated file")
    parser.add_argument("--residues", type=int, default=137, help="residues of a domain")
    parser.add_argument("--batches", type=int, default=10, help=".pt files that are written and read, at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)

    if args.stage:
        STAGES[args.stage](args.folder)
        print(peak_mib())
        return

    from trainyard.voxel.store import Store

    result: dict[str, Any] = {"domains": args.domains, "residues": args.residues, "python": platform.python_version()}
    result["versions"] = {name: version(name) for name in ("numpy", "torch", "h5py", "pyarrow")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder / VOXELS, domains=args.domains, residues=args.residues)
        index(folder)
        encode(folder)
        files, store = export(folder, args.batches), Store(folder / "store")
        samples = store.manifest["counts"]["samples"]
        print(f"{len(store):,} residues, {samples:,} samples of {args.domains} domains; {len(files)} .pt files\n")
        result["bytes"] = measure_bytes(store)
        result["loading"] = measure_loading(store, files, folder / VOXELS, rounds=args.rounds)
        result["encoding"] = measure_encoding(store, folder / VOXELS, rounds=2 * args.rounds)
        result["memory"] = measure_memory(folder, domains=args.domains, residues=args.residues)
    result["targets"] = judge(result)
    print_results(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
