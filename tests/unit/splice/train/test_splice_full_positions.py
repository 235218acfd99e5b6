"""Every position of test genes: what rows only estimate, counted."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_build import SmallBuild, small_settings

from trainyard.splice.prune import prune
from trainyard.splice.schema import GENES
from trainyard.splice.scorestore import Entry, ScoreStore
from trainyard.splice.settings import SplicePruneSettings, SpliceSplitSettings, SpliceTrainSettings
from trainyard.splice.split import write_split
from trainyard.splice.structure import GeneTable
from trainyard.splice.train.evaluate import evaluate
from trainyard.splice.train.fit import train
from trainyard.splice.train.full_positions import Sources, remarks
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json, write_json
from workflow_scripts import splice_evaluate

QUICK = SpliceTrainSettings(rounds=15, threads=1, parameters={"max_depth": 3, "learning_rate": 0.3}, bootstrap=20)


def made(folder, **sampling):
    """A build of 24 genes with a model."""
    build = SmallBuild(folder, n_genes=24, settings=small_settings(sampling=sampling)).reference().plan().batches()
    settings = SpliceSplitSettings(rule="group", train=0.5, val=0.2)
    table = GENES.read(folder / "reference" / "genes.parquet")
    write_split(table, folder / "split.parquet", settings, held_out=[], planned=build.genes)
    build.assembled()
    prune(build.master, folder / "split.parquet", folder / "pruned.json", SplicePruneSettings())
    train(build.master, folder / "split.parquet", folder / "pruned.json", folder / "train", QUICK)
    return SimpleNamespace(build=build, folder=folder, sources=Sources(build, GeneTable(table)))


def judge(found, out, sources=None, **changes):
    settings = QUICK.model_copy(update=changes)
    where = found.folder / "split.parquet"
    return evaluate(found.build.master, where, found.folder / "train", out, settings, sources=sources or found.sources)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    return made(tmp_path_factory.mktemp("sampled"))


def test_where_every_position_is_a_row_both_figures_are_one(tmp_path):
    found = made(tmp_path, keep_all=True)
    check = judge(found, tmp_path / "out")["full_positions"]
    assert check["rows"] == check["positions"]
    for by in check["figures"].values():
        for figures in by.values():
            assert figures["estimated"] == pytest.approx(figures["all_positions"])


def test_sites_are_never_sampled_away_and_positions_are_those_that_rows_stand_for(sampled, tmp_path):
    report = judge(sampled, tmp_path)
    check = report["full_positions"]
    assert check["rows"] < check["positions"]
    for by in check["figures"].values():
        for figures in by.values():
            estimated, whole = figures["estimated"], figures["all_positions"]
            assert (estimated["tp"], estimated["fn"]) == (whole["tp"], whole["fn"])
            assert estimated["positions"] == pytest.approx(whole["positions"])
        # What the base model calls is all kept, so its false positives are exact.
        assert by["base"]["estimated"]["fp"] == by["base"]["all_positions"]["fp"]
    assert check["delta"]["donor"]["delta_auprc"]["genes"] == len(check["genes"])
    with (tmp_path / "full_positions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert float(rows[0]["auprc"]) == check["figures"]["donor"]["base"]["estimated"]["auprc"]


def test_the_identity_makes_no_difference_over_all_positions_either(sampled, tmp_path):
    settings = QUICK.model_copy(update={"model": "identity", "parameters": {}})
    where = sampled.folder / "split.parquet"
    train(sampled.build.master, where, sampled.folder / "pruned.json", tmp_path, settings)
    report = evaluate(sampled.build.master, where, tmp_path, tmp_path, settings, sources=sampled.sources)
    for summary in report["full_positions"]["delta"].values():
        for found in summary.values():
            assert (found["mean"], found["ci95"]) == (0.0, [0.0, 0.0])


def test_as_many_genes_as_wanted_are_checked_the_same_each_time(sampled, tmp_path):
    one, two = (
        judge(sampled, tmp_path / name, full_check_genes=n)["full_positions"] for name, n in (("a", 1), ("b", 3))
    )
    assert len(one["genes"]) == 1
    assert two["genes"][:1] == one["genes"]
    assert judge(sampled, tmp_path / "c", full_check_genes=0)["full_positions"] is None
    assert (tmp_path / "c" / "full_positions.csv").read_text().count("\n") == 1


class Changed:
    """A source of genes whose scores are other ones than the rows were made from."""

    def __init__(self, build):
        self._build = build

    def gene(self, gene_id):
        found = self._build.gene(gene_id)
        return replace(found, donor=found.donor * np.float32(0.9))


def test_rows_of_other_scores_than_those_in_the_store_are_refused(sampled, tmp_path):
    sources = Sources(Changed(sampled.build), sampled.sources.table)
    with pytest.raises(IntegrityError, match="build the dataset again"):
        judge(sampled, tmp_path, sources)


def stored(build, folder, number, genes, *, louder=1.0):
    """Put scores of genes into a store, with an index of their own."""
    store, entries = ScoreStore(folder), []
    for place, gene_id in enumerate(genes):
        found = build.gene(gene_id)
        key = f"{number:016x}{place:016x}"
        sha256 = store.put(key, np.stack([found.donor * np.float32(louder), found.acceptor]))
        entries.append(Entry(gene_id, found.donor.size, key, sha256, None))
    index = folder / f"index_{number:05d}.parquet"
    store.write_index(index, entries, model_id="toy-1")
    return index


def test_indexes_of_an_earlier_plan_beside_those_that_count_are_not_read(sampled, tmp_path):
    build, scores = sampled.build, tmp_path / "scores"
    for number, genes in ((1, build.genes[:12]), (2, build.genes[12:])):
        stored(build, scores, number, genes)
    # The earlier plan had more batches, and scores of another model for genes of this one.
    stale = stored(build, scores, 9, build.genes[5:9], louder=0.5)
    options = {"master": build.master, "splits": sampled.folder / "split.parquet", "model": sampled.folder / "train"}
    options |= {"reference": build.base / "reference", "scores": scores, "out": tmp_path / "out"}
    command = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    command += ["--settings", QUICK.model_dump_json()]
    with pytest.raises(IntegrityError, match="gives other scores for G005"):
        splice_evaluate.main(command)
    splice_evaluate.main([*command, "--score-batches", "2"])
    told = read_json(tmp_path / "out" / "metrics.json")["full_positions"]
    assert told == judge(sampled, tmp_path / "again")["full_positions"]
    assert stale.is_file()


def test_a_dataset_that_does_not_say_how_it_was_built_cannot_be_checked(tmp_path):
    found = made(tmp_path)
    manifest = found.build.master / "manifest.json"
    told = read_json(manifest)
    write_json(manifest, {**told, "params": {}})
    with pytest.raises(InputError, match="full_check_genes at 0"):
        judge(found, tmp_path / "out")


def test_figures_that_rows_estimate_badly_are_told_aloud():
    figures = {
        "donor": {
            "base": {"estimated": {"auprc": 0.5}, "all_positions": {"auprc": 0.46}},
            "meta": {"estimated": {"auprc": 0.6}, "all_positions": {"auprc": 0.2}},
        }
    }
    (told,) = remarks(figures)
    assert "the donor AUPRC of meta is 0.200, not 0.600" in told
    assert "of base" not in told.split(";")[0]
    assert "easy_ratio" in told
    figures["donor"]["meta"]["all_positions"]["auprc"] = float("nan")
    assert remarks(figures) == []
