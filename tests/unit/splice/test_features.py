from __future__ import annotations

import numpy as np
import pytest
from gene_tables import gene as gene_row
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_genes import Annotation

from trainyard.splice.features import MARKDOWN_HEADER, families, family_of, features, markdown_rows, published_names
from trainyard.splice.kmers import Windows
from trainyard.splice.positions import gene_positions
from trainyard.splice.rows import feature_columns
from trainyard.splice.settings import FAMILIES, SpliceFeatureSettings, SpliceLabelSettings
from trainyard.yard.tables import Role

DEFAULT = SpliceFeatureSettings()
some_settings = st.builds(
    SpliceFeatureSettings,
    kmer_sizes=st.lists(st.integers(0, 3), max_size=3),
    context_radii=st.lists(st.integers(1, 60), max_size=3, unique=True),
    motifs=st.booleans(),
    structure=st.booleans(),
    annotation_derived=st.booleans(),
    published_context=st.booleans(),
)


@settings(deadline=None, max_examples=25)
@given(some_settings)
def test_what_is_computed_is_what_the_registry_names(chosen):
    scores = Annotation([400]).gene("G00000")
    positions = gene_positions(scores, SpliceLabelSettings())
    row, t = gene_row("G00000", length=400), np.arange(0, 400, 7, dtype=np.int32)
    columns = feature_columns(positions, t, row, Windows(scores.codes, chosen.radius), chosen)
    assert set(columns) == {feature.name for feature in features(chosen)}
    assert {values.shape for values in columns.values()} == {t.shape}


@settings(deadline=None, max_examples=25)
@given(some_settings)
def test_every_name_stands_once_and_has_its_family_whatever_the_settings(chosen):
    names = [feature.name for feature in features(chosen)]
    assert len(names) == len(set(names))
    assert all(family_of(feature.name) == feature.family for feature in features(chosen))


def test_there_are_44_published_score_features():
    names = published_names()
    assert len(names) == len(set(names)) == 44
    raw = {"donor_score", "acceptor_score", "neither_score", "score"}
    assert raw | {f"context_score_{at}" for at in ("m2", "m1", "p1", "p2")} < set(names)
    assert {*names} <= {feature.name for feature in features(DEFAULT)}


def test_published_names_hold_unchanged_formulas_only():
    without = {feature.name for feature in features(SpliceFeatureSettings(published_context=False))}
    assert "donor_surge_ratio" not in without
    assert {"donor_score", "probability_entropy", "score_difference_ratio"} < without


def test_the_vocabulary_is_that_of_the_settings():
    names = [f.name for f in features(SpliceFeatureSettings(kmer_sizes=[6, 2])) if "mer_" in f.name]
    assert len(names) == 4**2 + 4**6
    assert (names[0], names[16]) == ("2mer_AA", "6mer_AAAAAA")


def test_counts_of_annotated_sites_are_no_features_unless_asked_for():
    counts = {"n_donors", "n_acceptors", "n_splice_sites", "splice_density_per_kb"}
    for asked in (False, True):
        chosen = SpliceFeatureSettings(annotation_derived=asked)
        roles = {f.name: f.role for f in features(chosen)}
        assert {roles[name] for name in counts} == {Role.FEATURE if asked else Role.METADATA}
        assert counts.isdisjoint(families(chosen)["structure"]) is not asked


def test_all_families_exist_and_hold_features_only():
    found = families(DEFAULT)
    assert set(found) == set(FAMILIES)
    assert "score" not in found["published"]
    assert "gc_content" in found["kmer"]


@pytest.mark.parametrize("name", ["gene_id", "label", "pred_type", "nothing", "0mer_", "3mer_ACN"])
def test_other_columns_have_no_family(name):
    assert family_of(name) is None


def test_the_page_has_one_row_per_feature_and_one_per_size_of_word():
    rows = markdown_rows(SpliceFeatureSettings(kmer_sizes=[3, 6]))
    names = [row[0] for row in rows]
    assert {len(row) for row in rows} == {len(MARKDOWN_HEADER)}
    assert "`3mer_AAA` to `3mer_TTT`" in names
    assert "`6mer_AAAAAA` to `6mer_TTTTTT`" in names
    assert len(rows) == len(features(SpliceFeatureSettings(kmer_sizes=[]))) + 2
    assert all(row[5] for row in rows)
