"""The published ExoMiner catalogue: 11,289 TCEs of TESS sectors 1 to 67, which has scores in place of dispositions."""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from trainyard.transit.events import Event, cluster
from trainyard.transit.reasons import Reason
from trainyard.transit.settings import InputSettings, PlanSettings
from trainyard.transit.tces import Tce, TceTable, read_tces
from trainyard.yard.errors import InputError

BY_SCORE = InputSettings(
    columns={
        "disposition": "ExoMiner Score",
        "tce_plnt_num": "Planet Number",
        "tce_max_mult_ev": "MES",
        "ruwe": "Gaia RUWE",
    },
    disposition_map={"0.9*": "PC", "1*": "PC"},
)


@pytest.fixture(scope="module")
def path(real_data: Path) -> Path:
    return real_data / "transit" / "tables" / "exominer_tess-spoc-2-min-s1s67_scoregt0.1.csv"


@pytest.fixture(scope="module")
def table(path: Path) -> TceTable:
    return read_tces(path, BY_SCORE, PlanSettings())


@pytest.fixture(scope="module")
def stars(table: TceTable) -> dict[int, list[Tce]]:
    found: dict[int, list[Tce]] = defaultdict(list)
    for tce in table.tces:
        found[tce.target_id].append(tce)
    return found


@pytest.fixture(scope="module")
def events(stars: dict[int, list[Tce]]) -> dict[int, tuple[Event, ...]]:
    return {star: cluster(tces, PlanSettings()) for star, tces in stars.items()}


def test_the_missing_disposition_is_named_with_what_to_do(path: Path) -> None:
    with pytest.raises(InputError, match=r"exominer.*\.csv: lacks the column\(s\) disposition\. Name them in transit"):
        read_tces(path, InputSettings(), PlanSettings())


def test_every_row_is_read_under_its_own_names(table: TceTable) -> None:
    assert table.rows == 11_289
    # Orbits of six and a half hours with transits under a quarter of an hour.
    assert table.rejected == (
        ("275414495-1-S55", Reason.IMPLAUSIBLE_DURATION, table.rejected[0][2]),
        ("275414495-1-S56", Reason.IMPLAUSIBLE_DURATION, table.rejected[1][2]),
    )
    assert len(table.tces) == 11_287
    first = next(tce for tce in table.tces if tce.uid == "390651552-1-S23")
    assert (first.target_id, first.sectors, first.disposition) == (390651552, (23,), "PC")
    assert (first.period, first.epoch, first.duration_hours) == (1.467, 1928.225, 1.008)
    scalars = [first.scalars[name] for name in ("tce_depth", "tce_plnt_num", "tce_max_mult_ev", "ruwe")]
    assert scalars == [1599.528, 1, 24.825, 1.066]
    assert np.isfinite([tce.scalars["tce_depth"] for tce in table.tces]).all()


def test_scores_become_dispositions_by_pattern_and_the_rest_is_counted(table: TceTable) -> None:
    assert Counter(tce.disposition for tce in table.tces) == {"PC": 4271, "UNK": 7016}
    assert sum(table.unknown_dispositions.values()) == 11_289 - 4271
    assert all(0.1 <= float(word) < 0.9 for word in table.unknown_dispositions)


def test_spans_of_sectors_are_read(table: TceTable) -> None:
    tce = next(tce for tce in table.tces if tce.uid == "239332587-1-S14-60")
    assert tce.sectors == tuple(range(14, 61))
    assert sum(len(tce.sectors or ()) > 1 for tce in table.tces) == 4825
    assert {sector for tce in table.tces for sector in tce.sectors or ()} == set(range(1, 68))


def test_all_stars_are_clustered_within_seconds(stars: dict[int, list[Tce]]) -> None:
    start = time.process_time()
    for tces in stars.values():
        cluster(tces, PlanSettings())
    assert time.process_time() - start < 5


def test_every_tce_belongs_to_one_event_of_its_star(
    stars: dict[int, list[Tce]], events: dict[int, tuple[Event, ...]]
) -> None:
    assert len(stars) == 4156
    for star, tces in stars.items():
        members = Counter(tce.uid for event in events[star] for tce in event.members)
        assert members == Counter(tce.uid for tce in tces)
        assert {tce.target_id for event in events[star] for tce in event.members} == {star}


def test_runs_that_found_the_same_planet_are_one_event(events: dict[int, tuple[Event, ...]]) -> None:
    sizes = Counter(len(event.members) for found in events.values() for event in found)
    assert 4_700 < sizes.total() < 4_900
    assert sum(size * n for size, n in sizes.items()) == 11_287
    # 33 runs found the same planet.
    assert max(sizes) == 33


def test_two_signals_of_one_run_stay_two_events(events: dict[int, tuple[Event, ...]]) -> None:
    # A run numbers its signals, so that two of one run and one event are a harmonic of one another.
    for found in events.values():
        for event in found:
            for a, b in combinations(event.members, 2):
                if a.sector_run == b.sector_run:
                    ratio = max(a.period, b.period) / min(a.period, b.period)
                    assert ratio == pytest.approx(round(ratio), rel=2e-3)


def test_epochs_as_full_julian_dates_are_refused(real_data: Path, tmp_path: Path) -> None:
    # The archive's own table of these planets gives them so.
    with (real_data / "transit" / "tables" / "derived_tces.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["tce_time0bk"]]
    with (tmp_path / "tces.csv").open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "tce_time0bk": float(row["tce_time0bk"]) + 2457000} for row in rows)
    with pytest.raises(InputError, match=r"look like full Julian dates\. Subtract 2457000 \(BTJD\)"):
        read_tces(tmp_path / "tces.csv", InputSettings(), PlanSettings())
