"""Raw shards of light curves of every kind: another mission's, with trends, with rows left out."""

from __future__ import annotations

import numpy as np
import pytest
from built_shards import Shard
from light_curve_files import KEPLER, KEPLER_TABLE, write_curve
from synthetic_stars import START, dips, make_file, make_star, make_tce

from trainyard.yard.examples import decode_example

BINARY = make_tce("8-1-S1", disposition="EB", period=1.1, epoch=START + 0.3003, hours=2.0)


def test_kepler_light_curves_are_built_too(tmp_path):
    tce = make_tce("11442793-1-S3", run="3", sectors=(3,), period=6.0, epoch=263.0, hours=8.0)
    n, step = 900, KEPLER_TABLE["TIMEDEL"]
    time = 260.0 + step * np.arange(n)
    flux = 1e4 * dips(time, [tce])
    time[400:410] = np.nan
    quality = np.zeros(n)
    quality[500:503] = 128
    columns = {"TIME": time, "CADENCENO": 7000 + np.arange(n), "PDCSAP_FLUX": flux, "PDCSAP_FLUX_ERR": np.ones(n)}
    path = write_curve(tmp_path / "llc.fits", columns | {"SAP_QUALITY": quality}, primary=KEPLER, table=KEPLER_TABLE)
    file = make_file(
        11442793, 3, path=str(path), mission="Kepler", time_reference="BKJD", cadence_days=step, ra=284.4, dec=49.3
    )
    found = Shard(tmp_path / "out", make_star([tce], [file], 11442793))
    rows = [row for row in found.rows if row["transit_example"]]
    assert [row["time"] for row in rows] == pytest.approx([263.0, 269.0, 275.0])
    assert {row["mission"] for row in rows} == {1}
    assert [row["depth_measured_ppm"] for row in rows] == pytest.approx([10_000] * 3, rel=0.05)


def test_detrending_follows_the_star_and_spares_its_events(tmp_path):
    time = START + np.arange(4320) / 720
    flux = 1000 * dips(time, [BINARY]) * (1 + 0.03 * np.sin(2 * np.pi * time / 3))
    columns = {"TIME": time, "CADENCENO": np.arange(4320), "PDCSAP_FLUX": flux, "PDCSAP_FLUX_ERR": np.ones(4320)}
    path = write_curve(tmp_path / "lc.fits", columns | {"QUALITY": np.zeros(4320)})
    star = make_star([BINARY], [make_file(8, path=str(path))], 8)
    scatter = {}
    for how in ("off", "savgol"):
        found = Shard(tmp_path / how, star, light_curves={"detrend": how})
        quiet = [decode_example(record)["flux"] for row, record in zip(found.rows, found.records, strict=True)]
        scatter[how] = np.mean([flux[:30].std() for flux in quiet])
        depths = [row["depth_measured_ppm"] for row in found.rows if row["transit_example"]]
    assert depths == pytest.approx([10_000] * len(depths), rel=0.05)
    assert scatter["savgol"] < 0.1 * scatter["off"]


def test_a_file_without_its_bad_rows_gives_the_windows_of_the_whole_one(tmp_path):
    """Rows that are left out are as bad as rows that say so: most of a window must not be interpolated."""
    n = 4320
    time = START + np.arange(n) / 720
    flux = 1000 * dips(time, [BINARY])
    bad = np.zeros(n, dtype=bool)
    for mid in (0.3003, 2.5003):
        at = np.abs(time - START - mid) < 0.2
        bad[at] = np.random.default_rng(1).random(at.sum()) < 0.8
    columns = {"TIME": time, "CADENCENO": np.arange(n), "PDCSAP_FLUX": flux, "QUALITY": np.where(bad, 128, 0)}
    found = []
    for name, rows in (("whole", np.full(n, True)), ("part", ~bad)):
        path = write_curve(tmp_path / f"{name}.fits", {key: values[rows] for key, values in columns.items()})
        found.append(Shard(tmp_path / name, make_star([BINARY], [make_file(8, path=str(path))], 8)))
    whole, part = found
    assert part.ledger.to_dict()["kinds"] == whole.ledger.to_dict()["kinds"]
    assert part.ledger.rejected("event") >= 2
    assert [row["time"] for row in part.rows] == pytest.approx([row["time"] for row in whole.rows], abs=1e-9)
    empty = [float(np.mean(decode_example(record)["n_eff"] == 0)) for record in part.records]
    assert max(empty) < 0.15
