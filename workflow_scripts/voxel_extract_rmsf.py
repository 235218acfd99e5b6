"""Write the RMSF of mdCATH files (.h5) as one long table, for `inputs.aggregated_rmsf_file`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainyard.yard.command import run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=Path, required=True, nargs="+", help="mdCATH files, or folders of them")
    parser.add_argument("--out", type=Path, required=True, help="RMSF table (CSV), in nm")
    args = parser.parse_args(argv)

    from trainyard.voxel.mdcath import write_rmsf
    from trainyard.voxel.structures import find_structures

    rows = write_rmsf(find_structures(args.structures).values(), args.out)
    print(f"{args.out}: {rows} rows")


if __name__ == "__main__":
    run(main)
