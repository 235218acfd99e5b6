"""Copy the records that a selection keeps, of the shards of a block, to shards of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norm", type=Path, required=True, help="manifest of the normalized shards")
    parser.add_argument("--selection", type=Path, required=True, help="selection table")
    parser.add_argument("--code", required=True, help="digest of the code; shards of other code are made again")
    parser.add_argument("--manifest", type=Path, required=True, help="OUT/blocks/BLOCK.json; shards go to OUT")
    args = parser.parse_args(argv)

    from trainyard.transit.select import materialize_shards

    told = materialize_shards(args.manifest, args.norm, args.selection, code=args.code)
    print(told)


if __name__ == "__main__":
    run(main)
