"""The transit line on public TESS light curves of 13 stars, against what is known of them."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from trainyard.transit.archive import list_files
from trainyard.transit.events import cluster, predicted_times
from trainyard.transit.planfiles import FILES, TARGETS
from trainyard.transit.settings import InputSettings, PlanSettings
from trainyard.transit.tces import read_tces
from trainyard.yard.receipts import verify

if TYPE_CHECKING:
    from conftest import Curve, Run

SPLITS = ("train", "val", "test")
FLARE_STAR, QUIET_STAR = 31740375, 270501383
ECLIPSING_BINARY = 32150630
TWICE_THE_PERIOD = {25155310: 8, 281459670: 8}
"""Stars with a row of twice their planet's period, and the transits in their sector."""
MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of the median of many normal values, in standard errors of their mean."""
TWO_SECTORS = {440887364: {11, 38}, 86396382: {20, 43}}


class Seen(NamedTuple):
    """Events of one planet in one sector: predicted by the ephemeris, kept, and as the data's README counts them."""

    predicted: int
    kept: int
    published: int | None = None


# Star, sector and planet number.
EVENTS = {
    (25155310, 1, 1): Seen(8, 8, 8),  # WASP-126 b
    (149603524, 1, 1): Seen(7, 5, 6),  # WASP-62 b
    (231663901, 1, 1): Seen(19, 16, 19),  # WASP-46 b
    (281459670, 1, 1): Seen(8, 8, 8),  # HATS-30 b
    (402026209, 2, 1): Seen(20, 18, 18),  # WASP-4 b
    (261136679, 1, 1): Seen(5, 4, 5),  # Pi Mensae c
    (440887364, 11, 1): Seen(3, 3),  # TOI-836 c
    (440887364, 38, 1): Seen(3, 3),
    (440887364, 11, 2): Seen(7, 5),  # TOI-836 b
    (440887364, 38, 2): Seen(7, 7),
    (86396382, 20, 1): Seen(24, 21),  # WASP-12 b
    (86396382, 43, 1): Seen(22, 19),
    (21132157, 58, 1): Seen(6, 4),  # TOI-5365.01
    (55525572, 5, 1): Seen(1, 1),  # TOI-813 b
    (ECLIPSING_BINARY, 1, 1): Seen(19, 17),
}


@pytest.fixture(scope="module")
def table(real_data: Path) -> list[dict[str, str]]:
    """Rows of the TCE table with an ephemeris."""
    with (real_data / "transit" / "tables" / "derived_tces.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["tce_period"]]


@pytest.fixture(scope="module")
def signals(table: list[dict[str, str]]) -> list[dict[str, str]]:
    """Rows that stand for a signal of their own, not for another detection of it."""
    return [row for row in table if not row["disposition"].startswith("score")]


def test_every_event_that_the_ephemerides_predict_is_kept_or_rejected(
    tess: Run, signals: list[dict[str, str]], curves: dict[tuple[int, int], Curve]
) -> None:
    expected = {
        (star, sector, planet): predicted(row, curves[star, sector].time)
        for row in signals
        for star, planet in [(int(row["tic_id"]), int(row["tce_plnt_num"]))]
        for sector in map(int, row["sectors"].split())
    }
    found: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for row in tess.in_transit():
        found[row["target_id"], row["sector"], row["tce_plnt_num"]].append(row["time"])
    kept = {key: len(times) for key, times in found.items()}
    for star, sector, planet, time, _ in rejected_events(tess):
        found[star, sector, planet].append(time)
    assert {key: Seen(len(times), kept[key]) for key, times in found.items()} == {
        key: seen._replace(published=None) for key, seen in EVENTS.items()
    }
    for key, times in expected.items():
        np.testing.assert_allclose(sorted(found[key]), times, rtol=0, atol=1e-9)


def test_published_numbers_of_transits_lie_between_the_kept_and_the_predicted() -> None:
    published = [seen for seen in EVENTS.values() if seen.published is not None]
    assert len(published) == 6
    assert all(seen.kept <= (seen.published or 0) <= seen.predicted for seen in published)


def test_every_rejected_event_lacks_data(
    tess: Run, signals: list[dict[str, str]], curves: dict[tuple[int, int], Curve]
) -> None:
    hours = {(int(row["tic_id"]), int(row["tce_plnt_num"])): float(row["tce_duration"]) for row in signals}
    reasons = Counter()
    for star, sector, planet, time, reason in rejected_events(tess):
        curve, half = curves[star, sector], 2.5 * hours[star, planet] / 24
        measured = curve.time[np.isfinite(curve.time)]
        reasons[reason] += 1
        if reason == "window_past_data_edge":
            assert time - half < measured[0] or time + half > measured[-1]
        else:
            assert reason == "good_fraction_of_window"
            # The data gap has rows without times; the cadences that a full window has are counted instead.
            full = 2 * half / (2 / 1440)
            good = (np.abs(curve.time - time) <= half) & curve.good
            assert good.sum() / full < 0.86
    assert reasons == {"window_past_data_edge": 1, "good_fraction_of_window": 19}


def test_measured_depths_are_those_of_the_raw_cadences(tess: Run, curves: dict[tuple[int, int], Curve]) -> None:
    noise = {star: scatter(rows) for star, rows in by_star(tess.negatives()).items()}
    for star, rows in by_star(tess.in_transit()).items():
        raw = []
        for row in rows:
            curve = curves[star, row["sector"]]
            good, duration = curve.good, row["duration_hours"] / 24
            distance = np.abs(curve.time[good] - row["time"]) / duration
            flux = curve.flux[good] / np.median(curve.flux[good])
            edges, centre = flux[(distance >= 1) & (distance <= 2.5)], flux[distance <= 0.25]
            raw.append(1e6 * (np.median(edges) - np.median(centre)))
        measured = np.array([row["depth_measured_ppm"] for row in rows])
        # Medians of binned and of single cadences differ by their noise.
        allowed = max(0.01 * np.median(raw), 2 * MEDIAN_ERROR * noise[star] / math.sqrt(len(rows)))
        assert np.median(measured) == pytest.approx(np.median(raw), abs=allowed)


def test_depths_of_all_deep_signals_are_those_of_the_table(tess: Run, signals: list[dict[str, str]]) -> None:
    noise = {star: scatter(rows) for star, rows in by_star(tess.negatives()).items()}
    within_15_percent = set()
    for row in signals:
        star, planet, depth = int(row["tic_id"]), int(row["tce_plnt_num"]), float(row["tce_depth"])
        if depth <= 1000:
            continue
        found = depths(tess, star, planet)
        # The table has depths of limb-darkened fits, we the middle half of the transit; and the same measure where
        # there is no event tells how far off the median of so few may be.
        allowed = max(0.15 * depth, 3 * MEDIAN_ERROR * noise[star] / math.sqrt(len(found)))
        assert np.median(found) == pytest.approx(depth, abs=allowed), (star, planet)
        if allowed == 0.15 * depth:
            within_15_percent.add(star)
    # For the deep ones noise is no excuse, the eclipsing binary among them.
    assert within_15_percent == {
        25155310, 149603524, 231663901, 281459670, 402026209, 86396382, ECLIPSING_BINARY,
    }  # fmt: skip


def test_the_300_ppm_of_pi_mensae_c_are_measured(tess: Run) -> None:
    assert np.median(depths(tess, 261136679, 1)) == pytest.approx(300, rel=0.1)


@pytest.mark.parametrize(("file", "star", "planet"), [("wasp-12b", 86396382, 1), ("toi-836b", 440887364, 2)])
def test_depths_per_sector_are_those_that_others_fitted(
    tess: Run, real_data: Path, file: str, star: int, planet: int
) -> None:
    fits = {int(row["sector"]): row for row in read_csv(golden(real_data, f"{file}_multisector_statistics.csv"))}
    for sector in TWO_SECTORS[star]:
        depth, error = (float(fits[sector][name]) for name in ("depth_ppm", "robust_error_ppm"))
        found = np.median(depths(tess, star, planet, sector))
        assert found == pytest.approx(depth, abs=0.03 * depth + 2 * error)


def test_deep_transits_stand_in_the_middle_of_their_windows(tess: Run) -> None:
    deep = {row["uid"] for row in tess.in_transit() if row["depth_measured_ppm"] > 10_000}
    centres = []
    for record in tess.records("raw/*.tfrecord"):
        if record["uid"][0].decode() in deep:
            flux = np.asarray(record["flux"], dtype=np.float64)
            phase = (np.arange(100) - 49.5) / 20
            dip = np.where(np.abs(phase) < 0.75, np.median(flux) - flux, 0)
            centres.append(float((dip * phase).sum() / dip.sum()))
    assert len(centres) == len(deep) > 90
    assert abs(np.median(centres)) < 0.02
    assert np.abs(centres).max() < 0.12


def test_rows_of_twice_the_period_join_the_event_of_their_sibling(tess: Run) -> None:
    without_example = {int(row["item"].split("-")[0]) for row in tess.rejected("tce")}
    assert without_example == {*TWICE_THE_PERIOD, 21132157}
    for star, transits in TWICE_THE_PERIOD.items():
        rows = [row for row in tess.in_transit() if row["target_id"] == star]
        assert len(rows) == transits
        assert len({row["event_id"] for row in rows}) == 1
        # The longer period meets every second transit.
        assert sum(";" in row["tce_uids"] for row in rows) == transits // 2


def test_rows_of_twice_the_period_add_no_transit_where_they_are_exemplified_too(real_data: Path) -> None:
    inputs = InputSettings(disposition_map={"score *": "EB"})
    tces = read_tces(real_data / "transit" / "tables" / "derived_tces.csv", inputs, PlanSettings()).tces
    for star, transits in TWICE_THE_PERIOD.items():
        (event,) = cluster((tce for tce in tces if tce.target_id == star), PlanSettings())
        assert [tce.disposition for tce in event.members] == ["EB", "KP"]
        assert len(predicted_times(event.members, 1325.3, 1353.17, ["EB", "KP"])) == transits


def test_no_transit_is_emitted_twice(tess: Run, signals: list[dict[str, str]]) -> None:
    periods = {(int(row["tic_id"]), int(row["tce_plnt_num"])): float(row["tce_period"]) for row in signals}
    planets: dict[tuple[int, int], list[float]] = defaultdict(list)
    for row in tess.in_transit():
        planets[row["target_id"], row["tce_plnt_num"]].append(row["time"])
    assert planets.keys() == periods.keys()
    for key, times in planets.items():
        orbits = np.diff(sorted(times)) / periods[key]
        np.testing.assert_allclose(orbits, np.maximum(np.round(orbits), 1), atol=1e-6)


def test_stars_without_signal_give_negatives_only(tess: Run) -> None:
    for star in (FLARE_STAR, QUIET_STAR):
        rows = [row for row in tess.examples() if row["target_id"] == star]
        assert len(rows) == 6
        assert {(row["label"], row["transit_example"], row["origin"], row["disposition"]) for row in rows} == {
            (0, 0, "spare", "NONE")
        }


def test_negatives_keep_clear_of_every_row_of_the_table(tess: Run, table: list[dict[str, str]]) -> None:
    for star, rows in by_star(tess.negatives()).items():
        for event in (row for row in table if int(row["tic_id"]) == star):
            period, epoch, hours = (float(event[f"tce_{name}"]) for name in ("period", "time0bk", "duration"))
            for row in rows:
                distance = abs((row["time"] - epoch + period / 2) % period - period / 2)
                assert distance > (1.5 * hours + 2.5 * row["duration_hours"]) / 24


def test_negatives_of_a_star_do_not_overlap(tess: Run) -> None:
    for rows in by_star(tess.negatives()).values():
        for first, second in pairwise(sorted(rows, key=lambda row: row["time"])):
            gap = 2.5 * (first["duration_hours"] + second["duration_hours"]) / 24
            assert second["time"] - first["time"] >= gap - 1e-9


def test_wasp_4_b_is_where_seven_years_of_earlier_transits_put_it(tess: Run, real_data: Path) -> None:
    time, error, orbit = np.loadtxt(golden(real_data, "wasp_4b_transit_times.csv"), skiprows=1).T
    slope, start = np.polyfit(orbit, time - 2457000, 1, w=1 / error)
    times = np.array([row["time"] for row in tess.in_transit() if row["target_id"] == 402026209])
    late = 1440 * (times - start - slope * np.round((times - start) / slope))
    assert len(late) == 18
    # Its orbit shrinks: in this sector it was 82 +- 12 s early (Bouma et al. 2019, AJ 157, 217).
    assert late * 60 == pytest.approx(np.full(18, -82), abs=20)


def test_files_are_known_by_their_headers(tess: Run) -> None:
    files = FILES.read(tess.base / "plan" / "files.parquet").to_pylist()
    names = {(row["target_id"], row["sector"]): Path(row["path"]).name for row in files if row["kind"] == "lc"}
    assert len(names) == 15
    assert names[55525572, 5] == "tic55525572_lc.fits"
    assert [row["time"] for row in tess.in_transit() if row["target_id"] == 55525572] == [
        pytest.approx(2125.846913 - 8 * 83.8962434)
    ]


def test_both_sectors_of_a_star_are_used_and_stand_in_one_split(tess: Run) -> None:
    rows = by_star(tess.examples())
    for star, sectors in TWO_SECTORS.items():
        assert {row["sector"] for row in rows[star] if row["label"]} == sectors
        assert {row["sector"] for row in rows[star] if not row["label"]} == sectors
        assert len({row["split"] for row in rows[star]}) == 1


def test_every_file_of_the_archive_is_accounted_for(tess: Run, real_data: Path) -> None:
    rejected = {Path(row["item"]).name: row["reason"] for row in tess.rejected("archive_file")}
    kepler = [path.name for path in (real_data / "transit").glob("kplr*.fits")]
    assert rejected == dict.fromkeys(kepler, "target_not_in_table") | {
        "test-lc-tess-pimen-corrupted.fits": "unreadable_file",
        "test-lc-tess-pimen-100-cadences.fits": "duplicate_file",
    }
    ledger = tess.ledger()
    assert ledger.expected("archive_file") == len(list_files([real_data / "transit"])) == 21
    # Fifteen light curves and the pixel file, whose five cadences hold no event: its star has no images.
    assert (ledger.kept("archive_file"), ledger.kept("file")) == (16, 16)
    assert not any(row["has_images"] for row in tess.examples())


def test_the_ledger_adds_up(tess: Run, table: list[dict[str, str]]) -> None:
    ledger = tess.ledger()
    examples = tess.examples()
    assert ledger.kinds == ["archive_file", "event", "file", "negative", "spare", "table_row", "target", "tce"]
    assert (ledger.expected("target"), ledger.kept("target")) == (13, 13)
    assert (ledger.expected("table_row"), ledger.kept("table_row")) == (17, 17)
    assert (ledger.expected("tce"), ledger.kept("tce")) == (len(table), 12)
    assert ledger.expected("event") == sum(seen.predicted for seen in EVENTS.values())
    assert ledger.kept("event") == sum(row["transit_example"] for row in examples)
    assert ledger.expected("negative") == ledger.kept("event")
    assert ledger.kept("negative") == sum(not row["transit_example"] and row["origin"] == "own" for row in examples)
    assert ledger.kept("spare") == sum(row["origin"] == "spare" for row in examples)


def test_splits_are_disjoint_and_as_planned(tess: Run) -> None:
    targets = TARGETS.read(tess.base / "plan" / "targets.parquet").to_pylist()
    planned = {row["target_id"]: row["split"] for row in targets}
    assert len(planned) == 13
    assert {(row["target_id"], row["split"]) for row in tess.examples()} == set(planned.items())
    assert set(planned.values()) == set(SPLITS)


def test_every_receipt_verifies(tess: Run) -> None:
    receipts = sorted(tess.base.rglob("*.receipt.json"))
    shards = {path.with_name(path.name.removesuffix(".receipt.json")) for path in receipts}
    assert shards == set(tess.base.rglob("*.tfrecord"))
    assert len(shards) == 2 + 6 + 6
    records = Counter()
    for shard in shards:
        records[shard.relative_to(tess.base).parts[0]] += verify(shard).records or 0
    assert set(records.values()) == {len(tess.examples())}


def test_normalized_windows_are_deepest_at_minus_one(tess: Run) -> None:
    for record in tess.records("norm/*/*.tfrecord"):
        flux = np.asarray(record["flux_norm"])
        assert flux.shape == (100,)
        assert np.isfinite(flux).all()
        assert np.median(flux) == pytest.approx(0, abs=1e-5)
        assert abs(flux[40:60].min()) == pytest.approx(1, abs=1e-5)


def test_centres_of_both_labels_lie_anywhere_within_a_cadence(tess: Run, curves: dict[tuple[int, int], Curve]) -> None:
    for label, rows in (("in transit", tess.in_transit()), ("out of transit", tess.negatives())):
        phases = []
        for row in rows:
            time = curves[row["target_id"], row["sector"]].time
            measured = time[np.isfinite(time)]
            phases.append((row["time"] - measured[np.searchsorted(measured, row["time"]) - 1]) * 720)
        place = np.arange(1, len(phases) + 1) / len(phases)
        # A centre in a gap, or beside a cadence without time, has no phase.
        assert np.abs(np.sort(np.mod(phases, 1)) - place).max() < 1.95 / math.sqrt(len(phases)), label


def test_the_model_is_scored_on_every_example_and_on_the_selected_ones(tess: Run) -> None:
    train = tess.base / "train"
    scores = {(row["split"], row["scope"]): row for row in read_csv(train / "res_eval.csv")}
    counts = Counter()
    for row in read_csv(tess.base / "select" / "balanced" / "counts.csv"):
        if row["reason"] == "kept":
            counts[row["split"], row["label"]] += int(row["examples"])
    for split in SPLITS:
        predictions = read_csv(train / f"preds_{split}.csv")
        assert {row["uid"] for row in predictions} == {row["uid"] for row in tess.examples() if row["split"] == split}
        selected = [row for row in predictions if row["selected"] == "1"]
        assert Counter((split, row["label"]) for row in selected) == {
            key: n for key, n in counts.items() if key[0] == split
        }
        assert all(0 <= float(row["pred_prob"]) <= 1 for row in predictions)
        for scope, members in (("all", predictions), ("selection", selected)):
            row = scores[split, scope]
            assert (int(row["n"]), int(row["n_positive"])) == (len(members), sum(m["label"] == "1" for m in members))
            # Both labels stand in every split, so that everything but precision (of no prediction) is defined.
            told = {name: value for name, value in row.items() if name not in ("split", "scope")}
            assert np.isfinite([float(value) for name, value in told.items() if "precision" not in name]).all()
    # Three epochs on transits as deep as these leave no doubt.
    assert min(float(scores["test", scope]["auc_roc"]) for scope in ("all", "selection")) > 0.95
    assert len(read_csv(train / "history.csv")) == 3


def test_figures_are_drawn(tess: Run) -> None:
    for name in ("class_balance", "rejections", "windows", "masks", "history", "scores"):
        assert (tess.base / "report" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_does_nothing(tess: Run) -> None:
    assert "Nothing to be done" in tess.snakemake()


def predicted(row: dict[str, str], time: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, Any]:
    """Mid-times of a table row within the measured times."""
    period, epoch = float(row["tce_period"]), float(row["tce_time0bk"])
    first = math.ceil((np.nanmin(time) - epoch) / period)
    last = math.floor((np.nanmax(time) - epoch) / period)
    return epoch + period * np.arange(first, last + 1)


def rejected_events(run: Run) -> Iterator[tuple[int, int, int, float, str]]:
    """Star, sector, planet number, mid-time and reason of every rejected event."""
    for row in run.rejected("event"):
        uid, _, time = row["item"].rpartition("_t_")
        star, planet, _ = uid.split("-", 2)
        yield int(star), int(row["detail"].removeprefix("sector ")), int(planet), float(time), row["reason"]


def by_star(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Rows of each star."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["target_id"]].append(row)
    return found


def depths(run: Run, star: int, planet: int, sector: int | None = None) -> list[float]:
    """Measured depths of the transits of a planet, ppm."""
    return [
        row["depth_measured_ppm"]
        for row in run.in_transit()
        if (row["target_id"], row["tce_plnt_num"]) == (star, planet) and sector in (None, row["sector"])
    ]


def golden(real_data: Path, name: str) -> Path:
    """A file of numbers that others measured on these light curves."""
    return real_data / "transit" / "golden" / name


def scatter(rows: list[dict[str, Any]]) -> float:
    """Robust standard deviation of the depths measured in windows without an event, ppm."""
    depths = np.array([row["depth_measured_ppm"] for row in rows])
    return float(1.4826 * np.median(np.abs(depths - np.median(depths))))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
