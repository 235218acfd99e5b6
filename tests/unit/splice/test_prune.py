"""Pruning: constant and repeated columns go, and only train rows are asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_rows import Simulated, write_simulated

from trainyard.splice.prune import (
    CONSTANT,
    CORRELATED,
    NOTHING,
    Pair,
    Pruning,
    fit_pruning,
    prune,
    read_pruning,
    write_pruning,
)
from trainyard.splice.settings import SplicePruneSettings
from trainyard.yard.errors import InputError, IntegrityError
from workflow_scripts import splice_prune

GENES = {"genes": 20, "rows": 60}
MIRRORED = {"score_difference_ratio", "donor_acceptor_diff"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Simulated:
    return write_simulated(tmp_path_factory.mktemp("simulated"), **GENES)


def dropped(pruning: Pruning, simulated: Simulated) -> dict[str, str]:
    names = [column.name for column in simulated.rows().master.features]
    return {found.name: found.reason for found in pruning.drop(names)}


def test_constant_columns_and_one_of_two_mirror_images_go(simulated):
    gone = dropped(fit_pruning(simulated.rows(), SplicePruneSettings()), simulated)
    assert gone["gc_content"] == CONSTANT
    assert [gone[name] for name in MIRRORED & gone.keys()] == [CORRELATED]
    assert not {"donor_score", "donor_motif_score", "gene_length"} & gone.keys()


def test_the_correlation_is_that_of_numpy(simulated):
    data = simulated.rows()
    names = ("donor_score", "acceptor_score", "neither_score", "donor_motif_score")
    rows = np.concatenate(list(data.pieces("train", names)))
    wanted = np.corrcoef(rows.astype(np.float64), rowvar=False)
    found = fit_pruning(data, SplicePruneSettings(corr_thr=0.05))
    rho = {(pair.first, pair.second): pair.rho for pair in found.pairs}
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            pair = tuple(sorted((names[i], names[j])))
            if abs(wanted[i, j]) > 0.05:
                assert rho[pair] == pytest.approx(wanted[i, j], abs=1e-7)
            else:
                assert pair not in rho


def test_values_of_other_splits_play_no_part(simulated, tmp_path):
    """In val and test all is turned round: what is constant varies, what repeats does not, and labels lie."""

    def change(name, columns):
        if split[name] != "train":
            rows = len(columns["label"])
            columns["gc_content"] = np.linspace(0, 1, rows, dtype=np.float32)
            columns["donor_acceptor_diff"] = np.linspace(1, 5, rows, dtype=np.float32)
            columns["label"] = (1 - np.minimum(columns["label"], 1)).astype(np.int8)

    table = simulated.rows()
    split = {gene: name for name in ("train", "val", "test") for gene in table.rows(name).genes}
    other = write_simulated(tmp_path, change=change, **GENES)
    one, two = (fit_pruning(data, SplicePruneSettings()) for data in (table, other.rows()))
    assert (one.constant, one.pairs, one.auprc) == (two.constant, two.pairs, two.auprc)


def test_how_the_dataset_is_cut_into_parts_does_not_matter(simulated, tmp_path):
    other = write_simulated(tmp_path, genes_per_part=3, **GENES)
    assert fit_pruning(simulated.rows(), SplicePruneSettings()) == fit_pruning(other.rows(), SplicePruneSettings())


def test_of_a_pair_the_column_that_ranks_sites_worse_goes_and_of_equal_ones_the_later_name():
    pairs = (Pair("a", "b", 1.0), Pair("c", "d", 0.995))
    found = Pruning((), pairs, {"a": 0.2, "b": 0.9, "c": 0.5, "d": 0.5}, {}).drop(["a", "b", "c", "d"])
    assert [(gone.name, gone.partner) for gone in found] == [("a", "b"), ("d", "c")]


def test_a_column_that_is_gone_takes_no_other_with_it():
    pairs = (Pair("a", "b", 1.0), Pair("b", "c", 0.995))
    strength = {"a": 0.9, "b": 0.5, "c": 0.1}
    assert [gone.name for gone in Pruning((), pairs, strength, {}).drop(["a", "b", "c"])] == ["b"]
    # Without a there is nobody in b's place, so now c goes.
    assert [gone.name for gone in Pruning((), pairs, strength, {}).drop(["b", "c"])] == ["c"]


def test_columns_with_missing_values_are_correlated_with_none_and_constant_only_if_empty(tmp_path):
    def change(name, columns):
        columns["score_difference_ratio"] = np.where(np.arange(60) == 3, np.nan, columns["score_difference_ratio"])
        columns["donor_ctx_m1"] = np.full(60, np.nan)

    holed = write_simulated(tmp_path, change=change, nullable=("score_difference_ratio", "donor_ctx_m1"), **GENES)
    found = fit_pruning(holed.rows(), SplicePruneSettings())
    assert "donor_ctx_m1" in found.constant
    assert not [pair for pair in found.pairs if "score_difference_ratio" in (pair.first, pair.second)]


def test_correlations_of_too_many_columns_are_left_out_and_this_is_said(simulated, tmp_path):
    settings = SplicePruneSettings(max_columns=2)
    prune(simulated.master, simulated.splits, tmp_path / "pruned.json", settings)
    found = read_pruning(tmp_path / "pruned.json")
    assert not found.pairs
    assert found.constant
    assert found.fitted_on["correlations"] is False


def test_a_sample_is_the_same_each_time_and_of_about_the_wanted_size(simulated):
    settings = SplicePruneSettings(sample_rows=200)
    one, two = (fit_pruning(simulated.rows(), settings) for _ in range(2))
    assert one == two
    assert 140 < one.fitted_on["rows_looked_at"] < 260
    assert one.fitted_on["rows"] == 12 * 60


def test_the_command_writes_reasons_partners_and_what_it_was_fitted_on(simulated, tmp_path, capsys):
    out = tmp_path / "pruned_features.json"
    options = ["--master", str(simulated.master), "--splits", str(simulated.splits), "--out", str(out)]
    splice_prune.main([*options, "--settings", SplicePruneSettings().model_dump_json()])
    told = json.loads(out.read_text())
    assert told["fitted_on"]["split"] == "train"
    by_name = {row["name"]: row for row in told["pruned"]}
    (pair,) = (row for row in by_name.values() if row["name"] in MIRRORED)
    assert {pair["name"], pair["partner"]} == MIRRORED
    assert pair["rho"] == pytest.approx(-1)
    assert f"{len(by_name)} features pruned" in capsys.readouterr().out


def test_switched_off_it_prunes_nothing(simulated, tmp_path):
    assert prune(simulated.master, simulated.splits, tmp_path / "p.json", SplicePruneSettings(enabled=False)) == []
    assert read_pruning(tmp_path / "p.json") == NOTHING


def test_what_is_written_is_read_back(tmp_path):
    found = Pruning(("x",), (Pair("a", "b", -0.999),), {"a": 0.5, "b": 0.25}, {"rows": 3})
    write_pruning(tmp_path / "p.json", found, ["a", "b", "x"], SplicePruneSettings())
    assert read_pruning(tmp_path / "p.json") == found


def test_without_train_rows_it_says_so(tmp_path):
    names = {f"G{gene:04d}": "test" for gene in range(4)}
    empty = write_simulated(tmp_path, genes=4, rows=20, splits=names)
    with pytest.raises(InputError, match="no row is in train"):
        fit_pruning(empty.rows(), SplicePruneSettings())


def test_another_file_is_no_list_of_pruned_features(tmp_path):
    (tmp_path / "p.json").write_text('{"format": "other", "version": 1}')
    with pytest.raises(IntegrityError, match="prune again"):
        read_pruning(tmp_path / "p.json")
