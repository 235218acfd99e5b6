"""The simulated genome: real splice grammar, what goes wrong in annotations, and errors that a meta-model can mend."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from trainyard.demo import splice_genes as planted
from trainyard.demo.splice import ANNOTATION, FASTA, MANIFEST, TRUTH, eligible_genes, write_inputs
from trainyard.splice.planfiles import write_pool, write_ranking
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.scorebatch import score_batch
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.settings import (
    SpliceDemoSettings,
    SpliceInputSettings,
    SpliceModelSettings,
    SpliceSelectionSettings,
    SpliceSplitSettings,
)
from trainyard.splice.split import assign, check_filled
from trainyard.yard.files import read_json, sha256_file
from workflow_scripts import demo_splice

DEFAULT = SpliceDemoSettings()
SMALL = SpliceDemoSettings(genes=6, chromosomes=2)
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


class Demo(NamedTuple):
    """The demo as it is on disk, read here without the line's own readers."""

    folder: Path
    truth: dict[str, Any]
    contigs: dict[str, str]


def read_fasta(path: Path) -> dict[str, str]:
    records = path.read_text().split(">")[1:]
    return {text.split(maxsplit=1)[0]: "".join(text.splitlines()[1:]) for text in records}


def read_gtf(path: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Columns and attributes of the lines that are whole."""
    for line in path.read_text().splitlines():
        columns = line.split("\t")
        if not line.startswith("#") and len(columns) == 9:
            yield columns[:8], dict(re.findall(r'(\w+) "([^"]*)";', columns[8]))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo with its default settings."""
    folder = tmp_path_factory.mktemp("demo_splice")
    write_inputs(DEFAULT, folder)
    return Demo(folder, read_json(folder / TRUTH), read_fasta(folder / FASTA))


@pytest.fixture(scope="module")
def reference(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What the line makes of it."""
    folder = tmp_path_factory.mktemp("reference")
    build_reference(SpliceInputSettings(fasta=demo.folder / FASTA, annotation=demo.folder / ANNOTATION), folder)
    return Reference(folder)


@pytest.fixture(scope="module")
def scores(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> ScoreStore:
    """Scores of the toy model for all genes."""
    folder = tmp_path_factory.mktemp("scores")
    genes = reference.genes["gene_id"].to_pylist()
    score_batch(reference, genes, folder, index="index_00001.parquet", settings=SpliceModelSettings())
    return ScoreStore(folder, indexes=[folder / "index_00001.parquet"])


def genes_of(demo: Demo) -> dict[str, dict[str, Any]]:
    """Genes that stand, by id."""
    return {row["gene_id"]: row for row in demo.truth["genes"] if row["rejected"] is None}


def transcript(demo: Demo, gene: dict[str, Any]) -> str:
    """Bases of a gene in transcript direction."""
    bases = demo.contigs[gene["contig"]][gene["start"] - 1 : gene["end"]].upper()
    return bases if gene["strand"] == "+" else bases[::-1].translate(COMPLEMENT)


def test_two_writes_give_the_same_bytes_wherever_they_go(tmp_path: Path) -> None:
    first, second = write_inputs(SMALL, tmp_path / "a"), write_inputs(SMALL, tmp_path / "long name" / "b")
    assert first == second
    for name in (FASTA, ANNOTATION, TRUTH, MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "long name" / "b" / name).read_bytes()


def test_the_manifest_vouches_for_every_file_and_comes_last(demo: Demo) -> None:
    manifest = json.loads((demo.folder / MANIFEST).read_text())
    files = [path for path in demo.folder.rglob("*") if path.is_file()]
    assert {entry["path"] for entry in manifest["files"]} | {MANIFEST} == {path.name for path in files}
    for entry in manifest["files"]:
        path = demo.folder / entry["path"]
        assert (entry["bytes"], entry["sha256"]) == (path.stat().st_size, sha256_file(path))
    assert max(files, key=lambda path: path.stat().st_mtime_ns).name == MANIFEST


def test_the_genome_looks_like_a_soft_masked_assembly(demo: Demo) -> None:
    assert set(demo.contigs) == {"1", "2", "3", "4", "scaffold_1"}
    lines = (demo.folder / FASTA).read_text().splitlines()
    assert max(len(line) for line in lines if not line.startswith(">")) == 60
    for name in ("1", "2", "3", "4"):
        bases = demo.contigs[name]
        assert bases[:1000].upper() == bases[-1000:].upper() == "N" * 1000
        assert "N" in bases[1000:-1000].upper()
        masked = sum(map(str.islower, bases)) / len(bases)
        assert 0.2 < masked < 0.5
    assert set("".join(demo.contigs.values())) == set("ACGTNacgtn")


def test_introns_read_gt_ag_but_for_the_few_that_real_genomes_have(demo: Demo) -> None:
    genes = genes_of(demo)
    found: dict[str, Counter[str]] = {"donor": Counter(), "acceptor": Counter()}
    for site in demo.truth["sites"]:
        bases, t = transcript(demo, genes[site["gene_id"]]), site["t"]
        ends = bases[t + 1 : t + 3] if site["site_type"] == "donor" else bases[t - 2 : t]
        assert ends == site["ends"]
        found[site["site_type"]][ends] += 1
    assert found["donor"]["GT"] / found["donor"].total() > 0.98
    assert found["acceptor"]["AG"] / found["acceptor"].total() > 0.99
    assert found["donor"]["GC"] and found["donor"]["AT"] and found["acceptor"]["AC"]
    introns = demo.truth["expected"]["introns"]
    assert introns["GT-AG"] / sum(introns.values()) > 0.98


def test_donors_have_the_human_consensus(demo: Demo) -> None:
    genes = genes_of(demo)
    bases = {gene_id: transcript(demo, gene) for gene_id, gene in genes.items()}
    donors = [bases[s["gene_id"]][s["t"] - 2 : s["t"] + 7] for s in demo.truth["sites"] if s["ends"] == "GT"]
    consensus = "".join(Counter(column).most_common(1)[0][0] for column in zip(*donors, strict=True))
    assert consensus[1:] == "AGGTAAGT"
    tracts = [bases[s["gene_id"]][s["t"] - 18 : s["t"] - 4] for s in demo.truth["sites"] if s["ends"] == "AG"]
    assert np.mean([base in "CT" for tract in tracts for base in tract]) > 0.7


def test_both_strands_several_gene_types_and_contigs_that_the_model_saw_and_did_not(demo: Demo) -> None:
    genes = list(genes_of(demo).values())
    assert min(Counter(gene["strand"] for gene in genes).values()) >= 5
    assert Counter(gene["gene_type"] for gene in genes).keys() == {"protein_coding", "lncRNA", "unprocessed_pseudogene"}
    held_out = set(SpliceModelSettings().held_out_contigs)
    assert {gene["contig"] for gene in genes} & held_out == {"1", "3"}
    assert {gene["contig"] for gene in genes} - held_out == {"2", "4"}


def test_genes_overlap_on_one_strand_with_a_shared_site_and_tail_to_tail(demo: Demo, reference: Reference) -> None:
    pairs = reference.overlaps.to_pylist()
    # Each pair stands in both orders.
    assert Counter(pair["same_strand"] for pair in pairs) == {True: 2, False: 2}
    sites = {(s["exon_pos"], s["site_type"], s["gene_id"]) for s in demo.truth["sites"]}
    for pair in pairs:
        one, two = ({s[:2] for s in sites if s[2] == pair[f"gene_id_{i}"]} for i in (1, 2))
        assert len(one & two) == int(pair["same_strand"])


def test_the_line_finds_the_sites_that_are_planted_and_no_other(demo: Demo, reference: Reference) -> None:
    names = ("gene_id", "site_type", "t", "exon_pos", "transcript_count")
    found = {tuple(row[name] for name in names) for row in reference.sites.to_pylist()}
    assert found == {tuple(site[name] for name in names) for site in demo.truth["sites"]}
    counts = reference.description["counts"]
    expected = demo.truth["expected"]["counts"]
    assert {name: counts[name] for name in expected} == expected


def test_the_ledgers_count_what_the_truth_says(demo: Demo, reference: Reference, tmp_path: Path) -> None:
    expected = demo.truth["expected"]
    assert read_json(reference.folder / "ledger.json")["kinds"] == expected["reference"]
    pool = write_pool(reference.folder, tmp_path, SpliceSelectionSettings())
    write_ranking(tmp_path, SpliceSelectionSettings())
    kinds = read_json(tmp_path / "ledger.json")["kinds"]
    assert {kind: kinds[kind] for kind in expected["plan"]} == expected["plan"]
    assert pool.table.num_rows == eligible_genes(DEFAULT) == demo.truth["eligible_genes"]


def test_the_truth_of_a_demo_with_other_numbers_holds_too(tmp_path: Path) -> None:
    settings = SpliceDemoSettings(genes=52, chromosomes=9, seed=11)
    write_inputs(settings, tmp_path)
    expected = read_json(tmp_path / TRUTH)["expected"]
    inputs = SpliceInputSettings(fasta=tmp_path / FASTA, annotation=tmp_path / ANNOTATION)
    counts = build_reference(inputs, tmp_path / "reference")["counts"]
    assert {name: counts[name] for name in expected["counts"]} == expected["counts"]
    assert read_json(tmp_path / "reference" / "ledger.json")["kinds"] == expected["reference"]


def test_everything_that_goes_wrong_in_real_annotations_is_there(demo: Demo) -> None:
    reference = demo.truth["expected"]["reference"]
    found = {(kind, reason) for kind, one in reference.items() for reason in one["rejected"]}
    assert found == {
        ("line", "malformed_line"),
        ("exon", "contig_not_in_genome"),
        ("exon", "past_end_of_contig"),
        ("exon", "exons_on_two_strands_or_contigs"),
        ("exon", "exons_overlap"),
        ("transcript", "contig_not_in_genome"),
        ("transcript", "past_end_of_contig"),
        ("transcript", "exons_on_two_strands_or_contigs"),
        ("gene", "contig_not_in_genome"),
        ("gene", "past_end_of_contig"),
        ("spliced_transcript", "single_exon_transcript"),
        ("intron", "exons_overlap"),
        ("intron", "intron_too_short"),
    }


def test_lines_of_the_annotation_agree_with_each_other(demo: Demo) -> None:
    genes, spans = {}, {}
    for columns, attributes in read_gtf(demo.folder / ANNOTATION):
        place = (columns[0], int(columns[3]), int(columns[4]), columns[6])
        if columns[2] == "gene":
            genes[attributes["gene_id"]] = place
        elif columns[2] == "exon" and attributes["transcript_id"].startswith("DEMOT00003"):
            assert columns[6] == genes[attributes["gene_id"]][3]
            spans.setdefault(attributes["gene_id"], []).append(place[1:3])
    assert len(genes) == DEFAULT.genes
    (gene_id,) = spans
    assert genes[gene_id][1:3] == (min(a for a, _ in spans[gene_id]), max(b for _, b in spans[gene_id]))


def called(scores: ScoreStore, sites: list[dict[str, Any]]) -> np.ndarray:
    """Whether the toy model calls each place for what it is planted as."""
    tracks = {site["gene_id"]: scores.get(site["gene_id"]) for site in sites}
    return np.array([tracks[s["gene_id"]][s["site_type"] == "acceptor"][s["t"]] >= 0.5 for s in sites])


def test_the_toy_model_finds_most_sites_misses_some_and_is_fooled_by_decoys(demo: Demo, scores: ScoreStore) -> None:
    sites, decoys = demo.truth["sites"], demo.truth["decoys"]
    found, fooled = called(scores, sites), called(scores, decoys)
    assert 0.6 < found.mean() < 0.85
    assert 0.4 < fooled.mean() < 0.85
    calls = sum(int((scores.get(gene_id)[kind] >= 0.5).sum()) for gene_id in genes_of(demo) for kind in (0, 1))
    # Beyond sites and decoys hardly anything is called, among some 240,000 bases.
    assert 0 <= calls - found.sum() - fooled.sum() <= 10
    assert fooled.sum() > 40


def test_the_toy_model_errs_on_contigs_of_both_kinds(demo: Demo, scores: ScoreStore) -> None:
    genes = genes_of(demo)
    for held_out in (True, False):
        sites, decoys = (
            [s for s in demo.truth[kind] if (genes[s["gene_id"]]["contig"] in "13") == held_out]
            for kind in ("sites", "decoys")
        )
        assert 0 < called(scores, sites).sum() < len(sites)
        assert called(scores, decoys).any()


def test_what_lies_further_out_tells_sites_from_decoys(demo: Demo) -> None:
    genes = genes_of(demo)
    bases = {gene_id: transcript(demo, gene) for gene_id, gene in genes.items()}

    def words(site: dict[str, Any]) -> int:
        around = bases[site["gene_id"]][max(site["t"] - 250, 0) : site["t"] + 251]
        return len(re.findall("(?=GGG|GAA|AAG)", around))

    real, decoy = (np.array([words(site) for site in demo.truth[kind]]) for kind in ("sites", "decoys"))
    above = (real[:, None] > decoy).mean() + (real[:, None] == decoy).mean() / 2
    assert above > 0.8


def test_the_default_split_fills_train_val_and_test(demo: Demo, reference: Reference) -> None:
    model = SpliceModelSettings()
    table = assign(reference.genes, SpliceSplitSettings(), held_out=model.held_out_contigs)
    planned = [gene_id for gene_id, gene in genes_of(demo).items() if gene["sites"]]
    counts = check_filled(table, planned, SpliceSplitSettings())
    assert min(counts[name] for name in ("train", "val", "test", "none")) >= 2


def test_a_larger_demo_holds_the_smaller_one(demo: Demo, tmp_path: Path) -> None:
    write_inputs(DEFAULT.model_copy(update={"genes": DEFAULT.genes + 3}), tmp_path)
    lines = set((tmp_path / ANNOTATION).read_text().splitlines())
    assert set((demo.folder / ANNOTATION).read_text().splitlines()) < lines
    larger = read_fasta(tmp_path / FASTA)
    for name, bases in demo.contigs.items():
        inner = bases[:-1000] if name.isdigit() else bases
        assert larger[name].startswith(inner)
    assert read_json(tmp_path / TRUTH)["genes"][: DEFAULT.genes] == demo.truth["genes"]


def test_another_seed_gives_another_genome(tmp_path: Path) -> None:
    first = write_inputs(SMALL, tmp_path / "a")
    second = write_inputs(SMALL.model_copy(update={"seed": 1}), tmp_path / "b")
    assert not {entry["sha256"] for entry in first["files"]} & {entry["sha256"] for entry in second["files"]}


@pytest.mark.parametrize("seed", range(3))
def test_every_seed_passes_the_motif_gate(seed: int, tmp_path: Path) -> None:
    write_inputs(SMALL.model_copy(update={"seed": seed}), tmp_path / "in")
    settings = SpliceInputSettings(fasta=tmp_path / "in" / FASTA, annotation=tmp_path / "in" / ANNOTATION)
    assert build_reference(settings, tmp_path / "out")["gt_ag_share"] > 0.95


def test_odd_genes_come_again_in_a_larger_demo() -> None:
    seconds = [planted.make_gene(5, planted.PERIOD + n) for n in (planted.SINGLE_EXON, planted.MINOR_INTRON)]
    assert len(seconds[0].transcripts[0].exons) == 1
    assert "AT-AC" in seconds[1].introns.values()
    assert planted.make_gene(5, planted.PERIOD + planted.READTHROUGH).head > 0


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo_splice.main(["--settings", SMALL.model_dump_json(), "--out", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path}: 3 files\n"
