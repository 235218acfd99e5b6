"""Real weights on real sequence, against numbers that others published for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainyard.splice.backends import BaseModel, open_model
from trainyard.splice.calls import Gene
from trainyard.splice.genome import Genome, encode, reverse_complement
from trainyard.splice.offset import offset_gate
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.scorebatch import score_batch
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.scoring import Target, score_genes
from trainyard.splice.settings import SpliceInputSettings, SpliceModelSettings
from trainyard.splice.weights import read_ensemble
from trainyard.yard.errors import InputError

OPEN, OPEN_80, ILLUMINA = "openspliceai-mane-10000nt", "openspliceai-mane-80nt", "spliceai-10000nt"
TUBB8 = Gene("TUBB8", "chr10", 92828, 95178, "-")
"""On hg19; its longest annotated transcript reaches to 95504."""
HALF = 5000
INDEX = "index_00001.parquet"


def model_settings(real_data: Path, name: str, *, members: int = 5, **changes) -> SpliceModelSettings:
    weights = sorted((real_data / "splice" / "models" / name).iterdir())[:members]
    backend = "spliceai-h5" if name == ILLUMINA else "openspliceai-pt"
    return SpliceModelSettings(backend=backend, weights=weights, accept_licence=True, device="cpu", **changes)


@pytest.fixture(scope="module")
def illumina(real_data: Path) -> BaseModel:
    return open_model(model_settings(real_data, ILLUMINA))


@pytest.fixture(scope="module")
def openspliceai(real_data: Path) -> BaseModel:
    return open_model(model_settings(real_data, OPEN))


@pytest.fixture(scope="module")
def genome(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Genome:
    fasta = real_data / "splice" / "golden" / "illumina_tests" / "test.fa"
    return Genome(fasta, cache=tmp_path_factory.mktemp("cache"))


def tubb8(genome: Genome, *, flank: bool) -> np.ndarray:
    place = (TUBB8.chrom, TUBB8.start, TUBB8.end, TUBB8.strand)
    if flank:
        return genome.flanked(*place, left=HALF, right=HALF)
    return np.pad(genome.gene(*place), HALF, constant_values=4)


class Scored:
    """Scores of TUBB8 by place on the contig."""

    def __init__(self, model: BaseModel, codes: np.ndarray) -> None:
        (self.all,) = model.score([codes])

    def donor(self, place: int) -> float:
        return float(self.all[2, TUBB8.end - place])

    def acceptor(self, place: int) -> float:
        return float(self.all[1, TUBB8.end - place])


@pytest.mark.parametrize(
    ("name", "context", "parameters", "tensors"),
    [(OPEN_80, 80, 93_251, 64), (OPEN, 10_000, 696_739, 238), (ILLUMINA, 10_000, 696_739, None)],
)
def test_weights_have_the_published_number_of_parameters(real_data, name, context, parameters, tensors):
    settings = model_settings(real_data, name)
    files = read_ensemble(settings.weights, settings.backend)
    assert {file.member.parameters for file in files} == {parameters}
    assert {file.member.context for file in files} == {context}
    assert len({file.sha256 for file in files}) == 5
    if tensors:
        import torch

        state = torch.load(settings.weights[0], map_location="cpu", weights_only=True)
        assert len(state) == tensors


def test_a_truncated_weight_file_is_one_clear_error(real_data, tmp_path):
    for name in (OPEN_80, ILLUMINA):
        settings = model_settings(real_data, name, members=1)
        data = settings.weights[0].read_bytes()
        for share in (0.2, 0.9):
            cut = tmp_path / settings.weights[0].name
            cut.write_bytes(data[: int(share * len(data))])
            with pytest.raises(InputError, match=rf"{cut.name}: cannot be read as weights of"):
                read_ensemble([cut], settings.backend)


def test_spliceai_gives_the_published_scores_of_tubb8(illumina, genome):
    alone, in_place = (Scored(illumina, tubb8(genome, flank=flank)) for flank in (False, True))
    for place, score in ((94744, 0.998), (94555, 0.98), (95122, 0.99)):
        assert alone.donor(place) == pytest.approx(score, abs=0.01)
    for place in (94852, 94665, 94054):
        assert alone.acceptor(place) > 0.95
    assert alone.donor(92981) < 0.2
    assert in_place.donor(92981) == pytest.approx(0.887, abs=0.01)
    assert in_place.donor(95122) == pytest.approx(0.83, abs=0.01)


def test_openspliceai_gives_the_published_scores_of_tubb8(openspliceai, genome):
    alone, in_place = (Scored(openspliceai, tubb8(genome, flank=flank)) for flank in (False, True))
    assert alone.donor(95122) == pytest.approx(0.947, abs=0.01)
    assert alone.donor(92981) < 0.01
    assert in_place.donor(92981) == pytest.approx(0.517, abs=0.01)
    assert in_place.donor(95122) == pytest.approx(0.462, abs=0.01)
    for place in (94744, 94555):
        assert alone.donor(place) > 0.98
    for place in (94852, 94665, 94054):
        assert alone.acceptor(place) > 0.99


def test_scores_add_up_to_one(illumina, openspliceai, genome):
    for model in (illumina, openspliceai):
        scores = Scored(model, tubb8(genome, flank=False)).all
        assert np.abs(scores.sum(axis=0) - 1).max() < 3e-7


@pytest.mark.parametrize(
    ("place", "base", "wanted", "at"),
    [
        (94077, "C", (0.15, 0.27, 0.00, 0.05), (89, -23, -267, 193)),
        (94555, "T", (0.01, 0.18, 0.15, 0.62), (-2, 110, -190, 0)),
    ],
)
def test_spliceai_gives_the_published_delta_scores(illumina, genome, place, base, wanted, at):
    """Gain and loss of acceptors, then of donors, within 500 bases; blank outside of the gene, as published."""
    distance, first, last = 500, TUBB8.start, 95504
    around = np.arange(place - distance - HALF, place + distance + HALF + 1)
    reference = genome.fetch("chr10", int(around[0]), int(around[-1]))
    reference[(around < first) | (around > last)] = 4
    variant = reference.copy()
    variant[distance + HALF] = encode(base)[0]
    before, after = illumina.score([reverse_complement(codes) for codes in (reference, variant)])
    change = (after - before)[:, ::-1]
    for (channel, sign), score, offset in zip(((1, 1), (1, -1), (2, 1), (2, -1)), wanted, at, strict=True):
        track = sign * change[channel]
        assert track.max() == pytest.approx(score, abs=0.01)
        if score >= 0.05:
            assert int(track.argmax()) - distance == offset


def test_neither_block_length_nor_batch_shape_changes_a_score(real_data, genome):
    """Also not the layout that a GPU gets its batches in."""
    targets = [Target("a", tubb8(genome, flank=True)), Target("b", tubb8(genome, flank=False)[300:])]
    for name in (OPEN, ILLUMINA):
        model = open_model(model_settings(real_data, name, members=1))
        whole = [scores for _, scores in score_genes(model, targets, block=10**6, batch_positions=10**6)]
        for block in (500, 1024):
            cut = [scores for _, scores in score_genes(model, targets, block=block, batch_positions=10**6)]
            for a, b in zip(whole, cut, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-6)
        batch = [target.codes[:10_500] for target in targets]
        for a, b in zip(model._score_by_batches(batch), whole, strict=True):
            np.testing.assert_allclose(a[[2, 1]], b[:, :500], atol=1e-6)


@pytest.fixture(scope="module")
def chr22(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("chr22")
    build_reference(chr22_inputs(real_data), folder)
    return Reference(folder)


def chr22_inputs(real_data: Path, **changes) -> SpliceInputSettings:
    folder = real_data / "splice" / "human_chr22_300kb"
    inputs = {
        "source": "files",
        "fasta": folder / "hg38_chr22_32000000_32300000.fa",
        "annotation": folder / "derived_local.gff3",
    }
    return SpliceInputSettings.model_validate(inputs | changes)


def scored(reference: Reference, out: Path, settings: SpliceModelSettings) -> ScoreStore:
    score_batch(reference, reference.genes["gene_id"].to_pylist(), out, index=INDEX, settings=settings)
    return ScoreStore(out)


def test_openspliceai_peaks_exactly_on_the_annotated_sites_of_chr22(real_data, chr22, tmp_path):
    store = scored(chr22, tmp_path, model_settings(real_data, OPEN))
    report = offset_gate(chr22, store, tmp_path / "offset.json", min_share=0.95)
    assert sum(report.sites.values()) == 52
    assert sum(report.well_scored(group) for group in report.sites) >= 45
    assert report.exact >= 0.95


def test_spliceai_finds_the_sites_that_others_found_on_chr22(real_data, chr22, tmp_path):
    """Their files name the two intron bases of a site, 0-based; the exon base beside them is the one that is scored."""
    store, offset, genes = scored(chr22, tmp_path, model_settings(real_data, ILLUMINA)), 32_000_000, chr22.genes
    by_name = {row["gene_name"]: row for row in genes.to_pylist()}
    differences = []
    for i, site_type in enumerate(("donor", "acceptor")):
        text = (real_data / "splice" / "golden" / f"{site_type}_predictions.bed").read_text()
        for line in text.splitlines():
            _, start, end, name, score, strand = line.split("\t")
            row = by_name.get(name.split(" ")[0].removeprefix("gene-"))
            if row is None:
                continue
            assert row["strand"] == strand
            exon_before = (site_type == "donor") == (strand == "+")
            exon_pos = (int(start) if exon_before else int(end) + 1) - offset
            t = exon_pos - row["start"] if strand == "+" else row["end"] - exon_pos
            track = store.get(row["gene_id"])[i]
            assert track[t] == track[max(t - 5, 0) : t + 6].max()
            differences.append(abs(float(track[t]) - float(score)))
    assert len(differences) == 45
    assert max(differences) < 0.2
    assert np.mean(differences) < 0.02


def test_a_shifted_annotation_of_chr22_is_refused_with_its_offset(real_data, tmp_path):
    lines = (real_data / "splice" / "human_chr22_300kb" / "derived_local.gff3").read_text().splitlines()
    moved = []
    for line in lines:
        cells = line.split("\t")
        moved.append("\t".join([*cells[:3], *(str(int(c) + 1) for c in cells[3:5]), *cells[5:]]) if cells[1:] else line)
    (tmp_path / "moved.gff3").write_text("\n".join(moved) + "\n")
    build_reference(chr22_inputs(real_data, annotation=tmp_path / "moved.gff3", min_motif_share=0), tmp_path)
    reference = Reference(tmp_path)
    store = scored(reference, tmp_path / "scores", model_settings(real_data, OPEN_80))
    with pytest.raises(InputError, match=r"on strand \+: 100\.0 % .* at offset -1.*all coordinates are \+1 off"):
        offset_gate(reference, store, tmp_path / "offset.json", min_share=0.95)
