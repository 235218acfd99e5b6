"""Which exon belongs to which transcript, and which transcript to which gene.

GTF says it on every line. GFF3 says it by a chain of parents, which is climbed up to the first gene, or, where the line
of the gene is missing, up to the last name in the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice.annotation import RawAnnotation, is_witness
from trainyard.splice.dialects import Style

Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class Links:
    """Who belongs to whom; names are bytes as in the file, -1 stands for none."""

    nodes: pa.Table
    """Lines of genes and transcripts, then exon lines that bear witness for theirs."""
    transcripts: pa.Array
    """Names of the transcripts that have exons, shape `(t,)`."""
    genes: pa.Array
    """Names by which lines speak of genes, shape `(g,)`."""
    gene_of: Codes
    """Index into `genes` of each transcript, shape `(t,)`."""
    two_genes: Flags
    """Whether exons of a transcript name different genes, shape `(t,)`."""
    is_gene: Flags
    """Whether a node is the line of a gene, shape `(n,)`."""
    node_transcript: Codes
    """Index into `transcripts` of what each node speaks of, shape `(n,)`."""
    node_gene: Codes
    """Index into `genes` of what each node speaks of, shape `(n,)`."""
    without_exons: pa.Array
    """Names of transcripts that have a line but no exon."""


def link(raw: RawAnnotation) -> Links:
    """Link exons, transcripts and genes of an annotation."""
    nodes = raw.nodes.take(pa.array(np.argsort(is_witness(raw.nodes), kind="stable"))).combine_chunks()
    exons = raw.exons["transcript"].chunk(0)
    return _link_gtf(raw, nodes, exons) if raw.dialect.style is Style.GTF else _link_gff3(nodes, exons.dictionary)


def _link_gtf(raw: RawAnnotation, nodes: pa.Table, exons: pa.DictionaryArray) -> Links:
    keys, key, gene_named = exons.dictionary, nodes["key"].combine_chunks(), raw.exons["gene"].chunk(0)
    is_gene = flags(pc.equal(nodes["feature"], b"gene"))
    genes = pc.unique(pa.concat_arrays([gene_named.dictionary, key.filter(pa.array(is_gene))]))
    node_transcript = np.where(is_gene, -1, index(key, keys)).astype(np.int32)
    lowest, highest = _gene_range(exons, gene_named, index(gene_named.dictionary, genes))
    # Exons may leave it to the line of their transcript to name the gene.
    elsewhere = index(first(node_transcript, nodes["gene"], len(keys)), genes)
    gene_of = np.where(highest >= 0, highest, elsewhere).astype(np.int32)
    by_transcript = np.where(node_transcript >= 0, gene_of[node_transcript], -1)
    return Links(
        nodes=nodes,
        transcripts=keys,
        genes=genes,
        gene_of=gene_of,
        two_genes=(highest >= 0) & (lowest != highest),
        is_gene=is_gene,
        node_transcript=node_transcript,
        node_gene=np.where(is_gene, index(key, genes), by_transcript).astype(np.int32),
        without_exons=pc.unique(key.filter(pa.array(~is_gene & (node_transcript < 0)))),
    )


def _gene_range(exons: pa.DictionaryArray, named: pa.DictionaryArray, genes: Codes) -> tuple[Codes, Codes]:
    """Lowest and highest gene that the exons of each transcript name; the highest is -1 where they name none."""
    stated = flags(pc.is_valid(named))
    transcript = exons.indices.to_numpy()[stated]
    gene = genes[pc.fill_null(named.indices, 0).to_numpy()[stated]]
    lowest = np.full(len(exons.dictionary), np.iinfo(np.int32).max, np.int32)
    highest = np.full(len(exons.dictionary), -1, np.int32)
    np.minimum.at(lowest, transcript, gene)
    np.maximum.at(highest, transcript, gene)
    return lowest, highest


def _link_gff3(nodes: pa.Table, keys: pa.Array) -> Links:
    key, feature = nodes["key"].combine_chunks(), nodes["feature"]
    # TAIR's mRNA_TE_gene is a transcript.
    is_gene = flags(pc.ends_with(feature, b"gene", ignore_case=True)) & ~flags(pc.starts_with(feature, b"mRNA"))
    parent = pc.list_element(pc.split_pattern(pc.coalesce(nodes["parent"].combine_chunks(), b""), b","), 0)
    names = pc.unique(pa.concat_arrays([keys, key, parent]))
    child, above = index(key, names), index(parent, names)
    above[flags(pc.equal(parent, b""))] = -1
    linked = np.flatnonzero(above >= 0)[::-1]  # backwards, so that the first line of a name decides
    parent_of, gene_name = np.full(len(names), -1, np.int32), np.zeros(len(names), bool)
    parent_of[child[linked]] = above[linked]
    gene_name[child[is_gene]] = True
    bottom = index(keys, names)
    top = _climb(bottom, parent_of, gene_name)
    node_transcript = index(key, keys)
    # A transcript without parent may still name its gene: files of exons alone do.
    named = first(node_transcript, nodes["gene"], len(keys))
    alone = (top == bottom) & ~gene_name[top]
    gene = pc.if_else(pa.array(alone), pc.coalesce(named, keys), names.take(pa.array(top)))
    genes = pc.unique(pa.concat_arrays([gene, key.filter(pa.array(is_gene))]))
    gene_of = index(gene, genes)
    by_transcript = np.where(node_transcript >= 0, gene_of[node_transcript], -1)
    has_offspring = np.isin(child, above) | (node_transcript >= 0)
    lone = ~is_gene & ~has_offspring & (above >= 0) & gene_name[above]
    return Links(
        nodes=nodes,
        transcripts=keys,
        genes=genes,
        gene_of=gene_of,
        two_genes=np.zeros(len(keys), bool),
        is_gene=is_gene,
        node_transcript=node_transcript,
        node_gene=np.where(is_gene, index(key, genes), by_transcript).astype(np.int32),
        without_exons=pc.unique(key.filter(pa.array(lone))),
    )


def _climb(start: Codes, parent_of: Codes, is_gene: Flags) -> Codes:
    """Follow parents up to the first gene, or as far as they go; a chain that bites its tail ends somewhere on it."""
    top = start
    for _ in range(_LONGEST_CHAIN):
        above = parent_of[top]
        top = np.where((above >= 0) & ~is_gene[top], above, top)
    return top


def first(of: Codes, values: pa.ChunkedArray | pa.Array, count: int) -> pa.Array:
    """First stated value for each of `count` things.

    Args:
        of: Which thing each row speaks of, shape `(n,)`; -1 for none.
        values: What the rows state, shape `(n,)`, null where nothing.
        count: Number of things.

    Returns:
        Shape `(count,)`; null where no row states anything.
    """
    rows = np.flatnonzero((of >= 0) & flags(pc.is_valid(values)))[::-1]
    row = np.full(count, -1, np.int64)
    row[of[rows]] = rows
    found = values.take(pa.array(row, mask=row < 0))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def index(values: pa.Array, names: pa.Array) -> Codes:
    """Position of each value in `names`, -1 where it is not there or null."""
    found = pc.index_in(values, value_set=names, skip_nulls=True)
    codes: Codes = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return codes


def flags(values: pa.Array | pa.ChunkedArray) -> Flags:
    """Truth values as numpy; null is false."""
    array: Flags = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return array
