"""A small simulated dataset: a base model that misses sites and calls others, and motifs that know better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.splice.dataset_schema import dataset
from trainyard.splice.manifest import digest
from trainyard.splice.master import FORMAT
from trainyard.splice.settings import SpliceFeatureSettings
from trainyard.splice.split import SPLIT
from trainyard.splice.train.data import SplitRows, open_rows
from trainyard.yard.files import write_json
from trainyard.yard.identity import generator
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tables import Role, TableContract

FEATURES = SpliceFeatureSettings(kmer_sizes=[1], context_radii=[10], published_context=False)
Columns = dict[str, Any]
Change = Callable[[str, Columns], None]
"""Changes the columns of a gene, of which the name is given."""


def split_of(gene: int) -> str:
    """Of ten genes, in pairs: six train, two val, two test."""
    return ("train", "train", "train", "val", "test")[gene // 2 % 5]


def gene_columns(gene: int, rows: int) -> Columns:
    """Columns of a gene: a tenth of the rows are sites, a third of them missed, and motifs see most of them."""
    draw = generator("simulated rows", gene)
    name, n_sites = f"G{gene:04d}", rows // 10
    label = np.zeros(rows, np.int8)
    label[draw.choice(rows, n_sites, replace=False)] = np.arange(n_sites) % 2 + 1
    donor, acceptor = (draw.beta(0.3, 12, rows).astype(np.float32) * np.float32(0.4) for _ in range(2))
    wrong = draw.choice(np.flatnonzero(label == 0), n_sites // 2, replace=False)
    for track, kind in ((donor, 1), (acceptor, 2)):
        sites = np.flatnonzero(label == kind)
        track[sites] = np.where(
            draw.random(sites.size) < 2 / 3, draw.uniform(0.5, 0.9, sites.size), draw.uniform(0.01, 0.4, sites.size)
        )
        track[wrong[kind - 1 :: 2]] = draw.uniform(0.3, 0.8, wrong[kind - 1 :: 2].size)
    acceptor = np.minimum(acceptor, np.float32(0.99) - donor)
    easy = (label == 0) & (np.maximum(donor, acceptor) < 0.02)
    columns: Columns = {}
    for column in dataset(FEATURES).columns:
        if column.role == Role.FEATURE:
            whole = pa.types.is_integer(column.type)
            columns[column.name] = draw.integers(0, 30, rows) if whole else draw.normal(size=rows)
    for kind, track in (("donor", donor), ("acceptor", acceptor)):
        code = 1 if kind == "donor" else 2
        columns[f"{kind}_motif_score"] = (draw.normal(size=rows) + 4 * (label == code)).astype(np.float32)
        columns[f"{kind}_score"] = track
    columns["neither_score"] = np.float32(1) - donor - acceptor
    # Known to repeat each other: any of the two, and its mirror image.
    columns["score_difference_ratio"] = donor - acceptor
    columns["donor_acceptor_diff"] = acceptor - donor
    columns["gene_length"] = np.full(rows, 1000 + 10 * gene, np.int32)
    columns["gc_content"] = np.full(rows, 0.5, np.float32)
    text = np.array(["neither", "donor", "acceptor"], object)
    called = np.where(np.maximum(donor, acceptor) >= 0.5, np.where(donor >= acceptor, 1, 2), 0)
    outcome = np.where(label > 0, np.where(called == label, "TP", "FN"), np.where(called > 0, "FP", "TN"))
    return columns | {
        "gene_id": [name] * rows,
        "chrom": ["1"] * rows,
        "strand": ["+"] * rows,
        "position": np.arange(rows, dtype=np.int32),
        "exon_pos": np.arange(1, rows + 1),
        "base": ["A"] * rows,
        "label": label,
        "is_donor": label == 1,
        "is_acceptor": label == 2,
        "pred_type": outcome.tolist(),
        "called_type": text[called].tolist(),
        "argmax_type": text[called].tolist(),
        "transcript_count": (label > 0).astype(np.int16),
        "annotated_elsewhere": np.zeros(rows, np.bool_),
        "stratum": ["easy"] * rows,
        "sample_weight": np.where(easy, 40, 1).astype(np.float32),
        "locus_cluster": [f"G{gene // 2 * 2:04d}"] * rows,
        "gene_name": [name] * rows,
        "gene_type": ["protein_coding"] * rows,
        "gene_start": np.ones(rows, np.int64),
        "gene_end": np.full(rows, rows, np.int64),
    }


@dataclass(frozen=True)
class Simulated:
    """Paths of a simulated dataset."""

    base: Path

    @property
    def master(self) -> Path:
        return self.base / "master"

    @property
    def splits(self) -> Path:
        return self.base / "split.parquet"

    @property
    def pruned(self) -> Path:
        return self.base / "pruned_features.json"

    @property
    def model(self) -> Path:
        return self.base / "train"

    def rows(self) -> SplitRows:
        return open_rows(self.master, self.splits)


def write_simulated(
    base: Path,
    *,
    genes: int = 40,
    rows: int = 120,
    genes_per_part: int = 15,
    change: Change | None = None,
    nullable: tuple[str, ...] = (),
    splits: Mapping[str, str] | None = None,
) -> Simulated:
    """Write parts, receipts, manifest and splits."""
    made = Simulated(base)
    contract = dataset(FEATURES)
    columns = tuple(c if c.name not in nullable else _nullable(c) for c in contract.columns)
    contract = TableContract(contract.name, columns, contract.version)
    files = []
    for number, start in enumerate(range(0, genes, genes_per_part), start=1):
        tables = []
        for gene in range(start, min(start + genes_per_part, genes)):
            found = gene_columns(gene, rows)
            if change is not None:
                change(f"G{gene:04d}", found)
            arrays = [pa.array(_values(found.get(c.name), rows), c.type) for c in contract.columns]
            tables.append(pa.Table.from_arrays(arrays, schema=contract.schema))
        path = made.master / f"part-{number:05d}.parquet"
        contract.write(path, pa.concat_tables(tables))
        receipt = write_receipt(path, records=sum(t.num_rows for t in tables), schema=contract.digest)
        files.append({"file": path.name, "sha256": receipt.sha256})
    manifest = {"format": FORMAT, "version": 1, "status": "complete", "parts_planned": len(files), "parts": files}
    manifest |= {"schema": {"digest": contract.digest}, "model": {"model_id": "toy-1", "licence": "none"}}
    manifest["dataset_id"] = digest([contract.digest, [file["sha256"] for file in files]])
    write_json(made.master / "manifest.json", manifest)
    table = [
        {
            "gene_id": f"G{gene:04d}",
            "chrom": "1",
            "locus_cluster": f"G{gene // 2 * 2:04d}",
            "split_group": f"G{gene // 2 * 2:04d}",
            "split": (splits or {}).get(f"G{gene:04d}", split_of(gene)),
        }
        for gene in range(genes)
    ]
    SPLIT.write(made.splits, SPLIT.table(table))
    return made


def _nullable(column: Any) -> Any:
    return type(column)(**{**vars(column), "nullable": True})


def _values(values: Any, rows: int) -> Any:
    return np.zeros(rows, np.int8) if values is None else values
