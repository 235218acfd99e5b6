"""The annotation of the simulated genome, a GTF as Ensembl writes them, with what goes wrong in real ones.

Reading frames are not simulated: CDS lines say how much of a transcript is coded, which decides between transcripts,
but the bases under them hold stop codons like any others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainyard.demo.splice_genes import ABUTTING_EXONS, Interval, Transcript
from trainyard.demo.splice_genome import Placed
from trainyard.splice.reasons import Reason

SOURCE = "demo"
MALFORMED = 2
"""Lines that cannot be read: one is cut off, one ends before it starts."""

_UNTRANSLATED = (20, 60)
"""Bases before and after what is coded, nt."""
_CODING = "protein_coding"


def annotation_lines(genes: Sequence[Placed], *, build: str) -> Iterator[str]:
    """Lines of the GTF, sorted by contig and place as in Ensembl's files."""
    yield f"#!genome-build {build}"
    yield f"#!genome-version {build}"
    yield "#!annotation-source simulated"
    for one in sorted(genes, key=lambda one: (len(one.contig), one.contig, one.start)):
        lines = [_line(one, "gene", (0, one.gene.length), _gene_attributes(one))]
        for place, transcript in enumerate(one.gene.transcripts):
            lines += _transcript_lines(one, place, transcript)
        if one.gene.number == ABUTTING_EXONS:
            lines[3:3] = _malformed(lines[2])
        yield from lines


def transcript_id(one: Placed, place: int) -> str:
    """Identifier of a transcript."""
    return f"DEMOT{one.gene.number + 1:05d}{place + 1:02d}"


def _transcript_lines(one: Placed, place: int, transcript: Transcript) -> Iterator[str]:
    exons, name = transcript.exons, transcript_id(one, place)
    attributes = {
        **_gene_attributes(one),
        "transcript_id": name,
        "transcript_version": "1",
        "transcript_name": f"{_symbol(one)}-{201 + place}",
        "transcript_source": SOURCE,
        "transcript_biotype": one.gene.gene_type,
    }
    tags = ["basic"]
    if place == 0 and one.gene.gene_type != "unprocessed_pseudogene":
        tags += ["Ensembl_canonical"] + (["MANE_Select"] if one.gene.gene_type == _CODING else [])
    yield _line(one, "transcript", (exons[0][0], exons[-1][1]), attributes, tags)
    coded = 0
    for rank, (begin, end) in enumerate(exons, start=1):
        numbered = {**attributes, "exon_number": str(rank)}
        # What was spliced together from both strands, an aligner may report as one transcript.
        flipped = transcript.fault is Reason.TWO_STRANDS and rank == len(exons)
        yield _line(one, "exon", (begin, end), {**numbered, "exon_id": f"{name}E{rank:02d}"}, tags, flipped=flipped)
        low, high = max(begin, exons[0][0] + _UNTRANSLATED[0]), min(end, exons[-1][1] - _UNTRANSLATED[1])
        if one.gene.gene_type == _CODING and transcript.fault is None and low < high:
            yield _line(one, "CDS", (low, high), {**numbered, "protein_id": f"{name}P"}, tags, phase=-coded % 3)
            coded += high - low


def _malformed(line: str) -> list[str]:
    """Broken copies of a line; the whole one is there as well."""
    contig, source, feature, start, end, *others = line.split("\t")
    return [line[: line.index(end)], "\t".join([contig, source, feature, end, start, *others])]


def _gene_attributes(one: Placed) -> dict[str, str]:
    return {
        "gene_id": one.gene.gene_id,
        "gene_version": "1",
        "gene_name": _symbol(one),
        "gene_source": SOURCE,
        "gene_biotype": one.gene.gene_type,
    }


def _symbol(one: Placed) -> str:
    return f"SIM{one.gene.number + 1}"


def _line(
    one: Placed,
    feature: str,
    interval: Interval,
    attributes: dict[str, str],
    tags: Sequence[str] = (),
    *,
    phase: int | None = None,
    flipped: bool = False,
) -> str:
    start, end = sorted((one.position(interval[0]), one.position(interval[1] - 1)))
    strand = {"+": "-", "-": "+"}[one.gene.strand] if flipped else one.gene.strand
    text = [f'{name} "{value}";' for name, value in attributes.items()] + [f'tag "{tag}";' for tag in tags]
    columns = (one.contig, SOURCE, feature, start, end, ".", strand, "." if phase is None else phase, " ".join(text))
    return "\t".join(map(str, columns))
