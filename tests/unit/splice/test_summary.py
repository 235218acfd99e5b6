"""A dataset in numbers, compared with what pandas says, and as a page that needs nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built

from trainyard.splice import summary as module
from trainyard.splice.master import inspect_master
from trainyard.splice.page import page
from trainyard.splice.summary import summarize
from trainyard.yard.errors import InputError
from trainyard.yard.files import write_json


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    build = built(tmp_path_factory.mktemp("finished") / "splice")
    build.assembled()
    return build


@pytest.fixture(scope="module")
def told(finished: SmallBuild) -> dict[str, Any]:
    return summarize(finished.base)


def test_counts_are_those_of_the_rows(finished: SmallBuild, told: dict[str, Any]) -> None:
    frame = inspect_master(finished.base).dataset.to_table().to_pandas()
    assert told["rows"] == len(frame) == sum(part["rows"] for part in told["parts"])
    assert told["genes"] == frame.gene_id.nunique() == 12
    assert told["labels"] == {"neither": 882, "donor": 24, "acceptor": 24}
    assert told["pred_types"] == frame.pred_type.value_counts().to_dict()
    assert told["strata"] == frame.stratum.value_counts().to_dict()
    # In each of four overlapping pairs, either gene leaves out a site of the other.
    assert told["rows_before_trimming"] == 12 * 900 - 8
    assert told["status"] == "complete"
    assert told["licence"] == "none"
    assert told["rows_per_gene"]["0.5"] == frame.gene_id.value_counts().median()


def test_columns_have_their_extremes_quantiles_and_faults(finished: SmallBuild, told: dict[str, Any]) -> None:
    frame = inspect_master(finished.base).dataset.to_table().to_pandas()
    for name in ("donor_score", "donor_peak_height_ratio", "1mer_A", "position", "dist_to_3p"):
        column = told["columns"][name]
        assert (column["min"], column["max"]) == (frame[name].min(), frame[name].max())
        assert column["quantiles"]["0.95"] == pytest.approx(np.quantile(frame[name].astype(float), 0.95), rel=1e-6)
        assert (column["nulls"], column["nans"], column["infinite"]) == (0, 0, 0)
    assert told["columns"]["gene_id"] == {"type": "string", "nulls": 0}
    assert list(told["columns"]) == list(frame.columns)


def test_motifs_and_scores_are_told_by_label(finished: SmallBuild, told: dict[str, Any]) -> None:
    frame = inspect_master(finished.base).dataset.to_table().to_pandas()
    assert told["motif_share_by_label"]["donor_is_gt"]["donor"] == 1.0
    assert told["motif_share_by_label"]["acceptor_is_ag"]["acceptor"] == 1.0
    other = frame[frame.label == 0]
    assert told["motif_share_by_label"]["donor_is_gt"]["neither"] == pytest.approx(other.donor_is_gt.mean())
    histogram = told["score_histograms"]["donor_score"]["donor"]
    wanted, _ = np.histogram(frame.donor_score[frame.label == 1], bins=20, range=(0, 1))
    assert histogram == wanted.tolist()


def test_missing_and_infinite_values_are_counted_apart(tmp_path: Path) -> None:
    values = pa.array([1.0, None, float("nan"), float("inf"), -2.0])
    pq.write_table(
        pa.table({"x": values, "n": pa.array([1, None, 3, 4, 5]), "flag": [True] * 5}), tmp_path / "a.parquet"
    )
    told = summarize(tmp_path)
    x = told["columns"]["x"]
    assert (x["nulls"], x["nans"], x["infinite"], x["min"], x["max"], x["sample"]) == (1, 1, 1, -2.0, 1.0, 2)
    assert (told["columns"]["n"]["nulls"], told["columns"]["n"]["max"]) == (1, 5)
    assert told["columns"]["flag"]["min"] == 1
    assert (told["status"], told["labels"], told["genes"]) == ("of another program", {}, 0)
    write_json(tmp_path / "s.json", told)


def test_a_published_dataset_gets_its_labels_from_splice_type(tmp_path: Path) -> None:
    table = pa.table({"splice_type": ["donor", None, "acceptor", "donor"], "donor_score": [0.9, 0.1, 0.2, 1.0]})
    pq.write_table(table, tmp_path / "batch_00001.parquet")
    told = summarize(tmp_path)
    assert told["labels"] == {"neither": 1, "donor": 2, "acceptor": 1}
    assert told["score_histograms"]["donor_score"]["donor"][18:] == [1, 1]
    assert "batch_00001.parquet" in page(told, title="x")


def test_a_sample_gives_quantiles_close_to_those_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"x": np.arange(20_000) / 20_000}), tmp_path / "a.parquet")
    monkeypatch.setattr(module, "SAMPLE_ROWS", 2_000)
    column = summarize(tmp_path)["columns"]["x"]
    assert 1_800 < column["sample"] < 2_200
    assert column["quantiles"]["0.5"] == pytest.approx(0.5, abs=0.05)
    assert (column["min"], column["max"]) == (0, 19_999 / 20_000)


class Tags(HTMLParser):
    """Collects what a page refers to, and checks that its tables are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag in ("table", "tr", "td", "svg", "figure"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("table", "tr", "td", "svg", "figure"):
            assert self.open.pop() == tag


def test_the_page_needs_nothing_from_outside_and_escapes_what_it_shows(told: dict[str, Any]) -> None:
    text = page(told | {"licence": "<script>alert(1)</script>"}, title="a & b")
    tags = Tags()
    tags.feed(text)
    assert tags.references == [] and tags.open == []
    assert not re.search(r"https?://|@import|url\(", text)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "<h1>a &amp; b</h1>" in text
    assert "donor_motif_score" in text and "1mer_A" in text


def test_the_same_rows_give_the_same_page(finished: SmallBuild, told: dict[str, Any]) -> None:
    assert page(summarize(finished.base), title="x") == page(told, title="x")


def test_nothing_to_summarize_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table below"):
        summarize(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match=r"x.parquet: not a Parquet file"):
        summarize(tmp_path)
