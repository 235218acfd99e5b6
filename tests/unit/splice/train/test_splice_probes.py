"""Probes and ablations: silent where nothing leaks, and the end of a build where something does."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from simulated_rows import write_simulated

from trainyard.splice.prune import prune
from trainyard.splice.settings import SplicePruneSettings, SpliceTrainSettings
from trainyard.splice.train.ablation import in_fewer_rounds
from trainyard.splice.train.fit import checked_pruning, choose_columns
from trainyard.splice.train.probes import (
    OTHERS,
    TOLERANCE,
    Sample,
    chosen_rows,
    macro_auroc,
    run_probes,
    shuffled_labels,
)
from trainyard.splice.train.probes import _sample as sample_of
from trainyard.splice.train.sanity import probe
from trainyard.yard.errors import LeakageError
from workflow_scripts import splice_probe


def columns_of(simulated, settings):
    data = simulated.rows()
    return data, choose_columns(data, checked_pruning(simulated.pruned, data), settings)[0]


@pytest.mark.parametrize("target", ["multiclass", "binary"])
@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_labels_score_one_half_although_the_true_ones_are_learned_easily(simulated, quick, target, seed):
    settings = quick.model_copy(update={"target": target, "seed": seed})
    shuffled, missing = run_probes(*columns_of(simulated, settings), settings)
    assert shuffled.name == "shuffled_labels"
    assert shuffled.auroc == pytest.approx(0.5, abs=TOLERANCE)
    assert shuffled.band == TOLERANCE
    assert shuffled.deals > 1
    assert missing.auroc == 0.5


def test_scores_that_know_the_labels_that_were_dealt_out_are_found_out(simulated, quick):
    """Judged on the rows that it was learned from, a model does know them."""
    data, columns = columns_of(simulated, quick)
    learn = sample_of(data, ("train",), columns, quick)
    found = shuffled_labels(learn, learn, quick)
    assert found.auroc > 0.55
    assert not found.passed
    assert len(found.columns) == 5


def test_dealing_out_keeps_the_classes_of_each_gene_and_ignores_other_genes():
    target = np.array([0, 0, 0, 1, 2, 0, 1, 0, 0, 2], np.int8)
    gene = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], np.int32)
    both = Sample(("x",), np.zeros((10, 1), np.float32), target, ("a", "b"), gene, 3)
    alone = Sample(("x",), np.zeros((5, 1), np.float32), target[5:], ("b",), np.zeros(5, np.int32), 3)
    deals = [both.dealt(1, deal) for deal in range(20)]
    for deal, found in enumerate(deals):
        assert sorted(found[:5]) == sorted(target[:5])
        np.testing.assert_array_equal(found[5:], alone.dealt(1, deal))
    assert len({found.tobytes() for found in deals}) > 5


def test_a_probe_looks_at_all_sites_and_a_few_others_of_each_gene(simulated):
    rows = simulated.rows().rows("train")
    keep = chosen_rows(rows, 3)
    assert keep[rows.label > 0].all()
    for mine in rows.by_gene:
        sites = int((rows.label[mine] > 0).sum())
        assert keep[mine].sum() == (1 + OTHERS) * sites


def test_the_macro_area_is_the_mean_over_classes_and_knows_perfect_scores():
    target = np.array([0, 1, 2, 0, 1, 2], np.int8)
    gene = np.zeros(6, np.int32)
    assert macro_auroc(np.eye(3, dtype=np.float32)[target], target, gene)[0] == 1.0
    assert macro_auroc(np.zeros((6, 3), np.float32), target, gene)[0] == 0.5
    assert np.isnan(macro_auroc(np.zeros((6, 3), np.float32), np.zeros(6, np.int8), gene)[0])


def leaky(folder, *, share):
    """A column that is missing in so many sites, and in no other row."""

    def change(name, columns):
        site = columns["label"] > 0
        gone = site & (np.arange(site.size) % 10 < 10 * share)
        columns["donor_ctx_m1"] = np.where(gone, np.nan, columns["donor_ctx_m1"])

    made = write_simulated(folder, change=change, nullable=("donor_ctx_m1",))
    prune(made.master, made.splits, made.pruned, SplicePruneSettings())
    return made


def test_values_that_are_missing_because_of_the_label_end_the_build_and_are_named(tmp_path, quick):
    made = leaky(tmp_path, share=0.5)
    with pytest.raises(LeakageError, match=r"missingness_only: AUROC 0\.[67].*columns donor_ctx_m1"):
        probe(made.master, made.splits, made.pruned, tmp_path / "out", quick)
    told = json.loads((tmp_path / "out" / "probes.json").read_text())
    assert [one["passed"] for one in told["probes"]] == [True, False]


def test_values_that_are_missing_anywhere_are_no_leak(tmp_path, quick):
    def change(name, columns):
        gone = np.random.default_rng(len(name) + int(name[1:])).random(120) < 0.3
        columns["donor_ctx_m1"] = np.where(gone, np.nan, columns["donor_ctx_m1"])

    made = write_simulated(tmp_path, change=change, nullable=("donor_ctx_m1",))
    prune(made.master, made.splits, made.pruned, SplicePruneSettings())
    missing = run_probes(*columns_of(made, quick), quick)[1]
    assert missing.deals == 1
    assert missing.passed
    assert not missing.columns


def test_the_command_writes_probes_and_ablations(simulated, quick, tmp_path, capsys):
    options = ["--master", str(simulated.master), "--splits", str(simulated.splits), "--pruned", str(simulated.pruned)]
    splice_probe.main([*options, "--settings", quick.model_dump_json(), "--out", str(tmp_path)])
    assert "shuffled_labels AUROC 0.5" in capsys.readouterr().out.replace("0.49", "0.5")
    assert json.loads((tmp_path / "probes.json").read_text())["enabled"] is True
    with (tmp_path / "ablations.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows)[:4] == ["base model", "all", "base", "+ context"]
    assert float(rows["all"]["delta_to_all"]) == 0.0
    # Motifs know what the base model does not; the rest of the families are noise.
    assert float(rows["without motif"]["delta_to_all"]) < -0.1
    assert float(rows["without kmer"]["delta_to_all"]) > -0.1
    assert float(rows["base model"]["delta_to_all"]) < -0.1
    families = [row["families"] for row in rows.values()]
    assert len(set(families)) == len(families)


def test_what_is_switched_off_leaves_files_that_say_so(simulated, quick, tmp_path):
    settings = quick.model_copy(update={"probes": False, "ablations": False})
    assert probe(simulated.master, simulated.splits, simulated.pruned, tmp_path, settings) == []
    assert json.loads((tmp_path / "probes.json").read_text())["enabled"] is False
    assert len((tmp_path / "ablations.csv").read_text().splitlines()) == 1


def test_ablations_grow_fewer_trees_in_longer_steps():
    found = in_fewer_rounds(SpliceTrainSettings(rounds=300, ablation_rounds=100, early_stopping_rounds=30))
    assert (found.rounds, found.early_stopping_rounds) == (100, 10)
    assert found.parameters == {"learning_rate": pytest.approx(0.15)}
    steep = SpliceTrainSettings(rounds=400, ablation_rounds=100, parameters={"eta": 0.5, "max_depth": 3})
    assert in_fewer_rounds(steep).parameters == {"eta": 1.0, "max_depth": 3}
    for same in (SpliceTrainSettings(rounds=80), SpliceTrainSettings(model="sgd_logistic")):
        assert in_fewer_rounds(same) is same
