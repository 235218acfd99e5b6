from __future__ import annotations

import numpy as np
from simulated_genes import Annotation

from trainyard.splice.calls import Gene
from trainyard.splice.schema import SITES
from trainyard.splice.site_index import SiteIndex


def site(gene_id, site_type, t, exon_pos, *, strand="+", chrom="1", transcripts=("t1",)):
    return {
        "gene_id": gene_id, "site_type": site_type, "t": t, "exon_pos": exon_pos, "intron_pos": 0, "chrom": chrom,
        "strand": strand, "transcript_count": len(transcripts), "transcript_ids": list(transcripts),
    }  # fmt: skip


def described(sites):
    return sorted(zip(sites.t.tolist(), sites.acceptor.tolist(), sites.transcripts.tolist(), strict=True))


INDEX = SiteIndex(
    SITES.table(
        [
            site("A", "donor", 49, 150, transcripts=("t1", "t2")),
            site("A", "acceptor", 150, 251),
            site("B", "donor", 10, 251),
            site("B", "donor", 49, 290),
            site("C", "donor", 5, 160, strand="-"),
            site("D", "donor", 5, 160, chrom="2"),
        ]
    )
)


def test_a_gene_has_its_own_sites():
    assert described(INDEX.own("A")) == [(49, False, 2), (150, True, 1)]
    assert described(INDEX.own("nobody")) == []


def test_sites_of_others_on_the_same_strand_come_at_positions_of_this_gene():
    assert described(INDEX.elsewhere(Gene("A", "1", 101, 400, "+"))) == [(150, False, 1), (189, False, 1)]
    assert described(INDEX.elsewhere(Gene("A", "1", 101, 289, "+"))) == [(150, False, 1)]
    assert described(INDEX.elsewhere(Gene("B", "1", 241, 300, "+"))) == [(10, True, 1)]


def test_the_other_strand_and_other_contigs_do_not_matter():
    assert described(INDEX.elsewhere(Gene("C", "1", 1, 164, "-"))) == []
    assert described(INDEX.elsewhere(Gene("X", "1", 1, 164, "-"))) == [(4, False, 1)]
    assert described(INDEX.elsewhere(Gene("X", "3", 1, 1000, "+"))) == []


def test_transcripts_are_listed_by_position():
    assert INDEX.transcripts("A") == {49: ["t1", "t2"], 150: ["t1"]}
    assert INDEX.transcripts("nobody") == {}


def test_an_annotation_without_sites_is_fine():
    index = SiteIndex(SITES.table([]))
    assert described(index.own("A")) == described(index.elsewhere(Gene("A", "1", 1, 9, "+"))) == []


def test_sites_elsewhere_are_those_of_a_plain_join():
    annotation = Annotation([400] * 12, seed=3, shift=350)
    index, rows = SiteIndex(annotation.sites), annotation.sites.to_pylist()
    for i in range(12):
        gene = annotation._gene(i)
        expected = [
            (int(gene.t(np.array([row["exon_pos"]]))[0]), row["site_type"] == "acceptor", row["transcript_count"])
            for row in rows
            if row["gene_id"] != gene.gene_id
            and row["strand"] == gene.strand
            and gene.start <= row["exon_pos"] <= gene.end
        ]
        assert described(index.elsewhere(gene)) == sorted(expected)
    assert any(index.elsewhere(annotation._gene(i)).t.size for i in range(12))
