"""What the Snakefile learns before anything is built: missing files, numbers of genes, files of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainyard.demo.splice import ANNOTATION, FASTA, write_inputs
from trainyard.splice.artifacts import find_artifacts
from trainyard.splice.catalogue import batches, gene_limits, member_digests, model_files, placed, refuse_missing
from trainyard.splice.scorestore import CARD
from trainyard.splice.settings import SpliceDemoSettings, SpliceModelSettings, SpliceSelectionSettings, SpliceSettings
from trainyard.yard.errors import InputError
from trainyard.yard.files import write_json, write_text

SMALL = SpliceDemoSettings(genes=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in")
    write_inputs(SMALL, path)
    return path


def settings_of(folder: Path, **sections: Any) -> SpliceSettings:
    inputs = {"source": "files", "fasta": folder / FASTA, "annotation": folder / ANNOTATION}
    return SpliceSettings.model_validate({**sections, "inputs": {**inputs, **sections.get("inputs", {})}})


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"inputs": {"fasta": "nowhere"}}, "inputs.fasta"),
        ({"inputs": {"annotation": "nowhere"}}, "inputs.annotation"),
        (
            {"model": {"backend": "spliceai-h5", "weights": ["nowhere"], "accept_licence": True}},
            "model.weights",
        ),
        ({"model": {"backend": "scores-import", "scores": "nowhere"}}, "model.scores"),
        ({"selection": {"gene_file": "nowhere"}}, "selection.gene_file"),
        ({"split": {"group_table": "nowhere"}}, "split.group_table"),
        ({"train": {"baseline": "nowhere"}}, "train.baseline"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_key(folder: Path, sections: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=rf"nowhere: no such file.*; see splice\.{key}"):
        refuse_missing(settings_of(folder, **sections))


def test_nothing_is_asked_of_what_the_demo_makes_and_of_what_is_not_used(folder: Path) -> None:
    refuse_missing(settings_of(folder))
    refuse_missing(SpliceSettings())
    refuse_missing(SpliceSettings.model_validate({"train": {"enabled": False, "baseline": "nowhere"}}))


def test_files_of_a_model_are_its_weights_and_the_top_of_a_store(tmp_path: Path) -> None:
    store = tmp_path / "scores"
    for name in ("index_00002.parquet", "index_00001.parquet", "genes/ab/key.npy", CARD):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(store / name, name)
    weights = [tmp_path / "b.pt", tmp_path / "a.pt"]
    assert model_files(SpliceModelSettings(weights=weights)) == weights
    found = model_files(SpliceModelSettings(weights=weights, scores=store))
    assert [path.name for path in found if path.is_file()] == ["index_00001.parquet", "index_00002.parquet", CARD]
    assert model_files(SpliceModelSettings(scores=tmp_path / "table.tsv")) == [tmp_path / "table.tsv"]


def test_files_of_a_folder_of_tables_are_those_that_are_imported(tmp_path: Path) -> None:
    for name in ("a.tsv", "chr1/b.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(tmp_path / name, "gene_id\n")
    found = model_files(SpliceModelSettings(backend="scores-import", scores=tmp_path))
    assert [path for path in found if path.is_file()] == find_artifacts([tmp_path])


def test_stated_numbers_of_genes_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    limits = [
        ((7, 7), {"n_genes": 7}),
        ((7, 10), {"n_genes": 7, "pool": 10, "policy": "error_fp"}),
        # Genes that are not scored cannot be ranked.
        ((7, 7), {"n_genes": 10, "pool": 7, "policy": "error_fp"}),
    ]
    for expected, selection in limits:
        assert gene_limits(settings_of(folder, selection=selection), cache=tmp_path) == expected
    assert not list(tmp_path.iterdir())


def test_genes_of_contigs_that_are_left_out_do_not_count(folder: Path, tmp_path: Path) -> None:
    contigs = sorted({line.split("\t")[0] for line in (folder / ANNOTATION).read_text().splitlines() if "\t" in line})
    counts = [gene_limits(settings_of(folder, inputs={"contigs": [name]}), cache=tmp_path)[0] for name in contigs]
    assert sum(counts) == 11
    assert max(counts) < 11
    # The FASTA may call it otherwise.
    first = {"contigs": [f"chr{contigs[0]}"]}
    assert gene_limits(settings_of(folder, inputs=first), cache=tmp_path)[0] == counts[0]
    renamed = {"contigs": ["X1"], "contig_aliases": {contigs[0]: "X1"}}
    assert gene_limits(settings_of(folder, inputs=renamed), cache=tmp_path)[0] == counts[0]


def test_no_more_of_the_pool_is_scored_than_the_settings_say(folder: Path, tmp_path: Path) -> None:
    ranked = {"policy": "error_total", "pool": 4}
    assert gene_limits(settings_of(folder, selection=ranked), cache=tmp_path) == (4, 4)
    assert gene_limits(settings_of(folder, selection={**ranked, "pool": 99}), cache=tmp_path) == (11, 11)


def test_all_genes_of_a_list_count_beside_a_policy(folder: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "genes.txt", "".join(f"G{i}\n" for i in range(6)))
    listed = {"gene_file": tmp_path / "genes.txt"}
    ranked = {**listed, "policy": "error_total", "pool": 4}
    # The whole list is scored, however small the pool.
    assert gene_limits(settings_of(folder, selection={**ranked, "n_genes": 5}), cache=tmp_path) == (5, 6)
    # It may name genes that the policy may not choose.
    assert gene_limits(settings_of(folder, selection=listed), cache=tmp_path) == (17, 17)
    assert gene_limits(settings_of(folder, selection={**listed, "n_genes": 5}), cache=tmp_path) == (5, 5)


def digests_of(folder: Path, text: str, **selection: Any) -> list[str]:
    write_text(folder / "genes.txt", text)
    chosen = SpliceSelectionSettings(gene_file=folder / "genes.txt", **{"batch_size": 2, **selection})
    limit, _ = gene_limits(SpliceSettings(selection=chosen), cache=folder)
    return list(member_digests(chosen, limit))


def test_a_longer_list_changes_the_batches_that_its_new_genes_fall_in(tmp_path: Path) -> None:
    before = digests_of(tmp_path, "A\nB\nC\n", policy="custom")
    assert len(set(before)) == len(before) == 2
    after = digests_of(tmp_path, "# more\nA\nB\nB\nC\nD\nE\n", policy="custom")
    assert (len(after), after[0]) == (3, before[0])
    assert not {after[1], after[2]} & set(before)
    # What the number of genes leaves out does not count.
    assert digests_of(tmp_path, "A\nB\nC\nD\nE\n", policy="custom", n_genes=3) == before
    # A gene that is named later may be one that was named before.
    other = digests_of(tmp_path, "X\nB\nC\nD\n", policy="custom")
    assert not set(other) & set(after)


def test_a_policy_fills_up_with_what_the_whole_list_leaves(tmp_path: Path) -> None:
    before = digests_of(tmp_path, "A\nB\nC\n", n_genes=7)
    after = digests_of(tmp_path, "A\nB\nC\nD\n", n_genes=7)
    assert (len(before), len(after)) == (4, 4)
    assert before[1] == before[2] == before[3]
    assert after[0] == before[0]
    assert not set(after[1:]) & set(before)
    assert len(set(digests_of(tmp_path, "A\n", n_genes=7))) == 1


def test_genes_with_introns_are_counted_in_the_annotation_once(folder: Path, tmp_path: Path) -> None:
    # One gene of the demo has a single exon.
    ranked = {"n_genes": 5, "policy": "error_total"}
    assert gene_limits(settings_of(folder), cache=tmp_path) == (11, 11)
    assert gene_limits(settings_of(folder, selection={"min_sites": 0}), cache=tmp_path) == (12, 12)
    assert gene_limits(settings_of(folder, selection=ranked), cache=tmp_path) == (5, 11)
    typed = {"gene_types": ["lncRNA"]}
    assert gene_limits(settings_of(folder, selection=typed), cache=tmp_path)[0] in (1, 2)
    for file in tmp_path.iterdir():
        write_json(file, {"stamp": [0, 0], "genes": 99})
    assert gene_limits(settings_of(folder), cache=tmp_path, trust_cache=True) == (99, 99)
    assert gene_limits(settings_of(folder), cache=tmp_path) == (11, 11)


def test_genes_of_a_list_and_of_the_demo_are_counted_without_an_annotation(tmp_path: Path) -> None:
    write_text(tmp_path / "genes.txt", "A\nB\nC\n")
    listed = {"policy": "custom", "gene_file": tmp_path / "genes.txt"}
    assert gene_limits(SpliceSettings.model_validate({"selection": listed}), cache=tmp_path) == (3, 3)
    demo = SpliceSettings.model_validate({"demo": {"genes": 12}})
    # Two of twelve do not stand or have one exon.
    assert gene_limits(demo, cache=tmp_path) == (10, 10)
    inputs = placed(demo, demo=Path("results/x")).inputs
    assert (inputs.fasta, inputs.annotation) == (Path("results/x") / FASTA, Path("results/x") / ANNOTATION)


def test_batches_are_labelled_and_there_is_at_least_one() -> None:
    assert batches(0, 5) == ["00001"]
    assert batches(11, 5) == ["00001", "00002", "00003"]
