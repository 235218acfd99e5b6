"""`trainyard`: what is asked of a finished dataset and of a configuration. Building is `snakemake`'s."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from trainyard import __version__
from trainyard.publish.places import COLUMNS, REFERENCE, SCHEMA
from trainyard.splice.cli import add_commands as add_splice_commands
from trainyard.yard.command import run
from trainyard.yard.errors import ConfigError, IntegrityError


def main() -> NoReturn:
    """Run the command line and end the process; exit codes as of all commands of Trainyard."""
    run(_command)


def _command(argv: list[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    try:
        args.call(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; the interpreter must not flush into the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trainyard", description=__doc__)
    parser.add_argument("--version", action="version", version=f"trainyard {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    verify = _add(commands, "verify", "compare all files below a folder with their receipts", _verify)
    verify.add_argument("folder", type=Path, help="folder of a run, such as results/demo")
    verify.add_argument("--deep", action="store_true", help="also read every record")

    config = _group(commands, "config", "the configuration")
    check = _add(config, "check", "list all mistakes of a configuration file", _check)
    check.add_argument("file", type=Path, help="YAML file")
    _add_generated(config, "schema", "JSON Schema of the configuration", SCHEMA)
    _add_generated(config, "reference", "reference page of the configuration", REFERENCE)

    transit = _group(commands, "transit", "the transit line")
    preview = _add(transit, "preview", "print the features of one example", _preview)
    preview.add_argument("shard", type=Path, help="TFRecord file")
    preview.add_argument("--record", type=int, default=0, metavar="N", help="0-based number of the record; default 0")
    _add_generated(transit, "columns", "page of all features and columns", COLUMNS["transit"])

    splice = _group(commands, "splice", "the splice line")
    add_splice_commands(splice)
    _add_generated(splice, "columns", "page of all features and columns", COLUMNS["splice"])

    voxel = _group(commands, "voxel", "the voxel line")
    voxelize = _add(voxel, "voxelize", "voxelise protein structures", _voxelize)
    voxelize.add_argument("structures", type=Path, nargs="+", help="PDB, mmCIF or mdCATH .h5 files, or folders of them")
    voxelize.add_argument("--out", type=Path, required=True, help="voxel file (HDF5) to write")
    predict = _add(voxel, "predict", "predict RMSF with a trained model, at any temperature", _predict)
    predict.add_argument("store", type=Path, help="folder of a store, such as results/demo/voxel/store")
    predict.add_argument("--model", type=Path, required=True, help="folder of the model")
    predict.add_argument("--temperature", type=float, required=True, metavar="K", help="kelvins")
    predict.add_argument("--split", choices=["train", "val", "test"], default="test", help="default test")
    predict.add_argument("--domains", nargs="+", default=[], help="these domains instead of a split")
    predict.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    predict.add_argument("--out", type=Path, required=True, help="CSV file to write")
    _add_generated(voxel, "columns", "page of all tables", COLUMNS["voxel"])
    return parser


def _group(commands: Any, name: str, text: str) -> Any:
    return commands.add_parser(name, help=text, description=text).add_subparsers(required=True, metavar="COMMAND")


def _add(commands: Any, name: str, text: str, call: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(call=call)
    return parser


def _add_generated(commands: Any, name: str, text: str, file: str) -> None:
    parser = _add(commands, name, f"{text}, printed or written to its place", partial(_generated, file=file))
    parser.add_argument("--write", action="store_true", help="write the file of this repository, from its root")


def _verify(args: argparse.Namespace) -> None:
    from trainyard.publish.verify import verify_folder

    found = verify_folder(args.folder, deep=args.deep)
    for problem in found.problems:
        print(problem)
    whole = f"whole files: {found.files:,}, records: {found.records:,}, bytes: {found.bytes:,}"
    summary = f"{args.folder}: problems: {len(found.problems):,}, {whole}"
    if found.problems:
        raise IntegrityError(summary)
    print(summary)


def _check(args: argparse.Namespace) -> None:
    from trainyard.config import load_config
    from trainyard.transit.preflight import problems

    config = load_config(args.file)
    found = problems(config.transit)
    if found:
        raise ConfigError("\n".join(f"{args.file}: {line}" for line in found))
    print(f"{args.file}: run {config.run}, lines {', '.join(config.lines)}: no mistakes")


def _voxelize(args: argparse.Namespace) -> None:
    from trainyard.voxel.aposteriori import voxelize_files
    from trainyard.voxel.settings import VoxelizeSettings

    print(f"{args.out}: {voxelize_files(args.structures, args.out, settings=VoxelizeSettings()).summary()}")


def _predict(args: argparse.Namespace) -> None:
    from trainyard.voxel.train.predict import predict

    n = predict(
        args.store,
        args.model,
        args.out,
        temperature=args.temperature,
        split=args.split,
        domains=args.domains,
        device=args.device,
    )
    print(f"{args.out}: {n:,} residues at {args.temperature:g} K")


def _generated(args: argparse.Namespace, *, file: str) -> None:
    from trainyard.publish.generated import GENERATED, write_generated

    if args.write:
        print(f"{write_generated(file, Path())}: written")
    else:
        print(GENERATED[file](), end="")


def _preview(args: argparse.Namespace) -> None:
    from trainyard.transit.preview import preview

    for feature in preview(args.shard, args.record):
        print(f"{feature.name:<22} {feature.kind:<8} {feature.shape:<8} {feature.values}")


if __name__ == "__main__":
    main()
