"""Raw shards: complete, accounted for, and the same bytes whoever builds them with whom."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from built_shards import Shard
from light_curve_files import write_curve
from synthetic_stars import START, make_file, make_star, make_tce, write_star_files

from trainyard.transit import build
from trainyard.transit.curves import CURVES
from trainyard.transit.reasons import Reason
from trainyard.transit.schema import DATA_TBL_COLUMNS, EXAMPLES
from trainyard.yard.errors import EnvironmentFault
from trainyard.yard.examples import decode_example
from trainyard.yard.receipts import verify

PLANET = make_tce("7-1-S1-2", run="1-2", sectors=(1, 2), period=1.5, epoch=START + 0.7)
AGAIN = make_tce("7-1-S1", period=1.5, epoch=START + 0.71)
UNKNOWN = make_tce("7-2-S2", run="2", sectors=(2,), disposition="UNK", period=4.0, epoch=START + 1.4)
BINARY = make_tce("8-1-S1", disposition="EB", period=1.1, epoch=START + 0.3003, hours=2.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Files of a planet host (two sectors, the first with pixels), a binary with pixels, and a quiet star."""
    folder = tmp_path_factory.mktemp("archive")
    planet = write_star_files(folder, [PLANET], pixels=True, flags=[(500, 520)], missing=[(1500, 1700)])
    return {
        7: planet + write_star_files(folder, [PLANET, UNKNOWN], sector=2, start=START + 27),
        8: write_star_files(folder, [BINARY], target=8, pixels=True),
        9: write_star_files(folder, [], target=9),
    }


@pytest.fixture(scope="module")
def stars(archive):
    return {
        7: make_star([PLANET, AGAIN, UNKNOWN], archive[7]),
        8: make_star([BINARY], archive[8], 8),
        9: make_star([], archive[9], 9),
    }


@pytest.fixture(scope="module")
def shard(stars, tmp_path_factory):
    return Shard(tmp_path_factory.mktemp("shard"), *stars.values())


def damaged(star, folder, spoil, *, kind="lc", sector=1):
    """The star with one of its files replaced by what `spoil` makes of its bytes."""
    files = []
    for file in star.files:
        if (file.kind, file.sector) == (kind, sector):
            path = folder / f"spoilt-{kind}-{sector}.fits"
            path.write_bytes(spoil(Path(file.path).read_bytes()))
            files.append(dataclasses.replace(file, path=str(path)))
        else:
            files.append(file)
    return dataclasses.replace(star, files=tuple(files))


def test_a_shard_has_its_published_files(shard):
    assert set(shard.bytes) == {
        "raw_shard_0001-0002.tfrecord",
        "raw_shard_0001-0002.tfrecord.receipt.json",
        "data_tbl_0001-0002.csv",
        "examples_0001-0002.parquet",
        "curves_0001-0002.parquet",
        "ledger_0001-0002.json",
    }


def test_records_rows_and_receipt_agree(shard):
    receipt = verify(shard.raw)
    assert receipt.records == len(shard.records) == len(shard.rows) > 20
    assert receipt.schema == EXAMPLES.digest
    assert [row["example_i"] for row in shard.rows] == list(range(len(shard.rows)))
    for row, record in zip(shard.rows, shard.records, strict=True):
        features = decode_example(record)
        assert features["uid"] == [row["uid"].encode()]
        assert features["label"] == [str(row["label"]).encode()]
        assert ("diff_img" in features) == row["has_images"]
    assert len({row["uid"] for row in shard.rows}) == len(shard.rows)


def test_every_tce_has_a_row_with_its_examples_also_one_without_any(shard):
    tces = shard.tces
    assert list(tces["7-1-S1"]) == list(DATA_TBL_COLUMNS)
    assert set(tces) == {"7-1-S1-2", "7-1-S1", "7-2-S2", "8-1-S1"}
    counts = Counter((row["tce_uid"], row["transit_example"]) for row in shard.rows)
    for uid, row in tces.items():
        assert row["n_transit_examples"] == f"{counts[uid, 1]}.0"
        assert row["n_not_transit_examples"] == f"{counts[uid, 0]}.0"
        assert row["tfrec_fn"] == "raw_shard_0001-0002.tfrecord"
    assert tces["7-1-S1"]["n_transit_examples"] == "0.0"
    assert float(tces["8-1-S1"]["tce_period"]) == 1.1


def test_every_item_is_kept_or_rejected_for_a_reason(shard):
    ledger = shard.ledger
    kinds = {kind: (ledger.expected(kind), ledger.kept(kind)) for kind in ledger.kinds}
    in_transit = sum(row["transit_example"] for row in shard.rows)
    own = sum(row["origin"] == "own" for row in shard.rows) - in_transit
    assert kinds["file"] == (6, 6)
    assert kinds["tce"] == (4, 2)
    assert kinds["event"][1] == in_transit
    assert kinds["negative"] == (in_transit, own)
    assert shard.rejected("tce") == {"7-1-S1": Reason.SAME_EVENT, "7-2-S2": Reason.NOT_EXEMPLIFIED}
    ledger.check()


def test_images_are_there_where_pixels_are(shard):
    images = {(row["target_id"], row["sector"], row["has_images"]) for row in shard.rows}
    assert images == {(7, 1, True), (7, 2, False), (8, 1, True), (9, 1, False)}


def test_the_difference_image_of_a_transit_peaks_at_the_star(shard):
    transit = next(k for k, row in enumerate(shard.rows) if row["target_id"] == 8 and row["transit_example"])
    row = shard.rows[transit]
    assert row["depth_measured_ppm"] == pytest.approx(10_000, rel=0.02)
    assert row["in_transit_fraction"] == pytest.approx(0.2, abs=0.01)


def test_missing_and_flagged_cadences_cost_the_windows_around_them(shard):
    """Events at 0.7, 2.2, 3.7 and 5.2 d; flags in the middle of the first, times missing through the second."""
    place = {"target_id": 7, "sector": 1, "transit_example": 1}
    kept = [row["time"] - START for row in shard.rows if place.items() <= row.items()]
    assert kept == pytest.approx([3.7, 5.2])
    lost = [row for row in shard.ledger.rejections if row["kind"] == "event" and row["detail"] == "sector 1"]
    assert [row["reason"] for row in lost if row["item"].startswith("7-")] == [
        Reason.LOW_GOOD_FRACTION_CENTER,
        Reason.LOW_GOOD_FRACTION_WINDOW,
    ]


def test_two_builds_give_the_same_bytes(stars, shard, tmp_path):
    assert Shard(tmp_path, *stars.values()).bytes == shard.bytes


@pytest.mark.parametrize("order", [(9, 8, 7), (7,), (8, 9)])
def test_examples_of_a_star_do_not_depend_on_the_others_of_its_shard(stars, shard, order, tmp_path):
    reference = shard.by_star()
    other = Shard(tmp_path, *(stars[star] for star in order), shard=7, num_shards=9)
    assert other.by_star() == {star: reference[star] for star in order}


def test_the_order_of_rows_and_files_does_not_matter(stars, shard, tmp_path):
    star = stars[7]
    shuffled = dataclasses.replace(star, tces=star.tces[::-1])
    assert Shard(tmp_path, shuffled).by_star()[7] == shard.by_star()[7]


def test_an_empty_shard_is_whole(tmp_path):
    empty = Shard(tmp_path)
    assert (empty.records, empty.rows, empty.tces) == ([], [], {})
    assert verify(empty.raw).records == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[: len(content) // 2], Reason.UNREADABLE),
        (lambda content: b"", Reason.UNREADABLE),
        (lambda content: b"<html>not found</html>", Reason.UNREADABLE),
    ],
)
def test_a_broken_sector_loses_only_itself(stars, shard, tmp_path, spoil, reason):
    broken = damaged(stars[7], tmp_path, spoil)
    other = Shard(tmp_path / "out", broken, stars[8])
    assert {(row["target_id"], row["sector"]) for row in other.rows} == {(7, 2), (8, 1)}
    assert list(other.rejected("file").values()) == [reason, reason]
    reference = [record for row, record in zip(shard.rows, shard.records, strict=True) if row["sector"] == 2]
    assert other.by_star()[7] == reference
    assert other.by_star()[8] == shard.by_star()[8]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"PDCSAP_FLUX": np.full(500, np.nan)}, Reason.NO_FINITE_FLUX),
        ({"QUALITY": np.full(500, 128)}, Reason.NO_FINITE_FLUX),
        ({"PDCSAP_FLUX": np.full(500, -3.0)}, Reason.NON_POSITIVE_FLUX),
        ({"CADENCENO": np.zeros(500)}, Reason.UNREADABLE),
    ],
)
def test_a_sector_without_usable_flux_is_rejected_alone(stars, tmp_path, columns, reason):
    base = {
        "TIME": START + np.arange(500) / 720,
        "CADENCENO": np.arange(500),
        "PDCSAP_FLUX": np.ones(500),
        "PDCSAP_FLUX_ERR": np.ones(500),
        "QUALITY": np.zeros(500),
    }
    path = write_curve(tmp_path / "bad.fits", base | columns)
    star = make_star([BINARY], [*stars[8].files, make_file(8, sector=3, path=str(path))], 8)
    found = Shard(tmp_path / "out", star)
    assert found.rejected("file") == {str(path): reason}
    assert {row["sector"] for row in found.rows} == {1}


def test_a_tce_whose_only_sector_is_broken_has_no_light_curve(stars, tmp_path):
    found = Shard(tmp_path / "out", damaged(stars[8], tmp_path, lambda content: b""))
    assert found.rejected("tce") == {"8-1-S1": Reason.NO_LIGHT_CURVE}
    assert found.rows == []


def test_an_unexpected_error_loses_one_sector_and_is_logged(stars, shard, tmp_path, monkeypatch, caplog):
    real = build.read_sector

    def fail_once(file, *rest):
        if (file.target_id, file.sector) == (7, 1):
            raise ZeroDivisionError("a bug")
        return real(file, *rest)

    monkeypatch.setattr(build, "read_sector", fail_once)
    found = Shard(tmp_path, stars[7], stars[8])
    assert {row["reason"] for row in found.ledger.rejections if row["kind"] == "file"} == {Reason.UNEXPECTED}
    assert {row["detail"] for row in found.ledger.rejections if row["kind"] == "file"} == {"ZeroDivisionError: a bug"}
    assert {(row["target_id"], row["sector"]) for row in found.rows} == {(7, 2), (8, 1)}
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("error", [MemoryError, lambda: EnvironmentFault("disk full"), KeyboardInterrupt])
def test_a_failing_machine_stops_the_build_and_leaves_no_shard(stars, tmp_path, monkeypatch, error):
    def fail(*_):
        raise error()

    monkeypatch.setattr(build, "read_sector", fail)
    with pytest.raises((MemoryError, EnvironmentFault, KeyboardInterrupt)):
        Shard(tmp_path, stars[8])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tce", "reason"),
    [
        (make_tce("8-1-S5", run="5", sectors=(5,)), Reason.NO_LIGHT_CURVE),
        (make_tce("8-1-S1", period=300.0, epoch=START + 50), Reason.NO_EVENT_IN_DATA),
        (make_tce("8-1-S1", period=300.0, epoch=START + 0.1), Reason.NO_WINDOW_KEPT),
        (make_tce("8-1-S1", disposition="FP"), Reason.NOT_EXEMPLIFIED),
    ],
)
def test_a_tce_without_examples_says_why(archive, tmp_path, tce, reason):
    found = Shard(tmp_path, make_star([tce], archive[8], 8))
    assert found.rejected("tce") == {tce.uid: reason}
    assert not any(row["transit_example"] for row in found.rows)


class TestImages:
    """`images: auto | require | off`, with pixels that are there, missing, or broken."""

    def build(self, folder, star, images):
        return Shard(folder, star, images={"images": images})

    def test_off_reads_no_pixels(self, stars, tmp_path, monkeypatch):
        monkeypatch.setattr(build, "PixelFile", None)
        found = self.build(tmp_path, stars[7], "off")
        assert not any(row["has_images"] for row in found.rows)
        assert found.ledger.kept("file") == 3

    def test_require_rejects_what_has_none_and_the_sums_hold(self, stars, shard, tmp_path):
        found = self.build(tmp_path, stars[7], "require")
        assert {(row["sector"], row["has_images"]) for row in found.rows} == {(1, True)}
        assert set(found.rejected("event").values()) >= {Reason.NO_PIXEL_FILE}
        for kind in ("event", "negative"):
            assert found.ledger.rejected(kind, Reason.NO_PIXEL_FILE) > 0
        reference = [record for row, record in zip(shard.rows, shard.records, strict=True) if row["target_id"] == 7]
        assert found.records == reference[: len(found.records)]

    @pytest.mark.parametrize("images", ["auto", "require"])
    def test_broken_pixels_cost_the_images_alone(self, stars, tmp_path, images):
        star = damaged(stars[8], tmp_path, lambda content: content[: len(content) // 2], kind="tp")
        found = self.build(tmp_path / "out", star, images)
        assert list(found.rejected("file").values()) == [Reason.UNREADABLE]
        assert found.ledger.kept("file") == 1
        if images == "auto":
            assert found.rows
            assert not any(row["has_images"] for row in found.rows)
        else:
            assert found.rows == []
            assert found.rejected("tce") == {"8-1-S1": Reason.NO_WINDOW_KEPT}

    def test_pixels_without_light_curve_are_rejected(self, stars, tmp_path):
        lonely = make_star([BINARY], [file for file in stars[8].files if file.kind == "tp"], 8)
        found = self.build(tmp_path, lonely, "auto")
        assert list(found.rejected("file").values()) == [Reason.NO_LIGHT_CURVE]
        assert found.rejected("tce") == {"8-1-S1": Reason.NO_LIGHT_CURVE}


def test_settings_of_the_light_curve_reach_it(stars, tmp_path):
    """Without quality bits the flagged event at 0.7 d counts as good."""
    found = Shard(tmp_path, stars[7], light_curves={"quality_bitmask": 0})
    kept = [row["time"] - START for row in found.rows if row["sector"] == 1 and row["transit_example"]]
    assert kept == pytest.approx([0.7, 3.7, 5.2])


def test_how_every_light_curve_was_prepared_is_recorded(stars, shard, tmp_path):
    columns = ("quality_bitmask", "pixel_quality_bitmask", "detrend_method", "detrend_order", "detrend_window_days")

    def recorded(shard):
        return [
            tuple(row[name] for name in columns) for row in CURVES.read(shard.path("curves_{}.parquet")).to_pylist()
        ]

    assert [row[:4] for row in recorded(shard)] == [
        (17087, 17087, "off", None),
        (17087, None, "off", None),
        (17087, 17087, "off", None),
        (17087, None, "off", None),
    ]
    found = Shard(
        tmp_path,
        stars[8],
        light_curves={"detrend": "savgol", "savgol_order": "auto", "quality_bitmask": 175},
        images={"quality_bitmask": 65535},
    )
    ((bitmask, pixel_bitmask, method, order, window),) = recorded(found)
    assert (bitmask, pixel_bitmask, method, window) == (175, 65535, "savgol", 1.2)
    assert order in range(4)


def test_a_tce_that_cannot_be_masked_has_a_row_and_takes_the_negatives_of_its_star(stars, tmp_path):
    nowhere = dataclasses.replace(make_tce("8-2-S1", period=3.0), duration_hours=float("nan"))
    star = make_star([BINARY, nowhere], stars[8].files, 8)
    found = Shard(tmp_path, star)
    assert all(row["transit_example"] for row in found.rows)
    assert found.rejected("tce") == {"8-2-S1": Reason.NO_EPHEMERIS}
    assert found.ledger.rejected("negative", Reason.NO_EPHEMERIS) == len(found.rows) > 0
    assert found.ledger.rejected("spare", Reason.NO_EPHEMERIS) == 6
    assert set(found.tces) == {"8-1-S1", "8-2-S1"}


def test_light_curves_of_a_few_stars_are_kept_for_the_report(shard):
    rows = CURVES.read(shard.path("curves_{}.parquet")).to_pylist()
    assert [(row["target_id"], row["sector"]) for row in rows] == [(7, 1), (7, 2), (8, 1), (9, 1)]
    kept = [row for row in rows if row["time"] is not None]
    assert [(row["target_id"], row["sector"]) for row in kept] == [(7, 1), (7, 2), (8, 1)]
    binary = kept[-1]
    centres = {
        flag: [row["time"] for row in shard.rows if row["target_id"] == 8 and row["transit_example"] == flag]
        for flag in (0, 1)
    }
    assert (binary["oot_centres"], binary["it_centres"]) == (centres[0], centres[1])
    assert np.array_equal(np.array(binary["flux"]) < 0.995, np.array(binary["true_in_transit"]))
