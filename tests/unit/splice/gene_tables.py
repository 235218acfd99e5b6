"""Small gene tables for tests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from trainyard.splice.schema import GENES


def gene(gene_id: str, **chosen: Any) -> dict[str, Any]:
    """A row of GENES; what is not chosen is plausible."""
    length = chosen.get("length", 1000)
    start = chosen.get("start", 101)
    return {
        "gene_id": gene_id,
        "gene_version": "",
        "gene_name": "",
        "gene_type": "protein_coding",
        "chrom": "1",
        "start": start,
        "end": start + length - 1,
        "strand": "+",
        "length": length,
        "num_transcripts": 1,
        "n_donors": 2,
        "n_acceptors": 2,
        "locus_cluster": gene_id,
        "overlap_same_strand": 0,
        "overlap_opposite_strand": 0,
        "rep_transcript_id": f"{gene_id}-t1",
        "rep_spliced_length": 300,
        "rep_num_exons": 3,
        "rep_avg_exon_length": 100.0,
        "rep_median_exon_length": 100.0,
        "rep_total_intron_length": length - 300,
        "source_order": 0,
        **chosen,
    }


def gene_table(*rows: dict[str, Any] | str) -> pa.Table:
    """Contract GENES; a text stands for `gene(text)`."""
    return GENES.table([gene(row) if isinstance(row, str) else row for row in rows])
