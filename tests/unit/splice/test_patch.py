"""Patching datasets in the published layout: structure for every row alike, and nothing written over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_build import SmallBuild, built

from trainyard.splice.patch import patch
from trainyard.splice.reference import Reference
from trainyard.splice.schema import TRANSCRIPTS
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json
from trainyard.yard.receipts import verify


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> SmallBuild:
    made = SmallBuild(tmp_path_factory.mktemp("reference") / "splice").reference()
    rows = [
        {
            "transcript_id": f"{name}-t1",
            "gene_id": name,
            "chrom": place.chrom,
            "start": place.start + 10,
            "end": place.end,
            "strand": place.strand,
            "transcript_type": "protein_coding",
            "num_exons": 3,
            "spliced_length": 300,
            "cds_length": 0,
            "tags": "",
        }
        for name, place in made.places.items()
    ]
    TRANSCRIPTS.write(made.base / "reference" / "transcripts.parquet", TRANSCRIPTS.table(rows))
    return made


@pytest.fixture
def reference(build: SmallBuild) -> Reference:
    return Reference(build.base / "reference")


def published(folder: Path, *rows: dict[str, Any], name: str = "batch_00001.parquet") -> Path:
    """A dataset in the published layout: transcript columns are null in rows that are no site."""
    (folder / "master").mkdir(parents=True, exist_ok=True)
    typed = {
        "tx_start": pa.float64(),
        "has_tx_info": pa.int64(),
        "n_splice_sites": pa.int64(),
        "gene_type": pa.string(),
    }
    table = pa.Table.from_pylist(list(rows))
    for column, kind in typed.items():
        place = table.schema.get_field_index(column)
        table = table.set_column(place, pa.field(column, kind), table[column].cast(kind))
    pq.write_table(table, folder / "master" / name)
    return folder


def row(gene_id: str, position: int, splice_type: str | None, **more: Any) -> dict[str, Any]:
    site = splice_type is not None
    return {
        "gene_id": gene_id,
        "position": position,
        "strand": "+",
        "splice_type": splice_type,
        "donor_score": 0.5,
        "gene_type": "protein_coding" if site else None,
        "gene_type_right": "lncRNA",
        "tx_start": 5.0 if site else None,
        "has_tx_info": int(site),
        "n_splice_sites": 99,
        **more,
    }


def patched(
    tmp_path: Path, reference: Reference, *rows: dict[str, Any], **options: Any
) -> tuple[list[dict[str, Any]], Any]:
    source = published(tmp_path / "in", *rows)
    report = patch(source, tmp_path / "out", reference, **options)
    return pq.read_table(tmp_path / "out" / "master" / "batch_00001.parquet").to_pylist(), report


def test_every_row_gets_the_structure_of_its_gene_whatever_stood_there(tmp_path: Path, reference: Reference) -> None:
    rows, report = patched(tmp_path, reference, row("G000", 199, "donor"), row("G000.7", 30, None))
    site, other = rows
    # Gene 0 lies at 101 to 1000 on the plus strand.
    gene = {"chrom": "1", "gene_start": 101, "gene_end": 1000, "gene_length": 900, "gene_type": "lncRNA"}
    gene |= {"tx_start": 111, "tx_end": 1000, "transcript_length": 890, "num_exons": 3, "n_splice_sites": 4}
    for name, value in gene.items():
        assert site[name] == other[name] == value, name
    assert (site["absolute_position"], site["exon_pos"]) == (300, 300)
    assert (other["distance_to_start"], other["distance_to_end"]) == (30, 869)
    assert (site["label"], other["label"], site["donor_score"]) == (1, 0, 0.5)
    assert report.dropped == ["gene_type_right", "has_tx_info"]
    assert "has_tx_info" not in site and "gene_type_right" not in site
    assert (report.nulls_before["tx_start"], report.nulls_after["tx_start"]) == (1, 0)
    assert list(site)[:5] == ["gene_id", "position", "strand", "splice_type", "donor_score"]


def test_minus_strand_positions_count_from_the_end(tmp_path: Path, reference: Reference) -> None:
    rows, _ = patched(tmp_path, reference, row("G001", 199, "donor", strand="-"))
    assert rows[0]["exon_pos"] == 1000 - 199
    assert (rows[0]["distance_to_start"], rows[0]["distance_to_end"]) == (700, 199)


def test_offsets_to_annotated_sites_are_counted(tmp_path: Path, reference: Reference) -> None:
    rows = [row("G000", t, kind) for t, kind in ((199, "donor"), (551, "donor"), (398, "acceptor"), (30, "acceptor"))]
    _, report = patched(tmp_path, reference, *rows)
    assert report.to_dict()["offset_to_annotated_site"] == {
        "donor": {"+2": 1, "0": 1},
        "acceptor": {"-2": 1, "far": 1},
    }


def test_what_was_done_is_written_down_with_receipts(tmp_path: Path, reference: Reference) -> None:
    patched(tmp_path, reference, row("G000", 199, "donor"))
    told = read_json(tmp_path / "out" / "patch.json")
    assert (told["rows"], told["files"], told["gene_types"]) == (1, 1, {"lncRNA": 1})
    assert "exon_pos" in told["columns_added"] and "tx_start" not in told["columns_added"]
    assert verify(tmp_path / "out" / "master" / "batch_00001.parquet").records == 1


def test_the_dataset_itself_is_left_alone(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 199, "donor"))
    before = (source / "master" / "batch_00001.parquet").read_bytes()
    patch(source, tmp_path / "out", reference)
    assert (source / "master" / "batch_00001.parquet").read_bytes() == before
    with pytest.raises(InputError, match="out: is already there"):
        patch(source, tmp_path / "out", reference)


def test_in_place_keeps_what_stood_there(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 199, "donor"))
    before = (source / "master" / "batch_00001.parquet").read_bytes()
    patch(source, None, reference)
    assert (source / "master.unpatched" / "batch_00001.parquet").read_bytes() == before
    assert "exon_pos" in pq.read_schema(source / "master" / "batch_00001.parquet").names
    with pytest.raises(InputError, match=r"master.unpatched: is already there"):
        patch(source, None, reference)
    with pytest.raises(InputError, match="only a whole folder"):
        patch(source / "master.unpatched" / "batch_00001.parquet", None, reference)


def test_genes_that_the_reference_lacks_are_told(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 199, "donor"), row("nope", 1, None), row("nope", 2, None))
    with pytest.raises(InputError, match=r"1 genes \(2 rows\) are not in the reference, first nope"):
        patch(source, tmp_path / "out", reference)
    assert not (tmp_path / "out").exists()
    report = patch(source, tmp_path / "out", reference, allow_unknown=True)
    rows = pq.read_table(tmp_path / "out" / "master" / "batch_00001.parquet").to_pylist()
    assert [r["gene_type"] for r in rows] == ["lncRNA", "unknown", "unknown"]
    assert rows[1]["gene_start"] is None
    assert report.nulls_after["gene_start"] == 2


def test_another_annotation_is_refused(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 900, None))
    with pytest.raises(IntegrityError, match="1 rows whose position lies outside of the gene, first gene G000"):
        patch(source, tmp_path / "out", reference)
    other = published(tmp_path / "other", row("G000", 3, None, strand="-"))
    with pytest.raises(IntegrityError, match="1 rows whose strand is the other one"):
        patch(other, tmp_path / "out", reference)


def test_genes_of_other_types_than_expected_are_refused(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 1, None), row("G002", 1, None))
    with pytest.raises(IntegrityError, match="has genes of type lncRNA, expected protein_coding only"):
        patch(source, tmp_path / "out", reference, expected_gene_type="protein_coding")


def test_files_without_rows_and_several_files_are_kept_apart(tmp_path: Path, reference: Reference) -> None:
    source = published(tmp_path / "in", row("G000", 1, None))
    empty = pq.read_table(source / "master" / "batch_00001.parquet").slice(0, 0)
    pq.write_table(empty, source / "master" / "batch_00002.parquet")
    patch(source, tmp_path / "out", reference)
    first, second = (pq.read_table(tmp_path / "out" / "master" / f"batch_0000{i}.parquet") for i in (1, 2))
    assert (first.num_rows, second.num_rows) == (1, 0)
    assert first.schema == second.schema


def test_a_dataset_of_ours_needs_no_patch(tmp_path: Path) -> None:
    made = built(tmp_path / "splice")
    made.assembled()
    with pytest.raises(InputError, match="is a dataset of this workflow"):
        patch(made.base, tmp_path / "out", Reference(made.base / "reference"))
