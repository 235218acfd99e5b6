"""Genes, transcripts and exons of an annotation: what they are called, of what kind, and where they say they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainyard.splice import dialects
from trainyard.splice.annotation import RawAnnotation, read_annotation
from trainyard.splice.dialects import Dialect, Style
from trainyard.splice.lineage import Codes, Flags, Links, first, link
from trainyard.splice.schema import UNKNOWN_TYPE
from trainyard.yard.ledger import Ledger

Places = NDArray[np.int64]
# Features that tell nothing of the kind of a gene or transcript.
_GENERIC = ("gene", "exon", "transcript", "primary_transcript", "nc_primary_transcript", "pseudogenic_exon")


@dataclass(frozen=True)
class Exons:
    """Exons in file order; all arrays have shape `(n,)`."""

    transcript: Codes
    """Index of the transcript."""
    contig: Codes
    """Index of the contig."""
    start: Places
    """First base, 1-based."""
    end: Places
    """Last base, 1-based."""
    strand: NDArray[np.int8]
    """1, -1, or 0 where none is stated."""


@dataclass(frozen=True)
class Transcripts:
    """Transcripts that have exons, in file order."""

    ids: list[str]
    gene: Codes
    """Index of the gene; -1 where none is stated."""
    two_genes: Flags
    """Whether its exons name different genes."""
    types: list[str]
    """Biotypes; `unknown` where none is stated."""
    tags: list[str]
    cds_length: Places
    """Sum of CDS lengths, nt."""


@dataclass(frozen=True)
class Genes:
    """Genes in the order in which they appear, whether or not they have a line of their own."""

    ids: list[str]
    """Without version."""
    versions: list[str]
    names: list[str]
    types: list[str]
    """Biotypes; `unknown` where none is stated."""
    contig: Codes
    """Index of the contig that the gene's line names; -1: it has no line."""
    start: Places
    """First base by its line, 1-based; 0 without line."""
    end: Places
    strand: NDArray[np.int8]
    """1 or -1 by its line; 0 where none is stated."""
    repeated: list[tuple[str, str]]
    """Further lines of a gene, on another contig or strand: gene id and place."""


@dataclass(frozen=True)
class Annotation:
    """An annotation whose exons, transcripts and genes know each other."""

    path: Path
    dialect: Dialect
    contigs: list[str]
    """Contigs as the annotation names them."""
    exons: Exons
    transcripts: Transcripts
    genes: Genes
    without_exons: list[str]
    """Transcripts that have a line but no exon."""
    header: dict[str, str]
    """Directives of the file, such as `genome-build`."""
    regions: dict[str, int]
    """Lengths (nt) that `##sequence-region` directives state, by contig."""
    lines: int
    """Lines that are neither empty nor comments."""


def load_annotation(path: Path, ledger: Ledger) -> Annotation:
    """Read a GTF or GFF3 and link what it says; see `read_annotation` for what is counted and raised."""
    raw = read_annotation(path, ledger)
    links, style = link(raw), raw.dialect.style
    contig_keys, exon_contig = _contigs(raw)
    genes, place = _genes(links, raw.dialect, contig_keys)
    transcripts = Transcripts(
        ids=_transcript_ids(links, style),
        gene=np.where(links.gene_of >= 0, place[links.gene_of], -1).astype(np.int32),
        two_genes=links.two_genes,
        types=_transcript_types(links, style),
        tags=_texts(first(links.node_transcript, links.nodes["tags"], len(links.transcripts)), style),
        cds_length=_cds_lengths(raw.cds, links.transcripts),
    )
    exons = Exons(
        transcript=raw.exons["transcript"].chunk(0).indices.to_numpy(),
        contig=exon_contig,
        start=raw.exons["start"].to_numpy(),
        end=raw.exons["end"].to_numpy(),
        strand=raw.exons["strand"].to_numpy(),
    )
    return Annotation(
        path=path,
        dialect=raw.dialect,
        contigs=_texts(contig_keys, style),
        exons=exons,
        transcripts=transcripts,
        genes=genes,
        without_exons=[dialects.without_prefix(name) for name in _texts(links.without_exons, style)],
        header=raw.header,
        regions=raw.regions,
        lines=raw.lines,
    )


def _contigs(raw: RawAnnotation) -> tuple[pa.Array, Codes]:
    """All contigs, those of exons first, and the contig of each exon."""
    of_exons = raw.exons["contig"].chunk(0)
    keys = pc.unique(pa.concat_arrays([of_exons.dictionary, *raw.nodes["contig"].chunks]))
    return keys, of_exons.indices.to_numpy()


def _genes(links: Links, dialect: Dialect, contig_keys: pa.Array) -> tuple[Genes, Codes]:
    """Genes in the order in which they appear, and which of them each of the links' gene names stands for."""
    style, count = dialect.style, len(links.genes)
    own = np.where(links.is_gene, links.node_gene, -1).astype(np.int32)
    keys = _texts(links.genes, style)
    stated = _texts(first(own, links.nodes["gene"], count), style)
    pairs = [_gene_id(key, other, style) for key, other in zip(keys, stated, strict=True)]
    # Only GTF has a gene's version on every line; `version` of a GFF3 line is that of what it describes.
    versions = _texts(first(links.node_gene if style is Style.GTF else own, links.nodes["version"], count), style)
    appearance = np.full(count, np.iinfo(np.int64).max)
    spoken = links.node_gene >= 0
    np.minimum.at(appearance, links.node_gene[spoken], links.nodes["line"].to_numpy()[spoken])
    order = np.argsort(appearance, kind="stable")
    # Two names may stand for one gene, as when only their versions differ; the first has the say.
    ids = list(dict.fromkeys(pairs[i][0] for i in order))
    position = {gene_id: i for i, gene_id in enumerate(ids)}
    place = np.array([position[gene_id] for gene_id, _ in pairs], np.int32)
    chosen = np.empty(len(ids), np.int64)
    chosen[place[order[::-1]]] = order[::-1]
    names, types = _gene_names(links, style), _gene_types(links, dialect)
    lines = _gene_lines(links, place, len(ids), contig_keys, ids)
    return Genes(
        ids,
        [versions[i] or pairs[i][1] for i in chosen],
        [names[i] for i in chosen],
        [types[i] for i in chosen],
        *lines,
    ), place


def _gene_id(key: str, stated: str, style: Style) -> tuple[str, str]:
    """Identifier without version, and version, from the name in the file and the `gene_id` that its line states."""
    text = dialects.without_prefix(stated or key) if style is Style.GFF3 else key
    if key.endswith(dialects.PAR_Y) and not text.endswith(dialects.PAR_Y):
        text += dialects.PAR_Y
    return dialects.split_version(text)


def _gene_names(links: Links, style: Style) -> list[str]:
    own, count = np.where(links.is_gene, links.node_gene, -1).astype(np.int32), len(links.genes)
    return _texts(
        pc.coalesce(
            first(own, links.nodes["name"], count),
            # GFF3's Name may be the symbol, on the line of a gene only.
            first(own, links.nodes["other_name"], count),
            first(links.node_gene, links.nodes["name"], count),
        ),
        style,
    )


def _gene_types(links: Links, dialect: Dialect) -> list[str]:
    """Biotypes: what the gene's line says, else what its transcripts' lines say, else of which kind these are."""
    nodes, count = links.nodes, len(links.genes)
    own = np.where(links.is_gene, links.node_gene, -1).astype(np.int32)
    feature = _telling(nodes)
    # Elsewhere, notes are free text.
    note = nodes["note"] if dialect.source == "tair" else pa.nulls(len(nodes), pa.binary())
    mrna = pc.if_else(pc.equal(nodes["feature"], b"mRNA"), b"mRNA", pa.scalar(None, pa.binary()))
    found = pc.coalesce(
        first(own, pc.coalesce(nodes["gene_type"], nodes["biotype"], note, feature), count),
        first(links.node_gene, nodes["gene_type"], count),
        first(links.node_gene, mrna, count),
        first(links.node_gene, feature, count),
    )
    return [dialects.biotype(text) or UNKNOWN_TYPE for text in _texts(found, dialect.style)]


def _gene_lines(
    links: Links, place: Codes, count: int, contig_keys: pa.Array, ids: Sequence[str]
) -> tuple[Codes, Places, Places, NDArray[np.int8], list[tuple[str, str]]]:
    """Where the genes' own lines place them, and lines that place them elsewhere too."""
    lines = links.nodes.filter(pa.array(links.is_gene))
    gene = place[links.node_gene[links.is_gene]]
    on = pc.index_in(lines["contig"], value_set=contig_keys).to_numpy(zero_copy_only=False).astype(np.int32)
    start, end, strand = (lines[name].to_numpy() for name in ("start", "end", "strand"))
    contig, sign = np.full(count, -1, np.int32), np.zeros(count, np.int8)
    contig[gene[::-1]], sign[gene[::-1]] = on[::-1], strand[::-1]
    here = (on == contig[gene]) & (strand == sign[gene])
    first_base, last_base = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first_base, gene[here], start[here])
    np.maximum.at(last_base, gene[here], end[here])
    names = contig_keys.to_pylist()
    repeated = [
        (ids[gene[i]], f"{names[on[i]].decode('utf-8', 'replace')}:{start[i]}-{end[i]}") for i in np.flatnonzero(~here)
    ]
    return contig, np.where(contig < 0, 0, first_base), last_base, sign, repeated


def _transcript_ids(links: Links, style: Style) -> list[str]:
    """Names of transcripts less prefixes such as `rna-`, unless two would then have one name."""
    names = _texts(links.transcripts, style)
    short = [dialects.without_prefix(name) for name in names] if style is Style.GFF3 else names
    return short if len(set(short)) == len(short) else names


def _transcript_types(links: Links, style: Style) -> list[str]:
    nodes, count = links.nodes, len(links.transcripts)
    stated = pc.coalesce(nodes["transcript_type"], nodes["biotype"], _telling(nodes))
    found = _texts(first(links.node_transcript, stated, count), style)
    return [dialects.biotype(text) or UNKNOWN_TYPE for text in found]


def _telling(nodes: pa.Table) -> pa.ChunkedArray:
    """The features of lines, null where they do not tell of which kind a gene or transcript is."""
    generic = pc.is_in(nodes["feature"], pa.array(_GENERIC).cast(pa.binary()))
    return pc.if_else(generic, pa.scalar(None, pa.binary()), nodes["feature"])


def _cds_lengths(cds: pa.Table, transcripts: pa.Array) -> Places:
    named = cds["transcript"].chunk(0) if len(cds) else None
    if named is None:
        return np.zeros(len(transcripts), np.int64)
    known = pc.index_in(named.dictionary, value_set=transcripts)
    code = pc.fill_null(known.take(named.indices), -1).to_numpy(zero_copy_only=False)
    length = cds["length"].to_numpy()
    return np.bincount(code[code >= 0], weights=length[code >= 0], minlength=len(transcripts)).astype(np.int64)


def _texts(values: pa.Array | pa.ChunkedArray, style: Style) -> list[str]:
    return [dialects.plain(value, style) for value in values.to_pylist()]
