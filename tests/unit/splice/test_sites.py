"""Splice sites: Appendix A.1 to the base, and conversions that are their own inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_annotations import Transcript, build, genome_for, gtf

from trainyard.splice.genome import encode, reverse_complement
from trainyard.splice.sites import anchor, site_places, to_exon_pos, to_t

# Appendix A.1: intron_pos, exon_pos, t of donors 1, 2 and acceptors 1, 2.
GOLDEN = {
    "+": {"donor": [(151, 150, 49), (301, 300, 199)], "acceptor": [(250, 251, 150), (350, 351, 250)]},
    "-": {"donor": [(350, 351, 49), (250, 251, 149)], "acceptor": [(301, 300, 100), (151, 150, 250)]},
}


def sites_of(built, **wanted):
    return [row for row in built.tables.sites.to_pylist() if wanted.items() <= row.items()]


@pytest.mark.parametrize("strand", "+-")
def test_golden_coordinates(tmp_path, strand):
    built = build(tmp_path, gtf(Transcript("T1", "G1", strand=strand)))
    for kind, expected in GOLDEN[strand].items():
        found = sites_of(built, site_type=kind)
        assert [(row["intron_pos"], row["exon_pos"], row["t"]) for row in found] == expected
        assert {(row["chrom"], row["strand"], row["transcript_count"]) for row in found} == {("1", strand, 1)}
    assert built.row("genes", gene_id="G1")["length"] == 300


@pytest.mark.parametrize("strand", "+-")
def test_in_transcript_direction_introns_read_gt_ag(tmp_path, strand):
    transcript = Transcript("T1", "G1", strand=strand)
    codes = encode(genome_for([transcript])["1"])[100:400]
    gene = codes if strand == "+" else reverse_complement(codes)
    built = build(tmp_path, gtf(transcript))
    donors, acceptors = ([row["t"] for row in sites_of(built, site_type=kind)] for kind in ("donor", "acceptor"))
    for t in donors:
        assert gene[t + 1 : t + 3].tolist() == encode("GT").tolist()
    for t in acceptors:
        assert gene[t - 2 : t].tolist() == encode("AG").tolist()
    assert all(donor < acceptor for donor, acceptor in zip(donors, acceptors, strict=True))


@settings(deadline=None)
@given(st.integers(1, 10**9), st.integers(0, 3 * 10**6), st.sampled_from("+-"), st.data())
def test_place_and_index_are_each_others_inverse(start, span, strand, data):
    end = start + span
    t = data.draw(st.integers(0, span))
    place = to_exon_pos(t, *anchor(start, end, strand))
    assert start <= place <= end
    assert to_t(place, *anchor(start, end, strand)) == t
    assert isinstance(place, int)
    every = np.array([0, t, span])
    there = to_exon_pos(every, *anchor(start, end, strand))
    assert to_t(there, *anchor(start, end, strand)).tolist() == every.tolist()


@settings(deadline=None)
@given(st.integers(3, 10**9), st.integers(0, 10**5), st.sampled_from([1, -1]))
def test_sites_flank_their_intron(left, length, sign):
    right = left + length
    places = site_places(np.array([left]), np.array([right]), np.array([sign], np.int8))
    assert {int(places.donor_intron[0]), int(places.acceptor_intron[0])} == {left, right}
    assert {int(places.donor_exon[0]), int(places.acceptor_exon[0])} == {left - 1, right + 1}
    assert (places.acceptor_exon[0] - places.donor_exon[0]) * sign == length + 2


def test_a_strand_is_plus_or_minus():
    with pytest.raises(ValueError, match="strand"):
        anchor(1, 2, ".")


def test_a_shared_site_is_one_row_with_all_its_transcripts(tmp_path):
    built = build(
        tmp_path,
        gtf(
            Transcript("T2", "G1"),
            Transcript("T1", "G1", [(101, 150), (261, 300), (351, 400)]),
            Transcript("T3", "G1", [(101, 400)]),
        ),
    )
    first = built.row("sites", site_type="donor", t=49)
    assert (first["transcript_count"], first["transcript_ids"]) == (2, ["T1", "T2"])
    assert built.row("sites", site_type="acceptor", t=150)["transcript_ids"] == ["T2"]
    assert built.row("sites", site_type="acceptor", t=160)["transcript_ids"] == ["T1"]
    gene = built.row("genes", gene_id="G1")
    assert (gene["n_donors"], gene["n_acceptors"], gene["num_transcripts"]) == (2, 3, 3)


def test_one_base_may_be_donor_and_acceptor(tmp_path):
    built = build(tmp_path, gtf(Transcript("T1", "G1", [(101, 150), (251, 251), (351, 400)])))
    assert [row["site_type"] for row in sites_of(built, t=150)] == ["acceptor", "donor"]


def test_genes_on_one_place_have_their_own_sites(tmp_path):
    built = build(tmp_path, gtf(Transcript("T1", "G2"), Transcript("T2", "G1", [(1, 50), (251, 300)])))
    assert [(row["gene_id"], row["t"]) for row in sites_of(built, exon_pos=251)] == [("G1", 250), ("G2", 150)]
    assert [row["gene_id"] for row in built.tables.sites.to_pylist()] == ["G1"] * 2 + ["G2"] * 4
