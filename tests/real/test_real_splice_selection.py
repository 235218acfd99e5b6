"""Selection, assembly and maintenance on real human genes: 65 of them, scored by one 80-nt member of OpenSpliceAI."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard.splice.assemble import assemble
from trainyard.splice.check import check_build
from trainyard.splice.dataset_schema import BatchFiles
from trainyard.splice.dedup import audit, dedup
from trainyard.splice.gene_source import StoredGenes
from trainyard.splice.genelist import read_gene_file
from trainyard.splice.genemanifest import read_gene_manifest
from trainyard.splice.master import open_master
from trainyard.splice.merge import merge
from trainyard.splice.patch import patch
from trainyard.splice.plan import (
    batch_count,
    batch_range,
    place_count,
    planned_genes,
    pool_batch,
    ranking_batch,
    read_pool,
    read_ranking,
    scored_genes,
)
from trainyard.splice.planfiles import write_pool, write_ranking
from trainyard.splice.pool_errors import write_pool_errors
from trainyard.splice.positions import build_positions
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference, build_reference
from trainyard.splice.rows import RowSettings, build_rows
from trainyard.splice.scorebatch import score_batch
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.selection import make_pool, rank_pool
from trainyard.splice.settings import SpliceSelectionSettings, SpliceSettings
from trainyard.yard.errors import InputError

POLICIES = ("random", "stratified", "all")


@dataclass(frozen=True)
class Human:
    """Reference and shared scores of the set."""

    folder: Path
    settings: SpliceSettings

    @property
    def reference(self) -> Reference:
        return Reference(self.folder / "reference")

    @property
    def scores(self) -> ScoreStore:
        return ScoreStore(self.folder / "scores")

    def build(self, base: Path, **selection: Any) -> Path:
        """A dataset of its own, from the shared reference and scores."""
        settings = self.settings.model_copy(update={"selection": SpliceSelectionSettings(**selection)})
        base.mkdir(parents=True)
        for name in ("reference", "scores"):
            (base / name).symlink_to(self.folder / name)
        plan, chosen = base / "plan", settings.selection
        source = StoredGenes(self.reference, self.scores)
        pool = write_pool(base / "reference", plan, chosen)
        errors = None
        if chosen.policy.startswith("error") or chosen.policy == "hard":
            errors = plan / "errors.parquet"
            write_pool_errors(plan, errors, chosen, source=source, labels=settings.labels)
            assert scored_genes(pool.table, chosen) == pool.table
        ranking = write_ranking(plan, chosen, errors=errors).table
        places = place_count(planned_genes(ranking, chosen.n_genes), "rank")
        row_settings = RowSettings(settings.sampling, settings.features, settings.export, chosen.seed)
        for batch in range(1, batch_count(places, chosen.batch_size) + 1):
            cut = batch_range(batch, batch_size=chosen.batch_size, places=places)
            files, members = BatchFiles(base, batch), ranking_batch(plan / "ranking.parquet", cut)
            build_positions(members, source, files, settings=settings.labels)
            build_rows(files, self.reference.genes, self.reference.sites, settings=row_settings)
        assemble(base, settings)
        check_build(base, settings)
        return base


@pytest.fixture(scope="module")
def human(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Human:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    folder, data = tmp_path_factory.mktemp("human"), real_data / "splice"
    inputs = {"source": "files", "fasta": data / "human_isotools" / "example.fa"}
    inputs["annotation"] = data / "human_isotools" / "example.gff.gz"
    weights = [data / "models" / "openspliceai-mane-80nt" / "model_80nt_rs10.pt"]
    model = {"backend": "openspliceai-pt", "weights": weights, "accept_licence": True}
    settings = SpliceSettings.model_validate({"inputs": inputs, "model": model})
    build_reference(settings.inputs, folder / "reference")
    pool = write_pool(folder / "reference", folder / "plan", settings.selection).table
    genes = pool_batch(pool, range(settings.selection.batch_size))
    score_batch(
        Reference(folder / "reference"), genes, folder / "scores", index="index_00001.parquet", settings=settings.model
    )
    return Human(folder, settings)


def names_in_annotation(real_data: Path) -> dict[str, str]:
    """Versioned gene ids and symbols, as a plain search of the file finds them."""
    text = gzip.decompress((real_data / "splice" / "human_isotools" / "example.gff.gz").read_bytes()).decode()
    lines = [line for line in text.splitlines() if "\tgene\t" in line]
    pairs = [(re.search(r"gene_id=([^;]+)", line), re.search(r"gene_name=([^;]+)", line)) for line in lines]
    return {gene[1]: name[1] for gene, name in pairs if gene and name}


def test_every_multi_exon_gene_is_eligible_and_every_other_is_counted(human: Human) -> None:
    pool = make_pool(human.reference.genes, SpliceSelectionSettings())
    assert pool.table.num_rows == 54
    assert pool.ledger.expected("gene") == 65
    assert pool.ledger.rejected("gene", Reason.TOO_FEW_SITES) == 11


@pytest.mark.parametrize("policy", POLICIES)
def test_orders_hold_every_gene_once_whatever_is_asked_for(human: Human, policy: Any) -> None:
    genes = human.reference.genes
    orders = [
        make_pool(genes, SpliceSelectionSettings(policy=policy, n_genes=n, batch_size=size))
        .table["gene_id"]
        .to_pylist()
        for n, size in ((None, 250), (5, 2))
    ]
    assert orders[0] == orders[1]
    assert len(set(orders[0])) == 54


def test_biotypes_are_kept_and_stratified(human: Human) -> None:
    genes = human.reference.genes
    coding = make_pool(genes, SpliceSelectionSettings(gene_types="protein_coding")).table  # type: ignore[arg-type]
    assert set(coding["gene_type"].to_pylist()) == {"protein_coding"}
    spread = make_pool(genes, SpliceSelectionSettings(policy="stratified", strata=["gene_type"])).table
    kinds = spread["gene_type"].to_pylist()
    share = Counter(kinds)["protein_coding"] / len(kinds)
    for n in (10, 20, 40):
        assert abs(Counter(kinds[:n])["protein_coding"] - share * n) <= 1


def test_a_gene_file_may_name_genes_by_versioned_id_or_symbol(human: Human, real_data: Path, tmp_path: Path) -> None:
    known = names_in_annotation(real_data)
    symbols = Counter(known.values())
    ids = [gene for gene in known if symbols[known[gene]] == 1][:3]
    assert "." in ids[0]
    listed = tmp_path / "genes.csv"
    listed.write_text(
        "n,gene\n1," + "\n2,".join([ids[0], known[ids[1]], ids[2].split(".")[0], known[ids[0]], "NOSUCH"]) + "\n"
    )
    chosen = SpliceSelectionSettings(policy="custom", gene_file=listed, gene_col="gene", max_failed_genes=0.25)
    entries = read_gene_file(listed, gene_col="gene")
    pool = make_pool(human.reference.genes, chosen, entries=entries)
    assert pool.table["gene_id"].to_pylist() == [gene.split(".")[0] for gene in ids]
    assert pool.requested["status"].to_pylist() == ["taken"] * 3 + [Reason.REPEATED_GENE, Reason.NOT_IN_ANNOTATION]
    with pytest.raises(InputError, match="NOSUCH"):
        make_pool(human.reference.genes, chosen.model_copy(update={"max_failed_genes": None}), entries=entries)


def test_error_ranked_genes_are_those_with_most_errors_in_the_dataset(human: Human, tmp_path: Path) -> None:
    base = human.build(tmp_path / "splice", policy="error_total", n_genes=12, batch_size=5)
    ranking = read_ranking(base / "plan" / "ranking.parquet")
    errors = ranking["n_errors"].to_pylist()
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0
    manifest = read_gene_manifest(base / "master" / "gene_manifest.csv").to_pylist()
    assert [row["n_fp"] + row["n_fn"] for row in manifest] == errors[:12]
    assert {row["chosen_by"] for row in manifest} == {"error_total"}
    for policy, column in (("error_fp", "n_fp"), ("error_fn", "n_fn"), ("hard", "n_fp")):
        chosen = SpliceSelectionSettings(policy=policy)  # type: ignore[arg-type]
        counts = pq.read_table(base / "plan" / "errors.parquet")
        found = rank_pool(read_pool(base / "plan" / "pool.parquet"), chosen, errors=counts).table
        assert found["n_errors"].to_pylist() == sorted(found[column].to_pylist(), reverse=True)
        assert policy != "hard" or max(found["f1"].to_pylist()) <= 0.5


def test_datasets_of_disjoint_lists_merge_into_the_whole(human: Human, tmp_path: Path) -> None:
    order = make_pool(human.reference.genes, SpliceSelectionSettings()).table["gene_id"].to_pylist()[:12]
    for name, genes in (("one", order[:6]), ("two", order[6:]), ("whole", order)):
        (tmp_path / f"{name}.txt").write_text("\n".join(genes))
        human.build(tmp_path / name, policy="custom", gene_file=tmp_path / f"{name}.txt", batch_size=6)
    manifest = merge([tmp_path / "one", tmp_path / "two"], tmp_path / "merged")
    assert open_master(tmp_path / "merged").to_table().equals(open_master(tmp_path / "whole").to_table())
    assert manifest["genes"] == {"kept": 12}


def test_overlapping_genes_share_bases_but_no_position_repeats(human: Human, tmp_path: Path) -> None:
    base = human.build(tmp_path / "splice", policy="all", batch_size=20)
    found = audit(base, genomic=True)
    assert found.dropped["key"] == 0
    report = dedup(base, tmp_path / "out", genomic=True)
    assert report.dropped == found.dropped
    table = open_master(tmp_path / "out").to_table(columns=["chrom", "strand", "exon_pos"])
    assert table.group_by(["chrom", "strand", "exon_pos"]).aggregate([]).num_rows == table.num_rows


def test_a_dataset_in_the_published_layout_is_patched_with_the_structure_of_its_genes(
    human: Human, tmp_path: Path
) -> None:
    sites = human.reference.sites.select(["gene_id", "t", "site_type", "exon_pos"]).slice(0, 200)
    columns = {"gene_id": sites["gene_id"], "position": sites["t"].cast(pa.int64()), "splice_type": sites["site_type"]}
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "in" / "batch_00001.parquet")
    told = patch(tmp_path / "in", tmp_path / "out", human.reference).to_dict()
    assert set(told["offset_to_annotated_site"]["donor"]) == set(told["offset_to_annotated_site"]["acceptor"]) == {"0"}
    assert not any(told["nulls_after"].values())
    table = pq.read_table(tmp_path / "out" / "master" / "batch_00001.parquet")
    assert table["exon_pos"].to_pylist() == sites["exon_pos"].to_pylist()
