"""The splice line on human sequence, by Snakemake, from FASTA to the report of a trained meta-model."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference
from trainyard.splice.scorestore import ScoreStore
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = ("Snakefile", "rules", "config", "profiles", "envs", "docs", "src", "workflow_scripts", "tests/configs")
TYPES = {"donor": 1, "acceptor": 2}
FIGURES = {
    "class_balance",
    "strata",
    "base_scores",
    "outcome_scores",
    "features",
    "rejections",
    "history",
    "precision_recall",
    "scores",
    "delta",
    "top_k",
    "full_positions",
    "calibration",
    "importance",
    "ablations",
}


@dataclass(frozen=True)
class Line:
    """A run of the splice line: its working folder, the code that runs, and its name, that of its configuration."""

    folder: Path
    code: Path
    name: str

    @property
    def base(self) -> Path:
        """Results of the line."""
        return self.folder / "results" / self.name / "splice"

    def snakemake(self, *arguments: str) -> str:
        """Build the whole line and return what Snakemake printed; fails if Snakemake does."""
        command = [sys.executable, "-m", "snakemake", "-s", str(self.code / "Snakefile")]
        command += ["--directory", str(self.folder), "--workflow-profile", str(self.code / "profiles" / "default")]
        command += ["--configfile", str(self.code / "tests" / "configs" / f"{self.name}.yaml"), "--cores", "2"]
        path = os.pathsep.join([str(self.code / "src"), str(self.code)])
        done = subprocess.run(
            [*command, *arguments, "splice"],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def json(self, name: str) -> Any:
        """A result file."""
        return json.loads((self.base / name).read_text())

    def csv(self, name: str) -> list[dict[str, str]]:
        """Rows of a result table."""
        with (self.base / name).open() as file:
            return list(csv.DictReader(file, delimiter="\t" if name.endswith(".tsv") else ","))

    @cached_property
    def rows(self) -> pa.Table:
        """Keys, labels and scores of the dataset."""
        columns = ["gene_id", "position", "label", "pred_type", "sample_weight", "donor_score", "acceptor_score"]
        parts = sorted(self.base.glob("master/part-*.parquet"))
        return pa.concat_tables([pq.read_table(path, columns=columns) for path in parts])

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.base / "reference")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, so that an edit while minutes pass does not make a second run build anew."""
    folder = tmp_path_factory.mktemp("code")
    for name in CODE:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def isotools(workplace: Path, code: Path) -> Line:
    """54 genes with the 80-nt weights: built, trained and drawn."""
    line = Line(workplace, code, "real_splice_isotools")
    line.snakemake()
    return line


@pytest.fixture(scope="module")
def chr22(workplace: Path, code: Path) -> Line:
    """The three genes of 300 kb with the 10,000-nt weights: built, trained and drawn."""
    line = Line(workplace, code, "real_splice_chr22")
    line.snakemake()
    return line


@pytest.fixture(params=["isotools", "chr22"])
def line(request: pytest.FixtureRequest) -> Line:
    found: Line = request.getfixturevalue(request.param)
    return found


def test_the_line_is_complete_and_a_second_run_has_nothing_to_do(line: Line) -> None:
    assert {path.stem for path in (line.base / "report").glob("*.png")} == FIGURES
    assert line.json("master/manifest.json")["status"] == "complete"
    assert "Nothing to be done" in line.snakemake()


def test_every_annotated_site_is_a_row_or_has_a_reason(line: Line) -> None:
    genes = {row["gene_id"]: row for row in line.reference.genes.to_pylist()}
    rows = line.rows.group_by("gene_id").aggregate([("sample_weight", "sum")])
    assert set(rows["gene_id"].to_pylist()) == {name for name, gene in genes.items() if gene["n_donors"]}
    found = line.rows.group_by(["label"]).aggregate([([], "count_all")]).to_pylist()
    sites = {row["label"]: row["count_all"] for row in found}
    ledgers = [read_json(path) for path in sorted(line.base.glob("batches/ledger_*.json"))]
    counts = [Ledger.from_dict(told, Reason) for told in ledgers]
    expected = sum(gene["n_donors"] + gene["n_acceptors"] for gene in genes.values())
    assert sum(ledger.expected("site") for ledger in counts) == expected
    assert sum(ledger.kept("site") for ledger in counts) == sites[1] + sites[2]


def test_probes_score_one_half(line: Line) -> None:
    probes = {probe["name"]: probe for probe in line.json("train/probes.json")["probes"]}
    assert set(probes) == {"shuffled_labels", "missingness_only"}
    for probe in probes.values():
        assert probe["auroc"] == pytest.approx(0.5, abs=0.02)
        assert probe["passed"]


def test_base_and_meta_are_judged_on_the_rows_of_the_same_genes(line: Line) -> None:
    card, delta = line.json("train/model_card.json"), line.csv("train/delta_vs_baseline.csv")
    assert len({row["gene_id"] for row in delta}) == card["splits"]["test"]["genes"]
    assert {row["baseline"] for row in delta} == {"base_scores"}
    for row in delta:
        mine = line.rows.filter(pa.compute.equal(line.rows["gene_id"], row["gene_id"]))
        score, label = mine[f"{row['splice_type']}_score"].to_numpy(), mine["label"].to_numpy()
        site, weight = label == TYPES[row["splice_type"]], mine["sample_weight"].to_numpy()
        called = score >= 0.5
        assert float(row["tp_base"]) == weight[called & site].sum()
        assert float(row["fp_base"]) == weight[called & ~site].sum()
        assert float(row["fn_base"]) == weight[~called & site].sum()


def test_rows_of_the_isotools_genes_stand_for_all_their_positions(isotools: Line) -> None:
    report = isotools.json("train/metrics.json")
    check = report["full_positions"]
    assert len(check["genes"]) == isotools.json("train/model_card.json")["splits"]["test"]["genes"]
    # Both contigs were among those that the base model was trained on; rows and positions agree.
    (remark,) = report["remarks"]
    assert remark.startswith("THE BASE MODEL MAY KNOW THE TEST GENES: 9 of 9")
    for by in check["figures"].values():
        for figures in by.values():
            assert figures["estimated"]["auprc"] == pytest.approx(figures["all_positions"]["auprc"], abs=0.05)
            assert figures["estimated"]["positions"] == pytest.approx(figures["all_positions"]["positions"], rel=1e-4)


def test_over_every_position_the_meta_model_is_no_worse_than_the_80_nt_model_that_it_corrects(isotools: Line) -> None:
    """The weights know 40 bases on each side; motifs and k-mers of 250 add a little, on nine unseen genes."""
    figures = isotools.json("train/metrics.json")["full_positions"]["figures"]
    for by in figures.values():
        base, meta = (by[name]["all_positions"]["auprc"] for name in ("base", "meta"))
        assert 0.25 < base < 0.5
        assert meta > base - 0.03


def test_on_chr22_the_10000_nt_scores_peak_exactly_on_the_annotated_sites(chr22: Line) -> None:
    store, near = ScoreStore(chr22.base / "scores"), 5
    exact, sites = 0, 0
    for gene_id in chr22.reference.genes["gene_id"].to_pylist():
        tracks = dict(zip(TYPES, store.get(gene_id), strict=True))
        for row in chr22.reference.sites_of(gene_id).to_pylist():
            track, t = np.asarray(tracks[row["site_type"]]), row["t"]
            if track[t] >= 0.5:
                sites += 1
                start = max(t - near, 0)
                exact += start + int(track[start : t + near + 1].argmax()) == t
    assert sites >= 45
    assert exact >= 0.95 * sites
    offset = chr22.json("check/offset.json")
    assert offset["exact_share"] >= 0.95


def test_on_chr22_base_and_meta_find_all_sites_of_the_test_gene(chr22: Line) -> None:
    for predictor in ("baseline", "meta"):
        for row in chr22.csv(f"train/{predictor}_metrics.tsv"):
            if (row["split"], row["weighting"]) == ("test", "positions"):
                assert float(row["auprc"]) > 0.95
                assert float(row["recall"]) == 1.0
