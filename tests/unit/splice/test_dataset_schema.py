from __future__ import annotations

from pathlib import Path

import pytest

from trainyard.splice.dataset_schema import PERFORMANCE, POSITIONS, ROW_COLUMNS, BatchFiles, dataset
from trainyard.splice.features import features
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.yard.tables import Role

DEFAULT = SpliceFeatureSettings()


def test_columns_are_those_of_rows_and_registry_and_none_may_be_null():
    contract = dataset(DEFAULT)
    assert contract.names == (*ROW_COLUMNS, *(feature.name for feature in features(DEFAULT)))
    assert not any(column.nullable for column in contract.columns)


def test_role_and_family_stand_in_the_file():
    schema = dataset(DEFAULT).schema
    donor = schema.field("donor_score").metadata
    assert (donor[b"role"], donor[b"family"], donor[b"unit"]) == (b"feature", b"base", b"probability")
    assert schema.field("3mer_ACG").metadata[b"family"] == b"kmer"
    assert b"family" not in schema.field("gene_id").metadata


def test_what_tells_the_answer_is_never_a_feature():
    roles = {column.name: column.role for column in dataset(DEFAULT).columns}
    answers = ("pred_type", "called_type", "argmax_type", "transcript_count", "annotated_elsewhere", "stratum")
    assert {roles[name] for name in answers} == {Role.NEVER_A_FEATURE}
    assert {roles[name] for name in ("label", "is_donor", "is_acceptor")} == {Role.LABEL}
    described = ("gene_name", "gene_type", "sample_weight", "score", "gene_start", "gene_end", "locus_cluster", "base")
    assert {roles[name] for name in described} == {Role.METADATA}
    assert {roles[name] for name in ("gene_id", "chrom", "strand", "position", "exon_pos")} == {Role.KEY}


def test_label_and_weight_have_the_types_of_the_published_contract():
    schema = dataset(DEFAULT).schema
    types = {
        name: str(schema.field(name).type) for name in ("label", "sample_weight", "position", "exon_pos", "3mer_AAA")
    }
    assert types == {
        "label": "int8", "sample_weight": "float", "position": "int32", "exon_pos": "int64", "3mer_AAA": "uint16",
    }  # fmt: skip


@pytest.mark.parametrize(
    "chosen", [{"kmer_sizes": [2]}, {"context_radii": [7]}, {"motifs": False}, {"annotation_derived": True}]
)
def test_other_columns_or_roles_are_another_schema(chosen):
    assert dataset(SpliceFeatureSettings(**chosen)).digest != dataset(DEFAULT).digest


def test_the_radius_of_the_window_changes_values_not_the_schema():
    assert dataset(SpliceFeatureSettings(radius=100)).digest == dataset(DEFAULT).digest


def test_only_label_and_outcome_of_a_position_and_ratios_of_a_gene_may_be_null():
    assert [column.name for column in POSITIONS.columns if column.nullable] == ["label", "pred_type"]
    ratios = ["top_k_accuracy", "precision", "recall", "specificity", "f1_score", "fpr", "fnr"]
    assert [column.name for column in PERFORMANCE.columns if column.nullable] == ratios


def test_files_of_a_batch_have_the_published_names():
    files = BatchFiles(Path("r"), 12)
    assert files.raw == Path("r/batches/batch_00012_raw.parquet")
    assert files.trim == Path("r/batches/batch_00012_trim.parquet")
    assert files.part == Path("r/master/part-00012.parquet")
    assert files.performance == Path("r/batches/performance_00012.parquet")
    assert files.ledger == Path("r/batches/ledger_00012.json")
    assert files.enhanced == Path("r/analysis/splice_positions_enhanced_00012.parquet")
    assert files.errors == Path("r/analysis/splice_errors_00012.parquet")
