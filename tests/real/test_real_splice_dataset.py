"""The dataset of real genes: 54 human multi-exon genes, scored by one 80-nt member of OpenSpliceAI."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trainyard.splice.dataset_schema import PERFORMANCE, BatchFiles, dataset
from trainyard.splice.gene_source import StoredGenes
from trainyard.splice.positions import build_positions, count_errors, read_positions
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.rows import RowSettings, build_rows
from trainyard.splice.scorestore import Entry, ScoreStore, score_key
from trainyard.splice.settings import (
    SpliceExportSettings,
    SpliceFeatureSettings,
    SpliceInputSettings,
    SpliceLabelSettings,
    SpliceModelSettings,
    SpliceSamplingSettings,
)
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger
from trainyard.yard.tables import Role

FEATURES = SpliceFeatureSettings()


@dataclass(frozen=True)
class Built:
    """One batch of all multi-exon genes."""

    reference: Reference
    store: ScoreStore
    files: BatchFiles

    @cached_property
    def rows(self) -> pd.DataFrame:
        return self.table.to_pandas()

    @cached_property
    def table(self) -> pa.Table:
        return dataset(FEATURES).read(self.files.part)

    @cached_property
    def performance(self) -> pd.DataFrame:
        return PERFORMANCE.read(self.files.performance).to_pandas()

    @cached_property
    def genes(self) -> pd.DataFrame:
        genes = self.reference.genes.to_pandas()
        return genes[genes["n_donors"] > 0].set_index("gene_id")


@pytest.fixture(scope="module")
def built(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    from trainyard.splice.backends import open_model
    from trainyard.splice.scoring import Target, score_genes

    data, folder = real_data / "splice", tmp_path_factory.mktemp("dataset")
    human = data / "human_isotools"
    inputs = SpliceInputSettings(source="files", fasta=human / "example.fa", annotation=human / "example.gff.gz")
    build_reference(inputs, folder / "reference")
    reference = Reference(folder / "reference")
    genes = [row for row in reference.genes.to_pylist() if row["n_donors"]]
    weights = [data / "models" / "openspliceai-mane-80nt" / "model_80nt_rs10.pt"]
    settings = SpliceModelSettings(backend="openspliceai-pt", weights=weights, accept_licence=True)
    model = open_model(settings)
    half = model.card.context // 2
    targets = [
        Target(row["gene_id"], np.pad(_codes(reference, row), half, constant_values=4).astype(np.uint8))
        for row in genes
    ]
    store = ScoreStore(folder / "scores")
    entries = []
    for target, scores in score_genes(model, targets, block=settings.block, batch_positions=settings.batch_positions):
        key = score_key(model.card.model_id, "n_pad", target.codes)
        entries.append(Entry(target.name, scores.shape[1], key, store.put(key, scores), None))
    store.write_index(store.folder / "index_00001.parquet", entries, model_id=model.card.model_id)
    files = BatchFiles(folder, 1)
    source, names = StoredGenes(reference, store), [row["gene_id"] for row in genes]
    build_positions(names, source, files, settings=SpliceLabelSettings())
    chosen = RowSettings(SpliceSamplingSettings(), FEATURES, SpliceExportSettings(), 42)
    build_rows(files, reference.genes, reference.sites, settings=chosen)
    return Built(reference, store, files)


def _codes(reference, row):
    return reference.genome.gene(row["chrom"], row["start"], row["end"], row["strand"])


def test_every_annotated_site_is_a_row(built):
    ledger = Ledger.from_dict(read_json(built.files.ledger), Reason)
    ledger.check()
    both = ledger.rejected("site", Reason.BOTH_TYPES)
    assert (ledger.expected("site"), ledger.expected("gene")) == (555 + 524, 54)
    assert (built.rows["label"] > 0).sum() == ledger.kept("site") == 555 + 524 - both
    assert ledger.expected("position") == built.genes["length"].sum() == 2_251_117


def test_weights_stand_for_every_position_of_every_gene(built):
    ledger = Ledger.from_dict(read_json(built.files.ledger), Reason)
    lost = [row for row in ledger.rejections if row["kind"] == "position" and row["reason"] != Reason.TRIMMED]
    total = built.rows.groupby("gene_id")["sample_weight"].sum()
    for row in lost:
        total[row["item"]] += int(row["detail"].split()[0])
    assert (total == built.genes["length"]).all()


def test_weighted_outcomes_of_the_rows_are_those_of_the_base_model(built):
    weighted = built.rows.groupby("pred_type")["sample_weight"].sum()
    found = dict.fromkeys(("n_tp", "n_fp", "n_fn"), 0)
    for positions in read_positions(built.files.raw):
        for name in found:
            found[name] += count_errors(positions)[name]
    assert {name: weighted[name[-2:].upper()] for name in found} == found
    table = built.performance
    assert (table["TP"] + table["FN"] == table["n_splice_sites"]).all()
    assert table["TP"].sum() >= found["n_tp"]


def test_introns_at_annotated_sites_are_gt_ag(built):
    donors, acceptors = (built.rows[built.rows["label"] == label] for label in (1, 2))
    assert donors["donor_is_gt"].mean() > 0.94
    assert acceptors["acceptor_is_ag"].mean() > 0.94
    assert built.rows.loc[built.rows["label"] == 0, "donor_is_gt"].mean() < 0.2


def test_motif_scores_tell_sites_from_other_positions(built):
    from sklearn.metrics import roc_auc_score

    rows = built.rows[built.rows["stratum"] == "easy"].index
    for label, name in ((1, "donor_motif_score"), (2, "acceptor_motif_score")):
        sites = built.rows.index[built.rows["label"] == label]
        chosen = built.rows.loc[[*sites, *rows]]
        assert roc_auc_score(chosen["label"] == label, chosen[name]) > 0.95, name


def test_a_small_base_model_finds_many_sites_and_scores_stand_at_the_site_itself(built):
    for site_type, label in (("donor", 1), ("acceptor", 2)):
        rows = built.rows[built.rows["label"] == label]
        found = rows[rows[f"{site_type}_score"] >= 0.5]
        assert len(found) > 0.2 * len(rows)
        assert found[f"{site_type}_ctx_is_peak"].mean() > 0.95


def test_no_feature_is_null_for_any_label_and_none_stands_for_the_answer(built):
    features = [column.name for column in dataset(FEATURES).columns if column.role is Role.FEATURE]
    for label in (0, 1, 2):
        part = built.table.filter(pc.equal(built.table["label"], label))
        assert sum(part[name].null_count for name in features) == 0
    assert np.isfinite(built.rows[features].to_numpy(float)).all()
    of_gene = ["gene_length", "num_transcripts", "rep_num_exons", "rep_spliced_length"]
    assert (built.rows.groupby("gene_id")[of_gene].nunique() == 1).all().all()


def test_bases_on_the_contig_are_those_of_the_rows(built):
    complement = dict(zip("ACGTN", "TGCAN", strict=True))
    for row in built.rows.sample(300, random_state=1).itertuples():
        base = "ACGTN"[built.reference.genome.fetch(row.chrom, row.exon_pos, row.exon_pos)[0]]
        assert row.base == (base if row.strand == "+" else complement[base])


def test_sites_that_genes_share_are_no_negatives(built):
    sites = built.reference.sites.to_pandas()
    known = set(zip(sites["chrom"], sites["strand"], sites["exon_pos"], strict=True))
    negatives = built.rows[built.rows["label"] == 0]
    assert not known & set(zip(negatives["chrom"], negatives["strand"], negatives["exon_pos"], strict=True))


def test_the_batch_built_again_has_the_same_bytes(built, tmp_path):
    again = BatchFiles(tmp_path, 1)
    names = built.performance["gene_id"].drop_duplicates().tolist()
    source = StoredGenes(built.reference, built.store)
    build_positions(names, source, again, settings=SpliceLabelSettings())
    chosen = RowSettings(SpliceSamplingSettings(), FEATURES, SpliceExportSettings(), 42)
    build_rows(again, built.reference.genes, built.reference.sites, settings=chosen)
    for name in ("raw", "trim", "performance", "ledger", "enhanced", "errors"):
        assert getattr(again, name).read_bytes() == getattr(built.files, name).read_bytes(), name
