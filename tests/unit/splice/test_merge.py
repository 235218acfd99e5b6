"""Merging: several datasets become one; what is not alike, or there twice, is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_build import SmallBuild, built, small_settings

from trainyard.splice.check import check_dataset
from trainyard.splice.dedup import dedup
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import inspect_master, open_master
from trainyard.splice.merge import merge
from trainyard.yard.errors import InputError, IntegrityError, LeakageError
from trainyard.yard.files import read_json, write_json

SPLITS = {f"G{i:03d}": "train" if i % 4 else "test" for i in range(12)}


def dataset(folder: Path, genes: list[str], *, split: dict[str, str] | None = None, **sections: Any) -> Path:
    """A dataset of exactly these genes, four per batch."""
    listed = folder / "genes.txt"
    folder.mkdir(parents=True)
    listed.write_text("\n".join(genes))
    selection = {"policy": "custom", "gene_file": listed} | sections.pop("selection", {})
    build = built(folder / "splice", settings=small_settings(selection=selection, **sections))
    build.assembled(splits=split or SPLITS)
    return build.base


NAMES = [f"G{i:03d}" for i in range(12)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("whole") / "w", NAMES)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("first") / "a", NAMES[:8])


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("second") / "b", NAMES[8:])


def rewritten(base: Path, folder: Path, **changes: Any) -> Path:
    """A copy with another manifest."""
    copy = Path(shutil.copytree(base, folder))
    manifest = read_json(copy / "master" / "manifest.json")
    write_json(copy / "master" / "manifest.json", manifest | changes)
    return copy


def test_deduplicated_datasets_merge_like_others(first: Path, second: Path, tmp_path: Path) -> None:
    dedup(first, tmp_path / "lean", genomic=True)
    merge([tmp_path / "lean", second], tmp_path / "merged")
    told, whole = (folder / "full_splice_performance.tsv" for folder in (tmp_path / "merged", tmp_path / "whole"))
    merge([first, second], tmp_path / "whole")
    assert told.read_bytes() == whole.read_bytes()
    lean, other, merged = (inspect_master(folder) for folder in (tmp_path / "lean", second, tmp_path / "merged"))
    assert sum(p.rows for p in merged.parts) == sum(p.rows for p in (*lean.parts, *other.parts))


def test_datasets_of_disjoint_gene_lists_give_what_one_build_gives(
    whole: Path, first: Path, second: Path, tmp_path: Path
) -> None:
    manifest = merge([first, second], tmp_path / "merged")
    one = read_json(whole / "master" / "manifest.json")
    for key in ("parts", "rows", "rows_by_label", "rows_by_pred_type", "genes", "status", "dataset_id", "params_hash"):
        assert manifest[key] == one[key], key
    assert open_master(tmp_path / "merged").to_table().equals(open_master(whole).to_table())
    performance = "full_splice_performance.tsv"
    assert (tmp_path / "merged" / performance).read_text() == (whole / performance).read_text()
    assert [s["rows"] for s in manifest["sources"]] == [
        read_json(b / "master/manifest.json")["rows"] for b in (first, second)
    ]
    wanted, found = (
        read_gene_manifest(b / "master/gene_manifest.csv").drop_columns(["rank", "requested_as"]).to_pylist()
        for b in (whole, tmp_path / "merged")
    )
    assert found == wanted


def test_no_row_is_rewritten_where_no_gene_is_shared(first: Path, second: Path, tmp_path: Path) -> None:
    manifest = merge([first, second], tmp_path / "merged")
    assert [n["rewritten"] for n in manifest["merged_parts"]] == [False, False, False]
    assert (tmp_path / "merged/master/part-00003.parquet").samefile(second / "master/part-00001.parquet")


def test_shared_genes_are_refused_unless_the_first_wins(first: Path, tmp_path: Path) -> None:
    other = dataset(tmp_path / "other", NAMES[6:11])
    with pytest.raises(IntegrityError, match=r"2 genes stand in several of the datasets, first G006, G007"):
        merge([first, other], tmp_path / "merged")
    manifest = merge([first, other], tmp_path / "merged", first_wins=True)
    assert [n["rewritten"] for n in manifest["merged_parts"]] == [False, False, True, False]
    table = open_master(tmp_path / "merged").to_table(columns=["gene_id", "position"])
    keys = set(zip(table["gene_id"].to_pylist(), table["position"].to_pylist(), strict=True))
    assert len(keys) == table.num_rows == manifest["rows"]
    assert sorted(set(table["gene_id"].to_pylist())) == NAMES[:11]
    rows = read_gene_manifest(tmp_path / "merged/master/gene_manifest.csv").to_pylist()
    left = [(r["gene_id"], r["reason"], r["file_name"]) for r in rows if r["status"] == "left_out"]
    assert left == [("G006", "repeated_gene", None), ("G007", "repeated_gene", None)]
    assert len((tmp_path / "merged/full_splice_performance.tsv").read_text().splitlines()) == 1 + 2 * 11
    assert inspect_master(tmp_path / "merged").rows == manifest["rows"]


def test_other_columns_are_never_merged(first: Path, tmp_path: Path) -> None:
    other = dataset(tmp_path / "other", NAMES[8:], features={"kmer_sizes": [2]})
    with pytest.raises(IntegrityError, match="datasets with different columns cannot be merged"):
        merge([first, other], tmp_path / "merged", may_differ=["params", "model", "reference"])


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("reference", {"reference": {"reference_id": "other"}}),
        ("model", {"model": {"model_id": "other"}}),
        ("model", {"model": None}),
        ("params", {"params_hash": "other", "params": {}}),
    ],
)
def test_what_was_not_made_alike_is_refused_unless_it_may_differ(
    first: Path, second: Path, tmp_path: Path, what: Any, changes: dict[str, Any]
) -> None:
    other = rewritten(second, tmp_path / "other", **changes)
    with pytest.raises(IntegrityError, match=rf"its {what} is .*--may-differ {what}"):
        merge([first, other], tmp_path / "merged")
    manifest = merge([first, other], tmp_path / "merged", may_differ=[what])
    assert manifest[what] is None
    assert manifest["sources"][1][what] == changes[what]


def test_a_cluster_in_two_splits_is_leakage(tmp_path: Path) -> None:
    # G000 and G004 overlap on one strand.
    one = dataset(tmp_path / "one", ["G000"], split={"G000": "train"})
    other = dataset(tmp_path / "other", ["G004"], split={"G004": "test"})
    with pytest.raises(LeakageError, match=r"1 locus clusters .* first G000 in test and train.*--drop-splits"):
        merge([one, other], tmp_path / "merged")
    merge([one, other], tmp_path / "merged", drop_splits=True)
    rows = read_gene_manifest(tmp_path / "merged/master/gene_manifest.csv").to_pylist()
    assert [row["split"] for row in rows] == [None, None]


def test_partial_datasets_need_to_be_asked_for_and_give_a_partial_one(first: Path, tmp_path: Path) -> None:
    build = SmallBuild(
        tmp_path / "splice", settings=small_settings(selection={"policy": "custom", "gene_file": _late(tmp_path)})
    )
    build.reference().plan().batches(1)
    build.assembled(partial=True)
    with pytest.raises(InputError, match="incomplete"):
        merge([first, build.base], tmp_path / "merged")
    manifest = merge([first, build.base], tmp_path / "merged", allow_partial=True)
    assert manifest["status"] == "partial 3 of 4"
    assert inspect_master(tmp_path / "merged", allow_partial=True).status == "partial 3 of 4"


def _late(folder: Path) -> Path:
    listed = folder / "late.txt"
    listed.write_text("\n".join([*NAMES[8:], "G007"]))
    return listed


def test_a_gene_that_failed_in_one_and_is_kept_in_another_counts_once(second: Path, tmp_path: Path) -> None:
    listed = tmp_path / "genes.txt"
    listed.write_text("\n".join(["G000", "G008"]))
    chosen = small_settings(selection={"policy": "custom", "gene_file": listed, "max_failed_genes": 0.5})
    build = built(tmp_path / "splice", settings=chosen, failing=("G008",))
    build.assembled(splits=SPLITS)
    for order in ([build.base, second], [second, build.base]):
        out = tmp_path / f"merged-{order[0].parent.name}"
        merge(order, out)
        rows = read_gene_manifest(out / "master/gene_manifest.csv").to_pylist()
        assert sorted(r["status"] for r in rows if r["gene_id"] == "G008") == ["kept", "left_out"]
        assert check_dataset(out).findings[8].passed


def test_nothing_is_written_over_and_nothing_half_stays(first: Path, second: Path, tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    with pytest.raises(InputError, match="merged: is already there"):
        merge([first, second], tmp_path / "merged")
    (second / "full_splice_performance.tsv").rename(tmp_path / "away.tsv")
    try:
        with pytest.raises(InputError, match=r"full_splice_performance.tsv: no such file"):
            merge([first, second], tmp_path / "new")
    finally:
        (tmp_path / "away.tsv").rename(second / "full_splice_performance.tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged"]


def test_one_dataset_or_one_without_manifest_is_no_merge(first: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        merge([first], tmp_path / "merged")
    bare = Path(shutil.copytree(first, tmp_path / "bare"))
    (bare / "master" / "manifest.json").unlink()
    with pytest.raises(InputError, match="assemble the dataset first"):
        merge([first, bare], tmp_path / "merged", allow_partial=True)
