from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_genes import Annotation, N, batch, codes_of, scores_of, sites_at

from trainyard.splice.dataset_schema import PERFORMANCE, POSITIONS
from trainyard.splice.positions import build_positions, gene_positions, positions_table, read_positions, spelled
from trainyard.splice.reasons import Reason
from trainyard.splice.settings import SpliceLabelSettings
from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.receipts import read_receipt, verify, write_receipt

LABELS = SpliceLabelSettings()


def build(annotation, folder, *, gene_ids=None, number=1, **chosen):
    files = batch(folder, number)
    gene_ids = annotation.gene_ids if gene_ids is None else gene_ids
    return files, build_positions(gene_ids, annotation, files, settings=SpliceLabelSettings(**chosen))


def same(one, other):
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one) if f.name != "calls"]
    pairs += [(getattr(one.calls, f.name), getattr(other.calls, f.name)) for f in dataclasses.fields(one.calls)]
    return all(np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None) for a, b in pairs)


def test_every_position_of_every_gene_is_there_in_order(tmp_path):
    annotation = Annotation([300, 400, 500])
    files, ledger = build(annotation, tmp_path)
    table = POSITIONS.read(files.raw)
    assert table.num_rows == 1200 == read_receipt(files.raw).records
    assert table.column("position").to_pylist() == [*range(300), *range(400), *range(500)]
    assert table.column("gene_id").to_pylist() == ["G00000"] * 300 + ["G00001"] * 400 + ["G00002"] * 500
    assert (ledger.kept("gene"), ledger.rejected("gene")) == (3, 0)


def test_what_is_read_back_is_what_was_judged_also_over_row_groups(tmp_path):
    annotation = Annotation([70_000, 500, 66_000, 600], shift=200)
    files, _ = build(annotation, tmp_path)
    found = list(read_positions(files.raw))
    assert [one.gene_id for one in found] == annotation.gene_ids
    for one in found:
        assert same(one, gene_positions(annotation.gene(one.gene_id), LABELS)), one.gene_id


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["drop", "donor", "acceptor"]), st.sampled_from(["exclude", "keep"]), st.integers(0, 1000))
def test_a_gene_survives_the_file_whatever_the_settings(tmp_path_factory, both_types, annotated_elsewhere, seed):
    files = batch(tmp_path_factory.mktemp("batch"))
    labels = SpliceLabelSettings(both_types=both_types, annotated_elsewhere=annotated_elsewhere)
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 40, 8)
    scores = scores_of(
        rng.random(40) / 2,
        rng.random(40) / 2,
        sites=sites_at(sorted({*places[:2]}), sorted({*places[1:4]})),
        elsewhere=sites_at(sorted({*places[3:6]}), sorted({*places[6:]})),
        codes=rng.integers(0, 5, 40).astype(np.uint8),
    )
    with POSITIONS.writer(files.raw) as writer:
        writer.write_table(positions_table(gene_positions(scores, labels)))
    write_receipt(files.raw, records=40)
    (found,) = read_positions(files.raw)
    expected = gene_positions(scores, labels)
    assert same(found, expected)
    assert found.eligible.sum() + sum(found.rejections().values()) == 40


def test_only_sites_of_both_types_strangers_and_unknown_bases_are_left_out():
    codes = codes_of("ANNNAA")
    scores = scores_of([0.9] * 6, sites=sites_at([1, 4], [4]), elsewhere=sites_at([1, 3, 5]), codes=codes)
    dropped = gene_positions(scores, LABELS)
    assert dropped.rejections() == {Reason.BOTH_TYPES: 1, Reason.ANNOTATED_ELSEWHERE: 2, Reason.UNKNOWN_BASE: 1}
    assert np.flatnonzero(dropped.eligible).tolist() == [0, 1]
    kept = gene_positions(scores, SpliceLabelSettings(both_types="donor", annotated_elsewhere="keep"))
    assert kept.rejections() == {Reason.BOTH_TYPES: 0, Reason.ANNOTATED_ELSEWHERE: 0, Reason.UNKNOWN_BASE: 2}
    assert np.flatnonzero(kept.eligible).tolist() == [0, 1, 4, 5]
    assert codes[1] == N


def test_the_record_of_the_base_model_has_two_rows_per_gene(tmp_path):
    files, _ = build(Annotation([300, 400]), tmp_path)
    table = PERFORMANCE.read(files.performance)
    assert table.column("splice_type").to_pylist() == ["donor", "acceptor"] * 2
    assert verify(files.performance).records == 4


def test_a_gene_that_fails_is_counted_with_its_reason_and_the_others_are_built(tmp_path):
    annotation = Annotation([300, 400, 500], broken={"G00001": Reason.NO_SCORES})
    files, _ = build(annotation, tmp_path)
    ledger = Ledger.from_dict(read_json(files.positions_ledger), Reason)
    assert (ledger.expected("gene"), ledger.kept("gene")) == (3, 2)
    assert ledger.rejections == [{"kind": "gene", "item": "G00001", "reason": "no_scores", "detail": "simulated"}]
    assert [one.gene_id for one in read_positions(files.raw)] == ["G00000", "G00002"]


def test_scores_that_are_no_probabilities_are_rejected(tmp_path):
    class Broken(Annotation):
        def gene(self, gene_id):
            scores = super().gene(gene_id)
            scores.donor[3] = np.nan
            return scores

    _, ledger = build(Broken([300]), tmp_path)
    assert ledger.rejected("gene", Reason.BAD_SCORES) == 1
    assert "donor score at position 3 is not finite" in ledger.rejections[0]["detail"]


def test_an_empty_batch_and_one_of_failures_only_are_legal(tmp_path):
    files, _ = build(Annotation([300]), tmp_path, gene_ids=[])
    assert list(read_positions(files.raw)) == []
    assert PERFORMANCE.read(files.performance).num_rows == 0
    files, _ = build(Annotation([300], broken={"G00000": Reason.NO_SCORES}), tmp_path, number=2)
    assert (verify(files.raw).records, list(read_positions(files.raw))) == (0, [])


def test_equal_batches_have_equal_bytes(tmp_path):
    receipts = [read_receipt(build(Annotation([300, 400]), tmp_path / name)[0].raw) for name in ("one", "two")]
    assert receipts[0] == receipts[1]


def test_a_damaged_file_is_refused(tmp_path):
    files, _ = build(Annotation([300]), tmp_path)
    content = bytearray(files.raw.read_bytes())
    content[100] ^= 1
    files.raw.write_bytes(content)
    with pytest.raises(IntegrityError, match="sha256"):
        list(read_positions(files.raw))


def test_codes_are_spelled_and_negative_ones_are_null():
    assert spelled(np.array([1, -1, 0], np.int8), ["a", "b"]).to_pylist() == ["b", None, "a"]
    assert spelled(np.zeros(0, np.int8), ["a"]).type == pa.string()
