"""Probes and ablations: silent where nothing leaks, and the end of a build where something does."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_rows import gene_columns, split_of, write_simulated

from trainyard.splice.prune import prune
from trainyard.splice.settings import SplicePruneSettings, SpliceTrainSettings
from trainyard.splice.train.ablation import in_fewer_rounds
from trainyard.splice.train.fit import checked_pruning, choose_columns
from trainyard.splice.train.probes import (
    OTHERS,
    TOLERANCE,
    Sample,
    check_probes,
    chosen_rows,
    gene_keys,
    macro_auroc,
    row_places,
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
    place, keys = np.arange(10, dtype=np.uint64), np.array([7, 8], np.uint64)
    both = Sample(("x",), np.zeros((10, 1), np.float32), target, place, ("a", "b"), keys, gene, 3)
    alone = Sample(("x",), both.features[5:], target[5:], place[5:], ("b",), keys[1:], np.zeros(5, np.int32), 3)
    deals = [both.dealt(1, deal) for deal in range(20)]
    for deal, found in enumerate(deals):
        assert sorted(found[:5]) == sorted(target[:5])
        np.testing.assert_array_equal(found[5:], alone.dealt(1, deal))
    assert len({found.tobytes() for found in deals}) > 5


def test_every_row_of_a_gene_is_dealt_a_site_equally_often():
    target = np.array([0, 0, 0, 0, 1, 2], np.int8)
    place = row_places_of(np.arange(6))
    one = Sample(
        ("x",), np.zeros((6, 1), np.float32), target, place, ("a",), np.zeros(1, np.uint64), np.zeros(6, np.int32), 3
    )
    deals = np.stack([one.dealt(5, deal) for deal in range(6000)])
    for code in (1, 2):
        np.testing.assert_allclose((deals == code).mean(axis=0), 1 / 6, atol=0.02)
    # Nor does what a row was dealt once tell what it is dealt next.
    np.testing.assert_allclose(((deals[1:] == 1) & (deals[:-1] == 1)).mean(axis=0), 1 / 36, atol=0.01)


def row_places_of(position):
    class OneGene:
        gene = np.zeros(position.size, np.int32)

    OneGene.position = position.astype(np.int32)
    return row_places(OneGene, np.array([123456789], np.uint64))


def copied(folder, *, share):
    """Of so many genes of val and test, the rows are those of a train gene, under another name and in another locus."""
    train = [gene for gene in range(40) if split_of(gene) == "train"]

    def change(name, columns):
        gene = int(name[1:])
        if split_of(gene) != "train" and gene % 10 < 10 * share:
            own = ("gene_id", "gene_name", "locus_cluster", "chrom")
            original = gene_columns(train[gene % len(train)], 120)
            columns.update({column: values for column, values in original.items() if column not in own})

    made = write_simulated(folder, change=change)
    prune(made.master, made.splits, made.pruned, SplicePruneSettings())
    return made


def test_genes_of_train_that_come_back_under_other_names_are_found_out_and_named(tmp_path, quick):
    made = copied(tmp_path, share=1)
    found = run_probes(*columns_of(made, quick), quick)
    assert [one.passed for one in found] == [False, True]
    assert found[0].auroc > 0.6
    assert "G0006 (G0010)" in found[0].alike
    with pytest.raises(LeakageError, match=r"shuffled_labels: .*the same gene twice: G0006 \(G0010\), .*group_table"):
        check_probes(found)


def test_where_no_gene_comes_back_none_is_named(simulated, quick):
    shuffled, _ = run_probes(*columns_of(simulated, quick), quick)
    assert shuffled.passed
    assert shuffled.alike == ()


def test_names_do_not_matter_to_what_the_rows_of_a_gene_are_dealt(simulated, quick):
    data, columns = columns_of(simulated, quick)
    learn = sample_of(data, ("train",), columns, quick)
    other = replace(learn, names=tuple(f"copy of {name}" for name in learn.names))
    assert shuffled_labels(learn, other, quick).auroc == shuffled_labels(learn, learn, quick).auroc


def test_a_gene_is_known_by_its_sites_whichever_other_rows_were_drawn_of_it(simulated):
    rows = simulated.rows().rows("train")
    keys = gene_keys(rows)
    assert len(set(keys.tolist())) == len(rows.genes)
    fewer = (rows.label > 0) | (np.arange(len(rows)) % 3 == 0)
    less = rows.take(fewer)
    np.testing.assert_array_equal(gene_keys(less), keys)
    np.testing.assert_array_equal(row_places(less, keys), row_places(rows, keys)[fewer])
    assert len(set(row_places(rows, keys).tolist())) == len(rows)
    louder = replace(rows, donor=rows.donor * np.float32(1.5))
    assert not set(gene_keys(louder).tolist()) & set(keys.tolist())


def test_a_probe_looks_at_all_sites_and_a_few_others_of_each_gene(simulated):
    rows = simulated.rows().rows("train")
    keep = chosen_rows(rows, 3, gene_keys(rows))
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
    # At its own name, Snakemake would delete it with the other outputs of a job that has failed.
    assert not (tmp_path / "out" / "probes.json").exists()
    told = json.loads((tmp_path / "out" / "probes_refused.json").read_text())
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
