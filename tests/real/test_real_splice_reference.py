"""Real annotations of five sources: their sites, their motifs, and what happens when they are shifted."""

from __future__ import annotations

import gzip
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pyarrow.compute as pc
import pytest

from trainyard.splice.contigs import match_contigs
from trainyard.splice.entities import load_annotation
from trainyard.splice.genes import Tables, build_tables
from trainyard.splice.placement import place
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.settings import SpliceInputSettings
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger

# FASTA, annotation, dialect, genes with introns, unique introns and share of GT-AG (shared/data/README.md; "about 98 %"
# and the numbers of introns by the plain count below).
SETS = {
    "isotools": ("human_isotools/example.fa", "human_isotools/example.gff.gz", "gencode-gff3", 54, 677, 0.963),
    "chr22": (
        "human_chr22_300kb/hg38_chr22_32000000_32300000.fa",
        "human_chr22_300kb/derived_local.gff3",
        "refseq-gff3",
        3,
        26,
        1.0,
    ),
    "arabidopsis": ("arabidopsis_1pct/at1pct.fa.gz", "arabidopsis_1pct/at1pct.gff3.gz", "tair-gff3", 273, None, 0.985),
    "celegans": ("celegans_1pct/ce1pct.fa.gz", "celegans_1pct/ce1pct.gff3.gz", "wormbase-gff3", 186, None, 0.983),
    "dmel": ("dmel_chr4/genome.fa", "dmel_chr4/annotation.gtf", "flybase-gtf", 91, None, 0.982),
}


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()


@pytest.fixture(scope="module")
def built(real_data, tmp_path_factory):
    """Build the reference of a set, once."""
    made: dict[str, Reference] = {}

    def build(name: str) -> Reference:
        if name not in made:
            fasta, annotation = (real_data / "splice" / file for file in SETS[name][:2])
            settings = SpliceInputSettings(source="files", fasta=fasta, annotation=annotation)
            folder = tmp_path_factory.mktemp(name)
            build_reference(settings, folder)
            made[name] = Reference(folder)
        return made[name]

    return build


@pytest.fixture(scope="module")
def mane(real_data, tmp_path_factory) -> Tables:
    """Tables of all MANE genes of chr22; no FASTA of the whole chromosome is at hand."""
    ledger = Ledger("splice", Reason)
    annotation = load_annotation(real_data / "splice" / "human_chr22_300kb" / "chr22.gff", ledger)
    match = match_contigs(annotation.contigs, ["chr22"], aliases={})
    placement = place(annotation, match=match, lengths={"chr22": 50_818_468})
    return build_tables(annotation, placement, match, ledger, min_intron=1)


def plain_count(fasta: str, annotation: str) -> tuple[int, int]:
    """Unique introns, and how many of them are GT-AG, line by line and without a line of Trainyard."""
    contigs: dict[str, str] = {}
    for record in fasta.split(">")[1:]:
        name, _, letters = record.partition("\n")
        contigs[name.split()[0]] = letters.replace("\n", "").upper()
    exons = defaultdict(set)
    for row in annotation.splitlines():
        columns = row.split("\t")
        if len(columns) == 9 and columns[2] in ("exon", "pseudogenic_exon"):
            mark = "Parent=" if "Parent=" in columns[8] else 'transcript_id "'
            owner = columns[8].split(mark)[1].split(";")[0].rstrip('"')
            for one in owner.split(","):
                exons[one, columns[0], columns[6]].add((int(columns[3]), int(columns[4])))
    introns = {
        (contig, strand, end, start - 1)
        for (_, contig, strand), places in exons.items()
        for (_, end), (start, _) in pairwise(sorted(places))
    }
    ends = {"+": ("GT", "AG"), "-": ("CT", "AC")}
    good = sum((contigs[c][a : a + 2], contigs[c][b - 2 : b]) == ends[strand] for c, strand, a, b in introns)
    return len(introns), good


@pytest.mark.parametrize("name", SETS)
def test_dialect_genes_and_motifs_are_those_of_the_source(built, real_data, name):
    fasta, annotation, dialect, genes, introns, share = SETS[name]
    reference = built(name)
    described = reference.description
    counted, good = plain_count(*(text_of(real_data / "splice" / file) for file in (fasta, annotation)))
    assert described["dialect"] == dialect
    assert described["counts"]["unique_introns"] == counted == (introns or counted)
    assert described["gt_ag_share"] == pytest.approx(good / counted, abs=1e-6)
    assert described["gt_ag_share"] == pytest.approx(share, abs=0.002)
    with_introns = pc.sum(pc.greater(reference.genes["n_donors"], 0)).as_py()
    assert with_introns == genes
    ledger = Ledger.from_dict(read_json(reference.folder / "ledger.json"), Reason)
    ledger.check()
    assert ledger.rejected("line") == ledger.rejected("gene") == ledger.rejected("exon") == 0


@pytest.mark.parametrize("name", SETS)
def test_bases_beside_sites_are_those_of_the_genes_sequence(built, name):
    reference = built(name)
    hits = total = 0
    for gene in reference.genes.to_pylist():
        bases = reference.genome.gene(gene["chrom"], gene["start"], gene["end"], gene["strand"])
        assert len(bases) == gene["length"]
        for site in reference.sites_of(gene["gene_id"]).to_pylist():
            t = site["t"]
            donor = site["site_type"] == "donor"
            pair = bases[t + 1 : t + 3].tolist() if donor else bases[t - 2 : t].tolist()
            hits += pair == ([2, 3] if donor else [0, 2])
            total += 1
    assert hits / total > 0.95


@pytest.mark.parametrize("offset", [-1, 1])
@pytest.mark.parametrize("name", SETS)
def test_shifted_by_one_base_it_is_refused_with_its_offset(real_data, tmp_path, name, offset):
    fasta, annotation = (real_data / "splice" / file for file in SETS[name][:2])
    shifted = tmp_path / "shifted.gff"
    rows = (row.split("\t") for row in text_of(annotation).splitlines() if not row.startswith("#"))
    shifted.write_text(
        "".join("\t".join([*r[:3], str(int(r[3]) + offset), str(int(r[4]) + offset), *r[5:]]) + "\n" for r in rows)
    )
    settings = SpliceInputSettings(source="files", fasta=fasta, annotation=shifted)
    with pytest.raises(InputError) as caught:
        build_reference(settings, tmp_path / "out")
    message = str(caught.value)
    for strand in "+-":
        assert f"strand {strand}: offset {offset:+d} (add {-offset:+d} to the coordinates" in message
    assert "Likely cause" in message


def test_mane_genes_of_chr22_have_exactly_their_sites(mane):
    assert mane.genes.num_rows == mane.transcripts.num_rows == 423
    kinds = mane.sites["site_type"].to_pylist()
    assert (kinds.count("donor"), kinds.count("acceptor")) == (3775, 3775)
    assert set(mane.sites["transcript_count"].to_pylist()) == {1}
    both = defaultdict(set)
    for row in mane.sites.select(["exon_pos", "site_type", "strand"]).to_pylist():
        both[row["exon_pos"], row["strand"]].add(row["site_type"])
    assert all(len(found) == 1 for found in both.values())


def test_mane_genes_of_chr22_have_the_published_lengths_and_clusters(mane):
    """Numbers of spec 11.1: 19.2 Mb of locus, median 21.2 kb, 417 clusters on one strand, 374 strand-blind."""
    length = mane.genes["length"]
    assert pc.sum(length).as_py() == pytest.approx(19.2e6, rel=0.005)
    assert pc.quantile(length, 0.5)[0].as_py() == pytest.approx(21_200, rel=0.005)
    assert pc.max(length).as_py() == pytest.approx(856_000, rel=0.005)
    clusters = mane.genes["locus_cluster"].to_pylist()
    assert len(set(clusters)) == 417
    assert sum(clusters.count(name) > 1 for name in clusters) == 12
    overlapping = mane.overlaps["gene_id_1"].unique()
    assert len(overlapping) == 91
    assert set(mane.transcripts["tags"].to_pylist()) >= {"MANE_Select"}


@pytest.mark.parametrize("kind", ["donor", "acceptor"])
def test_sites_lie_where_another_program_predicts_them(mane, real_data, kind):
    """SpliceAI-10k sites of chr22 by a third party: BED windows of the two intron bases beside the exon."""
    ours = {(row["strand"], row["intron_pos"]) for row in mane.sites.to_pylist() if row["site_type"] == kind}
    theirs = []
    for row in (real_data / "splice" / "golden" / f"{kind}_predictions.bed").read_text().splitlines():
        _, start, end, _, _, strand = row.split("\t")
        # 0-based, half-open: the window's first base is start + 1, its last is end.
        beside_exon = int(start) + 1 if (strand == "+") == (kind == "donor") else int(end)
        theirs.append((strand, beside_exon))
    share = {shift: sum((s, p + shift) in ours for s, p in theirs) / len(theirs) for shift in (-1, 0, 1)}
    assert share[0] > 0.98
    assert max(share[-1], share[1]) < 0.01


def test_soft_masked_letters_count(built, real_data):
    text = text_of(real_data / "splice" / SETS["dmel"][0])
    assert sum(letter in "acgt" for letter in text) > 100_000
    codes = built("dmel").genome.fetch("chr4", 1, built("dmel").genome.contigs["chr4"])
    letters = "".join(text.split("\n")[1:])
    assert (codes == 4).sum() == sum(letter not in "acgtACGT" for letter in letters)
