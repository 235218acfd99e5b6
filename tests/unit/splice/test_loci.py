"""Overlaps and clusters of genes, against the definition applied to every pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_annotations import Transcript, build, gtf

from trainyard.splice.loci import locus_clusters, overlaps

GENE = st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 15), st.sampled_from([1, -1]))


def columns(genes):
    chrom, start, length, sign = (np.array(column, np.int64) for column in zip(*genes, strict=True))
    return chrom.astype(np.int32), start, start + length, sign.astype(np.int8)


def overlap(a, b):
    return a[0] == b[0] and a[1] <= b[1] + b[2] and b[1] <= a[1] + a[2]


@settings(deadline=None)
@given(st.lists(GENE, min_size=1, max_size=20))
def test_all_overlapping_pairs_are_found_from_either_side(genes):
    found = overlaps(*columns(genes))
    pairs = [(i, j) for i, a in enumerate(genes) for j, b in enumerate(genes) if i != j and overlap(a, b)]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == pairs
    assert found.same_strand.tolist() == [genes[i][3] == genes[j][3] for i, j in pairs]


@settings(deadline=None)
@given(st.lists(GENE, min_size=1, max_size=20))
def test_clusters_are_what_overlap_on_one_strand_connects(genes):
    cluster = list(range(len(genes)))
    for _ in genes:
        for i, a in enumerate(genes):
            for j, b in enumerate(genes):
                if overlap(a, b) and a[3] == b[3]:
                    cluster[i] = cluster[j] = min(cluster[i], cluster[j])
    names = [f"G{i:02d}" for i in range(len(genes))]
    assert locus_clusters(*columns(genes), names) == [names[i] for i in cluster]


def test_tables_of_overlaps(tmp_path):
    built = build(
        tmp_path,
        gtf(
            Transcript("A1", "A", [(101, 200), (301, 400)]),
            Transcript("B1", "B", [(400, 450), (501, 600)]),
            Transcript("C1", "C", [(351, 420), (451, 700)], "-"),
            Transcript("D1", "D", [(601, 650)]),
            Transcript("E1", "E", [(101, 700)], contig="2"),
        ),
    )
    rows = [
        (r["gene_id_1"], r["gene_id_2"], r["same_strand"], r["num_overlaps"]) for r in built.tables.overlaps.to_pylist()
    ]
    assert rows == [
        ("A", "B", True, 2),
        ("A", "C", False, 2),
        ("B", "A", True, 2),
        ("B", "C", False, 2),
        ("C", "A", False, 3),
        ("C", "B", False, 3),
        ("C", "D", False, 3),
        ("D", "C", False, 1),
    ]
    genes = built.tables.genes
    assert genes["locus_cluster"].to_pylist() == ["A", "A", "C", "D", "E"]
    assert genes["overlap_same_strand"].to_pylist() == [1, 1, 0, 0, 0]
    assert genes["overlap_opposite_strand"].to_pylist() == [1, 1, 3, 1, 0]
    first = built.tables.overlaps.to_pylist()[0]
    assert (first["start_1"], first["end_1"], first["start_2"], first["end_2"]) == (101, 400, 400, 600)
