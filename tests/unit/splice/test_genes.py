"""Genes, transcripts and exons: whatever an annotation does, every item ends in a table or with a reason."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_annotations import TOY_EXONS, Transcript, build, gff3, gtf, line

from trainyard.splice.schema import EXONS, GENES, OVERLAPS, SITES, TRANSCRIPTS

CONTRACTS = {"genes": GENES, "transcripts": TRANSCRIPTS, "exons": EXONS, "sites": SITES, "overlaps": OVERLAPS}


def test_tables_keep_their_contracts_also_when_nothing_stands(tmp_path):
    some = build(tmp_path, gtf(Transcript("T1", "G1")))
    none = build(tmp_path, gtf(Transcript("T1", "G1", strand=".")))
    for name, contract in CONTRACTS.items():
        contract.check(getattr(some.tables, name))
        contract.check(getattr(none.tables, name))
        assert getattr(none.tables, name).num_rows == 0


@pytest.mark.parametrize(("strand", "ranks"), [("+", [1, 2, 3]), ("-", [3, 2, 1])])
def test_exons_are_ranked_in_transcript_direction(tmp_path, strand, ranks):
    exons = build(tmp_path, gtf(Transcript("T1", "G1", strand=strand))).tables.exons.to_pylist()
    assert [row["exon_rank"] for row in exons] == [1, 2, 3]
    assert [row["start"] for row in exons] == [TOY_EXONS[rank - 1][0] for rank in ranks]


def test_exons_out_of_order_are_put_in_order(tmp_path):
    lines = gtf(Transcript("T1", "G1"), Transcript("T2", "G1", [(101, 150), (351, 400)])).splitlines(keepends=True)
    expected = build(tmp_path, "".join(lines)).tables
    random.Random(3).shuffle(lines)
    shuffled = build(tmp_path, "".join(lines))
    for name in ("transcripts", "exons", "sites", "overlaps"):
        assert getattr(shuffled.tables, name).equals(getattr(expected, name)), name
    assert shuffled.ledger.kept("line") == len(lines)


def test_a_single_exon_gives_a_gene_without_sites(tmp_path):
    built = build(tmp_path, gtf(Transcript("T1", "G1", [(101, 400)])))
    gene = built.row("genes", gene_id="G1")
    assert (gene["n_donors"], gene["n_acceptors"], gene["rep_num_exons"]) == (0, 0, 1)
    assert built.tables.sites.num_rows == 0
    assert built.rejected("spliced_transcript") == {"single_exon_transcript": 1}


@pytest.mark.parametrize(
    ("exons", "merged", "left"),
    [
        ([(101, 150), (140, 200), (251, 300)], 1, [(101, 200), (251, 300)]),
        ([(101, 200), (120, 130), (251, 300)], 1, [(101, 200), (251, 300)]),
        ([(101, 150), (101, 150), (251, 300)], 1, [(101, 150), (251, 300)]),
        ([(101, 300), (120, 130), (140, 150), (351, 400)], 2, [(101, 300), (351, 400)]),
    ],
)
def test_overlapping_exons_become_one_and_are_counted(tmp_path, exons, merged, left):
    built = build(tmp_path, gtf(Transcript("T1", "G1", exons)))
    assert [(row["start"], row["end"]) for row in built.tables.exons.to_pylist()] == left
    assert built.rejected("exon") == built.rejected("intron") == {"exons_overlap": merged}
    assert built.tables.sites.num_rows == 2


def test_a_gap_that_is_too_short_gives_no_site_and_is_counted(tmp_path):
    text = gtf(Transcript("T1", "G1", [(101, 150), (151, 200), (205, 250), (301, 400)]))
    built = build(tmp_path, text)
    assert built.rejected("intron") == {"intron_too_short": 1}
    assert built.row("genes", gene_id="G1")["n_donors"] == 2
    assert built.tables.exons.num_rows == 4
    longer = build(tmp_path, text, min_intron=20)
    assert longer.rejected("intron") == {"intron_too_short": 2}
    assert longer.row("genes", gene_id="G1")["n_donors"] == 1


TROUBLED = {
    "exons on two strands": (
        gtf(Transcript("T2", "G2", TOY_EXONS[:2])) + gtf(Transcript("T2", "G2", TOY_EXONS[2:], "-"), genes=False),
        "exons_on_two_strands_or_contigs",
    ),
    "exons on two contigs": (
        gtf(Transcript("T2", "G2", TOY_EXONS[:2]))
        + gtf(Transcript("T2", "G2", TOY_EXONS[2:], contig="2"), genes=False),
        "exons_on_two_strands_or_contigs",
    ),
    "on the other strand than its gene": (
        line("1", "gene", 101, 400, "+", 'gene_id "G2";') + gtf(Transcript("T2", "G2", strand="-"), genes=False),
        "exons_on_two_strands_or_contigs",
    ),
    "no strand": (gtf(Transcript("T2", "G2", strand=".")), "no_strand"),
    "contig not in genome": (gtf(Transcript("T2", "G2", contig="lost")), "contig_not_in_genome"),
    "past the end": (gtf(Transcript("T2", "G2", [(4000, 4500), (4900, 5001)])), "past_end_of_contig"),
    "two genes": (
        gtf(Transcript("T2", "G2", TOY_EXONS[:2])) + gtf(Transcript("T2", "G3", TOY_EXONS[2:]), genes=False),
        "exons_of_two_genes",
    ),
}
LENGTHS = {"1": 5000, "2": 5000}


@pytest.mark.parametrize("trouble", TROUBLED)
def test_what_does_not_stand_is_counted_with_its_exons_and_harms_nothing_else(tmp_path, trouble):
    text, reason = TROUBLED[trouble]
    good = gtf(Transcript("T1", "G1"))
    built = build(tmp_path, good + text, lengths=LENGTHS)
    assert built.tables.genes["gene_id"].to_pylist() == ["G1"]
    assert built.tables.sites.equals(build(tmp_path, good, lengths=LENGTHS).tables.sites)
    assert set(built.rejected("gene")) <= {reason, "no_exons"}
    assert built.rejected("transcript") == {reason: 1}
    assert sum(built.rejected("exon").values()) == built.ledger.expected("exon") - 3 == text.count("\texon\t")


def test_a_gene_keeps_its_good_transcripts_when_one_is_trans_spliced(tmp_path):
    mixed = gtf(Transcript("T2", "G1", TOY_EXONS[:2]), genes=False) + gtf(
        Transcript("T2", "G1", TOY_EXONS[2:], "-"), genes=False
    )
    built = build(tmp_path, gtf(Transcript("T1", "G1")) + mixed)
    assert built.row("genes", gene_id="G1")["num_transcripts"] == 1
    assert built.rejected("transcript") == {"exons_on_two_strands_or_contigs": 1}
    assert built.rejected("gene") == {}


def test_contigs_left_out_by_choice_are_told_from_missing_ones(tmp_path):
    text = gtf(Transcript("T1", "G1"), Transcript("T2", "G2", contig="2"), Transcript("T3", "G3", contig="lost"))
    assert build(tmp_path, text, lengths=LENGTHS).rejected("gene") == {"contig_not_in_genome": 1}
    assert build(tmp_path, text, lengths=LENGTHS, used=["1"]).rejected("gene") == {"contig_not_used": 2}


def test_genes_and_transcripts_without_exons_are_counted(tmp_path):
    for write in (gtf, gff3):
        built = build(
            tmp_path,
            write(Transcript("T1", "G1"), Transcript("T2", "G2", [(1, 9)])).replace("\texon\t1\t9", "\tintron\t1\t9"),
        )
        assert built.tables.genes["gene_id"].to_pylist() == ["G1"]
        assert built.rejected("gene") == {"no_exons": 1}
        assert built.rejected("transcript") == {"no_exons": 1}


def test_a_gene_covers_its_line_and_its_transcripts(tmp_path):
    def spans(start, end):
        text = line("1", "gene", start, end, "+", 'gene_id "G1";') + gtf(Transcript("T1", "G1"), genes=False)
        gene = build(tmp_path, text).row("genes", gene_id="G1")
        return gene["start"], gene["end"], gene["length"]

    assert spans(50, 500) == (50, 500, 451)
    assert spans(120, 380) == (101, 400, 300)


def test_a_second_line_of_a_gene_widens_it_or_is_counted(tmp_path):
    text = gtf(Transcript("T1", "G1"))
    near = build(tmp_path, text + line("1", "gene", 350, 600, "+", 'gene_id "G1";'))
    assert near.row("genes", gene_id="G1")["end"] == 600
    far = build(tmp_path, text + line("2", "gene", 350, 600, "+", 'gene_id "G1";'))
    assert far.row("genes", gene_id="G1")["end"] == 400
    assert far.rejected("gene") == {"repeated_gene": 1}


REPRESENTATIVES = [
    # extra attributes, exons and CDS of two transcripts; the second should be chosen
    ("MANE", {"tag": "Ensembl_canonical"}, {"tag": "MANE_Select"}),
    ("canonical", {"tag": "basic"}, {"tag": "Ensembl_canonical"}),
    ("RefSeq", {}, {"tag": "RefSeq Select"}),
    ("CDS", {"cds": "90"}, {"cds": "120"}),
    ("spliced length", {}, {"longer": "yes"}),
]


@pytest.mark.parametrize(("rule", "first", "second"), REPRESENTATIVES, ids=[row[0] for row in REPRESENTATIVES])
def test_the_representative_is_chosen_without_looking_at_sites(tmp_path, rule, first, second):
    text = ""
    for name, extra in (("A", first), ("B", second)):
        longer = "longer" in extra or ("cds" in first and name == "A")
        exons = [(101, 150), (251, 300), (351, 420 if longer else 400)]
        tags = {key: value for key, value in extra.items() if key == "tag"}
        text += gtf(Transcript(name, "G1", exons, extra=tags), genes=False)
        if "cds" in extra:
            text += line("1", "CDS", 101, 100 + int(extra["cds"]), "+", f'gene_id "G1"; transcript_id "{name}";')
    gene = build(tmp_path, text).row("genes", gene_id="G1")
    assert gene["rep_transcript_id"] == "B"


def test_equals_are_told_apart_by_name(tmp_path):
    for order in (("A", "B"), ("B", "A")):
        built = build(tmp_path, gtf(*(Transcript(name, "G1") for name in order)))
        assert built.row("genes", gene_id="G1")["rep_transcript_id"] == "A"


def test_structure_of_the_representative(tmp_path):
    gene = build(tmp_path, gtf(Transcript("T1", "G1", [(101, 150), (251, 300), (351, 390), (401, 500)]))).row("genes")
    assert gene["rep_spliced_length"] == 240
    assert gene["rep_num_exons"] == 4
    assert gene["rep_avg_exon_length"] == 60.0
    assert gene["rep_median_exon_length"] == 50.0
    assert gene["rep_total_intron_length"] == 160


def test_genes_are_sorted_by_id_and_remember_their_order(tmp_path):
    genes = build(tmp_path, gtf(*(Transcript(f"T{name}", name) for name in ("b", "c", "a", "B")))).tables.genes
    assert genes["gene_id"].to_pylist() == ["B", "a", "b", "c"]
    assert genes["source_order"].to_pylist() == [3, 2, 0, 1]


def test_ids_that_differ_by_version_alone_are_one_gene(tmp_path):
    text = gtf(Transcript("T1", "ENSG00000000001"), version=".3") + gtf(
        Transcript("T2", "ENSG00000000001"), version=".4", genes=False
    )
    gene = build(tmp_path, text).row("genes")
    assert (gene["gene_id"], gene["gene_version"], gene["num_transcripts"]) == ("ENSG00000000001", "3", 2)


_EXON = st.tuples(st.integers(1, 300), st.integers(0, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_TRANSCRIPT = st.builds(
    Transcript,
    name=st.sampled_from([f"T{i}" for i in range(6)]),
    gene=st.sampled_from(["G1", "G2", "G3"]),
    exons=st.lists(_EXON, min_size=1, max_size=5),
    strand=st.sampled_from("++--."),
    contig=st.sampled_from(["1", "1", "1", "2", "lost"]),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(_TRANSCRIPT, min_size=1, max_size=8), st.booleans(), st.sampled_from([gtf, gff3]))
def test_whatever_is_annotated_the_sums_add_up(tmp_path_factory, transcripts, genes, write):
    folder = tmp_path_factory.mktemp("any")
    built = build(folder, write(*transcripts, genes=genes), lengths={"1": 320, "2": 1000}, min_intron=4)
    kept = {"gene": "genes", "transcript": "transcripts", "exon": "exons"}
    for kind, table in kept.items():
        assert built.ledger.kept(kind) == getattr(built.tables, table).num_rows
    assert built.ledger.kept("intron") == len(built.tables.introns)
    for name, contract in CONTRACTS.items():
        contract.check(getattr(built.tables, name))
    for gene in built.tables.genes.to_pylist():
        assert 1 <= gene["start"] <= gene["end"] <= {"1": 320, "2": 1000}[gene["chrom"]]
        ts = [row["t"] for row in built.tables.sites.to_pylist() if row["gene_id"] == gene["gene_id"]]
        assert ts == sorted(ts)
        assert all(0 <= t < gene["length"] for t in ts)
