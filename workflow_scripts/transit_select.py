"""Make a named selection of examples."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import parse_settings, run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=Path, nargs="+", required=True, help="manifests of the split shards")
    parser.add_argument("--name", required=True, help="name of the selection")
    parser.add_argument("--settings", required=True, help="SelectionSettings as JSON")
    parser.add_argument("--seed", type=int, required=True, help="dataset seed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the selection")
    args = parser.parse_args(argv)

    from trainyard.transit.blockfiles import split_examples
    from trainyard.transit.schema import SPLIT_EXAMPLES
    from trainyard.transit.select import select
    from trainyard.transit.settings import SelectionSettings

    settings = parse_settings(args.settings, SelectionSettings)
    examples = SPLIT_EXAMPLES.read_all(split_examples(args.split))
    selection = select(examples, args.name, settings, seed=args.seed)
    selection.write(args.out)
    print(f"{args.out}: {selection.kept} of {selection.table.num_rows} examples kept")


if __name__ == "__main__":
    run(main)
