"""The commands of the rules that plan, rank, assemble and check, from reference tables to a checked dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_build import SmallBuild, small_settings

from trainyard.splice.plan import read_pool, read_ranking
from trainyard.splice.reference import Reference
from trainyard.splice.schema import TRANSCRIPTS
from trainyard.splice.scorestore import Entry, ScoreStore
from trainyard.yard.files import read_json
from workflow_scripts import splice_assemble, splice_check, splice_pool, splice_pool_errors, splice_rank


@pytest.fixture
def build(tmp_path: Path) -> SmallBuild:
    made = SmallBuild(tmp_path / "splice", settings=small_settings(selection={"policy": "error_total"})).reference()
    TRANSCRIPTS.write(made.base / "reference" / "transcripts.parquet", TRANSCRIPTS.table([]))
    store = ScoreStore(made.base / "scores")
    entries = []
    for i, gene in enumerate(made.genes):
        scores = made.gene(gene)
        sha256 = store.put(f"{i:032x}", np.stack([scores.donor, scores.acceptor]))
        entries.append(Entry(gene, scores.donor.size, f"{i:032x}", sha256, None))
    store.write_index(made.base / "scores" / "index_00001.parquet", entries, model_id="toy-1")
    return made


def test_an_error_ranked_dataset_is_planned_ranked_built_and_checked(
    build: SmallBuild, capsys: pytest.CaptureFixture[str]
) -> None:
    base, plan = build.base, build.base / "plan"
    selection, everything = build.settings.selection.model_dump_json(), build.settings.model_dump_json()
    reference = str(base / "reference")
    splice_pool.main(["--settings", selection, "--reference", reference, "--out", str(plan)])
    assert read_pool(plan / "pool.parquet").num_rows == 12
    counting = ["--settings", selection, "--labels", build.settings.labels.model_dump_json(), "--plan", str(plan)]
    counting += ["--reference", reference, "--scores", str(base / "scores"), "--out", str(plan / "errors.parquet")]
    splice_pool_errors.main(counting)
    splice_rank.main(["--settings", selection, "--plan", str(plan), "--errors", str(plan / "errors.parquet")])
    ranking = read_ranking(plan / "ranking.parquet")
    errors = ranking["n_errors"].to_pylist()
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0
    assert set(ranking["reason"].to_pylist()) == {"error_total"}
    build.batches()
    splice_assemble.main(["--settings", everything, "--base", str(base)])
    splice_check.main(["--settings", everything, "--base", str(base)])
    assert read_json(base / "master" / "manifest.json")["status"] == "complete"
    said = capsys.readouterr().out
    assert "12 genes in the pool" in said
    assert "errors of 12 genes" in said
    assert "3 parts, complete; genes: 12 kept" in said
    assert "all accounted for" in said


def test_a_label_free_ranking_needs_no_scores_and_a_partial_dataset_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = SmallBuild(tmp_path / "splice").reference()
    plan = str(build.base / "plan")
    selection = build.settings.selection.model_dump_json()
    splice_pool.main(["--settings", selection, "--reference", str(build.base / "reference"), "--out", plan])
    splice_rank.main(["--settings", selection, "--plan", plan])
    build.batches(1)
    everything = build.settings.model_dump_json()
    splice_assemble.main(["--settings", everything, "--base", str(build.base), "--partial"])
    assert "1 parts, partial 1 of 3; genes: 4 kept, 8 pending" in capsys.readouterr().out
    assert Reference(build.base / "reference").reference_id == "ref-1"
