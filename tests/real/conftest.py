"""Builds of the real files, made once: Snakemake with the configurations of tests/configs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainyard.transit.reasons import Reason
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.yard.examples import decode_example
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.tfrecord import read_records

REPOSITORY = Path(__file__).resolve().parents[2]

Row = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("real")


@dataclass(frozen=True)
class Run:
    """One run of the transit line: its working folder and its name, which is that of its configuration."""

    folder: Path
    name: str

    @property
    def base(self) -> Path:
        """Results of the line."""
        return self.folder / "results" / self.name / "transit"

    def snakemake(self, *arguments: str) -> str:
        """Build the whole line and return what Snakemake printed; fails if Snakemake does."""
        command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile")]
        command += ["--directory", str(self.folder), "--workflow-profile", str(REPOSITORY / "profiles" / "default")]
        command += ["--configfile", str(REPOSITORY / "tests" / "configs" / f"{self.name}.yaml"), "--cores", "2"]
        done = subprocess.run(
            [*command, *arguments, "transit"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def examples(self) -> list[Row]:
        """Rows of the example tables, with their splits."""
        return list(SPLIT_EXAMPLES.read_all(sorted(self.base.glob("split/aux_tbls/*.parquet"))).to_pylist())

    def in_transit(self) -> list[Row]:
        """Examples cut at an event."""
        return [row for row in self.examples() if row["transit_example"]]

    def negatives(self) -> list[Row]:
        """Examples cut out of events."""
        return [row for row in self.examples() if not row["transit_example"]]

    def ledger(self) -> Ledger:
        """Ledger of the whole build; its sums hold."""
        ledger = Ledger.from_dict(read_json(self.base / "check" / "ledger.json"), Reason)
        ledger.check()
        return ledger

    def rejected(self, kind: str) -> list[dict[str, str]]:
        """Rejected items of a kind."""
        return [row for row in self.ledger().rejections if row["kind"] == kind]

    def records(self, pattern: str) -> Iterator[dict[str, list[bytes] | NDArray[Any]]]:
        """Features of the records of all shards whose path in the results fits."""
        for shard in sorted(self.base.glob(pattern)):
            yield from (decode_example(record) for record in read_records(shard))


@dataclass(frozen=True)
class Curve:
    """A light curve as astropy reads it, without a line of Trainyard; `good` marks what the default bits leave."""

    time: NDArray[np.float64]
    flux: NDArray[np.float64]
    quality: NDArray[np.int64]
    good: NDArray[np.bool_]


def read_fits(path: Path, *, bitmask: int = 17087) -> Curve:
    """The columns that a build uses."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        table = hdus[1].data
        quality = np.array(table["QUALITY" if "QUALITY" in table.names else "SAP_QUALITY"], dtype=np.int64)
        time, flux = (np.array(table[name], dtype=np.float64) for name in ("TIME", "PDCSAP_FLUX"))
    return Curve(time, flux, quality, np.isfinite(time) & np.isfinite(flux) & (quality & bitmask == 0))


@pytest.fixture(scope="session")
def workplace(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that lies beside `shared`, as the repository does, so that the configurations work as they are."""
    top = tmp_path_factory.mktemp("real")
    (top / "shared").symlink_to(real_data.parent)
    (top / "main").mkdir()
    return top / "main"


@pytest.fixture(scope="session")
def tess(workplace: Path) -> Run:
    """The TESS files, built, trained on and drawn."""
    run = Run(workplace, "real_tess")
    run.snakemake()
    return run


@pytest.fixture(scope="session")
def kepler(workplace: Path) -> Run:
    """The files of Kepler-90, built and drawn."""
    run = Run(workplace, "real_kepler")
    run.snakemake()
    return run


@pytest.fixture(scope="session")
def curves(real_data: Path) -> dict[tuple[int, int], Curve]:
    """Light curves by star and sector, of the TESS files that a build should use."""
    from astropy.io import fits

    found = {}
    for path in sorted((real_data / "transit").glob("*_lc.fits")):
        header = fits.getheader(path)
        found[header["TICID"], header["SECTOR"]] = read_fits(path)
    return found
