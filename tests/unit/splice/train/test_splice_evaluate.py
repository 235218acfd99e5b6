"""The honest comparison: identical rows, identical code, and no difference where there is none."""

from __future__ import annotations

import csv
import json
import math
import shutil
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_recall_curve, roc_auc_score

from trainyard.splice.prune import prune
from trainyard.splice.settings import SplicePruneSettings
from trainyard.splice.train.delta import OWN, cluster_bootstrap, paired_tests, summarise
from trainyard.splice.train.evaluate import evaluate, seen_by_base_model
from trainyard.splice.train.fit import train
from trainyard.splice.train.pooled import BIN_EDGES
from trainyard.yard.errors import InputError
from workflow_scripts import splice_evaluate

FILES = {
    "predictions_val.parquet",
    "predictions_test.parquet",
    "baseline_metrics.tsv",
    "meta_metrics.tsv",
    "delta_vs_baseline.csv",
    "topk.csv",
    "calibration.csv",
    "feature_importance_all.csv",
    "full_positions.csv",
    "metrics.json",
}
TYPES = {"donor": 1, "acceptor": 2}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.fixture(scope="module")
def evaluated(trained, quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluated")
    evaluate(trained.master, trained.splits, trained.model, out, quick)
    return out


@pytest.fixture(scope="module")
def predicted(evaluated):
    return pq.read_table(evaluated / "predictions_test.parquet").to_pandas()


def evaluated_with(simulated, settings, out):
    train(simulated.master, simulated.splits, simulated.pruned, out, settings)
    return evaluate(simulated.master, simulated.splits, out, out, settings)


def test_everything_is_written_and_the_bytes_are_the_same_each_time(trained, quick, evaluated, tmp_path):
    evaluate(trained.master, trained.splits, trained.model, tmp_path, quick)
    assert {path.name for path in evaluated.iterdir()} == FILES
    for name in FILES:
        assert (evaluated / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("target", ["multiclass", "binary"])
def test_the_identity_differs_from_the_base_model_by_exactly_nothing_in_any_gene(simulated, quick, tmp_path, target):
    settings = quick.model_copy(update={"model": "identity", "parameters": {}, "target": target})
    report = evaluated_with(simulated, settings, tmp_path)
    rows = rows_of(tmp_path / "delta_vs_baseline.csv")
    assert {row["splice_type"] for row in rows} == (set(TYPES) if target == "multiclass" else {"site"})
    for row in rows:
        for name in ("delta_f1", "delta_auprc", "delta_f1_best_f1"):
            assert float(row[name]) == 0.0
    for summary in report["delta"].values():
        for found in summary.values():
            assert found["mean"] == 0.0
            assert found["ci95"] == [0.0, 0.0]
            assert found["wilcoxon_p"] == found["sign_test_p"] == 1.0
    assert report["metrics"]["base"] == report["metrics"]["meta"]
    assert (tmp_path / "baseline_metrics.tsv").read_bytes() == (tmp_path / "meta_metrics.tsv").read_bytes()


def test_metrics_are_those_of_scikit_learn_on_the_very_same_rows(evaluated, predicted):
    files = {"base": "baseline_metrics.tsv", "meta": "meta_metrics.tsv"}
    for predictor, name in files.items():
        told = {
            (row["splice_type"], row["weighting"]): row
            for row in rows_of(evaluated / name)
            if row["split"] == "test" and row["threshold_rule"] == "fixed"
        }
        for kind, code in TYPES.items():
            truth, score = predicted["label"] == code, predicted[f"{predictor}_{kind}"]
            for weighting, weight in (("positions", predicted["sample_weight"]), ("rows", None)):
                row = told[kind, weighting]
                wanted = {
                    "auprc": average_precision_score(truth, score, sample_weight=weight),
                    "auroc": roc_auc_score(truth, score, sample_weight=weight),
                    "f1": f1_score(truth, score >= 0.5, sample_weight=weight),
                    "brier": brier_score_loss(truth, score, sample_weight=weight),
                }
                for figure, value in wanted.items():
                    assert float(row[figure]) == pytest.approx(value, abs=1e-6), (kind, weighting, figure)
                assert int(row["n_sites"]) == truth.sum()


def test_the_base_scores_are_those_of_the_rows(trained, predicted):
    rows = trained.rows().rows("test")
    np.testing.assert_array_equal(predicted["base_donor"], rows.donor)
    np.testing.assert_array_equal(predicted["base_acceptor"], rows.acceptor)
    np.testing.assert_array_equal(predicted["sample_weight"], rows.weight)


def test_thresholds_come_from_val_alone(evaluated):
    told = json.loads((evaluated / "metrics.json").read_text())["thresholds"]["best_f1_on_val"]
    val = pq.read_table(evaluated / "predictions_val.parquet").to_pandas()
    for kind, code in TYPES.items():
        for predictor in ("base", "meta"):
            truth, score = val["label"] == code, val[f"{predictor}_{kind}"]
            weight = val["sample_weight"]
            precision, recall, cuts = precision_recall_curve(truth, score, sample_weight=weight)
            best = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1].max()
            assert np.float32(told[kind][predictor]) in cuts
            chosen = score >= np.float32(told[kind][predictor])
            assert f1_score(truth, chosen, sample_weight=weight) == pytest.approx(best)


def test_each_gene_is_compared_on_its_own_rows(evaluated, predicted):
    rows = rows_of(evaluated / "delta_vs_baseline.csv")
    genes = predicted.groupby("gene_id")
    assert len(rows) == 2 * len(genes)
    for row in rows:
        mine = genes.get_group(row["gene_id"])
        code, kind = TYPES[row["splice_type"]], row["splice_type"]
        truth, weight = mine["label"] == code, mine["sample_weight"]
        assert int(row["n_sites"]) == truth.sum()
        assert row["baseline"] == OWN
        for predictor in ("base", "meta"):
            score = mine[f"{predictor}_{kind}"]
            called = score >= 0.5
            assert float(row[f"tp_{predictor}"]) == weight[called & truth].sum()
            assert float(row[f"fp_{predictor}"]) == weight[called & ~truth].sum()
            assert float(row[f"fn_{predictor}"]) == weight[~called & truth].sum()
            area = average_precision_score(truth, score, sample_weight=weight)
            assert float(row[f"auprc_{predictor}"]) == pytest.approx(area)
        assert float(row["delta_f1"]) == float(row["f1_meta"]) - float(row["f1_base"])
        assert float(row["delta_auprc"]) == float(row["auprc_meta"]) - float(row["auprc_base"])


def test_where_motifs_know_better_the_interval_of_the_mean_difference_lies_above_zero(evaluated):
    summary = json.loads((evaluated / "metrics.json").read_text())["delta"]
    for kind in (*TYPES, "all"):
        found = summary[kind]["delta_auprc"]
        assert found["ci95"][0] > 0
        assert found["ci95"][0] <= found["mean"] <= found["ci95"][1]
        assert found["groups"] < found["genes"]


def test_top_k_counts_true_sites_among_the_best_positions(evaluated, predicted):
    told = {
        (row["splice_type"], row["predictor"], float(row["multiple"])): row
        for row in rows_of(evaluated / "topk.csv")
        if row["split"] == "test"
    }
    assert {key[2] for key in told} == {0.5, 1.0, 2.0, 4.0}
    for kind, code in TYPES.items():
        written = predicted.loc[np.repeat(predicted.index, predicted["sample_weight"].astype(int))]
        ranked = (written["label"] == code).to_numpy()[np.argsort(-written[f"meta_{kind}"].to_numpy(), kind="stable")]
        for multiple in (0.5, 1.0, 2.0, 4.0):
            row = told[kind, "meta", multiple]
            k = math.floor(multiple * ranked.sum())
            assert int(row["k"]) == k
            assert float(row["accuracy"]) == pytest.approx(ranked[:k].sum() / min(k, ranked.sum()), abs=0.02)


def test_bins_of_the_calibration_hold_every_row_once(evaluated, predicted):
    rows = [row for row in rows_of(evaluated / "calibration.csv") if row["split"] == "test"]
    for kind, code in TYPES.items():
        for predictor in ("base", "meta"):
            mine = [row for row in rows if (row["splice_type"], row["predictor"]) == (kind, predictor)]
            assert sum(int(row["n_rows"]) for row in mine) == len(predicted)
            assert sum(float(row["positions"]) for row in mine) == predicted["sample_weight"].sum()
            hits = sum(float(row["positions"]) * float(row["observed"]) for row in mine)
            assert hits == pytest.approx((predicted["label"] == code).sum())
            for row in mine:
                assert (float(row["bin_low"]), float(row["bin_high"])) in set(pairwise(BIN_EDGES))
                assert float(row["bin_low"]) <= float(row["mean_score"]) <= float(row["bin_high"])


def test_importance_finds_what_was_planted(evaluated):
    rows = rows_of(evaluated / "feature_importance_all.csv")
    features = {row["name"]: row for row in rows if row["name"] != "(family)"}
    families = {row["family"]: row for row in rows if row["name"] == "(family)"}
    assert sum(float(row["gain"]) for row in features.values()) == pytest.approx(1)
    assert sum(float(row["gain"]) for row in families.values()) == pytest.approx(1)
    for kind in TYPES:
        assert float(features[f"{kind}_motif_score"]["auprc_drop"]) > 0.1
    assert float(families["motif"]["auprc_drop"]) > float(families["kmer"]["auprc_drop"]) + 0.1


def test_an_outside_table_can_be_the_baseline_and_this_is_said(trained, quick, tmp_path, capsys):
    genes = trained.rows().rows("test").genes
    lines = ["gene_id\tsplice_type\tTP\tFP\tFN"]
    lines += [f"{gene}.7\t{kind}\t3\t1\t2" for gene in genes[1:] for kind in TYPES]
    (tmp_path / "outside.tsv").write_text("\n".join(lines) + "\n")
    settings = quick.model_copy(update={"baseline": tmp_path / "outside.tsv"})
    options = ["--master", str(trained.master), "--splits", str(trained.splits), "--model", str(trained.model)]
    splice_evaluate.main([*options, "--settings", settings.model_dump_json(), "--out", str(tmp_path / "out")])
    assert "THE BASELINE IS AN OUTSIDE TABLE" in capsys.readouterr().out
    rows = rows_of(tmp_path / "out" / "delta_vs_baseline.csv")
    assert {row["baseline"] for row in rows} == {"outside:outside.tsv"}
    for row in rows:
        assert row["auprc_base"] == row["delta_auprc"] == ""
        if row["gene_id"] == genes[0]:
            assert row["f1_base"] == row["delta_f1"] == ""
        else:
            assert float(row["f1_base"]) == pytest.approx(6 / 9)
            assert float(row["delta_f1"]) == pytest.approx(float(row["f1_meta"]) - 6 / 9)
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["delta_vs_outside"]["donor"]["delta_f1"]["genes"] == len(genes) - 1
    # The comparison on identical rows is there all the same.
    assert told["delta"]["donor"]["delta_auprc"]["genes"] == len(genes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("gene_id\tTP\nG0008\t1\n", "has no column splice_type, FP, FN"),
        ("gene_id\tsplice_type\tTP\tFP\tFN\nX\tdonor\t1\t1\t1\n", "none of the test genes"),
    ],
)
def test_an_outside_table_that_cannot_serve_is_refused(trained, quick, tmp_path, text, words):
    path = tmp_path / "outside.tsv"
    if text is not None:
        path.write_text(text)
    settings = quick.model_copy(update={"baseline": path})
    with pytest.raises(InputError, match=words):
        evaluate(trained.master, trained.splits, trained.model, tmp_path, settings)


def test_test_genes_on_contigs_that_the_base_model_was_trained_on_are_told_aloud(trained, quick, tmp_path, capsys):
    options = {"master": trained.master, "splits": trained.splits, "model": trained.model, "out": tmp_path}
    command = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    command += ["--settings", quick.model_dump_json()]
    splice_evaluate.main([*command, "--held-out", "3", "5", "--trained-on"])
    (told,) = json.loads((tmp_path / "metrics.json").read_text())["remarks"]
    assert "THE BASE MODEL MAY KNOW THE TEST GENES: 8 of 8" in told
    assert told in capsys.readouterr().out
    splice_evaluate.main([*command, "--held-out", "1", "3", "--trained-on", "2"])
    assert json.loads((tmp_path / "metrics.json").read_text())["remarks"] == []


def test_contigs_are_compared_without_chr_and_doubt_counts_as_seen(trained):
    data = trained.rows()
    assert seen_by_base_model(data, ["chr1"], []) == []
    assert "(1)" in seen_by_base_model(data, ["chr2"], [])[0]
    assert "8 of 8" in seen_by_base_model(data, ["1"], ["chr1"])[0]
    assert "8 of 8" in seen_by_base_model(data, [], [])[0]


@pytest.mark.parametrize(("held_out", "remarks"), [(["1"], 0), (["2"], 1), (None, 0)])
def test_where_the_command_does_not_say_the_card_of_the_dataset_does(trained, tmp_path, held_out, remarks):
    copy = type(trained)(shutil.copytree(trained.base, tmp_path / "copy"))
    manifest = copy.master / "manifest.json"
    told = json.loads(manifest.read_text())
    card = {} if held_out is None else {"held_out_contigs": held_out, "trained_on_contigs": []}
    manifest.write_text(json.dumps(told | {"model": told["model"] | card}))
    assert len(seen_by_base_model(copy.rows())) == remarks


def test_without_val_thresholds_stay_at_one_half(tmp_path, quick):
    from simulated_rows import split_of, write_simulated

    names = {f"G{gene:04d}": {"val": "train"}.get(split_of(gene), split_of(gene)) for gene in range(20)}
    made = write_simulated(tmp_path, genes=20, rows=60, splits=names)
    prune(made.master, made.splits, made.pruned, SplicePruneSettings())
    report = evaluated_with(made, quick, made.model)
    assert report["thresholds"]["best_f1_on_val"] == {kind: {"base": 0.5, "meta": 0.5} for kind in TYPES}
    assert {row["split"] for row in report["metrics"]["meta"]} == {"test"}


def test_without_test_rows_there_is_nothing_to_compare(tmp_path, quick):
    from simulated_rows import write_simulated

    made = write_simulated(tmp_path, genes=4, rows=20, splits={f"G{gene:04d}": "train" for gene in range(4)})
    with pytest.raises(InputError, match="test has no rows"):
        evaluate(made.master, made.splits, made.model, tmp_path, quick)


def test_the_bootstrap_draws_groups_not_genes():
    """Ten copies of each gene in one group tell no more than one of each."""
    values = np.random.default_rng(5).normal(0.1, 0.2, 30)
    ones = np.ones(30, np.int64)
    alone = cluster_bootstrap(values, ones, resamples=2000, seed=1)
    copied = cluster_bootstrap(10 * values, 10 * ones, resamples=2000, seed=1)
    assert copied == pytest.approx(alone)
    low, high = alone
    error = values.std() / math.sqrt(30)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert cluster_bootstrap(values, ones, resamples=50, seed=1) == cluster_bootstrap(
        values, ones, resamples=50, seed=1
    )


def test_paired_tests_are_those_of_groups_with_a_difference():
    found = paired_tests(np.array([0.0, 0.1, 0.2, 0.3, 0.05, 0.4]))
    assert found["sign_test_p"] == pytest.approx(2 / 2**5)
    assert found["wilcoxon_p"] == pytest.approx(2 / 2**5)
    assert paired_tests(np.zeros(4)) == {"sign_test_p": 1.0, "wilcoxon_p": 1.0}


def test_genes_without_a_site_have_no_difference_and_do_not_count():
    nan = float("nan")
    rows = [
        {"splice_type": "donor", "split_group": "a", "delta_f1": 0.5, "delta_f1_best_f1": 0.5, "delta_auprc": 0.5},
        {"splice_type": "donor", "split_group": "b", "delta_f1": nan, "delta_f1_best_f1": nan, "delta_auprc": nan},
    ]
    found = summarise(rows, resamples=10, seed=1)["donor"]["delta_f1"]
    assert (found["genes"], found["groups"], found["mean"]) == (1, 1, 0.5)
