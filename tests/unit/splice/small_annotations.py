"""Annotations and genomes for the tests of the reference: a few transcripts, written in any dialect."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from trainyard.splice.contigs import match_contigs
from trainyard.splice.entities import Annotation, load_annotation
from trainyard.splice.genes import Tables, build_tables
from trainyard.splice.placement import count_placed, place
from trainyard.splice.reasons import Reason
from trainyard.yard.ledger import Ledger

TOY_EXONS = ((101, 150), (251, 300), (351, 400))
"""Appendix A.1."""


@dataclass(frozen=True)
class Transcript:
    """One transcript; exons 1-based and closed, in any order."""

    name: str
    gene: str
    exons: Sequence[tuple[int, int]] = TOY_EXONS
    strand: str = "+"
    contig: str = "1"
    extra: dict[str, str] = field(default_factory=dict)
    """Further attributes of all its lines, and of its gene's."""

    @property
    def span(self) -> tuple[int, int]:
        """First and last base."""
        return min(start for start, _ in self.exons), max(end for _, end in self.exons)

    @property
    def introns(self) -> list[tuple[int, int]]:
        """First and last bases of its introns."""
        exons = sorted(self.exons)
        return [(end + 1, start - 1) for (_, end), (start, _) in pairwise(exons)]


def line(contig: str, feature: str, start: int, end: int, strand: str, attributes: str) -> str:
    """One line of nine columns."""
    return f"{contig}\ttest\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def gtf(*transcripts: Transcript, genes: bool = True, lines: bool = True, version: str = "") -> str:
    """GTF of transcripts, with or without lines of genes and of transcripts."""
    text, seen = "", set()
    for tx in transcripts:
        extra = "".join(f' {key} "{value}";' for key, value in tx.extra.items())
        if genes and tx.gene not in seen:
            same = [other.span for other in transcripts if other.gene == tx.gene]
            span = min(start for start, _ in same), max(end for _, end in same)
            text += line(tx.contig, "gene", *span, tx.strand, f'gene_id "{tx.gene}{version}";{extra}')
        seen.add(tx.gene)
        both = f'gene_id "{tx.gene}{version}"; transcript_id "{tx.name}";{extra}'
        if lines:
            text += line(tx.contig, "transcript", *tx.span, tx.strand, both)
        for start, end in tx.exons:
            text += line(tx.contig, "exon", start, end, tx.strand, both)
    return text


def gff3(*transcripts: Transcript, genes: bool = True) -> str:
    """GFF3 of transcripts, with or without lines of genes."""
    text, seen = "##gff-version 3\n", set()
    for tx in transcripts:
        extra = "".join(f";{key}={value}" for key, value in tx.extra.items())
        if genes and tx.gene not in seen:
            text += line(tx.contig, "gene", *tx.span, tx.strand, f"ID={tx.gene}{extra}")
        seen.add(tx.gene)
        text += line(tx.contig, "mRNA", *tx.span, tx.strand, f"ID={tx.name};Parent={tx.gene}{extra}")
        for start, end in tx.exons:
            text += line(tx.contig, "exon", start, end, tx.strand, f"Parent={tx.name}")
    return text


@dataclass(frozen=True)
class Built:
    """Tables of an annotation, and what was counted on the way."""

    annotation: Annotation
    tables: Tables
    ledger: Ledger

    def row(self, table: str, **wanted: object) -> dict[str, object]:
        """The one row of a table with these values."""
        rows = [row for row in getattr(self.tables, table).to_pylist() if wanted.items() <= row.items()]
        assert len(rows) == 1, rows
        return dict(rows[0])

    def rejected(self, kind: str) -> dict[str, int]:
        """Number of rejected items of a kind by reason."""
        counts = {reason: self.ledger.rejected(kind, reason) for reason in Reason}
        return {str(reason): n for reason, n in counts.items() if n}


def build(
    folder: Path,
    text: str | bytes,
    *,
    lengths: dict[str, int] | None = None,
    used: Sequence[str] = (),
    min_intron: int = 1,
) -> Built:
    """Tables of an annotation given as text, on a genome of which only the lengths matter; the sums are checked."""
    path = folder / "annotation"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    ledger = Ledger("splice", Reason)
    annotation = load_annotation(path, ledger)
    genome = lengths or dict.fromkeys(annotation.contigs, 10**9)
    match = match_contigs(annotation.contigs, genome, aliases={})
    placement = place(annotation, match=match, lengths=genome, used=used)
    count_placed(annotation, placement, ledger)
    tables = build_tables(annotation, placement, match, ledger, min_intron=min_intron)
    ledger.check()
    return Built(annotation, tables, ledger)


def genome_for(transcripts: Sequence[Transcript], *, length: int = 2000, seed: int = 1) -> dict[str, str]:
    """Random contigs on which all introns of the transcripts are GT-AG, in their direction."""
    rng = np.random.default_rng(seed)
    contigs = {tx.contig: rng.choice(list("ACGT"), length) for tx in transcripts}
    for tx in transcripts:
        first, last = ("GT", "AG") if tx.strand == "+" else ("CT", "AC")
        for left, right in tx.introns:
            contigs[tx.contig][left - 1 : left + 1] = list(first)
            contigs[tx.contig][right - 2 : right] = list(last)
    return {name: "".join(letters) for name, letters in contigs.items()}


def fasta(contigs: dict[str, str], *, width: int = 60) -> str:
    """FASTA of contigs."""
    text = ""
    for name, letters in contigs.items():
        text += f">{name}\n" + "".join(f"{letters[i : i + width]}\n" for i in range(0, len(letters), width))
    return text


def many_transcripts(count: int, *, contig: str = "1") -> list[Transcript]:
    """Transcripts of four exons, one per gene, alternating between strands, apart from each other."""
    exons = ((11, 40), (101, 150), (221, 260), (341, 380))
    return [
        Transcript(f"T{i}", f"G{i}", [(start + 500 * i, end + 500 * i) for start, end in exons], "+-"[i % 2], contig)
        for i in range(count)
    ]


def bgzip(data: bytes, *, block: int = 100) -> bytes:
    """The blocks that bgzip writes (SAM specification 4.1): gzip members with their size in an extra field."""
    blocks = b""
    for piece in [*(data[i : i + block] for i in range(0, len(data), block)), b""]:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(piece) + packer.flush()
        header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
        blocks += header + packed + struct.pack("<II", zlib.crc32(piece), len(piece))
    return blocks
