from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from gene_tables import gene, gene_table

from trainyard.splice.structure import GENE_FEATURES, GeneTable, gene_of, structure_features
from trainyard.yard.errors import IntegrityError


def test_places_in_the_gene_are_counted_from_both_ends():
    columns = structure_features(gene("G", length=11), np.array([0, 5, 10], np.int32))
    assert columns["dist_to_5p"].tolist() == [0, 5, 10]
    assert columns["dist_to_3p"].tolist() == [10, 5, 0]
    assert columns["relative_position"].tolist() == [0, 0.5, 1]


def test_all_rows_of_a_gene_have_the_same_gene_features():
    row = gene("G", length=2000, n_donors=4, n_acceptors=6, rep_num_exons=5)
    columns = structure_features(row, np.array([0, 7], np.int32))
    assert columns["rep_num_exons"].tolist() == [5, 5]
    assert columns["n_splice_sites"].tolist() == [10, 10]
    assert columns["splice_density_per_kb"].tolist() == [5, 5]
    assert columns["gene_length"].tolist() == [2000, 2000]
    assert set(GENE_FEATURES) < set(columns)


def test_a_gene_of_one_base_has_a_place():
    columns = structure_features(gene("G", length=1), np.array([0], np.int32))
    assert (columns["relative_position"][0], columns["dist_to_3p"][0]) == (0, 0)


def test_a_gene_is_found_by_its_id():
    table = GeneTable(gene_table("A", gene("B", strand="-", start=5, length=10)))
    found = gene_of(table.row("B"))
    assert (found.gene_id, found.chrom, found.start, found.end, found.strand) == ("B", "1", 5, 14, "-")


def test_a_gene_that_is_missing_is_named():
    with pytest.raises(IntegrityError, match="gene C is not in the gene table"):
        GeneTable(gene_table("A")).row("C")


def test_a_gene_without_a_value_is_named_with_it():
    table = gene_table("A")
    place = table.column_names.index("rep_num_exons")
    table = table.set_column(place, "rep_num_exons", pa.array([None], pa.int32()))
    with pytest.raises(IntegrityError, match="gene A has no rep_num_exons"):
        GeneTable(table).row("A")
